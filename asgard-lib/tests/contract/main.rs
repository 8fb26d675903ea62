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

/// Says how fast the sealer seals `events` events of one project, of some and of many, each time on a fresh store, and fails below the floor.
async fn keeps_pace<S: asgard_lib::ports::store::Store, Kept>(
    name: &str,
    floor: f64,
    events: u32,
    fresh: impl AsyncFn() -> (S, Kept),
) {
    for projects in [1, 20, 500] {
        let (store, _kept) = fresh().await;
        let pace = asgard_lib::contract::feed::measure(std::sync::Arc::new(store), events, projects).await;
        // A debug build, with everything else that runs beside its tests, shows only that sealing has not come to a halt.
        let (build, floor) = if cfg!(debug_assertions) { ("debug", floor / 20.0) } else { ("release", floor) };
        let reached = pace.per_second();
        println!("{name}, {build}: {projects} projects, {reached:.0} events a second");
        assert!(
            reached >= floor,
            "{name}, {build}: {reached:.0} events a second of {projects} projects, and {floor:.0} are the floor"
        );
    }
}
