//! What a creating call came to, remembered under its idempotency key.

use super::operation::Meta;
use crate::{
    app::{Call, Reads, Tx},
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::{
        kinds::Kind,
        records::{Entity, key},
        store::ReadBatch,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What a creating call came to, kept under its idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// SHA-256 over actor, operation and key, in hex.
    pub id: String,
    /// SHA-256 of the input, in hex.
    pub input: String,
    /// What to answer.
    pub reply: Value,
    /// After this moment it may vanish.
    pub keep_until: Timestamp,
}

const REMEMBER: Duration = Duration::from_secs(86_400);

impl Entity for Remembered {
    const KIND: Kind = Kind::Idempotency;
    const NOUN: &'static str = "idempotent reply";
    fn record_id(&self) -> String {
        self.id.clone()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.keep_until)
    }
}

/// What an idempotent call is remembered by.
pub(crate) struct Remember {
    id: String,
    input: String,
}

crate::kernel::opaque!(Remember);

fn hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

impl Remember {
    /// What this call would be remembered by, if it carries a key and the operation creates something.
    pub(crate) fn of(call: &Call, meta: &Meta, input: &Value) -> Result<Option<Self>> {
        let (Some(key), Some(actor), true) = (&call.idempotency_key, &call.actor, meta.creates) else {
            return Ok(None);
        };
        if key.is_empty() || key.len() > 200 || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Error::invalid(
                "idempotency_key",
                "An idempotency key has 1 to 200 printable ASCII characters.",
            ));
        }
        let actor = serde_json::to_vec(&actor.reference().credential()).map_err(Error::bug)?;
        let input = serde_json::to_vec(input).map_err(Error::bug)?;
        Ok(Some(Self { id: hex(&[&actor, meta.name.as_bytes(), key.as_bytes()]), input: hex(&[&input]) }))
    }

    /// What is read of it, to come along with what is read first.
    pub(super) fn reads(&self) -> ReadBatch {
        ReadBatch { keys: vec![key::<Remembered>(self.id.as_str())], ..ReadBatch::default() }
    }

    /// The answer of the earlier call, if there was one.
    pub(crate) async fn recall(&self, reads: &Reads<'_>) -> Result<Option<Value>> {
        let Some(found) = reads.read::<Remembered>(&self.id).await? else { return Ok(None) };
        if found.keep_until <= reads.app().world().now() {
            return Ok(None);
        }
        if found.input != self.input {
            return Err(Error::new(
                Code::IdempotencyMismatch,
                "This idempotency key was used for a call with other input. Use a new key.",
            ));
        }
        Ok(Some(found.value.reply))
    }

    /// Keeps the answer in the commit of what it answers.
    pub(super) async fn keep(&self, tx: &mut Tx<'_>, reply: Value) -> Result<()> {
        let fresh =
            Remembered { id: self.id.clone(), input: self.input.clone(), reply, keep_until: tx.now().plus(REMEMBER) };
        tx.keeps_reply();
        match tx.read_checked::<Remembered>(&self.id).await? {
            None => tx.insert(&fresh),
            Some(old) if old.keep_until <= tx.now() => tx.replace(&old, &fresh),
            Some(_) => Err(Error::new(Code::Busy, "The same call is being answered; try again.").retry_after(1)),
        }
    }
}
