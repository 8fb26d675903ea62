//! Why a task ended, told twice: as a hint of what to do, for whoever asked for the run, and in the words of ECS, for
//! operators. Those words name roles, accounts and secrets.

use aws_sdk_ecs::types::{Container, Task};

/// The longest that ECS is quoted.
const TOLD: usize = 1000;

/// What is said in a task's reasons, and what to do then.
const HINTS: &[(&str, &str)] = &[
    (
        "CannotPull",
        "its image could not be fetched; check the image's name, the rights to read it and the way to its registry",
    ),
    (
        "ResourceInitializationError",
        "ECS could not prepare it; check the execution role, the secrets and the log group of the task definition, and the way from the subnets to them",
    ),
    ("OutOfMemory", "it ran out of memory; give the task definition more"),
    ("CannotStartContainer", "its container could not be started; check the task definition's image and entry point"),
    ("CannotCreateContainer", "its container could not be made; check the task definition"),
];

/// What is told of a task that ended before it took its run.
pub(super) struct StopReason {
    /// For whoever asked for the run.
    pub hint: String,
    /// For operators.
    pub words: String,
}

impl StopReason {
    /// What is told of this task.
    pub(crate) fn of(task: &Task) -> Self {
        let words = words(task);
        let code = task.containers().iter().find_map(Container::exit_code);
        let why = match (HINTS.iter().find(|(sign, _)| words.contains(sign)), code) {
            (Some((_, hint)), _) => (*hint).to_owned(),
            (None, Some(code)) => format!("its program ended with code {code}; the task's own log says why"),
            (None, None) => "Asgard's log has what ECS says about it".to_owned(),
        };
        Self { hint: format!("its task ended before it took the run: {why}"), words }
    }
}

fn words(task: &Task) -> String {
    let mut parts: Vec<String> = task.stopped_reason().map(str::to_owned).into_iter().collect();
    for container in task.containers() {
        let name = container.name().unwrap_or("a container");
        match (container.exit_code(), container.reason()) {
            (_, Some(reason)) if !parts.iter().any(|part| part.contains(reason)) => {
                parts.push(format!("{name}: {reason}"));
            }
            (Some(code), _) => parts.push(format!("{name} ended with code {code}")),
            (None, _) => {}
        }
    }
    let said = if parts.is_empty() { "ECS gives no reason".to_owned() } else { parts.join("; ") };
    said.chars().filter(|c| !c.is_control()).take(TOLD).collect()
}
