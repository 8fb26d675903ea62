//! Envelope encryption: versioned data keys, each wrapped under one or more master keys, kept in the store.
//!
//! A key is readable before it is active, so that every replica has it before anything is sealed under it; then it drains
//! while what it sealed is sealed again; then it is retired and its wraps are wiped. See `docs/adr/0004-keyring.md`.
//!
//! Whatever [`Keyring::seal`] makes and is to be kept belongs in a [`super::SealedVault`], which is what rotation re-encrypts.

mod load;
mod masters;
mod record;
mod ring;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod watch;

pub use masters::MasterKeys;
pub use record::KeyState;
pub(super) use record::{DataKey, Sweep};
pub use start::Started;
pub use status::{Drained, KeyStatus};
pub(super) use watch::{KeyWatch, Seen};

use super::{cipher, commit::commit};
use crate::{
    app::AuditWaiver,
    domain::audit::{AuditAction, AuditEvent},
    error::{Code, Error, Result},
    kernel::{Actor, DataKeyId},
    ports::{
        records::draft,
        store::{Op, Outcome, Store},
        vault::{Mac, TokenSealer, marked_event},
        world::World,
    },
};
use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use ring::Ring;
use std::{
    fmt,
    sync::{Arc, RwLock},
    time::Duration,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The organisation that everything is bound to; constant for now.
pub(crate) const ORG: &str = "default";

/// How often a lost race is tried again.
const TRIES: usize = 8;
/// Clients can send tokens that name any key; the store is asked about unknown ones at most this often.
const TOKEN_PATIENCE: Duration = Duration::from_secs(1);

/// The periods that rotation relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often replicas read the keys. A key becomes active two periods after it was made, and nothing is sealed with a
    /// reading older than two periods.
    pub reload: Duration,
    /// How long a key drains before a pass that finds nothing counts towards retiring it. Longer than two reload periods
    /// plus the longest time between sealing something and committing it.
    pub settle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { reload: Duration::from_secs(60), settle: Duration::from_secs(300) }
    }
}

/// A ciphertext and the key that it is under.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SealedBytes {
    /// The data key.
    pub key: DataKeyId,
    /// Format, nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({} bytes under {})", self.bytes.len(), self.key)
    }
}

/// The data keys of one store, in memory. Share it by `Arc`.
pub struct Keyring {
    store: Arc<dyn Store>,
    masters: MasterKeys,
    world: World,
    timing: Timing,
    ring: RwLock<Arc<Ring>>,
    reloading: tokio::sync::Mutex<()>,
}

/// Names the keys, never shows them.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("masters", &self.masters)
            .field("keys", &self.ring().keys.values())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// The key that new things are sealed under, as far as this replica knows.
    #[cfg(test)]
    pub(crate) fn active(&self) -> DataKeyId {
        self.ring().active.id.clone()
    }

    /// Seals `plaintext`, bound to `context`. Reads the store only when this replica's keys were not read for two periods.
    pub(crate) async fn seal(&self, context: &str, plaintext: &[u8]) -> Result<SealedBytes> {
        let ring = self.fresh().await?;
        let key = &ring.active;
        let bytes = cipher::seal(&key.roots()?.seal, self.world.random(), &key.bound_to("seal", context), plaintext)?;
        Ok(SealedBytes { key: key.id.clone(), bytes })
    }

    /// Opens what [`Keyring::seal`] made for the same `context`.
    pub(crate) async fn unseal(&self, context: &str, sealed: &SealedBytes) -> Result<Zeroizing<Vec<u8>>> {
        let fault = |why: &dyn fmt::Display| {
            Error::bug(format!("a ciphertext under data key {} for `{context}` cannot be opened: {why}", sealed.key))
        };
        let held =
            self.held(&sealed.key, Duration::ZERO).await?.ok_or_else(|| fault(&"the keyring has no such key"))?;
        let roots = held.roots.as_ref().ok_or_else(|| fault(&"the key is retired"))?;
        cipher::open(&roots.seal, &held.bound_to("seal", context), &sealed.bytes).map_err(|broken| fault(&broken))
    }
}

