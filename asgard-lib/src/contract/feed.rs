//! The scenarios for the event feed: whatever a store does and whoever dies, a follower gets every event once, in the order of
//! its project, and nothing is ever put before what it has read. Each scenario gets a fresh store; the indexes may lag, and
//! replies may be lost.

pub(super) mod host;

use crate::{
    app::{
        Asgard,
        periodic::{PeriodicTask, SealAudit, TaskOutcome, turn},
    },
    domain::audit::{AuditAction, AuditEvent, EventPosition, PENDING},
    ports::{
        kinds::AUDIT_PENDING,
        records::Records,
        store::{Query, Store},
    },
};
use futures_util::future::BoxFuture;
use host::{Follower, Host, Writer, drain, verifies};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

pub use host::{SealingRate, measure};

/// A scenario: its name, and what runs it.
pub type Scenario = (&'static str, fn(Arc<dyn Store>) -> BoxFuture<'static, ()>);

macro_rules! scenarios {
    ($d:tt $($name:ident,)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$((stringify!($name), |store| Box::pin($name(store))),)*];

        /// Makes a `#[tokio::test]` of every scenario of the event feed. Takes the name of an async function without arguments that
        /// returns a fresh store and anything to be dropped after the test.
        #[macro_export]
        macro_rules! feed_contract {
            ($d make:path) => {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (store, _kept) = $d make().await;
                    $crate::contract::feed::$name(std::sync::Arc::new(store)).await;
                }
            )*};
        }
    };
}

scenarios! { $
    every_event_is_given_once_in_the_order_of_its_project,
    a_follower_goes_on_where_it_was,
    one_busy_project_is_cut_into_blocks,
    a_sealer_may_die_at_any_call,
    a_sealer_may_be_stopped_at_any_moment,
    two_replicas_may_seal_at_once,
    replicas_with_a_lease_take_turns,
}

/// Many projects, and events that belong to none.
pub async fn every_event_is_given_once_in_the_order_of_its_project(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let app = host.boot(&store).await;
    let mut writer = Writer::default();
    for round in 0..3 {
        for n in 0..40 {
            writer.write(&host, &app, n % 9).await;
        }
        drain(&host, &app, &writer).await;
        let mut follower = Follower::default();
        follower.catch_up(&app, 17).await;
        follower.has_all(&writer, &format!("round {round}"));
    }
    verifies(&app).await;
}

/// A position is kept as text, by a process that is not the one that reads on.
pub async fn a_follower_goes_on_where_it_was(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let app = host.boot(&store).await;
    let mut writer = Writer::default();
    let mut kept = EventPosition::START.to_string();
    let mut seen = Vec::new();
    for _ in 0..4 {
        for n in 0..7 {
            writer.write(&host, &app, n % 3).await;
        }
        drain(&host, &app, &writer).await;
        let other = host.boot(&store).await;
        let position: EventPosition = kept.parse().unwrap();
        let page = other.events().after(position, 5).await.unwrap();
        // It died before it kept the position: the same comes again, with the same numbers.
        let again = app.events().after(position, 5).await.unwrap();
        assert_eq!(page.events, again.events);
        assert_eq!(page.events.len(), 5);
        kept = page.next.to_string();
        seen.extend(page.events.into_iter().filter(|event| event.action != AuditAction::DataKeyMade));
    }
    let mut rest = Follower { position: kept.parse().unwrap(), seen };
    rest.catch_up(&app, 100).await;
    rest.has_all(&writer, "after four pages");
}

/// More events of one project than a batch holds.
pub async fn one_busy_project_is_cut_into_blocks(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let app = host.boot(&store).await;
    let mut writer = Writer::default();
    for _ in 0..210 {
        writer.write(&host, &app, 1).await;
    }
    drain(&host, &app, &writer).await;
    let mut follower = Follower::default();
    follower.catch_up(&app, 500).await;
    follower.has_all(&writer, "one project");
    verifies(&app).await;
}

