//! What is said about a configuration that may be run.

/// What there is to say about a configuration that may be run.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
}
