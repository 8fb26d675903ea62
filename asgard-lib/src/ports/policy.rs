//! A policy of the operator's own, asked beside Asgard's rules.

use crate::{
    domain::policy::{Facts, Judgement, built_in},
    error::Result,
};

/// Answers whether a request passes, needs people, or is denied. Its answers are joined with those of Asgard's own rules by the
/// stricter one, so a policy can ask for more and never for less.
///
/// It is asked inside decisions that are made again after a lost race: it answers from the facts alone, at once, and the same for
/// the same facts. What it needs from elsewhere it loads beforehand, in its own time.
pub trait Policy: Send + Sync {
    /// The judgement of these facts. An error denies where somebody waits for the answer, and asks a person where a plan is
    /// judged; nothing ever passes by one.
    fn judge(&self, facts: &Facts) -> Result<Judgement>;
}

/// Asgard's own rules and no others: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Policy for BuiltIn {
    fn judge(&self, facts: &Facts) -> Result<Judgement> {
        Ok(built_in(facts))
    }
}
