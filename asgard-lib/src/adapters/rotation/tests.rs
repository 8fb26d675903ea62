//! Rotation from start to end, alone, with writers, with rivals, and killed anywhere.

use super::*;
use crate::{
    adapters::{
        Drained, SealedVault,
        testkit::{CallRecorder, INLINE, Kit, RELOAD, RecordedStore, Replica, SETTLE, tamper},
        vault::SealedRecord,
    },
    error::Kind,
    kernel::Timestamp,
    ports::{
        records::key,
        vault::TokenSealer,
        world::{Clock, ManualClock},
    },
};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

async fn states(replica: &Replica) -> Vec<KeyState> {
    replica.keyring.status().await.unwrap().iter().map(|key| key.state).collect()
}

fn large(fill: u8) -> Vec<u8> {
    vec![fill; INLINE + 1]
}

#[tokio::test]
async fn a_rotation_takes_its_steps_at_their_times() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    for n in 0..130u8 {
        replica.set(&kit, &format!("v{n:03}"), &[n; 9]).await.unwrap();
    }
    replica.set(&kit, "large", &large(7)).await.unwrap();
    let old = replica.keyring.active();
    let (mac, token) = (replica.keyring.mark("m", b"x").unwrap(), replica.keyring.seal_token("t", b"x").unwrap());
    let other = kit.replica().await;
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), Step::Idle);

    let began = kit.world.now();
    let started = replica.keyring.rotate().await.unwrap();
    assert!(!started.already && started.active_from == began.plus(RELOAD * 2));
    let again = other.keyring.rotate().await.unwrap();
    assert!(again.already && again.key == started.key, "a second call starts nothing");
    assert_eq!(
        replica.rotation.step(began.plus(RELOAD), Witness::Clock).await.unwrap(),
        Step::Waiting(started.active_from)
    );
    assert_eq!(replica.keyring.active(), old);

    kit.pass(RELOAD * 2);
    assert_eq!(
        replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(),
        Step::Activated(started.key.clone())
    );
    assert_eq!(replica.keyring.active(), started.key);
    assert_eq!(other.keyring.active(), old, "others learn of it at their next reading");
    assert_eq!(states(&replica).await, [KeyState::Draining, KeyState::Active]);
    let swept = |moved| Step::Swept { key: old.clone(), moved, stuck: 0 };
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), swept(100));
    let status = replica.keyring.status().await.unwrap();
    assert_eq!((status[0].ciphertexts, status[1].ciphertexts, status[0].at_least), (31, 100, false));
    assert_eq!(status[0].drained, Some(Drained { moved: 100, stuck: 0 }));
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), swept(31));
    // An empty pass before the key has settled does not count.
    let settled = kit.world.now().plus(SETTLE);
    assert_eq!(
        replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(),
        Step::Waiting(kit.world.now().plus(RELOAD))
    );
    kit.pass(RELOAD);
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), swept(0));
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), Step::Waiting(settled));
    kit.pass(SETTLE - RELOAD);
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), swept(0));
    assert_eq!(
        replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(),
        Step::Waiting(settled.plus(RELOAD))
    );
    kit.pass(RELOAD);
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), Step::Retired(old.clone()));
    assert_eq!(replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap(), Step::Idle);

    let status = replica.keyring.status().await.unwrap();
    assert_eq!((status[0].state, status[0].ciphertexts, status[1].ciphertexts), (KeyState::Retired, 0, 131));
    for reader in [&replica, &other, &kit.replica().await] {
        assert_eq!(reader.get("v129").await.unwrap(), [129; 9]);
        assert_eq!(reader.get("large").await.unwrap(), large(7));
        assert!(reader.keyring.verify("m", b"x", &mac).await.unwrap(), "MACs outlive their key");
    }
    assert_eq!(kit.blobs().await.len(), 1, "the old blob is deleted");
    assert!(replica.keyring.open_token("t", &token).await.unwrap().is_none(), "tokens do not outlive it");
}

#[tokio::test]
async fn a_replica_that_has_not_reloaded_reads_what_an_unknown_key_sealed() {
    let kit = Kit::new();
    let ours = kit.replica().await;
    let behind = [kit.replica().await, kit.replica().await, kit.replica().await];
    ours.keyring.rotate().await.unwrap();
    kit.pass(RELOAD * 2);
    ours.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    ours.set(&kit, "a", b"new").await.unwrap();
    let mac = ours.keyring.mark("m", b"x").unwrap();
    let token = ours.keyring.seal_token("t", b"x").unwrap();
    assert!(behind.iter().all(|replica| !replica.keyring.ring().keys.contains_key(&mac.key)));
    assert_eq!(behind[0].get("a").await.unwrap(), b"new");
    assert!(behind[1].keyring.verify("m", b"x", &mac).await.unwrap());
    assert!(behind[2].keyring.open_token("t", &token).await.unwrap().is_some());
    assert!(behind.iter().all(|replica| replica.keyring.active() == mac.key));
}

