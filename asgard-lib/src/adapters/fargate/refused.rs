//! What ECS refuses, as errors that say what to do. Having no room is a limit and is tried again without counting.

use crate::error::{Code, Error};
use aws_sdk_ecs::{
    error::{ProvideErrorMetadata, SdkError},
    types::Failure,
};

/// How long to wait for room, in seconds.
const ROOM: u64 = 60;
const TOLD: usize = 200;

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TOLD).collect()
}

/// Whether ECS means that there is no room, or that it was asked too often.
fn is_limit(text: &str) -> bool {
    ["RESOURCE:", "Capacity is unavailable", "limit on the number of", "Throttling", "LimitExceeded"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn no_room(what: &str) -> Error {
    let message = format!("Fargate has no room for another task just now ({}); the run waits.", shortened(what));
    Error::new(Code::QuotaReached, message).retry_after(ROOM)
}

/// A task that was not started although the call succeeded.
pub(super) fn failure(failure: &Failure) -> Error {
    let reason = failure.reason().unwrap_or("no reason given");
    if is_limit(reason) {
        return no_room(reason);
    }
    let detail = failure.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Error::new(Code::RunnerFailed, format!("ECS did not start the task: {}", shortened(&format!("{reason}{detail}"))))
}

/// A call that failed.
pub(super) fn call<E, R>(name: &'static str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let (code, said) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    if is_limit(code) || is_limit(said) {
        return no_room(if said.is_empty() { code } else { said });
    }
    let settings = match code {
        "AccessDeniedException" => Some("this process's role may not do that"),
        "ClusterNotFoundException" => Some("there is no cluster that provisioning.aws.cluster names"),
        "ClientException"
        | "InvalidParameterException"
        | "PlatformUnknownException"
        | "PlatformTaskDefinitionIncompatibilityException"
        | "UnsupportedFeatureException" => Some("check the settings provisioning.aws"),
        _ => None,
    };
    match settings {
        Some(hint) => {
            Error::new(Code::RunnerFailed, format!("ECS refused {name}: {hint} ({code}: {}).", shortened(said)))
        }
        // It may have happened; asking again with the same token is harmless.
        None => {
            let what =
                if code.is_empty() { shortened(&error.to_string()) } else { format!("{code}: {}", shortened(said)) };
            Error::new(Code::RunnerFailed, format!("ECS could not be asked for {name} ({what}).")).retry_after(5)
        }
    }
}
