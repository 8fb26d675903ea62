//! The start of a rotation: the next data key. What comes after it is [`Rotation`](crate::adapters::Rotation).

use super::{
    Keyring, TRIES, Timing, contended,
    load::new_key,
    record::{DataKey, Head, KeyState},
};
use crate::{
    adapters::commit::commit,
    domain::audit::AuditAction,
    error::{Code, Error, Result},
    kernel::{DataKeyId, Timestamp},
    ports::{
        records::{draft, redraft},
        store::{Op, Outcome},
    },
};

/// What [`Keyring::rotate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The key that becomes active.
    pub key: DataKeyId,
    /// When it becomes active, given somebody takes steps.
    pub active_from: Timestamp,
    /// The rotation was under way already; nothing was done.
    pub already: bool,
}

impl Keyring {
    /// Starts a rotation by making the next key. [`Rotation::step`](crate::adapters::Rotation::step) does the rest.
    pub async fn rotate(&self) -> Result<Started> {
        for _ in 0..TRIES {
            let head = self.head().await?;
            let records = self.records().await?;
            if let Some(next) = records.iter().find(|key| key.state == KeyState::Readable) {
                return Ok(Started { key: next.id.clone(), active_from: self.timing.active_from(next), already: true });
            }
            if head.keys.len() >= Head::MAX_KEYS {
                return Err(Error::new(
                    Code::QuotaReached,
                    format!("A store holds at most {} data keys.", Head::MAX_KEYS),
                ));
            }
            let (key, _) = new_key(&self.masters, &self.world, KeyState::Readable).await?;
            let mut listed = head.value.clone();
            listed.keys.push(key.id.clone());
            let ops = vec![
                Op::Replace(redraft(&head, &listed)?, head.version.clone()),
                Op::Insert(draft(&key)?),
                self.noted(AuditAction::DataKeyMade, &key.id)?,
            ];
            match commit(&*self.store, &self.world, ops, None).await? {
                Outcome::Committed => {
                    tracing::info!(key.id = %key.id, "Made the next data key.");
                    self.reload().await?;
                    return Ok(Started { active_from: self.timing.active_from(&key), key: key.id, already: false });
                }
                Outcome::Refused(_) => {}
            }
        }
        Err(contended())
    }
}

impl Timing {
    pub(in crate::adapters) fn active_from(&self, key: &DataKey) -> Timestamp {
        key.state_since.plus(self.reload * 2)
    }
}
