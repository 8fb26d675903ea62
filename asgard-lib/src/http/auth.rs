//! Who asks: exactly one credential, from a header or the session cookie, and for cookies proof that our own page asks.

mod host;
pub(super) mod origin;

use super::{Arrival, HttpState, Problem};
use crate::{
    app::{
        bootstrap,
        people::{Accepts, authenticate},
    },
    error::{Code, Error, Result},
    kernel::{Actor, BasePath, Role, SignIn},
};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
pub use host::{HostCredential, HostUser};
use http::{HeaderMap, HeaderValue, header, request::Parts};
pub use origin::check_origin;
use std::sync::Arc;

/// The name of the session cookie of an Asgard at `base`: `asgard_session`, and `asgard_session_governance` below `/governance`.
/// Two that are below each other have different names, so that a browser that sends both cookies to the inner one does not send
/// two different credentials. Where neither is below the other, the cookies' paths keep them apart, whatever their names are.
pub(super) fn session_cookie_name(base: &BasePath) -> String {
    format!("asgard_session{}", base.as_str().replace('/', "_"))
}

/// How a caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An `Authorization: Bearer` header.
    Bearer,
    /// The session cookie.
    Cookie,
    /// The embedding service signed them in: a [`HostUser`].
    Host,
    /// Nothing: sign-in is switched off on this loopback listener.
    DevInsecure,
}

/// Who asks. As an extractor it refuses requests without a good credential, and unsafe requests from another
/// site by cookie or by the host's sign-in; `Option<Caller>` is `None` for requests without one and for sessions that are over.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub actor: Actor,
    /// How they proved it.
    pub via: Via,
}

/// A credential as it was presented. No `Debug`.
enum Presented<'a> {
    Bearer(&'a str),
    Cookie(&'a str),
}

fn presented<'h>(state: &HttpState, headers: &'h HeaderMap) -> Result<Option<Presented<'h>>> {
    let bearer = bearer(headers)?;
    let cookie = session_cookie(headers, state.session_cookie())?;
    match (bearer, cookie) {
        (Some(bearer), Some(cookie)) if bearer != cookie => Err(several()),
        (Some(bearer), _) => Ok(Some(Presented::Bearer(bearer))),
        (None, Some(cookie)) => Ok(Some(Presented::Cookie(cookie))),
        (None, None) => Ok(None),
    }
}

fn several() -> Error {
    Error::new(
        Code::InvalidInput,
        "The request carries two different credentials. Send one: the Authorization header or the session cookie.",
    )
    .at("authorization")
}

/// The credential of the Authorization header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(several());
    }
    let (scheme, credential) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    let credential = credential.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() {
        return Err(Error::new(Code::BadCredential, "Send the credential as `Authorization: Bearer <credential>`."));
    }
    Ok(Some(credential))
}

fn session_cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Result<Option<&'h str>> {
    let mut found = None;
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    for (name, value) in texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim() != wanted || value.is_empty() {
            continue;
        }
        if found.is_some_and(|earlier| earlier != value) {
            return Err(several());
        }
        found = Some(value);
    }
    Ok(found)
}

/// What a request without a credential is told.
fn nobody(state: &HttpState) -> Error {
    let login = state.base().join("/api/auth/login");
    Error::new(
        Code::NoCredential,
        format!(
            "Sign in at POST {login} and send the token as `Authorization: Bearer <token>`, or use a user token (asg_pat_...)."
        ),
    )
}

async fn identify(state: &HttpState, parts: &Parts) -> Result<Option<Caller>> {
    if let Some(user) = HostUser::of(parts) {
        return user.identify(state, parts).await.map(Some);
    }
    let (credential, via) = match presented(state, &parts.headers)? {
        Some(Presented::Bearer(credential)) => (credential, Via::Bearer),
        Some(Presented::Cookie(credential)) => (credential, Via::Cookie),
        None if state.settings().dev_insecure => {
            origin::check_dev(state, parts)?;
            return Ok(Some(Caller { actor: admin(state).await?, via: Via::DevInsecure }));
        }
        None => return Ok(None),
    };
    let actor = authenticate(state.app(), credential, Accepts::People).await?;
    if via == Via::Cookie && !parts.method.is_safe() {
        check_origin(state, parts)?;
    }
    Ok(Some(Caller { actor, via }))
}

/// The configured admin, whom everybody is while sign-in is switched off. An account that is gone or switched off is like a session that
/// is over: whoever asks may sign in as somebody else.
async fn admin(state: &HttpState) -> Result<Actor> {
    let user = bootstrap::stand_in(state.app()).await?;
    Ok(Actor::Human { person: user.person(), role: Role::Admin, sign_in: SignIn::DevInsecure })
}

impl FromRequestParts<Arc<HttpState>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Self, Problem> {
        identify(state, parts).await?.ok_or_else(|| Problem(nobody(state)))
    }
}

impl OptionalFromRequestParts<Arc<HttpState>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Option<Self>, Problem> {
        match identify(state, parts).await {
            // A session that is over is like none. Whom the host vouches for is told what is wrong.
            Err(over)
                if over.code() == Code::BadCredential
                    && !parts.headers.contains_key(header::AUTHORIZATION)
                    && HostUser::of(parts).is_none() =>
            {
                Ok(None)
            }
            found => found.map_err(Problem),
        }
    }
}

/// The cookie that a browser keeps a new session in and sends to nothing but Asgard's path, for `max_age` seconds; an empty token takes it away.
pub(crate) fn session_cookie_header(
    state: &HttpState,
    arrival: &Arrival,
    token: &str,
    max_age: u64,
) -> Result<HeaderValue> {
    let secure = if arrival.tls || state.settings().force_https { "; Secure" } else { "" };
    let (name, path) = (state.session_cookie(), state.base().join("/"));
    let text = format!("{name}={token}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
    let mut value = HeaderValue::from_str(&text).map_err(Error::bug)?;
    value.set_sensitive(true);
    Ok(value)
}
