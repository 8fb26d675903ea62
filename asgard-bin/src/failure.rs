//! How a command fails: a sentence for the person at the terminal, what to do next, and an exit code for scripts.

use asgard_lib::{Code, Error, config::ConfigProblems};
use std::{error::Error as _, io::Write, process::ExitCode};

/// What went wrong, by what the caller should do about it. The numbers are a contract with scripts and service managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was tried and did not work.
    Failed = 1,
    /// The command line or the configuration is wrong: trying again without a change is pointless.
    Usage = 2,
    /// The server or the database could not be reached, or the credential was not accepted.
    Unreachable = 3,
}

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

/// What commands return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// It was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The other side cannot be reached, or does not accept the credential.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// What to do next, on a line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it on stderr, or in the log where machines read that, and gives the code to exit with.
    pub fn report(self) -> ExitCode {
        let hint = self.hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
        let text = format!("{}{hint}", self.message);
        if crate::logging::is_for_machines() {
            tracing::error!("{text}");
        } else {
            // Where stderr is gone there is nobody to tell; the exit code remains.
            let _ = writeln!(std::io::stderr(), "asgard: {text}");
        }
        ExitCode::from(self.exit as u8)
    }
}

/// Whoever runs a command on the server's machine is its operator, so the cause is shown too. It never holds a secret.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.code() {
            Code::Config | Code::InvalidInput | Code::NotSupported => Exit::Usage,
            Code::StoreUnavailable => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let failure = Self::new(exit, error.to_string());
        if causes.is_empty() { failure } else { failure.hint(format!("The cause: {}", causes.join(": "))) }
    }
}

impl From<ConfigProblems> for Failure {
    fn from(problems: ConfigProblems) -> Self {
        Self::usage(format!("the configuration cannot be used\n{problems}"))
            .hint("`asgard config reference` lists every setting and what it takes.")
    }
}
