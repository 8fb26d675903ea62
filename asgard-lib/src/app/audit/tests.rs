//! The event feed in one process, retention, and what the version before sealed.

use crate::{
    app::{
        Call, Tx,
        audit::{EventFeed, ListAudit, operations::MAX_DAYS, verify},
        core::waiver::AuditWaiver,
        periodic::{Next, PeriodicTask, RetainAudit, SealAudit},
        testkit::{Kit, StoreFaults, signed_in},
    },
    domain::audit::{AuditAction, AuditBlock, AuditEvent, AuditStub, Event, EventPosition, FeedHead, FeedSegment},
    error::{Code, Result},
    kernel::{Actor, Role, Timestamp},
    ports::{
        kinds::{self, Kind},
        store::{Batch, Draft, Key, Op, Outcome, Store},
        world::Clock,
    },
};
use serde::Deserialize;
use serde_json::json;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

async fn ask(kit: &Kit, names: std::ops::Range<u32>) {
    for n in names {
        kit.pass(Duration::from_millis(1));
        kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
    }
}

async fn seal(kit: &Kit) {
    kit.pass(Duration::from_secs(3));
    while SealAudit.run(&kit.app).await.unwrap() == Next::Again {}
}

async fn follow(feed: EventFeed<'_>, mut position: EventPosition, limit: usize) -> (Vec<Event>, EventPosition) {
    let mut events = Vec::new();
    loop {
        let page = feed.after(position, limit).await.unwrap();
        assert!(page.events.len() <= limit && !page.removed);
        if page.events.is_empty() {
            return (events, page.next);
        }
        events.extend(page.events);
        position = page.next;
    }
}

#[tokio::test(start_paused = true)]
async fn the_feed_gives_what_was_committed_from_any_position() {
    let kit = Kit::staged().await;
    assert!(kit.app.events().after(EventPosition::START, 10).await.unwrap().events.is_empty());
    ask(&kit, 0..35).await;
    seal(&kit).await;
    ask(&kit, 35..40).await;
    seal(&kit).await;
    let logged = kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
    let (all, end) = follow(kit.app.events(), EventPosition::START, 500).await;
    let of_project: Vec<_> = all.iter().filter(|event| event.project.is_some()).collect();
    assert_eq!(of_project.iter().map(|e| &e.id).collect::<Vec<_>>(), logged.iter().map(|e| &e.id).collect::<Vec<_>>());
    assert!(all.windows(2).all(|two| two[0].seq < two[1].seq), "numbers grow");
    assert_eq!((of_project[0].action.name(), of_project[1].action.name()), ("project.registered", "request.opened"));
    let others: Vec<_> = all.iter().filter(|event| event.project.is_none()).map(|event| event.action.name()).collect();
    assert_eq!(others, ["data_key.made"], "the first of an empty store");
    assert_eq!(end, kit.app.events().end().await.unwrap());
    // However it is cut into pages, nothing is left out or given twice.
    for limit in [1, 7, 35, 41] {
        assert_eq!(follow(kit.app.events(), EventPosition::START, limit).await.0, all, "{limit}");
    }
    let first = kit.app.events().after(EventPosition::START, 20).await.unwrap();
    assert!(first.more);
    assert_eq!(follow(kit.app.events(), first.next, 20).await.0, all[20..]);
    let error = kit.app.events().after("ev1-99-0".parse().unwrap(), 10).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidCursor, "another database's position");
}

