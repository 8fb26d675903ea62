//! A run and its log. The script goes on reading the log; without it, loading the page again does.

use crate::{
    app::resources::{GetResource, GetRun, ResourceView, RunLog, RunView},
    domain::run::LogLine,
    error::Result,
    http::dashboard::{
        frame::{Layout, PageRequest, Section, id},
        widgets::{Badge, PlanTable, When, exact, lasted, operation},
    },
    kernel::RunId,
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/run.html")]
struct Page {
    layout: Layout,
    run: RunView,
    resource: ResourceView,
    badge: Badge,
    title: &'static str,
    queued: When,
    took: String,
    plan: Option<PlanTable>,
    lines: Vec<Line>,
    next: u32,
    first: bool,
    complete: bool,
    over: bool,
}

struct Line {
    time: String,
    exact: String,
    level: &'static str,
    address: Option<String>,
    message: String,
}

impl Line {
    fn new(line: LogLine) -> Self {
        Self {
            time: line.at.to_string().chars().skip(11).take(8).collect(),
            exact: exact(line.at),
            level: match line.level.as_str() {
                "error" => "error",
                "warn" => "warn",
                _ => "info",
            },
            address: line.address,
            message: line.message,
        }
    }
}

/// Shows a run.
pub(crate) async fn show(page_request: PageRequest, Path(run): Path<String>) -> Response {
    page_request.answer(page(&page_request, &run).await)
}

async fn page(page_request: &PageRequest, run: &str) -> Result<Response> {
    let run_id: RunId = id(run, "run")?;
    let run = page_request.submit(&GetRun { run_id: run_id.clone() }).await?;
    let after = page_request.query().given("after").and_then(|text| text.parse().ok());
    let log = page_request.submit(&RunLog { run_id, after }).await?;
    let resource = page_request.submit(&GetResource { project_id: None, resource_id: run.resource_id.clone() }).await?;
    let page = Page {
        layout: page_request.layout(Section::Projects),
        badge: Badge::run(run.status),
        title: operation(run.op),
        queued: When::new(run.created_at, page_request.now),
        took: lasted(&run, page_request.now),
        plan: run.plan.as_ref().map(|plan| PlanTable::new(plan, page_request.base(), None)),
        lines: log.lines.into_iter().map(Line::new).collect(),
        next: log.next,
        first: after.unwrap_or(0) == 0,
        complete: log.complete,
        over: run.status.is_over(),
        run,
        resource,
    };
    page_request.page(&page, None)
}
