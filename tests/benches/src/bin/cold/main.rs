//! Cold starts of the Lambda functions, against a runtime API of our own: from exec to the first `next`, and the first
//! calls. `tests/cold-start` builds what this needs and runs it.

mod api;
mod function;
mod place;

use function::{Cost, Function};
use place::Place;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

/// A start has to cost less on-CPU time than this, at its least.
const CPU: Duration = Duration::from_millis(15);
/// A function that waits for its first event has to have had less memory than this, in MB (10^6 bytes), at most.
const MEMORY_MB: f64 = 40.0;
/// A bootstrap has to be smaller than this, in MB (10^6 bytes).
const BOOTSTRAP_MB: f64 = 20.0;

/// What is measured, from the command line.
struct Plan {
    http: PathBuf,
    events: PathBuf,
    asgard: PathBuf,
    dynamodb: Option<String>,
    aws: Option<String>,
    starts: usize,
    /// Whether a limit that is not kept is a failure.
    gate: bool,
}

impl Plan {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut http, mut events, mut asgard) = (None, None, None);
        let mut plan = Self {
            http: PathBuf::new(),
            events: PathBuf::new(),
            asgard: PathBuf::new(),
            dynamodb: None,
            aws: None,
            starts: 20,
            gate: true,
        };
        while let Some(name) = arguments.next() {
            if name == "--smoke" {
                (plan.starts, plan.gate) = (3, false);
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--http" => http = Some(value.into()),
                "--events" => events = Some(value.into()),
                "--asgard" => asgard = Some(value.into()),
                "--dynamodb" => plan.dynamodb = Some(value),
                "--aws" => plan.aws = Some(value),
                _ => return Err(format!("{name} is unknown; run tests/cold-start")),
            }
        }
        // Whole paths: what is started may be started elsewhere.
        let needed = |path: Option<PathBuf>, name| {
            let path = path.ok_or_else(|| format!("{name} is missing; run tests/cold-start"))?;
            path.canonicalize().map_err(|error| format!("{name} {}: {error}", path.display()))
        };
        plan.http = needed(http, "--http")?;
        plan.events = needed(events, "--events")?;
        plan.asgard = needed(asgard, "--asgard")?;
        Ok(plan)
    }
}

/// A call of a function: what it is sent, and what has to come of it.
struct Call {
    name: &'static str,
    event: Value,
    expected: (&'static str, Value),
}

/// What is measured of one function.
struct Subject<'a> {
    name: &'static str,
    program: &'a Path,
    environment: Vec<(String, String)>,
    calls: Vec<Call>,
}

