//! Master keys: wrong ones, and rotating them.

use super::super::*;
use crate::{adapters::testkit::Kit, backends::MemoryStore, domain::audit::PENDING, ports::records::Records};
use futures_util::future::join_all;
use record::{DataKey, Head};

async fn keys(store: &MemoryStore) -> Vec<DataKey> {
    let store: &dyn Store = store;
    let head = store.read::<Head>(Head::ID).await.unwrap().unwrap();
    let ids: Vec<String> = head.keys.iter().map(ToString::to_string).collect();
    store.read_many::<DataKey>(&ids).await.unwrap().into_iter().map(|key| key.unwrap().value).collect()
}

/// The events of an action, as the store holds them.
async fn events(kit: &Kit, action: &str) -> Vec<AuditEvent> {
    let store: &dyn Store = &kit.memory;
    let query = crate::ports::store::Query::new(&crate::ports::kinds::AUDIT_PENDING, PENDING).take(100);
    let all = store.list::<AuditEvent>(&query).await.unwrap().items;
    all.into_iter().map(|event| event.value).filter(|event| event.action == *action).collect()
}

#[tokio::test]
async fn an_adapters_commit_holds_an_event_or_names_why_it_is_no_act() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let commit = async |ops, waiver| commit(&kit.memory, &kit.world, ops, waiver).await;
    let name = |name: &str| Op::Claim { name: name.into(), owner: "me".into() };
    let refused = commit(vec![name("a")], None).await.unwrap_err();
    assert!(refused.code() == Code::Bug && refused.chain().contains("without an audit event"), "{refused:?}");
    assert_eq!(kit.memory.holder("a").await.unwrap(), None);
    let noted = replica.keyring.noted(AuditAction::DataKeyMade, &replica.keyring.active()).unwrap();
    for (ops, waiver) in [(vec![name("b"), noted], None), (vec![name("c")], Some(AuditWaiver::Resealing))] {
        assert_eq!(commit(ops, waiver).await.unwrap(), Outcome::Committed);
    }
}

#[tokio::test]
async fn a_wrong_master_key_refuses_to_boot_and_changes_nothing() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    replica.set(&kit, "a", b"value").await.unwrap();
    let before = kit.dump().await;
    let error = kit.replica_with(MasterKeys::only(kit.master(2))).await.err().unwrap();
    assert_eq!(error.code(), Code::Config);
    for part in
        [kit.master(1).master_id(), kit.master(2).master_id(), "master key is wrong".into(), "ASGARD_SECRET_KEY".into()]
    {
        assert!(error.message().contains(&part), "{error}");
    }
    assert_eq!(kit.dump().await, before);
    assert_eq!(kit.replica().await.get("a").await.unwrap(), b"value");
}

#[tokio::test]
async fn a_damaged_wrap_is_told_apart_from_a_wrong_key() {
    let kit = Kit::new();
    let id = kit.replica().await.keyring.active();
    let key = crate::ports::records::key::<DataKey>(id.as_str());
    let mut damaged = keys(&kit.memory).await.remove(0);
    damaged.wraps[0].bytes.as_mut().unwrap().0[20] ^= 1;
    crate::adapters::testkit::tamper(&kit, &key, |_| serde_json::to_string(&damaged).unwrap()).await;
    let error = kit.replica_with(kit.masters()).await.err().unwrap();
    assert_eq!(error.code(), Code::Bug);
    assert!(error.chain().contains(id.as_str()) && error.chain().contains("cannot be opened"), "{}", error.chain());
}

