//! Asking a server elsewhere: an identity provider, or whoever publishes a document about a client.

use crate::kernel::SecretText;
use async_trait::async_trait;
use std::{fmt, time::Duration};

/// The largest answer that is read unless something else is said.
pub const MAX_ANSWER: usize = 256 * 1024;
/// How long an answer may take unless something else is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Whoever named the address decides what may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The operator named it: any host, through the proxy that the environment names. `http` only to this machine.
    Configured,
    /// A stranger named it: `https` only, no proxy, and no address of this machine, of a private network or of any other
    /// special range. The name is resolved once, and what was checked is what is dialled.
    Public,
    /// The same, and this machine besides, because Asgard itself listens on a loopback address only.
    PublicOrLoopback,
}

/// How the caller shows who it is.
#[derive(Clone, Debug)]
pub enum WebAuth {
    /// Not at all.
    None,
    /// `Authorization: Basic`, from texts that are encoded as the peer wants them already.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretText,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretText),
}

/// A question to a server elsewhere. Redirects are never followed.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// The address.
    pub url: String,
    /// Who named the address.
    pub reach: Reach,
    /// How the caller shows who it is.
    pub auth: WebAuth,
    /// The fields of a form that is posted; without one the address is read.
    pub form: Option<Vec<(&'static str, SecretText)>>,
    /// The largest answer that is read.
    pub max_bytes: usize,
    /// How long everything together may take.
    pub timeout: Duration,
}

impl WebRequest {
    /// Reads an address.
    pub fn get(url: impl Into<String>, reach: Reach) -> Self {
        Self { url: url.into(), reach, auth: WebAuth::None, form: None, max_bytes: MAX_ANSWER, timeout: TIMEOUT }
    }

    /// Posts a form to an address.
    pub fn form(url: impl Into<String>, reach: Reach, fields: Vec<(&'static str, SecretText)>) -> Self {
        Self { form: Some(fields), ..Self::get(url, reach) }
    }

    /// The same, with a credential.
    #[must_use]
    pub fn auth(self, auth: WebAuth) -> Self {
        Self { auth, ..self }
    }
}

/// An answer, whatever its status is.
#[derive(Clone)]
pub struct WebResponse {
    /// The status.
    pub status: u16,
    /// The type of the body, without parameters and in small letters.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The body may hold tokens.
impl fmt::Debug for WebResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebResponse")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// Why there is no answer. The texts are for the operator; they hold no address beyond its host, and no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebError {
    /// The address may not be dialled: why.
    Refused(String),
    /// Nothing answers there: why.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// The answer is larger than it may be.
    TooLarge(usize),
    /// The connection ended in the middle of an answer, or it is no HTTP.
    Broken(String),
}

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "may not be asked: {why}"),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::TooLarge(most) => write!(f, "answered with more than {most} bytes"),
            Self::Broken(why) => write!(f, "did not answer as a web server does: {why}"),
        }
    }
}

impl std::error::Error for WebError {}

/// Asks servers elsewhere.
#[async_trait]
pub trait WebClient: Send + Sync + 'static {
    /// Asks once and reads the whole answer.
    async fn send(&self, request: WebRequest) -> Result<WebResponse, WebError>;
}
