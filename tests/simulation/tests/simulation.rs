//! Courses of events, by seed.
//!
//! `ASGARD_SIMULATION_SEEDS=2000 cargo test -p asgard-simulation` plays more of them, and `ASGARD_SIMULATION_SEED=17` plays one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test may stop at the first thing that is wrong, and reads how long it may take from the environment"
)]

use asgard_simulation::{Course, Report, Simulation};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    match number("ASGARD_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ASGARD_SIMULATION_SEEDS").unwrap_or(usual),
    }
}

/// Plays a course on a runtime of its own: one thread, and a clock that moves only when everything waits.
fn play(seed: u64, course: Course) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(Simulation::play(seed, course))
}

fn hold(usual: u64, course: Course) -> (u64, usize, u64) {
    let (calls, made, faults, _) = hold_keys(usual, course);
    (calls, made, faults)
}

/// The same, and how many data keys were retired.
fn hold_keys(usual: u64, course: Course) -> (u64, usize, u64, usize) {
    let (mut calls, mut made, mut faults, mut rotated) = (0, 0, 0, 0);
    for seed in seeds(usual) {
        let report = play(seed, course);
        assert!(
            report.violations.is_empty(),
            "seed {seed} of {course:?}: play it again with ASGARD_SIMULATION_SEED={seed}\n{}",
            report.violations.join("\n")
        );
        calls += report.calls.0;
        made += report.made;
        faults += report.faults;
        rotated += report.rotated;
    }
    (calls, made, faults, rotated)
}

#[test]
fn what_people_ask_for_is_made_once_and_known() {
    let (calls, made, _) = hold(3, Course { minutes: 8, ..Course::default() });
    assert!(
        number("ASGARD_SIMULATION_SEED").is_some() || (calls > 60 && made > 15),
        "{calls} calls made {made} things"
    );
}

#[test]
fn killed_hosts_cut_links_and_lost_replies_change_nothing_of_that() {
    let (calls, made, faults) = hold(6, Course { minutes: 10, faults: true, ..Course::default() });
    let much = calls > 200 && made > 40 && faults > 30;
    assert!(
        number("ASGARD_SIMULATION_SEED").is_some() || much,
        "{calls} calls made {made} things through {faults} faults"
    );
}

#[test]
fn outages_longer_than_a_lease_and_modules_that_change_lose_track_of_nothing() {
    let course = Course { minutes: 10, faults: true, long_outages: true, upgrades: true, clocks: false };
    let (calls, made, faults) = hold(8, course);
    let much = calls > 200 && made > 40 && faults > 40;
    assert!(
        number("ASGARD_SIMULATION_SEED").is_some() || much,
        "{calls} calls made {made} things through {faults} faults"
    );
}

/// Clocks that are set by seconds, an hour or a year, forwards and back, while hosts also die and links are cut: everything ends, nothing
/// is deleted before its time, and no loop rests until a year has passed. Data keys are rotated meanwhile: none is retired early, and each
/// rotation ends. A project's key that nobody answers for is flagged with something like the time, and not ended.
#[test]
fn clocks_that_jump_put_nothing_to_rest_and_delete_nothing() {
    let (_, made, faults, rotated) = hold_keys(3, Course { minutes: 10, clocks: true, ..Course::default() });
    let much = made > 15 && faults > 10 && rotated > 1;
    assert!(number("ASGARD_SIMULATION_SEED").is_some() || much, "{made} things, {faults} faults, {rotated} rotations");
    let course = Course { minutes: 10, faults: true, long_outages: true, clocks: true, ..Course::default() };
    let (_, made, faults) = hold(3, course);
    assert!(number("ASGARD_SIMULATION_SEED").is_some() || (made > 15 && faults > 10), "{made} things, {faults} faults");
}

#[test]
fn a_seed_plays_the_same_course_again() {
    let course = Course { minutes: 6, faults: true, long_outages: true, upgrades: true, clocks: false };
    for seed in 100..101 {
        let (one, two) = (play(seed, course), play(seed, course));
        assert_eq!((one.trace, one.made, one.calls), (two.trace, two.made, two.calls), "seed {seed}");
        assert_eq!(one.violations, two.violations, "seed {seed}");
    }
    assert_ne!(play(100, course).trace, play(101, course).trace);
}
