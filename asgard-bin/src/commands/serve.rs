//! The server. It listens before its database is there, so that `/healthz` tells a slow start from a dead process.

mod admin;

use super::supervisors;
use crate::{
    failure::{Failure, Result},
    logging,
    process::{self, Stop},
    settings,
};
use asgard_lib::{
    adapters::terraform::{Confined, Helper},
    app::Asgard,
    config::{Config, Loaded, Server},
    http::{Front, HttpState, Readiness, serve},
    runtime::{Master, Runtime, RuntimeOptions, init, try_runs},
};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long threads may finish what cannot be interrupted, once everything is closed.
const LAST_BREATH: Duration = Duration::from_secs(1);

pub fn run(config: Option<PathBuf>, bind: Option<String>) -> Result<()> {
    let loaded = settings::load(config.clone(), bind)?;
    logging::start(&loaded, logging::Talk::Usual)?;
    process::raise_file_limit();
    let threads = process::many_threads()?;
    let done = threads.block_on(serving(&loaded, config.as_ref()));
    threads.shutdown_timeout(LAST_BREATH);
    done
}

async fn serving(loaded: &Loaded, file: Option<&PathBuf>) -> Result<()> {
    let config = &loaded.config;
    let mut signals = Stop::listen()?;
    let listener = listen(&config.server).await?;
    let address = listener.local_addr().unwrap_or(config.server.bind);
    tracing::info!(%address, "Listening; opening the database.");
    let (front, stop) = (Front::closed(), CancellationToken::new());
    let mut server = accept(listener, &front, &config.server, &stop);
    let opening = ready(config, file);
    let runtime = tokio::select! {
        opened = opening => opened?,
        (name, _) = signals.next() => {
            tracing::info!("{name} while starting: stopped.");
            return Ok(());
        }
    };
    let state = HttpState::new(Arc::clone(runtime.app()));
    front.open(&state);
    let background = runtime.spawn_background(&stop);
    announce(config, &runtime, address);
    tokio::spawn(try_terraform(Arc::clone(runtime.app()), loaded.file.clone()));
    let asked = tokio::select! {
        (name, _) = signals.next() => {
            tracing::info!("{name}: no new requests; finishing those that run.");
            Ok(())
        }
        ended = &mut server => Err(Failure::failed(format!("the listener ended by itself: {ended:?}"))),
    };
    signals.at_once();
    state.set_readiness(Readiness::Stopping);
    stop.cancel();
    let grace = Duration::from_secs(config.server.shutdown_grace_secs);
    let drained = async {
        if asked.is_ok() {
            drop(server.await)
        }
    };
    tokio::join!(drained, background.stop(grace));
    runtime.close().await;
    tracing::info!("Stopped.");
    asked
}

async fn listen(settings: &Server) -> Result<TcpListener> {
    let address = settings.bind;
    TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!("{address} cannot be listened on: {error}"))
            .hint("Choose another address with --bind, ASGARD_BIND or server.bind.")
    })
}

fn accept(
    listener: TcpListener,
    front: &Arc<Front>,
    settings: &Server,
    stop: &CancellationToken,
) -> JoinHandle<std::io::Result<()>> {
    let (front, settings, stop) = (Arc::clone(front), settings.clone(), stop.clone());
    tokio::spawn(async move { serve(listener, front, &settings, stop).await })
}

/// Everything that has to be there before the first request.
async fn ready(config: &Config, file: Option<&PathBuf>) -> Result<Runtime> {
    let runtime = Runtime::open(config, RuntimeOptions::server(config, supervisors(file)?)).await?;
    match admin::ensure(&runtime).await {
        Ok(()) => Ok(runtime),
        Err(error) => {
            runtime.close().await;
            Err(error.into())
        }
    }
}

fn announce(config: &Config, runtime: &Runtime, address: SocketAddr) {
    tell_of(runtime);
    if config.server.dev_insecure {
        tracing::warn!(
            "ASGARD_DEV_INSECURE is on: NOBODY HAS TO SIGN IN. Whoever reaches {address} is an admin. Never use this in a deployment."
        );
    }
    let url = match &config.server.public_url {
        Some(url) => url.as_str().to_owned(),
        None if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        None => format!("http://{address}"),
    };
    tracing::info!(%address, "Asgard {} is ready at {url}", env!("CARGO_PKG_VERSION"));
}

/// What an operator wants to know at every start, in the log.
pub fn tell_of(runtime: &Runtime) {
    tracing::info!("The database: {}.", runtime.database().place());
    match runtime.master() {
        Master::Given => {}
        Master::Kms => tracing::info!("The master key is in AWS KMS."),
        Master::File { path, created } => {
            let what = if *created { "A master key was generated" } else { "The master key is" };
            tracing::warn!(
                "{what} in {}, because none is configured. Secrets and states can be read only with it: back it up apart from the database, and set ASGARD_SECRET_KEY in a deployment.",
                path.display()
            );
        }
    }
    let config = runtime.app().config();
    if let Some(fargate) = &config.provisioning.fargate {
        tracing::info!(
            cluster = fargate.cluster,
            task_definition = fargate.task_definition,
            targets = config.provisioning.allowed.len(),
            "Provisioning is armed: approved requests create real things, in tasks on Fargate."
        );
        return;
    }
    if config.provisioning.terraform.is_some() && init::is_exposed() {
        tracing::error!(
            "Modules of Terraform can read the environment of process 1, which has Asgard's settings: let asgard be the first process of its container, without an init of the platform (docker's --init and `init: true`, ECS's initProcessEnabled), and not as root."
        );
    }
    match &config.provisioning.terraform {
        Some(terraform) => tracing::info!(
            terraform = %terraform.bin.display(),
            work_dir = %terraform.work_dir.display(),
            targets = config.provisioning.allowed.len(),
            "Provisioning is armed: approved requests create real things."
        ),
        None => tracing::info!("Provisioning is not armed: requests are carried out as dry runs and create nothing."),
    }
}

/// What runs could not work with is better known at the start than at the first approval. Trying it takes a while, so nobody waits.
pub async fn try_terraform(app: Arc<Asgard>, settings: Option<PathBuf>) {
    match try_runs(app.config(), Some(Helper::this_program()), settings.into_iter().collect()).await {
        None => {}
        Some(Ok(trial)) => {
            tracing::info!(engine = trial.engine.name(), "Terraform was found, and the work folder can be used.");
            match trial.confined {
                Some(confined @ Confined::Landlock { whole: true, .. }) => tracing::info!("Terraform is {confined}."),
                Some(confined @ (Confined::Landlock { whole: false, .. } | Confined::No)) => tracing::warn!(
                    "Terraform is {confined}. What a module can reach of this machine then is in docs/operations.md, \"What a module can reach\"."
                ),
                None => {}
            }
        }
        Some(Err(error)) => tracing::error!(
            setting = error.field(),
            error = error.chain(),
            "Runs cannot be carried out, and will fail until this is mended: {}",
            error.message()
        ),
    }
}