/// What was found.
struct Found {
    name: &'static str,
    bootstrap_mb: f64,
    zip_mb: f64,
    starts: Vec<Cost>,
    peak_mb: f64,
    calls: Vec<(&'static str, Vec<Cost>)>,
    peak_after_mb: f64,
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the report is this program's answer")]
fn main() -> ExitCode {
    let failed = |why: &str| {
        eprintln!("{why}");
        ExitCode::FAILURE
    };
    let plan = match Plan::read(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => return failed(&why),
    };
    let found = match measure(&plan) {
        Ok(found) => found,
        Err(error) => return failed(&error.to_string()),
    };
    println!("{}", report(&found));
    let over = if plan.gate { over(&found) } else { Vec::new() };
    if over.is_empty() { ExitCode::SUCCESS } else { failed(&over.join("\n")) }
}

fn measure(plan: &Plan) -> io::Result<Vec<Found>> {
    let place = Place::prepare(&plan.asgard, plan.dynamodb.as_deref(), plan.aws.as_deref())?;
    let log = place.folder.path().join("function.log");
    let mut archives: BTreeMap<&Path, u64> = BTreeMap::new();
    for program in [plan.http.as_path(), plan.events.as_path()] {
        archives.insert(program, zipped(program, plan.gate)?);
    }
    let mut found = Vec::new();
    for subject in subjects(plan, &place) {
        let bootstrap = std::fs::metadata(subject.program)?.len();
        let mut one = Found {
            name: subject.name,
            bootstrap_mb: mb(bootstrap),
            zip_mb: mb(archives.get(subject.program).copied().unwrap_or_default()),
            starts: Vec::new(),
            peak_mb: 0.0,
            calls: subject.calls.iter().map(|call| (call.name, Vec::new())).collect(),
            peak_after_mb: 0.0,
        };
        // The first start is not counted: it brings the program into memory, and its first call makes the keys.
        for round in 0..=plan.starts {
            let (mut function, start) = Function::start(subject.program, &subject.environment, &log)?;
            let ready = function.peak_mb()?;
            let mut costs = Vec::new();
            for call in &subject.calls {
                let (cost, answer) = function.call(&call.event)?;
                let (field, expected) = &call.expected;
                if answer.get(field) != Some(expected) {
                    return Err(io::Error::other(format!("{}: {} came to {answer}", subject.name, call.name)));
                }
                costs.push(cost);
            }
            if round > 0 {
                one.starts.push(start);
                one.peak_mb = one.peak_mb.max(ready);
                one.peak_after_mb = one.peak_after_mb.max(function.peak_mb()?);
                for ((_, all), cost) in one.calls.iter_mut().zip(costs) {
                    all.push(cost);
                }
            }
        }
        found.push(one);
    }
    Ok(found)
}

fn subjects<'a>(plan: &'a Plan, place: &Place) -> Vec<Subject<'a>> {
    let mut api = vec![Call { name: "`GET /healthz`", event: request("GET", "/healthz"), expected: status(200) }];
    let (mut mcp, mut events) = (Vec::new(), Vec::new());
    if place.opens {
        let tick = json!({"work": "jobs", "scheduled_at": "2026-11-22T10:00:00Z"});
        let did = ("work", json!("jobs"));
        for name in ["the first that opens the database", "the same again"] {
            api.push(Call { name, event: request("GET", "/api/auth/me"), expected: status(401) });
            mcp.push(Call { name, event: request("POST", "/mcp"), expected: status(401) });
            events.push(Call { name, event: tick.clone(), expected: did.clone() });
        }
    }
    let http = |name, surface: &str, more: &[(String, String)], calls| Subject {
        name,
        program: &plan.http,
        environment: place.environment(&[("ASGARD_LAMBDA_SURFACE", surface)], more),
        calls,
    };
    vec![
        http("`http` as API", "api", &place.password, api),
        http("`http` as MCP", "mcp", &[], mcp),
        Subject { name: "`events`", program: &plan.events, environment: place.environment(&[], &[]), calls: events },
    ]
}

fn status(status: u16) -> (&'static str, Value) {
    ("statusCode", json!(status))
}

/// A request without a credential, as an HTTP API hands it over.
fn request(method: &str, path: &str) -> Value {
    let host = "abc123.execute-api.eu-west-1.amazonaws.com";
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "isBase64Encoded": false,
        "headers": { "host": host, "content-type": "application/json", "x-forwarded-proto": "https" },
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc123", "domainName": host, "domainPrefix": "abc123",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "198.51.100.7", "userAgent": "cold" },
            "requestId": "cold", "routeKey": "$default", "stage": "$default",
            "time": "22/Nov/2026:10:00:00 +0000", "timeEpoch": 1_795_000_000_000_u64
        }
    })
}

/// What the program is as an archive, which is what Lambda fetches: deflated as `zip -9` does it, but for a header.
fn zipped(program: &Path, thoroughly: bool) -> io::Result<u64> {
    let level = if thoroughly { "-9" } else { "-1" };
    let mut gzip = Command::new("gzip").args([level, "-c"]).arg(program).stdout(Stdio::piped()).spawn()?;
    let out = gzip.stdout.take();
    let bytes = out.map_or(Ok(0), |mut out| io::copy(&mut out, &mut io::sink()))?;
    if gzip.wait()?.success() { Ok(bytes) } else { Err(io::Error::other("gzip failed")) }
}

