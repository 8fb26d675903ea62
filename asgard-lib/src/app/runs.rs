//! Runs from the outside in: queueing, claiming under a lease, storing state and logs, ending, recovering.
//!
//! A run is queued in the commit that causes it, together with a job that launches its supervisor. The supervisor claims
//! it ([`ClaimedRun::claim`]): from then on a lease on the resource is held, and every commit under it depends on that
//! lease, so a supervisor that lost it changes nothing any more. Ending a run ([`ClaimedRun::finish`]) is one commit:
//! run, request, resource, money, secrets, audit event, the run that follows, and the lease handed back. Hence the rule
//! that recovery lives by: a lease has a holder exactly while its resource has a running run.
//!
//! Claims in use: a request's open claim is owned by the request's id, a resource's name claim by the resource's id, a
//! secret's name claim by the secret's id.

mod assignment;
mod beginning;
mod claim;
mod claimed_run;
mod folder;
mod held_lease;
mod launch;
mod log;
mod log_budget;
mod outcome;
mod outputs;
mod permit;
mod queue;
mod recover;
mod reporter;
mod state;
#[cfg(test)]
mod tests;
mod transition;

pub use claimed_run::{Assignment, Claim, Claimant, ClaimedRun};
pub(crate) use launch::{Launch, prepare};
pub(crate) use log::{count_segments, segments};
pub(crate) use outputs::{drop_secrets, remove_all as remove_secrets};
pub(crate) use queue::LOOK_EVERY;
pub use queue::{queue, queue_refresh};
pub use recover::{RunCheck, check_run, recover_at_start};
pub(crate) use recover::{check_all_runs, give_up};
pub use state::current_state;
pub use transition::apply_transition;
