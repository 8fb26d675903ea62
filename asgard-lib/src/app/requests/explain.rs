//! Why a request is where it is: what policy answered, who may approve, and what happens next.

use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Get, core::scope::ReadMode},
    domain::{
        access::{self, Action, Subject},
        policy::{Answer, Approver, Because, ChangeKind, Judged, Moment, RuleId, waits_for},
        project::Lifecycle,
        request::{CommandKind, Decision, Request, RequestStatus, Target},
        resource::ResourceStatus,
        tier::{DataClass, Tier},
    },
    error::Result,
    kernel::{Actor, ActorRef, Dollars, ProjectId, RequestId, ResourceName, Slug, Timestamp},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// Explains a request.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct ExplainRequest {
    /// The request's id, `req_...`, as `list_requests` or asking gave it.
    pub request_id: RequestId,
}

/// How many addresses a plan would touch.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PlanCounts {
    /// The number of addresses that would be created.
    pub create: u32,
    /// The number of addresses that would change in place.
    pub update: u32,
    /// The number of addresses that would be replaced.
    pub replace: u32,
    /// The number of addresses that would be destroyed.
    pub destroy: u32,
}

/// The facts that policy weighed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct WeighedView {
    /// The kind of change.
    pub change: ChangeKind,
    /// The project's tier at that time.
    pub tier: Tier,
    /// The class of the project's data at that time.
    pub data_class: DataClass,
    /// The project's state at that time.
    pub project_status: Lifecycle,
    /// The place of the resource: cloud, account and region.
    pub target: Target,
    /// Whether the allow-list named that place, or it needed no entry.
    pub target_listed: bool,
    /// The state of the resource; absent when nothing of it existed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present_status: Option<ResourceStatus>,
    /// Whether the service wanted a person for what existed; absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present_asks_human: Option<bool>,
    /// Whether the service wanted a person for what was asked for; absent for a removal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_asks_human: Option<bool>,
    /// The number of addresses that had drifted at the last refresh.
    pub drifted: usize,
    /// What the project had committed and in flight, in US dollars a month.
    pub committed_now_usd: Dollars,
    /// The same with what this request adds.
    pub committed_after_usd: Dollars,
    /// Up to where the project's tier lets things pass by themselves, in US dollars a month; absent where nothing that costs does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling_usd: Option<Dollars>,
    /// What no person had approved over all projects of the project's owner, in US dollars a month; absent before there was a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_now_usd: Option<Dollars>,
    /// The same with what this request adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_after_usd: Option<Dollars>,
    /// Up to where that passes by itself in a project of this tier, in US dollars a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_ceiling_usd: Option<Dollars>,
    /// Up to where things passed by themselves because the project's manager had never signed in, in US dollars a month; absent once
    /// they had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed_ceiling_usd: Option<Dollars>,
    /// What the plan would do; absent before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanCounts>,
    /// `true` when the plan did more than what had been approved before an interruption.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plan_grown: bool,
}

/// One answer of policy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct JudgedView {
    /// The time when policy was asked.
    pub at: Timestamp,
    /// The moment of the request at which policy was asked.
    pub moment: Moment,
    /// Who acted: whoever asked, and at an approval whoever approved.
    pub actor: ActorRef,
    /// The answer: `allow`, `ask` with those who have to approve, or `deny` with who could change that.
    #[serde(flatten)]
    pub answer: Answer,
    /// The id of the rule that decided; `docs/policy.md` lists them.
    pub rule: RuleId,
    /// The reason, in a sentence.
    pub reason: String,
    /// Further rules that gave the same answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Because>,
    /// The facts that mattered.
    pub weighed: WeighedView,
}

/// Who may approve a request that waits.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ApprovalView {
    /// Those whom policy still waits for; one person may satisfy several.
    pub waits_for: Vec<Approver>,
    /// Whether you may approve it.
    pub you_may: bool,
    /// Why you may, or why not and who could.
    pub why: String,
}

/// A request explained.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Explanation {
    /// The request's id.
    pub request_id: RequestId,
    /// The id of the project that the request is for.
    pub project_id: ProjectId,
    /// The command of the request: `provision`, `rotate_secrets` or `deprovision`. `get_request` shows its inputs.
    pub command: CommandKind,
    /// The id of the service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// Who asked: the credential, and the person behind it.
    pub requested_by: ActorRef,
    /// The estimated cost of the resource in US dollars a month, once the request is fulfilled.
    pub monthly_usd: Dollars,
    /// The request's state.
    pub status: RequestStatus,
    /// What policy answered, oldest first. Empty for requests of versions that did not keep it.
    pub judgements: Vec<JudgedView>,
    /// Who may approve it; absent unless it waits for an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// The approvals that came before the last one, where policy asked for several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Decision>,
    /// What a person decided: the last approval, or the rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What happens next, in a sentence.
    pub next: String,
}