#[allow(clippy::cast_precision_loss, reason = "the size of a file")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Least and median.
fn of(costs: &[Cost], part: impl Fn(&Cost) -> Duration) -> (Duration, Duration) {
    let mut all: Vec<Duration> = costs.iter().map(part).collect();
    all.sort_unstable();
    let at = |i: usize| all.get(i).copied().unwrap_or_default();
    (at(0), at(all.len() / 2))
}

fn shown((least, median): (Duration, Duration)) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!("{:.1} / {:.1} ms", ms(least), ms(median))
}

fn report(found: &[Found]) -> String {
    let mut text = String::from(
        "| function | bootstrap | zipped | exec to first `next`, least / median | on a CPU, least / median | memory, at most |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for one in found {
        let (wall, cpu) = (of(&one.starts, |cost| cost.wall), of(&one.starts, |cost| cost.cpu));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.1} MB | {:.1} MB | {} | {} | {:.1} MB |",
            one.name,
            one.bootstrap_mb,
            one.zip_mb,
            shown(wall),
            shown(cpu),
            one.peak_mb
        );
    }
    if found.iter().all(|one| one.calls.is_empty()) {
        return text;
    }
    text.push_str("\n| function | call | time, least / median | on a CPU, least / median | memory after all, at most |\n| --- | --- | --- | --- | --- |\n");
    for one in found {
        for (name, costs) in &one.calls {
            let (wall, cpu) = (of(costs, |cost| cost.wall), of(costs, |cost| cost.cpu));
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {} | {:.1} MB |",
                one.name,
                shown(wall),
                shown(cpu),
                one.peak_after_mb
            );
        }
    }
    text
}

/// The limits that are not kept.
fn over(found: &[Found]) -> Vec<String> {
    let mut over = Vec::new();
    for one in found {
        let (cpu, _) = of(&one.starts, |cost| cost.cpu);
        if cpu >= CPU {
            let (is, limit) = (cpu.as_secs_f64() * 1e3, CPU.as_millis());
            over.push(format!(
                "{}: a start takes {is:.1} ms of on-CPU time at least; the limit is {limit} ms",
                one.name
            ));
        }
        if one.peak_mb >= MEMORY_MB {
            over.push(format!(
                "{}: a start takes {:.1} MB of memory; the limit is {MEMORY_MB} MB",
                one.name, one.peak_mb
            ));
        }
        if one.bootstrap_mb >= BOOTSTRAP_MB {
            over.push(format!(
                "{}: the bootstrap has {:.1} MB; the limit is {BOOTSTRAP_MB} MB",
                one.name, one.bootstrap_mb
            ));
        }
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cpu: u64, peak_mb: f64, bootstrap_mb: f64) -> Found {
        let start = |millis| Cost { wall: Duration::from_millis(50), cpu: Duration::from_millis(millis) };
        // The least counts, because it is what the machine's other work disturbed least.
        let starts = vec![start(100), start(cpu), start(90)];
        Found { name: "it", bootstrap_mb, zip_mb: 1.0, starts, peak_mb, calls: Vec::new(), peak_after_mb: 99.0 }
    }

    #[test]
    fn the_gate_holds_each_limit_and_names_it() {
        assert!(over(&[found(14, 39.9, 19.9)]).is_empty());
        for (one, unit) in
            [(found(15, 39.9, 19.9), "15 ms"), (found(14, 40.0, 19.9), "40 MB"), (found(14, 39.9, 20.0), "20 MB")]
        {
            let over = over(&[one]);
            assert!(over.len() == 1 && over[0].contains(unit), "{over:?}");
        }
        assert_eq!(over(&[found(15, 40.0, 20.0), found(15, 40.0, 20.0)]).len(), 6);
    }

    #[test]
    fn the_median_is_of_what_was_sorted() {
        let costs: Vec<Cost> =
            [5, 1, 9].map(|ms| Cost { wall: Duration::from_millis(ms), cpu: Duration::ZERO }).to_vec();
        assert_eq!(of(&costs, |cost| cost.wall), (Duration::from_millis(1), Duration::from_millis(5)));
    }
}
