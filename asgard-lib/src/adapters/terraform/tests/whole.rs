//! From a request to its end: the real control side, the real supervisor, the real engine. Only the processes between them
//! are left out: the test starts supervisors where the runner would.

use super::{
    super::{SupervisorExit, supervise},
    real::engine,
    *,
};
use crate::{
    app::{
        Asgard, Call, ServiceCatalog,
        requests::RequestResource,
        resources::{DeprovisionResource, RefreshResource},
        secrets::{GetSecret, RotateSecret},
        services::{Service, read_manifest},
        testkit::{Kit, OWNER, boot_with, member},
        worker,
    },
    domain::{
        request::{Request, RequestStatus},
        resource::{Resource, ResourceStatus, StatePointer},
        service::Approval,
    },
    kernel::RequestId,
    ports::kinds,
};
use std::sync::Arc;

struct Whole {
    kit: Kit,
    app: Arc<Asgard>,
    stage: Arc<crate::app::testkit::Stage>,
    folder: tempfile::TempDir,
}

impl Whole {
    async fn new() -> Self {
        let kit = Kit::staged().await;
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/modules/local/local-demo/service.yaml");
        let catalog = ServiceCatalog::of([read_manifest(Path::new(manifest)).unwrap()], Vec::new());
        let stage = Arc::default();
        let app = boot_with(Arc::clone(&kit.faulty), &kit.world, Arc::clone(&stage) as _, catalog).await.unwrap();
        Self { kit, app, stage, folder: testkit::folder() }
    }

    fn call(&self) -> Call {
        Call::by(member(OWNER), self.app.new_trace())
    }

    fn options(&self) -> SuperviseOptions {
        options(self.folder.path(), &engine())
    }

    /// Launches and supervises until the request is over. Returns how the runs ended.
    async fn carry(&self, request: &RequestId) -> (Request, Resource, Vec<&'static str>) {
        let mut endings = Vec::new();
        for _ in 0..10 {
            worker::run_due(&self.app).await.unwrap();
            let launched = std::mem::take(&mut *self.stage.launched.lock().unwrap());
            for run in &launched {
                match supervise(Arc::clone(&self.app), run, &self.options()).await.unwrap() {
                    SupervisorExit::Finished { ending } => endings.push(ending),
                    other => panic!("{other:?}"),
                }
                let again = supervise(Arc::clone(&self.app), run, &self.options()).await.unwrap();
                assert!(matches!(again, SupervisorExit::NotNeeded { .. }), "{again:?}");
            }
            self.kit.check().await;
            let request = self.kit.request(request).await;
            if request.status.is_over() {
                let resource = self.kit.resource(&request.resource).await;
                return (request, resource, endings);
            }
        }
        panic!("the request does not end: {:?}", self.kit.request(request).await);
    }

    async fn token(&self) -> String {
        let reveal = GetSecret { project_id: Some(self.kit.project.clone()), name: "local-demo.one.token".into() };
        self.app.run(&self.call(), &reveal).await.unwrap().value
    }

    async fn ask(&self, spec: Value) -> RequestId {
        let ask = RequestResource {
            project_id: Some(self.kit.project.clone()),
            service: "local-demo".parse().unwrap(),
            name: "one".parse().unwrap(),
            spec: spec.as_object().cloned().unwrap(),
            cloud: None,
            account: None,
        };
        self.app.run(&self.call(), &ask).await.unwrap().request.request_id
    }
}

