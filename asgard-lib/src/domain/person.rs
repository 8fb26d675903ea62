//! People with accounts: who says that they are who they are, and which addresses are theirs.

use super::credential::Session;
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Email, Generation, Issuer, IssuerSubject, JobId, Party, Person, Role, SecretText, Timestamp, UserId, Username,
        VerifiedEmail,
    },
};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

mod joining;
pub use joining::{Asked, Joining, MAX_PENDING, PENDING_FOR, Trust, joining, too_alike, unconfirmed};

/// One way in which a person is known: an issuer, and what it knows them by. The pair is the key, never the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who vouches for the person: `local` for a password of ours.
    pub issuer: Issuer,
    /// What the issuer knows them by; for `local` it is the username.
    pub subject: IssuerSubject,
    /// The address that the issuer last gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Whether that address is known to be theirs. Only then does it give authority.
    #[serde(default)]
    pub verified: bool,
}

impl Identity {
    /// The claim that makes an identity unique and finds its account. That of a local identity is the username's.
    pub fn claim(issuer: &Issuer, subject: &IssuerSubject) -> String {
        if issuer.is_local() {
            return format!("username/{subject}");
        }
        let mut hash = Sha256::new();
        for part in [issuer.as_str(), subject.as_str()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        format!("identity/{}", HEXLOWER.encode(&hash.finalize()))
    }

    /// The address, if it is known to be theirs.
    pub fn verified_email(&self) -> Option<VerifiedEmail> {
        self.email.clone().filter(|_| self.verified).map(VerifiedEmail::attested)
    }
}

/// An address that is not the account's any more and stays bound to it until nothing names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerAddress {
    /// The address.
    pub email: Email,
    /// When it was left.
    pub since: Timestamp,
}

/// An identity that waits until an admin or the account itself says that it is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingIdentity {
    /// Who vouches for the person.
    pub issuer: Issuer,
    /// What the issuer knows them by.
    pub subject: IssuerSubject,
    /// The address that the issuer gave, which is the account's.
    pub email: Email,
    /// When it was first used.
    pub since: Timestamp,
}

impl PendingIdentity {
    /// Whether it is the identity of this issuer and subject.
    fn is(&self, issuer: &Issuer, subject: &IssuerSubject) -> bool {
        self.issuer == *issuer && self.subject == *subject
    }
}

/// A person who can sign in.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name in lists; what those with a local identity sign in with.
    pub username: Username,
    /// The address that is shown.
    pub email: Email,
    /// How they are known, in the order in which that came to be.
    pub identities: Vec<Identity>,
    /// Addresses that were theirs and that records may still name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerAddress>,
    /// Identities that wait for a confirmation, a few at most; those that have run out may still be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingIdentity>,
    /// The job that has records which name one of their addresses name the account; gone once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<JobId>,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub active: bool,
    /// Argon2id, as a PHC string; nobody signs in with a password where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The account of whoever else set that password: the admin who made this account. Gone once its own person has set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_set_by: Option<UserId>,
    /// The generation that a credential has to be of.
    #[serde(default, skip_serializing_if = "Generation::is_first")]
    pub generation: Generation,
    /// Sessions that name no generation, as versions up to 0.1.0 made them, are over when they began before this moment.
    pub credentials_from: Timestamp,
    /// Until when guesses do not lock the account, because its password was set on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocked_until: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When its person first signed in with the password. Versions before kept no such moment; it is noted at the next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
}

/// How long after its password was set on the machine guesses do not lock an account.
const UNLOCKED_FOR: Duration = Duration::from_secs(900);

