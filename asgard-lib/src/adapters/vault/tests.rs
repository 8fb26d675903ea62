//! The vault as its users see it, and the sealed secret store on top.

use super::orphans::Collected;
use super::*;
use crate::{
    adapters::{
        Witness,
        testkit::{CallRecorder, INLINE, Kit, RELOAD, tamper},
    },
    error::Code,
    kernel::{SecretId, SecretText},
    ports::{records::key, secrets::SecretStore},
};
use futures_util::future::{join, join_all};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What these tests commit is a sealed value.
const STORED: Option<AuditWaiver> = Some(AuditWaiver::SealedValue);

#[tokio::test]
async fn values_of_every_size_come_back_and_never_show() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    for size in [0, 1, INLINE - 1, INLINE, INLINE + 1, 3 * INLINE] {
        let value: Vec<u8> = b"needle in a haystack ".iter().copied().cycle().take(size).collect();
        assert!(replica.set(&kit, "v", &value).await.unwrap());
        let stored = replica.vault.stored("v").await.unwrap().unwrap();
        let pieces = if size > INLINE { (size + OVERHEAD).div_ceil(2 * INLINE) } else { 0 };
        assert_eq!((stored.blobs.len(), stored.size), (pieces, u64::try_from(size).unwrap()));
        assert_eq!(replica.get("v").await.unwrap(), value);
        assert!(!kit.dump().await.contains("needle"), "{size}");
        assert_eq!(kit.blobs().await.len(), pieces, "replaced blobs are deleted");
    }
    let whole = SealedVault::new(
        Arc::new(kit.memory.clone()),
        Arc::new(kit.memory.clone()),
        Arc::clone(&replica.keyring),
        kit.world.clone(),
    );
    let longest = vec![7; SealedVault::INLINE];
    let prepared = whole.seal("longest", "test", &longest).await.unwrap();
    assert!(prepared.blobs.is_empty());
    assert_eq!(
        commit(&kit.memory, &kit.world, vec![SealedVault::write(&prepared, None).unwrap()], STORED).await.unwrap(),
        Outcome::Committed
    );
    assert_eq!(replica.get("longest").await.unwrap(), longest, "the longest inline value fits into a record");
    assert_eq!(whole.seal("longer", "test", &[longest, vec![7]].concat()).await.unwrap().blobs.len(), 1);
    let largest = vec![7; 8 << 20];
    let pieces = whole.seal("largest", "test", &largest).await.unwrap();
    assert_eq!(pieces.blobs.len(), 24);
    let ops = vec![SealedVault::write(&pieces, None).unwrap()];
    assert_eq!(commit(&kit.memory, &kit.world, ops, STORED).await.unwrap(), Outcome::Committed);
    assert!(*replica.get("largest").await.unwrap() == largest, "every piece is in its place");
    let too_large = vec![0; SealedVault::MAX + 1];
    let refused = replica.vault.seal("v", "test", &too_large).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidInput, "It is 129 MB large; Asgard stores up to 128 MB.")
    );
    for id in ["", &"x".repeat(201)] {
        assert!(replica.vault.seal(id, "test", b"v").await.is_err());
    }
    assert_eq!(replica.get("none").await, None);
}

