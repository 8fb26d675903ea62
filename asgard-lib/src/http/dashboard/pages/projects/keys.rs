//! A project's keys. A new one is shown in the answer that made it and never again.

use super::{Head, Tab};
use crate::{
    app::keys::{AdoptKey, KeyMinted, KeyView, ListKeys, MintKey, RevokeKey},
    error::{Error, Result},
    http::dashboard::{
        frame::{self, Flash, Layout, PageRequest, Section},
        widgets::{Badge, Field, Fields, FormData, Pager, When},
    },
    kernel::{Limit, Timestamp},
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/keys.html")]
struct Keys {
    layout: Layout,
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
    stops: Option<When>,
    revealed: Option<When>,
}

/// Shows a project's keys.
pub(crate) async fn keys(page_request: PageRequest, Path(id): Path<String>) -> Response {
    page_request.answer(page(&page_request, &id, None, None).await)
}

async fn page(
    page_request: &PageRequest,
    id: &str,
    form_data: Option<&FormData>,
    error: Option<Error>,
) -> Result<Response> {
    let head = Head::load(page_request, id, Tab::Keys).await?;
    let ask = ListKeys {
        project_id: Some(head.project.project_id.clone()),
        cursor: page_request.cursor(),
        limit: Limit::default(),
    };
    let found = page_request.submit(&ask).await?;
    let mut fields = Fields(vec![
        Field::line("name", "What it is for").required().longest(120).placeholder("agent"),
        Field::whole("expires_in_days", "Works for days", 1, 3650).help("Left empty, it works until it is revoked."),
    ])
    .keep(form_data);
    if let Some(error) = &error {
        fields.blame(error);
    }
    let page = Keys {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        once: page_request.once_again(form_data, error.as_ref()),
        head,
        fields,
        pager: page_request.pager(&found),
        rows: found.items.into_iter().map(|key| row(page_request, key)).collect(),
    };
    page_request.page(&page, error)
}

fn row(page_request: &PageRequest, key: KeyView) -> Row {
    let over = |until: Option<Timestamp>| until.is_some_and(|until| page_request.now >= until);
    let (expired, stopped) = (over(key.expires_at), over(key.flag.as_ref().and_then(|flag| flag.stops_at)));
    Row {
        badge: Badge::credential(key.revoked_at.is_some(), expired || stopped),
        works: key.revoked_at.is_none() && !expired,
        stops: key.flag.as_ref().and_then(|flag| flag.stops_at).map(|at| When::new(at, page_request.now)),
        revealed: key.reveals.as_ref().map(|reveals| When::new(reveals.last_at, page_request.now)),
        minted: When::new(key.created_at, page_request.now),
        used: key.last_used_at.map(|at| When::new(at, page_request.now)),
        ends: key.expires_at.map(|at| When::new(at, page_request.now)),
        key,
    }
}

#[derive(Template)]
#[template(path = "pages/key_minted.html")]
struct Minted {
    layout: Layout,
    head: Head,
    name: String,
    /// Missing when the same form was sent again: it was shown then.
    key: Option<String>,
    suffix: String,
    endpoint: String,
}

/// Mints a key and shows it, this once.
pub(crate) async fn mint(page_request: PageRequest, Path(id): Path<String>, form_data: FormData) -> Response {
    let came_to = match try_mint(&page_request, &id, &form_data).await {
        Ok(minted) => show(&page_request, &id, minted).await,
        Err(error) => page(&page_request, &id, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_mint(page_request: &PageRequest, id: &str, form_data: &FormData) -> Result<KeyMinted> {
    let mint = MintKey {
        project_id: frame::id(id, "project")?,
        name: form_data.read("name")?,
        expires_in_days: form_data.read_number("expires_in_days")?,
    };
    page_request.submit_once(&mint, form_data).await
}

async fn show(page_request: &PageRequest, id: &str, minted: KeyMinted) -> Result<Response> {
    let page = Minted {
        layout: page_request.layout(Section::Projects),
        head: Head::load(page_request, id, Tab::Keys).await?,
        name: minted.name.to_string(),
        key: minted.key,
        suffix: minted.suffix,
        endpoint: page_request.mcp_address(),
    };
    page_request.page(&page, None)
}

/// Adopts a key.
pub(crate) async fn adopt(page_request: PageRequest, Path((id, key)): Path<(String, String)>) -> Response {
    let came_to = match try_adopt(&page_request, &id, &key).await {
        Ok(()) => Ok(page_request.done(&format!("/projects/{id}/keys"), Flash::KeyAdopted)),
        Err(error) => page(&page_request, &id, None, Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_adopt(page_request: &PageRequest, id: &str, key: &str) -> Result<()> {
    let adopt = AdoptKey { project_id: frame::id(id, "project")?, key_id: frame::id(key, "key")? };
    page_request.submit(&adopt).await.map(|_| ())
}

/// Revokes a key.
pub(crate) async fn revoke(page_request: PageRequest, Path((id, key)): Path<(String, String)>) -> Response {
    let came_to = match try_revoke(&page_request, &id, &key).await {
        Ok(()) => Ok(page_request.done(&format!("/projects/{id}/keys"), Flash::KeyRevoked)),
        Err(error) => page(&page_request, &id, None, Some(error)).await,
    };
    page_request.answer(came_to)
}

async fn try_revoke(page_request: &PageRequest, id: &str, key: &str) -> Result<()> {
    let revoke = RevokeKey { project_id: Some(frame::id(id, "project")?), key_id: frame::id(key, "key")? };
    page_request.submit(&revoke).await.map(|_| ())
}