/// Leaves the password hash out.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl User {
    /// The claim that makes a username unique and finds its account.
    pub fn username_claim(username: &Username) -> String {
        format!("username/{username}")
    }

    /// The claim that makes a verified e-mail address unique and finds its account.
    pub fn email_claim(email: &Email) -> String {
        // Addresses may hold any letter; a claim's name is printable ASCII.
        format!("email/{}", BASE32_NOPAD.encode(email.as_str().as_bytes()).chars().take(190).collect::<String>())
    }

    /// The counter of active admins, which may not fall to zero.
    pub const ACTIVE_ADMINS: &'static str = "people/active-admins";

    /// Whether the account counts towards [`Self::ACTIVE_ADMINS`].
    pub fn is_active_admin(&self) -> bool {
        self.active && self.role == Role::Admin
    }

    /// The addresses that are verified as theirs, each once, with those that are being left: nobody else can have them yet.
    pub fn addresses(&self) -> Vec<VerifiedEmail> {
        let present = self.identities.iter().filter_map(Identity::verified_email);
        let former = self.former.iter().map(|former| VerifiedEmail::attested(former.email.clone()));
        let mut addresses: Vec<VerifiedEmail> = present.chain(former).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Whether a person has shown that the account is theirs: signed in with its password, or come from an issuer beside `local`, whose
    /// identity joins the account only then.
    pub fn has_signed_in(&self) -> bool {
        self.signed_in_at.is_some() || self.identities.iter().any(|identity| !identity.issuer.is_local())
    }

    /// Whether the address is verified as theirs.
    pub fn has(&self, email: &Email) -> bool {
        self.addresses().iter().any(|address| address.email() == email)
    }

    /// The person as actors carry them.
    pub fn person(&self) -> Person {
        Person::new(self.id.clone(), self.email.clone(), self.addresses()).of_generation(self.generation)
    }

    /// Fails unless a credential of this generation opens the account. This is the one place that says when a person's credential
    /// is over with its account, whatever kind of credential it is.
    pub fn admits(&self, generation: Generation) -> Result<()> {
        if !self.active {
            let message = "This account has been switched off; an admin can switch it on again.";
            return Err(Error::new(Code::BadCredential, message));
        }
        if generation == self.generation { Ok(()) } else { Err(ended()) }
    }

    /// Fails unless this session opens the account. What version 0.1.0 ended by comparing times stays ended.
    pub fn admits_session(&self, session: &Session) -> Result<()> {
        self.admits(session.generation.unwrap_or_default())?;
        let over = session.generation.is_none() && session.created_at < self.credentials_from;
        if over { Err(ended()) } else { Ok(()) }
    }

    /// The account whose every credential is over: sessions, user tokens, and whatever else records a generation.
    #[must_use]
    pub fn signed_out(&self, now: Timestamp) -> Self {
        Self { generation: self.generation.next(), credentials_from: now, ..self.clone() }
    }

    /// The person as records name them.
    pub fn party(&self) -> Party {
        Party::User { id: self.id.clone(), email: self.email.clone() }
    }

    /// The identity of this issuer and subject.
    pub fn identity(&self, issuer: &Issuer, subject: &IssuerSubject) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.issuer == *issuer && identity.subject == *subject)
    }

    /// The account after an issuer gave another verified address for one of its identities. The address before stays bound
    /// to the account, so that whatever still names it moves to nobody else.
    pub fn moved(&self, issuer: &Issuer, subject: &IssuerSubject, email: &Email, now: Timestamp) -> Self {
        let mut next = self.clone();
        let Some(identity) =
            next.identities.iter_mut().find(|identity| identity.issuer == *issuer && identity.subject == *subject)
        else {
            return next;
        };
        let left = identity.email.replace(email.clone());
        identity.verified = true;
        if left.as_ref().is_none_or(|left| *left == next.email) {
            next.email = email.clone();
        }
        next.former.retain(|former| former.email != *email);
        let present = |address: &Email| next.identities.iter().any(|other| other.email.as_ref() == Some(address));
        if let Some(left) = left.filter(|left| !present(left) && self.has(left)) {
            next.former.push(FormerAddress { email: left, since: now });
        }
        next
    }

    /// The account with this hash of a password: it can sign in here, and every credential from before is over.
    pub fn with_password(&self, hash: String, now: Timestamp) -> Self {
        let mut next = Self { password: Some(hash), password_set_by: None, ..self.signed_out(now) };
        let (issuer, subject) = (Issuer::local(), IssuerSubject::from(&self.username));
        if next.identity(&issuer, &subject).is_none() {
            // Its claim is the username's, which the account has.
            next.identities.push(Identity { issuer, subject, email: None, verified: false });
        }
        next
    }

    /// The account, which guesses do not lock for a while.
    #[must_use]
    pub fn unlocked(&self, now: Timestamp) -> Self {
        Self { unlocked_until: Some(now.plus(UNLOCKED_FOR)), ..self.clone() }
    }

    /// Whether guesses do not lock the account now. A moment that a wrong clock put far ahead counts for nothing.
    pub fn is_unlocked(&self, now: Timestamp) -> bool {
        self.unlocked_until.is_some_and(|until| now < until && until.since(now) <= UNLOCKED_FOR)
    }

    /// How this account names itself where a record names one of its addresses: by its id, and the address that is shown.
    /// `None` when the record says so already, or names somebody else.
    pub fn bound(&self, party: &Party) -> Option<Party> {
        let own = match party {
            Party::Address(email) => self.has(email),
            Party::User { id, .. } => *id == self.id,
        };
        Some(self.party()).filter(|bound| own && bound != party)
    }
}

/// What a credential of an earlier generation is told.
fn ended() -> Error {
    Error::new(
        Code::BadCredential,
        "This credential ended when the account's password was set, when the account was switched off, or when it was signed out \
         everywhere. Sign in again, and make new tokens.",
    )
}

/// What a new password must be: 12 to 200 characters, and not the account's own name.
pub fn check_password(password: &SecretText, username: &Username) -> Result<()> {
    let length = password.reveal().chars().count();
    if !(12..=200).contains(&length) {
        return Err(Error::invalid("password", "A password has 12 to 200 characters."));
    }
    if password.reveal().to_lowercase() == username.as_str() {
        return Err(Error::invalid("password", "A password must not be the username."));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
