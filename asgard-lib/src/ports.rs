//! What Asgard needs from the world, as small traits. Backends and adapters implement them; every implementation passes
//! the same public suite in [`crate::contract`] (feature `contract`).

pub mod anchors;
pub mod blobs;
pub(crate) mod entities;
pub mod kinds;
pub mod policy;
pub mod records;
pub mod roles;
pub mod runner;
pub mod secrets;
pub mod store;
pub(crate) mod upcasts;
pub mod vault;
pub mod web;
pub mod world;
