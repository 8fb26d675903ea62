//! The audit log: everything for admins and finance, with filters, and whether it is as it was sealed.

use crate::{
    app::audit::{ListAudit, VerifyAudit, VerifyReport},
    error::{Error, Result},
    http::dashboard::{
        frame::{Layout, PageRequest, Section},
        widgets::{Control, EventTable, Field, Fields, FormData, Pager, exact},
    },
    kernel::{Limit, Timestamp},
};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct Page {
    layout: Layout,
    fields: Fields,
    filtered: bool,
    table: Option<EventTable>,
    pager: Pager,
}

const FILTERS: [&str; 6] = ["project", "actor", "action", "trace", "from", "to"];

/// Shows the log.
pub(crate) async fn list(page_request: PageRequest) -> Response {
    page_request.answer(page(&page_request).await)
}

async fn page(page_request: &PageRequest) -> Result<Response> {
    let found = match asked(page_request) {
        Ok(ask) => page_request.submit(&ask).await.map(Some),
        Err(error) => Err(error),
    };
    let mut fields = Fields(vec![
        Field::line("project", "Project").mono().placeholder("proj-2026-0001"),
        Field::line("actor", "Who").help("An e-mail address, or the id of an account, token or key."),
        Field::line("action", "What").mono().help("Such as request.approved; request. takes all of them."),
        Field::line("trace", "Trace").mono(),
        Field::new("from", "From (UTC)", Control::Line("datetime-local")),
        Field::new("to", "Before (UTC)", Control::Line("datetime-local")),
    ])
    .keep(Some(page_request.query()));
    // A filter that is wrong is said beside it; what the visitor may not see at all is an answer of its own.
    let (found, error) = match found {
        Ok(found) => (found, None),
        Err(error) if fields.blame(&error) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let finance = !page_request.may_open_projects();
    let page = Page {
        layout: page_request.layout(Section::Audit).with(error.as_ref().map(|error| page_request.banner(error))),
        fields,
        filtered: FILTERS.iter().any(|name| page_request.query().given(name).is_some()),
        pager: found.as_ref().map(|found| page_request.pager(found)).unwrap_or_default(),
        table: found
            .filter(|found| !found.items.is_empty())
            .map(|found| EventTable::everywhere(found.items, !finance, page_request.base(), page_request.now)),
    };
    page_request.page(&page, error)
}

fn asked(page_request: &PageRequest) -> Result<ListAudit> {
    let query = page_request.query();
    Ok(ListAudit {
        project_id: parsed(query, "project")?,
        actor: query.given("actor").map(str::to_owned),
        action: query.given("action").map(str::to_owned),
        trace: parsed(query, "trace")?,
        from: moment(query, "from")?,
        to: moment(query, "to")?,
        cursor: page_request.cursor(),
        limit: Limit::default(),
    })
}

fn parsed<T: std::str::FromStr<Err = crate::kernel::Malformed>>(
    query: &FormData,
    name: &'static str,
) -> Result<Option<T>> {
    let read = |text: &str| {
        text.parse().map_err(|wrong: crate::kernel::Malformed| Error::invalid(name, format!("This is {wrong}.")))
    };
    query.given(name).map(read).transpose()
}

/// A moment as the browser's own control writes it, `2026-11-22T01:02`, or in full.
fn moment(query: &FormData, name: &'static str) -> Result<Option<Timestamp>> {
    let Some(text) = query.given(name) else { return Ok(None) };
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    full.parse().map(Some).map_err(|_| Error::invalid(name, "Expected a day and a time, such as 2026-11-22T01:02."))
}

#[derive(Template)]
#[template(path = "pages/verify.html")]
struct Verify {
    layout: Layout,
    report: VerifyReport,
    as_of: String,
}

/// Verifies the log and shows what was found.
pub(crate) async fn verify(page_request: PageRequest) -> Response {
    page_request.answer(verify_page(&page_request).await)
}

async fn verify_page(page_request: &PageRequest) -> Result<Response> {
    let report = page_request
        .submit(&VerifyAudit { project_id: parsed(page_request.query(), "project")?, anchors: None })
        .await?;
    let page = Verify { layout: page_request.layout(Section::Audit), as_of: exact(report.as_of), report };
    page_request.page(&page, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        let read =
            |text: &str| moment(&FormData::of_pairs(&[("from", text)]), "from").map(|at| at.map(|at| at.to_string()));
        for text in ["2026-11-22T01:02", "2026-11-22T01:02:00", "2026-11-22T01:02:00Z"] {
            assert_eq!(read(text).unwrap().as_deref(), Some("2026-11-22T01:02:00.000000Z"), "{text}");
        }
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("yesterday").unwrap_err().field(), Some("from"));
    }
}
