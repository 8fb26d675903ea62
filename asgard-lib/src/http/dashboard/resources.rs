//! A resource: what it gives, how it stands, and what can be done to it.

use super::{
    projects::{May, reveal_command, subject},
    said::Said,
    sent::{Input, Sent},
    shell::{Section, Shell},
    show::{Badge, When, money, who},
    tables::{RunTable, Values},
    visit::{Visit, done, id, text},
};
use crate::{
    app::{
        projects::{GetProject, ProjectView},
        resources::{GetResource, ResourceRuns, ResourceView},
    },
    domain::{request, resource::Status},
    error::{Error, Result},
    kernel::{Limit, ResourceId},
};
use askama::Template;
use axum::{extract::Path, response::Response};

const LATEST: u16 = 20;

#[derive(Template)]
#[template(path = "pages/resource.html")]
struct Page {
    shell: Shell,
    resource: ResourceView,
    project: ProjectView,
    badge: Badge,
    request_badge: Option<Badge>,
    cost: String,
    by: String,
    asked: When,
    provisioned: Option<When>,
    refreshed: Option<When>,
    outputs: Values,
    inputs: Values,
    secrets: Vec<SecretRow>,
    runs: Option<RunTable>,
    offers: Offers,
    once: String,
    open: bool,
}

/// A secret of a resource, and how to reveal it.
struct SecretRow {
    output: String,
    name: String,
    command: String,
}

/// What can be done to a resource now.
struct Offers {
    change: bool,
    retry: bool,
    refresh: bool,
    remove: bool,
}

impl Offers {
    fn of(resource: &ResourceView, may_ask: bool, active: bool) -> Self {
        use request::Status as Asked;
        let settled = resource.request_state.is_none_or(Asked::is_over);
        let failed = resource.request_state.is_some_and(|state| match state {
            Asked::Failed | Asked::NeedsAttention | Asked::Cancelled | Asked::Rejected => true,
            Asked::Planning | Asked::Pending | Asked::Approved | Asked::Running | Asked::Fulfilled => false,
        });
        let lives = match resource.status {
            Status::Provisioned | Status::Failed | Status::Suspended => true,
            Status::Provisioning | Status::Updating | Status::Destroying | Status::Destroyed => false,
        };
        let can = may_ask && active && settled;
        Self {
            change: can && matches!(resource.status, Status::Provisioned | Status::Failed),
            retry: can && failed && resource.status != Status::Destroyed,
            refresh: can && resource.status == Status::Provisioned,
            remove: can && lives,
        }
    }
}

/// Shows a resource.
pub async fn show(visit: Visit, Path(resource): Path<String>) -> Response {
    visit.answer(page(&visit, &resource, None).await)
}

async fn page(visit: &Visit, resource: &str, error: Option<Error>) -> Result<Response> {
    let resource_id: ResourceId = id(resource, "resource")?;
    let resource = visit.read(&GetResource { project_id: None, resource_id: resource_id.clone() }).await?;
    let project = visit.read(&GetProject { project_id: Some(resource.project_id.clone()) }).await?;
    let project_id = Some(resource.project_id.clone());
    let ask = ResourceRuns { project_id, resource_id, cursor: None, limit: Limit::clamped(LATEST) };
    let runs = visit.read(&ask).await?.items;
    let may = May::of(visit.actor(), &subject(&project));
    let running = runs.iter().any(|run| !run.status.is_over());
    let page = Page {
        shell: visit.shell(Section::Projects).with(error.as_ref().map(|error| visit.banner(error))),
        badge: Badge::resource(resource.status),
        request_badge: resource.request_state.map(Badge::request),
        cost: money(resource.monthly_usd.0),
        by: who(&resource.created_by),
        asked: When::new(resource.created_at, visit.now),
        provisioned: resource.provisioned_at.map(|at| When::new(at, visit.now)),
        refreshed: resource.refreshed_at.map(|at| When::new(at, visit.now)),
        outputs: Values::new(&resource.outputs, "output", true),
        inputs: Values::new(&resource.spec, "input", false),
        secrets: secrets(&resource),
        open: running || resource.request_state.is_some_and(|state| !state.is_over()),
        runs: (!runs.is_empty()).then(|| RunTable::new(runs, visit.now)),
        offers: Offers::of(&resource, may.ask, project.status == "active"),
        once: visit.once(),
        project,
        resource,
    };
    visit.page(&page, error)
}

fn secrets(resource: &ResourceView) -> Vec<SecretRow> {
    let row = |(output, secret): (&String, &crate::domain::resource::SecretRef)| SecretRow {
        output: output.clone(),
        name: secret.name.clone(),
        command: reveal_command(&secret.name, resource.project_id.as_str()),
    };
    resource.secret_refs.iter().map(row).collect()
}

/// Tries the last change again.
pub async fn retry(visit: Visit, Path(resource): Path<String>, sent: Sent) -> Response {
    let input = Input::new().set("resource_id", resource.as_str());
    let asked = visit.act("resources.retry", input, sent.given("once")).await;
    visit.answer(to_request(&visit, &resource, asked).await)
}

/// Asks for its removal.
pub async fn remove(visit: Visit, Path(resource): Path<String>, sent: Sent) -> Response {
    let input = Input::new().set("resource_id", resource.as_str()).optional("version", &sent);
    let asked = visit.act("resources.deprovision", input, None).await;
    visit.answer(to_request(&visit, &resource, asked).await)
}

async fn to_request(visit: &Visit, resource: &str, asked: Result<serde_json::Value>) -> Result<Response> {
    match asked {
        Ok(asked) => text(&asked, "/request/request_id").map(|id| done(&format!("/requests/{id}"), Said::Requested)),
        Err(error) => page(visit, resource, Some(error)).await,
    }
}

/// Compares what exists with what is recorded.
pub async fn refresh(visit: Visit, Path(resource): Path<String>, sent: Sent) -> Response {
    let input = Input::new().set("resource_id", resource.as_str());
    let came_to = match visit.act("resources.refresh", input, sent.given("once")).await {
        Ok(_) => Ok(done(&format!("/resources/{resource}"), Said::Refreshing)),
        Err(error) => page(&visit, &resource, Some(error)).await,
    };
    visit.answer(came_to)
}