#[tokio::test(start_paused = true)]
async fn events_settle_before_they_are_given_out() {
    let kit = Kit::staged().await;
    kit.pass(Duration::from_millis(1900));
    assert!(!SealAudit.wanted(&kit.app).await.unwrap(), "the registration was just now");
    kit.pass(Duration::from_millis(200));
    assert!(SealAudit.wanted(&kit.app).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn sealing_in_this_process_wakes_who_waits() {
    let kit = Kit::staged().await;
    seal(&kit).await;
    let end = kit.app.events().end().await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(!kit.app.events().wait(end, Duration::from_secs(5)).await.unwrap());
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    ask(&kit, 0..1).await;
    let began = tokio::time::Instant::now();
    let sealing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        seal(&kit).await;
    };
    let (woken, ()) = tokio::join!(kit.app.events().wait(end, Duration::from_secs(60)), sealing);
    assert!(woken.unwrap() && began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
}

/// A sealer reserved numbers and died: readers wait at the hole, the next sealer fills it, and what was under way is refused.
#[tokio::test(start_paused = true)]
async fn a_hole_is_filled_and_never_jumped() {
    let kit = Kit::staged().await;
    ask(&kit, 0..2).await;
    seal(&kit).await;
    let (before, end) = follow(kit.app.events(), EventPosition::START, 100).await;
    assert!(!before.is_empty());
    kit.tamper::<FeedHead>(FeedHead::ID, |head| head.reserved += 2).await;
    let head = kit.read::<FeedHead>(FeedHead::ID).await.unwrap().value;
    // The second of its batches arrived, the first did not.
    let late = FeedSegment { events: vec![before[0].id.clone()], ..FeedSegment::empty(head.reserved, kit.world.now()) };
    kit.plant(&late).await;
    assert!(follow(kit.app.events(), end, 100).await.0.is_empty(), "nothing is read beyond the hole");
    assert!(SealAudit.wanted(&kit.app).await.unwrap(), "a hole is work, though no event waits");
    seal(&kit).await;
    assert_eq!(follow(kit.app.events(), end, 100).await.0.len(), 1);
    let hole = kit.read::<FeedSegment>(FeedSegment::id(head.reserved - 1)).await.unwrap();
    assert!(hole.events.is_empty(), "the batch that was under way finds its number taken");
    assert!(!SealAudit.wanted(&kit.app).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn retention_removes_leading_blocks_and_the_rest_still_verifies() {
    let kit = Kit::staged_keeping(10).await;
    ask(&kit, 0..100).await;
    seal(&kit).await;
    kit.pass(DAY * 5);
    ask(&kit, 100..110).await;
    seal(&kit).await;
    let chain = kit.project.to_string();
    let position = kit.app.events().after(EventPosition::START, 50).await.unwrap().next;
    kit.pass(DAY * 6);
    while RetainAudit.run(&kit.app).await.unwrap() == Next::Again {}
    seal(&kit).await;

    let report = verify(&kit.app, None).await.unwrap();
    assert_eq!((report.breaks, report.unsealed, report.complete), (vec![], 0, true));
    let removed = report.removed.iter().find(|removed| removed.chain == chain).unwrap();
    assert_eq!((removed.through, removed.events), (2, 101), "{removed:?}");
    assert_eq!(kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, &chain).await.len(), 10);
    assert!(kit.read::<AuditBlock>(AuditBlock::id(&chain, 1)).await.is_none());

    // A follower is told that it missed something, and goes on.
    let page = kit.app.events().after(position, 500).await.unwrap();
    assert!(page.removed && page.events.len() >= 10);
    assert!(page.events.iter().any(|event| event.action == "audit.removed"), "removing is an act");
    let page = kit.app.events().after(page.next, 500).await.unwrap();
    assert!(!page.removed && page.events.is_empty());

    // New blocks follow, and a second removal moves the stub.
    kit.pass(DAY * 11);
    ask(&kit, 110..111).await;
    seal(&kit).await;
    while RetainAudit.run(&kit.app).await.unwrap() == Next::Again {}
    seal(&kit).await;
    let report = verify(&kit.app, Some(&chain)).await.unwrap();
    assert_eq!((report.breaks, report.removed[0].through), (vec![], 3));
}

/// A sealer whose clock is a year ahead, or behind, for one block: what happened within the days that are kept is kept, and what is behind
/// that block is removed when its time is over.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_keeps_the_audit_log_neither_too_short_nor_for_ever() {
    for wrong in [-365, 365] {
        let kit = Kit::staged_keeping(10).await;
        ask(&kit, 0..5).await;
        let right = kit.clock.now();
        kit.clock.set(Timestamp::from_millis(right.as_millis() + wrong * 86_400_000 + 60_000));
        seal(&kit).await;
        kit.clock.set(right.plus(Duration::from_secs(120)));
        ask(&kit, 5..10).await;
        seal(&kit).await;
        let chain = kit.project.to_string();
        let left = async || {
            while RetainAudit.run(&kit.app).await.unwrap() == Next::Again {}
            kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, &chain).await.len()
        };
        kit.pass(DAY * 9);
        assert_eq!(left().await, 11, "{wrong}: nothing is ten days old");
        kit.pass(DAY * 2);
        assert_eq!(left().await, 0, "{wrong}: everything is");
        assert_eq!(verify(&kit.app, Some(&chain)).await.unwrap().breaks, vec![], "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stub_cannot_be_made_moved_or_left_out() {
    for case in 0..4 {
        let kit = Kit::staged_keeping(10).await;
        let chain = kit.project.to_string();
        for n in 0..3 {
            ask(&kit, n..n + 1).await;
            seal(&kit).await;
            kit.pass(DAY * 4);
        }
        while RetainAudit.run(&kit.app).await.unwrap() == Next::Again {}
        let stub = kit.read::<AuditStub>(AuditStub::id(&chain)).await.unwrap().value;
        assert_eq!((stub.through, verify(&kit.app, Some(&chain)).await.unwrap().breaks), (1, vec![]));
        let next = kit.read::<AuditBlock>(AuditBlock::id(&chain, 2)).await.unwrap().value;
        match case {
            0 => kit.erase::<AuditStub>(&AuditStub::id(&chain)).await,
            1 => {
                kit.tamper::<AuditStub>(&AuditStub::id(&chain), |it| (it.through, it.last_mac) = (2, next.mac.clone()))
                    .await;
                kit.erase::<AuditBlock>(&AuditBlock::id(&chain, 2)).await;
            }
            2 => kit.tamper::<AuditStub>(&AuditStub::id(&chain), |it| it.events = 0).await,
            _ => {
                kit.erase::<AuditBlock>(&AuditBlock::id(&chain, 2)).await;
                for (event, _) in &next.events {
                    kit.erase::<AuditEvent>(event.as_str()).await;
                }
            }
        }
        assert!(!verify(&kit.app, Some(&chain)).await.unwrap().breaks.is_empty(), "case {case}");
    }
}

/// Acting as Asgard itself is no waiver, and nobody else can.
#[tokio::test(start_paused = true)]
async fn asgard_itself_needs_an_event_or_a_reason_for_none() {
    let kit = Kit::staged().await;
    let segment = |number| FeedSegment::empty(number, kit.world.now());
    let system = Call::system("test", kit.app.new_trace());
    let commit = async |call: &Call, number: u64, how: fn(&mut Tx<'_>) -> Result<()>| {
        let segment = &segment(number);
        kit.app
            .transact(call, |tx| {
                Box::pin(async move {
                    how(tx)?;
                    tx.insert(segment)
                })
            })
            .await
    };
    let silent = commit(&system, 1000, |tx| tx.as_system()).await.unwrap_err();
    assert!(silent.chain().contains("without an audit event"), "{}", silent.chain());
    let unasked = commit(&system, 1000, |_| Ok(())).await.unwrap_err();
    assert!(unasked.chain().contains("nobody's permission"), "{}", unasked.chain());
    for call in [kit.owner(), kit.manager(), Call::anonymous(kit.app.new_trace(), Default::default())] {
        let person = commit(&call, 1000, |tx| tx.waive_audit(AuditWaiver::Sealing)).await.unwrap_err();
        assert!(person.chain().contains("who is not"), "{}", person.chain());
    }
    commit(&system, 1000, |tx| tx.waive_audit(AuditWaiver::Sealing)).await.unwrap();
    let audited = commit(&system, 1001, |tx| {
        tx.as_system()?;
        tx.audit(None, AuditAction::UserPasswordNoted, "somebody", &[])
    });
    audited.await.unwrap();
    let unknown = commit(&system, 1002, |tx| {
        tx.as_system()?;
        tx.audit(None, AuditAction::from("x.acme.door_opened".to_owned()), "door", &[])
    });
    assert!(unknown.await.unwrap_err().chain().contains("not registered"));
}

#[derive(Deserialize)]
struct Line {
    kind: String,
    id: String,
    schema: u16,
    body: String,
}

/// The records that version 0.1.0 wrote, with the changes of `tamper`.
async fn of_the_version_before(tamper: impl Fn(&mut Line)) -> Kit {
    let memory = crate::backends::MemoryStore::new();
    for line in include_str!("fixtures/sealed-0.1.0.jsonl").lines() {
        let mut line: Line = serde_json::from_str(line).unwrap();
        tamper(&mut line);
        let kind = *Kind::ALL.iter().find(|kind| kind.name() == line.kind).unwrap();
        let world = crate::ports::world::World::system();
        let mut batch = Batch::new(world.id(), world.now());
        let draft = Draft { key: Key::new(kind, line.id), schema: line.schema, body: line.body, expires_at: None };
        batch.push(Op::Insert(draft)).unwrap();
        assert_eq!(memory.commit(&batch).await.unwrap(), Outcome::Committed);
    }
    Kit::staged_on(StoreFaults::on(&memory)).await
}

#[tokio::test(start_paused = true)]
async fn what_version_0_1_0_sealed_verifies_and_its_chains_go_on() {
    let kit = of_the_version_before(|_| {}).await;
    let report = verify(&kit.app, None).await.unwrap();
    assert_eq!((report.breaks, report.blocks, report.complete), (vec![], 8, true));
    assert!(report.unsealed > 0 && report.events > 40, "{} {}", report.unsealed, report.events);
    let waiting = report.unsealed;
    seal(&kit).await;
    let report = verify(&kit.app, None).await.unwrap();
    assert_eq!((report.breaks, report.unsealed), (vec![], 0));
    assert!(report.blocks > 8);
    // The feed begins with what was not sealed before.
    let (events, _) = follow(kit.app.events(), EventPosition::START, 100).await;
    assert_eq!(u64::try_from(events.len()).unwrap(), waiting);
}

#[tokio::test(start_paused = true)]
async fn what_version_0_1_0_sealed_shows_changes_and_additions() {
    type Edit = fn(&str) -> String;
    let changes: [(&str, &str, Edit); 4] = [
        ("audit_event", "a value", |body| body.replacen("\"user.created\"", "\"user.updated\"", 1)),
        ("audit_event", "a new field", |body| body.replacen("{\"id\"", "{\"outcome\":\"refused\",\"id\"", 1)),
        ("audit_block", "a value", |body| body.replacen("\"sealed_at\":\"2026", "\"sealed_at\":\"2025", 1)),
        ("audit_block", "another format", |body| body.replacen("{\"chain\"", "{\"format\":2,\"chain\"", 1)),
    ];
    for (wanted, what, change) in changes {
        let kit = of_the_version_before(|line| {
            if line.kind == wanted && line.body.contains("\"block\":1") | (wanted == "audit_block") {
                line.body = change(&line.body);
            }
        })
        .await;
        assert!(!verify(&kit.app, None).await.unwrap().breaks.is_empty(), "{wanted}: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_walked_to_its_beginning_however_long_ago_that_is() {
    let kit = Kit::staged().await;
    ask(&kit, 0..3).await;
    let begun = kit.world.now();
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a session") };
    let admin = Actor::Human { person, sign_in, role: Role::Admin };
    let walk = async |from: Option<&str>, to: Option<&str>| {
        let (mut found, mut cursor) = (0, None::<String>);
        for _ in 0..20 {
            let mut list = json!({"action": "request.opened", "limit": 2});
            list["from"] = json!(from);
            list["to"] = json!(to);
            list["cursor"] = json!(cursor);
            let list: ListAudit = serde_json::from_value(list).unwrap();
            let page = kit.app.run(&Call::by(admin.clone(), kit.app.new_trace()), &list).await.unwrap();
            found += page.items.len();
            let Some(next) = page.next_cursor else { return found };
            cursor = Some(next.0);
        }
        panic!("it never ends")
    };
    assert_eq!(walk(None, None).await, 3);
    kit.pass(DAY * 1_000);
    ask(&kit, 3..5).await;
    assert_eq!(walk(None, None).await, 5, "past every gap");
    assert_eq!(walk(None, Some("2099-01-01T00:00:00Z")).await, 5, "a moment that is far away is no gap");
    assert_eq!(walk(Some("2027-01-01T00:00:00Z"), Some("2099-01-01T00:00:00Z")).await, 5);
    assert_eq!(walk(Some(&begun.plus(DAY).to_string()), None).await, 2);
    assert_eq!(walk(None, Some(&begun.plus(DAY).to_string())).await, 3);
}

fn admin() -> Actor {
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a session") };
    Actor::Human { person, sign_in, role: Role::Admin }
}

/// Pages of the whole log until it ends: how many events there are, and the most reads of a page.
async fn whole_log(kit: &Kit, input: serde_json::Value) -> (usize, i64) {
    let (mut found, mut most, mut cursor) = (0, 0, None::<String>);
    for _ in 0..100 {
        let mut input = input.clone();
        input["cursor"] = json!(cursor);
        let list: ListAudit = serde_json::from_value(input).unwrap();
        let before = kit.faulty.fault.calls.load(SeqCst);
        let page = kit.app.run(&Call::by(admin(), kit.app.new_trace()), &list).await.unwrap();
        most = most.max(kit.faulty.fault.calls.load(SeqCst) - before);
        found += page.items.len();
        match page.next_cursor {
            Some(next) => cursor = Some(next.0),
            None => return (found, most),
        }
    }
    panic!("it never ends")
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_whole_log_ends_where_the_log_begins_and_costs_no_more_reads_than_it_may() {
    let kit = Kit::staged().await;
    ask(&kit, 0..3).await;
    let (waiting, reads) = whole_log(&kit, json!({"limit": 200})).await;
    assert!(waiting > 3 && reads <= 6, "{waiting} events that wait, {reads} reads");
    seal(&kit).await;
    let (sealed, reads) = whole_log(&kit, json!({"limit": 200})).await;
    assert!(sealed == waiting && reads <= 6, "{sealed} sealed events, {reads} reads");
    // Long ago, and with a filter that nothing fits.
    let most = i64::try_from(MAX_DAYS).unwrap() + 10;
    kit.pass(DAY * 500);
    ask(&kit, 3..4).await;
    seal(&kit).await;
    let (all, reads) = whole_log(&kit, json!({"limit": 200})).await;
    assert!(all > waiting && reads <= most, "{all} events in 500 days, {reads} reads");
    let (none, reads) = whole_log(&kit, json!({"action": "nothing.like.this", "limit": 1})).await;
    assert!(none == 0 && reads <= most, "{reads} reads for nothing");
    // The moment of an event says where it is, however wrong the clock was that gave it.
    let head = kit.read::<FeedHead>(FeedHead::ID).await.unwrap();
    let first = kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
    assert!(head.oldest.unwrap() <= first.iter().map(|event| event.at).min().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_whole_log_goes_as_far_back_as_a_version_before_sealed() {
    let kit = of_the_version_before(|_| {}).await;
    let (before, _) = whole_log(&kit, json!({"limit": 200})).await;
    seal(&kit).await;
    let head = kit.read::<FeedHead>(FeedHead::ID).await.unwrap();
    let oldest = head.oldest.unwrap();
    let (after, reads) = whole_log(&kit, json!({"limit": 200})).await;
    let days = i64::try_from(kit.world.now().since(oldest).as_secs() / 86_400).unwrap();
    assert!(before == after && reads <= days + 10, "{before} and {after} events, {reads} reads for {days} days");
    // It is looked for once.
    let calls = kit.faulty.fault.calls.load(SeqCst);
    seal(&kit).await;
    assert!(kit.faulty.fault.calls.load(SeqCst) - calls < 20);
}
