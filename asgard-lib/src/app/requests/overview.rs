//! All requests by state, from rows.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::list::list_command, core::operation::Method::Get, rows},
    domain::{
        access::{Action, Object},
        request::{REQUEST_LIST, RequestRow, RequestStatus},
    },
    error::Result,
    kernel::{Cursor, Dollars, ProjectId, RequestId, ResourceId, ResourceName, Slug, Timestamp},
    ports::{kinds::REQUEST_ROWS, records::Stored, store::Query},
};
use schemars::JsonSchema;
use serde::Serialize;
use typed_builder::TypedBuilder;

list_command! {
    /// Counts the requests of all projects by state, and lists those in one state.
    #[derive(TypedBuilder)]
    pub struct RequestsOverview {
        /// The state whose requests are listed; leave it out for those that are `pending`.
        #[serde(default)]
        #[builder(default)]
        pub status: Option<RequestStatus>,
    }
}

/// How many requests are in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RequestCount {
    /// The state that requests are counted in.
    pub status: RequestStatus,
    /// How many requests of all projects are in it.
    pub count: u64,
}

/// A request in the list by state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RequestRowView {
    /// The request's id, `req_...`; `get_request` shows the whole request.
    pub request_id: RequestId,
    /// The id of the project that the request is for.
    pub project_id: ProjectId,
    /// The id of the resource that the request is about.
    pub resource_id: ResourceId,
    /// The id of the resource's service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// The request's state when the list last followed.
    pub status: RequestStatus,
    /// The estimated cost of the resource in US dollars a month.
    pub monthly_usd: Dollars,
    /// The time at which the request was made.
    pub created_at: Timestamp,
    /// The time of the last change that the list has.
    pub updated_at: Timestamp,
}

/// The requests of all projects by state.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RequestsOverviewView {
    /// Everything that was committed before this moment is counted and listed; absent while the list is first filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// How many requests are in each state.
    pub counts: Vec<RequestCount>,
    /// The requests of this page, newest first.
    pub items: Vec<RequestRowView>,
    /// Pass it as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

fn view(row: &RequestRow) -> RequestRowView {
    RequestRowView {
        request_id: row.id.clone(),
        project_id: row.project.clone(),
        resource_id: row.resource.clone(),
        service: row.service.clone(),
        name: row.name.clone(),
        status: row.status,
        monthly_usd: Dollars(row.monthly),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

impl SimpleOperation for RequestsOverview {
    type Output = RequestsOverviewView;
    const META: Meta = Meta {
        name: "requests.overview",
        title: "Count and list requests by state",
        description: "How many requests of all projects are in each state, and those in one of them, newest first. Admins only. It follows the requests \
                      within seconds; `as_of` says up to when it is complete.",
        action: Action::ListAllRequests,
        routes: &[Route { method: Get, path: "/requests/overview", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RequestsOverviewView> {
        tx.allow(Action::ListAllRequests, &Object::Nothing)?;
        let app = tx.app();
        let known = rows::counts(app, REQUEST_LIST).await?;
        let count = |status: RequestStatus| known.counts.get(status.name()).copied().unwrap_or(0);
        let counts = RequestStatus::ALL.map(|status| RequestCount { status, count: count(status) }).to_vec();
        let status = self.status.unwrap_or(RequestStatus::Pending).name();
        let query = Query::new(&REQUEST_ROWS, status).newest_first();
        let shown = |row: Stored<RequestRow>| Some(view(&row));
        let page = app.page(&format!("requests/by-status/{status}"), self.paging(), query, shown).await?;
        Ok(RequestsOverviewView { as_of: known.as_of, counts, items: page.items, next_cursor: page.next_cursor })
    }
}
