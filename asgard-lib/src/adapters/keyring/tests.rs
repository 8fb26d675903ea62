//! The keyring as its users see it.

mod masters;

use super::*;
use crate::{
    adapters::testkit::{CallRecorder, Kit, RELOAD},
    kernel::id::TimeOrdered,
    ports::{
        records::Records,
        world::{SeededEntropy, SystemClock},
    },
};
use futures_util::future::join_all;
use record::{DataKey, Head};
use std::sync::atomic::Ordering::SeqCst;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn racing_replicas_agree_on_one_first_key() {
    for replicas in 2..9 {
        let kit = Kit::new();
        let booted = join_all((0..replicas).map(|_| kit.replica())).await;
        let active = booted[0].keyring.active();
        assert!(booted.iter().all(|replica| replica.keyring.active() == active));
        let store: &dyn Store = &kit.memory;
        let head = store.read::<Head>(Head::ID).await.unwrap().unwrap();
        assert_eq!(head.keys, [active], "one key is listed");
        let found =
            kit.memory.query(&crate::ports::store::Query::new(&crate::ports::kinds::DATA_KEYS, "")).await.unwrap();
        assert_eq!(found.records.len(), 1, "and no other was written");
    }
}

#[tokio::test]
async fn a_ciphertext_opens_only_unchanged_and_for_what_it_belongs_to() {
    let kit = Kit::new();
    let keyring = kit.replica().await.keyring;
    let sealed = keyring.seal("secret|a|1", b"correct horse").await.unwrap();
    assert_eq!(&**keyring.unseal("secret|a|1", &sealed).await.unwrap(), b"correct horse");
    assert_ne!(
        sealed,
        keyring.seal("secret|a|1", b"correct horse").await.unwrap(),
        "every message draws its own nonce"
    );

    let refused = async |context: &str, sealed: &SealedBytes| {
        let error = keyring.unseal(context, sealed).await.unwrap_err();
        assert_eq!(error.code(), Code::Bug);
        assert!(error.chain().contains(sealed.key.as_str()) && error.chain().contains(context), "{}", error.chain());
        assert!(!error.message().contains("dek_"), "callers do not learn about keys");
    };
    for context in ["", "secret|a|2", "secret|a|1 "] {
        refused(context, &sealed).await;
    }
    for at in 0..sealed.bytes.len() {
        let mut changed = sealed.clone();
        changed.bytes[at] ^= 0x10;
        refused("secret|a|1", &changed).await;
        changed.bytes.truncate(at);
        refused("secret|a|1", &changed).await;
    }
    refused("secret|a|1", &SealedBytes { key: kit.world.id(), ..sealed.clone() }).await;
    let elsewhere = Kit::new();
    let mut foreign = elsewhere.replica().await.keyring.seal("secret|a|1", b"x").await.unwrap();
    foreign.key = sealed.key.clone();
    refused("secret|a|1", &foreign).await;
}

#[tokio::test]
async fn a_token_is_ours_or_nothing() {
    let kit = Kit::new();
    let keyring = kit.replica().await.keyring;
    let token = keyring.seal_token("list projects", b"after 7").unwrap();
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{token}");
    assert_eq!(&**keyring.open_token("list projects", &token).await.unwrap().unwrap(), b"after 7");
    assert!(keyring.open_token("list runs", &token).await.unwrap().is_none());
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert!(
            keyring.open_token("list projects", std::str::from_utf8(&forged).unwrap()).await.unwrap().is_none(),
            "character {at}"
        );
    }
    for bad in ["", "=", "a", "Ä", &token[..20], &"A".repeat(MAX_TOKEN + 1)] {
        assert!(keyring.open_token("list projects", bad).await.unwrap().is_none());
    }
    assert_eq!(keyring.seal_token("p", &vec![0; MAX_TOKEN]).unwrap_err().code(), Code::Bug);

    // A token cannot pass for something stored, nor the other way round.
    let raw = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();
    let sealed = SealedBytes { key: keyring.active(), bytes: raw[ID_LENGTH..].to_vec() };
    assert!(keyring.unseal("list projects", &sealed).await.is_err());
}

#[tokio::test]
async fn forged_tokens_do_not_make_the_store_busy() {
    let kit = Kit::new();
    let store = CallRecorder::on(&kit.memory);
    let keyring = kit.boot(Arc::clone(&store), kit.masters()).await.unwrap().keyring;
    kit.pass(RELOAD);
    let forged: Vec<String> = (0..50)
        .map(|_| {
            let mut token = kit.world.id::<DataKeyId>().as_str().as_bytes().to_vec();
            token.extend_from_slice(&[1; 60]);
            BASE64URL_NOPAD.encode(&token)
        })
        .collect();
    let before = store.fault.calls.load(SeqCst);
    for token in &forged {
        assert!(keyring.open_token("list", token).await.unwrap().is_none());
    }
    assert_eq!(store.fault.calls.load(SeqCst) - before, 2, "one reload for all of them");
}

#[tokio::test]
async fn a_mac_binds_purpose_bytes_and_key() {
    let kit = Kit::new();
    let keyring = kit.replica().await.keyring;
    let mac = keyring.mark("audit block", b"block 1").unwrap();
    assert!(keyring.verify("audit block", b"block 1", &mac).await.unwrap());
    assert!(!keyring.verify("audit head", b"block 1", &mac).await.unwrap());
    assert!(!keyring.verify("audit block", b"block 2", &mac).await.unwrap());
    for at in 0..32 {
        let mut changed = mac.clone();
        changed.tag[at] ^= 1;
        assert!(!keyring.verify("audit block", b"block 1", &changed).await.unwrap());
    }
    assert!(!keyring.verify("audit block", b"block 1", &Mac { key: kit.world.id(), ..mac.clone() }).await.unwrap());
    assert!(!Kit::new().replica().await.keyring.verify("audit block", b"block 1", &mac).await.unwrap());
}

