//! Tables that more than one page shows.

use super::format::{Badge, ShortId, When, money, short, took, value, who, words};
use crate::{
    app::{
        audit::AuditView,
        requests::RequestView,
        resources::{ResourceView, RunView},
    },
    domain::{
        request::Command,
        run::{PlanSummary, RunOp},
    },
    kernel::{BasePath, RunId, Timestamp},
};
use askama::Template;
use serde_json::{Map, Value};

/// Resources of one project.
#[derive(Template)]
#[template(path = "parts/resources.html")]
pub(crate) struct ResourceTable {
    base: BasePath,
    rows: Vec<ResourceRow>,
}

struct ResourceRow {
    resource: ResourceView,
    badge: Badge,
    cost: String,
    changed: When,
}

impl ResourceTable {
    /// Of the given resources.
    pub(crate) fn new(resources: Vec<ResourceView>, base: &BasePath, now: Timestamp) -> Self {
        let row = |resource: ResourceView| ResourceRow {
            badge: Badge::resource(resource.status),
            cost: money(resource.monthly_usd.0),
            changed: When::new(resource.updated_at, now),
            resource,
        };
        Self { base: base.clone(), rows: resources.into_iter().map(row).collect() }
    }
}

/// Requests, of one project or of several.
#[derive(Template)]
#[template(path = "parts/requests.html")]
pub(crate) struct RequestTable {
    base: BasePath,
    rows: Vec<RequestRow>,
    with_project: bool,
}

struct RequestRow {
    request: RequestView,
    badge: Badge,
    what: &'static str,
    cost: String,
    by: String,
    asked: When,
}

impl RequestTable {
    /// Of the given requests.
    pub(crate) fn new(requests: Vec<RequestView>, with_project: bool, base: &BasePath, now: Timestamp) -> Self {
        let row = |request: RequestView| RequestRow {
            badge: Badge::request(request.status),
            what: verb(&request.command),
            cost: money(request.monthly_usd.0),
            by: who(&request.requested_by),
            asked: When::new(request.created_at, now),
            request,
        };
        Self { base: base.clone(), rows: requests.into_iter().map(row).collect(), with_project }
    }
}

/// What a command does, in a word.
pub(crate) const fn verb(command: &Command) -> &'static str {
    match command {
        Command::Provision { .. } => "Provision",
        Command::RotateSecrets => "Rotate secrets of",
        Command::Deprovision => "Destroy",
    }
}

/// Runs of one resource.
#[derive(Template)]
#[template(path = "parts/runs.html")]
pub(crate) struct RunTable {
    base: BasePath,
    rows: Vec<RunRow>,
}

struct RunRow {
    run: RunView,
    badge: Badge,
    what: &'static str,
    queued: When,
    took: String,
}

impl RunTable {
    /// Of the given runs.
    pub(crate) fn new(runs: Vec<RunView>, base: &BasePath, now: Timestamp) -> Self {
        let row = |run: RunView| RunRow {
            badge: Badge::run(run.status),
            what: operation(run.op),
            queued: When::new(run.created_at, now),
            took: lasted(&run, now),
            run,
        };
        Self { base: base.clone(), rows: runs.into_iter().map(row).collect() }
    }
}

/// How long a run has lasted, once it started.
pub(crate) fn lasted(run: &RunView, now: Timestamp) -> String {
    run.started_at.map_or_else(|| "—".to_owned(), |started| took(run.finished_at.unwrap_or(now).since(started)))
}

/// What a run does, in words.
pub(crate) const fn operation(op: RunOp) -> &'static str {
    match op {
        RunOp::Plan => "Plan",
        RunOp::PlanDestroy => "Plan the removal",
        RunOp::Apply => "Apply",
        RunOp::Destroy => "Destroy",
        RunOp::Refresh => "Refresh",
    }
}

/// Audit events.
#[derive(Template)]
#[template(path = "parts/events.html")]
pub(crate) struct EventTable {
    base: BasePath,
    rows: Vec<EventRow>,
    with_project: bool,
}

struct EventRow {
    event: AuditView,
    at: When,
    by: String,
    details: Vec<(String, String)>,
    object: ShortId,
    link: Option<String>,
}

impl EventTable {
    /// Of one project.
    pub(crate) fn new(events: Vec<AuditView>, base: &BasePath, now: Timestamp) -> Self {
        let rows = events.into_iter().map(|event| event_row(event, true, now)).collect();
        Self { base: base.clone(), rows, with_project: false }
    }

    /// Of the whole log; with links to pages for those who may open them.
    pub(crate) fn everywhere(events: Vec<AuditView>, links: bool, base: &BasePath, now: Timestamp) -> Self {
        let rows = events.into_iter().map(|event| event_row(event, links, now)).collect();
        Self { base: base.clone(), rows, with_project: true }
    }
}

