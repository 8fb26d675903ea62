use super::*;
use crate::{
    app::testkit::Kit,
    domain::job::{CLAIM, Job},
    kernel::RunId,
    ports::kinds,
};
use serde_json::json;
use std::collections::BTreeSet;

async fn jobs(kit: &Kit) -> Vec<Job> {
    let mut all = Vec::new();
    for shard in 0..crate::domain::job::SHARDS {
        all.extend(kit.all::<Job>(&kinds::JOBS_DUE, &shard.to_string()).await);
    }
    all
}

async fn launch_job(kit: &Kit) -> Job {
    jobs(kit).await.into_iter().find(|job| job.work.name() == "launch_run").unwrap()
}

/// Lets other tasks work without letting time pass.
async fn settle(done: impl Fn() -> bool) {
    for _ in 0..5000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not happen");
}

#[tokio::test(start_paused = true)]
async fn two_workers_share_the_work() {
    let kit = Kit::staged().await;
    let (other, stage) = kit.second().await;
    let mut runs = BTreeSet::new();
    for n in 0..20 {
        runs.extend(kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap().request.current_run);
    }
    let (one, two) = tokio::join!(run_due(&kit.app), run_due(&other));
    assert_eq!(one.unwrap() + two.unwrap(), 20, "no job was done twice");
    let mut launched: Vec<RunId> = kit.stage.launched.lock().unwrap().clone();
    launched.extend(stage.launched.lock().unwrap().iter().cloned());
    assert_eq!(launched.len(), 20);
    assert_eq!(launched.into_iter().collect::<BTreeSet<_>>(), runs);
}

#[tokio::test(start_paused = true)]
async fn a_commit_wakes_the_worker_at_once() {
    let kit = Kit::staged().await;
    let stop = CancellationToken::new();
    let worker = spawn(Arc::clone(&kit.app), stop.clone());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = Instant::now();
    kit.ask("thing", "one", json!({})).await.unwrap();
    settle(|| !kit.stage.launched.lock().unwrap().is_empty()).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "it waited for a poll");

    // What another process appends is found by polling.
    let (other, _) = kit.second().await;
    let foreign = Kit { app: other, ..kit };
    foreign.ask("thing", "two", json!({})).await.unwrap();
    tokio::time::sleep(POLL * 5 / 4).await;
    assert_eq!(foreign.stage.launched.lock().unwrap().len(), 2);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_in_hand_stays_claimed_and_is_handed_back_at_the_end() {
    let kit = Kit::staged().await;
    *kit.stage.takes.lock().unwrap() = Duration::from_secs(100_000);
    let stop = CancellationToken::new();
    let worker = spawn(Arc::clone(&kit.app), stop.clone());
    kit.ask("thing", "one", json!({})).await.unwrap();
    settle(|| !kit.stage.launched.lock().unwrap().is_empty()).await;
    let (other, stage) = kit.second().await;
    for _ in 0..10 {
        kit.pass(Duration::from_secs(20));
        tokio::time::sleep(claim::HEARTBEAT + Duration::from_millis(1)).await;
        run_due(&other).await.unwrap();
    }
    assert!(stage.launched.lock().unwrap().is_empty(), "nobody else took it");
    assert_eq!(launch_job(&kit).await.claimed_by.as_ref(), Some(kit.app.holder()));

    let before = Instant::now();
    stop.cancel();
    worker.await.unwrap();
    assert!(before.elapsed() <= DRAIN + Duration::from_secs(1));
    let job = launch_job(&kit).await;
    assert_eq!((job.claimed_by, job.attempts), (None, 0));
    assert!(job.due_at.is_some_and(|due| due <= kit.world.now()));
    run_due(&other).await.unwrap();
    assert_eq!(stage.launched.lock().unwrap().len(), 1, "the next one does it at once");
}

