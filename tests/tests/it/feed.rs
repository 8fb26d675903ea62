//! The event feed when servers die in the middle of sealing.

use asgard_tests::{Client, Site, eventually, eventually_within};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

/// How often a server is killed.
const KILLS: usize = 6;

/// An event as the feed has it: the place, the event, its chain and its block.
struct Fed {
    id: String,
    chain: String,
    block: u64,
}

/// Changes a project at whichever server lives, until it is told to stop; counts what was answered.
fn change(clients: &[Client; 2], project: &str, stop: &AtomicBool, answered: &AtomicUsize) {
    for number in 0usize.. {
        if stop.load(SeqCst) {
            return;
        }
        let change = json!({"description": format!("Change {number}.")}).to_string();
        let path = format!("/api/projects/{project}");
        let json = [("content-type", "application/json")];
        // The one that was killed answers nothing; nobody knows then whether it was done.
        let answer = clients[number % 2].try_send("PATCH", &path, &json, Some(change.as_bytes()));
        if answer.is_some_and(|answer| answer.status == 200) {
            answered.fetch_add(1, SeqCst);
        }
    }
}

/// Two servers seal in turn, and each is killed while the other works. Afterwards the feed has every event once, in the order of its
/// chain, and everything that was answered.
#[test]
fn the_feed_on_postgresql_has_every_event_once_however_often_a_server_is_killed() {
    let site = Site::postgres().yaml("lease_ttl_secs: 60\n");
    let mut servers = [site.start(), site.start()];
    let cast = site.cast(&servers[0]);
    let projects = ["One", "Two", "Three"].map(|name| cast.project(name));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    for kill in 0..KILLS {
        let clients = [cast.owner.session.at(servers[0].base()), cast.owner.session.at(servers[1].base())];
        let before = answered.load(SeqCst);
        thread::scope(|scope| {
            for project in &projects {
                let (clients, stop, answered) = (&clients, &stop, &answered);
                scope.spawn(move || change(clients, project, stop, answered));
            }
            eventually("something is written", || (answered.load(SeqCst) > before + 20).then_some(()));
            servers[kill % 2].kill();
            eventually("the other one goes on", || (answered.load(SeqCst) > before + 40).then_some(()));
            stop.store(true, SeqCst);
        });
        stop.store(false, SeqCst);
        servers[kill % 2] = site.start();
    }
    let rows = |query: &str| site.database().rows(query).unwrap();
    let pending = "SELECT id FROM audit_event WHERE body::jsonb ? 'unsealed'";
    // Whoever was killed while it sealed had the task's lease, which runs out after a minute at the earliest.
    let lease = Duration::from_secs(150);
    eventually_within(lease, "everything is sealed", || rows(pending).is_empty().then_some(()));

    let feed: Vec<Fed> = rows(
        "SELECT fed.id || ' ' || coalesce(event.body::jsonb ->> 'project', 'org') || ' ' || (event.body::jsonb ->> 'block') \
         FROM (SELECT segment.id AS segment, one.id, one.place FROM audit_block AS segment, \
               jsonb_array_elements_text(segment.body::jsonb -> 'events') WITH ORDINALITY AS one (id, place) \
               WHERE segment.id LIKE 'feed/%') AS fed LEFT JOIN audit_event AS event ON event.id = fed.id \
         ORDER BY fed.segment, fed.place",
    )
    .iter()
    .map(|row| {
        let [id, chain, block] = row.split(' ').collect::<Vec<_>>().try_into().expect("an event of the feed is in the audit log");
        Fed { id: id.to_owned(), chain: chain.to_owned(), block: block.parse().expect("a block's number") }
    })
    .collect();

    let mut once: Vec<&str> = feed.iter().map(|fed| fed.id.as_str()).collect();
    once.sort_unstable();
    let events = rows("SELECT id FROM audit_event ORDER BY id COLLATE \"C\"");
    assert_eq!(once, events.iter().map(String::as_str).collect::<Vec<_>>(), "every event is in the feed, and once");
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for fed in &feed {
        let before = last.insert(&fed.chain, fed.block).unwrap_or_default();
        assert!(before <= fed.block, "{} of {}: block {} after block {before}", fed.id, fed.chain, fed.block);
    }
    let updated = rows("SELECT id FROM audit_event WHERE body::jsonb ->> 'action' = 'project.updated'").len();
    assert!(updated >= answered.load(SeqCst), "{updated} changes in the log, {} answered", answered.load(SeqCst));
    let verified = cast.admin.session.at(servers[1].base()).get("/api/audit/verify").ok();
    assert_eq!(verified["breaks"], json!([]), "{verified:#}");
}
