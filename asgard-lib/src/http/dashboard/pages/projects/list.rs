//! The list of projects.

use crate::{
    app::projects::{ListProjects, ProjectView},
    error::Result,
    http::dashboard::{
        frame::{Layout, PageRequest, Section},
        widgets::{Badge, Pager, When, money, words},
    },
    kernel::Limit,
};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "pages/projects.html")]
struct Projects {
    layout: Layout,
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
pub(crate) async fn list(page_request: PageRequest) -> Response {
    page_request.answer(page(&page_request).await)
}

async fn page(page_request: &PageRequest) -> Result<Response> {
    let found = page_request.submit(&ListProjects { cursor: page_request.cursor(), limit: Limit::default() }).await?;
    let pager = page_request.pager(&found);
    let row = |project: ProjectView| Row {
        badge: Badge::project(project.status),
        tier: words(project.classification.as_str()),
        data_class: words(project.data_class.as_str()),
        budget: project.budget_usd.map_or_else(|| "—".to_owned(), |usd| money(usd.0)),
        registered: When::new(project.created_at, page_request.now),
        project,
    };
    let page = Projects {
        layout: page_request.layout(Section::Projects),
        rows: found.items.into_iter().map(row).collect(),
        pager,
        everybodys: page_request.is_admin(),
    };
    page_request.page(&page, None)
}
