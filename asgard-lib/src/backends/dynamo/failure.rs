//! What an answer of DynamoDB means: whether it did nothing, may have done it, or was asked something wrong; and how long
//! to try again.

use crate::{aws::Unlogged, ports::store::StoreError};
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::{error::Error, time::Duration};

/// How often a call is made that was throttled, or that another transaction was in the way of.
const MAX_TRIES: u32 = 8;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing happened, and it may work in a moment.
    Again,
    /// Nothing happened.
    Unavailable,
    /// It may have happened.
    Unknown,
    /// The request was wrong, or the table is.
    Wrong,
}

/// What the code of an answer means.
pub(super) fn judge(code: &str) -> Verdict {
    match code {
        "TransactionConflictException"
        | "ThrottlingException"
        | "Throttling"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "ReplicatedWriteConflictException" => Verdict::Again,
        "TransactionInProgressException" | "InternalServerError" | "InternalFailure" => Verdict::Unknown,
        // Credentials, rights and a table that is being made can be mended without a new Asgard.
        "AccessDeniedException"
        | "ResourceNotFoundException"
        | "ResourceInUseException"
        | "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException" => Verdict::Unavailable,
        _ => Verdict::Wrong,
    }
}

fn verdict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Verdict {
    match error {
        SdkError::ServiceError(answer) => match judge(answer.err().code().unwrap_or_default()) {
            Verdict::Again => Verdict::Again,
            // A failure of the service's own, or of something before it, does not say what was done by then.
            Verdict::Unavailable | Verdict::Unknown | Verdict::Wrong if answer.raw().status().is_server_error() => {
                Verdict::Unknown
            }
            certain => certain,
        },
        // Never sent.
        SdkError::ConstructionFailure(_) => Verdict::Unavailable,
        SdkError::DispatchFailure(failure) if failure.is_user() => Verdict::Unavailable,
        // Sent, perhaps.
        _ => Verdict::Unknown,
    }
}

/// A failed call as the port has it.
pub(super) fn failure<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let verdict = verdict(&error);
    let cause = DisplayErrorContext(&error).to_string();
    match verdict {
        Verdict::Again | Verdict::Unavailable => StoreError::Unavailable(cause.into()),
        Verdict::Unknown => StoreError::Unknown(cause.into()),
        Verdict::Wrong => StoreError::Corrupt(format!("DynamoDB refused a request: {cause}")),
    }
}

/// What a call answered that writes under a condition; `None` when the condition stood in the way.
pub(super) async fn conditionally<T, E, F>(call: impl FnMut() -> F) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    match patiently(call).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("ConditionalCheckFailedException") => Ok(None),
            Some(_) | None => Err(failure(error)),
        },
    }
}

/// What a read answered. One that failed did nothing, whatever became of it.
pub(super) async fn read<T, E, F>(call: impl FnMut() -> F) -> Result<T, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    patiently(call).await.map_err(|error| match failure(error) {
        StoreError::Unknown(cause) => StoreError::Unavailable(cause),
        certain @ (StoreError::Unavailable(_) | StoreError::Corrupt(_)) => certain,
    })
}

/// Tries of one call: a few milliseconds that double and differ between callers, at most about a second.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Waits before the next try; `false` when there have been enough.
    pub(super) async fn another(&mut self) -> bool {
        self.0 += 1;
        if self.0 >= MAX_TRIES {
            return false;
        }
        let mut spread = [0u8; 1];
        // Without randomness callers only meet more often.
        let _ = getrandom::fill(&mut spread);
        let base = 8u64 << self.0.min(7);
        let [spread] = spread;
        tokio::time::sleep(Duration::from_millis(base / 2 + base * u64::from(spread) / 256)).await;
        true
    }
}

/// Makes a call again as long as it is only throttled or in somebody's way.
pub(super) async fn patiently<T, E, F>(mut call: impl FnMut() -> F) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut tries = Tries::default();
    loop {
        match call().unlogged().await {
            Err(error) if verdict(&error) == Verdict::Again && tries.another().await => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_means_one_thing() {
        assert_eq!(judge("TransactionConflictException"), Verdict::Again);
        assert_eq!(judge("ProvisionedThroughputExceededException"), Verdict::Again);
        assert_eq!(judge("InternalServerError"), Verdict::Unknown);
        assert_eq!(judge("AccessDeniedException"), Verdict::Unavailable);
        assert_eq!(judge("ValidationException"), Verdict::Wrong);
        assert_eq!(judge(""), Verdict::Wrong);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_end() {
        let mut tries = Tries::default();
        let mut made = 1;
        while tries.another().await {
            made += 1;
        }
        assert_eq!(made, MAX_TRIES);
    }
}
