//! Running Terraform: the supervisor that carries out one run, and the runner that starts supervisors as processes.
//!
//! Three rules shape all of it. Terraform's output goes to files, because a reader that dies must not take Terraform with
//! it. Every state that Terraform writes is stored while it runs, because anything may die at any time. And what holds
//! secrets (plans, states, variables, free text) stays in a private folder or in memory until the secrets are known.
//! `docs/adr/0005-runner.md` has the reasons.

mod child;
mod conduct;
mod confine;
mod engine;
mod environment;
mod guard;
mod held;
mod helper;
mod keeper;
mod local_process;
mod lock;
mod messages;
mod nothing;
mod operations;
mod place;
mod plan;
mod processes;
mod query;
mod record;
mod redact;
mod salvage;
mod sensitive;
mod state;
mod step;
mod stop;
mod supervisor;
mod tail;
mod term;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
mod tracker;
mod trial;
mod uptime;
mod watch;
mod workdir;

pub use conduct::SuperviseOptions;
pub use confine::Confined;
pub use engine::Engine;
pub use helper::{Helper, helper};
pub use local_process::{LocalProcess, LocalProcessOptions};
pub use place::here;
pub use supervisor::{SupervisorExit, harden_process, supervise};
pub use trial::{Trial, try_out};
