//! Changing, stopping and ending a project.

use super::{
    Head, Tab,
    register::{Evidence, data_class, evidence, group},
};
use crate::{
    app::projects::{Decommission, GetProject, Kill, ProjectView, RegistrationRequirements, Unkill, UpdateProject},
    domain::project::Lifecycle,
    error::{Error, Result},
    http::dashboard::{
        frame::{self, Flash, Layout, PageRequest, Section},
        widgets::{Field, Fields, FormData, number},
    },
    kernel::{ProjectId, Slug},
};
use askama::Template;
use axum::{extract::Path, response::Response};

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
pub(crate) async fn settings(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(page(&page_request, &id, None, None).await)
}

async fn page(
    page_request: &PageRequest,
    id: &str,
    form_data: Option<&FormData>,
    error: Option<Error>,
) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Settings).await?;
    let rules = page_request.submit(&RegistrationRequirements {}).await?;
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
        ended: project.status == Lifecycle::Decommissioned,
        fields,
        evidence,
        reason: reason.0.pop().ok_or_else(|| Error::bug("the reason's field is gone"))?,
        head,
    };
    page_request.page(&page, error)
}

/// Saves changes: only the fields that differ from what the project has are sent on.
pub(crate) async fn save(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = match try_save(&page_request, &id, &form_data).await {
        Ok(flash) => Ok(page_request.done(&format!("/projects/{id}/settings"), flash)),
        Err(error) => page(&page_request, &id, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_save(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<Flash> {
    let project_id: ProjectId = frame::id(id, "project")?;
    let project = page_request.submit(&GetProject { project_id: Some(project_id) }).await?;
    match changes(&project, form_data)? {
        Some(update) => page_request.submit(&update).await.map(|_| Flash::Saved),
        None => Ok(Flash::Unchanged),
    }
}

/// The fields that differ from what the project has; nothing when none does.
fn changes(project: &ProjectView, form_data: &FormData) -> Result<Option<UpdateProject>> {
    let changed = |name: &str, held: &str| {
        let new = form_data.raw(name).map(|text| text.trim().replace("\r\n", "\n"));
        new.is_some_and(|new| new != held)
    };
    let description = project.description.as_deref().unwrap_or_default();
    let group = project.group.as_ref().map_or("", Slug::as_str);
    let budget = project.budget_usd.map(|usd| usd.0.dollars());
    let new_budget = form_data.given("budget_usd").is_some_and(|text| {
        let new = number(text).and_then(|new| new.as_f64());
        new.is_none() || new != budget
    });
    let update = UpdateProject {
        project_id: Some(project.project_id.clone()),
        name: changed("name", project.name.as_str()).then(|| form_data.read("name")).transpose()?,
        owner_email: changed("owner_email", project.owner_email.as_str())
            .then(|| form_data.read("owner_email"))
            .transpose()?,
        manager_email: changed("manager_email", project.manager_email.as_str())
            .then(|| form_data.read("manager_email"))
            .transpose()?,
        // An empty choice leaves a group as it is: there is no taking it away.
        group: if changed("group", group) { form_data.read_given("group")? } else { None },
        data_class: changed("data_class", project.data_class.as_str())
            .then(|| form_data.read("data_class"))
            .transpose()?,
        budget_usd: if new_budget { form_data.read_number("budget_usd")? } else { None },
        description: changed("description", description).then(|| form_data.text("description").replace("\r\n", "\n")),
        evidence: form_data
            .below("evidence.")
            .filter(|(name, text)| project.evidence.get(*name).map_or("", String::as_str).trim() != *text)
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
        version: form_data.read_given("version")?,
    };
    let UpdateProject {
        project_id: _,
        name,
        owner_email,
        manager_email,
        group,
        data_class,
        budget_usd,
        description,
        evidence,
        version: _,
    } = &update;
    let nothing = name.is_none()
        && owner_email.is_none()
        && manager_email.is_none()
        && group.is_none()
        && data_class.is_none()
        && budget_usd.is_none()
        && description.is_none()
        && evidence.is_empty();
    Ok((!nothing).then_some(update))
}

/// Where stopping and ending lead, or the page again with what was wrong.
async fn back(
    page_request: &PageRequest,
    id: &str,
    form_data: &FormData,
    came_to: Result<ProjectView>,
    flash: Flash,
) -> Response {
    let answer = match came_to {
        Ok(_) => Ok(page_request.done(&format!("/projects/{id}"), flash)),
        Err(error) => page(page_request, id, Some(form_data), Some(error)).await,
    };
    page_request.answer(answer)
}

/// Stops a project.
pub(crate) async fn kill(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = try_kill(&page_request, &id, &form_data).await;
    back(&page_request, &id, &form_data, came_to, Flash::Killed).await
}

async fn try_kill(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<ProjectView> {
    let kill = Kill {
        project_id: frame::id(id, "project")?,
        reason: form_data.text("reason").to_owned(),
        version: form_data.read_given("version")?,
    };
    page_request.submit(&kill).await
}

/// Lets a stopped project work again.
pub(crate) async fn unkill(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = try_unkill(&page_request, &id, &form_data).await;
    back(&page_request, &id, &form_data, came_to, Flash::Unkilled).await
}

async fn try_unkill(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<ProjectView> {
    let unkill = Unkill { project_id: frame::id(id, "project")?, version: form_data.read_given("version")? };
    page_request.submit(&unkill).await
}

/// Ends a project for good.
pub(crate) async fn decommission(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = try_decommission(&page_request, &id, &form_data).await;
    back(&page_request, &id, &form_data, came_to, Flash::Decommissioned).await
}

async fn try_decommission(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<ProjectView> {
    let end = Decommission { project_id: frame::id(id, "project")?, version: form_data.read_given("version")? };
    page_request.submit(&end).await
}