/// A sealer dies at each of its calls to the store in turn, with and without that call being carried out. A follower reads all
/// the time; another sealer goes on.
pub async fn a_sealer_may_die_at_any_call(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let app = host.boot(&store).await;
    let (dying, mortal) = host.boot_dying(&store).await;
    let mut writer = Writer::default();
    let mut follower = Follower::default();
    for last_breath in [false, true] {
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls < 200, "a sealer never comes to an end");
            for n in 0..12 {
                writer.write(&host, &app, n % 4).await;
            }
            host.settle();
            // The sealer finds events by an index, which may lag: what it does not show yet is nothing to die at.
            shown(&app, 12).await;
            dying.fault.after(calls, last_breath);
            let died = dying.fault.live(SealAudit.run(&mortal)).await.is_none();
            follower.catch_up(&app, 3).await;
            drain(&host, &app, &writer).await;
            follower.catch_up(&app, 50).await;
            follower.has_all(&writer, &format!("dead at call {calls}, last breath {last_breath}"));
            dying.fault.after(i64::MAX, false);
            if !died {
                break;
            }
        }
        assert!(calls > 4, "it died too seldom to show anything: {calls}");
    }
    verifies(&app).await;
}

/// Waits until the index of pending events shows that many, and none that is sealed by now.
async fn shown(app: &Asgard, events: usize) {
    for _ in 0..500 {
        let pending = Query::new(&AUDIT_PENDING, PENDING).take(100);
        let Ok(page) = app.store().list::<AuditEvent>(&pending).await else { continue };
        let ids: Vec<String> = page.items.iter().map(|event| event.value.id.to_string()).collect();
        let Ok(now) = app.store().read_many::<AuditEvent>(&ids).await else { continue };
        let all_pending = now.iter().flatten().all(|event| event.unsealed.is_some());
        if ids.len() >= events && all_pending {
            return;
        }
    }
}

/// A sealer is dropped in the middle of what it does, while a commit of its may still be on the way.
pub async fn a_sealer_may_be_stopped_at_any_moment(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let (app, other) = (host.boot(&store).await, host.boot(&store).await);
    let mut writer = Writer::default();
    let mut follower = Follower::default();
    for step in 0..12u64 {
        for n in 0..20 {
            writer.write(&host, &app, n % 5).await;
        }
        host.settle();
        let within = Duration::from_micros(step * step * 200);
        drop(tokio::time::timeout(within, SealAudit.run(&other)).await);
        follower.catch_up(&app, 7).await;
        drain(&host, &app, &writer).await;
        follower.catch_up(&app, 50).await;
        follower.has_all(&writer, &format!("stopped after {within:?}"));
    }
}

/// Two replicas seal at once, as after a lease that ran out under a slow one, while others write and a follower reads.
pub async fn two_replicas_may_seal_at_once(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let (one, two) = (host.boot(&store).await, host.boot(&store).await);
    let mut writer = Writer::default();
    let mut follower = Follower::default();
    for round in 0..6 {
        for n in 0..30 {
            writer.write(&host, if n % 2 == 0 { &one } else { &two }, n % 6).await;
        }
        host.settle();
        let (first, second, ()) = tokio::join!(SealAudit.run(&one), SealAudit.run(&two), follower.catch_up(&one, 4));
        first.unwrap();
        second.unwrap();
        follower.catch_up(&two, 9).await;
        drain(&host, &two, &writer).await;
        follower.catch_up(&one, 50).await;
        follower.has_all(&writer, &format!("round {round}"));
    }
    verifies(&one).await;
}

/// As replicas do it: under the lease of the periodic task.
pub async fn replicas_with_a_lease_take_turns(store: Arc<dyn Store>) {
    let host = Host::on(&store);
    let replicas = [host.boot(&store).await, host.boot(&store).await];
    let stop = CancellationToken::new();
    let mut writer = Writer::default();
    let mut follower = Follower::default();
    let mut did = 0;
    for round in 0..8 {
        for n in 0..10 {
            writer.write(&host, &replicas[0], n % 4).await;
        }
        host.settle();
        let [one, two] = &replicas;
        let both: [&Arc<Asgard>; 2] = if round % 2 == 0 { [one, two] } else { [two, one] };
        let (a, b) = tokio::join!(turn(both[0], &SealAudit, &stop), turn(both[1], &SealAudit, &stop));
        did += [a.unwrap(), b.unwrap()].iter().filter(|outcome| matches!(outcome, TaskOutcome::Did(_))).count();
        follower.catch_up(two, 4).await;
    }
    assert!(did > 0, "nobody ever had the lease");
    drain(&host, &replicas[1], &writer).await;
    follower.catch_up(&replicas[0], 50).await;
    follower.has_all(&writer, "in turns");
}
