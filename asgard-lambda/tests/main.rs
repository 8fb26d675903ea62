//! The functions and the task's program from outside, as one program.

#![allow(clippy::unwrap_used, reason = "a test that is surprised should fail where it is")]

mod http;
mod replay;
mod runner;
mod schedules;
mod support;
mod ticks;
