//! Signing in and out.

use super::{
    flash::Flash,
    layout::{Banner, Layout, home},
    page_request::done,
};
use crate::{
    app::people::{AuthConfig, AuthConfigView, Login, Logout},
    error::{Error, Result},
    http::{
        Arrival, Caller, HttpState, Problem,
        auth::{check_origin, session_cookie_header},
        dashboard::widgets::{Field, Fields, FormData, wait},
        problem::told,
    },
};
use askama::Template;
use axum::{
    extract::{FromRequest, Query, Request, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderValue, header};
use serde::Deserialize;
use std::sync::Arc;

/// The sign-in page.
#[derive(Template)]
#[template(path = "pages/sign_in.html")]
struct Page {
    layout: Layout,
    config: AuthConfigView,
    fields: Fields,
    /// Where it is sent to, below the base path.
    action: String,
    /// A form that waits for the sign-in, sealed.
    form: String,
    next: String,
    wait: Option<String>,
}

/// What the address of the sign-in may carry.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    next: String,
    #[serde(default)]
    #[serde(rename = "said")]
    flash: String,
}

/// The parts of the dashboard that signing in may lead back to. A list of what is allowed, so that no way of writing an
/// address leads to another site.
const RETURNS: [&str; 9] =
    ["projects", "approvals", "requests", "resources", "runs", "services", "users", "audit", "account"];

/// The page to go on to after signing in, below the base path, if it is one of ours.
pub(crate) fn safe_next(wanted: &str) -> Option<&str> {
    let path = wanted.strip_prefix('/')?;
    let part = path.split(['/', '?', '#']).next()?;
    let plain = wanted.len() <= 1000 && wanted.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    (plain && RETURNS.contains(&part)).then_some(wanted)
}

/// Shows the sign-in, or goes on when somebody is signed in.
pub(crate) async fn show(
    State(state): State<Arc<HttpState>>,
    caller: Option<Caller>,
    arrival: Arrival,
    Query(wanted): Query<Wanted>,
) -> Response {
    if let Some(caller) = caller {
        let next = safe_next(&wanted.next).unwrap_or_else(|| home(&caller.actor));
        return Redirect::to(&state.base().join(next)).into_response();
    }
    let flash = Flash::of(Some(&format!("said={}", wanted.flash)));
    let page = page(&state, &arrival, Purpose::Next(&wanted.next), None, None, flash).await;
    page.unwrap_or_else(|error| Problem(error).into_response())
}

/// What signing in is for.
#[derive(Clone, Copy)]
enum Purpose<'p> {
    /// To go on to a page.
    Next(&'p str),
    /// To bring back a form that was sent to `path`, which has its query.
    Form { path: &'p str, sealed: &'p str },
}

/// The sign-in with a form that waits for it.
pub(super) async fn again(
    state: &HttpState,
    arrival: &Arrival,
    path: &str,
    sealed: &str,
    form_data: Option<&FormData>,
    error: Error,
) -> Result<Response> {
    page(state, arrival, Purpose::Form { path, sealed }, form_data, Some(error), None).await
}

async fn page(
    state: &HttpState,
    arrival: &Arrival,
    purpose: Purpose<'_>,
    form_data: Option<&FormData>,
    error: Option<Error>,
    flash: Option<Flash>,
) -> Result<Response> {
    let config = state.submit(&state.call(arrival, None), &AuthConfig {}).await?;
    let username = Field::line("username", "Username").required().longest(64).autocomplete("username");
    let password = Field::password("password", "Password", "current-password");
    // Whoever comes back with an error has to type the password again, and nothing else.
    let (username, password) =
        if form_data.is_some() { (username, password.first()) } else { (username.first(), password) };
    let (action, form, next) = match purpose {
        Purpose::Next(next) => ("/sign-in", "", safe_next(next).unwrap_or_default()),
        Purpose::Form { path, sealed } => (path, sealed, ""),
    };
    let page = Page {
        layout: Layout {
            flash: flash.map(Flash::sentence),
            problem: error.as_ref().map(|error| Banner::new(error, &arrival.trace, state.base())),
            ..Layout::bare(state)
        },
        fields: Fields(vec![username, password]).keep(form_data),
        action: action.to_owned(),
        form: form.to_owned(),
        next: next.to_owned(),
        wait: error.as_ref().and_then(Error::retry_after_secs).map(wait),
        config,
    };
    let html = Html(page.render().map_err(Error::bug)?).into_response();
    Ok(match error {
        Some(error) => told(error, html),
        None => html,
    })
}

