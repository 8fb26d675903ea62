//! The schedules of a deployment against the list of periodic tasks: a task that nothing ticks would never have its turn.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use asgard_lib::runtime::PERIODIC_TASKS;
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

/// What is ticked, and how often: the look for jobs that nothing else woke up for, which is no task, and the list.
fn ticks() -> impl Iterator<Item = (Option<&'static str>, Duration)> {
    let tasks = PERIODIC_TASKS.iter().map(|declaration| (Some(declaration.periodic.name), declaration.periodic.tick));
    [(None, Duration::from_secs(60))].into_iter().chain(tasks)
}

/// What ticks what: payloads and rates.
fn declared() -> BTreeMap<String, String> {
    let payload = |task: Option<&str>| match task {
        Some(name) => json!({"work": "loop", "name": name}),
        None => json!({"work": "jobs"}),
    };
    ticks().map(|(task, tick)| (payload(task).to_string(), rate(tick))).collect()
}

/// The ticks as the contract has them, a line each.
fn listed() -> String {
    let begin = |task: Option<&str>| match task {
        Some(name) => format!(r#""{name}": {{ "payload": {{ "work": "loop", "name": "{name}" }}"#),
        None => r#""jobs": { "payload": { "work": "jobs" }"#.to_owned(),
    };
    let lines = ticks().map(|(task, tick)| format!("    {}, \"every\": \"{}\" }}", begin(task), rate(tick)));
    lines.collect::<Vec<_>>().join(",\n")
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
    let month: u64 = ticks().map(|(_, tick)| 30 * 86_400 / tick.as_secs()).sum();
    let month = format!("{},{:03}", month / 1000, month % 1000);
    let counted = COSTS.lines().find(|line| line.starts_with("Ticks: ")).unwrap();
    assert!(counted.ends_with(&format!(": {month}.")), "a month has {month} ticks, not: {counted}");
    assert_eq!(COSTS.matches(&format!("{month} × ")).count(), 5, "the rows below count {month} ticks, too");
}
