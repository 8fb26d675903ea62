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
    next: String,
    /// Whether the page begins with the log's first line.
    first: bool,
    complete: bool,
    over: bool,
}

/// How many lines a page shows.
const LINES: u32 = 1000;
const SHOWN: usize = LINES as usize;

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
    // The end is what most come for. `from=start` shows the beginning, `after` what comes next.
    let after = page_request.query().given("after").map(str::to_owned);
    let whole = after.is_some() || page_request.query().given("from") == Some("start");
    let tail = (!whole).then_some(LINES);
    let log = page_request.submit(&RunLog { run_id, after: after.clone(), limit: LINES, tail }).await?;
    let resource = page_request.submit(&GetResource { project_id: None, resource_id: run.resource_id.clone() }).await?;
    let page = Page {
        layout: page_request.layout(Section::Projects),
        badge: Badge::run(run.status),
        title: operation(run.op),
        queued: When::new(run.created_at, page_request.now),
        took: lasted(&run, page_request.now),
        plan: run.plan.as_ref().map(|plan| PlanTable::new(plan, page_request.base(), None)),
        first: after.is_none() && (whole || log.lines.len() < SHOWN),
        lines: log.lines.into_iter().map(Line::new).collect(),
        next: log.next,
        complete: log.complete,
        over: run.status.is_over(),
        run,
        resource,
    };
    page_request.page(&page, None)
}
