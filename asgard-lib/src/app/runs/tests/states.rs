//! Every command in every state answers with a sentence: none is a defect, whatever it meets.

use crate::{
    app::{
        Call, Operation,
        requests::{Approve, Cancel, ExplainRequest, GetRequest, Reject, RequestResource},
        resources::{DeprovisionResource, RefreshResource, RetryResource},
        secrets::RotateSecret,
        testkit::Kit,
    },
    domain::{
        request::{Request, RequestStatus},
        resource::{Resource, ResourceStatus},
        run::{PlanSummary, Run},
    },
    error::Code,
    kernel::{RequestId, ResourceId, RunId},
    ports::runner::RunOutcome,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What there is of a request and its resource, before each command.
#[derive(Clone, Copy, Debug)]
struct State {
    request: RequestStatus,
    resource: ResourceStatus,
    planned: bool,
    running: bool,
}

struct Case {
    kit: Kit,
    request: Request,
    resource: Resource,
    run: RunId,
}

impl Case {
    async fn new() -> Self {
        let kit = Kit::staged().await;
        let id: RequestId = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
        let run = kit.request(&id).await.current_run.unwrap();
        let plan = RunOutcome::Planned {
            summary: PlanSummary { create: 1, ..PlanSummary::default() },
            plan: Zeroizing::new(vec![1]),
        };
        kit.supervise(&run, plan).await;
        let request = kit.read::<Request>(&id).await.unwrap().value;
        let resource = kit.read::<Resource>(&request.resource).await.unwrap().value;
        Self { kit, request, resource, run }
    }

    async fn set(&self, state: State) {
        let (request, resource, run) = (self.request.clone(), self.resource.clone(), self.run.clone());
        let (id, of) = (request.id.clone(), resource.id.clone());
        self.kit
            .tamper::<Request>(id.as_str(), move |now| {
                *now = Request {
                    status: state.request,
                    inbox: (state.request == RequestStatus::Pending).then(|| "pending".to_owned()),
                    plan: request.plan.clone().filter(|_| state.planned),
                    plan_run: Some(run.clone()).filter(|_| state.planned),
                    current_run: request.current_run.clone().filter(|_| state.running),
                    ..request
                };
            })
            .await;
        self.kit
            .tamper::<Resource>(of.as_str(), move |now| *now = Resource { status: state.resource, ..resource })
            .await;
    }

    async fn answers<O: Operation>(&self, state: State, call: Call, command: Value) {
        self.set(state).await;
        let command: O = serde_json::from_value(command).unwrap();
        if let Err(error) = self.kit.app.run(&call, &command).await {
            let told = format!("{} {state:?}: {}", O::META.name, error.chain());
            assert_ne!(error.code(), Code::Bug, "{told}");
            assert!(error.message().ends_with('.'), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_command_in_every_state_answers_with_a_sentence() {
    let case = Case::new().await;
    let (id, of): (&RequestId, &ResourceId) = (&case.request.id, &case.resource.id);
    let mut key = 0;
    let mut keyed = |call: Call| {
        key += 1;
        Call { idempotency_key: Some(format!("key-{key}")), ..call }
    };
    for request in RequestStatus::ALL {
        for resource in ResourceStatus::ALL {
            for (planned, running) in [(false, false), (false, true), (true, false), (true, true)] {
                let state = State { request, resource, planned, running };
                let kit = &case.kit;
                let (of_request, of_resource) = (json!({"request_id": id}), json!({"resource_id": of}));
                let ask = json!({"project_id": kit.project, "service": "thing", "name": "one", "spec": {}});
                let other =
                    json!({"project_id": kit.project, "service": "thing", "name": "one", "spec": {"size": "l"}});
                let rotate = json!({"project_id": kit.project, "name": "thing.one.token"});
                case.answers::<Approve>(state, kit.manager(), of_request.clone()).await;
                case.answers::<Reject>(state, kit.manager(), of_request.clone()).await;
                case.answers::<Cancel>(state, kit.owner(), of_request.clone()).await;
                case.answers::<GetRequest>(state, kit.owner(), of_request.clone()).await;
                case.answers::<ExplainRequest>(state, kit.owner(), of_request).await;
                for command in [ask, other] {
                    case.answers::<RequestResource>(state, kit.owner(), command.clone()).await;
                    case.answers::<RequestResource>(state, keyed(kit.owner()), command).await;
                }
                case.answers::<DeprovisionResource>(state, kit.owner(), of_resource.clone()).await;
                case.answers::<DeprovisionResource>(state, keyed(kit.owner()), of_resource.clone()).await;
                case.answers::<RetryResource>(state, kit.owner(), of_resource.clone()).await;
                case.answers::<RetryResource>(state, keyed(kit.owner()), of_resource.clone()).await;
                case.answers::<RefreshResource>(state, kit.owner(), of_resource).await;
                case.answers::<RotateSecret>(state, keyed(kit.owner()), rotate).await;
            }
        }
    }
    let runs = case.kit.all::<Run>(&crate::ports::kinds::RUNS_BY_RESOURCE, of.as_str()).await;
    assert!(!runs.is_empty());
}