#[tokio::test]
async fn a_straggler_that_the_index_shows_late_is_not_lost() {
    let kit = Kit::new();
    let store = CallRecorder::on(&kit.memory);
    let replica = kit.boot(Arc::clone(&store), kit.masters()).await.unwrap();
    let behind = kit.replica().await;
    let old = replica.keyring.rotate().await.unwrap();
    kit.pass(RELOAD * 2);
    replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    // A replica that has not reloaded yet may still seal under the old key, and the index does not show it.
    assert_ne!(behind.keyring.active(), old.key);
    behind.set(&kit, "late", b"value").await.unwrap();
    store.fault.hidden.lock().unwrap().insert("late".into());
    kit.pass(SETTLE);
    let clean = replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    assert!(matches!(clean, Step::Swept { moved: 0, .. }), "the first counted pass sees nothing: {clean:?}");
    store.fault.hidden.lock().unwrap().clear();
    kit.pass(RELOAD);
    let second = replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    assert!(matches!(second, Step::Swept { moved: 1, .. }), "{second:?}");
    replica.finish(&kit).await.unwrap();
    assert_eq!(states(&replica).await, [KeyState::Retired, KeyState::Active]);
    assert_eq!(kit.replica().await.get("late").await.unwrap(), b"value");
}

