//! What the application needs of encryption: sealed bytes that are kept, tokens that travel, and marks that prove.

use super::store::Draft;
use crate::{
    domain::audit::{AuditEvent, body_of, event_bytes},
    error::{Error, Result},
    kernel::DataKeyId,
};
use async_trait::async_trait;
use zeroize::Zeroizing;

/// Encrypted bytes of any size, kept under an id and bound to a context.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Encrypts `plaintext` and returns the record to write; large bytes are in the blob store by then, and are collected
    /// if the record never is.
    async fn prepare(&self, id: &str, context: &str, plaintext: &[u8]) -> Result<Draft>;

    /// The bytes under `id`, if they are there.
    async fn read(&self, id: &str, context: &str) -> Result<Option<Zeroizing<Vec<u8>>>>;

    /// Forgets what is under `id`; forgetting what is not there is fine.
    async fn forget(&self, id: &str) -> Result<()>;
}

/// A message authentication code and the data key it was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac {
    /// The data key.
    pub key: DataKeyId,
    /// HMAC-SHA-256.
    pub tag: [u8; 32],
}

/// Tokens that clients carry but cannot read, and marks that nobody else can make.
#[async_trait]
pub trait TokenSealer: Send + Sync + 'static {
    /// Text that only [`TokenSealer::open_token`] with the same purpose can read.
    fn seal_token(&self, purpose: &str, plaintext: &[u8]) -> Result<String>;

    /// What was sealed; `None` for a text that was not sealed here for this purpose.
    async fn open_token(&self, purpose: &str, token: &str) -> Result<Option<Zeroizing<Vec<u8>>>>;

    /// Marks `bytes` for a purpose.
    fn mark(&self, purpose: &str, bytes: &[u8]) -> Result<Mac>;

    /// Whether a mark is genuine.
    async fn verify(&self, purpose: &str, bytes: &[u8], mark: &Mac) -> Result<bool>;
}

/// A mark over bytes that name the data key that it is made with, which is known only once one was made; if the key changes in
/// between, the mark is made again.
pub fn mark_naming_its_key(
    sealer: &dyn TokenSealer,
    purpose: &str,
    mut bytes: impl FnMut(&DataKeyId) -> Result<Vec<u8>>,
) -> Result<Mac> {
    let mut key = sealer.mark(purpose, &[])?.key;
    for _ in 0..3 {
        let mark = sealer.mark(purpose, &bytes(&key)?)?;
        if mark.key == key {
            return Ok(mark);
        }
        key = mark.key;
    }
    Err(Error::bug("the audit key changes too fast to mark with"))
}

/// The event with its mark, as it is committed.
pub fn marked_event(sealer: &dyn TokenSealer, event: AuditEvent) -> Result<AuditEvent> {
    let named = |key: &DataKeyId| event.clone().marked(key, |_| Ok([0; 32]));
    let mark = mark_naming_its_key(sealer, AuditEvent::PURPOSE, |key| Ok(event_bytes(&body_of(&named(key)?)?)))?;
    event.marked(&mark.key, |_| Ok(mark.tag))
}
