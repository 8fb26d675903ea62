//! How a project stands.

use super::{Head, Tab};
use crate::{
    app::{
        audit::ListAudit,
        projects::{ProjectState, ProjectView},
        requests::ListRequests,
        resources::ListResources,
    },
    error::Result,
    http::dashboard::{
        frame::{self, Layout, PageRequest, Section},
        widgets::{EventTable, RequestTable, ResourceTable, When, money, words},
    },
    kernel::{Limit, ProjectId, Usd},
};
use askama::Template;
use axum::{extract::Path, response::Response};

const GLANCE: u16 = 6;

#[derive(Template)]
#[template(path = "pages/project.html")]
struct Overview {
    layout: Layout,
    head: Head,
    facts: Vec<(&'static str, String)>,
    registered: When,
    changed: When,
    resource_count: i64,
    spend: Spend,
    missing: Vec<String>,
    waiting: usize,
    resources: Option<ResourceTable>,
    requests: Option<RequestTable>,
    events: Option<EventTable>,
}

/// What a project costs against what it may.
struct Spend {
    committed: String,
    budget: Option<String>,
    auto: Option<String>,
    /// How much of the budget is taken, in hundredths.
    taken: Option<u8>,
    over: bool,
}

impl Spend {
    fn new(committed: Usd, budget: Option<Usd>, auto: Option<Usd>) -> Self {
        let taken = budget.filter(|budget| *budget > Usd::ZERO).map(|budget| {
            let share = committed.micros().max(0).saturating_mul(100) / budget.micros();
            u8::try_from(share.min(100)).unwrap_or(100)
        });
        Self {
            committed: money(committed),
            budget: budget.map(money),
            auto: auto.map(money),
            taken,
            over: budget.is_some_and(|budget| committed > budget),
        }
    }
}

/// Shows a project.
pub(crate) async fn overview(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(page(&page_request, &id).await)
}

async fn page(page_request: &PageRequest, id: &str) -> Result<Response> {
    let project_id: ProjectId = frame::id(id, "project")?;
    let of = || Some(project_id.clone());
    let state = page_request.submit(&ProjectState { project_id: of() }).await?;
    let limit = Limit::clamped(GLANCE);
    let resources =
        page_request.submit(&ListResources { project_id: of(), include_destroyed: false, cursor: None, limit }).await?;
    let requests = page_request.submit(&ListRequests { project_id: of(), cursor: None, limit }).await?;
    let budget = state.project.budget_usd.map(|usd| usd.0);
    let head = Head::new(page_request, state.project, Tab::Overview);
    let events = if head.may.audit { Some(recent(page_request, of()).await?) } else { None };
    let waiting = |status| status == crate::domain::request::RequestStatus::Pending;
    // While nobody knows the manager, less passes by itself.
    let unconfirmed = state.unconfirmed_manager_monthly_usd;
    let auto = state.auto_approve_monthly_usd.map(|usd| unconfirmed.map_or(usd.0, |own| own.0.min(usd.0)));
    let page = Overview {
        layout: page_request.layout(Section::Projects),
        facts: facts(&head.project),
        registered: When::new(head.project.created_at, page_request.now),
        changed: When::new(head.project.updated_at, page_request.now),
        resource_count: state.resources,
        spend: Spend::new(state.committed_monthly_usd.0, budget, auto),
        missing: head.project.missing_evidence.iter().map(|field| words(field)).collect(),
        waiting: requests.items.iter().filter(|request| waiting(request.status)).count(),
        resources: some(resources.items).map(|items| ResourceTable::new(items, page_request.base(), page_request.now)),
        requests: some(requests.items)
            .map(|items| RequestTable::new(items, false, page_request.base(), page_request.now)),
        events,
        head,
    };
    page_request.page(&page, None)
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

async fn recent(page_request: &PageRequest, project_id: Option<ProjectId>) -> Result<EventTable> {
    let ask = ListAudit {
        project_id,
        actor: None,
        action: None,
        trace: None,
        from: None,
        to: None,
        cursor: None,
        limit: Limit::clamped(GLANCE),
    };
    Ok(EventTable::new(page_request.submit(&ask).await?.items, page_request.base(), page_request.now))
}

fn facts(project: &ProjectView) -> Vec<(&'static str, String)> {
    let group = project.group.as_ref().map(ToString::to_string);
    let paid = project.cost_center.as_ref().map(|center| format!(" ({center})")).unwrap_or_default();
    vec![
        ("Owner", project.owner_email.to_string()),
        ("Manager", project.manager_email.to_string()),
        ("Tier", words(project.classification.as_str())),
        ("Data class", words(project.data_class.as_str())),
        ("Group", group.map_or_else(|| "—".to_owned(), |group| format!("{group}{paid}"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_is_measured_against_the_budget() {
        let spend = |committed, budget: Option<i64>| {
            let spend = Spend::new(Usd::from_dollars(committed), budget.map(Usd::from_dollars), None);
            (spend.taken, spend.over)
        };
        assert_eq!(spend(25, Some(100)), (Some(25), false));
        assert_eq!(spend(150, Some(100)), (Some(100), true));
        assert_eq!(spend(1, Some(0)), (None, true));
        assert_eq!(spend(1, None), (None, false));
    }
}
