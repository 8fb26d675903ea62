use super::*;
use crate::{
    app::{
        audit::{VerifyReport, marks, verify, verify_within},
        testkit::Kit,
    },
    domain::{
        audit::{AuditBlock, AuditEvent, AuditHead, ORG_CHAIN, PENDING, SealFormat},
        lease::Lease,
    },
    error::{Code, Error},
    ports::{kinds, store::Store},
};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const HOUR: Duration = Duration::from_secs(3600);

/// A periodic task that counts its turns.
#[derive(Default)]
struct CountedTask {
    turns: AtomicU32,
    takes: Duration,
    fails: bool,
}

#[async_trait]
impl PeriodicTask for CountedTask {
    fn declared(&self) -> Periodic {
        Periodic::every("counted", HOUR)
    }
    async fn run(&self, _: &Arc<Asgard>) -> Result<Next> {
        self.turns.fetch_add(1, SeqCst);
        tokio::time::sleep(self.takes).await;
        if self.fails { Err(Error::new(Code::Busy, "no")) } else { Ok(Next::Rest) }
    }
}

#[tokio::test(start_paused = true)]
async fn one_process_at_a_time_and_once_a_period() {
    let kit = Kit::staged().await;
    let (other, _) = kit.second().await;
    let (task, stop) =
        (CountedTask { takes: Duration::from_secs(1), ..CountedTask::default() }, CancellationToken::new());
    let (one, two) = tokio::join!(turn(&kit.app, &task, &stop), turn(&other, &task, &stop));
    let mut turns = [one.unwrap(), two.unwrap()];
    turns.sort_by_key(|turn| matches!(turn, TaskOutcome::Later(_)));
    assert!(matches!(turns, [TaskOutcome::Did(Next::Rest), TaskOutcome::Later(_)]), "{turns:?}");
    kit.pass(HOUR - Duration::from_millis(1));
    assert!(matches!(turn(&other, &task, &stop).await.unwrap(), TaskOutcome::Later(_)));
    kit.pass(Duration::from_millis(2));
    assert_eq!(turn(&other, &task, &stop).await.unwrap(), TaskOutcome::Did(Next::Rest));
    assert_eq!(task.turns.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_a_stop_or_a_death_somebody_else_goes_on() {
    let kit = Kit::staged().await;
    let (other, _) = kit.second().await;
    let go = CancellationToken::new();
    let task = CountedTask::default();

    assert!(turn(&kit.app, &CountedTask { fails: true, ..CountedTask::default() }, &go).await.is_err());
    assert_eq!(turn(&other, &task, &go).await.unwrap(), TaskOutcome::Did(Next::Rest));

    kit.pass(HOUR * 2);
    let (slow, stop) = (CountedTask { takes: HOUR, ..CountedTask::default() }, CancellationToken::new());
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    };
    let (stopped, ()) = tokio::join!(turn(&kit.app, &slow, &stop), stopping);
    assert_eq!(stopped.unwrap(), TaskOutcome::Did(Next::Again));
    assert_eq!(turn(&other, &task, &go).await.unwrap(), TaskOutcome::Did(Next::Rest));

    // Dropped in the middle, as a killed process is: its lease runs out.
    kit.pass(HOUR * 2);
    let killed = tokio::time::timeout(Duration::from_secs(5), turn(&kit.app, &slow, &go)).await;
    assert!(killed.is_err());
    assert!(matches!(turn(&other, &task, &go).await.unwrap(), TaskOutcome::Later(_)));
    kit.pass(Duration::from_secs(66));
    assert_eq!(turn(&other, &task, &go).await.unwrap(), TaskOutcome::Did(Next::Rest));
}

#[tokio::test(start_paused = true)]
async fn whoever_lost_the_lease_stops() {
    let kit = Kit::staged().await;
    let (slow, go) = (CountedTask { takes: HOUR, ..CountedTask::default() }, CancellationToken::new());
    let steal = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        kit.tamper::<Lease>("loop/counted", |lease| lease.fence += 1).await;
    };
    let began = tokio::time::Instant::now();
    let (done, ()) = tokio::join!(turn(&kit.app, &slow, &go), steal);
    assert_eq!(done.unwrap(), TaskOutcome::Did(Next::Again));
    assert!(began.elapsed() < Duration::from_secs(60), "it went on for {:?}", began.elapsed());
    assert!(kit.read::<Lease>("loop/counted").await.unwrap().holder.is_some(), "the other's lease is left alone");
}

