//! Terraform's machine-readable messages, one JSON object a line. Lines of the log are built from a few known fields; what a
//! message says in its own words is free text, which may hold secrets and has to wait until they are known.

use crate::{
    domain::run::{ChangeAction, LogLine},
    error::{Code, Error, Result},
    kernel::Timestamp,
};
use serde::Deserialize;

/// The major version of the messages that this reader knows.
const UI: &str = "1";

/// What a line means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// The first line: the version of the messages.
    Version {
        /// For example `1.2`.
        ui: String,
    },
    /// An operation on an address begins.
    Start {
        /// The address.
        address: String,
        /// What is being done: `create`, `update`, `delete`.
        action: String,
    },
    /// It goes on.
    Progress {
        /// The address.
        address: String,
        /// What is being done.
        action: String,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// It worked.
    Complete {
        /// The address.
        address: String,
        /// What was done.
        action: String,
        /// How long it took, in seconds.
        seconds: u64,
    },
    /// It did not work.
    Errored {
        /// The address.
        address: String,
        /// What was tried.
        action: String,
        /// How long it took, in seconds.
        seconds: u64,
    },
    /// A plan would do this to an address.
    Planned {
        /// The address.
        address: String,
        /// What would be done.
        action: String,
    },
    /// Something changed behind Terraform's back.
    Drifted {
        /// The address.
        address: String,
        /// What happened to it.
        action: String,
    },
    /// How much there is to do, or was done.
    Summary {
        /// To create.
        add: u64,
        /// To change.
        change: u64,
        /// To remove.
        remove: u64,
        /// `plan`, `apply` or `destroy`.
        operation: String,
    },
    /// A step of a provisioner, without its words.
    Provisioner {
        /// The address.
        address: String,
        /// What happened: `provision_start`, `provision_complete`, `provision_errored`.
        step: &'static str,
    },
    /// Reading the present state of an address.
    ReadMode {
        /// The address.
        address: String,
    },
    /// What a provisioner's program printed.
    Printed {
        /// The address.
        address: String,
        /// Free text.
        text: String,
    },
    /// A problem, in free text.
    Diagnostic {
        /// Whether it is an error; otherwise a warning.
        error: bool,
        /// The address, if it has one.
        address: Option<String>,
        /// Free text.
        summary: String,
        /// Free text.
        detail: String,
    },
    /// Terraform was asked to stop.
    Interrupt,
    /// Anything else in words, for example what a provider logs.
    Words {
        /// Free text.
        text: String,
    },
    /// A message that says nothing that others do not say.
    Nothing,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(rename = "@timestamp", default)]
    at: Option<Timestamp>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    ui: Option<String>,
    #[serde(default)]
    tofu: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    change: Option<RawChange>,
    #[serde(default)]
    hook: Option<RawHook>,
    #[serde(default)]
    changes: Option<RawCounts>,
    #[serde(default)]
    diagnostic: Option<RawDiagnostic>,
}

#[derive(Deserialize)]
struct RawResource {
    #[serde(default)]
    addr: String,
}

#[derive(Deserialize)]
struct RawChange {
    resource: RawResource,
    #[serde(default)]
    action: String,
}

#[derive(Deserialize)]
struct RawHook {
    #[serde(default)]
    resource: Option<RawResource>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    elapsed_seconds: f64,
    #[serde(default)]
    output: String,
}

#[derive(Deserialize)]
struct RawCounts {
    #[serde(default)]
    add: u64,
    #[serde(default)]
    change: u64,
    #[serde(default)]
    remove: u64,
    #[serde(default)]
    operation: String,
}

#[derive(Deserialize)]
struct RawDiagnostic {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    address: Option<String>,
}

/// Reads a line. A line that is no message is free text; a newer minor version may say things that are not known here,
/// which are free text too.
pub(super) fn read(line: &str, now: Timestamp) -> Result<(Timestamp, Message)> {
    if line.trim().is_empty() {
        return Ok((now, Message::Nothing));
    }
    let Ok(raw) = serde_json::from_str::<Raw>(line) else {
        return Ok((now, Message::Words { text: line.to_owned() }));
    };
    if raw.kind.is_empty() && raw.message.is_empty() {
        return Ok((now, Message::Words { text: line.to_owned() }));
    }
    let at = raw.at.unwrap_or(now);
    if raw.kind == "version" {
        let ui = raw.ui.unwrap_or_default();
        if raw.tofu.is_some() || ui.split('.').next() != Some(UI) {
            let message = format!(
                "Terraform speaks version `{}` of its messages; Asgard knows {UI}.x.",
                ui.chars().take(20).collect::<String>()
            );
            return Err(Error::new(Code::EngineMissing, message));
        }
        return Ok((at, Message::Version { ui }));
    }
    let words = |text: String| Message::Words { text };
    let message = match (raw.kind.as_str(), raw.hook, raw.change, raw.changes, raw.diagnostic) {
        ("planned_change", _, Some(change), ..) => {
            Message::Planned { address: change.resource.addr, action: change.action }
        }
        ("resource_drift", _, Some(change), ..) => {
            Message::Drifted { address: change.resource.addr, action: change.action }
        }
        ("change_summary", _, _, Some(counts), _) => Message::Summary {
            add: counts.add,
            change: counts.change,
            remove: counts.remove,
            operation: counts.operation,
        },
        // What the type says comes last, and is not there when a long message was cut.
        ("diagnostic" | "", .., Some(found)) => Message::Diagnostic {
            error: found.severity == "error",
            address: found.address.filter(|address| !address.is_empty()),
            summary: found.summary,
            detail: found.detail,
        },
        (kind, Some(hook), ..) => about_address(kind, hook, raw.message),
        ("outputs", ..) => Message::Nothing,
        ("log", ..) if raw.message.trim_start().starts_with("Interrupt received") => Message::Interrupt,
        _ => words(raw.message),
    };
    Ok((at, message))
}

