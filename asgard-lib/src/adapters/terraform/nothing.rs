//! Removing a resource that has no state, or one with nothing in it. There is nothing that Terraform would find, so it is not asked: the
//! module may be broken by now, and its providers out of reach.

use super::{
    conduct::Order,
    plan::{Basis, Pack},
    state,
};
use crate::{
    domain::run::{PlanSummary, RunOp},
    error::{Error, Result},
    ports::runner::RunOutcome,
};
use std::collections::BTreeSet;

/// What there is to say in the run's log.
pub(super) const SAID: &str =
    "There is no state with anything in it, so there is nothing to remove, and Terraform is not asked.";

/// Whether the order is to remove what is not there.
pub(super) fn is_there(order: &Order) -> bool {
    let removes = match order.op {
        RunOp::PlanDestroy | RunOp::Destroy => true,
        RunOp::Plan | RunOp::Apply | RunOp::Refresh => false,
    };
    removes && order.state.as_deref().is_none_or(|bytes| state::is_empty(bytes))
}

fn basis(order: &Order, engine: &str, salt: &[u8; 32]) -> Result<Basis> {
    Basis::of(&order.module_digest, engine, order.state.as_deref().map(Vec::as_slice), &order.variables, salt)
}

/// The plan that removes nothing.
pub(super) fn plan(order: &Order, engine: &str, salt: &[u8; 32]) -> Result<RunOutcome> {
    let pack = Pack::new(salt, basis(order, engine, salt)?, BTreeSet::new(), &[], None);
    let summary = PlanSummary { digest: pack.digest()?, ..PlanSummary::default() };
    Ok(RunOutcome::Planned { summary, plan: pack.bytes()? })
}

/// Why the stored plan does not fit any more; `None` when it does.
pub(super) fn differs(order: &Order, engine: &str) -> Result<Option<String>> {
    let Some(stored) = &order.plan else {
        return Err(Error::bug(format!("{} has no plan to apply", order.run)));
    };
    let pack = Pack::read(stored)?;
    Ok(pack.basis.differs(&basis(order, engine, &pack.salt()?)?))
}
