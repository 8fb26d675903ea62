//! The way through a list that does not fit on one page.

use askama::Template;

/// The links to the rest of a list.
#[derive(Default, Template)]
#[template(path = "parts/pager.html")]
pub(crate) struct Pager {
    /// To the first page, from any other.
    pub first: Option<String>,
    /// To the next page, if there is one.
    pub next: Option<String>,
}

impl askama::filters::HtmlSafe for Pager {}
