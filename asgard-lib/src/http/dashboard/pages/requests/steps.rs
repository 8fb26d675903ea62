//! A request as a line of steps: asked, planned, decided, carried out.

use crate::{
    app::{requests::RequestView, resources::RunView},
    domain::{
        request::{RequestStatus, Verdict},
        run::RunOp,
    },
    http::dashboard::widgets::{When, plan_in_words, who},
    kernel::Timestamp,
};

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is behind us.
    Done,
    /// It is going on, or waits for somebody.
    Now,
    /// It is where things stopped.
    Stopped,
    /// It is ahead, or will never come.
    Ahead,
}

impl Stage {
    /// The word for the stylesheet and for readers of the page.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Stopped => "stopped",
            Self::Ahead => "ahead",
        }
    }
}

/// One step.
pub(crate) struct Step {
    /// What it is.
    pub title: &'static str,
    /// How far it is.
    pub stage: Stage,
    /// What there is to say about it.
    pub text: String,
    /// When it was done.
    pub when: Option<When>,
}

/// The steps of a request.
pub(crate) fn steps(request: &RequestView, runs: &[RunView], now: Timestamp) -> Vec<Step> {
    let stages = stages(request);
    let finished = |wanted: fn(RunOp) -> bool| {
        runs.iter().filter(|run| wanted(run.op)).find_map(|run| run.finished_at).map(|at| When::new(at, now))
    };
    let [planned, decided, transition] = stages;
    let over = request.status.is_over().then(|| When::new(request.updated_at, now));
    let step = |title, stage, text, when| Step { title, stage, text, when };
    vec![
        step(
            "Asked",
            Stage::Done,
            format!("By {}", who(&request.requested_by)),
            Some(When::new(request.created_at, now)),
        ),
        step("Planned", planned, planned_text(request, planned), finished(|op| !op.changes_things())),
        step(
            "Decided",
            decided,
            decided_text(request, decided),
            request.decision.as_ref().map(|one| When::new(one.at, now)),
        ),
        step(
            "Carried out",
            transition,
            carried_text(request),
            finished(RunOp::changes_things).or_else(|| over.filter(|_| transition != Stage::Ahead)),
        ),
    ]
}

/// Planned, decided, carried out.
fn stages(request: &RequestView) -> [Stage; 3] {
    use Stage::{Ahead, Done, Now, Stopped};
    let passed = request.decision.is_some() || matches!(request.verdict, Some(Verdict::Auto { .. }));
    match request.status {
        RequestStatus::Planning if passed => [Now, Done, Ahead],
        RequestStatus::Planning => [Now, Ahead, Ahead],
        RequestStatus::Pending => [Done, Now, Ahead],
        RequestStatus::Approved | RequestStatus::Running => [Done, Done, Now],
        RequestStatus::Fulfilled => [Done, Done, Done],
        RequestStatus::Rejected => [Done, Stopped, Ahead],
        RequestStatus::Cancelled | RequestStatus::Failed | RequestStatus::NeedsAttention if passed => {
            [Done, Done, Stopped]
        }
        RequestStatus::Cancelled | RequestStatus::Failed | RequestStatus::NeedsAttention
            if request.verdict.is_some() =>
        {
            [Done, Stopped, Ahead]
        }
        RequestStatus::Cancelled | RequestStatus::Failed | RequestStatus::NeedsAttention => [Stopped, Ahead, Ahead],
    }
}

fn planned_text(request: &RequestView, stage: Stage) -> String {
    match (&request.plan, stage) {
        (Some(plan), _) => plan_in_words(plan),
        (None, Stage::Now) => "Terraform works out what would change".to_owned(),
        (None, Stage::Stopped) => "No plan came of it".to_owned(),
        (None, Stage::Done | Stage::Ahead) => String::new(),
    }
}

fn decided_text(request: &RequestView, stage: Stage) -> String {
    let note = |note: &Option<String>| note.as_ref().map(|note| format!(": “{note}”")).unwrap_or_default();
    match (&request.decision, &request.verdict) {
        (Some(decision), _) => {
            let verb = if request.status == RequestStatus::Rejected { "Rejected" } else { "Approved" };
            let own = if decision.self_approval { " (their own request, as the only admin may)" } else { "" };
            format!("{verb} by {}{own}{}", who(&decision.by), note(&decision.note))
        }
        (None, Some(Verdict::Auto { reason })) => format!("Passed by policy: {reason}"),
        (None, Some(Verdict::Human { reason })) if stage == Stage::Now => format!("A person has to decide: {reason}"),
        (None, Some(Verdict::Human { reason })) => reason.clone(),
        (None, None) => String::new(),
    }
}

fn carried_text(request: &RequestView) -> String {
    match request.status {
        RequestStatus::Approved => "Waits for a runner".to_owned(),
        RequestStatus::Running if request.cancel_requested => "Terraform is asked to stop".to_owned(),
        RequestStatus::Running => "Terraform applies exactly the plan".to_owned(),
        RequestStatus::Fulfilled => "It is as asked".to_owned(),
        RequestStatus::Cancelled => "Taken back".to_owned(),
        RequestStatus::Failed => "It failed".to_owned(),
        RequestStatus::NeedsAttention => "It was interrupted; somebody has to look".to_owned(),
        RequestStatus::Planning | RequestStatus::Pending | RequestStatus::Rejected => String::new(),
    }
}
