//! The guard: a process between a supervisor and Terraform on which Terraform's life hangs. It knows until when the run's lease
//! lasts, because the supervisor tells it after each renewal, and it ends Terraform in time whatever becomes of the supervisor: one
//! that was killed has closed its pipe, one that was stopped says nothing more. Whoever takes the lease over later finds nobody at
//! work. When the guard itself is killed the kernel ends Terraform with it, and the supervisor what else there is.
//!
//! It is this very program by another first argument, see [`super::helper`].

mod client;
mod messages;
mod process;
mod watchdog;

pub(super) use client::Guarded;
pub(super) use messages::Order;
pub(super) use process::run;