#[tokio::test]
async fn a_value_is_bound_to_its_id_context_and_blob() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let large = [vec![1; INLINE + 1], vec![2; INLINE + 1]];
    for (id, value) in [("a", &b"1"[..]), ("b", b"2"), ("la", &large[0]), ("lb", &large[1])] {
        replica.set(&kit, id, value).await.unwrap();
    }
    let refused = async |id: &str, context: &str| {
        let error = replica.vault.read(id, context).await.unwrap_err();
        assert_eq!(error.code(), Code::Bug);
        assert!(error.chain().contains(id), "{}", error.chain());
    };
    refused("a", "other").await;
    // Moving ciphertexts or blobs between records, or records between contexts, opens nothing.
    let body = async |id: &str| serde_json::to_value(&replica.vault.stored(id).await.unwrap().unwrap().value).unwrap();
    let (a, b, la, lb) = (body("a").await, body("b").await, body("la").await, body("lb").await);
    let put =
        async |id: &str, body: &serde_json::Value| tamper(&kit, &key::<SealedRecord>(id), |_| body.to_string()).await;
    let mut swapped = a.clone();
    swapped["inline"] = b["inline"].clone();
    put("a", &swapped).await;
    refused("a", "test").await;
    swapped = la.clone();
    swapped["blob"] = lb["blob"].clone();
    put("la", &swapped).await;
    refused("la", "test").await;
    swapped = a.clone();
    swapped["context"] = "other".into();
    put("a", &swapped).await;
    refused("a", "other").await;
    for (inline, blob) in [(true, true), (false, false)] {
        swapped = la.clone();
        swapped["inline"] = if inline { a["inline"].clone() } else { serde_json::Value::Null };
        swapped["blob"] = if blob { la["blob"].clone() } else { serde_json::Value::Null };
        put("la", &swapped).await;
        refused("la", "test").await;
    }
    put("a", &a).await;
    put("la", &la).await;
    assert_eq!(replica.get("a").await.unwrap(), b"1");
    assert_eq!(replica.get("la").await.unwrap(), large[0]);
    // A record from when there was one blob to a value names it alone.
    let mut older = la.clone();
    older["blob"] = la["blob"][0].clone();
    put("la", &older).await;
    assert_eq!(replica.get("la").await.unwrap(), large[0]);
    put("la", &la).await;
    let blob: BlobId = la["blob"][0].as_str().unwrap().parse().unwrap();
    // Nor does an older blob of the same record in the place of the present one.
    let older = kit.memory.get(&blob).await.unwrap().unwrap();
    replica.set(&kit, "la", &large[1]).await.unwrap();
    let present = replica.vault.stored("la").await.unwrap().unwrap().blobs[0].clone();
    kit.memory.delete(&present).await.unwrap();
    kit.memory.put(&present, &older, kit.world.now()).await.unwrap();
    refused("la", "test").await;
    let blob = present;
    kit.memory.delete(&blob).await.unwrap();
    refused("la", "test").await;
}

#[tokio::test]
async fn sealing_again_moves_only_what_drains_and_loses_no_race() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let large = vec![3; INLINE + 1];
    for (id, value) in [("small", &b"v"[..]), ("large", &large)] {
        replica.set(&kit, id, value).await.unwrap();
    }
    assert_eq!(replica.vault.reseal("none").await.unwrap(), Resealed::Gone);
    assert_eq!(replica.vault.reseal("small").await.unwrap(), Resealed::Current);
    replica.keyring.rotate().await.unwrap();
    kit.pass(RELOAD * 2);
    let behind = kit.replica().await;
    replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    for id in ["small", "large"] {
        // Two replicas seal the same value again while a third reads it.
        let (moved, read) = join(join_all([replica.vault.reseal(id), replica.vault.reseal(id)]), replica.get(id)).await;
        let mut moved: Vec<Resealed> = moved.into_iter().map(Result::unwrap).collect();
        moved.sort_by_key(|what| *what != Resealed::Moved);
        assert_eq!(moved[0], Resealed::Moved);
        assert!(matches!(moved[1], Resealed::Raced | Resealed::Current), "{moved:?}");
        assert!(read.is_some());
        assert_eq!(behind.vault.reseal(id).await.unwrap(), Resealed::Current, "a replica behind does not move it back");
    }
    assert_eq!(replica.get("large").await.unwrap(), large);
    assert_eq!(kit.blobs().await.len(), 1, "no blob is left behind");
}

#[tokio::test]
async fn through_the_port_values_are_prepared_read_and_forgotten() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let vault: &dyn Vault = &*replica.vault;
    for value in [vec![1; 3], vec![1; INLINE + 1]] {
        let draft = vault.prepare("v", "test", &value).await.unwrap();
        assert_eq!(vault.read("v", "test").await.unwrap(), None, "nothing is written yet");
        commit(&kit.memory, &kit.world, vec![Op::Insert(draft)], STORED).await.unwrap();
        assert_eq!(**vault.read("v", "test").await.unwrap().unwrap(), value);
        for _ in 0..2 {
            vault.forget("v").await.unwrap();
        }
        assert_eq!((vault.read("v", "test").await.unwrap(), kit.blobs().await.len()), (None, 0));
    }
}

