//! The service: routes of its own, and Asgard below a path of it.

use crate::{
    activity::ActivityFile,
    gate::{gate, role},
    parts::{CompanyClock, Facilities, Floors, Safe, desk},
    session::{COOKIE, Sessions, Visitor},
};
use asgard_lib::{
    Error, Result,
    app::{Asgard, ServiceCatalog, people::Vouched, projects::ListProjects},
    config::{Config, DatabaseLocation, KeySource},
    http::{HttpState, Readiness, check_origin, mounted, problem, well_known},
    kernel::{Limit, Role, Timestamp},
    runtime::{Background, Runtime},
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
use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Where Asgard is.
const BASE: &str = "/governance";

/// What the host's handlers share.
pub struct Host {
    pub(crate) sessions: Sessions,
    activity: ActivityFile,
    asgard: Arc<HttpState>,
}

impl Host {
    fn app(&self) -> &Arc<Asgard> {
        self.asgard.app()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app().world().now()
    }
}

/// A service that is open, with what runs in the background.
pub struct Service {
    host: Arc<Host>,
    clock: Arc<CompanyClock>,
    runtime: Runtime,
    background: Background,
    follower: JoinHandle<()>,
    stop: CancellationToken,
}

impl Service {
    /// Opens Asgard on a SQLite file in `data` and starts its background work. `bind` is where the service is going to listen.
    ///
    /// # Errors
    ///
    /// A database, a key or a file of the company's that cannot be used.
    pub async fn open(data: &Path, bind: SocketAddr, sessions: Sessions) -> Result<Self> {
        let mut config = Config::default();
        config.server.bind = bind;
        config.database.location = DatabaseLocation::Sqlite { path: data.join("asgard.db") };
        config.keys.source = KeySource::GeneratedFile { path: data.join("asgard.db.key") };
        let activity = ActivityFile::open(data).await?;
        let (clock, facilities) = (Arc::new(CompanyClock::default()), Facilities::new(sessions.derived(b"facilities")));
        let runtime = Runtime::builder(config)
            .clock(Arc::clone(&clock) as _)
            .secrets(Arc::new(Safe::in_folder(&data.join("safe")).await?))
            .runner(Arc::clone(&facilities) as _)
            .catalog(ServiceCatalog::of([desk()?], Vec::new()))
            .policy(Arc::new(Floors))
            .open()
            .await?;
        facilities.bind(runtime.app());
        let asgard = HttpState::below(Arc::clone(runtime.app()), BASE.parse()?);
        let host = Arc::new(Host { sessions, activity, asgard });
        let stop = CancellationToken::new();
        let background = runtime.spawn_background(&stop);
        let (following, over) = (Arc::clone(&host), stop.clone());
        let follower = tokio::spawn(async move { following.activity.follow(following.app(), &over).await });
        Ok(Self { host, clock, runtime, background, follower, stop })
    }

    /// The company's clock, which the company's sessions and everything in Asgard go by.
    pub fn clock(&self) -> &Arc<CompanyClock> {
        &self.clock
    }

    /// Every route. The host's own come first, so a path that both know is the host's: that is how passwords and Asgard's
    /// sign-in and sign-out are replaced here. Asgard has the rest of its path, and what clients look for at the root about it.
    pub fn router(&self) -> Router {
        let host = &self.host;
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
            .with_state(Arc::clone(host))
            .fallback_service(asgard)
            .layer(from_fn_with_state(Arc::clone(host), gate))
    }

    /// What ends [`Service::serve`].
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Serves until it is stopped, then finishes what has begun and closes everything.
    ///
    /// # Errors
    ///
    /// What the listener fails with.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let router = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let stopped = self.stop.clone().cancelled_owned();
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
        self.close().await;
        served
    }

    /// Ends the background work and closes the database.
    pub async fn close(self) {
        self.host.asgard.set_readiness(Readiness::Stopping);
        self.stop.cancel();
        let grace = Duration::from_secs(self.host.app().config().server.shutdown_grace_secs);
        self.background.stop(grace).await;
        if let Err(error) = self.follower.await {
            tracing::error!(%error, "Following the event feed ended before it was told to.");
        }
        self.runtime.close().await;
    }
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
    let page = person.run(&ListProjects { cursor: None, limit: Limit::default() }).await?;
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
