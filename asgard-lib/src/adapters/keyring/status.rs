//! What operators see of the keyring.

use super::{
    Keyring,
    record::{DataKey, KeyState},
};
use crate::{
    error::Result,
    kernel::{DataKeyId, Timestamp},
    ports::{
        kinds::SEALED_BY_KEY,
        records::store_error,
        store::{Position, Query},
    },
};
use serde::Serialize;

/// Ciphertexts are counted up to this many per key.
const COUNT_TO: usize = 1_000;
const PAGE: usize = 50;

/// A data key as `asgard keys status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct KeyStatus {
    /// The key.
    pub id: DataKeyId,
    /// Where it is in its life.
    pub state: KeyState,
    /// Since when.
    pub since: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// The master keys it is wrapped under.
    pub masters: Vec<String>,
    /// How many ciphertexts are under it, as the index shows them.
    pub ciphertexts: usize,
    /// Counting stopped there: it is at least that many.
    pub at_least: bool,
    /// How far re-encryption is, while draining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<Drained>,
    /// When the next step of the rotation is due, while readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Timestamp>,
}

/// Progress of re-encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Drained {
    /// Ciphertexts sealed again under the active key.
    pub moved: u64,
    /// Ciphertexts that the present or last pass could not seal again; the log names them.
    pub stuck: u64,
}

impl Keyring {
    /// Every data key, oldest first.
    pub async fn status(&self) -> Result<Vec<KeyStatus>> {
        let mut all = Vec::new();
        for key in self.records().await? {
            let (ciphertexts, at_least) = self.count(&key.id).await?;
            all.push(self.shown(&key, ciphertexts, at_least));
        }
        Ok(all)
    }

    fn shown(&self, key: &DataKey, ciphertexts: usize, at_least: bool) -> KeyStatus {
        KeyStatus {
            id: key.id.clone(),
            state: key.state,
            since: key.state_since,
            created_at: key.created_at,
            masters: key.master_ids(),
            ciphertexts,
            at_least,
            drained: key.sweep.as_ref().map(|sweep| Drained { moved: sweep.moved, stuck: sweep.stuck }),
            active_from: (key.state == KeyState::Readable).then(|| self.timing.active_from(key)),
        }
    }

    async fn count(&self, key: &DataKeyId) -> Result<(usize, bool)> {
        let mut counted = 0;
        let mut after: Option<Position> = None;
        loop {
            let query = Query::new(&SEALED_BY_KEY, key.as_str()).after(after).take(PAGE);
            let page = self.store.query(&query).await.map_err(store_error)?;
            counted += page.records.len();
            after = page.next;
            if after.is_none() {
                return Ok((counted, false));
            }
            if counted >= COUNT_TO {
                return Ok((counted, true));
            }
        }
    }
}
