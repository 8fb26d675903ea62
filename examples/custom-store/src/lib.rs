//! A store of one's own for Asgard: [redb](https://docs.rs/redb), an embedded B-tree in one file.
//!
//! Asgard asks three things of a database: [`Store`](asgard_lib::ports::store::Store) (records, claims, counters, one atomic
//! batch), [`Blobs`](asgard_lib::ports::blobs::Blobs) (bytes that are written once) and
//! [`Upkeep`](asgard_lib::backends::Upkeep) (tables, closing). [`RedbStore`] is all three. What it has to keep is written
//! down as tests, `tests/contract.rs`; what a power cut may not do to it is `tests/power_cut.rs`.
//!
//! Where to look: `tables.rs` says what is kept under which key and keeps the indexes in step, `batch.rs` commits, `page.rs`
//! answers queries, `expiry.rs` deletes what has expired, `store.rs` puts them behind the ports.

pub mod asgard;
mod batch;
mod blobs;
mod expiry;
mod fault;
mod page;
mod store;
mod tables;

pub use store::RedbStore;