#[tokio::test]
async fn the_hot_path_does_not_read_the_store_and_a_stale_replica_does_not_seal() {
    let kit = Kit::new();
    let store = CallRecorder::on(&kit.memory);
    let keyring = kit.boot(Arc::clone(&store), kit.masters()).await.unwrap().keyring;
    let sealed = keyring.seal("c", b"v").await.unwrap();
    store.fault.unplug();
    kit.pass(RELOAD * 2);
    for _ in 0..3 {
        keyring.unseal("c", &keyring.seal("c", b"v").await.unwrap()).await.unwrap();
        keyring.open_token("t", &keyring.seal_token("t", b"v").unwrap()).await.unwrap().unwrap();
        assert!(keyring.verify("m", b"v", &keyring.mark("m", b"v").unwrap()).await.unwrap());
    }
    kit.pass(Duration::from_millis(1));
    assert_eq!(keyring.seal("c", b"v").await.unwrap_err().code(), Code::StoreUnavailable);
    keyring.unseal("c", &sealed).await.unwrap();
    store.fault.plug_in();
    keyring.seal("c", b"v").await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_sending_the_same_batch_again() {
    let kit = Kit::new();
    let store = CallRecorder::on(&kit.memory);
    store.fault.lost_replies.store(2, SeqCst);
    let replica = kit.boot(Arc::clone(&store), kit.masters()).await.unwrap();
    let (id, sent) = {
        let seen = store.fault.seen.lock().unwrap();
        (seen[0].id().clone(), seen.len())
    };
    assert_eq!(sent, 3);
    assert!(store.fault.seen.lock().unwrap().iter().all(|batch| *batch.id() == id), "the same commit every time");
    assert_eq!(replica.keyring.status().await.unwrap().len(), 1);
    // An outage before anything was sent is the caller's to retry.
    store.fault.unplug();
    let error = crate::adapters::commit::commit(&*store, &kit.world, Vec::new(), Some(AuditWaiver::Resealing))
        .await
        .unwrap_err();
    assert_eq!((error.code(), store.fault.seen.lock().unwrap().len()), (Code::StoreUnavailable, sent + 1));
}

#[tokio::test]
async fn the_reloader_brings_new_keys_and_stops() {
    let kit = Kit::new();
    let world = World::new(Arc::new(SystemClock), Arc::new(SeededEntropy::new(7)));
    let timing = Timing { reload: Duration::from_millis(10), settle: Duration::from_millis(10) };
    let open = || Keyring::open_with(Arc::new(kit.memory.clone()), kit.masters(), world.clone(), timing);
    let (ours, theirs) = (open().await.unwrap(), open().await.unwrap());
    let stop = CancellationToken::new();
    let task = Arc::clone(&ours).spawn_reloader(stop.clone());
    let next = theirs.rotate().await.unwrap().key;
    let learnt = async {
        while !ours.ring().keys.contains_key(&next) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), learnt).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_record_that_is_listed_and_missing_is_named() {
    let kit = Kit::new();
    let keyring = kit.replica().await.keyring;
    let store: &dyn Store = &kit.memory;
    let head = store.read::<Head>(Head::ID).await.unwrap().unwrap();
    let ghost = DataKeyId::build(kit.world.now(), [9; 10]);
    let body = serde_json::to_string(&Head::of(vec![keyring.active(), ghost.clone()])).unwrap();
    crate::adapters::testkit::tamper(&kit, &crate::ports::records::key::<Head>(head.id.as_str()), |_| body).await;
    let error = kit.replica_with(kit.masters()).await.err().unwrap();
    assert!(error.chain().contains(ghost.as_str()), "{}", error.chain());
    assert!(keyring.reload().await.is_err(), "a running replica keeps its keys and says so");
    keyring.seal("c", b"v").await.unwrap();
}

#[tokio::test]
async fn a_ring_without_exactly_one_active_key_is_not_used() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let next = replica.keyring.rotate().await.unwrap().key;
    let id = replica.keyring.active();
    for (key, from, to) in [(&next, "readable", "active"), (&id, "active", "draining"), (&next, "active", "readable")] {
        let key = crate::ports::records::key::<DataKey>(key.as_str());
        crate::adapters::testkit::tamper(&kit, &key, |body| body.replace(from, to)).await;
        let opened = kit.replica_with(kit.masters()).await.err().map(|error| error.code());
        let ok = to == "draining";
        assert_eq!(opened, (!ok).then_some(Code::Busy), "{from} to {to}");
    }
}

#[tokio::test]
async fn nothing_shows_a_key_or_a_value() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let keyring = &replica.keyring;
    let sealed = keyring.seal("context", b"plaintext!").await.unwrap();
    let ring = keyring.ring();
    let roots = ring.active.roots.as_ref().unwrap();
    let record = keyring.record(&keyring.active()).await.unwrap();
    let secret = keyring.masters.unwrap(&record).await.unwrap().unwrap();
    let mut shown = format!("{keyring:?} {sealed:?} {ring:?} {record:?} {:?}", kit.master(1).master_id());
    shown.push_str(&kit.dump().await);
    for bytes in [&secret, &roots.seal, &roots.token, ring.active.mac.get().unwrap(), &Zeroizing::new([1; 32])] {
        for form in [
            format!("{:?}", &bytes[..]),
            data_encoding::HEXLOWER.encode(&bytes[..]),
            data_encoding::BASE64.encode(&bytes[..]),
        ] {
            assert!(!shown.contains(form.trim_matches(['[', ']'])), "a key is shown");
        }
    }
    assert!(!shown.contains("plaintext!"));
    let _: &DataKey = &record;
}
