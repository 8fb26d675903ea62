//! What waits for a person.

use super::{
    super::{
        shell::{Section, Shell},
        show::{When, money, who},
        tables::plan_in_words,
        visit::{Pager, Visit},
    },
    DecideForm, Deciding, title,
};
use crate::{
    app::{
        projects::{GetProject, ProjectView},
        requests::{ListPending, RequestView},
    },
    domain::request::Verdict,
    error::Result,
    kernel::{Limit, ProjectId},
};
use askama::Template;
use axum::response::Response;
use std::collections::BTreeMap;

/// How many a page shows: each comes with its form.
const A_PAGE: u16 = 20;

#[derive(Template)]
#[template(path = "pages/approvals.html")]
struct Inbox {
    shell: Shell,
    entries: Vec<Entry>,
    pager: Pager,
}

struct Entry {
    title: String,
    request: RequestView,
    cost: String,
    by: String,
    asked: When,
    plan: String,
    losses: u32,
    why: Option<String>,
    decide: DecideForm,
}

/// Shows the inbox.
pub async fn inbox(visit: Visit) -> Response {
    visit.answer(page(&visit).await)
}

async fn page(visit: &Visit) -> Result<Response> {
    let ask = ListPending { project_id: None, cursor: visit.cursor(), limit: Limit::clamped(A_PAGE) };
    let found = visit.read(&ask).await?;
    let pager = visit.pager(&found);
    let mut projects: BTreeMap<ProjectId, ProjectView> = BTreeMap::new();
    for id in found.items.iter().map(|request| &request.project_id) {
        if !projects.contains_key(id) {
            let project = visit.read(&GetProject { project_id: Some(id.clone()) }).await?;
            projects.insert(id.clone(), project);
        }
    }
    let entries = found.items.into_iter().filter_map(|request| {
        let project = projects.get(&request.project_id)?;
        Some(entry(visit, request, project))
    });
    let page = Inbox { shell: visit.shell(Section::Approvals), entries: entries.collect(), pager };
    visit.page(&page, None)
}

fn entry(visit: &Visit, request: RequestView, project: &ProjectView) -> Entry {
    let why = match &request.verdict {
        Some(Verdict::Human { reason } | Verdict::Auto { reason }) => Some(reason.clone()),
        None => None,
    };
    Entry {
        title: title(&request),
        cost: money(request.monthly_usd.0),
        by: who(&request.requested_by),
        asked: When::new(request.created_at, visit.now),
        plan: request.plan.as_ref().map(plan_in_words).unwrap_or_default(),
        losses: request.plan.as_ref().map_or(0, |plan| plan.delete + plan.replace),
        why,
        decide: DecideForm::new(Deciding::of(visit, &request, project), &request, "/approvals"),
        request,
    }
}
