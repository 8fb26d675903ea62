//! What waits for a person.

use super::{AllowedDecisions, DecideForm, title};
use crate::{
    app::{
        keys::{KeyView, ListFlaggedKeys},
        projects::{GetProject, ProjectView},
        requests::{ListPending, RequestView},
    },
    domain::request::Verdict,
    error::Result,
    http::dashboard::{
        frame::{Layout, PageRequest, Section},
        widgets::{Pager, When, money, plan_in_words, who},
    },
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
    layout: Layout,
    entries: Vec<Entry>,
    pager: Pager,
    keys: Vec<FlaggedKey>,
    more_keys: bool,
}

/// A project's key that somebody should look at.
struct FlaggedKey {
    project: ProjectId,
    name: String,
    sentence: String,
    stops: Option<When>,
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
pub(crate) async fn inbox(page_request: PageRequest) -> Response {
    page_request.answer(page(&page_request).await)
}

async fn page(page_request: &PageRequest) -> Result<Response> {
    let ask = ListPending { project_id: None, cursor: page_request.cursor(), limit: Limit::clamped(A_PAGE) };
    let found = page_request.submit(&ask).await?;
    let pager = page_request.pager(&found);
    let mut projects: BTreeMap<ProjectId, ProjectView> = BTreeMap::new();
    for id in found.items.iter().map(|request| &request.project_id) {
        if !projects.contains_key(id) {
            let project = page_request.submit(&GetProject { project_id: Some(id.clone()) }).await?;
            projects.insert(id.clone(), project);
        }
    }
    let entries = found.items.into_iter().filter_map(|request| {
        let project = projects.get(&request.project_id)?;
        Some(entry(page_request, request, project))
    });
    let flagged = page_request.submit(&ListFlaggedKeys { cursor: None, limit: Limit::clamped(A_PAGE) }).await?;
    let page = Inbox {
        layout: page_request.layout(Section::Approvals),
        entries: entries.collect(),
        pager,
        more_keys: flagged.next_cursor.is_some(),
        keys: flagged.items.into_iter().filter_map(|key| flagged_key(page_request, key)).collect(),
    };
    page_request.page(&page, None)
}

fn flagged_key(page_request: &PageRequest, key: KeyView) -> Option<FlaggedKey> {
    let flag = key.flag?;
    Some(FlaggedKey {
        project: key.project_id,
        name: key.name.to_string(),
        stops: flag.stops_at.map(|at| When::new(at, page_request.now)),
        sentence: flag.sentence,
    })
}

fn entry(page_request: &PageRequest, request: RequestView, project: &ProjectView) -> Entry {
    let why = match &request.verdict {
        Some(Verdict::Human { reason } | Verdict::Auto { reason }) => Some(reason.clone()),
        None => None,
    };
    Entry {
        title: title(&request),
        cost: money(request.monthly_usd.0),
        by: who(&request.requested_by),
        asked: When::new(request.created_at, page_request.now),
        plan: request.plan.as_ref().map(plan_in_words).unwrap_or_default(),
        losses: request.plan.as_ref().map_or(0, |plan| plan.delete + plan.replace),
        why,
        decide: DecideForm::new(
            AllowedDecisions::of(page_request, &request, project),
            &request,
            page_request.base(),
            "/approvals",
        ),
        request,
    }
}
