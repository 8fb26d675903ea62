//! What becomes of a request, its resource and the project's money at each turn. Every function takes what is and returns
//! what shall be; the caller commits all of it or nothing.

use super::{Approved, Basis, Ceilings, Command, Decision, Request, RequestStatus, Step, Verdict, added_cost, facts};
use crate::{
    domain::{
        policy::{self, Answer, Facts, Judged, Judgement, Moment, rules},
        resource::{Resource, ResourceStatus, SecretRef, Spec},
        run::{PlanSummary, Run, RunOp, RunStatus},
    },
    error::{Code, Error, Result},
    kernel::{RunId, Timestamp},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How often an interrupted request is started again before somebody has to look.
const MAX_RESUMES: u32 = 5;

/// What a turn leads to, all of it for one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The request as it shall be.
    pub request: Request,
    /// The resource as it shall be.
    pub resource: Resource,
    /// The run that shall follow.
    pub next_run: Option<NextRun>,
    /// What to add to the project's committed money.
    pub money: i64,
    /// The ceilings that the sums must keep.
    pub ceilings: Ceilings,
    /// A plan that is not needed any more.
    pub drop_plan: Option<RunId>,
}

/// A run that shall be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRun {
    /// What it does.
    pub op: RunOp,
    /// The run whose plan it applies.
    pub plan_of: Option<RunId>,
    /// Whether it goes on after an interruption.
    pub resume: bool,
}

impl Transition {
    fn new(request: Request, resource: Resource) -> Self {
        Self { request, resource, next_run: None, money: 0, ceilings: Ceilings::default(), drop_plan: None }
    }

    /// Whether the resource's name is free again.
    pub fn frees_name(&self) -> bool {
        self.resource.status == ResourceStatus::Destroyed
    }
}

/// What a plan run found.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its findings.
    pub summary: PlanSummary,
    /// For a plan after an interruption: the run whose plan had been approved.
    pub approved: Option<&'a Run>,
    /// What the facts of the request come from.
    pub basis: Basis<'a>,
}

fn plan_op(command: &Command) -> RunOp {
    match command {
        Command::Provision { .. } | Command::RotateSecrets => RunOp::Plan,
        Command::Deprovision => RunOp::PlanDestroy,
    }
}

fn carry_op(command: &Command) -> RunOp {
    match command {
        Command::Provision { .. } | Command::RotateSecrets => RunOp::Apply,
        Command::Deprovision => RunOp::Destroy,
    }
}

/// The spec that a request would leave the resource with.
fn spec_of<'a>(request: &'a Request, resource: &'a Resource) -> &'a Spec {
    match &request.command {
        Command::Provision { spec } => spec,
        Command::RotateSecrets | Command::Deprovision => &resource.spec,
    }
}