#[tokio::test]
async fn only_old_orphans_of_the_vault_are_collected() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let value = vec![1; INLINE + 1];
    replica.set(&kit, "kept", &value).await.unwrap();
    // Died before the commit: of a record that exists with another blob, and of one that never came to be.
    replica.vault.seal("kept", "test", &value).await.unwrap();
    replica.vault.seal("never", "test", &value).await.unwrap();
    let foreign: BlobId = kit.world.id();
    kit.memory.put(&foreign, b"a log of somebody else's", kit.world.now()).await.unwrap();
    kit.pass(DAY - Duration::from_secs(1));
    let young = replica.vault.seal("young", "test", &value).await.unwrap();
    assert_eq!(replica.vault.collect_orphan_blobs(kit.world.now(), None).await.unwrap(), Collected::default());
    kit.pass(Duration::from_secs(2));
    let collected = replica.vault.collect_orphan_blobs(kit.world.now(), None).await.unwrap();
    assert_eq!(collected, Collected { seen: 4, deleted: 2, foreign: 1, next: None });
    assert_eq!(kit.blobs().await.len(), 3);
    let op = SealedVault::write(&young, None).unwrap();
    commit(&kit.memory, &kit.world, vec![op], STORED).await.unwrap();
    assert_eq!(replica.get("young").await.unwrap(), value);
    assert_eq!(replica.get("kept").await.unwrap(), value);

    // More than one call's worth.
    for n in 0..40 {
        replica.vault.seal(&format!("gone{n}"), "test", &value).await.unwrap();
    }
    kit.pass(DAY * 2);
    let (mut after, mut deleted) = (None, 0);
    loop {
        let collected = replica.vault.collect_orphan_blobs(kit.world.now(), after.as_ref()).await.unwrap();
        deleted += collected.deleted;
        after = collected.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((deleted, kit.blobs().await.len()), (40, 3));
}

#[tokio::test]
async fn secrets_are_write_once_per_version_and_forgotten_up_to_one() {
    let kit = Kit::new();
    let replica = kit.replica().await;
    let secrets = &replica.secrets;
    let (id, other): (SecretId, SecretId) = (kit.world.id(), kit.world.id());
    let value = |n: u32| SecretText::new(format!("hunter{n}"));
    for version in 1..=120 {
        secrets.put(&id, version, &value(version), &owner()).await.unwrap();
    }
    secrets.put(&other, 1, &SecretText::new("x".repeat(200_000)), &owner()).await.unwrap();
    secrets.put(&id, 7, &value(7), &owner()).await.unwrap();
    let error = secrets.put(&id, 7, &value(8), &owner()).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    assert!(!error.chain().contains("hunter"));
    for bad in [0, MAX + 1] {
        assert_eq!(secrets.put(&id, bad, &value(1), &owner()).await.unwrap_err().code(), Code::Bug);
    }
    assert!(secrets.get(&id, 7, &owner()).await.unwrap().unwrap().same("hunter7"));
    assert!(secrets.get(&id, 121, &owner()).await.unwrap().is_none());
    assert!(!kit.dump().await.contains("hunter"));

    // Forgetting races with re-encryption.
    replica.keyring.rotate().await.unwrap();
    kit.pass(RELOAD * 2);
    replica.rotation.step(kit.world.now(), Witness::Clock).await.unwrap();
    let (step, forgotten) =
        join(replica.rotation.step(kit.world.now(), Witness::Clock), secrets.forget(&id, 119, Some(&owner()))).await;
    step.unwrap();
    forgotten.unwrap();
    for version in 1..120 {
        assert!(secrets.get(&id, version, &owner()).await.unwrap().is_none(), "{version}");
    }
    assert!(secrets.get(&id, 120, &owner()).await.unwrap().unwrap().same("hunter120"));
    assert_eq!(secrets.get(&other, 1, &owner()).await.unwrap().unwrap().reveal().len(), 200_000);
    secrets.forget(&other, 1, Some(&owner())).await.unwrap();
    secrets.forget(&other, 1, Some(&owner())).await.unwrap();
    assert_eq!(kit.blobs().await.len(), 0);
}

const MAX: u32 = 1_000_000;

fn owner() -> crate::domain::secret::SecretOwner {
    let (project, resource) =
        (crate::kernel::ProjectId::new(2026, 1), crate::kernel::ResourceId::from_digest(&[7; 32]));
    crate::domain::secret::SecretOwner { project, resource }
}

#[tokio::test]
async fn racing_puts_of_one_version_agree() {
    let kit = Kit::new();
    let replica = kit.boot(CallRecorder::on(&kit.memory), kit.masters()).await.unwrap();
    let id: SecretId = kit.world.id();
    let same = SecretText::new("x".repeat(INLINE + 1));
    let owner = owner();
    let puts = join_all((0..5).map(|_| replica.secrets.put(&id, 1, &same, &owner))).await;
    assert!(puts.iter().all(Result::is_ok), "{puts:?}");
    assert_eq!(kit.blobs().await.len(), 1, "the losers' blobs are gone");
    let values: Vec<SecretText> = (0..5).map(|n| SecretText::new(format!("v{n}"))).collect();
    let puts = join_all(values.iter().map(|value| replica.secrets.put(&id, 2, value, &owner))).await;
    assert_eq!(puts.iter().filter(|put| put.is_ok()).count(), 1);
}
