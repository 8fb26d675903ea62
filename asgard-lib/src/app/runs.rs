//! Runs from the outside in: queueing, claiming under a lease, storing state and logs, ending, recovering.
//!
//! A run is queued in the commit that causes it, together with a job that launches its supervisor. The supervisor claims
//! it ([`Supervision::claim`]): from then on a lease on the resource is held, and every commit under it depends on that
//! lease, so a supervisor that lost it changes nothing any more. Ending a run ([`Supervision::finish`]) is one commit:
//! run, request, resource, money, secrets, audit event, the run that follows, and the lease handed back. Hence the rule
//! that recovery lives by: a lease has a holder exactly while its resource has a running run.
//!
//! Claims in use: a request's open claim is owned by the request's id, a resource's name claim by the resource's id, a
//! secret's name claim by the secret's id.

mod assignment;
mod carry;
mod claim;
mod ending;
mod hold;
mod launch;
mod log;
mod outputs;
mod permit;
mod queue;
mod recover;
mod state;
mod supervision;
#[cfg(test)]
mod tests;

pub use assignment::secret_input;
pub use carry::carry;
pub(crate) use launch::{Launch, prepare};
pub(crate) use log::segments;
pub(crate) use queue::LOOK_EVERY;
pub use queue::{queue, queue_refresh};
pub use recover::{Look, look_after, recover_at_start};
pub(crate) use recover::{give_up, look_after_all};
pub use supervision::{Assignment, Claim, Supervision};
