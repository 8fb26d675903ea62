//! The functions and the task's program from outside, as one program.

mod http;
mod replay;
mod runner;
mod schedules;
mod support;
mod ticks;
