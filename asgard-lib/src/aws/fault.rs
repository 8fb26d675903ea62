//! What went wrong with a call to AWS, sorted by what can be done about it.

use crate::error::{Code, Error};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use std::{error::Error as StdError, fmt};

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody gave credentials.
    NoCredentials,
    /// AWS does not accept the credentials.
    BadCredentials,
    /// The credentials do not include the right.
    Denied,
    /// AWS could not be reached, failed or throttled, however often it was tried.
    Unavailable,
    /// AWS understood and said no; the code says why.
    Refused,
}

/// A failed call. What AWS said is for operators; it holds names of keys, secrets and roles, never a value.
#[derive(Debug)]
pub struct Fault {
    /// What can be done about it.
    pub trouble: Trouble,
    code: String,
    words: String,
}

/// Codes that stand for "try again", which the SDK has done by then.
const AGAIN: &[&str] = &[
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "KeyUnavailableException",
    "KMSInternalException",
    "DependencyTimeoutException",
    "InternalServiceError",
    "InternalFailure",
    "ServiceUnavailable",
    "RequestTimeout",
];
const BAD_CREDENTIALS: &[&str] = &[
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredTokenException",
    "ExpiredToken",
];
const DENIED: &[&str] = &["AccessDeniedException", "AccessDenied", "NotAuthorized"];

impl Fault {
    /// Sorts a failed call.
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let among = |codes: &[&str]| codes.contains(&code.as_str());
        let trouble = match error {
            SdkError::ServiceError(_) | SdkError::ResponseError(_)
                if among(AGAIN) || status >= 500 || status == 429 =>
            {
                Trouble::Unavailable
            }
            SdkError::ServiceError(_) if among(BAD_CREDENTIALS) => Trouble::BadCredentials,
            SdkError::ServiceError(_) if among(DENIED) => Trouble::Denied,
            SdkError::ServiceError(_) => Trouble::Refused,
            _ => match credentials(error) {
                Some(CredentialsError::CredentialsNotLoaded(_)) => Trouble::NoCredentials,
                Some(CredentialsError::InvalidConfiguration(_)) => Trouble::BadCredentials,
                Some(_) | None => Trouble::Unavailable,
            },
        };
        let words = match error.as_service_error().and_then(ProvideErrorMetadata::message) {
            Some(message) => message.to_owned(),
            None if error.as_service_error().is_some() => String::new(),
            None => causes(error),
        };
        Self { trouble, code, words }
    }

    /// AWS's name for what went wrong; empty when it never answered.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Without what AWS said: where a request holds a value, the answer may quote it.
    #[must_use]
    pub fn without_words(mut self) -> Self {
        if self.trouble == Trouble::Refused {
            self.words.clear();
        }
        self
    }

    /// What an operator is told about trouble that is the same for every service; `None` for a refusal, whose code the
    /// caller knows better. `action` is the right, `on` what it was asked for.
    pub fn usual(&self, unavailable: Code, action: &str, on: &str) -> Option<Error> {
        let (code, message) = match self.trouble {
            Trouble::Refused => return None,
            Trouble::NoCredentials => (
                Code::Config,
                format!(
                    "{action} on {on} needs AWS credentials, and there are none. Give Asgard a role (of the task, the function or the instance), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
                ),
            ),
            Trouble::BadCredentials => (
                Code::Config,
                format!(
                    "AWS does not accept the credentials that Asgard was given ({action} on {on}). They may have expired."
                ),
            ),
            Trouble::Denied => (
                Code::Config,
                format!(
                    "AWS does not allow Asgard {action} on {on}. Allow it in the policy of the role that Asgard runs as and, for a KMS key, in the key's own policy."
                ),
            ),
            Trouble::Unavailable => {
                let message = format!("AWS cannot be used just now ({action} on {on}). Try again in a moment.");
                return Some(Error::new(unavailable, message).retry_after(5).caused_by(self.to_string()));
            }
        };
        Some(Error::new(code, message).caused_by(self.to_string()))
    }
}

/// For the operator's log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.words.as_str()) {
            ("", "") => f.write_str("AWS gave no reason"),
            ("", words) => f.write_str(words),
            (code, "") => f.write_str(code),
            (code, words) => write!(f, "{code}: {words}"),
        }
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn credentials<E: StdError + 'static>(error: &SdkError<E>) -> Option<&CredentialsError> {
    chain(error.source()?).find_map(|cause| cause.downcast_ref())
}

/// The causes in one line, each said once: wrappers repeat what they wrap.
fn causes<E: StdError + 'static>(error: &SdkError<E>) -> String {
    let mut said: Vec<String> = vec![error.to_string()];
    for cause in error.source().into_iter().flat_map(chain) {
        let text = cause.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}