fn about_address(kind: &str, hook: RawHook, message: String) -> Message {
    let Some(RawResource { addr: address }) = hook.resource else { return Message::Words { text: message } };
    let action = hook.action;
    // Terraform counts whole seconds; a float would only be cut.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as casts of floats saturate")]
    let seconds = hook.elapsed_seconds as u64;
    match kind {
        "apply_start" => Message::Start { address, action },
        "apply_progress" => Message::Progress { address, action, seconds },
        "apply_complete" => Message::Complete { address, action, seconds },
        "apply_errored" => Message::Errored { address, action, seconds },
        "provision_start" => Message::Provisioner { address, step: "provision_start" },
        "provision_complete" => Message::Provisioner { address, step: "provision_complete" },
        "provision_errored" => Message::Provisioner { address, step: "provision_errored" },
        "provision_progress" => Message::Printed { address, text: hook.output },
        "refresh_start" => Message::ReadMode { address },
        "refresh_complete" => Message::Nothing,
        _ => Message::Words { text: message },
    }
}

impl Message {
    /// The line of the log, for messages that hold no free text. Identifiers are left out: some are secrets.
    pub(crate) fn line(&self, at: Timestamp) -> Option<LogLine> {
        let said =
            |kind: &str, level: &str, address: Option<&String>, action: Option<ChangeAction>, message: String| {
                Some(LogLine { at, level: level.into(), kind: kind.into(), address: address.cloned(), action, message })
            };
        let line = |kind: &str, level: &str, address: Option<&String>, message: String| {
            said(kind, level, address, None, message)
        };
        let step = |kind: &str, level: &str, address: &String, action: &str, message: String| {
            said(kind, level, Some(address), Some(ChangeAction::of(action)), message)
        };
        let doing = |action: &str| match action {
            "create" => ("Creating", "Creation"),
            "update" => ("Changing", "Change"),
            "delete" => ("Destroying", "Destruction"),
            "read" => ("Reading", "Reading"),
            "replace" => ("Replacing", "Replacement"),
            _ => ("Working", "Work"),
        };
        match self {
            Self::Start { address, action } => {
                step("apply_start", "info", address, action, format!("{}...", doing(action).0))
            }
            Self::Progress { address, action, seconds } => step(
                "apply_progress",
                "info",
                address,
                action,
                format!("Still {} after {seconds} s", doing(action).0.to_lowercase()),
            ),
            Self::Complete { address, action, seconds } => step(
                "apply_complete",
                "info",
                address,
                action,
                format!("{} complete after {seconds} s", doing(action).1),
            ),
            Self::Errored { address, action, seconds } => {
                step("apply_errored", "error", address, action, format!("{} failed after {seconds} s", doing(action).1))
            }
            Self::Planned { address, action } => {
                line("planned_change", "info", Some(address), format!("Plan to {}", word(action)))
            }
            Self::Drifted { address, action } => {
                line("resource_drift", "warn", Some(address), format!("Changed outside of Asgard ({})", word(action)))
            }
            Self::Summary { add, change, remove, operation } => {
                let done = if operation == "plan" { "Plan" } else { "Done" };
                line(
                    "change_summary",
                    "info",
                    None,
                    format!("{done}: {add} to add, {change} to change, {remove} to destroy"),
                )
            }
            Self::Provisioner { address, step: kind } => {
                let (level, what) = match *kind {
                    "provision_start" => ("info", "Running its provisioner"),
                    "provision_complete" => ("info", "Its provisioner is done"),
                    _ => ("error", "Its provisioner failed"),
                };
                line(kind, level, Some(address), what.into())
            }
            Self::ReadMode { address } => {
                line("refresh_start", "info", Some(address), "Reading its present state".into())
            }
            Self::Interrupt => line("log", "warn", None, "Terraform was interrupted and is stopping".into()),
            Self::Version { .. }
            | Self::Printed { .. }
            | Self::Diagnostic { .. }
            | Self::Words { .. }
            | Self::Nothing => None,
        }
    }
}

/// An action in a sentence; only words that are known.
fn word(action: &str) -> &'static str {
    match action {
        "create" => "create",
        "update" => "update",
        "delete" => "delete",
        "replace" => "replace",
        "read" => "read",
        "noop" | "no-op" => "keep",
        "move" => "move",
        "import" => "import",
        "forget" | "remove" => "forget",
        _ => "change",
    }
}

#[cfg(test)]
mod tests;
