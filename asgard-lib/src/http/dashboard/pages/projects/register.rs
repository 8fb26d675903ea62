//! Registering a project.

use crate::{
    app::projects::{RegisterProject, RegistrationRequirements, RequirementsView},
    domain::tier::{DataClass, Tier},
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section},
        widgets::{Choice, Field, Fields, FormData, words},
    },
    kernel::ProjectId,
};
use askama::Template;
use axum::response::Response;
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "pages/register.html")]
struct Page {
    layout: Layout,
    once: String,
    fields: Fields,
    evidence: Vec<Evidence>,
    open: bool,
}

/// The evidence that a tier asks for beyond the tiers below it.
pub(super) struct Evidence {
    pub tier: String,
    pub fields: Fields,
}

/// Shows the form.
pub(crate) async fn registering(page_request: PageRequest) -> Response {
    page_request.answer(form(&page_request, None, None).await)
}

/// Registers a project.
pub(crate) async fn register(page_request: PageRequest, form_data: FormData) -> Response {
    let came_to = match try_register(&page_request, &form_data).await {
        Ok(id) => Ok(page_request.done(&format!("/projects/{id}"), Flash::Registered)),
        Err(error) => form(&page_request, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_register(page_request: &PageRequest, form_data: &FormData) -> Result<ProjectId> {
    let register = RegisterProject {
        name: form_data.read("name")?,
        owner_email: form_data.read("owner_email")?,
        manager_email: form_data.read_given("manager_email")?,
        group: form_data.read_given("group")?,
        classification: form_data.read_given("classification")?,
        data_class: form_data.read_given("data_class")?,
        budget_usd: form_data.read_number("budget_usd")?,
        description: form_data.given("description").map(str::to_owned),
        evidence: form_data
            .below("evidence.")
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
    };
    page_request.submit_once(&register, form_data).await.map(|project| project.project_id)
}

async fn form(page_request: &PageRequest, form_data: Option<&FormData>, error: Option<Error>) -> Result<Response> {
    let rules = page_request.submit(&RegistrationRequirements {}).await?;
    let mut fields = Fields(fields(page_request, &rules)).keep(form_data);
    let mut evidence = evidence(&rules.evidence, &BTreeMap::new(), form_data);
    let about_evidence = error.as_ref().and_then(Error::field).is_some_and(|field| field.starts_with("evidence"));
    if let Some(error) = &error
        && !fields.blame(error)
    {
        evidence.iter_mut().any(|group| group.fields.blame(error));
    }
    let page = Page {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        once: page_request.once_again(form_data, error.as_ref()),
        fields,
        evidence,
        open: about_evidence
            || form_data.is_some_and(|form_data| form_data.below("evidence.").any(|(_, text)| !text.is_empty())),
    };
    page_request.page(&page, error)
}

fn fields(page_request: &PageRequest, rules: &RequirementsView) -> Vec<Field> {
    let needed = |field: Field, needed: bool| if needed { field.required() } else { field };
    let mut owner = Field::email("owner_email", "Owner").required().value(page_request.email());
    owner = if page_request.is_admin() {
        owner.help("Who answers for what the project does.")
    } else {
        owner.read_only().help("You register projects that you own; an admin registers for others.")
    };
    let manager = Field::email("manager_email", "Manager").help(if rules.require_manager {
        "Approves what the project asks for. Somebody other than the owner."
    } else {
        "Approves what the project asks for. Without one, the owner manages it."
    });
    vec![
        Field::line("name", "Name").required().longest(120).help("What people call it."),
        owner,
        needed(manager, rules.require_manager),
        needed(group(rules), rules.require_group),
        tier().help("How much depends on it. Tiers above PoC ask for evidence."),
        data_class().value(DataClass::default().as_str()).help("How sensitive its data is."),
        Field::dollars("budget_usd", "Monthly budget in US dollars"),
        Field::area("description", "What it is for", 3).longest(2000),
    ]
}

/// The group: one of the configured ones, or any name where there are none.
pub(super) fn group(rules: &RequirementsView) -> Field {
    if rules.groups.is_empty() {
        return Field::line("group", "Group").longest(63).mono().help("Any name of a-z, 0-9 and -.");
    }
    let choice = |group: &crate::app::projects::GroupView| {
        let center = group.cost_center.as_ref().map(|center| format!(" · {center}")).unwrap_or_default();
        Choice::new(group.key.as_str(), format!("{} ({}){center}", group.display_name, group.key))
    };
    let none = Choice::new("", "Choose a group");
    Field::choice("group", "Group", std::iter::once(none).chain(rules.groups.iter().map(choice)).collect())
        .help("Its cost centre pays.")
}

fn tier() -> Field {
    Field::choice(
        "classification",
        "Tier",
        Tier::ALL.map(|tier| Choice::new(tier.as_str(), words(tier.as_str()))).into(),
    )
    .value(Tier::default().as_str())
}

pub(super) fn data_class() -> Field {
    let choices = DataClass::ALL.map(|class| Choice::new(class.as_str(), words(class.as_str())));
    Field::choice("data_class", "Data class", choices.into())
}

/// Every field of evidence once, under the lowest tier that asks for it, then those that no tier asks for.
pub(super) fn evidence(
    required: &BTreeMap<Tier, Vec<String>>,
    present: &BTreeMap<String, String>,
    form_data: Option<&FormData>,
) -> Vec<Evidence> {
    let mut seen: Vec<&str> = Vec::new();
    let mut groups = Vec::new();
    let field = |name: &str| {
        let held = present.get(name).cloned().unwrap_or_default();
        Field::line(format!("evidence.{name}"), words(name)).longest(2000).value(held)
    };
    for tier in Tier::ALL {
        let new: Vec<&str> =
            required.get(&tier).into_iter().flatten().map(String::as_str).filter(|name| !seen.contains(name)).collect();
        seen.extend(&new);
        if !new.is_empty() {
            let fields = Fields(new.into_iter().map(field).collect()).keep(form_data);
            groups.push(Evidence { tier: format!("From {} on", words(tier.as_str())), fields });
        }
    }
    let others: Vec<Field> =
        present.keys().filter(|name| !seen.contains(&name.as_str())).map(|name| field(name)).collect();
    if !others.is_empty() {
        groups.push(Evidence { tier: "Other".to_owned(), fields: Fields(others).keep(form_data) });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_asked_for_once_under_its_lowest_tier() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let required = BTreeMap::from([
            (Tier::LightOperational, list(&["runbook_url"])),
            (Tier::WideOperational, list(&["runbook_url", "rpo_rto"])),
        ]);
        let present = BTreeMap::from([("extra".to_owned(), "x".to_owned())]);
        let groups = evidence(&required, &present, None);
        let names: Vec<Vec<&str>> =
            groups.iter().map(|group| group.fields.0.iter().map(Field::name).collect()).collect();
        assert_eq!(names, [vec!["evidence.runbook_url"], vec!["evidence.rpo_rto"], vec!["evidence.extra"]]);
    }
}