#[async_trait]
impl TokenSealer for Keyring {
    /// A token stops opening when its key is retired. Do not store it: rotation does not know of it.
    fn seal_token(&self, purpose: &str, plaintext: &[u8]) -> Result<String> {
        if plaintext.len() > MAX_TOKEN / 2 {
            return Err(Error::bug(format!("a token for `{purpose}` would hold {} bytes", plaintext.len())));
        }
        let key = Arc::clone(&self.ring().active);
        let sealed =
            cipher::seal(&key.roots()?.token, self.world.random(), &key.bound_to("token", purpose), plaintext)?;
        let mut token = key.id.as_str().as_bytes().to_vec();
        token.extend_from_slice(&sealed);
        Ok(BASE64URL_NOPAD.encode(&token))
    }

    /// Reads the store only when the token names an unknown key, and then at most once a second.
    async fn open_token(&self, purpose: &str, token: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((id, sealed)) = parse_token(token) else { return Ok(None) };
        let held = self.held(&id, TOKEN_PATIENCE).await?;
        Ok(held.and_then(|held| {
            let roots = held.roots.as_ref()?;
            cipher::open(&roots.token, &held.bound_to("token", purpose), &sealed).ok()
        }))
    }

    /// HMAC-SHA-256 under a key of its own for the purpose.
    fn mark(&self, purpose: &str, bytes: &[u8]) -> Result<Mac> {
        let key = Arc::clone(&self.ring().active);
        let root = key.mac.get().ok_or_else(|| Error::bug(format!("active data key {} has no MAC root", key.id)))?;
        Ok(Mac { key: key.id.clone(), tag: tag(root, purpose, bytes) })
    }

    /// Works for keys of any state, a retired one's MAC root being unwrapped on first use. Compares in constant time.
    async fn verify(&self, purpose: &str, bytes: &[u8], mark: &Mac) -> Result<bool> {
        let Some(held) = self.held(&mark.key, Duration::ZERO).await? else { return Ok(false) };
        let expected = match held.mac.get() {
            Some(root) => tag(root, purpose, bytes),
            None => {
                let record = self.record(&mark.key).await?;
                let root = self
                    .masters
                    .unwrap_mac(&record)
                    .await?
                    .ok_or_else(|| load::while_running(self.masters.wrong(&record)))?;
                tag(held.mac.get_or_init(|| root), purpose, bytes)
            }
        };
        Ok(expected.ct_eq(&mark.tag).into())
    }
}

fn tag(root: &[u8; 32], purpose: &str, bytes: &[u8]) -> [u8; 32] {
    let key = cipher::hmac(root, &[b"asgard mac|", ORG.as_bytes(), b"|", purpose.as_bytes()]);
    *cipher::hmac(&key, &[bytes])
}

/// Longer than any cursor, short enough to decode without a thought.
const MAX_TOKEN: usize = 256 * 1024;
const ID_LENGTH: usize = DataKeyId::PREFIX.len() + 1 + 26;

fn parse_token(token: &str) -> Option<(DataKeyId, Vec<u8>)> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let (id, sealed) = bytes.split_at_checked(ID_LENGTH)?;
    Some((std::str::from_utf8(id).ok()?.parse().ok()?, sealed.to_vec()))
}

impl Keyring {
    /// The periods that this keyring goes by.
    pub(super) const fn timing(&self) -> Timing {
        self.timing
    }

    /// Commits a change to the keys and reads them again. Says whether it was committed; if not, somebody was faster.
    pub(super) async fn write(&self, ops: Vec<Op>, waiver: Option<AuditWaiver>) -> Result<bool> {
        let committed = commit(&*self.store, &self.world, ops, waiver).await? == Outcome::Committed;
        self.reload().await?;
        Ok(committed)
    }

    /// The audit event of a change to the keys, for the batch of the change.
    pub(super) fn noted(&self, action: AuditAction, key: &DataKeyId) -> Result<Op> {
        self.noted_with(action, key, &[])
    }

    /// The same with facts for people.
    fn noted_with(&self, action: AuditAction, key: &DataKeyId, details: &[(&str, String)]) -> Result<Op> {
        let details = details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let event = marked_event(self, AuditEvent { details, ..event(&self.world, action, key) })?;
        Ok(Op::Insert(draft(&event)?))
    }
}

fn event(world: &World, action: AuditAction, key: &DataKeyId) -> AuditEvent {
    let actor = Actor::System { name: "keyring" }.reference();
    AuditEvent::new(world.id(), world.now(), actor, action, key.to_string(), world.id())
}

/// Others changed the keys faster than this replica could read them.
fn contended() -> Error {
    Error::new(Code::Busy, "The keyring is being changed by others. Try again in a moment.").retry_after(2)
}
