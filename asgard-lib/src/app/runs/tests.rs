//! Runs from queueing to their end, with the test as supervisor.

mod basis;
mod ceilings;
mod crash;
mod evidence;
mod fence;
mod impossible;
mod kept;
mod life;
mod log;
mod many;
mod money;
mod policy;
mod refused;
mod states;
mod unlisted;
mod waiting;