fn event_row(event: AuditView, links: bool, now: Timestamp) -> EventRow {
    EventRow {
        at: When::new(event.at, now),
        by: who(&event.actor),
        details: event.details.iter().map(|(name, text)| (name.replace('_', " "), short(text))).collect(),
        object: ShortId::new(event.object.clone()),
        link: object_page(&event.object).filter(|_| links),
        event,
    }
}

/// The page of an object, by the look of its id, below the base path.
fn object_page(object: &str) -> Option<String> {
    let (prefix, _) = object.split_once(['_', '-'])?;
    let page = match prefix {
        "proj" => "projects",
        "req" => "requests",
        "res" => "resources",
        "run" => "runs",
        _ => return None,
    };
    Some(format!("/{page}/{object}"))
}

/// Names and values, such as inputs and outputs.
#[derive(Template)]
#[template(path = "parts/values.html")]
pub(crate) struct Values {
    rows: Vec<(String, String)>,
    /// What has a value that is kept as a secret.
    secrets: Vec<String>,
    copy: bool,
    scope: &'static str,
}

impl Values {
    /// Of a JSON object; `copy` adds buttons that copy a value.
    pub(crate) fn new(map: &Map<String, Value>, scope: &'static str, copy: bool) -> Self {
        let rows = map.iter().map(|(name, held)| (name.clone(), value(held))).collect();
        Self { rows, secrets: Vec::new(), copy, scope }
    }

    /// And these names, whose values are kept as secrets.
    pub(crate) fn with_secrets<'n>(self, names: impl IntoIterator<Item = &'n String>) -> Self {
        Self { secrets: names.into_iter().cloned().collect(), ..self }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.secrets.is_empty()
    }
}

/// What a plan would do.
#[derive(Template)]
#[template(path = "parts/plan.html")]
pub(crate) struct PlanTable {
    rows: Vec<(Badge, String)>,
    summary: String,
    hidden: usize,
    providers: Vec<String>,
    log: Option<String>,
}

impl PlanTable {
    /// Of a plan's summary; `run` is the run that planned it, whose log names what the summary does not.
    pub(crate) fn new(plan: &PlanSummary, base: &BasePath, run: Option<&RunId>) -> Self {
        let rows: Vec<_> = plan.changes.iter().map(|one| (Badge::change(one.change), one.address.clone())).collect();
        Self {
            hidden: plan.unlisted(),
            providers: plan.providers.iter().map(ToString::to_string).collect(),
            summary: plan_in_words(plan),
            rows,
            log: run.map(|run| format!("{base}/runs/{run}")),
        }
    }
}

/// A plan in one line.
pub(crate) fn plan_in_words(plan: &PlanSummary) -> String {
    let counts =
        [(plan.create, "create"), (plan.update, "update"), (plan.replace, "replace"), (plan.delete, "destroy")];
    let told: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, verb)| format!("{n} to {verb}")).collect();
    match (told.is_empty(), plan.outputs_changed) {
        (false, _) => words(&told.join(", ")),
        (true, true) => "Only outputs change".to_owned(),
        (true, false) => "Nothing changes".to_owned(),
    }
}

impl askama::filters::HtmlSafe for ResourceTable {}
impl askama::filters::HtmlSafe for RequestTable {}
impl askama::filters::HtmlSafe for RunTable {}
impl askama::filters::HtmlSafe for EventTable {}
impl askama::filters::HtmlSafe for Values {}
impl askama::filters::HtmlSafe for PlanTable {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::ProviderChange;

    #[test]
    fn plans_are_told_in_one_line() {
        let plan = PlanSummary { create: 2, delete: 1, ..PlanSummary::default() };
        assert_eq!(plan_in_words(&plan), "2 to create, 1 to destroy");
        assert_eq!(plan_in_words(&PlanSummary::default()), "Nothing changes");
    }

    #[test]
    fn providers_that_are_others_than_at_the_last_apply_are_shown_with_the_plan() {
        let change = |from: Option<&str>, to: Option<&str>| ProviderChange {
            provider: "registry.example/acme/<thing>".into(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let shown = |providers: Vec<ProviderChange>| {
            let plan = PlanSummary { delete: 1, providers, ..PlanSummary::default() };
            PlanTable::new(&plan, &BasePath::default(), None).render().unwrap()
        };
        let page = shown(vec![change(Some("1.0.0"), Some("1.1.0")), change(Some("2.0.0"), Some("2.0.0"))]);
        assert!(page.contains("is 1.1.0; the last apply was made with 1.0.0.") && !page.contains("<thing>"), "{page}");
        assert!(page.contains("2.0.0 has other checksums than at the last apply."), "{page}");
        assert!(!shown(Vec::new()).contains("last apply"));
    }

    #[test]
    fn objects_with_a_page_are_linked() {
        assert_eq!(object_page("proj-2026-0001").as_deref(), Some("/projects/proj-2026-0001"));
        assert_eq!(object_page("req_0abc").as_deref(), Some("/requests/req_0abc"));
        assert_eq!(object_page("key_0abc"), None);
        assert_eq!(object_page("javascript:x"), None);
    }
}
