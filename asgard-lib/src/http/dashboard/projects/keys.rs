//! A project's keys. A new one is shown in the answer that made it and never again.

use super::{
    super::{
        field::{Field, Fields},
        said::Said,
        sent::{Input, Sent},
        shell::{Section, Shell},
        show::{Badge, When},
        visit::{Pager, Visit, done, text},
    },
    Head, Tab,
};
use crate::{
    app::keys::{KeyView, ListKeys},
    error::{Error, Result},
    kernel::Limit,
};
use askama::Template;
use axum::{extract::Path, response::Response};
use serde_json::Value;

#[derive(Template)]
#[template(path = "pages/keys.html")]
struct Keys {
    shell: Shell,
    head: Head,
    once: String,
    fields: Fields,
    rows: Vec<Row>,
    pager: Pager,
}

struct Row {
    key: KeyView,
    badge: Badge,
    works: bool,
    minted: When,
    used: Option<When>,
    ends: Option<When>,
}

/// Shows a project's keys.
pub async fn keys(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(page(&visit, &id, None, None).await)
}

async fn page(visit: &Visit, id: &str, sent: Option<&Sent>, error: Option<Error>) -> Result<Response> {
    let head = Head::load(visit, id, Tab::Keys).await?;
    let ask =
        ListKeys { project_id: Some(head.project.project_id.clone()), cursor: visit.cursor(), limit: Limit::default() };
    let found = visit.read(&ask).await?;
    let mut fields = Fields(vec![
        Field::line("name", "What it is for").required().longest(120).placeholder("agent"),
        Field::whole("expires_in_days", "Works for days", 1, 3650).help("Left empty, it works until it is revoked."),
    ])
    .keep(sent);
    if let Some(error) = &error {
        fields.blame(error);
    }
    let page = Keys {
        shell: visit.shell(Section::Projects).with(error.as_ref().map(|error| visit.banner(error))),
        once: visit.once_again(sent, error.as_ref()),
        head,
        fields,
        pager: visit.pager(&found),
        rows: found.items.into_iter().map(|key| row(visit, key)).collect(),
    };
    visit.page(&page, error)
}

fn row(visit: &Visit, key: KeyView) -> Row {
    let expired = key.expires_at.is_some_and(|until| visit.now >= until);
    Row {
        badge: Badge::credential(key.revoked_at.is_some(), expired),
        works: key.revoked_at.is_none() && !expired,
        minted: When::new(key.created_at, visit.now),
        used: key.last_used_at.map(|at| When::new(at, visit.now)),
        ends: key.expires_at.map(|at| When::new(at, visit.now)),
        key,
    }
}

#[derive(Template)]
#[template(path = "pages/key_minted.html")]
struct Minted {
    shell: Shell,
    head: Head,
    name: String,
    /// Missing when the same form was sent again: it was shown then.
    key: Option<String>,
    suffix: String,
    endpoint: String,
}

/// Mints a key and shows it, this once.
pub async fn mint(visit: Visit, Path(id): Path<String>, sent: Sent) -> Response {
    let came_to = match try_mint(&visit, &id, &sent).await {
        Ok(minted) => show(&visit, &id, &minted).await,
        Err(error) => page(&visit, &id, Some(&sent), Some(error)).await,
    };
    visit.answer(came_to)
}

async fn try_mint(visit: &Visit, id: &str, sent: &Sent) -> Result<Value> {
    let input = Input::new().set("project_id", id).text("name", sent).number("expires_in_days", sent)?;
    visit.act("keys.mint", input, sent.given("once")).await
}

async fn show(visit: &Visit, id: &str, minted: &Value) -> Result<Response> {
    let page = Minted {
        shell: visit.shell(Section::Projects),
        head: Head::load(visit, id, Tab::Keys).await?,
        name: text(minted, "/name")?,
        key: text(minted, "/key").ok(),
        suffix: text(minted, "/suffix")?,
        endpoint: visit.mcp_address(),
    };
    visit.page(&page, None)
}

/// Revokes a key.
pub async fn revoke(visit: Visit, Path((id, key)): Path<(String, String)>) -> Response {
    let input = Input::new().set("project_id", id.as_str()).set("key_id", key);
    let came_to = match visit.act("keys.revoke", input, None).await {
        Ok(_) => Ok(done(&format!("/projects/{id}/keys"), Said::KeyRevoked)),
        Err(error) => page(&visit, &id, None, Some(error)).await,
    };
    visit.answer(came_to)
}
