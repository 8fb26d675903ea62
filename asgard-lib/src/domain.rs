//! Pure rules: no async, no clock, no randomness, no I/O. Functions take what is and return what shall be.

pub mod access;
pub mod audit;
pub mod change;
pub mod credential;
pub mod job;
pub mod lease;
pub mod person;
pub mod policy;
pub mod project;
pub mod request;
pub mod resource;
pub mod run;
pub mod secret;
pub mod service;
pub mod target;
pub mod tier;