#[tokio::test(start_paused = true)]
async fn the_job_of_a_dead_worker_is_taken_when_its_claim_runs_out() {
    let kit = Kit::staged().await;
    kit.ask("thing", "one", json!({})).await.unwrap();
    let dead = Claims::default().due(&kit.app, 8, 0).await.unwrap();
    assert_eq!(dead.len(), 1);
    let (other, stage) = kit.second().await;
    kit.pass(CLAIM - Duration::from_millis(1));
    run_due(&other).await.unwrap();
    assert!(stage.launched.lock().unwrap().is_empty());
    kit.pass(Duration::from_millis(2));
    run_due(&other).await.unwrap();
    assert_eq!(stage.launched.lock().unwrap().len(), 1);
    // What the dead one still writes about it changes nothing.
    for job in &dead {
        claim::settle(&kit.app, job, &JobOutcome::Done).await.unwrap();
    }
    assert_eq!(launch_job(&kit).await.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_worker_does_what_is_due_and_takes_nothing_when_little_time_is_left() {
    let kit = Kit::dry().await;
    for n in 0..20 {
        kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
    }
    let Some(WakeHint::Named(named)) = kit.app.take_wake_hint() else {
        panic!("a commit that appends jobs names them")
    };
    assert!(named.len() == 20 && kit.app.take_wake_hint().is_none(), "once");
    let late = run_until(&kit.app, Instant::now() + Duration::from_secs(9), Some(WakeHint::Unnamed)).await.unwrap();
    assert_eq!(late, Ran { jobs: 0, more: true });
    let began = Instant::now();
    let ran = run_until(&kit.app, Instant::now() + Duration::from_secs(60), Some(WakeHint::Unnamed)).await.unwrap();
    assert!(ran.jobs >= 20 && !ran.more, "{ran:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for what is due later");
    let idle = run_until(&kit.app, Instant::now() + Duration::from_secs(60), None).await.unwrap();
    assert_eq!(idle, Ran { jobs: 0, more: false });
}

#[tokio::test(start_paused = true)]
async fn a_bounded_worker_hands_back_what_takes_too_long() {
    let kit = Kit::staged().await;
    *kit.stage.takes.lock().unwrap() = Duration::from_secs(100_000);
    kit.ask("thing", "one", json!({})).await.unwrap();
    let began = Instant::now();
    let ran = run_until(&kit.app, Instant::now() + Duration::from_secs(60), Some(WakeHint::Unnamed)).await.unwrap();
    assert!(ran.more && ran.jobs == 1 && began.elapsed() <= Duration::from_secs(60), "{ran:?}");
    let job = launch_job(&kit).await;
    assert_eq!((job.claimed_by, job.attempts), (None, 0), "it is free again at once");
    assert!(job.due_at.unwrap() <= kit.world.now());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_for_jobs_that_others_took_ends_at_once_and_looks_at_nothing_else() {
    let kit = Kit::dry().await;
    let mut wakes = Vec::new();
    for n in 0..20 {
        kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
        wakes.push(kit.app.take_wake_hint());
    }
    let minute = || Instant::now() + Duration::from_secs(60);
    let ran = run_until(&kit.app, minute(), wakes[0].clone()).await.unwrap();
    assert!(ran.jobs >= 20 && !ran.more, "what is due beside it is done too: {ran:?}");
    // More is due by now; that is for whoever is woken for it.
    kit.ask("thing", "later", json!({})).await.unwrap();
    let own = kit.app.take_wake_hint();
    let began = Instant::now();
    for wake in &wakes {
        let ran = run_until(&kit.app, minute(), wake.clone()).await.unwrap();
        assert_eq!(ran, Ran { jobs: 0, more: false });
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "it polled for what is gone");
    assert!(run_until(&kit.app, minute(), own).await.unwrap().jobs > 0);
    let began = Instant::now();
    let none = run_until(&kit.app, minute(), Some(WakeHint::Unnamed)).await.unwrap();
    assert!(none.jobs == 0 && began.elapsed() >= LOOKS[0], "without names an index may be late");
}

/// The store goes away after each number of calls while jobs are claimed, or answers nothing at all; once it is back every job is in
/// hand, and has cost one attempt.
#[tokio::test(start_paused = true)]
async fn a_store_that_flaps_while_jobs_are_claimed_loses_none_of_them() {
    for calls in 1..40 {
        let kit = Kit::staged().await;
        for n in 0..4 {
            kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap();
        }
        let (mut claims, mut taken) = (Claims::default(), Vec::new());
        if calls % 2 == 0 {
            kit.faulty.fault.life.after(calls, false);
        } else {
            kit.faulty.fault.lose_every.store(1, std::sync::atomic::Ordering::SeqCst);
        }
        for round in 0..2 {
            taken.extend(claims.due(&kit.app, 8, round).await.unwrap_or_default());
        }
        kit.faulty.fault.life.after(i64::MAX, false);
        kit.faulty.fault.lose_every.store(0, std::sync::atomic::Ordering::SeqCst);
        for round in 0..3 {
            taken.extend(claims.due(&kit.app, 8, round).await.unwrap());
        }
        let ids: BTreeSet<_> = taken.iter().map(|claimed| claimed.job.id.clone()).collect();
        assert_eq!((taken.len(), ids.len()), (4, 4), "after {calls} calls");
        assert!(taken.iter().all(|claimed| claimed.job.attempts == 1), "after {calls} calls");
    }
}

/// An outage of the store in the middle of a job is nothing that the job has failed at.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_while_a_job_is_done_costs_it_no_attempt() {
    let kit = Kit::staged().await;
    kit.ask("thing", "one", json!({})).await.unwrap();
    for _ in 0..crate::domain::job::MAX_ATTEMPTS + 2 {
        let jobs = Claims::default().due(&kit.app, 8, 0).await.unwrap();
        assert!(!jobs.is_empty());
        kit.faulty.fault.life.after(0, false);
        let back = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            kit.faulty.fault.life.after(i64::MAX, false);
        };
        let done = jobs.into_iter().map(|job| handle(Arc::clone(&kit.app), job));
        tokio::join!(futures_util::future::join_all(done), back);
        let job = launch_job(&kit).await;
        assert_eq!((job.attempts, job.claimed_by, job.dead), (0, None, None));
        kit.pass(Duration::from_secs(10));
    }
    run_due(&kit.app).await.unwrap();
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 1);
}

/// What a clock that was a year ahead has put off is brought back by the others.
#[tokio::test(start_paused = true)]
async fn a_job_that_a_wrong_clock_put_off_is_brought_back() {
    let kit = Kit::staged().await;
    kit.pass(Duration::from_secs(365 * 86_400));
    kit.ask("thing", "one", json!({})).await.unwrap();
    kit.clock.set(kit.world.now().minus(Duration::from_secs(365 * 86_400)));
    assert_eq!(run_due(&kit.app).await.unwrap(), 0, "it is due in a year");
    assert!(recall_stranded(&kit.app).await.unwrap() > 0);
    assert!(run_due(&kit.app).await.unwrap() > 0);
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 1);
    assert_eq!(recall_stranded(&kit.app).await.unwrap(), 0);
}
