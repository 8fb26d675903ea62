//! What a commit tells whoever does jobs.

use crate::kernel::JobId;

/// The jobs that were appended just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeHint {
    /// These, and no others.
    Named(Vec<JobId>),
    /// Some: which ones, the index says in a moment.
    Unnamed,
}

impl WakeHint {
    /// The most jobs that are named.
    pub const MAX: usize = 32;

    /// These jobs beside the ones of an earlier wake-up.
    pub(in crate::app) fn joined(before: Option<Self>, jobs: &[JobId]) -> Self {
        let mut named = match before {
            None => Vec::new(),
            Some(Self::Named(named)) => named,
            Some(Self::Unnamed) => return Self::Unnamed,
        };
        named.extend_from_slice(jobs);
        if named.len() > Self::MAX { Self::Unnamed } else { Self::Named(named) }
    }
}
