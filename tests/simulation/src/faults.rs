//! What goes wrong, and when: all of it from the seed.

use crate::{dice::Dice, host::Host, simulation::Simulation};
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// In milliseconds.
const HOUR: i64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
enum Fault {
    PowerCut,
    ServerKilled,
    SupervisorKilled,
    LinkCut,
    RepliesLost,
    LongPowerCut,
    LongLinkCut,
    Orphaned,
    Upgrade,
    ClockNudged,
    ClockWrong,
}

/// Lets faults happen until the course is over.
pub async fn happen(simulation: Arc<Simulation>) {
    let dice = Dice::of(simulation.seed, "faults");
    let course = simulation.course;
    let mut all = Vec::new();
    if course.faults {
        let usual = [Fault::PowerCut, Fault::ServerKilled, Fault::SupervisorKilled, Fault::LinkCut, Fault::RepliesLost];
        all.extend(usual);
    }
    if course.long_outages {
        all.extend([Fault::LongPowerCut, Fault::LongLinkCut, Fault::Orphaned]);
    }
    if course.upgrades {
        all.push(Fault::Upgrade);
    }
    if course.clocks {
        all.extend([Fault::ClockNudged, Fault::ClockWrong]);
    }
    let end = Instant::now() + Duration::from_secs(60 * course.minutes);
    loop {
        sleep(dice.millis(5_000, 90_000)).await;
        if Instant::now() >= end {
            return;
        }
        let (Some(fault), Some(host)) = (dice.pick(&all), dice.pick(&simulation.hosts)) else { continue };
        simulation.notes.fault(&format!("{fault:?} at {}", host.name));
        strike(&simulation, *fault, host, &dice).await;
    }
}

async fn strike(simulation: &Arc<Simulation>, fault: Fault, host: &Arc<Host>, dice: &Dice) {
    match fault {
        Fault::PowerCut => {
            host.power_off();
            sleep(dice.millis(1_000, 60_000)).await;
            simulation.serve(host);
        }
        Fault::LongPowerCut => {
            host.power_off();
            sleep(dice.millis(90_000, 240_000)).await;
            simulation.serve(host);
        }
        Fault::ServerKilled => {
            if let Some(server) = host.server() {
                host.kill(server);
            }
            sleep(dice.millis(500, 20_000)).await;
            simulation.serve(host);
        }
        Fault::SupervisorKilled => host.kill_a_supervisor(dice),
        Fault::LinkCut => {
            host.link.cut(true);
            sleep(dice.millis(500, 25_000)).await;
            host.link.cut(false);
        }
        Fault::LongLinkCut => {
            host.link.cut(true);
            sleep(dice.millis(90_000, 240_000)).await;
            host.link.cut(false);
        }
        // Nobody is left who answers for the Terraform that works, until long after its lease.
        Fault::Orphaned => {
            if let Some(server) = host.server() {
                host.kill(server);
            }
            host.kill_supervisors();
            sleep(dice.millis(90_000, 240_000)).await;
            simulation.serve(host);
        }
        // Within what clocks may disagree by.
        Fault::ClockNudged => {
            host.set_clock(i64::try_from(dice.below(4_000)).unwrap_or(0) - 2_000);
        }
        // Far beyond it: an hour or a year ahead or behind, until somebody sets it right.
        Fault::ClockWrong => {
            let wrong = [HOUR, -HOUR, 365 * 24 * HOUR, -365 * 24 * HOUR];
            let was = host.set_clock(dice.pick(&wrong).copied().unwrap_or(HOUR));
            sleep(dice.millis(5_000, 240_000)).await;
            host.set_clock(was);
        }
        Fault::RepliesLost => {
            host.link.lose(25);
            sleep(dice.millis(5_000, 40_000)).await;
            host.link.lose(0);
        }
        Fault::Upgrade => {
            simulation.notes.edition.fetch_add(1, SeqCst);
            for host in &simulation.hosts {
                if let Some(server) = host.server() {
                    host.kill(server);
                }
                simulation.serve(host);
            }
        }
    }
}