/// Signs in and goes on to where the person wanted to be.
pub(crate) async fn enter(State(state): State<Arc<HttpState>>, arrival: Arrival, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // There is no session to ride on yet, but another site could sign somebody in as somebody else.
    if let Err(error) = check_origin(&state, &parts) {
        return Problem(error).into_response();
    }
    let form_data = match FormData::from_request(Request::from_parts(parts, body), &state).await {
        Ok(form_data) => form_data,
        Err(problem) => return problem.into_response(),
    };
    match sign_in(&state, &arrival, &form_data).await {
        Ok(response) => response,
        Err(error) => {
            let purpose = Purpose::Next(form_data.text("next"));
            let page = page(&state, &arrival, purpose, Some(&form_data), Some(error), None).await;
            page.unwrap_or_else(|error| Problem(error).into_response())
        }
    }
}

async fn sign_in(state: &HttpState, arrival: &Arrival, form_data: &FormData) -> Result<Response> {
    let (_, cookie) = session(state, arrival, form_data).await?;
    let next = safe_next(form_data.text("next")).unwrap_or("/");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&state.base().join(next))).into_response())
}

/// A new session for what a sign-in sent: its token, and the cookie that holds it.
pub(super) async fn session(
    state: &HttpState,
    arrival: &Arrival,
    form_data: &FormData,
) -> Result<(String, HeaderValue)> {
    let login = Login { username: form_data.text("username").to_owned(), password: form_data.secret("password") };
    let session = Box::pin(state.submit(&state.call(arrival, None), &login)).await?;
    let lasts = session.expires_at.since(state.app().world().now()).as_secs();
    let cookie = session_cookie_header(state, arrival, &session.token, lasts)?;
    Ok((session.token, cookie))
}

/// Signs out. A session that is over already is signed out just as well.
pub(crate) async fn leave(State(state): State<Arc<HttpState>>, caller: Option<Caller>, arrival: Arrival) -> Response {
    let left = match &caller {
        Some(caller) => state.submit(&state.call(&arrival, Some(caller)), &Logout {}).await.map(|_| ()),
        None => Ok(()),
    };
    match left.and_then(|()| forget(&state, &arrival, Flash::SignedOut)) {
        Ok(response) => response,
        Err(error) => Problem(error).into_response(),
    }
}

/// Back to the sign-in without the cookie.
pub(crate) fn forget(state: &HttpState, arrival: &Arrival, flash: Flash) -> Result<Response> {
    let cookie = session_cookie_header(state, arrival, "", 0)?;
    Ok(([(header::SET_COOKIE, cookie)], done(state, "/", flash)).into_response())
}

#[cfg(test)]
mod tests {
    use super::safe_next;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        for ours in ["/projects", "/projects/proj-2026-0001?x=1#keys", "/audit?actor=a%40b", "/runs/run_1"] {
            assert_eq!(safe_next(ours), Some(ours));
        }
        for theirs in [
            "",
            "/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/projects\\..",
            "/projects\r\nx: y",
            "/api/auth/logout",
            "/sign-out",
            "projects",
            "/%2f%2fevil.example",
            " /projects",
            "/.//projects",
            "/projectsevil",
        ] {
            assert_eq!(safe_next(theirs), None, "{theirs:?}");
        }
        assert_eq!(safe_next(&format!("/projects?{}", "x".repeat(1000))), None);
    }
}
