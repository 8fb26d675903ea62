//! A signed-in person's request for a page: the extractor that every page but the sign-in takes, and how pages go out.

use super::{
    flash::Flash,
    layout::{Banner, Layout, Section},
    problem::ErrorPage,
    unsent_form::{self, Returned, SignInFirst},
};
use crate::{
    app::{Asgard, Call, Operation},
    domain::access::{Action, Object, decide},
    error::{Code, Error, Result},
    http::{
        Arrival, Caller, HttpState, OwnName,
        auth::Via,
        dashboard::widgets::{FormData, Pager},
        problem::told,
    },
    kernel::{Actor, BasePath, Cursor, Page, Role, Timestamp},
};
use askama::Template;
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{Method, request::Parts};
use std::sync::Arc;

/// A person's request for a page. Without a session, people are sent to sign in and come back afterwards.
pub(crate) struct PageRequest {
    state: Arc<HttpState>,
    caller: Caller,
    arrival: Arrival,
    host: String,
    path: String,
    query: FormData,
    flash: Option<Flash>,
    /// Whether it is a form that comes back after a sign-in, and is only shown.
    returned: bool,
    /// The moment that the page is of.
    pub now: Timestamp,
}

impl FromRequestParts<Arc<HttpState>> for PageRequest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Self, Response> {
        let arrival = Arrival::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let found = <Caller as OptionalFromRequestParts<_>>::from_request_parts(parts, state).await;
        match found {
            Ok(Some(caller)) => Ok(Self {
                state: Arc::clone(state),
                caller,
                arrival,
                host: host(state, parts),
                path: state.base().join(parts.uri.path()),
                query: FormData::of_query(&parts.uri),
                flash: Flash::of(parts.uri.query()),
                returned: parts.extensions.get::<Returned>().is_some(),
                now: state.app().world().now(),
            }),
            Ok(None) => Err(to_sign_in(state, parts)),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// To the sign-in, remembering where a reader wanted to go.
fn to_sign_in(state: &HttpState, parts: &Parts) -> Response {
    let wanted = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    match super::sign_in::safe_next(&wanted).filter(|_| parts.method == Method::GET) {
        Some(next) => Redirect::to(&state.base().join(&format!("/?next={}", encoded(next)))).into_response(),
        None => {
            let mut response = done(state, "/", Flash::NotSent);
            response.extensions_mut().insert(SignInFirst);
            response
        }
    }
}

/// The name of this Asgard where no `public_url` says it: what the platform gave the endpoint, or else where it listens. Never what the
/// request says, because pages show it beside a new key.
fn host(state: &HttpState, parts: &Parts) -> String {
    if let Some(OwnName(own)) = parts.extensions.get() {
        return own.clone();
    }
    let bind = state.settings().bind;
    if bind.ip().is_unspecified() || bind.ip().to_canonical().is_loopback() {
        return format!("localhost:{}", bind.port());
    }
    bind.to_string()
}

/// Text as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    askama::filters::urlencode_strict(text).map_or_else(|never| match never {}, |safe| safe.to_string())
}

impl PageRequest {
    /// The control plane.
    pub(crate) fn app(&self) -> &Asgard {
        self.state.app()
    }

    /// What requests share.
    pub(crate) fn state(&self) -> &HttpState {
        &self.state
    }

    /// What every address of ours begins with.
    pub(crate) fn base(&self) -> &BasePath {
        self.state.base()
    }

    /// To another page, below the base path, after something was done there.
    pub(crate) fn done(&self, path: &str, flash: Flash) -> Response {
        done(&self.state, path, flash)
    }

    /// How the request arrived.
    pub(crate) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Who visits.
    pub(crate) fn actor(&self) -> &Actor {
        &self.caller.actor
    }

    /// The visitor's address.
    pub(crate) fn email(&self) -> &str {
        self.actor().person().map_or("", |person| person.email().as_str())
    }

    /// Whether the visitor may open the pages of projects at all: finance may not.
    pub(crate) fn may_open_projects(&self) -> bool {
        decide(Action::ListProjects, self.actor(), &Object::Nothing).is_ok()
    }

    /// Whether Asgard signed the visitor in, and not the service around it: then there are no password and no sessions here.
    pub(crate) fn signed_in_here(&self) -> bool {
        match self.caller.via {
            Via::Host => false,
            Via::Bearer | Via::Cookie | Via::DevInsecure => true,
        }
    }

    /// Whether the visitor is an admin.
    pub(crate) fn is_admin(&self) -> bool {
        self.actor().role() == Some(Role::Admin)
    }

    /// What the address asks for.
    pub(crate) fn query(&self) -> &FormData {
        &self.query
    }

    /// Where in a list the address asks to go on.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.query.given("cursor").map(|text| Cursor(text.to_owned()))
    }

