//! What a project has: resources, requests, secrets, and what happened to it.

use super::{Head, Tab};
use crate::{
    app::{
        audit::ListAudit,
        requests::{ListRequests, Requested},
        resources::ListResources,
        secrets::{ListSecrets, RotateSecret, SecretView},
    },
    error::{Error, Result},
    http::dashboard::{
        frame::{self, Flash, Layout, PageRequest, Section},
        widgets::{EventTable, FormData, Pager, RequestTable, ResourceTable, When},
    },
    kernel::Limit,
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/project_resources.html")]
struct Resources {
    layout: Layout,
    head: Head,
    table: Option<ResourceTable>,
    all: bool,
    pager: Pager,
}

/// Shows a project's resources.
pub(crate) async fn resources(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(resources_page(&page_request, &id).await)
}

async fn resources_page(page_request: &PageRequest, id: &str) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Resources).await?;
    let all = page_request.query().given("all").is_some();
    let found = page_request
        .submit(&ListResources {
            project_id: Some(head.project.project_id.clone()),
            include_destroyed: all,
            cursor: page_request.cursor(),
            limit: Limit::default(),
        })
        .await?;
    let page = Resources {
        layout: page_request.layout(Section::Projects),
        pager: page_request.pager(&found),
        table: (!found.items.is_empty())
            .then(|| ResourceTable::new(found.items, page_request.base(), page_request.now)),
        all,
        head,
    };
    page_request.page(&page, None)
}

#[derive(Template)]
#[template(path = "pages/project_requests.html")]
struct Requests {
    layout: Layout,
    head: Head,
    table: Option<RequestTable>,
    pager: Pager,
}

/// Shows a project's requests.
pub(crate) async fn requests(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(requests_page(&page_request, &id).await)
}

async fn requests_page(page_request: &PageRequest, id: &str) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Requests).await?;
    let project_id = Some(head.project.project_id.clone());
    let found = page_request
        .submit(&ListRequests { project_id, cursor: page_request.cursor(), limit: Limit::default() })
        .await?;
    let page = Requests {
        layout: page_request.layout(Section::Projects),
        pager: page_request.pager(&found),
        table: (!found.items.is_empty())
            .then(|| RequestTable::new(found.items, false, page_request.base(), page_request.now)),
        head,
    };
    page_request.page(&page, None)
}

#[derive(Template)]
#[template(path = "pages/secrets.html")]
struct Secrets {
    layout: Layout,
    head: Head,
    once: String,
    rows: Vec<SecretRow>,
    pager: Pager,
}

struct SecretRow {
    secret: SecretView,
    stored: When,
    command: String,
}

/// Shows a project's secrets, without their values.
pub(crate) async fn secrets(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(secrets_page(&page_request, &id, None).await)
}

async fn secrets_page(page_request: &PageRequest, id: &str, error: Option<Error>) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Secrets).await?;
    let project_id = Some(head.project.project_id.clone());
    let found = page_request
        .submit(&ListSecrets { project_id, cursor: page_request.cursor(), limit: Limit::default() })
        .await?;
    let row = |secret: SecretView| SecretRow {
        stored: When::new(secret.rotated_at, page_request.now),
        command: reveal_command(&secret.name, secret.project_id.as_str()),
        secret,
    };
    let page = Secrets {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        once: page_request.once(),
        pager: page_request.pager(&found),
        rows: found.items.into_iter().map(row).collect(),
        head,
    };
    page_request.page(&page, error)
}

/// How a secret is revealed: by those who may, with a token of theirs and never in a browser.
pub(crate) fn reveal_command(name: &str, project: &str) -> String {
    format!("asgard call get_secret --arg name={name} --arg project_id={project}")
}

/// Asks for new values of a secret's resource.
pub(crate) async fn rotate(
    page_request: PageRequest,
    Path((id, name)): Path<(String, String)>,
    form_data: FormData,
) -> Response {
    let came_to = match try_rotate(&page_request, &id, name, &form_data).await {
        Ok(asked) => Ok(page_request.done(&format!("/requests/{}", asked.request.request_id), Flash::Requested)),
        Err(error) => secrets_page(&page_request, &id, Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_rotate(page_request: &PageRequest, id: &str, name: String, form_data: &FormData) -> Result<Requested> {
    let rotate = RotateSecret { project_id: Some(frame::id(id, "project")?), name };
    page_request.submit_once(&rotate, form_data).await
}

#[derive(Template)]
#[template(path = "pages/project_audit.html")]
struct Audit {
    layout: Layout,
    head: Head,
    table: Option<EventTable>,
    pager: Pager,
}

/// Shows what happened to a project.
pub(crate) async fn audit(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(audit_page(&page_request, &id).await)
}

async fn audit_page(page_request: &PageRequest, id: &str) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Audit).await?;
    let ask = ListAudit {
        project_id: Some(head.project.project_id.clone()),
        actor: None,
        action: None,
        trace: None,
        from: None,
        to: None,
        cursor: page_request.cursor(),
        limit: Limit::default(),
    };
    let found = page_request.submit(&ask).await?;
    let page = Audit {
        layout: page_request.layout(Section::Projects),
        pager: page_request.pager(&found),
        table: (!found.items.is_empty()).then(|| EventTable::new(found.items, page_request.base(), page_request.now)),
        head,
    };
    page_request.page(&page, None)
}
