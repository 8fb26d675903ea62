//! The public test suite for the ports, and decorators that inject faults.
//!
//! A team that brings its own [`Store`](crate::ports::store::Store) or [`Blobs`](crate::ports::blobs::Blobs) runs the same
//! scenarios as the backends in this crate. Each becomes a test of its own and gets a fresh, empty store:
//!
//! ```ignore
//! // tests/contract.rs, with the features `contract` of asgard-lib and `macros`, `rt-multi-thread` of tokio
//! async fn fresh() -> (MyStore, tempfile::TempDir) {
//!     let folder = tempfile::tempdir().unwrap();
//!     (MyStore::open(folder.path()).await.unwrap(), folder) // the second part is dropped after the test
//! }
//! asgard_lib::store_contract!(fresh);
//! asgard_lib::blobs_contract!(fresh);
//!
//! #[test]
//! fn random_batches_have_the_same_outcomes_as_in_the_model() {
//!     asgard_lib::contract::property::agrees_with_the_model(fresh, 200);
//! }
//! ```
//!
//! `secrets_contract!` and `wrapper_contract!` do the same for a [`SecretStore`](crate::ports::secrets::SecretStore) and for a
//! [`KeyWrapper`](crate::ports::secrets::KeyWrapper) of one's own.
//!
//! [`audit::shows_every_attack`] does to the audit log whatever a writer to the database can do, and compares what verifying says.
//! `feed_contract!` runs Asgard's own sealer and followers of the event feed on the store.
//!
//! Scenarios ask indexes until they have caught up, so an index that lags by less than [`store_fixture::PATIENCE`] passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test suite fails by panicking"
)]

pub mod audit;
pub mod blobs;
pub mod faults;
pub mod feed;
pub mod load;
pub mod property;
pub mod secrets;
pub mod store;
pub mod store_fixture;
pub mod wrapper;
