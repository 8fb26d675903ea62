//! The function that does what a schedule or a commit asks for: one periodic task, or the jobs that are due. What does not fit into
//! one invocation goes on with the next tick; nothing is left half done in here.

mod order;

use crate::{Settings, deadline, open::Lazy};
use asgard_lib::{
    Error, Result,
    app::{
        periodic::{self, PeriodicTask, Ticked},
        worker::{self, Ran, WakeHint},
    },
    kernel::Timestamp,
    ports::world::World,
    runtime::Runtime,
};
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{self, Diagnostic},
    service_fn,
};
pub(crate) use order::of_kick;
pub use order::{Order, Work, loops};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// When a periodic task is told to stop, before the invocation ends: it hands its lease back in that time.
const HAND_BACK: Duration = Duration::from_secs(5);
/// What jobs leave of the invocation for the answer's way.
const WAY_BACK: Duration = Duration::from_secs(1);

/// What does the work of events.
pub struct Events {
    settings: Settings,
    world: World,
    lazy: Lazy,
}

impl Events {
    /// A function with these settings. Nothing is opened yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, world: World::system(), lazy: Lazy::default() })
    }

    /// Does the work of events until Lambda ends the environment.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be talked to.
    pub async fn serve(self: Arc<Self>) -> Result<(), lambda_http::Error> {
        let function = service_fn(move |event| {
            let events = Arc::clone(&self);
            async move { events.event(event).await }
        });
        lambda_runtime::run(function).await
    }

    /// Does the work of one event.
    ///
    /// # Errors
    ///
    /// An event that is none of ours, and work that failed: then Lambda may send the same event again.
    pub async fn event(&self, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
        let LambdaEvent { payload, context } = event;
        let ends = deadline::of(context.deadline, &self.world);
        let done = match Order::read(&payload, self.world.now()) {
            Ok(order) => Box::pin(self.perform(&order, ends)).await,
            Err(error) => Err(error),
        };
        done.map_err(|error| {
            tracing::error!(error = error.chain(), "The work of an event failed.");
            Diagnostic { error_type: error.code().slug().to_owned(), error_message: told(&error) }
        })
    }

    async fn perform(&self, order: &Order, ends: Instant) -> Result<Value> {
        let by = ends.checked_sub(WAY_BACK).unwrap_or(ends);
        let runtime = self.lazy.ready(&self.settings, by).await?;
        match &order.work {
            Work::Jobs(woken) => jobs(runtime, by, woken.clone()).await,
            Work::Loop(name) => {
                let ticked = task(runtime, name, order.scheduled, ends).await?;
                // A periodic task may have appended jobs. Waking oneself would be a second invocation for what fits into this one.
                let ran = match runtime.app().take_wake_hint() {
                    Some(woken) => worker::run_until(runtime.app(), by, Some(woken)).await?.jobs,
                    None => 0,
                };
                tracing::info!(loop.name = name, tick.came_to = outcome(ticked), jobs = ran, "Did the work of a tick.");
                Ok(json!({"work": "loop", "name": name, "came_to": outcome(ticked), "jobs": ran}))
            }
        }
    }
}

async fn jobs(runtime: &Runtime, by: Instant, woken: Option<WakeHint>) -> Result<Value> {
    let Ran { jobs, more } = worker::run_until(runtime.app(), by, woken).await?;
    if jobs > 0 || more {
        tracing::info!(jobs, more, "Did the jobs that were due.");
    }
    Ok(json!({"work": "jobs", "jobs": jobs, "more": more}))
}

/// Does a periodic task until there is nothing to do, or the time is up.
async fn task(runtime: &Runtime, name: &str, scheduled: Option<Timestamp>, ends: Instant) -> Result<Ticked> {
    let tasks: Vec<Arc<dyn PeriodicTask>> = runtime.periodic_tasks();
    let Some(task) = tasks.iter().find(|task| task.name() == name) else { return Err(order::no_such_loop()) };
    let stop = CancellationToken::new();
    let mut ticking = Box::pin(periodic::tick(runtime.app(), &**task, scheduled, &stop));
    tokio::select! {
        biased;
        ticked = &mut ticking => ticked,
        () = sleep_until(ends.checked_sub(HAND_BACK).unwrap_or(ends)) => {
            stop.cancel();
            ticking.await
        }
    }
}

const fn outcome(ticked: Ticked) -> &'static str {
    match ticked {
        Ticked::Did => "did",
        Ticked::Stopped => "stopped",
        Ticked::NotWanted => "not_wanted",
        Ticked::Served => "served_before",
        Ticked::Busy => "busy",
    }
}

fn told(error: &Error) -> String {
    match error.field() {
        Some(field) => format!("{field}: {}", error.message()),
        None => error.message().to_owned(),
    }
}
