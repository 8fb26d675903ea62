//! The schedules of a deployment against the list of periodic tasks: a task that nothing ticks would never have its turn.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use asgard_lib::{app::periodic::Periodic, runtime::PERIODIC_TASKS};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const CONTRACT: &str = include_str!("../../infra/contract.json");
const TEMPLATE: &str = include_str!("../../infra/template.yaml");
const COSTS: &str = include_str!("../../docs/deploy-serverless.md");

/// A tick as EventBridge Scheduler writes it.
fn rate(tick: Duration) -> String {
    let minutes = tick.as_secs() / 60;
    match (minutes.is_multiple_of(60), minutes / 60, minutes) {
        (true, 1, _) => "rate(1 hour)".into(),
        (true, hours, _) => format!("rate({hours} hours)"),
        (false, _, 1) => "rate(1 minute)".into(),
        (false, _, minutes) => format!("rate({minutes} minutes)"),
    }
}

/// What ticks what, and how often: the list, and the look for jobs that nothing else woke up for.
fn declared() -> BTreeMap<String, String> {
    let tasks = PERIODIC_TASKS.iter().map(|declaration| {
        let task = declaration.periodic;
        (json!({"work": "loop", "name": task.name}).to_string(), rate(task.tick))
    });
    tasks.chain([(json!({"work": "jobs"}).to_string(), rate(Duration::from_secs(60)))]).collect()
}

/// The ticks as the contract has them, a line each: of the jobs first, and then in the order of the list.
fn listed() -> String {
    let jobs = (r#""jobs": { "payload": { "work": "jobs" }"#.to_owned(), Duration::from_secs(60));
    let tasks = PERIODIC_TASKS.iter().map(|declaration| {
        let Periodic { name, tick, .. } = declaration.periodic;
        (format!(r#""{name}": {{ "payload": {{ "work": "loop", "name": "{name}" }}"#), tick)
    });
    let lines = [jobs].into_iter().chain(tasks);
    let lines: Vec<String> =
        lines.map(|(begin, tick)| format!("    {begin}, \"every\": \"{}\" }}", rate(tick))).collect();
    lines.join(",\n")
}

#[test]
fn the_contract_ticks_every_task_as_often_as_it_is_declared() {
    const BEGIN: &str = "  \"ticks\": {\n";
    let (before, rest) = CONTRACT.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once("\n  },\n").unwrap();
    #[allow(clippy::disallowed_methods, reason = "the switch that writes the file again")]
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/contract.json");
        std::fs::write(path, format!("{before}{BEGIN}{}\n  }},\n{after}", listed())).unwrap();
        return;
    }
    assert_eq!(
        found,
        listed(),
        "infra/contract.json is stale; run UPDATE_DOCS=1 cargo test -p asgard-lambda schedules"
    );
}

#[test]
fn the_template_ticks_every_task_as_often_as_it_is_declared() {
    let mut found = BTreeMap::new();
    let mut every = None;
    for line in TEMPLATE.lines().map(str::trim) {
        if let Some(expression) = line.strip_prefix("ScheduleExpression: ") {
            every = Some(expression.to_owned());
        } else if let Some(input) = line.strip_prefix("Input: '").and_then(|rest| rest.strip_suffix('\'')) {
            let mut payload: Value = serde_json::from_str(input).unwrap();
            assert_eq!(payload["scheduled_at"], "<aws.scheduler.scheduled-time>", "{input}");
            payload.as_object_mut().unwrap().remove("scheduled_at");
            assert!(found.insert(payload.to_string(), every.take().unwrap()).is_none(), "{input} twice");
        }
    }
    assert_eq!(found, declared());
}

#[test]
fn the_costs_count_every_tick() {
    let ticks = PERIODIC_TASKS.iter().map(|declaration| declaration.periodic.tick.as_secs()).chain([60]);
    let month: u64 = ticks.map(|tick| 30 * 86_400 / tick).sum();
    let month = format!("{},{:03}", month / 1000, month % 1000);
    let counted = COSTS.lines().find(|line| line.starts_with("Ticks: ")).unwrap();
    assert!(counted.ends_with(&format!(": {month}.")), "a month has {month} ticks, not: {counted}");
    assert_eq!(COSTS.matches(&format!("{month} × ")).count(), 5, "the rows below count {month} ticks, too");
}
