//! Sealing the audit log: pending events become blocks, chained and marked with a key that the store does not hold.

use super::{Next, Periodic, PeriodicTask};
use crate::{
    app::{Asgard, Call, Tx},
    domain::audit::{AuditBlock, AuditEvent, AuditHead, PENDING},
    error::{Error, Result},
    kernel::DataKeyId,
    ports::{kinds::AUDIT_PENDING, records::Records, store::Query},
};
use async_trait::async_trait;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What marks are made for.
pub(crate) const PURPOSE: &str = "audit";
/// The most events in a block: each is an item of the batch.
const BLOCK: usize = 30;
/// How many pending events one turn looks at.
const BATCH: usize = 300;

/// Its declaration.
pub const SEAL_AUDIT: Periodic = Periodic::every("audit-seal", Duration::from_secs(5));

/// Seals pending audit events.
pub struct SealAudit;

#[async_trait]
impl PeriodicTask for SealAudit {
    fn declared(&self) -> Periodic {
        SEAL_AUDIT
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        Ok(!app.store().list::<AuditEvent>(&Query::new(&AUDIT_PENDING, PENDING).take(1)).await?.items.is_empty())
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let pending = app.store().list::<AuditEvent>(&Query::new(&AUDIT_PENDING, PENDING).take(BATCH)).await?;
        let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in &pending.items {
            chains.entry(event.chain().to_owned()).or_default().push(event.id.to_string());
        }
        for (chain, events) in chains {
            for block in events.chunks(BLOCK) {
                seal(app, &chain, block).await?;
            }
        }
        Ok(if pending.next.is_some() { Next::Again } else { Next::Rest })
    }
}

/// The hash of an event as blocks hold it.
pub(crate) fn digest(event: &AuditEvent) -> String {
    HEXLOWER.encode(&Sha256::digest(event.sealed_bytes()))
}

/// Seals these events of a chain, those that are still pending, into its next block.
async fn seal(app: &Asgard, chain: &str, events: &[String]) -> Result<()> {
    let call = Call::system("audit-seal", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.internal();
            let mut pending = tx.read_many_checked::<AuditEvent>(events).await?;
            pending.retain(|event| event.unsealed.is_some());
            if pending.is_empty() {
                return Ok(());
            }
            let head = tx.read_checked::<AuditHead>(chain).await?;
            let (number, previous) =
                head.as_ref().map_or((1, String::new()), |head| (head.number + 1, head.mac.clone()));
            let block = marked(
                tx,
                AuditBlock {
                    chain: chain.to_owned(),
                    number,
                    previous,
                    events: pending.iter().map(|event| (event.id.clone(), digest(event))).collect(),
                    sealed_at: tx.now(),
                    mac_key: String::new(),
                    mac: String::new(),
                },
            )?;
            let end = AuditHead { chain: chain.to_owned(), number, mac: block.mac.clone() };
            for event in &pending {
                tx.replace(event, &AuditEvent { unsealed: None, block: Some(number), ..event.value.clone() })?;
            }
            tx.insert(&block)?;
            match &head {
                None => tx.insert(&end),
                Some(head) => tx.replace(head, &end),
            }
        })
    })
    .await
}

/// The block with its mark. The mark covers the name of the key it is made with, which is known only once one was made; if
/// the key changes in between, it is made again.
fn marked(tx: &Tx<'_>, mut block: AuditBlock) -> Result<AuditBlock> {
    let sealer = tx.app().sealer();
    let mut key: DataKeyId = sealer.mark(PURPOSE, &[])?.key;
    for _ in 0..3 {
        block.mac_key = key.to_string();
        let mark = sealer.mark(PURPOSE, &block.mac_bytes())?;
        if mark.key == key {
            block.mac = HEXLOWER.encode(&mark.tag);
            return Ok(block);
        }
        key = mark.key;
    }
    Err(Error::bug("the audit key changes too fast to seal with"))
}
