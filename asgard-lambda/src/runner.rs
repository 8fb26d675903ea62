//! The task that carries one run out. It claims the run in the database, as `asgard run` does, so whoever starts it a second
//! time does no harm. As the first process of a container it also is that container's init (see [`init`]).

use crate::{Settings, USAGE, ready, said, waker::WorkerWaker};
use asgard_lib::{
    adapters::{
        aws::fargate,
        terraform::{Helper, harden_process, helper},
    },
    app::Asgard,
    config::Environment,
    kernel::RunId,
    ports::world::World,
    runtime::{Alone, RuntimeOptions, init, supervise_alone},
};
use std::{ffi::OsString, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// A database that is away for a moment is no reason to start over.
const PATIENCE: Duration = Duration::from_secs(20);
/// ECS kills a task 120 seconds after it asked it to stop. Terraform has 75 of them until its second interrupt and 10 more
/// until its end; the rest is for its state and the outcome.
const HURRY: Duration = Duration::from_secs(75);
/// Where a task asks about itself.
const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// Carries out the run that the arguments name.
pub fn main(arguments: Vec<String>) -> ExitCode {
    // Before anything else: what follows has the variables, and soon the keys.
    harden_process();
    if let Some(code) = helper(arguments.iter().map(OsString::from)) {
        return code;
    }
    let [run] = arguments.as_slice() else {
        return said(
            "Give one argument: the id of the run. Tasks are started by Asgard, with the command [<run id>].",
            USAGE,
        );
    };
    let Ok(run) = run.parse::<RunId>() else {
        return said("The argument is not the id of a run, for example run_01arz3ndektsv4rrffq69g5fav.", USAGE);
    };
    if init::is_needed() {
        return match init::run(&arguments) {
            Ok(code) => ExitCode::from(code),
            Err(error) => said(&format!("The work could not be started: {error}"), 1),
        };
    }
    let environment = Environment::from_process();
    let metadata = environment.get(METADATA).map(|text| text.reveal().to_owned());
    let threads = match Builder::new_current_thread().enable_all().build() {
        Ok(threads) => threads,
        Err(error) => return said(&format!("No thread could be started: {error}"), 1),
    };
    threads.block_on(async {
        let settings = match ready(environment).await {
            Ok(settings) => settings,
            Err(why) => return said(&why, USAGE),
        };
        match Box::pin(carry_out(&settings, &run, metadata.as_deref())).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                tracing::error!(run.id = %run, why, "The task could not carry its run out.");
                ExitCode::FAILURE
            }
        }
    })
}

async fn carry_out(settings: &Settings, run: &RunId, metadata: Option<&str>) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let signal = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let place = match metadata {
        Some(endpoint) => fargate::here(endpoint, World::system().now()).await,
        None => None,
    };
    let waker = WorkerWaker::new(settings.events.clone(), settings.aws.clone());
    let alone = Alone { hurry: Some(HURRY), place, helper: Some(Helper::this_program()), ..Alone::default() };
    let beside = async |app: Arc<Asgard>, ended: CancellationToken| wake(&app, &waker, &ended).await;
    let options = RuntimeOptions::task(PATIENCE).cloud(settings.cloud());
    let done = Box::pin(supervise_alone(&settings.loaded.config, run, options, alone, signal, beside)).await;
    done.map_err(|error| error.chain())
}

/// Wakes the function that does jobs whenever a commit of this task appended one; at last when the run is over, which is
/// what the next step of its request waits for.
async fn wake(app: &Asgard, waker: &WorkerWaker, ended: &CancellationToken) {
    while !ended.is_cancelled() {
        let woken = app.woken();
        waker.if_wanted(app, Duration::MAX).await;
        tokio::select! {
            () = woken => {}
            () = ended.cancelled() => {}
        }
    }
    waker.if_wanted(app, Duration::MAX).await;
}