impl SimpleOperation for ExplainRequest {
    type Output = Explanation;
    const META: Meta = Meta {
        name: "requests.explain",
        title: "Explain a request",
        description: "Why a request passed, waits or ended: each answer of policy with the rule that decided and the facts that it weighed, \
                      who may approve and whether you are one of them, and what happens next.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/requests/{request_id}/explain", status: 200 }],
        tools: &["explain_request"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Explanation> {
        let Some(request) = tx.read::<Request>(self.request_id.as_str()).await? else {
            return Err(tx.unknown("request"));
        };
        let (_, subject) = tx.project_of("request", &request.project, Action::ReadProject, ReadMode::Plain).await?;
        let strict = tx.app().config().registration.require_manager;
        let approval = (request.status == RequestStatus::Pending)
            .then(|| approval(tx.actor()?, &subject, &request, strict))
            .transpose()?;
        Ok(Explanation {
            request_id: request.id.clone(),
            project_id: request.project.clone(),
            command: request.command.kind(),
            service: request.service.clone(),
            name: request.name.clone(),
            requested_by: request.requested_by.clone(),
            monthly_usd: Dollars(request.monthly),
            status: request.status,
            judgements: request.judgements.iter().map(judged).collect(),
            next: next(&request, approval.as_ref()),
            approval,
            approvals: request.approvals.iter().map(|given| given.decision.clone()).collect(),
            decision: request.decision.clone(),
        })
    }
}

/// Those whom a pending request still waits for.
pub(crate) fn outstanding(request: &Request) -> Vec<Approver> {
    let mut waits = waits_for(&request.judgements);
    let given = |approver: &Approver| {
        request.approvals.iter().flat_map(|given| &given.satisfies).any(|given| given.same(approver))
    };
    waits.retain(|approver| !given(approver));
    waits
}

/// Approvers in words.
pub(crate) fn in_words(approvers: &[Approver]) -> String {
    let names: Vec<String> = approvers.iter().map(ToString::to_string).collect();
    names.join(", and ")
}

fn approval(actor: &Actor, subject: &Subject, request: &Request, strict: bool) -> Result<ApprovalView> {
    let waits_for = outstanding(request);
    let (you_may, why) = match access::may_approve(actor, subject, request, strict) {
        Err(error) => (false, error.message().to_owned()),
        Ok(_) if !waits_for.iter().any(|approver| access::satisfies(actor, approver)) => {
            (false, format!("Policy waits for {}.", in_words(&waits_for)))
        }
        Ok(true) => (true, "You are the only admin who can; it is recorded as approving your own request.".to_owned()),
        Ok(false) => (true, "You are the project's manager or an admin, and did not ask for it.".to_owned()),
    };
    Ok(ApprovalView { waits_for, you_may, why })
}

fn next(request: &Request, approval: Option<&ApprovalView>) -> String {
    match request.status {
        RequestStatus::Planning => {
            "Terraform works out what would change; then policy answers on the plan.".to_owned()
        }
        RequestStatus::Pending => {
            let who = approval.map_or_else(String::new, |approval| in_words(&approval.waits_for));
            format!("It waits for {who}. approve_request carries out exactly this plan; deny_request ends it.")
        }
        RequestStatus::Approved => "The plan is carried out as soon as a runner is free.".to_owned(),
        RequestStatus::Running if request.cancel_requested => "Terraform is asked to stop.".to_owned(),
        RequestStatus::Running => "Terraform carries out exactly the plan.".to_owned(),
        RequestStatus::Fulfilled => "Nothing: it is done. get_resource shows the outputs.".to_owned(),
        RequestStatus::Rejected => "Nothing: it was rejected. Ask for something else, or retry the resource.".to_owned(),
        RequestStatus::Cancelled => "Nothing: it was taken back. Ask again, or retry the resource.".to_owned(),
        RequestStatus::Failed => "Nothing by itself. Look at `error` in get_request, then retry the resource.".to_owned(),
        RequestStatus::NeedsAttention => {
            "Nothing by itself. Somebody looks at the target, as `error` in get_request says, then retries the resource."
                .to_owned()
        }
    }
}

fn judged(judged: &Judged) -> JudgedView {
    let Judged { at, moment, actor, judgement, weighed } = judged;
    JudgedView {
        at: *at,
        moment: *moment,
        actor: actor.clone(),
        answer: judgement.answer.clone(),
        rule: judgement.rule.clone(),
        reason: judgement.reason.clone(),
        also: judgement.also.clone(),
        weighed: WeighedView {
            change: weighed.change,
            tier: weighed.tier,
            data_class: weighed.data_class,
            project_status: weighed.project_status,
            target: weighed.target.clone(),
            target_listed: weighed.target_listed,
            present_status: weighed.present_status,
            present_asks_human: weighed.present_asks_human,
            wanted_asks_human: weighed.wanted_asks_human,
            drifted: weighed.drifted,
            committed_now_usd: Dollars(weighed.cost_now),
            committed_after_usd: Dollars(weighed.cost_now + weighed.cost_adds),
            ceiling_usd: weighed.ceiling.map(Dollars),
            owner_now_usd: weighed.owner_now.map(Dollars),
            owner_after_usd: weighed.owner_now.map(|now| Dollars(now + weighed.cost_adds)),
            owner_ceiling_usd: weighed.owner_ceiling.map(Dollars),
            unconfirmed_ceiling_usd: weighed.unconfirmed_ceiling.map(Dollars),
            plan: weighed.plan.map(|[create, update, replace, destroy]| PlanCounts {
                create,
                update,
                replace,
                destroy,
            }),
            plan_grown: weighed.grown,
        },
    }
}
