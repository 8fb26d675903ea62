//! What ECS refuses, as errors that say what to do. Having no room, and an ECS that cannot be reached, are waited for.

use crate::{
    aws::{Fault, Trouble},
    error::{Code, Error},
};
use aws_sdk_ecs::{
    error::{ProvideErrorMetadata, SdkError},
    types::Failure,
};

/// How long to wait for room, in seconds.
const ROOM: u64 = 60;
/// How long to wait for an ECS that does not answer, in seconds.
const OUTAGE: u64 = 15;

/// AWS's short name for what went wrong, in brackets. Its sentences are for operators: they name roles, accounts and secrets.
fn named(name: &str) -> String {
    let is_name = !name.is_empty() && name.len() <= 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ':');
    if is_name { format!(" ({name})") } else { String::new() }
}

/// Whether ECS means that there is no room, or that it was asked too often.
fn is_limit(text: &str) -> bool {
    ["RESOURCE:", "Capacity is unavailable", "limit on the number of", "Throttling", "LimitExceeded"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn no_room(said: String) -> Error {
    Error::new(Code::QuotaReached, "Fargate has no room for another task just now; the run waits.")
        .retry_after(ROOM)
        .caused_by(said)
}

/// A task that was not started although the call succeeded.
pub(super) fn failure(failure: &Failure) -> Error {
    let reason = failure.reason().unwrap_or("no reason given");
    let said = failure.detail().map_or_else(|| reason.to_owned(), |detail| format!("{reason} ({detail})"));
    if is_limit(reason) {
        return no_room(said);
    }
    let message = format!(
        "ECS did not start the task{}; check the settings provisioning.aws. Asgard's log has what ECS says about it.",
        named(reason)
    );
    Error::new(Code::RunnerFailed, message).caused_by(said)
}

/// A call that failed.
pub(super) fn call<E>(name: &'static str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let fault = Fault::of(error);
    let said = fault.to_string();
    if is_limit(&said) {
        return no_room(said);
    }
    let hint = match fault.trouble {
        Trouble::NoCredentials => "there are no AWS credentials; give Asgard a role",
        Trouble::BadCredentials => "AWS does not accept the credentials that Asgard was given",
        Trouble::Denied => "the role that Asgard runs as may not do that",
        Trouble::Refused if fault.code() == "ClusterNotFoundException" => {
            "there is no cluster that provisioning.aws.cluster names"
        }
        Trouble::Refused => "check the settings provisioning.aws",
        // It may have happened; asking again with the same token is harmless.
        Trouble::Unavailable => {
            let message = format!("ECS cannot be asked for {name}: it does not answer, or fails.");
            return Error::new(Code::RunnerUnavailable, message).retry_after(OUTAGE).caused_by(said);
        }
    };
    Error::new(Code::RunnerFailed, format!("ECS refused {name}: {hint}{}.", named(fault.code()))).caused_by(said)
}