#[tokio::test]
async fn a_request_is_carried_out_for_real() {
    let whole = Whole::new().await;
    let (request, resource, endings) = whole.carry(&whole.ask(json!({"seconds": 1})).await).await;
    assert_eq!((request.status, endings), (RequestStatus::Fulfilled, vec!["planned", "applied"]));
    assert_eq!(resource.status, ResourceStatus::Provisioned);
    assert!(resource.outputs["id"].as_str().unwrap().contains("-one-") && !resource.outputs.contains_key("token"));
    let token = whole.token().await;
    assert_eq!(token.len(), 64);
    assert!(!format!("{:?}", whole.kit.memory).contains(&token), "the token is nowhere in the store in the open");
    let state = whole.kit.read::<StatePointer>(&resource.id).await.unwrap();
    assert!(state.serial > 3 && !state.history.is_empty(), "{state:?}");
    let runs = whole.kit.all::<crate::domain::run::Run>(&kinds::RUNS_BY_RESOURCE, resource.id.as_str()).await;
    let apply = runs.iter().find(|run| run.op == RunOp::Apply).unwrap();
    assert!(apply.engine.as_ref().unwrap().starts_with("terraform 1.") && apply.module_digest.is_some());
    let log = crate::app::runs::segments(&whole.app, &apply.id, 0, 100).await.unwrap();
    let lines: Vec<_> = log.iter().flat_map(|segment| &segment.lines).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.kind == "apply_complete" && line.address.as_deref() == Some("terraform_data.demo"))
    );

    let rotate = RotateSecret { project_id: Some(whole.kit.project.clone()), name: "local-demo.one.token".into() };
    let rotated = whole.app.run(&whole.call(), &rotate).await.unwrap();
    let (_, after, _) = whole.carry(&rotated.request.request_id).await;
    assert_eq!(after.outputs, resource.outputs);
    assert_ne!(whole.token().await, token);

    let remove = DeprovisionResource { project_id: None, resource_id: resource.id.clone(), version: None };
    let removed = whole.app.run(&whole.call(), &remove).await.unwrap();
    let (request, resource, endings) = whole.carry(&removed.request.request_id).await;
    assert_eq!((request.status, resource.status), (RequestStatus::Fulfilled, ResourceStatus::Destroyed));
    assert_eq!(endings, ["planned", "destroyed"]);
    assert_eq!(entries(whole.folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_interrupted_apply_is_planned_again_and_finished() {
    let whole = Whole::new().await;
    let request = whole.ask(json!({"seconds": 6})).await;
    worker::run_due(&whole.app).await.unwrap();
    let launched = std::mem::take(&mut *whole.stage.launched.lock().unwrap());
    supervise(Arc::clone(&whole.app), &launched[0], &whole.options()).await.unwrap();
    worker::run_due(&whole.app).await.unwrap();
    let apply = std::mem::take(&mut *whole.stage.launched.lock().unwrap()).remove(0);
    let options = whole.options();
    let stop = options.stop.clone();
    let (exit, ()) = tokio::join!(supervise(Arc::clone(&whole.app), &apply, &options), async {
        let output = whole.folder.path().join(apply.as_str()).join("apply.out");
        until("the second step is under way", || {
            std::fs::read_to_string(&output).unwrap_or_default().contains("terraform_data.step_2: Creating")
        })
        .await;
        stop.cancel();
    });
    assert_eq!(exit.unwrap(), SupervisorExit::Finished { ending: "interrupted" });
    let (request, resource, endings) = whole.carry(&request).await;
    assert_eq!((request.status, resource.status), (RequestStatus::Fulfilled, ResourceStatus::Provisioned));
    assert_eq!((endings, request.resumed), (vec!["planned", "applied"], 1));
    assert_eq!(whole.token().await.len(), 64);
}

/// The service that was applied is gone from the catalogue, or another one of its name has taken its place.
#[tokio::test]
async fn what_was_made_is_compared_and_removed_although_its_module_is_gone_or_broken() {
    for broken in [false, true] {
        let mut whole = Whole::new().await;
        let (_, resource, _) = whole.carry(&whole.ask(json!({"seconds": 1})).await).await;
        assert_eq!(resource.status, ResourceStatus::Provisioned);
        let services = broken.then(|| {
            let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/modules/local/local-demo/service.yaml");
            let mut manifest = read_manifest(Path::new(manifest)).unwrap().manifest;
            manifest.approval = Approval::Auto;
            manifest.inputs = json!({"type": "object", "properties": {"monthly_usd": {"type": "number"}}});
            Service::new(manifest, [("main.tf".to_owned(), b"no { terraform".to_vec())].into()).unwrap()
        });
        let catalog = ServiceCatalog::of(services, Vec::new());
        let (store, stage) = (Arc::clone(&whole.kit.faulty), Arc::clone(&whole.stage));
        whole.app = boot_with(store, &whole.kit.world, stage as _, catalog).await.unwrap();

        let refresh = RefreshResource { project_id: None, resource_id: resource.id.clone() };
        let run = whole.app.run(&whole.call(), &refresh).await.unwrap().run_id;
        worker::run_due(&whole.app).await.unwrap();
        assert_eq!(std::mem::take(&mut *whole.stage.launched.lock().unwrap()), std::slice::from_ref(&run));
        let exit = supervise(Arc::clone(&whole.app), &run, &whole.options()).await.unwrap();
        assert_eq!(exit, SupervisorExit::Finished { ending: "refreshed" });

        let remove = DeprovisionResource { project_id: None, resource_id: resource.id.clone(), version: None };
        let removed = whole.app.run(&whole.call(), &remove).await.unwrap();
        let (request, resource, endings) = whole.carry(&removed.request.request_id).await;
        assert_eq!((request.status, resource.status), (RequestStatus::Fulfilled, ResourceStatus::Destroyed));
        assert_eq!(endings, ["planned", "destroyed"], "broken: {broken}");
        assert_eq!(request.plan.unwrap().delete, 6, "broken: {broken}");
        assert_eq!(entries(whole.folder.path()), Vec::<PathBuf>::new());
    }
}
