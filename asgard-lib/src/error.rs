//! One error type. Its kind says what the caller should do, its code has a page in `docs/errors/`, its message is for the
//! person who asked, and its source is for the operator's log. The two never share a string.

use crate::kernel::Malformed;
use std::{borrow::Cow, error::Error as StdError, fmt};

/// What the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Change the input.
    Invalid,
    /// Present a credential.
    Unauthenticated,
    /// Ask somebody who may.
    Denied,
    /// Look elsewhere.
    NotFound,
    /// Look at the present state and decide again.
    Conflict,
    /// Wait, or ask for a higher limit.
    Limit,
    /// Something that Asgard called failed; trying again may help.
    Upstream,
    /// Asgard cannot answer just now; try again.
    Unavailable,
    /// A fault of Asgard's; report it.
    Bug,
}

impl Kind {
    /// Whether the same call may succeed later without a change.
    pub const fn retryable(self) -> bool {
        match self {
            Self::Limit | Self::Upstream | Self::Unavailable => true,
            Self::Invalid | Self::Unauthenticated | Self::Denied | Self::NotFound | Self::Conflict | Self::Bug => false,
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $slug:literal, $kind:ident, $status:literal, $title:literal;)*) => {
        /// Stable error codes. Each has a page `docs/errors/<code>.md`; a test checks it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as clients see it.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// The kind that the code belongs to.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// The HTTP status that the code is answered with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short title, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidInput = "invalid-input", Invalid, 400, "The input is not valid";
    InvalidSpec = "invalid-spec", Invalid, 400, "The spec does not fit the service";
    InvalidCursor = "invalid-cursor", Invalid, 400, "The cursor is not valid here";
    UnsupportedMedia = "unsupported-media-type", Invalid, 415, "The body is not JSON";
    BodyTooLarge = "body-too-large", Limit, 413, "The body is too large";
    NoCredential = "no-credential", Unauthenticated, 401, "A credential is needed";
    BadCredential = "bad-credential", Unauthenticated, 401, "The credential is not valid";
    LoginFailed = "login-failed", Unauthenticated, 401, "The username or password is wrong";
    Denied = "denied", Denied, 403, "Not allowed";
    OriginDenied = "origin-denied", Denied, 403, "The request came from another site";
    LocalLoginDisabled = "local-login-disabled", Denied, 403, "Password sign-in is turned off";
    SeparationOfDuties = "separation-of-duties", Denied, 403, "Somebody else has to approve this";
    TargetNotAllowed = "target-not-allowed", Denied, 403, "The target is not on the allow-list";
    PolicyDenied = "policy-denied", Denied, 403, "Policy does not allow this";
    NotFound = "not-found", NotFound, 404, "There is no such thing";
    MethodNotAllowed = "method-not-allowed", Invalid, 405, "The method is not allowed here";
    AlreadyExists = "already-exists", Conflict, 409, "It exists already";
    WrongState = "wrong-state", Conflict, 409, "Its present state does not allow this";
    StaleVersion = "stale-version", Conflict, 409, "It has changed since you read it";
    PreconditionFailed = "precondition-failed", Conflict, 412, "It has changed since you read it";
    OpenRequest = "open-request", Conflict, 409, "Another request for this resource is open";
    IdempotencyMismatch = "idempotency-mismatch", Conflict, 409, "The idempotency key was used for another call";
    ProjectInactive = "project-inactive", Conflict, 409, "The project is not active";
    DependentsExist = "dependents-exist", Conflict, 409, "Something still depends on it";
    LastAdmin = "last-admin", Conflict, 409, "The last active admin cannot be removed";
    Throttled = "throttled", Limit, 429, "Too many attempts";
    QuotaReached = "quota-reached", Limit, 429, "A limit has been reached";
    Busy = "busy", Unavailable, 503, "Too many writers at once";
    StoreUnavailable = "store-unavailable", Unavailable, 503, "The database cannot be reached";
    NotReady = "not-ready", Unavailable, 503, "Asgard is starting or stopping";
    Timeout = "timeout", Unavailable, 503, "The request took too long";
    KeyUnavailable = "key-unavailable", Unavailable, 503, "An encryption key cannot be reached";
    RunnerFailed = "runner-failed", Upstream, 502, "The runner could not be started";
    RunnerUnavailable = "runner-unavailable", Unavailable, 503, "The runner cannot be reached";
    EngineMissing = "engine-missing", Unavailable, 503, "Terraform was not found";
    NotSupported = "not-supported", Invalid, 400, "This build does not support that";
    Config = "config", Invalid, 500, "The configuration is not valid";
    Bug = "bug", Bug, 500, "Asgard made a mistake";
}

/// A failed operation.
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    retry_after_secs: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `code` that tells the caller `message`.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), field: None, retry_after_secs: None, source: None }
    }

    /// Input that is wrong: which field, and what is allowed.
    pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidInput, message).at(field)
    }

    /// There is no such `what`, or the caller may not know of it.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}, or you may not see it."))
    }

    /// A fault of Asgard's own. The detail goes to the log, not to the caller.
    pub fn bug(detail: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Bug, "Something went wrong inside Asgard. The trace id finds it in the log.").caused_by(detail)
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds the operator's cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the caller should do.
    pub fn kind(&self) -> Kind {
        self.code.kind()
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field that is wrong, if one is.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after_secs
    }

    /// The cause and its causes in one line, for the operator's log.
    pub fn chain(&self) -> String {
        let mut line = format!("{}: {}", self.code.slug(), self.message);
        let mut next = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(Code::InvalidInput, malformed.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn slugs_are_unique_and_every_code_has_its_page() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.slug()), "{} is used twice", code.slug());
            let page = format!("{}/docs/errors/{}.md", env!("CARGO_MANIFEST_DIR"), code.slug());
            let text = std::fs::read_to_string(&page).unwrap_or_default();
            assert!(
                text.starts_with(&format!("# {}\n", code.slug())),
                "docs/errors/{}.md is missing or has another heading",
                code.slug()
            );
            assert!(
                text.contains(&code.status().to_string()),
                "docs/errors/{}.md does not name its status {}",
                code.slug(),
                code.status()
            );
        }
        let pages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors")).unwrap();
        for page in pages {
            let name = page.unwrap().file_name().into_string().unwrap();
            let slug = name.trim_end_matches(".md");
            assert!(slug == "README" || seen.contains(slug), "docs/errors/{name} belongs to no code");
        }
    }

    #[test]
    fn the_callers_sentence_never_holds_the_cause() {
        let error = Error::bug("password=hunter2");
        assert!(!error.to_string().contains("hunter2"));
        assert!(error.chain().contains("hunter2"));
    }
}