/// A periodic task in several turns, which can be told to fail.
#[derive(Default)]
struct Long {
    turns: AtomicU32,
    until: u32,
    takes: Duration,
    fails: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl PeriodicTask for Long {
    fn declared(&self) -> Periodic {
        Periodic::every("long", HOUR)
    }
    async fn run(&self, _: &Arc<Asgard>) -> Result<Next> {
        tokio::time::sleep(self.takes).await;
        let turn = self.turns.fetch_add(1, SeqCst) + 1;
        if self.fails.load(SeqCst) {
            return Err(Error::new(Code::Busy, "no"));
        }
        Ok(if turn.is_multiple_of(self.until) { Next::Rest } else { Next::Again })
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_served_once_however_often_and_late_it_comes() {
    let kit = Kit::staged().await;
    let (other, _) = kit.second().await;
    let stop = CancellationToken::new();
    let task = Long { until: 3, ..Long::default() };
    let at = |minutes: u64| Some(kit.world.now().minus(HOUR).plus(Duration::from_secs(60 * minutes)));
    let (first, second, third) = (at(0), at(5), at(10));
    assert_eq!(tick(&kit.app, &task, first, &stop).await.unwrap(), Ticked::Did);
    assert_eq!(task.turns.load(SeqCst), 3, "it goes on until there is nothing to do");
    assert_eq!(tick(&other, &task, first, &stop).await.unwrap(), Ticked::Served, "delivered twice");
    // The period of the periodic task is the business of processes that keep a loop.
    assert_eq!(tick(&other, &task, third, &stop).await.unwrap(), Ticked::Did);
    assert_eq!(tick(&kit.app, &task, second, &stop).await.unwrap(), Ticked::Served, "late, after a newer one");
    assert_eq!(tick(&kit.app, &task, None, &stop).await.unwrap(), Ticked::Did, "by hand, for no moment");
    assert_eq!(task.turns.load(SeqCst), 9);
    let lease = kit.read::<Lease>("loop/long").await.unwrap();
    assert_eq!((lease.served, &lease.holder), (third, &None));
    // The tick is remembered through turns of a loop.
    kit.pass(Duration::from_secs(1));
    assert!(matches!(turn(&other, &task, &stop).await.unwrap(), TaskOutcome::Did(_)));
    assert_eq!(kit.read::<Lease>("loop/long").await.unwrap().served, third);
}

#[tokio::test(start_paused = true)]
async fn racing_ticks_are_one_and_a_failed_one_may_come_again() {
    let kit = Kit::staged().await;
    let (other, _) = kit.second().await;
    let stop = CancellationToken::new();
    let task = Long { until: 1, takes: Duration::from_secs(200), ..Long::default() };
    let at = Some(kit.world.now());
    let (one, two) = tokio::join!(tick(&kit.app, &task, at, &stop), tick(&other, &task, at, &stop));
    let mut both = [one.unwrap(), two.unwrap()];
    both.sort_by_key(|ticked| *ticked != Ticked::Did);
    assert_eq!((both, task.turns.load(SeqCst)), ([Ticked::Did, Ticked::Busy], 1));

    kit.pass(HOUR);
    let at = Some(kit.world.now());
    task.fails.store(true, SeqCst);
    assert_eq!(tick(&kit.app, &task, at, &stop).await.unwrap_err().code(), Code::Busy);
    task.fails.store(false, SeqCst);
    assert_eq!(tick(&other, &task, at, &stop).await.unwrap(), Ticked::Did, "the same tick, tried again");

    // One that was killed holds the lease until it runs out; then its tick may come again.
    kit.pass(HOUR);
    let at = Some(kit.world.now());
    assert!(tokio::time::timeout(Duration::from_secs(5), tick(&kit.app, &task, at, &stop)).await.is_err());
    assert_eq!(tick(&other, &task, at, &stop).await.unwrap(), Ticked::Busy);
    kit.pass(Duration::from_secs(66));
    assert_eq!(tick(&other, &task, at, &stop).await.unwrap(), Ticked::Did);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_runs_out_of_time_stops_and_the_next_goes_on() {
    let kit = Kit::staged().await;
    let stop = CancellationToken::new();
    let task = Long { until: 10, takes: Duration::from_secs(10), ..Long::default() };
    let at = kit.world.now();
    let ending = async {
        tokio::time::sleep(Duration::from_secs(35)).await;
        stop.cancel();
    };
    let (ticked, ()) = tokio::join!(tick(&kit.app, &task, Some(at), &stop), ending);
    assert_eq!((ticked.unwrap(), task.turns.load(SeqCst)), (Ticked::Stopped, 3));
    assert_eq!(kit.read::<Lease>("loop/long").await.unwrap().holder, None, "it is handed back");
    let go = CancellationToken::new();
    assert_eq!(tick(&kit.app, &task, Some(at), &go).await.unwrap(), Ticked::Served);
    let next = Some(at.plus(Duration::from_secs(300)));
    assert_eq!(tick(&kit.app, &task, next, &go).await.unwrap(), Ticked::Did);
    assert_eq!(task.turns.load(SeqCst), 10);
}

/// A log with several blocks in a project's chain.
async fn sealed() -> Kit {
    let kit = Kit::staged().await;
    for n in 0..35 {
        kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
        kit.pass(Duration::from_secs(1));
        if n == 20 {
            seal_all(&kit).await;
        }
    }
    seal_all(&kit).await;
    kit
}

async fn seal_all(kit: &Kit) {
    let stop = CancellationToken::new();
    kit.pass(Duration::from_secs(3));
    while turn(&kit.app, &SealAudit, &stop).await.unwrap() != TaskOutcome::NotWanted {
        kit.pass(Duration::from_secs(6));
    }
}

async fn report(kit: &Kit) -> VerifyReport {
    verify(&kit.app, None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_sealed_verifies_and_what_is_not_is_said() {
    let kit = sealed().await;
    let found = report(&kit).await;
    assert_eq!(found.breaks, []);
    assert!(found.complete && found.unsealed == 0);
    let all = kit.all::<AuditEvent>(&kinds::AUDIT_BY_DAY, &kit.world.now().to_string()[..10]).await;
    assert_eq!(found.events, u64::try_from(all.len()).unwrap(), "every event is in a block");
    assert_eq!(kit.all::<AuditEvent>(&kinds::AUDIT_PENDING, PENDING).await.len(), 0);
    let head = kit.read::<AuditHead>(&kit.project).await.unwrap();
    assert!(head.number >= 2, "{head:?}");

    kit.ask("thing", "later", json!({})).await.unwrap();
    let found = report(&kit).await;
    assert_eq!((found.breaks.len(), found.unsealed), (0, 1));
    let short = verify_within(&kit.app, None, None, 3).await.unwrap();
    assert!(!short.complete, "a budget that is spent is said");
    let one = verify(&kit.app, Some(kit.project.as_str())).await.unwrap();
    assert_eq!((one.chains, one.breaks.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn two_sealers_make_one_chain() {
    let kit = Kit::staged().await;
    for n in 0..40 {
        kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
    }
    let (other, _) = kit.second().await;
    kit.pass(Duration::from_secs(3));
    let (one, two) = tokio::join!(SealAudit.run(&kit.app), SealAudit.run(&other));
    one.unwrap();
    two.unwrap();
    // Whoever was superseded left the rest to the other, which may have been superseded as well.
    seal_all(&kit).await;
    let found = report(&kit).await;
    assert_eq!((found.breaks, found.unsealed), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_tampering_shows() {
    for case in 0..14 {
        let kit = sealed().await;
        let chain = kit.project.to_string();
        let head = kit.read::<AuditHead>(&chain).await.unwrap().value;
        let block = |number: u64| AuditBlock::id(&chain, number);
        let first = kit.read::<AuditBlock>(block(1)).await.unwrap().value;
        let event = first.events[0].0.to_string();
        let what = match case {
            0 => {
                kit.tamper::<AuditEvent>(&event, |it| it.action = "nothing.happened".to_owned().into()).await;
                "an event was changed"
            }
            1 => {
                kit.erase::<AuditEvent>(&event).await;
                "an event was removed"
            }
            2 => {
                let mut extra = kit.read::<AuditEvent>(&event).await.unwrap().value;
                extra.id = kit.world.id();
                kit.plant(&extra).await;
                "an event was added to a block"
            }
            3 => {
                let mut extra = kit.read::<AuditEvent>(&event).await.unwrap().value;
                (extra.id, extra.block) = (kit.world.id(), None);
                kit.plant(&extra).await;
                "an event was added that never waited to be sealed"
            }
            4 => {
                kit.tamper::<AuditEvent>(&event, |it| it.block = Some(2)).await;
                "an event names another block"
            }
            5 => {
                kit.erase::<AuditBlock>(&block(1)).await;
                "the first block was removed"
            }
            6 => {
                kit.tamper::<AuditBlock>(&block(1), |it| {
                    it.events.remove(0);
                })
                .await;
                kit.erase::<AuditEvent>(&event).await;
                "an event was removed from its block and from the log"
            }
            7 => {
                kit.tamper::<AuditBlock>(&block(2), |it| it.previous = first.previous.clone()).await;
                "a block was hung elsewhere"
            }
            8 => {
                kit.erase::<AuditBlock>(&block(head.number)).await;
                "the last block was removed"
            }
            9 => {
                kit.tamper::<AuditHead>(&chain, |it| (it.number, it.mac) = (1, first.mac.clone())).await;
                "the head was set back"
            }
            10 => {
                kit.tamper::<AuditHead>(&chain, |it| (it.number, it.mac) = (1, first.mac.clone())).await;
                for number in 2..=head.number {
                    kit.erase::<AuditBlock>(&block(number)).await;
                }
                "the chain was cut off"
            }
            11 => {
                kit.erase::<AuditHead>(&chain).await;
                "the head was removed"
            }
            12 => {
                kit.tamper::<AuditHead>(&chain, |it| it.mac = first.mac.clone()).await;
                "the head names another block"
            }
            _ => {
                kit.tamper::<AuditEvent>(&event, |it| it.details = [("a".to_owned(), "b".to_owned())].into()).await;
                let changed = kit.read::<AuditEvent>(&event).await.unwrap();
                let digest = marks::digest(SealFormat::Stored, &changed).unwrap().unwrap();
                kit.tamper::<AuditBlock>(&block(1), |it| it.events[0].1 = digest).await;
                "an event and its hash were changed"
            }
        };
        let found = report(&kit).await;
        assert!(!found.breaks.is_empty(), "case {case}: {what}");
        assert!(found.breaks.iter().all(|it| it.chain == chain), "{what}: {:?}", found.breaks);
    }
    assert_ne!(ORG_CHAIN, PENDING);
}

#[tokio::test(start_paused = true)]
async fn what_expired_is_deleted_in_turns() {
    let kit = Kit::staged().await;
    for _ in 0..3 {
        kit.app.store().increment("x").await.unwrap();
    }
    kit.ask("thing", "one", json!({})).await.unwrap();
    let stop = CancellationToken::new();
    kit.pass(HOUR * 24 * 30);
    assert_eq!(turn(&kit.app, &Expire, &stop).await.unwrap(), TaskOutcome::Did(Next::Rest));
    assert_eq!(kit.memory.counter("x").await.unwrap(), 3, "what has no end stays");
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn loops_start_and_end() {
    let kit = Kit::dry().await;
    let stop = CancellationToken::new();
    let tasks: Vec<Arc<dyn PeriodicTask>> =
        vec![Arc::new(ReconcileRuns { period: Duration::from_secs(30) }), Arc::new(SealAudit), Arc::new(Expire)];
    let mut loops = spawn(&kit.app, tasks, &stop);
    kit.ask("thing", "one", json!({})).await.unwrap();
    for _ in 0..4 {
        kit.pass(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(kit.all::<AuditEvent>(&kinds::AUDIT_PENDING, PENDING).await.len(), 0, "sealed meanwhile");
    stop.cancel();
    while let Some((_, ended)) = loops.next_ended().await {
        ended.unwrap();
    }
    for name in ["audit-seal", "expire", "reconcile-runs"] {
        if let Some(lease) = kit.read::<Lease>(format!("loop/{name}")).await {
            assert_eq!(lease.holder, None, "{name}");
        }
    }
}