#[tokio::test]
async fn what_cannot_be_opened_keeps_its_key_from_retiring() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    for id in ["bad", "good", "worse"] {
        replica.set(&kit, id, b"value").await.unwrap();
    }
    tamper(&kit, &key::<SealedRecord>("bad"), |body| body.replace(r#""context":"test""#, r#""context":"tset""#)).await;
    replica.keyring.rotate().await.unwrap();
    for _ in 0..30 {
        kit.pass(RELOAD);
        let step = replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
        assert!(!matches!(step, Step::Retired(_)));
    }
    let status = replica.keyring.status().await.unwrap();
    assert_eq!((status[0].state, status[0].ciphertexts), (KeyState::Draining, 1));
    assert_eq!(status[0].drained, Some(Drained { moved: 2, stuck: 1 }));
    // Once an operator has dealt with it, the rotation ends.
    tamper(&kit, &key::<SealedRecord>("bad"), |body| body.replace("tset", "test")).await;
    replica.finish(&kit).await.unwrap();
    assert_eq!(states(&replica).await, [KeyState::Retired, KeyState::Active]);
    assert_eq!(replica.get("bad").await.unwrap(), b"value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_rival_steppers_lose_nothing() {
    let kit = Arc::new(Kit::new());
    // Time passes only between writes: what is sealed is committed soon after, as everywhere.
    let gate = Arc::new(tokio::sync::RwLock::new(()));
    let stop = CancellationToken::new();
    let written: [Arc<AtomicU32>; 3] = Default::default();
    let writers: Vec<_> = (0..3usize)
        .map(|writer| {
            let (kit, gate, stop) = (Arc::clone(&kit), Arc::clone(&gate), stop.clone());
            let written = Arc::clone(&written[writer]);
            tokio::spawn(async move {
                let replica = kit.replica().await;
                let mut last = BTreeMap::new();
                let mut count = 0u32;
                while !stop.is_cancelled() {
                    let id = format!("w{writer}-{}", count % 9);
                    let mut value = format!("{writer} {count}").into_bytes();
                    if count % 9 == 8 {
                        value.resize(INLINE + 10, b'.');
                    }
                    let passing = gate.read().await;
                    while !replica.set(&kit, &id, &value).await.unwrap() {}
                    drop(passing);
                    last.insert(id, value);
                    count += 1;
                    written.store(count, SeqCst);
                    tokio::task::yield_now().await;
                }
                last
            })
        })
        .collect();
    let rivals = [kit.replica().await, kit.replica().await];
    for round in 0..3 {
        rivals[round % 2].keyring.rotate().await.unwrap();
        loop {
            let now = kit.world.now();
            let steps = join_all(rivals.iter().map(|rival| rival.rotation.step(now, Witness::Clock))).await;
            let steps: Vec<Step> = steps.into_iter().map(|step| step.unwrap()).collect();
            if steps.iter().all(|step| *step == Step::Idle) {
                break;
            }
            if steps.iter().any(|step| matches!(step, Step::Waiting(_))) {
                // Every writer writes in every period, however little of the machine it gets.
                let before = written.each_ref().map(|count| count.load(SeqCst));
                while written.iter().zip(before).any(|(count, before)| count.load(SeqCst) == before) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let _still = gate.write().await;
                kit.pass(RELOAD / 2);
            }
        }
    }
    stop.cancel();
    let reader = kit.replica().await;
    assert_eq!(states(&reader).await, [KeyState::Retired, KeyState::Retired, KeyState::Retired, KeyState::Active]);
    for writer in writers {
        for (id, value) in writer.await.unwrap() {
            assert_eq!(reader.get(&id).await.unwrap(), value, "{id}");
        }
    }
    let written = written.map(|count| count.load(SeqCst));
    assert!(written.iter().all(|count| *count > 18), "each has replaced every value of its own: {written:?}");
    assert_eq!(kit.blobs().await.len(), 3, "no blob is left behind");
}

/// Everything a store goes through: first key, values of both sizes, a rotation to its end.
async fn life(kit: &Kit, store: Arc<RecordedStore>) -> Result<Replica> {
    let replica = kit.boot(store, kit.masters()).await?;
    for (id, value) in [("small", vec![1; 9]), ("large", large(2))] {
        if replica.vault.stored(id).await?.is_none() {
            let sealed = replica.vault.seal(id, "test", &value).await?;
            let op = SealedVault::write(&sealed, None)?;
            crate::adapters::commit::commit(
                replica.vault.store(),
                &kit.world,
                vec![op],
                Some(AuditWaiver::SealedValue),
            )
            .await?;
        }
    }
    replica.keyring.rotate().await?;
    replica.finish(kit).await?;
    Ok(replica)
}

#[tokio::test]
async fn killed_at_any_call_a_rotation_resumes() {
    for last_breath in [false, true] {
        let mut point = 1;
        loop {
            let kit = Kit::new();
            let died = match life(&kit, CallRecorder::dying(&kit.memory, point, last_breath)).await {
                Ok(_) => false,
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Unavailable, "call {point}: {}", error.chain());
                    true
                }
            };
            let replica = life(&kit, CallRecorder::on(&kit.memory)).await.unwrap();
            assert_eq!(replica.get("small").await.unwrap(), [1; 9], "call {point}");
            assert_eq!(replica.get("large").await.unwrap(), large(2), "call {point}");
            let status = replica.keyring.status().await.unwrap();
            let active: Vec<_> = status.iter().filter(|key| key.state == KeyState::Active).collect();
            assert!(active.len() == 1 && active[0].ciphertexts == 2, "call {point}: {status:?}");
            assert!(
                status.iter().all(|key| matches!(key.state, KeyState::Active | KeyState::Retired)),
                "call {point}: {status:?}"
            );
            kit.pass(Duration::from_secs(25 * 3600));
            replica.vault.collect_orphan_blobs(kit.world.now(), None).await.unwrap();
            assert_eq!(kit.blobs().await.len(), 1, "call {point}");
            if !died {
                break;
            }
            point += 1;
        }
        assert!(point > 60, "only {point} points were tried");
    }
}

proptest! {
    #[test]
    fn retiring_needs_two_empty_passes_a_period_apart_after_settling(passes in proptest::collection::vec((0u64..4, 0u64..200, 0u64..2, proptest::bool::weighted(0.8)), 1..40)) {
        let timing = Timing { reload: RELOAD, settle: SETTLE };
        let since = Timestamp::from_millis(0);
        let mut now = since;
        let mut sweep = Sweep::starting(since);
        let mut empty: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (found, secs, stuck, seen) in passes {
            now = now.plus(Duration::from_secs(secs));
            if now < sweep.pass_from {
                continue;
            }
            sweep.begin(now, seen);
            let from = now;
            now = now.plus(Duration::from_secs(secs / 7));
            sweep.found = found;
            sweep.stuck = stuck.min(found);
            let retire = sweep.finish(since, now, timing);
            if found > 0 {
                prop_assert!(!retire && !sweep.clean);
                empty.clear();
                continue;
            }
            if retire {
                let (first_from, first_to) = *empty.last().unwrap();
                prop_assert!(seen && first_from >= since.plus(SETTLE) && from >= first_to.plus(RELOAD));
                return Ok(());
            }
            if seen {
                empty.push((from, now));
            } else {
                // Whoever began it had not seen enough.
                empty.clear();
            }
            prop_assert!(sweep.pass_from >= now && !sweep.running);
        }
    }
}