#[tokio::test]
async fn the_master_key_is_rotated_while_replicas_roll() {
    let kit = Kit::new();
    let (old, new) = (kit.master(1), kit.master(2));
    let both = || MasterKeys::replacing(Arc::clone(&old), Arc::clone(&new));
    let ids = [old.master_id(), new.master_id()];
    let under_both = async || {
        keys(&kit.memory)
            .await
            .iter()
            .all(|key| key.wraps.len() == 2 && ids.iter().all(|id| key.wrap_under(id).is_some()))
    };

    // A life before: one retired key with a MAC, one value under the active one.
    let first = kit.replica().await;
    let mac = first.keyring.mark("audit", b"block").unwrap();
    first.keyring.rotate().await.unwrap();
    first.finish(&kit).await.unwrap();
    assert!(first.set(&kit, "a", b"value").await.unwrap());

    // Roll: several replicas with both keys start at once, the first one goes on.
    let rolled = join_all((0..4).map(|_| kit.replica_with(both()))).await;
    let second = rolled.into_iter().next().unwrap().unwrap();
    assert!(under_both().await, "every key has one wrap per master key");
    assert!(first.set(&kit, "a", b"value 2").await.unwrap());
    assert_eq!(second.get("a").await.unwrap(), b"value 2");

    // A key made meanwhile opens for both sides, whoever makes it.
    let made = second.keyring.rotate().await.unwrap().key;
    first.keyring.reload().await.unwrap();
    assert!(first.keyring.ring().keys.contains_key(&made));
    kit.replica_with(MasterKeys::only(Arc::clone(&old))).await.unwrap();
    first.finish(&kit).await.unwrap();
    let by_old = first.keyring.rotate().await.unwrap().key;
    assert_eq!(keys(&kit.memory).await.last().unwrap().master_ids(), [old.master_id()]);
    assert!(
        kit.replica_with(MasterKeys::only(Arc::clone(&new))).await.is_err(),
        "the new key alone does not open it yet"
    );
    assert_eq!(second.keyring.drop_stale_wraps().await.unwrap(), 0, "both keys are in use here, so nothing is stale");
    assert!(under_both().await, "and it saw to the missing wrap");
    second.keyring.reload().await.unwrap();
    assert!(second.keyring.ring().keys.contains_key(&by_old));

    let wrapped = events(&kit, "data_key.wrapped").await;
    assert_eq!(
        wrapped.len(),
        3,
        "the two of the life before and the one that the old side made, each once: {wrapped:?}"
    );
    assert!(wrapped.iter().all(|event| event.details["master_key"] == ids[1]), "{wrapped:?}");

    // Drop the old one.
    let third = kit.replica_with(MasterKeys::only(Arc::clone(&new))).await.unwrap();
    let held = keys(&kit.memory).await.len();
    assert_eq!(third.keyring.drop_stale_wraps().await.unwrap(), held);
    let dropped = events(&kit, "data_key.wraps_dropped").await;
    assert_eq!(dropped.len(), held, "one for each key");
    for event in &dropped {
        assert_eq!((&event.details["dropped_master_keys"], &event.details["master_keys"]), (&ids[0], &ids[1]));
        assert!(event.has_mark() && event.actor.id == "keyring", "{event:?}");
    }
    assert_eq!(third.keyring.drop_stale_wraps().await.unwrap(), 0);
    assert!(keys(&kit.memory).await.iter().all(|key| key.master_ids() == ids[1..]));
    assert_eq!(third.get("a").await.unwrap(), b"value 2");
    assert!(
        third.keyring.verify("audit", b"block", &mac).await.unwrap(),
        "the MAC of a retired key is checkable under the new master key"
    );

    // A replica left behind works on with what it holds, adds no wrap of its own, and cannot start again.
    first.keyring.reload().await.unwrap();
    assert_eq!(first.get("a").await.unwrap(), b"value 2");
    assert!(keys(&kit.memory).await.iter().all(|key| key.master_ids() == ids[1..]));
    third.finish(&kit).await.unwrap();
    third.keyring.rotate().await.unwrap();
    kit.pass(crate::adapters::testkit::RELOAD * 3);
    let error = first.keyring.seal("c", b"v").await.unwrap_err();
    assert_eq!(error.code(), Code::KeyUnavailable, "it does not seal under a key that may be on its way out");
    assert!(!error.message().contains("local:") && error.chain().contains(&ids[1]), "{}", error.chain());
    let error = kit.replica_with(MasterKeys::only(old)).await.err().unwrap();
    assert!(error.message().contains(&ids[1]), "{error}");
}

#[tokio::test]
async fn the_last_way_in_is_never_dropped() {
    let kit = Kit::new();
    let replica = kit.replica_with(MasterKeys::replacing(kit.master(1), kit.master(2))).await.unwrap();
    let id = replica.keyring.active();
    let mut damaged = keys(&kit.memory).await.remove(0);
    assert_eq!(damaged.wraps[0].master_id, kit.master(2).master_id());
    damaged.wraps[0].bytes.as_mut().unwrap().0[30] ^= 1;
    crate::adapters::testkit::tamper(&kit, &crate::ports::records::key::<DataKey>(id.as_str()), |_| {
        serde_json::to_string(&damaged).unwrap()
    })
    .await;
    // The keys are in memory, so this process runs; but the primary's wrap does not open.
    let third = Keyring { masters: MasterKeys::only(kit.master(2)), ..open_parts(&kit, &replica.keyring) };
    assert!(third.drop_stale_wraps().await.is_err());
    assert_eq!(keys(&kit.memory).await[0].wraps.len(), 2);
}

fn open_parts(kit: &Kit, of: &Keyring) -> Keyring {
    Keyring {
        store: Arc::new(kit.memory.clone()),
        masters: of.masters.clone(),
        world: kit.world.clone(),
        timing: of.timing,
        ring: RwLock::new(of.ring()),
        reloading: tokio::sync::Mutex::default(),
    }
}
