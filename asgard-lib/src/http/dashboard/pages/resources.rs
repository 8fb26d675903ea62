//! A resource: what it gives, how it stands, and what can be done to it.

use crate::{
    app::{
        projects::{GetProject, ProjectView},
        requests::Requested,
        resources::{DeprovisionResource, GetResource, RefreshResource, ResourceRuns, ResourceView, RetryResource},
    },
    domain::{project::Lifecycle, request, resource::ResourceStatus},
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section, id},
        pages::projects::{May, reveal_command, subject},
        widgets::{Badge, FormData, RunTable, Values, When, money, who},
    },
    kernel::{Limit, ResourceId},
};
use askama::Template;
use axum::{extract::Path, response::Response};

const LATEST: u16 = 20;

#[derive(Template)]
#[template(path = "pages/resource.html")]
struct Page {
    layout: Layout,
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
        use request::RequestStatus;
        let settled = resource.request_state.is_none_or(RequestStatus::is_over);
        let failed = resource.request_state.is_some_and(|state| match state {
            RequestStatus::Failed
            | RequestStatus::NeedsAttention
            | RequestStatus::Cancelled
            | RequestStatus::Rejected => true,
            RequestStatus::Planning
            | RequestStatus::Pending
            | RequestStatus::Approved
            | RequestStatus::Running
            | RequestStatus::Fulfilled => false,
        });
        let lives = match resource.status {
            ResourceStatus::Provisioned | ResourceStatus::Failed | ResourceStatus::Suspended => true,
            ResourceStatus::Provisioning
            | ResourceStatus::Updating
            | ResourceStatus::Destroying
            | ResourceStatus::Destroyed => false,
        };
        let can = may_ask && active && settled;
        Self {
            change: can && matches!(resource.status, ResourceStatus::Provisioned | ResourceStatus::Failed),
            retry: can && failed && resource.status != ResourceStatus::Destroyed,
            refresh: can && resource.status == ResourceStatus::Provisioned,
            remove: can && lives,
        }
    }
}

/// Shows a resource.
pub(crate) async fn show(page_request: PageRequest, Path(resource): Path<String>) -> Response {
    page_request.answer(page(&page_request, &resource, None).await)
}

async fn page(page_request: &PageRequest, resource: &str, error: Option<Error>) -> Result<Response> {
    let resource_id: ResourceId = id(resource, "resource")?;
    let resource = page_request.submit(&GetResource { project_id: None, resource_id: resource_id.clone() }).await?;
    let project = page_request.submit(&GetProject { project_id: Some(resource.project_id.clone()) }).await?;
    let project_id = Some(resource.project_id.clone());
    let ask = ResourceRuns { project_id, resource_id, cursor: None, limit: Limit::clamped(LATEST) };
    let runs = page_request.submit(&ask).await?.items;
    let may = May::of(page_request.actor(), &subject(&project));
    let running = runs.iter().any(|run| !run.status.is_over());
    let page = Page {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        badge: Badge::resource(resource.status),
        request_badge: resource.request_state.map(Badge::request),
        cost: money(resource.monthly_usd.0),
        by: who(&resource.created_by),
        asked: When::new(resource.created_at, page_request.now),
        provisioned: resource.provisioned_at.map(|at| When::new(at, page_request.now)),
        refreshed: resource.refreshed_at.map(|at| When::new(at, page_request.now)),
        outputs: Values::new(&resource.outputs, "output", true),
        inputs: Values::new(&resource.spec, "input", false).with_secrets(&resource.secret_inputs),
        secrets: secrets(&resource),
        open: running || resource.request_state.is_some_and(|state| !state.is_over()),
        runs: (!runs.is_empty()).then(|| RunTable::new(runs, page_request.base(), page_request.now)),
        offers: Offers::of(&resource, may.ask, project.status == Lifecycle::Active),
        once: page_request.once(),
        project,
        resource,
    };
    page_request.page(&page, error)
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
pub(crate) async fn retry(page_request: PageRequest, Path(resource): Path<String>, form_data: FormData) -> Response {
    let asked = match id(&resource, "resource") {
        Ok(resource_id) => page_request.submit_once(&RetryResource { project_id: None, resource_id }, &form_data).await,
        Err(error) => Err(error),
    };
    page_request.answer(to_request(&page_request, &resource, asked).await)
}

/// Asks for its removal.
pub(crate) async fn remove(page_request: PageRequest, Path(resource): Path<String>, form_data: FormData) -> Response {
    let asked = try_remove(&page_request, &resource, &form_data).await;
    page_request.answer(to_request(&page_request, &resource, asked).await)
}

async fn try_remove(page_request: &PageRequest, resource: &str, form_data: &FormData) -> Result<Requested> {
    let resource_id = id(resource, "resource")?;
    let remove = DeprovisionResource { project_id: None, resource_id, version: form_data.read_given("version")? };
    page_request.submit(&remove).await
}

async fn to_request(page_request: &PageRequest, resource: &str, asked: Result<Requested>) -> Result<Response> {
    match asked {
        Ok(asked) => Ok(page_request.done(&format!("/requests/{}", asked.request.request_id), Flash::Requested)),
        Err(error) => page(page_request, resource, Some(error)).await,
    }
}

/// Compares what exists with what is recorded.
pub(crate) async fn refresh(page_request: PageRequest, Path(resource): Path<String>, form_data: FormData) -> Response {
    let started = match id(&resource, "resource") {
        Ok(resource_id) => {
            page_request.submit_once(&RefreshResource { project_id: None, resource_id }, &form_data).await
        }
        Err(error) => Err(error),
    };
    let came_to = match started {
        Ok(_) => Ok(page_request.done(&format!("/resources/{resource}"), Flash::Refreshing)),
        Err(error) => page(&page_request, &resource, Some(error)).await,
    };
    page_request.answer(came_to)
}
