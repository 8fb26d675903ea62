//! All requests by state.

use super::RowList;
use crate::{
    app::periodic::Periodic,
    domain::request::{REQUEST_LIST, Request, RequestRow},
    ports::kinds::{Index, REQUESTS},
};
use std::time::Duration;

/// The task that keeps the list.
pub const REQUEST_ROWS: Periodic = Periodic::every("request-rows", Duration::from_secs(5));

/// The list of all requests by state.
#[derive(Debug)]
pub struct RequestRows;

impl RowList for RequestRows {
    type Source = Request;
    type Row = RequestRow;
    const NAME: &'static str = REQUEST_LIST;
    const TASK: Periodic = REQUEST_ROWS;
    const SOURCES: &'static Index = &REQUESTS;

    fn row(source: &Request) -> RequestRow {
        RequestRow::of(source)
    }

    fn counted(row: &RequestRow) -> &'static str {
        row.status.name()
    }
}
