//! The public contract suite on every backend of this crate, and on the fault decorators where what they do must not matter.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at the first thing that is wrong, and reads where its peers are from the environment"
)]

mod before;
mod dynamo;
mod hole;
mod memory;
mod poolers;
mod postgres;
mod rows;
mod sqlite;
mod views;

/// Prints how fast the sealer seals `events` events of one project, of some and of many, each time on a fresh store.
async fn print_pace<S: asgard_lib::ports::store::Store, Kept>(
    name: &str,
    events: u32,
    fresh: impl AsyncFn() -> (S, Kept),
) {
    for projects in [1, 20, 500] {
        let (store, _kept) = fresh().await;
        let pace = asgard_lib::contract::feed::measure(std::sync::Arc::new(store), events, projects).await;
        println!("{name}: {projects} projects, {:.0} events a second", pace.per_second());
    }
}
