//! The service: Asgard opened with what the company gives, what runs in the background, and its end.

use crate::{
    activity::ActivityFile,
    parts::{CompanyClock, Facilities, Floors, Safe, desk},
    routes::{BASE, router},
    session::Sessions,
};
use asgard_lib::{
    Result,
    app::{Asgard, ServiceCatalog},
    config::{Config, DatabaseLocation, KeySource},
    http::{HttpState, Readiness},
    kernel::Timestamp,
    runtime::{Background, Runtime},
};
use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What the host's handlers share.
pub struct Host {
    pub(crate) sessions: Sessions,
    pub(crate) activity: ActivityFile,
    pub(crate) asgard: Arc<HttpState>,
}

impl Host {
    pub(crate) fn app(&self) -> &Arc<Asgard> {
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
            .services(ServiceCatalog::of([desk()?], Vec::new()))
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
        let router = router(&self.host).into_make_service_with_connect_info::<SocketAddr>();
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
