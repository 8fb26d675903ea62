//! What an operation is, and the one way to run it.

use crate::app::{Asgard, Call, Tx};
use crate::{
    domain::access::Action,
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::{
        kinds::Kind,
        records::{Entity, Records},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The method's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A REST route of an operation, below `/api`. Names in braces fill fields of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// The status of a success.
    pub status: u16,
}

/// What clients may expect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// Changes nothing.
    pub read_only: bool,
    /// May take something away.
    pub destructive: bool,
    /// Doing it twice is like doing it once.
    pub idempotent: bool,
}

impl Hints {
    /// Changes nothing.
    pub const READ: Self = Self { read_only: true, destructive: false, idempotent: true };
    /// Adds something each time.
    pub const CREATE: Self = Self { read_only: false, destructive: false, idempotent: false };
    /// Sets something.
    pub const SET: Self = Self { read_only: false, destructive: false, idempotent: true };
    /// Takes something away.
    pub const REMOVE: Self = Self { read_only: false, destructive: true, idempotent: true };
}

/// An operation's entry in the table: everything that surfaces need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its name: area and verb.
    pub name: &'static str,
    /// A short title.
    pub title: &'static str,
    /// What it does, when to use it, and what comes back.
    pub description: &'static str,
    /// What it needs permission for.
    pub action: Action,
    /// Its REST routes.
    pub routes: &'static [Route],
    /// Its names as an MCP tool; the first is preferred.
    pub tools: &'static [&'static str],
    /// What clients may expect.
    pub hints: Hints,
    /// Whether an idempotency key makes it happen once.
    pub creates: bool,
}

/// One thing that callers can have done. The command is the type itself.
pub trait Operation: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What comes back.
    type Output: Serialize + JsonSchema + Send + 'static;
    /// Its entry in the table.
    const META: Meta;

    /// Loads, authorises, decides, and says what to commit. Called again after a lost race.
    fn decide(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What a replayed call under the same idempotency key gets: the same, without what is shown only once.
    fn replay(output: &Self::Output) -> Result<Value> {
        serde_json::to_value(output).map_err(Error::bug)
    }
}

/// A finished operation.
pub struct Done<T> {
    /// What came of it.
    pub output: T,
}

/// What a creating call came to, kept under its idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Remembered {
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
pub struct Remember {
    id: String,
    input: String,
}

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
    pub fn of(call: &Call, meta: &Meta, input: &Value) -> Result<Option<Self>> {
        let (Some(key), Some(actor), true) = (&call.idempotency_key, &call.actor, meta.creates) else {
            return Ok(None);
        };
        if key.is_empty() || key.len() > 200 || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Error::invalid(
                "idempotency_key",
                "An idempotency key has 1 to 200 printable ASCII characters.",
            ));
        }
        let actor = serde_json::to_vec(&actor.reference()).map_err(Error::bug)?;
        let input = serde_json::to_vec(input).map_err(Error::bug)?;
        Ok(Some(Self { id: hex(&[&actor, meta.name.as_bytes(), key.as_bytes()]), input: hex(&[&input]) }))
    }

    /// The answer of the earlier call, if there was one.
    pub async fn recall(&self, app: &Asgard) -> Result<Option<Value>> {
        let Some(found) = app.store().read::<Remembered>(&self.id).await? else { return Ok(None) };
        if found.keep_until <= app.world().now() {
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
    async fn keep(&self, tx: &mut Tx<'_>, reply: Value) -> Result<()> {
        let fresh =
            Remembered { id: self.id.clone(), input: self.input.clone(), reply, keep_until: tx.now().plus(REMEMBER) };
        match tx.read_checked::<Remembered>(&self.id).await? {
            None => tx.insert(&fresh),
            Some(old) if old.keep_until <= tx.now() => tx.replace(&old, &fresh),
            Some(_) => Err(Error::new(Code::Busy, "The same call is being answered; try again.").retry_after(1)),
        }
    }
}

/// Runs an operation: decides until the batch is committed, and remembers the answer of creating calls in the same commit.
pub async fn drive<'x, O: Operation>(
    app: &'x Asgard,
    call: &'x Call,
    operation: &'x O,
    remember: Option<&'x Remember>,
) -> Result<Done<O::Output>> {
    let output = app
        .transact(call, |tx| {
            Box::pin(async move {
                let output = operation.decide(tx).await?;
                if let Some(remember) = remember {
                    remember.keep(tx, O::replay(&output)?).await?;
                }
                Ok(output)
            })
        })
        .await?;
    Ok(Done { output })
}