    /// The links to the rest of a list.
    pub(crate) fn pager<T>(&self, page: &Page<T>) -> Pager {
        let kept: Vec<String> = self
            .query
            .pairs()
            .filter(|(name, value)| !matches!(*name, "cursor" | "said") && !value.is_empty())
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let address = |cursor: Option<String>| {
            let query = kept.iter().cloned().chain(cursor).collect::<Vec<_>>().join("&");
            if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
        };
        Pager {
            first: self.cursor().map(|_| address(None)),
            next: page.next_cursor.as_ref().map(|next| address(Some(format!("cursor={}", encoded(&next.0))))),
        }
    }

    fn call(&self) -> Call {
        self.state.call(&self.arrival, Some(&self.caller))
    }

    fn may_send<O: Operation>(&self) -> Result<()> {
        if self.returned && !O::META.hints.read_only { Err(unsent_form::not_sent()) } else { Ok(()) }
    }

    /// Runs an operation.
    pub(crate) async fn submit<O: Operation>(&self, command: &O) -> Result<O::Output> {
        self.may_send::<O>()?;
        Box::pin(self.state.submit(&self.call(), command)).await
    }

    /// Runs an operation that creates something, with what a form sent. Under the form's `once` it happens once, however
    /// often the form is sent.
    pub(crate) async fn submit_once<O: Operation>(&self, command: &O, form_data: &FormData) -> Result<O::Output> {
        self.may_send::<O>()?;
        let call = Call { idempotency_key: form_data.given("once").map(str::to_owned), ..self.call() };
        Box::pin(self.state.submit(&call, command)).await
    }

    /// Something that no other form has, for a form's `once`.
    pub(crate) fn once(&self) -> String {
        self.app().new_trace().to_string()
    }

    /// A form's `once` when the form comes back: the same, so that what was lost on the way still happens only once, unless
    /// it stands for other input already.
    pub(crate) fn once_again(&self, form_data: Option<&FormData>, error: Option<&Error>) -> String {
        let same = error.is_some_and(|error| error.code() != Code::IdempotencyMismatch);
        form_data
            .filter(|_| same)
            .and_then(|form_data| form_data.given("once"))
            .map_or_else(|| self.once(), str::to_owned)
    }

    /// The address that agents give their MCP clients.
    pub(crate) fn mcp_address(&self) -> String {
        let own = self.state.settings().mcp_url.as_ref();
        own.map_or_else(|| self.public_address("/mcp"), |own| format!("{}/mcp", own.as_str()))
    }

    /// An address of this Asgard as the outside reaches it.
    pub(crate) fn public_address(&self, path: &str) -> String {
        let settings = self.state.settings();
        let path = self.base().join(path);
        match &settings.public_url {
            Some(public) => format!("{}{path}", public.origin()),
            None => {
                let scheme = if self.arrival.tls || settings.force_https { "https" } else { "http" };
                format!("{scheme}://{}{path}", self.host)
            }
        }
    }

    /// The frame of a page.
    pub(crate) fn layout(&self, here: impl Into<Option<Section>>) -> Layout {
        Layout {
            flash: self.flash.map(Flash::sentence),
            insecure: self.caller.via == Via::DevInsecure,
            ..Layout::of(&self.state, self.actor(), here.into())
        }
    }

    /// An error as it stands above a page.
    pub(crate) fn banner(&self, error: &Error) -> Banner {
        Banner::new(error, &self.arrival.trace, self.base())
    }

    /// A page; with an error that it tells about, under that error's status.
    pub(crate) fn page(&self, page: &impl Template, error: Option<Error>) -> Result<Response> {
        let html = Html(page.render().map_err(Error::bug)?).into_response();
        Ok(match error {
            Some(error) => told(error, html),
            None => html,
        })
    }

    /// What a handler came to: a page, or a page about what went wrong.
    pub(crate) fn answer(&self, came_to: Result<Response>) -> Response {
        came_to.unwrap_or_else(|error| ErrorPage::answer(self.layout(None), &self.arrival.trace, error))
    }
}

/// An id out of an address. One that cannot be an id is looked for in vain, like one that is not there.
pub(crate) fn id<T: std::str::FromStr>(text: &str, noun: &str) -> Result<T> {
    text.parse().map_err(|_| Error::not_found(noun))
}

/// To another page, below the base path, after something was done there.
pub(crate) fn done(state: &HttpState, path: &str, flash: Flash) -> Response {
    let (path, fragment) = path.split_once('#').map_or((path, String::new()), |(path, id)| (path, format!("#{id}")));
    let joint = if path.contains('?') { '&' } else { '?' };
    Redirect::to(&state.base().join(&format!("{path}{joint}said={}{fragment}", flash.slug()))).into_response()
}
