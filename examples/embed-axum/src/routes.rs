//! The routes of the host, and Asgard below a path of it.

use crate::{
    gate::{gate, role},
    service::Host,
    session::{COOKIE, Visitor},
};
use asgard_lib::{
    Error, Result,
    app::{people::Vouched, projects::ListProjects},
    http::{check_origin, mounted, problem, well_known},
    kernel::Role,
};
use axum::{
    Extension, Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where Asgard is.
pub(crate) const BASE: &str = "/governance";

/// Every route. The host's own come first, so a path that both know is the host's: that is how passwords and Asgard's
/// sign-in and sign-out are replaced here. Asgard has the rest of its path, and what clients look for at the root about it.
pub(crate) fn router(host: &Arc<Host>) -> Router {
    let asgard = mounted(Arc::clone(&host.asgard)).merge(well_known(Arc::clone(&host.asgard)));
    let replaced = Router::new()
        .route("/", get(start))
        .route("/sign-in", any(no_passwords))
        .route("/api/auth/login", any(no_passwords))
        .route("/sign-out", post(sign_out));
    Router::new()
        .route("/", get(home))
        .route("/team", get(team))
        .route("/activity", get(activity))
        .route("/sign-out", post(sign_out))
        .nest(BASE, replaced)
        .route(&format!("{BASE}/"), get(start))
        .with_state(Arc::clone(host))
        .fallback_service(asgard)
        .layer(from_fn_with_state(Arc::clone(host), gate))
}

fn stranger() -> Response {
    (StatusCode::UNAUTHORIZED, "Sign in to the company first, then come back.\n").into_response()
}

async fn home(visitor: Option<Extension<Visitor>>) -> Response {
    let Some(Extension(Visitor { email, .. })) = visitor else { return stranger() };
    format!(
        "Signed in as {email}. Your team's projects are at /team, what happened at /activity, Asgard at {BASE}/projects.\n"
    )
    .into_response()
}

/// Asgard sends whoever comes to one of its pages without being signed in here.
async fn start(visitor: Option<Extension<Visitor>>) -> Response {
    visitor.map_or_else(stranger, |_| Redirect::to(&format!("{BASE}/projects")).into_response())
}

/// An answer of the host's own, or what is wrong: outside Asgard's router nobody renders its errors.
fn answer(host: &Host, result: Result<Value>) -> Response {
    result.map(Json).map_err(|error| refused(host, &error)).into_response()
}

fn refused(host: &Host, error: &Error) -> Response {
    let document = problem::document(error, &host.app().new_trace(), host.asgard.base());
    (problem::status(error), Json(document)).into_response()
}

/// A route of the host's own that asks Asgard in the same process: the operations that REST and MCP run, as the same person
/// and under the same rules, without HTTP in between.
async fn team(State(host): State<Arc<Host>>, visitor: Option<Extension<Visitor>>) -> Response {
    let Some(Extension(visitor)) = visitor else { return stranger() };
    answer(&host, projects(&host, &visitor).await)
}

async fn projects(host: &Host, visitor: &Visitor) -> Result<Value> {
    let person = host.app().as_person(&Vouched::new(visitor.email.clone(), role(visitor))).await?;
    let page = person.run(&ListProjects::builder().build()).await?;
    let projects = page.items.iter().map(|project| json!({ "id": project.project_id, "name": project.name }));
    Ok(json!({ "visitor": visitor, "projects": projects.collect::<Vec<_>>() }))
}

/// What the company has counted of the event feed, for those who may read Asgard's audit log.
async fn activity(State(host): State<Arc<Host>>, visitor: Option<Extension<Visitor>>) -> Response {
    let Some(Extension(visitor)) = visitor else { return stranger() };
    match role(&visitor) {
        Role::Admin | Role::Finance => {
            let (counted, failure) = (host.activity.read(), host.activity.failure());
            Json(json!({ "activity": *counted, "failure": failure })).into_response()
        }
        Role::Member => (StatusCode::FORBIDDEN, "Admins and finance see what happened.\n").into_response(),
    }
}

/// Ends the company's session in this browser. Asgard's own sign-out would end a session of Asgard's, and there is none.
async fn sign_out(State(host): State<Arc<Host>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(error) = check_origin(&host.asgard, &parts) {
        return refused(&host, &error);
    }
    let forget = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    ([(header::SET_COOKIE, forget)], Redirect::to("/")).into_response()
}

async fn no_passwords() -> StatusCode {
    StatusCode::NOT_FOUND
}
