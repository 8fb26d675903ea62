//! Changing, stopping and ending a project.

use super::{
    Head, Tab,
    register::{Evidence, data_class, evidence, group},
};
use crate::{
    app::projects::{GetProject, ProjectView, RegistrationRequirements},
    error::{Error, Result},
    http::dashboard::{
        frame::{self, Flash, Layout, PageRequest, Section, done},
        widgets::{Field, Fields, FormData, Input, number},
    },
    kernel::ProjectId,
};
use askama::Template;
use axum::{extract::Path, response::Response};
use serde_json::{Map, Value};

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct Settings {
    layout: Layout,
    head: Head,
    version: String,
    fields: Fields,
    evidence: Vec<Evidence>,
    open: bool,
    reason: Field,
    ended: bool,
}

/// Shows what can be changed.
pub async fn settings(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(page(&page_request, &id, None, None).await)
}

async fn page(
    page_request: &PageRequest,
    id: &str,
    form_data: Option<&FormData>,
    error: Option<Error>,
) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Settings).await?;
    let rules = page_request.read(&RegistrationRequirements {}).await?;
    let project = &head.project;
    let mut fields = vec![
        Field::line("name", "Name").required().longest(120).value(project.name.as_str()),
        Field::area("description", "What it is for", 3)
            .longest(2000)
            .value(project.description.clone().unwrap_or_default()),
    ];
    if head.may.steer {
        let present = project.group.as_ref().map(ToString::to_string).unwrap_or_default();
        let budget = project.budget_usd.map(|usd| usd.0.dollars().to_string()).unwrap_or_default();
        fields.push(group(&rules).value(present));
        fields.push(data_class().value(project.data_class.as_str()));
        fields.push(Field::dollars("budget_usd", "Monthly budget in US dollars").value(budget));
    }
    if head.may.reassign {
        fields.push(Field::email("owner_email", "Owner").required().value(project.owner_email.as_str()));
        fields.push(Field::email("manager_email", "Manager").required().value(project.manager_email.as_str()));
    }
    let mut fields = Fields(fields).keep(form_data);
    let mut evidence = evidence(&rules.evidence, &project.evidence, form_data);
    let mut reason = Fields(vec![
        Field::line("reason", "Why").required().longest(500).help("Everybody who works on the project reads this."),
    ])
    .keep(form_data);
    if let Some(error) = &error
        && !fields.blame(error)
        && !reason.blame(error)
    {
        evidence.iter_mut().any(|group| group.fields.blame(error));
    }
    let page = Settings {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        version: project.version.as_ref().map(ToString::to_string).unwrap_or_default(),
        open: !project.missing_evidence.is_empty() || form_data.is_some(),
        ended: project.status == "decommissioned",
        fields,
        evidence,
        reason: reason.0.pop().ok_or_else(|| Error::bug("the reason's field is gone"))?,
        head,
    };
    page_request.page(&page, error)
}

/// Saves changes: only the fields that differ from what the project has are sent on.
pub async fn save(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = match try_save(&page_request, &id, &form_data).await {
        Ok(flash) => Ok(done(&format!("/projects/{id}/settings"), flash)),
        Err(error) => page(&page_request, &id, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_save(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<Flash> {
    let project_id: ProjectId = frame::id(id, "project")?;
    let project = page_request.read(&GetProject { project_id: Some(project_id) }).await?;
    let (input, changed) = changes(&project, form_data)?;
    if !changed {
        return Ok(Flash::Unchanged);
    }
    page_request.act("projects.update", input.set("project_id", id).optional("version", form_data), None).await?;
    Ok(Flash::Saved)
}

fn changes(project: &ProjectView, form_data: &FormData) -> Result<(Input, bool)> {
    let present = [
        ("name", project.name.to_string()),
        ("description", project.description.clone().unwrap_or_default()),
        ("group", project.group.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("data_class", project.data_class.to_string()),
        ("owner_email", project.owner_email.to_string()),
        ("manager_email", project.manager_email.to_string()),
    ];
    let (mut input, mut changed) = (Input::new(), false);
    for (name, held) in present {
        let new = form_data.raw(name).map(|text| text.trim().replace("\r\n", "\n"));
        // An empty choice leaves a group as it is: there is no taking it away.
        if let Some(new) = new.filter(|new| *new != held && (name != "group" || !new.is_empty())) {
            input = input.set(name, new);
            changed = true;
        }
    }
    let budget = project.budget_usd.map(|usd| usd.0.dollars());
    if form_data.given("budget_usd").is_some_and(|text| number(text).and_then(|new| new.as_f64()) != budget) {
        input = input.number("budget_usd", form_data)?;
        changed = true;
    }
    let evidence: Map<String, Value> = form_data
        .below("evidence.")
        .filter(|(name, text)| project.evidence.get(*name).map_or("", String::as_str).trim() != *text)
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect();
    changed |= !evidence.is_empty();
    Ok((input.set("evidence", evidence), changed))
}

async fn steer(
    page_request: PageRequest,
    id: String,
    form_data: FormData,
    operation: &'static str,
    flash: Flash,
) -> Response {
    let mut input = Input::new().set("project_id", id.as_str()).optional("version", &form_data);
    if operation == "projects.kill" {
        input = input.text("reason", &form_data);
    }
    let came_to = match page_request.act(operation, input, None).await {
        Ok(_) => Ok(done(&format!("/projects/{id}"), flash)),
        Err(error) => page(&page_request, &id, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

/// Stops a project.
pub async fn kill(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    steer(page_request, id, form_data, "projects.kill", Flash::Killed).await
}

/// Lets a stopped project work again.
pub async fn unkill(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    steer(page_request, id, form_data, "projects.unkill", Flash::Unkilled).await
}

/// Ends a project for good.
pub async fn decommission(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    steer(page_request, id, form_data, "projects.decommission", Flash::Decommissioned).await
}
