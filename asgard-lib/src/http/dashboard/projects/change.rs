//! Changing, stopping and ending a project.

use super::{
    super::{
        field::{Field, Fields},
        said::Said,
        sent::{Input, Sent, number},
        shell::{Section, Shell},
        visit::{Visit, done},
    },
    Head, Tab,
    register::{Evidence, data_class, evidence, group},
};
use crate::{
    app::projects::{GetProject, ProjectView, RegistrationRequirements},
    error::{Error, Result},
    kernel::ProjectId,
};
use askama::Template;
use axum::{extract::Path, response::Response};
use serde_json::{Map, Value};

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct Settings {
    shell: Shell,
    head: Head,
    version: String,
    fields: Fields,
    evidence: Vec<Evidence>,
    open: bool,
    reason: Field,
    ended: bool,
}

/// Shows what can be changed.
pub async fn settings(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(page(&visit, &id, None, None).await)
}

async fn page(visit: &Visit, id: &str, sent: Option<&Sent>, error: Option<Error>) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Settings).await?;
    let rules = visit.read(&RegistrationRequirements {}).await?;
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
    let mut fields = Fields(fields).keep(sent);
    let mut evidence = evidence(&rules.evidence, &project.evidence, sent);
    let mut reason = Fields(vec![
        Field::line("reason", "Why").required().longest(500).help("Everybody who works on the project reads this."),
    ])
    .keep(sent);
    if let Some(error) = &error
        && !fields.blame(error)
        && !reason.blame(error)
    {
        evidence.iter_mut().any(|group| group.fields.blame(error));
    }
    let page = Settings {
        shell: visit.shell(Section::Projects).with(error.as_ref().map(|error| visit.banner(error))),
        version: project.version.as_ref().map(ToString::to_string).unwrap_or_default(),
        open: !project.missing_evidence.is_empty() || sent.is_some(),
        ended: project.status == "decommissioned",
        fields,
        evidence,
        reason: reason.0.pop().ok_or_else(|| Error::bug("the reason's field is gone"))?,
        head,
    };
    visit.page(&page, error)
}

/// Saves changes: only the fields that differ from what the project has are sent on.
pub async fn save(visit: Visit, Path(id): Path<String>, sent: Sent) -> Response {
    let came_to = match try_save(&visit, &id, &sent).await {
        Ok(said) => Ok(done(&format!("/projects/{id}/settings"), said)),
        Err(error) => page(&visit, &id, Some(&sent), Some(error)).await,
    };
    visit.answer(came_to)
}

async fn try_save(visit: &Visit, id: &str, sent: &Sent) -> Result<Said> {
    let project_id: ProjectId = super::super::visit::id(id, "project")?;
    let project = visit.read(&GetProject { project_id: Some(project_id) }).await?;
    let (input, changed) = changes(&project, sent)?;
    if !changed {
        return Ok(Said::Unchanged);
    }
    visit.act("projects.update", input.set("project_id", id).optional("version", sent), None).await?;
    Ok(Said::Saved)
}

fn changes(project: &ProjectView, sent: &Sent) -> Result<(Input, bool)> {
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
        let new = sent.raw(name).map(|text| text.trim().replace("\r\n", "\n"));
        // An empty choice leaves a group as it is: there is no taking it away.
        if let Some(new) = new.filter(|new| *new != held && (name != "group" || !new.is_empty())) {
            input = input.set(name, new);
            changed = true;
        }
    }
    let budget = project.budget_usd.map(|usd| usd.0.dollars());
    if sent.given("budget_usd").is_some_and(|text| number(text).and_then(|new| new.as_f64()) != budget) {
        input = input.number("budget_usd", sent)?;
        changed = true;
    }
    let evidence: Map<String, Value> = sent
        .below("evidence.")
        .filter(|(name, text)| project.evidence.get(*name).map_or("", String::as_str).trim() != *text)
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect();
    changed |= !evidence.is_empty();
    Ok((input.set("evidence", evidence), changed))
}

async fn steer(visit: Visit, id: String, sent: Sent, operation: &'static str, said: Said) -> Response {
    let mut input = Input::new().set("project_id", id.as_str()).optional("version", &sent);
    if operation == "projects.kill" {
        input = input.text("reason", &sent);
    }
    let came_to = match visit.act(operation, input, None).await {
        Ok(_) => Ok(done(&format!("/projects/{id}"), said)),
        Err(error) => page(&visit, &id, Some(&sent), Some(error)).await,
    };
    visit.answer(came_to)
}

/// Stops a project.
pub async fn kill(visit: Visit, Path(id): Path<String>, sent: Sent) -> Response {
    steer(visit, id, sent, "projects.kill", Said::Killed).await
}

/// Lets a stopped project work again.
pub async fn unkill(visit: Visit, Path(id): Path<String>, sent: Sent) -> Response {
    steer(visit, id, sent, "projects.unkill", Said::Unkilled).await
}

/// Ends a project for good.
pub async fn decommission(visit: Visit, Path(id): Path<String>, sent: Sent) -> Response {
    steer(visit, id, sent, "projects.decommission", Said::Decommissioned).await
}
