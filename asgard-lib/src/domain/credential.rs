//! Credentials: how they look, what is kept of them, and when they are good.

use crate::{
    error::{Code, Error, Result},
    kernel::{DisplayName, KeyId, Party, ProjectId, SecretText, SessionId, Timestamp, TokenId, UserId, principal},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

mod format;

pub use format::{Shape, mint, parse};

/// SHA-256 of a credential: all that is kept of it.
pub type Fingerprint = [u8; 32];

/// The fingerprint of a presented credential.
pub fn fingerprint(credential: &str) -> Fingerprint {
    Sha256::digest(credential.as_bytes()).into()
}

/// A fingerprint as records keep it.
pub fn fingerprint_text(print: &Fingerprint) -> String {
    data_encoding::HEXLOWER.encode(print)
}

fn same(kept: &str, presented: &Fingerprint) -> bool {
    kept.as_bytes().ct_eq(fingerprint_text(presented).as_bytes()).into()
}

/// The last four characters, which is what lists show.
pub fn suffix(credential: &SecretText) -> String {
    let text = credential.reveal();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

/// Why a credential that exists is not good any more. The caller is told as much: whoever holds it had it once.
fn refused(what: &str, why: &str) -> Error {
    Error::new(Code::BadCredential, format!("This {what} {why}."))
}

/// A project's key. Its id follows from its fingerprint, so presenting it finds it with one read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectKey {
    /// Its id.
    pub id: KeyId,
    /// The project it acts on.
    pub project: ProjectId,
    /// What it is for.
    pub name: DisplayName,
    /// SHA-256 of the key, in hex.
    pub hash: String,
    /// Its last four characters.
    pub suffix: String,
    /// Who answers for it.
    #[serde(flatten, with = "principal::minted_by")]
    pub minted_by: Party,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl ProjectKey {
    /// Whether the presented key is this one and still good.
    pub fn check(&self, presented: &Fingerprint, now: Timestamp) -> Result<()> {
        if !same(&self.hash, presented) {
            return Err(unknown());
        }
        self.still_good(now)
    }

    /// Whether it works still.
    pub fn still_good(&self, now: Timestamp) -> Result<()> {
        if self.revoked_at.is_some() {
            return Err(refused("project key", "has been revoked; ask the project's owner for a new one"));
        }
        if self.valid_until.is_some_and(|until| now >= until) {
            return Err(refused("project key", "has expired; ask the project's owner for a new one"));
        }
        Ok(())
    }
}

/// A person's token (PAT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserToken {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// What it is for.
    pub name: DisplayName,
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// Its last four characters.
    pub suffix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub valid_until: Timestamp,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl UserToken {
    /// Whether the presented token is this one and still good.
    pub fn check(&self, presented: &Fingerprint, now: Timestamp) -> Result<()> {
        if !same(&self.hash, presented) {
            return Err(unknown());
        }
        self.still_good(now)
    }

    /// Whether it works still.
    pub fn still_good(&self, now: Timestamp) -> Result<()> {
        if self.revoked_at.is_some() {
            return Err(refused("user token", "has been revoked"));
        }
        if now >= self.valid_until {
            return Err(refused("user token", "has expired; make a new one"));
        }
        Ok(())
    }
}

/// A signed-in session. Sliding is a note on the record, not a write of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of its token, in hex.
    pub hash: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends whatever happens.
    pub valid_until: Timestamp,
    /// How long it lasts unused, in seconds.
    pub idle_secs: u64,
    /// Where it came from, for the person's own list.
    pub source: String,
    /// The browser or client, shortened.
    pub agent: String,
    /// When it was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// How often use is noted at most.
pub const NOTE_EVERY: Duration = Duration::from_secs(300);

impl Session {
    /// Whether the presented token is this session's and the session is still good. `noted_at` is when it was last used.
    pub fn check(&self, presented: &Fingerprint, noted_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
        if !same(&self.hash, presented) {
            return Err(unknown());
        }
        self.still_good(noted_at, now)
    }

    /// Whether the session is still good. `noted_at` is when it was last used.
    pub fn still_good(&self, noted_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
        let used = noted_at.unwrap_or(self.created_at).max(self.created_at);
        // Use is noted at most every five minutes, so the idle limit forgives that much.
        let idle_until = used.plus(Duration::from_secs(self.idle_secs)).plus(NOTE_EVERY);
        if self.revoked_at.is_some() || now >= self.valid_until || now >= idle_until {
            return Err(refused("session", "is over; sign in again"));
        }
        Ok(())
    }
}

/// The answer to a credential that nobody knows.
pub fn unknown() -> Error {
    Error::new(
        Code::BadCredential,
        "The credential is not known. Check that it was copied whole and is meant for this Asgard.",
    )
}
