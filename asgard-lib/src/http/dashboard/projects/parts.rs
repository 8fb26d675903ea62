//! What a project has: resources, requests, secrets, and what happened to it.

use super::{
    super::{
        said::Said,
        sent::{Input, Sent},
        shell::{Section, Shell},
        show::When,
        tables::{EventTable, RequestTable, ResourceTable},
        visit::{Pager, Visit, done, text},
    },
    Head, Tab,
};
use crate::{
    app::{
        audit::ListAudit,
        requests::ListRequests,
        resources::ListResources,
        secrets::{ListSecrets, SecretView},
    },
    error::{Error, Result},
    kernel::Limit,
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/project_resources.html")]
struct Resources {
    shell: Shell,
    head: Head,
    table: Option<ResourceTable>,
    all: bool,
    pager: Pager,
}

/// Shows a project's resources.
pub async fn resources(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(resources_page(&visit, &id).await)
}

async fn resources_page(visit: &Visit, id: &str) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Resources).await?;
    let all = visit.query().given("all").is_some();
    let found = visit
        .read(&ListResources {
            project_id: Some(head.project.project_id.clone()),
            include_destroyed: all,
            cursor: visit.cursor(),
            limit: Limit::default(),
        })
        .await?;
    let page = Resources {
        shell: visit.shell(Section::Projects),
        pager: visit.pager(&found),
        table: (!found.items.is_empty()).then(|| ResourceTable::new(found.items, visit.now)),
        all,
        head,
    };
    visit.page(&page, None)
}

#[derive(Template)]
#[template(path = "pages/project_requests.html")]
struct Requests {
    shell: Shell,
    head: Head,
    table: Option<RequestTable>,
    pager: Pager,
}

/// Shows a project's requests.
pub async fn requests(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(requests_page(&visit, &id).await)
}

async fn requests_page(visit: &Visit, id: &str) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Requests).await?;
    let project_id = Some(head.project.project_id.clone());
    let found = visit.read(&ListRequests { project_id, cursor: visit.cursor(), limit: Limit::default() }).await?;
    let page = Requests {
        shell: visit.shell(Section::Projects),
        pager: visit.pager(&found),
        table: (!found.items.is_empty()).then(|| RequestTable::new(found.items, false, visit.now)),
        head,
    };
    visit.page(&page, None)
}

#[derive(Template)]
#[template(path = "pages/secrets.html")]
struct Secrets {
    shell: Shell,
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
pub async fn secrets(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(secrets_page(&visit, &id, None).await)
}

async fn secrets_page(visit: &Visit, id: &str, error: Option<Error>) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Secrets).await?;
    let project_id = Some(head.project.project_id.clone());
    let found = visit.read(&ListSecrets { project_id, cursor: visit.cursor(), limit: Limit::default() }).await?;
    let row = |secret: SecretView| SecretRow {
        stored: When::new(secret.rotated_at, visit.now),
        command: reveal_command(&secret.name, secret.project_id.as_str()),
        secret,
    };
    let page = Secrets {
        shell: visit.shell(Section::Projects).with(error.as_ref().map(|error| visit.banner(error))),
        once: visit.once(),
        pager: visit.pager(&found),
        rows: found.items.into_iter().map(row).collect(),
        head,
    };
    visit.page(&page, error)
}

/// How a secret is revealed: by those who may, with a token of theirs and never in a browser.
pub fn reveal_command(name: &str, project: &str) -> String {
    format!("asgard call get_secret --arg name={name} --arg project_id={project}")
}

/// Asks for new values of a secret's resource.
pub async fn rotate(visit: Visit, Path((id, name)): Path<(String, String)>, sent: Sent) -> Response {
    let input = Input::new().set("project_id", id.as_str()).set("name", name);
    let came_to = match visit.act("secrets.rotate", input, sent.given("once")).await {
        Ok(asked) => {
            text(&asked, "/request/request_id").map(|request| done(&format!("/requests/{request}"), Said::Requested))
        }
        Err(error) => secrets_page(&visit, &id, Some(error)).await,
    };
    visit.answer(came_to)
}

#[derive(Template)]
#[template(path = "pages/project_audit.html")]
struct Audit {
    shell: Shell,
    head: Head,
    table: Option<EventTable>,
    pager: Pager,
}

/// Shows what happened to a project.
pub async fn audit(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(audit_page(&visit, &id).await)
}

async fn audit_page(visit: &Visit, id: &str) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Audit).await?;
    let ask = ListAudit {
        project_id: Some(head.project.project_id.clone()),
        actor: None,
        action: None,
        trace: None,
        from: None,
        to: None,
        cursor: visit.cursor(),
        limit: Limit::default(),
    };
    let found = visit.read(&ask).await?;
    let page = Audit {
        shell: visit.shell(Section::Projects),
        pager: visit.pager(&found),
        table: (!found.items.is_empty()).then(|| EventTable::new(found.items, visit.now)),
        head,
    };
    visit.page(&page, None)
}