#[tokio::test]
async fn without_a_reloader_a_reload_is_done_when_it_is_due_and_not_before() {
    let kit = Kit::new();
    let (frozen, other) = (kit.replica().await, kit.replica().await);
    other.keyring.rotate().await.unwrap();
    frozen.keyring.reload_if_due().await.unwrap();
    assert!(!frozen.keyring.is_rotating(), "the keys were read a moment ago");
    kit.pass(RELOAD);
    frozen.keyring.reload_if_due().await.unwrap();
    assert!(frozen.keyring.is_rotating());
}

/// Whose clock is wrong, by how much, and from when to when of the course.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    by: i64,
    from: u64,
    until: u64,
}

/// Two replicas take turns while the clock of one is wrong for a while or for good. A third has read the keys just before the new one became
/// active: it seals under the old key until its reading is two periods old, and commits that half a minute later.
async fn rotate_with(wrong: Wrong, starts: usize) {
    const TURN: u64 = 20;
    let kit = Kit::new();
    let clocks: Vec<Arc<ManualClock>> = (0..3).map(|_| Arc::new(ManualClock::at(kit.world.now()))).collect();
    let mut replicas = Vec::new();
    for clock in &clocks {
        replicas.push(kit.replica_by(clock).await);
    }
    let behind = replicas.pop().unwrap();
    let old = behind.keyring.active();
    let (mut activated, mut retired, mut sealed, mut secs) = (None, None, None, 0);
    while retired.is_none() {
        assert!(secs < wrong.until.min(4000) + 4000, "the rotation rests: {wrong:?}");
        let off = if (wrong.from..wrong.until).contains(&secs) { wrong.by } else { 0 };
        let true_now = kit.world.now();
        clocks[1].set(Timestamp::from_millis(true_now.as_millis() + off * 1000));
        if secs == 40 {
            replicas[starts].keyring.rotate().await.unwrap();
        }
        // Both look at every turn; one has the lease.
        replicas.iter().for_each(|replica| replica.rotation.watch());
        let (turn, clock) = (&replicas[secs as usize / 60 % 2], &clocks[secs as usize / 60 % 2]);
        for replica in &replicas {
            replica.keyring.reload_if_due().await.unwrap();
        }
        loop {
            match turn.rotation.step(clock.now(), Witness::Process).await.unwrap() {
                Step::Idle | Step::Waiting(_) => break,
                Step::Activated(_) => activated = Some(secs),
                Step::Retired(_) => retired = Some(secs),
                Step::Swept { .. } | Step::Raced => {}
            }
        }
        match activated {
            None => behind.keyring.reload().await.unwrap(),
            Some(at) if secs == at + 100 => {
                assert_eq!(behind.keyring.active(), old, "{wrong:?}");
                sealed = Some(behind.vault.seal("late", "test", b"value").await.unwrap());
                assert_eq!(sealed.as_ref().unwrap().data_key, old, "{wrong:?}");
            }
            Some(at) if secs == at + 160 => {
                let ops = vec![SealedVault::write(&sealed.take().unwrap(), None).unwrap()];
                crate::adapters::commit::commit(
                    &kit.memory,
                    &kit.world,
                    ops,
                    Some(crate::app::AuditWaiver::SealedValue),
                )
                .await
                .unwrap();
            }
            Some(_) => {}
        }
        secs += TURN;
        tokio::time::advance(Duration::from_secs(TURN)).await;
        kit.pass(Duration::from_secs(TURN));
        clocks[0].advance(Duration::from_secs(TURN));
        clocks[2].advance(Duration::from_secs(TURN));
    }
    let drained = retired.unwrap() - activated.unwrap();
    assert!(drained >= SETTLE.as_secs(), "retired after {drained} s: {wrong:?}");
    assert_eq!(kit.replica().await.get("late").await.unwrap(), b"value", "{wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_retires_no_key_early_and_puts_no_rotation_to_rest() {
    const YEAR: i64 = 365 * 86_400;
    for by in [60, 600, 7200, YEAR, -60, -600, -7200, -YEAR] {
        for (from, until) in
            [(0, 100), (0, 200), (40, 60), (160, 240), (180, 300), (300, 500), (400, 460), (0, 100_000)]
        {
            for starts in [0, 1] {
                rotate_with(Wrong { by, from, until }, starts).await;
            }
        }
    }
}
