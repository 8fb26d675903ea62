//! The control plane in simulation: one store, two hosts with clocks and disks of their own, a Terraform that really makes
//! things in a model cloud, and people who ask for them, all on one thread in virtual time. A seed decides every course of
//! events: who asks for what, which host dies when, which reply is lost. The same seed plays the same course again, so a
//! violation that was found once can be looked at until it is understood.
//!
//! A new area adds its model (what it talks to), its people (what they do) and its invariants here.

pub mod cloud;
pub mod dice;
pub mod faults;
pub mod host;
pub mod invariants;
pub mod keys;
pub mod link;
pub mod people;
pub mod runner;
pub mod simulation;
pub mod terraform;

pub use simulation::{Course, Report, Simulation};
