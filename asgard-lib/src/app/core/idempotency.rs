//! What a creating call came to, remembered under its idempotency key.

use super::operation::Meta;
use crate::{
    app::{Call, Reads, Tx},
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::{
        kinds::Kind,
        records::{Entity, Records, key},
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
    /// What to answer; null when it is too large for this record, and in `parts`.
    pub reply: Value,
    /// The ids of the records that hold a large reply: its JSON in pieces, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// After this moment it is deleted. Until it is, it is remembered.
    pub keep_until: Timestamp,
}

/// A piece of a reply that no single record can hold: a resource whose inputs, outputs and plan are all as large as they may be. It is
/// written in the commit of the whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    /// The id of the whole, the commit that wrote it, and the number of the piece.
    id: String,
    /// A piece of the reply's JSON.
    text: String,
    /// After this moment it may vanish: some time after the whole, so that a whole never has a piece missing.
    keep_until: Timestamp,
}

const REMEMBER: Duration = Duration::from_secs(86_400);
/// The largest reply, as JSON, that is kept in one record.
const INLINE: usize = 200_000;
/// The most bytes of a piece. In its record every one of them may need a backslash.
const PART: usize = 150_000;
/// The most pieces. The largest reply of Asgard's own operations has four.
const MAX_PARTS: usize = 8;

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

impl Entity for Part {
    const KIND: Kind = Kind::Idempotency;
    const NOUN: &'static str = "piece of an idempotent reply";
    fn record_id(&self) -> String {
        self.id.clone()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.keep_until)
    }
}

/// The text in pieces of at most `longest` bytes, each of whole characters.
fn pieces(text: &str, longest: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut end = rest.len().min(longest);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
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
        // What is there is remembered, whatever the time is: a clock that is wrong, here or where it was kept, would make things twice.
        if found.input != self.input {
            return Err(Error::new(
                Code::IdempotencyMismatch,
                "This idempotency key was used for a call with other input. Use a new key.",
            ));
        }
        if found.parts.is_empty() {
            return Ok(Some(found.value.reply));
        }
        let mut text = String::new();
        for part in reads.app().store().read_many::<Part>(&found.parts).await? {
            match part {
                Some(part) => text.push_str(&part.text),
                // A store that deletes late may have begun with the pieces.
                None if found.keep_until <= reads.app().world().now() => return Ok(None),
                None => return Err(Error::bug("a piece of a remembered reply is missing")),
            }
        }
        let reply = serde_json::from_str(&text);
        reply.map(Some).map_err(|error| Error::bug(format!("a remembered reply cannot be read: {error}")))
    }

    /// Keeps the answer in the commit of what it answers.
    pub(super) async fn keep(&self, tx: &mut Tx<'_>, reply: Value) -> Result<()> {
        tx.keeps_reply();
        let text = serde_json::to_string(&reply).map_err(Error::bug)?;
        let (reply, parts) = match text.len() {
            0..=INLINE => (reply, Vec::new()),
            _ => (Value::Null, self.keep_parts(tx, &text)?),
        };
        let keep_until = tx.now().plus(REMEMBER);
        let fresh = Remembered { id: self.id.clone(), input: self.input.clone(), reply, parts, keep_until };
        match tx.read_checked::<Remembered>(&self.id).await? {
            None => tx.insert(&fresh),
            // Its time is over and nobody recalled it: pieces of it are gone.
            Some(old) if !old.parts.is_empty() && old.keep_until <= tx.now() => tx.replace(&old, &fresh),
            Some(_) => Err(Error::new(Code::Busy, "The same call is being answered; try again.").retry_after(1)),
        }
    }

    /// Keeps a large answer in pieces; says their ids.
    fn keep_parts(&self, tx: &mut Tx<'_>, text: &str) -> Result<Vec<String>> {
        let pieces = pieces(text, PART);
        if pieces.len() > MAX_PARTS {
            let (bytes, most) = (text.len(), PART * MAX_PARTS);
            return Err(Error::bug(format!("a reply of {bytes} bytes is to be remembered; at most {most} can be")));
        }
        let keep_until = tx.now().plus(REMEMBER * 2);
        let mut ids = Vec::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            let id = format!("{}/{}/{number}", self.id, tx.version());
            tx.insert(&Part { id: id.clone(), text: piece.to_owned(), keep_until })?;
            ids.push(id);
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_nothing_is_lost() {
        for longest in 4..9 {
            let text = "aé€🦀".repeat(7);
            let cut = pieces(&text, longest);
            assert!(cut.iter().all(|piece| !piece.is_empty() && piece.len() <= longest));
            assert_eq!(cut.concat(), text);
        }
        assert!(pieces("", 4).is_empty());
    }

    /// A store that deletes late may delete the pieces of an answer before the answer: its time is over then, and the call happens anew.
    #[tokio::test]
    async fn an_answer_whose_pieces_were_deleted_in_their_time_is_forgotten() {
        use crate::app::{operations, testkit::Kit};
        let kit = Kit::staged().await;
        let mint = operations::named("keys.mint").unwrap();
        let call = Call { idempotency_key: Some("once".into()), ..kit.owner() };
        let input = serde_json::json!({"project_id": kit.project, "name": "agent"});
        let first = mint.call(&kit.app, &call, input.clone()).await.unwrap();
        let id = Remember::of(&call, &mint.meta, &input).unwrap().unwrap().id;
        kit.tamper::<Remembered>(&id, |kept| kept.parts = vec!["gone".to_owned()]).await;
        let missing = mint.call(&kit.app, &call, input.clone()).await;
        assert!(missing.is_err_and(|error| error.code() == Code::Bug), "not before its time");
        kit.pass(REMEMBER);
        let again = mint.call(&kit.app, &call, input.clone()).await.unwrap();
        assert!(!again.replayed && again.value["id"] != first.value["id"]);
        let replayed = mint.call(&kit.app, &call, input).await.unwrap();
        assert!(replayed.replayed && replayed.value["id"] == again.value["id"]);
    }
}
