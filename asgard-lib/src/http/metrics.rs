//! What `/metrics` tells: requests by route template, operations by name and outcome, this process. Every label has a
//! bounded set of values.

use super::{HttpState, Problem, auth, problem};
use crate::{
    app::{CounterKind, ProcessCounters},
    error::{Code, Error, Kind, Result},
};
use ::metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

const REQUESTS: &str = "asgard_http_requests_total";
const REQUEST_SECONDS: &str = "asgard_http_request_duration_seconds";
const OPERATIONS: &str = "asgard_operations_total";
const OPERATION_SECONDS: &str = "asgard_operation_duration_seconds";
const COMMITS: &str = "asgard_commits_total";
const JOBS: &str = "asgard_jobs_total";
const CONNECTIONS: &str = "asgard_http_connections";
const BUILD: &str = "asgard_build_info";
const MEMORY: &str = "process_resident_memory_bytes";

const BUCKETS: [f64; 9] = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0];

/// Samples wait in memory until somebody reads or tidies up; this many requests apart, a request tidies up.
const TIDY_EVERY: u32 = 4096;

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The counters of this process. It has a recorder of its own, so that several can live in one process.
pub(super) struct Meters {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    routes: RwLock<HashMap<Box<str>, Arc<RouteMeters>>>,
    operations: RwLock<HashMap<&'static str, Arc<OperationMeters>>>,
    since_tidy: AtomicU32,
}

