//! Policy: from what is known about a request ([`Facts`]) to a [`Judgement`]: it passes, a person is asked, or it is denied.
//!
//! The rules that Asgard itself guarantees are in [`rules`]. A policy of the operator's own (`ports::policy`) is joined with
//! them by the stricter answer ([`Judgement::join`]), so it can only add to what they ask for.

mod facts;
mod judged;
mod judgement;
pub mod rules;

pub use facts::{ChangeKind, CostFacts, Facts, Moment, OwnerCostFacts, PlanFacts, ProjectFacts, StateFacts};
pub use judged::{Judged, MAX_JUDGED, Weighed, record, waits_for};
pub use judgement::{Answer, Approver, Because, Judgement, MAX_APPROVERS, RuleId};
pub use rules::built_in;

#[cfg(test)]
mod tests;
