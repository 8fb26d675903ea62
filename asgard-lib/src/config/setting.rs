//! A setting as it was read.

use super::spec::Spec;
use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File {
        /// The file.
        name: String,
        /// The line, from 1.
        line: u64,
    },
    /// A variable: `ASGARD_BIND`, or `ASGARD_BIND_FILE` when it named a file.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One setting as it was read: its declaration, its value and where that came from.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its declaration.
    pub spec: Spec,
    /// What is allowed.
    pub allowed: String,
    /// The value when nobody sets it.
    pub default: String,
    /// The value now; `(secret)` when it must not be shown.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// For a list of maps: what the keys of an entry mean.
    pub parts: Vec<Self>,
}
