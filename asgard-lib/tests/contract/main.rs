//! The public contract suite on every backend of this crate, and on the fault decorators where what they do must not matter.

mod memory;
mod postgres;
mod sqlite;
mod views;
