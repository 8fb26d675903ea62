//! Digests and marks of the sealed log, computed from the bodies of records as they are stored.

use crate::{
    app::Asgard,
    domain::audit::{
        Anchor, AnchoredHead, AuditBlock, AuditEvent, AuditMarking, AuditStub, Body, REFUSED, SealFormat, body_of,
        event_bytes, marked_bytes,
    },
    error::{Error, Result},
    kernel::{DataKeyId, EventId, Timestamp},
    ports::{
        records::{Entity, Records, Stored, key},
        store::Draft,
        vault::{Mac, TokenSealer, mark_naming_its_key},
    },
};
use data_encoding::HEXLOWER;

/// The body of a record as it is stored.
fn body<T>(stored: &Stored<T>) -> Result<Body> {
    serde_json::from_str(stored.body()).map_err(Error::bug)
}

/// The digest of an event as blocks of that format hold it; `None` when its record holds what the format does not cover.
pub(crate) fn digest(format: SealFormat, event: &Stored<AuditEvent>) -> Result<Option<String>> {
    Ok(format.event_digest(&body(event)?))
}

/// An event as it is written when it is sealed into a block: the stored record with the block's number and nothing else
/// changed, whatever fields it has. With its digest.
pub(crate) fn sealed(event: &Stored<AuditEvent>, block: u64) -> Result<(String, Draft)> {
    let mut body = body(event)?;
    let digest = SealFormat::Marked.event_digest(&body).ok_or_else(|| Error::bug("an event has no digest"))?;
    body.remove("unsealed");
    body.insert("block".to_owned(), block.into());
    let text = serde_json::to_string(&body).map_err(Error::bug)?;
    let draft =
        Draft { key: key::<AuditEvent>(event.record_id()), schema: event.schema(), body: text, expires_at: None };
    Ok((digest, draft))
}

/// The same event, refused: no block will hold it, and it stays where it is.
pub(crate) fn refused(event: &Stored<AuditEvent>) -> Result<Draft> {
    let mut body = body(event)?;
    body.insert("unsealed".to_owned(), REFUSED.into());
    let body = serde_json::to_string(&body).map_err(Error::bug)?;
    Ok(Draft { key: key::<AuditEvent>(event.record_id()), schema: event.schema(), body, expires_at: None })
}

/// The record that says since when events are marked, with its mark.
pub(crate) fn marked_marking(sealer: &dyn TokenSealer, event: &EventId) -> Result<AuditMarking> {
    let named = |key: &DataKeyId| AuditMarking::since(event.clone(), key, |_| Ok([0; 32]));
    let bytes = |key: &DataKeyId| Ok(marked_bytes(&body_of(&named(key)?)?));
    let mark = mark_naming_its_key(sealer, AuditMarking::PURPOSE, bytes)?;
    AuditMarking::since(event.clone(), &mark.key, |_| Ok(mark.tag))
}

/// The block with its mark, sealed since events are marked or before.
pub(crate) fn marked_block(
    sealer: &dyn TokenSealer,
    marking: Option<&AuditMarking>,
    mut block: AuditBlock,
) -> Result<AuditBlock> {
    let format = if marking.is_some() { SealFormat::Marked } else { SealFormat::Stored };
    block.format = format.number();
    block.marking = marking.map(|marking| marking.event.clone());
    let mark = mark_naming_its_key(sealer, format.purpose(), |key| {
        block.mac_key = key.to_string();
        format.block_bytes(&body_of(&block)?).ok_or_else(|| Error::bug("a block cannot be marked"))
    })?;
    Ok(AuditBlock { mac: HEXLOWER.encode(&mark.tag), ..block })
}

/// The stub with its mark.
pub(crate) fn marked_stub(sealer: &dyn TokenSealer, mut stub: AuditStub) -> Result<AuditStub> {
    let mark = mark_naming_its_key(sealer, AuditStub::PURPOSE, |key| {
        stub.mac_key = key.to_string();
        Ok(marked_bytes(&body_of(&stub)?))
    })?;
    Ok(AuditStub { mac: HEXLOWER.encode(&mark.tag), ..stub })
}

/// These heads as anchors, each with as many as it may have.
pub(crate) fn anchors(sealer: &dyn TokenSealer, at: Timestamp, heads: &[AnchoredHead]) -> Result<Vec<String>> {
    let anchor = |heads: &[AnchoredHead]| {
        let bytes = |key: &DataKeyId| Ok(Anchor::bytes(at, heads, key).into_bytes());
        let Mac { key, tag } = mark_naming_its_key(sealer, Anchor::PURPOSE, bytes)?;
        Ok(Anchor { at, heads: heads.to_vec(), key, tag }.to_text())
    };
    heads.chunks(Anchor::MAX_HEADS).map(anchor).collect()
}

/// Whether an anchor is one that a sealer of this store made.
pub(crate) async fn is_genuine_anchor(app: &Asgard, anchor: &Anchor) -> Result<bool> {
    let bytes = Anchor::bytes(anchor.at, &anchor.heads, &anchor.key);
    let mark = Mac { key: anchor.key.clone(), tag: anchor.tag };
    app.sealer().verify(Anchor::PURPOSE, bytes.as_bytes(), &mark).await
}

/// Whether an event is as Asgard committed it.
pub(crate) async fn is_genuine_event(app: &Asgard, event: &Stored<AuditEvent>) -> Result<bool> {
    verifies(app, AuditEvent::PURPOSE, &event_bytes(&body(event)?), &event.mac_key, &event.mac).await
}

/// The record that says since when events are marked, if there is one; `false` beside one that Asgard did not make.
pub(crate) async fn marking(app: &Asgard) -> Result<Option<(AuditMarking, bool)>> {
    let Some(marking) = app.store().read::<AuditMarking>(AuditMarking::ID).await? else { return Ok(None) };
    let bytes = marked_bytes(&body(&marking)?);
    let genuine = verifies(app, AuditMarking::PURPOSE, &bytes, &marking.mac_key, &marking.mac).await?;
    Ok(Some((marking.value, genuine)))
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
        && verifies(app, AuditStub::PURPOSE, &marked_bytes(&body(stub)?), &stub.mac_key, &stub.mac).await?)
}
