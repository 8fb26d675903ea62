//! The list of projects.

use super::super::{
    shell::{Section, Shell},
    show::{Badge, When, money, words},
    visit::{Pager, Visit},
};
use crate::{
    app::projects::{ListProjects, ProjectView},
    error::Result,
    kernel::Limit,
};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "pages/projects.html")]
struct Projects {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    everybodys: bool,
}

struct Row {
    project: ProjectView,
    badge: Badge,
    tier: String,
    data_class: String,
    budget: String,
    registered: When,
}

/// Shows the projects that the visitor may see.
pub async fn list(visit: Visit) -> Response {
    visit.answer(page(&visit).await)
}

async fn page(visit: &Visit) -> Result<Response> {
    let found = visit.read(&ListProjects { cursor: visit.cursor(), limit: Limit::default() }).await?;
    let pager = visit.pager(&found);
    let row = |project: ProjectView| Row {
        badge: Badge::project(project.status),
        tier: words(project.classification.as_str()),
        data_class: words(project.data_class.as_str()),
        budget: project.budget_usd.map_or_else(|| "—".to_owned(), |usd| money(usd.0)),
        registered: When::new(project.created_at, visit.now),
        project,
    };
    let page = Projects {
        shell: visit.shell(Section::Projects),
        rows: found.items.into_iter().map(row).collect(),
        pager,
        everybodys: visit.is_admin(),
    };
    visit.page(&page, None)
}
