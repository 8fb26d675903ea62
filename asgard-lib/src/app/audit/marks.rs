//! Digests and marks of the sealed log, computed from the bodies of records as they are stored.

use crate::{
    app::Asgard,
    domain::audit::{AuditBlock, AuditEvent, AuditStub, Body, SealFormat, stub_bytes},
    error::{Error, Result},
    kernel::DataKeyId,
    ports::{
        records::{Entity, Stored, key},
        store::Draft,
        vault::{Mac, TokenSealer},
    },
};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::Value;

/// The body of a record as it is stored.
fn body<T>(stored: &Stored<T>) -> Result<Body> {
    serde_json::from_str(stored.body()).map_err(Error::bug)
}

/// The body that a new record will have.
fn body_of<T: Serialize>(value: &T) -> Result<Body> {
    match serde_json::to_value(value).map_err(Error::bug)? {
        Value::Object(body) => Ok(body),
        other => Err(Error::bug(format!("{other} is no body of a record"))),
    }
}

/// The digest of an event as blocks of that format hold it; `None` when its record holds what the format does not cover.
pub(crate) fn digest(format: SealFormat, event: &Stored<AuditEvent>) -> Result<Option<String>> {
    Ok(format.event_digest(&body(event)?))
}

/// An event as it is written when it is sealed into a block: the stored record with the block's number and nothing else
/// changed, whatever fields it has. With its digest.
pub(crate) fn sealed(event: &Stored<AuditEvent>, block: u64) -> Result<(String, Draft)> {
    let mut body = body(event)?;
    let digest = SealFormat::Stored.event_digest(&body).ok_or_else(|| Error::bug("an event has no digest"))?;
    body.remove("unsealed");
    body.insert("block".to_owned(), block.into());
    let text = serde_json::to_string(&body).map_err(Error::bug)?;
    let draft =
        Draft { key: key::<AuditEvent>(event.record_id()), schema: event.schema(), body: text, expires_at: None };
    Ok((digest, draft))
}

/// A mark. It covers the name of the key that it is made with, which is known only once one was made; if the key changes in
/// between, the mark is made again.
fn mark(
    sealer: &dyn TokenSealer,
    purpose: &str,
    mut bytes: impl FnMut(&DataKeyId) -> Result<Vec<u8>>,
) -> Result<(String, String)> {
    let mut key = sealer.mark(purpose, &[])?.key;
    for _ in 0..3 {
        let mark = sealer.mark(purpose, &bytes(&key)?)?;
        if mark.key == key {
            return Ok((key.to_string(), HEXLOWER.encode(&mark.tag)));
        }
        key = mark.key;
    }
    Err(Error::bug("the audit key changes too fast to seal with"))
}

/// The block with its mark.
pub(crate) fn marked_block(sealer: &dyn TokenSealer, mut block: AuditBlock) -> Result<AuditBlock> {
    let format = SealFormat::Stored;
    block.format = format.number();
    let (mac_key, mac) = mark(sealer, format.purpose(), |key| {
        block.mac_key = key.to_string();
        format.block_bytes(&body_of(&block)?).ok_or_else(|| Error::bug("a block cannot be marked"))
    })?;
    Ok(AuditBlock { mac_key, mac, ..block })
}

/// The stub with its mark.
pub(crate) fn marked_stub(sealer: &dyn TokenSealer, mut stub: AuditStub) -> Result<AuditStub> {
    let (mac_key, mac) = mark(sealer, AuditStub::PURPOSE, |key| {
        stub.mac_key = key.to_string();
        Ok(stub_bytes(&body_of(&stub)?))
    })?;
    Ok(AuditStub { mac_key, mac, ..stub })
}

async fn verifies(app: &Asgard, purpose: &str, bytes: &[u8], key: &str, mac: &str) -> Result<bool> {
    let tag = HEXLOWER.decode(mac.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match (key.parse(), tag) {
        (Ok(key), Some(tag)) => app.sealer().verify(purpose, bytes, &Mac { key, tag }).await,
        _ => Ok(false),
    }
}

/// Whether a block's mark is genuine.
pub(crate) async fn is_genuine_block(app: &Asgard, block: &Stored<AuditBlock>) -> Result<bool> {
    let Some(format) = SealFormat::of(block.format) else { return Ok(false) };
    match format.block_bytes(&body(block)?) {
        Some(bytes) => verifies(app, format.purpose(), &bytes, &block.mac_key, &block.mac).await,
        None => Ok(false),
    }
}

/// Whether a stub's mark is genuine, and it is this chain's.
pub(crate) async fn is_genuine_stub(app: &Asgard, chain: &str, stub: &Stored<AuditStub>) -> Result<bool> {
    Ok(stub.chain == chain
        && verifies(app, AuditStub::PURPOSE, &stub_bytes(&body(stub)?), &stub.mac_key, &stub.mac).await?)
}