const METHODS: [&str; 6] = ["GET", "POST", "PATCH", "DELETE", "HEAD", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

struct RouteMeters {
    route: Arc<str>,
    requests: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    seconds: Histogram,
}

struct OperationMeters {
    outcomes: [OnceLock<Counter>; OUTCOMES.len()],
    seconds: Histogram,
}

const OUTCOMES: [&str; 10] =
    ["ok", "invalid", "unauthenticated", "denied", "not_found", "conflict", "limit", "upstream", "unavailable", "bug"];

const fn outcome(kind: Option<Kind>) -> usize {
    match kind {
        None => 0,
        Some(Kind::Invalid) => 1,
        Some(Kind::Unauthenticated) => 2,
        Some(Kind::Denied) => 3,
        Some(Kind::NotFound) => 4,
        Some(Kind::Conflict) => 5,
        Some(Kind::Limit) => 6,
        Some(Kind::Upstream) => 7,
        Some(Kind::Unavailable) => 8,
        Some(Kind::Bug) => 9,
    }
}

fn key(name: &'static str, labels: Vec<Label>) -> Key {
    Key::from_parts(name, labels)
}

impl Meters {
    pub(crate) fn new() -> Self {
        // The buckets are a constant and not empty, which is all that can be wrong with them.
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        for (name, text) in [
            (REQUESTS, "Requests by route template, method and status class."),
            (OPERATIONS, "Operations by name and outcome, on any surface."),
            (COMMITS, "Batches by outcome; refused ones are decided again."),
            (JOBS, "Jobs that this process had in hand, by outcome."),
        ] {
            recorder.describe_counter(name.into(), Some(Unit::Count), text.into());
        }
        for (name, text) in [
            (REQUEST_SECONDS, "How long requests took until their answer's head, by route template."),
            (OPERATION_SECONDS, "How long operations took, by name."),
        ] {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), text.into());
        }
        for (name, text) in [
            (CONNECTIONS, "Connections that are open."),
            (BUILD, "Always 1; the labels say what is running."),
            (MEMORY, "Memory that the process holds, in bytes."),
        ] {
            recorder.describe_gauge(name.into(), None, text.into());
        }
        let version = Label::from_static_parts("version", env!("CARGO_PKG_VERSION"));
        recorder.register_gauge(&key(BUILD, vec![version]), &METADATA).set(1.0);
        Self {
            handle: recorder.handle(),
            recorder,
            routes: RwLock::default(),
            operations: RwLock::default(),
            since_tidy: AtomicU32::new(0),
        }
    }

    /// Counts a request. `route` is a template, so there are only so many.
    pub(crate) fn request(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let meters = self.route(route);
        let method = METHODS.iter().position(|known| method == known).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        if let Some(counter) = meters.requests.get(method).and_then(|classes| classes.get(class)) {
            let register = || {
                let label = |name, value: Option<&&'static str>| {
                    Label::from_static_parts(name, value.copied().unwrap_or("other"))
                };
                let labels = vec![
                    Label::new("route", Arc::clone(&meters.route)),
                    label("method", METHODS.get(method)),
                    label("status", CLASSES.get(class)),
                ];
                self.recorder.register_counter(&key(REQUESTS, labels), &METADATA)
            };
            counter.get_or_init(register).increment(1);
        }
        meters.seconds.record(took);
        if self.since_tidy.fetch_add(1, Ordering::Relaxed) >= TIDY_EVERY {
            self.since_tidy.store(0, Ordering::Relaxed);
            self.handle.run_upkeep();
        }
    }

    fn route(&self, route: &str) -> Arc<RouteMeters> {
        if let Some(found) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return Arc::clone(found);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let route: Arc<str> = route.into();
            let label = Label::new("route", Arc::clone(&route));
            let seconds = self.recorder.register_histogram(&key(REQUEST_SECONDS, vec![label]), &METADATA);
            Arc::new(RouteMeters { route, requests: Default::default(), seconds })
        };
        Arc::clone(routes.entry(route.into()).or_insert_with(fresh))
    }

    /// Counts an operation.
    pub(crate) fn operation(&self, name: &'static str, failed: Option<Kind>, took: Duration) {
        let meters = self.operation_meters(name);
        let at = outcome(failed);
        if let Some(counter) = meters.outcomes.get(at) {
            let register = || {
                let outcome = Label::from_static_parts("outcome", OUTCOMES.get(at).copied().unwrap_or("bug"));
                let labels = vec![Label::from_static_parts("operation", name), outcome];
                self.recorder.register_counter(&key(OPERATIONS, labels), &METADATA)
            };
            counter.get_or_init(register).increment(1);
        }
        meters.seconds.record(took);
    }

    fn operation_meters(&self, name: &'static str) -> Arc<OperationMeters> {
        if let Some(found) = self.operations.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(found);
        }
        let mut operations = self.operations.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let label = Label::from_static_parts("operation", name);
            let seconds = self.recorder.register_histogram(&key(OPERATION_SECONDS, vec![label]), &METADATA);
            Arc::new(OperationMeters { outcomes: Default::default(), seconds })
        };
        Arc::clone(operations.entry(name).or_insert_with(fresh))
    }

    /// Counts connections as they come and go.
    pub(crate) fn connections(&self, change: f64) {
        let gauge = self.recorder.register_gauge(&key(CONNECTIONS, Vec::new()), &METADATA);
        gauge.increment(change);
    }

    fn render(&self, counters: &ProcessCounters) -> String {
        for counted in CounterKind::ALL {
            let (name, outcome) = match counted {
                CounterKind::Committed => (COMMITS, "committed"),
                CounterKind::Refused => (COMMITS, "refused"),
                CounterKind::CommitFailed => (COMMITS, "failed"),
                CounterKind::JobDone => (JOBS, "done"),
                CounterKind::JobPutOff => (JOBS, "put_off"),
                CounterKind::JobFailed => (JOBS, "failed"),
            };
            let label = Label::from_static_parts("outcome", outcome);
            self.recorder.register_counter(&key(name, vec![label]), &METADATA).absolute(counters.get(counted));
        }
        if let Some(bytes) = resident_memory() {
            self.recorder.register_gauge(&key(MEMORY, Vec::new()), &METADATA).set(bytes);
        }
        self.handle.render()
    }
}

/// `VmRSS` of this process, where there is a `/proc`.
fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// `/metrics`: open on a loopback listener or when configured so, else for the bearer of the configured token.
pub(super) async fn metrics(State(state): State<Arc<HttpState>>, headers: HeaderMap) -> Result<Response, Problem> {
    allow(&state, &headers)?;
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    Ok(([kind], state.meters().render(state.app().counters())).into_response())
}

fn allow(state: &HttpState, headers: &HeaderMap) -> Result<(), problem::Problem> {
    let settings = &state.app().config().metrics;
    if settings.open || state.settings().is_loopback() {
        return Ok(());
    }
    let Some(token) = &settings.token else {
        return Err(Error::new(
            Code::Denied,
            "/metrics is closed: set ASGARD_METRICS_TOKEN, or `metrics: { open: true }`.",
        )
        .into());
    };
    match auth::bearer(headers)? {
        Some(sent) if token.same(sent) => Ok(()),
        Some(_) => Err(Error::new(Code::BadCredential, "That is not the metrics token.").into()),
        None => Err(Error::new(Code::NoCredential, "Send the metrics token as `Authorization: Bearer ...`.").into()),
    }
}
