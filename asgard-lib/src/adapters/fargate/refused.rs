//! What ECS refuses, as errors that say what to do. Having no room is a limit and is tried again without counting.

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
pub(super) fn call<E>(name: &'static str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let fault = Fault::of(error);
    let said = fault.to_string();
    if is_limit(&said) {
        return no_room(&said);
    }
    let said = shortened(&said);
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
            return Error::new(Code::RunnerFailed, format!("ECS could not be asked for {name} ({said})."))
                .retry_after(5);
        }
    };
    Error::new(Code::RunnerFailed, format!("ECS refused {name}: {hint} ({said})."))
}
