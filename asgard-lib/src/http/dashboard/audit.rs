//! The audit log: everything for admins and finance, with filters, and whether it is as it was sealed.

use super::{
    field::{Field, Fields},
    sent::Sent,
    shell::{Section, Shell},
    show::exact,
    tables::EventTable,
    visit::{Pager, Visit},
};
use crate::{
    app::audit::{ListAudit, VerifyAudit, VerifyReport},
    error::{Error, Result},
    kernel::{Limit, Timestamp},
};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct Page {
    shell: Shell,
    fields: Fields,
    filtered: bool,
    table: Option<EventTable>,
    pager: Pager,
}

const FILTERS: [&str; 6] = ["project", "actor", "action", "trace", "from", "to"];

/// Shows the log.
pub async fn list(visit: Visit) -> Response {
    visit.answer(page(&visit).await)
}

async fn page(visit: &Visit) -> Result<Response> {
    let found = match asked(visit) {
        Ok(ask) => visit.read(&ask).await.map(Some),
        Err(error) => Err(error),
    };
    let mut fields = Fields(vec![
        Field::line("project", "Project").mono().placeholder("proj-2026-0001"),
        Field::line("actor", "Who").help("An e-mail address, or the id of an account, token or key."),
        Field::line("action", "What").mono().help("Such as request.approved; request. takes all of them."),
        Field::line("trace", "Trace").mono(),
        Field::new("from", "From (UTC)", super::field::Control::Line("datetime-local")),
        Field::new("to", "Before (UTC)", super::field::Control::Line("datetime-local")),
    ])
    .keep(Some(visit.query()));
    // A filter that is wrong is said beside it; what the visitor may not see at all is an answer of its own.
    let (found, error) = match found {
        Ok(found) => (found, None),
        Err(error) if fields.blame(&error) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let finance = !visit.may_open_projects();
    let page = Page {
        shell: visit.shell(Section::Audit).with(error.as_ref().map(|error| visit.banner(error))),
        fields,
        filtered: FILTERS.iter().any(|name| visit.query().given(name).is_some()),
        pager: found.as_ref().map(|found| visit.pager(found)).unwrap_or_default(),
        table: found
            .filter(|found| !found.items.is_empty())
            .map(|found| EventTable::everywhere(found.items, !finance, visit.now)),
    };
    visit.page(&page, error)
}

fn asked(visit: &Visit) -> Result<ListAudit> {
    let query = visit.query();
    Ok(ListAudit {
        project_id: parsed(query, "project")?,
        actor: query.given("actor").map(str::to_owned),
        action: query.given("action").map(str::to_owned),
        trace: parsed(query, "trace")?,
        from: moment(query, "from")?,
        to: moment(query, "to")?,
        cursor: visit.cursor(),
        limit: Limit::default(),
    })
}

fn parsed<T: std::str::FromStr<Err = crate::kernel::Malformed>>(query: &Sent, name: &'static str) -> Result<Option<T>> {
    let read = |text: &str| {
        text.parse().map_err(|wrong: crate::kernel::Malformed| Error::invalid(name, format!("This is {wrong}.")))
    };
    query.given(name).map(read).transpose()
}

/// A moment as the browser's own control writes it, `2026-11-22T01:02`, or in full.
fn moment(query: &Sent, name: &'static str) -> Result<Option<Timestamp>> {
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
    shell: Shell,
    report: VerifyReport,
    as_of: String,
}

/// Verifies the log and shows what was found.
pub async fn verify(visit: Visit) -> Response {
    visit.answer(verify_page(&visit).await)
}

async fn verify_page(visit: &Visit) -> Result<Response> {
    let report = visit.read(&VerifyAudit { project_id: parsed(visit.query(), "project")? }).await?;
    let page = Verify { shell: visit.shell(Section::Audit), as_of: exact(report.as_of), report };
    visit.page(&page, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        let read =
            |text: &str| moment(&Sent::of_pairs(&[("from", text)]), "from").map(|at| at.map(|at| at.to_string()));
        for text in ["2026-11-22T01:02", "2026-11-22T01:02:00", "2026-11-22T01:02:00Z"] {
            assert_eq!(read(text).unwrap().as_deref(), Some("2026-11-22T01:02:00.000000Z"), "{text}");
        }
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("yesterday").unwrap_err().field(), Some("from"));
    }
}
