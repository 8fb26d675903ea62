//! Credentials: how they look, what is kept of them, and when they are good.

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Actor, DisplayName, Generation, KeyId, Party, ProjectId, SecretText, SessionId, SignIn, Timestamp, TokenId,
        UserId, principal,
    },
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

/// The kinds of credential. What ends each of them is a column of the table in `http/tests/endings.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A session of ours.
    Session,
    /// A person's token (PAT).
    UserToken,
    /// A project's key.
    ProjectKey,
    /// The word of the service around Asgard, which signed the person in.
    Host,
    /// An agent's, which whoever embeds Asgard knows.
    Agent,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Session, Self::UserToken, Self::ProjectKey, Self::Host, Self::Agent];

    /// The kind with which somebody acts; none for Asgard itself, and where no credential was asked for.
    pub const fn of(actor: &Actor) -> Option<Self> {
        match actor {
            Actor::Human { sign_in: SignIn::Session(_), .. } => Some(Self::Session),
            Actor::Human { sign_in: SignIn::Host, .. } => Some(Self::Host),
            Actor::Human { sign_in: SignIn::DevInsecure | SignIn::Earlier, .. } | Actor::System { .. } => None,
            Actor::UserToken { .. } => Some(Self::UserToken),
            Actor::ProjectKey { .. } => Some(Self::ProjectKey),
            Actor::Agent { .. } => Some(Self::Agent),
        }
    }
}

/// Why a credential that exists is not good any more. The caller is told as much: whoever holds it had it once.
fn refused(what: &str, why: &str) -> Error {
    Error::new(Code::BadCredential, format!("This {what} {why}."))
}

/// Why a credential that ends by itself is not good when it seems to be made in the future: it would last for that much longer.
fn made_ahead(what: &str, instead: &str) -> Error {
    let message = format!(
        "This {what} was made on a clock that is far ahead of this server's, so nobody can say when it ends. Once the servers' clocks \
         agree, {instead}."
    );
    Error::new(Code::BadCredential, message)
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
    /// Why the project's owner and manager should look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<KeyFlag>,
    /// Present only while it is flagged and not revoked: the list of keys to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
    /// Those who answered for it before somebody adopted it, and hold it still as far as anybody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Party>,
    /// What it revealed while it was flagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveals: Option<KeyReveals>,
}

/// What a flagged key revealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeyReveals {
    /// The number of times that a secret was revealed through the key.
    pub count: u64,
    /// The name of the secret that was revealed last.
    pub last_name: String,
    /// The time of the last reveal.
    pub last_at: Timestamp,
}

/// The partition of the keys that an owner and a manager should look at.
pub const FLAGGED: &str = "flagged";

/// How many former holders of a key are kept; a key that had more is not adopted but replaced.
const MAX_HOLDERS: usize = 16;

/// Why the owner and the manager of a key's project should look at it. Either of them ends that by adopting or revoking the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum KeyFlag {
    /// An admin minted it who neither owns nor manages the project: who holds it may reveal what the admin may not.
    MintedByAdmin,
    /// Whoever answers for it may not mint keys of the project any more.
    Unattended {
        /// When that was found.
        since: Timestamp,
    },
}

impl KeyFlag {
    /// When the key stops unless somebody adopts it.
    pub fn stops_at(&self, grace: Duration) -> Option<Timestamp> {
        match self {
            Self::MintedByAdmin => None,
            Self::Unattended { since } => Some(since.plus(grace)),
        }
    }
}

impl ProjectKey {
    /// Whether the presented key is this one and still good. `grace` is how long a key works that nobody answers for.
    pub fn check(&self, presented: &Fingerprint, now: Timestamp, grace: Duration) -> Result<()> {
        if !same(&self.hash, presented) {
            return Err(unknown());
        }
        self.still_good(now, grace)
    }

    /// Whether it works still.
    pub fn still_good(&self, now: Timestamp, grace: Duration) -> Result<()> {
        if self.revoked_at.is_some() {
            return Err(refused("project key", "has been revoked; ask the project's owner for a new one"));
        }
        if self.valid_until.is_some() && self.created_at.is_far_ahead_of(now) {
            return Err(made_ahead("project key", "ask the project's owner for a new one"));
        }
        if self.valid_until.is_some_and(|until| now >= until) {
            return Err(refused("project key", "has expired; ask the project's owner for a new one"));
        }
        if self.stopped(now, grace) {
            return Err(refused(
                "project key",
                "has stopped: whoever minted it may not any more, and neither the project's owner nor its manager adopted it in \
                 time; ask either for a new one",
            ));
        }
        Ok(())
    }

    /// Whether nobody adopted it in time.
    pub fn stopped(&self, now: Timestamp, grace: Duration) -> bool {
        self.flag.as_ref().and_then(|flag| flag.stops_at(grace)).is_some_and(|until| now >= until)
    }

    /// The key with this flag, or without one.
    #[must_use]
    pub fn flagged(&self, flag: Option<KeyFlag>) -> Self {
        let inbox = flag.as_ref().filter(|_| self.revoked_at.is_none()).map(|_| FLAGGED.to_owned());
        Self { flag, inbox, ..self.clone() }
    }

    /// Everybody who may hold it: who answers for it, and who did before.
    pub fn holders(&self) -> impl Iterator<Item = &Party> {
        std::iter::once(&self.minted_by).chain(&self.held_by)
    }

    /// Whether it changes hands too often for everybody to be kept who may hold it.
    pub fn has_many_holders(&self) -> bool {
        self.held_by.len() >= MAX_HOLDERS
    }

    /// The key with `by` to answer for it. Who did before still may not approve what it asks for.
    #[must_use]
    pub fn adopted(&self, by: Party) -> Self {
        let mut held_by: Vec<Party> = self.holders().cloned().collect();
        held_by.dedup_by(|one, two| one.same(two));
        Self { minted_by: by, held_by, ..self.flagged(None) }
    }

    /// The key after it revealed a secret while it was flagged.
    #[must_use]
    pub fn revealed(&self, name: &str, now: Timestamp) -> Self {
        let count = self.reveals.as_ref().map_or(0, |reveals| reveals.count).saturating_add(1);
        let reveals = Some(KeyReveals { count, last_name: name.to_owned(), last_at: now });
        Self { reveals, ..self.clone() }
    }

    /// The key, revoked.
    #[must_use]
    pub fn revoked(&self, now: Timestamp) -> Self {
        Self { revoked_at: Some(now), inbox: None, ..self.clone() }
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
    /// The generation of the account's credentials that it is of.
    #[serde(default, skip_serializing_if = "Generation::is_first")]
    pub generation: Generation,
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
        if self.created_at.is_far_ahead_of(now) {
            return Err(made_ahead("user token", "make a new one"));
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
    /// The generation of the account's credentials that it is of; absent in a session of version 0.1.0, which is of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
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
        if self.created_at.is_far_ahead_of(now) {
            return Err(made_ahead("session", "sign in again"));
        }
        // A note from far ahead says nothing of when the session was used.
        let noted = noted_at.filter(|noted| !noted.is_far_ahead_of(now));
        let used = noted.unwrap_or(self.created_at).max(self.created_at);
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