/// A plan is there: nothing to do, ask a person, end it, or go on. `judge` is asked unless nothing is left to decide.
pub fn planned(
    request: &Request,
    resource: &Resource,
    found: Planned<'_>,
    judge: impl FnOnce(&Facts) -> Judgement,
    now: Timestamp,
) -> Result<Transition> {
    let Planned { run, summary, approved, basis } = found;
    // An approval is bound to what the plan was made from: only the state may have moved since.
    let same_basis = approved.is_some_and(|approved| run.shares_basis(approved));
    let rest = same_basis && request.plan.as_ref().is_some_and(|approved| summary.is_rest_of(approved));
    let resumed = run.resume;
    let actor = request.requested_by.clone();
    let step = Step { moment: Moment::Planned, actor, at: now, plan: Some(&summary), grown: resumed && !rest };
    let facts = facts(basis, request, resource, step);
    let judged = |request: &mut Request, judgement: Judgement| {
        policy::record(&mut request.judgements, Judged::new(&facts, judgement));
    };

    let empty = summary.is_empty()
        && !request.began
        && resource.provisioned_at.is_some()
        && !resource.dry_run
        && request.command != Command::Deprovision;
    if empty && *spec_of(request, resource) == resource.spec {
        let judgement = Judgement::allow(rules::PLAN_EMPTY, "The plan changes nothing, so nothing is decided.");
        return nothing_to_do(request, resource, run, summary, Judged::new(&facts, judgement), now);
    }
    if resumed && rest {
        let mut next = Transition::new(request.go(RequestStatus::Approved, now)?, resource.clone());
        let why = "After an interruption the plan does no more than the rest of what was approved.";
        judged(&mut next.request, Judgement::allow(rules::PLAN_REST, why));
        next.request.plan_run = Some(run.id.clone());
        next.next_run = Some(NextRun { op: carry_op(&request.command), plan_of: Some(run.id.clone()), resume: false });
        return Ok(next);
    }

    let judgement = judge(&facts);
    // Another spec is another state, even where nothing that exists differs: policy has weighed both.
    if empty && judgement.answer == Answer::Allow {
        let next = nothing_to_do(request, resource, run, summary, Judged::new(&facts, judgement), now)?;
        return Ok(Transition { ceilings: Ceilings::of(&facts.cost), ..next });
    }
    let (status, verdict) = match &judgement.answer {
        Answer::Allow => (RequestStatus::Approved, Verdict::Auto { reason: judgement.reason.clone() }),
        Answer::Ask { .. } => (RequestStatus::Pending, Verdict::Human { reason: judgement.reason.clone() }),
        Answer::Deny { .. } => {
            let mut next = ended(request, resource, RequestStatus::Rejected, now)?;
            next.request.error = judgement.denial().map(|why| format!("{why} (Rule {}.)", judgement.rule));
            judged(&mut next.request, judgement);
            next.request.plan = Some(summary);
            next.request.plan_run = None;
            return Ok(next);
        }
    };
    let mut next = Transition::new(request.go(status, now)?, resource.clone());
    judged(&mut next.request, judgement);
    next.request.approvals.clear();
    // What a person decided about another plan decides nothing about this one.
    next.request.decision = None;
    next.request.asks_human = facts.wanted.as_ref().is_some_and(|wanted| wanted.asks_human);
    next.request.plan = Some(summary);
    next.request.plan_run = Some(run.id.clone());
    next.request.verdict = Some(verdict);
    next.request.current_run = None;
    if status == RequestStatus::Pending {
        next.let_go(request);
    } else {
        next.hold(request, facts.cost.adds, false);
        next.ceilings = Ceilings::of(&facts.cost);
        next.next_run = Some(NextRun { op: carry_op(&request.command), plan_of: Some(run.id.clone()), resume: false });
    }
    Ok(next)
}

/// The plan changes nothing of what exists: the resource has the wanted spec from now on, and there is nothing to carry out.
fn nothing_to_do(
    request: &Request,
    resource: &Resource,
    run: &Run,
    summary: PlanSummary,
    judged: Judged,
    now: Timestamp,
) -> Result<Transition> {
    let mut next =
        Transition::new(request.go(RequestStatus::Fulfilled, now)?, resource.go(ResourceStatus::Provisioned, now)?);
    next.resource.spec = spec_of(request, resource).clone();
    next.resource.half_made_asks = false;
    next.settle(request, resource, false);
    next.drop_plan = Some(run.id.clone());
    policy::record(&mut next.request.judgements, judged);
    next.request.plan = Some(summary);
    next.request.current_run = None;
    Ok(next)
}

/// Everybody who had to has said yes.
pub fn approved(
    request: &Request,
    resource: &Resource,
    decision: Decision,
    judged: Judged,
    now: Timestamp,
) -> Result<Transition> {
    let adds = added_cost(request, resource);
    let Some(plan_run) = request.plan_run.clone() else {
        let message = format!("Request {} has no plan that could be approved. Reject it, and ask again.", request.id);
        return Err(Error::new(Code::WrongState, message));
    };
    let mut next = Transition::new(request.go(RequestStatus::Approved, now)?, resource.clone());
    policy::record(&mut next.request.judgements, judged);
    next.request.decision = Some(decision);
    next.next_run = Some(NextRun { op: carry_op(&request.command), plan_of: Some(plan_run), resume: false });
    next.hold(request, adds, true);
    Ok(next)
}

/// Policy let it pass, and by now it would ask: the plan waits for a person. Nothing of it was applied since it was let through.
pub fn asked_again(request: &Request, resource: &Resource, judged: Judged, now: Timestamp) -> Result<Transition> {
    let mut next = Transition::new(request.go(RequestStatus::Pending, now)?, resource.clone());
    next.request.verdict = Some(Verdict::Human { reason: judged.judgement.reason.clone() });
    policy::record(&mut next.request.judgements, judged);
    next.request.approvals.clear();
    next.request.current_run = None;
    next.let_go(request);
    Ok(next)
}

