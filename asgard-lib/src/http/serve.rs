//! The listener of a server: accepts, limits, and stops without dropping what it has begun.

mod places;
mod watch;

use super::{Peer, Surface, health::not_ready, problem, state::HttpState};
use crate::{
    config::Server,
    kernel::{BasePath, TraceId},
    ports::world::World,
};
use axum::{Router, body::Body, response::IntoResponse};
use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use places::{Place, Places, is_probe};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use watch::Watch;

/// Where requests go. While the server is still opening its database there is nothing to send them to: `/healthz` says
/// `ok` and everything else, `/readyz` too, answers 503.
#[derive(Default)]
pub struct Front {
    behind: OnceLock<(Router, Option<Arc<HttpState>>)>,
}

crate::kernel::opaque!(Front);

impl Front {
    /// A front with nothing behind it yet.
    pub fn closed() -> Arc<Self> {
        Arc::default()
    }

    /// Sends requests to the router of `state` from now on. Only the first time counts.
    pub fn open(&self, state: &Arc<HttpState>) {
        let _ = self.behind.set((super::server(Arc::clone(state), Surface::All), Some(Arc::clone(state))));
    }

    fn state(&self) -> Option<Arc<HttpState>> {
        self.behind.get().and_then(|(_, state)| state.clone())
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.behind.get() {
            // Cloning a router clones one `Arc`.
            Some((router, _)) => match router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            None => early(request.uri().path()),
        }
    }
}

/// A server may also be given a router of the embedder's own.
impl From<Router> for Front {
    fn from(router: Router) -> Self {
        let front = Self::default();
        let _ = front.behind.set((router, None));
        front
    }
}

/// What is answered before there is anything to ask.
fn early(path: &str) -> Response<Body> {
    if path == "/healthz" {
        return Response::new(Body::from("ok"));
    }
    let trace: TraceId = World::system().id();
    let mut response = problem::Problem(not_ready("Asgard is starting.")).into_response();
    problem::render(&mut response, &trace, &BasePath::root());
    response
}

/// How many bytes of a connection are buffered at most; a request's head has to fit.
const BUFFER: usize = 64 * 1024;
/// How long to wait when the system has no more sockets to give.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `front` on `listener` until `stop`: then nothing new is accepted, what has begun may finish within
/// `shutdown_grace_secs`, and what is left after that is cut off.
///
/// # Errors
///
/// When the listener's own address cannot be read; failures of single connections end those connections.
pub async fn serve(
    listener: TcpListener,
    front: Arc<Front>,
    settings: &Server,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let places = Places::new(settings.max_connections, settings.max_connections_per_peer);
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let idle = Duration::from_secs(settings.request_timeout_secs) + watch::KEEP_ALIVE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (front, stop, cut) = (Arc::clone(&front), stop.clone(), cut.clone());
                let places = Arc::clone(&places);
                tasks.spawn(async move {
                    // Counted where it ends as where it began, also when the front opened in between.
                    let counted = front.state();
                    if let Some(state) = &counted {
                        state.meters().connections(1.0);
                    }
                    connection(stream, peer, front, &places, stop, cut, idle).await;
                    if let Some(state) = &counted {
                        state.meters().connections(-1.0);
                    }
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%address, %error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    let grace = Duration::from_secs(settings.shutdown_grace_secs);
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "connections were cut off after {} seconds of grace",
            grace.as_secs()
        );
        cut.cancel();
        tasks.wait().await;
    }
    Ok(())
}

/// Whether a failed accept was the fault of the client that went away.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn lock(place: &Mutex<Option<Place>>) -> MutexGuard<'_, Option<Place>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves when a connection without a place has to make room for another one.
async fn displaced(wait: Option<&places::Wait>) {
    match wait {
        Some(wait) => wait.over.cancelled().await,
        None => std::future::pending().await,
    }
}

#[allow(clippy::too_many_arguments, reason = "the parts of one connection")]
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    front: Arc<Front>,
    places: &Arc<Places>,
    stop: CancellationToken,
    cut: CancellationToken,
    idle: Duration,
) {
    // Without this an answer in two writes waits for the client's delayed acknowledgement: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    // Without a place the connection is heard all the same: it may be a probe.
    let place = Arc::new(Mutex::new(places.take(peer.ip())));
    let mut wait = lock(&place).is_none().then(|| places.join());
    let watch = Arc::new(Watch::new(idle));
    let io = TokioIo::new(watch::Watched::new(stream, Arc::clone(&watch)));
    let service = {
        let (watch, places, place) = (Arc::clone(&watch), Arc::clone(places), Arc::clone(&place));
        service_fn(move |mut request: Request<Incoming>| {
            watch.head_is_read();
            request.extensions_mut().insert(Peer { address: peer.ip(), tls: false });
            let (front, watch) = (Arc::clone(&front), Arc::clone(&watch));
            let (places, place) = (Arc::clone(&places), Arc::clone(&place));
            async move {
                let placed = lock(&place).is_some();
                let probes = !placed && is_probe(request.uri().path());
                if !placed && !probes {
                    let taken = places.wait(peer.ip()).await;
                    *lock(&place) = Some(taken);
                }
                let mut response = front.answer(request.map(Body::new)).await;
                if probes {
                    // It is answered beside the places, once.
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                watch.answered();
                Ok::<_, Infallible>(response)
            }
        })
    };
    let mut builder = http1::Builder::new();
    builder.keep_alive(true).max_buf_size(BUFFER);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            // Clients that break off or send nonsense are not news.
            _ = &mut connection => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = cut.cancelled() => return,
            () = displaced(wait.as_ref()) => {
                if lock(&place).is_none() {
                    return;
                }
                wait = None;
            }
            () = watch.given_up() => return,
        }
    }
}
