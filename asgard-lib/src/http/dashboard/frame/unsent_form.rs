//! A form that is sent after its session has ended. The answer is the sign-in, which carries what was sent; whoever signs in
//! there finds the form filled in again, and nothing done yet.
//!
//! What was sent is sealed, because a form may hold a secret, bound to the address that it was sent to, and kept nowhere but in
//! the page. It is run again with the new session only as far as it changes nothing: [`PageRequest::submit`] refuses, and each
//! form knows how to come back with an error.
//!
//! [`PageRequest::submit`]: super::PageRequest::submit

use super::sign_in;
use crate::{
    error::{Code, Error, Result},
    http::{Arrival, HttpState, Problem, auth::check_origin, dashboard::widgets::FormData},
    kernel::Timestamp,
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, header, request::Parts, uri::PathAndQuery};
use http_body_util::BodyExt;
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// The largest form that is carried. What people type is far smaller.
const LARGEST: u64 = 64 * 1024;
/// For how long it may come back.
const LASTS: Duration = Duration::from_secs(3600);
/// The field of the sign-in that holds it.
pub(super) const FIELD: &str = "form";

/// On an answer: the form was not taken because nobody is signed in.
#[derive(Clone, Copy)]
pub(super) struct SignInFirst;

/// On a request: it is a form that comes back, and is not to be carried out.
#[derive(Clone, Copy)]
pub(super) struct Returned;

/// What a form that comes back is told instead of being carried out.
pub(super) fn not_sent() -> Error {
    Error::new(
        Code::WrongState,
        "You had been signed out, so this was not sent. Here it is as you filled it in; look it over and send it again.",
    )
}

struct UnsentForm {
    at: Timestamp,
    body: String,
}

impl UnsentForm {
    /// What is sealed. It is no longer than what was sent, whatever that is, but for the line with the time.
    fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.at.to_string().as_bytes(), b"\n", self.body.as_bytes()].concat())
    }

    fn from_plain(plain: &[u8]) -> Option<Self> {
        let (at, body) = std::str::from_utf8(plain).ok()?.split_once('\n')?;
        Some(Self { at: at.parse().ok()?, body: body.to_owned() })
    }
}

/// The address that a form is sent to, with its query: what the form is about may be there alone.
fn address(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// Text that was sealed for one address is read by no other.
fn purpose(path: &str) -> String {
    format!("form{path}")
}

/// Around every page: keeps a form until it is known whether somebody is signed in.
pub(crate) async fn keep_unsent_form(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = request.method() == Method::POST && kind.starts_with("application/x-www-form-urlencoded");
    // The sign-in that carries one is larger than what it carries.
    let fits = request.body().size_hint().upper().is_some_and(|most| most <= LARGEST * 4);
    let Some(arrival) = request.extensions().get::<Arrival>().filter(|_| form && fits).cloned() else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Problem(Error::invalid("body", "The form could not be read to its end.")).into_response();
    };
    let came_to = answer(&state, &arrival, parts, body, next).await;
    came_to.unwrap_or_else(|error| Problem(error).into_response())
}

async fn answer(state: &Arc<HttpState>, arrival: &Arrival, parts: Parts, body: Bytes, next: Next) -> Result<Response> {
    let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
    if let Ok(form_data) = FormData::from_request(again, state).await
        && let Some(sealed) = form_data.given(FIELD)
    {
        return come_back(state, arrival, parts, sealed, &form_data, next).await;
    }
    // A page of another site is given nothing that it could have somebody sign in for.
    let own = check_origin(state, &parts).is_ok();
    let path = sign_in::safe_next(address(&parts)).filter(|_| own).map(str::to_owned);
    let response = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
    let (Some(SignInFirst), Some(path), Ok(text)) =
        (response.extensions().get(), path, String::from_utf8(body.to_vec()))
    else {
        return Ok(response);
    };
    if text.len() as u64 > LARGEST {
        return Ok(response);
    }
    let form = UnsentForm { at: state.app().world().now(), body: text };
    let sealed = state.seal(&purpose(&path), &form.to_plain())?;
    let ended = Error::new(
        Code::NoCredential,
        "Your session had ended, so what you filled in was not sent. Sign in here, and it comes back for you to send.",
    );
    sign_in::again(state, arrival, &path, &sealed, None, ended).await
}

/// Signs in, and answers the form that was carried as if its first attempt had failed.
async fn come_back(
    state: &Arc<HttpState>,
    arrival: &Arrival,
    mut parts: Parts,
    sealed: &str,
    form_data: &FormData,
    next: Next,
) -> Result<Response> {
    check_origin(state, &parts)?;
    let path = address(&parts).to_owned();
    let plain = state.unseal(&purpose(&path), sealed).await?;
    let form = plain.and_then(|plain| UnsentForm::from_plain(&plain));
    let Some(form) = form.filter(|form| form.at.is_within(LASTS, state.app().world().now())) else {
        return Err(Error::new(
            Code::InvalidInput,
            "What was filled in is kept for an hour after the session has ended, and that is over. Open the page and fill it in again.",
        ));
    };
    let (token, cookie) = match sign_in::session(state, arrival, form_data).await {
        Ok(session) => session,
        Err(error) => return sign_in::again(state, arrival, &path, sealed, Some(form_data), error).await,
    };
    let own = Zeroizing::new(format!("{}={token}", state.session_cookie()));
    let mut own = HeaderValue::from_str(&own).map_err(Error::bug)?;
    own.set_sensitive(true);
    parts.headers.insert(header::COOKIE, own);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.extensions.insert(Returned);
    let mut response = next.run(Request::from_parts(parts, Body::from(form.body))).await;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}