/// Somebody said yes, and others still have to.
pub fn partly_approved(
    request: &Request,
    resource: &Resource,
    given: Approved,
    judged: Judged,
    now: Timestamp,
) -> Result<Transition> {
    request.require_pending()?;
    let mut next = Transition::new(Request { updated_at: now, ..request.clone() }, resource.clone());
    policy::record(&mut next.request.judgements, judged);
    next.request.approvals.push(given);
    Ok(next)
}

/// The resource after a request that came to nothing.
fn unchanged(request: &Request, resource: &Resource, gave_up: bool, now: Timestamp) -> Result<Resource> {
    if request.began {
        resource.go(ResourceStatus::Failed, now)
    } else if resource.provisioned_at.is_some() {
        // A resource whose last change failed half-way stays failed; only a clean one is as it was.
        resource
            .go(if resource.attention.is_some() { ResourceStatus::Failed } else { ResourceStatus::Provisioned }, now)
    } else if gave_up && resource.status == ResourceStatus::Provisioning && resource.attention.is_none() {
        // Nothing was ever applied, so there is nothing left of it.
        resource.go(ResourceStatus::Destroyed, now)
    } else {
        resource.go(ResourceStatus::Failed, now)
    }
}

fn ended(request: &Request, resource: &Resource, status: RequestStatus, now: Timestamp) -> Result<Transition> {
    let gave_up = matches!(status, RequestStatus::Rejected | RequestStatus::Cancelled);
    let mut next = Transition::new(request.go(status, now)?, unchanged(request, resource, gave_up, now)?);
    next.give_back(request, resource);
    next.drop_plan.clone_from(&request.plan_run);
    next.request.current_run = None;
    if request.began {
        next.resource.half_made_asks |= request.asks_human;
        let how = status.name();
        next.resource.attention =
            Some(format!("The last change was {how} half-way. Ask for it again, or remove the resource."));
    }
    Ok(next)
}

/// A person said no.
pub fn rejected(request: &Request, resource: &Resource, decision: Decision, now: Timestamp) -> Result<Transition> {
    let mut next = ended(request, resource, RequestStatus::Rejected, now)?;
    next.request.decision = Some(decision);
    Ok(next)
}

/// It was taken back, before or while it was carried out.
pub fn cancelled(request: &Request, resource: &Resource, now: Timestamp) -> Result<Transition> {
    ended(request, resource, RequestStatus::Cancelled, now)
}

/// It did not work.
pub fn failed(request: &Request, resource: &Resource, error: &str, now: Timestamp) -> Result<Transition> {
    let mut next = ended(request, resource, RequestStatus::Failed, now)?;
    next.request.error = Some(error.to_owned());
    if request.began {
        next.resource.attention = Some(format!("The last change failed half-way: {error}"));
    }
    Ok(next)
}

fn planning(request: &Request, now: Timestamp) -> Result<Request> {
    if request.status == RequestStatus::Planning {
        Ok(request.clone())
    } else {
        request.go(RequestStatus::Planning, now)
    }
}

/// What an interrupted run left behind.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    /// What may exist without being in the state.
    pub may_exist: &'a [String],
    /// Whether the service may be tried again whatever exists.
    pub safe: bool,
    /// Whether nobody can see if the run is still being carried out somewhere.
    pub unseen: bool,
}

impl Left<'_> {
    /// Whether the request may go on, or end, by itself.
    pub fn is_harmless(self, run: &Run) -> bool {
        !run.op.changes_things() || (!self.unseen && (self.safe || self.may_exist.is_empty()))
    }
}

/// Its run ended before its end, and somebody may have asked to `stop` it: what becomes of the request, and what the run is said to
/// have come to.
pub fn left_behind(
    request: &Request,
    resource: &Resource,
    run: &Run,
    left: Left<'_>,
    stop: bool,
    now: Timestamp,
) -> Result<(RunStatus, Transition)> {
    let transition = if stop && left.is_harmless(run) {
        cancelled(request, resource, now)?
    } else {
        interrupted(request, resource, run, left, now)?
    };
    let status = match transition.request.status {
        RequestStatus::NeedsAttention => RunStatus::NeedsAttention,
        RequestStatus::Cancelled => RunStatus::Cancelled,
        RequestStatus::Planning
        | RequestStatus::Pending
        | RequestStatus::Approved
        | RequestStatus::Running
        | RequestStatus::Fulfilled
        | RequestStatus::Rejected
        | RequestStatus::Failed => RunStatus::Interrupted,
    };
    Ok((status, transition))
}

/// Its run was interrupted.
pub fn interrupted(
    request: &Request,
    resource: &Resource,
    run: &Run,
    left: Left<'_>,
    now: Timestamp,
) -> Result<Transition> {
    if left.is_harmless(run) && request.resumed < MAX_RESUMES {
        let mut next = Transition::new(planning(request, now)?, resource.clone());
        next.request.resumed += 1;
        next.request.current_run = None;
        next.drop_plan.clone_from(&run.plan_of);
        let resume = run.op.changes_things() || run.resume;
        next.next_run = Some(NextRun { op: plan_op(&request.command), plan_of: None, resume });
        return Ok(next);
    }
    let mut next = ended(request, resource, RequestStatus::NeedsAttention, now)?;
    let unseen = if left.unseen {
        " Its supervisor was lost on a machine that cannot be seen from here, and Terraform may still be at work there: make sure that it has ended."
    } else {
        ""
    };
    let what = if left.may_exist.is_empty() {
        String::new()
    } else {
        format!(" These may exist without being recorded: {}.", left.may_exist.join(", "))
    };
    let message = format!(
        "The {} was interrupted.{unseen}{what} Look at the target, remove or import what is there, then retry the resource.",
        run.op.name()
    );
    next.request.error = Some(message.clone());
    next.resource.attention = Some(message);
    if resource.status != ResourceStatus::Destroyed && request.began {
        next.resource.status = ResourceStatus::Failed;
    }
    Ok(next)
}

/// Its plan does not fit what is there any more, and nothing was changed by it: another is made, and decided about as if there had
/// been none. What a person approved was the plan that is gone.
pub fn stale(request: &Request, resource: &Resource, run: &Run, why: &str, now: Timestamp) -> Result<Transition> {
    if request.resumed >= MAX_RESUMES {
        let error = format!("The plan was out of date {MAX_RESUMES} times, the last time because of this: {why}");
        return failed(request, resource, &error, now);
    }
    let mut next = Transition::new(planning(request, now)?, resource.clone());
    next.request.resumed += 1;
    next.request.current_run = None;
    next.request.plan_run = None;
    next.request.approvals.clear();
    next.request.decision = None;
    next.drop_plan.clone_from(&run.plan_of);
    next.next_run = Some(NextRun { op: plan_op(&request.command), plan_of: None, resume: false });
    Ok(next)
}

/// What an apply or destroy produced.
#[derive(Clone, Debug, Default)]
pub struct Produced {
    /// Plain outputs.
    pub outputs: Map<String, Value>,
    /// Secret outputs.
    pub secret_refs: BTreeMap<String, SecretRef>,
    /// Why something is missing that should be there, for people.
    pub missing: Option<String>,
    /// Whether they are made up.
    pub dry_run: bool,
}

/// It worked.
pub fn applied(request: &Request, resource: &Resource, produced: Produced, now: Timestamp) -> Result<Transition> {
    let life = match &request.command {
        Command::Provision { .. } | Command::RotateSecrets => ResourceStatus::Provisioned,
        Command::Deprovision => ResourceStatus::Destroyed,
    };
    let mut next = Transition::new(request.go(RequestStatus::Fulfilled, now)?, resource.go(life, now)?);
    next.settle(request, resource, request.decision.is_some());
    next.request.current_run = None;
    next.resource.attention = None;
    next.resource.half_made_asks = false;
    next.resource.drift.clear();
    next.drop_plan.clone_from(&request.plan_run);
    next.request.error = produced.missing;
    match &request.command {
        Command::Provision { spec } => {
            next.resource.spec = spec.clone();
            next.resource.provisioned_at = resource.provisioned_at.or(Some(now));
        }
        Command::RotateSecrets => next.resource.rotation += 1,
        Command::Deprovision => {}
    }
    if request.command != Command::Deprovision {
        next.resource.outputs = produced.outputs;
        next.resource.secret_refs = produced.secret_refs;
        next.resource.dry_run = produced.dry_run;
    } else {
        next.resource.outputs.clear();
        next.resource.secret_refs.clear();
    }
    Ok(next)
}
