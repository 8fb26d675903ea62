//! Whether an identity that nobody knows yet becomes part of an account, on the word of its issuer.

use super::{Identity, PendingIdentity, User};
use crate::{
    error::{Code, Error, Result},
    kernel::{Email, EmailDomain, Issuer, IssuerSubject, Role, Timestamp},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long an identity waits for its confirmation.
pub const PENDING_FOR: Duration = Duration::from_secs(3 * 86_400);
/// How many identities may wait for one account at once.
pub const MAX_PENDING: usize = 3;

/// Whose word is taken for whose addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The embedding service is trusted with every address, whichever issuer it names: it is the process itself.
    EveryIssuer,
    /// Each of these issuers is trusted with addresses at its domains. The embedding service is trusted with every address
    /// where it names no other issuer.
    Listed(BTreeMap<Issuer, BTreeSet<EmailDomain>>),
}

impl Trust {
    /// Whether the issuer is believed when it says that this address is somebody's.
    pub fn covers(&self, issuer: &Issuer, email: &Email) -> bool {
        match self {
            Self::EveryIssuer => true,
            Self::Listed(issuers) => {
                let at_home =
                    |domains: &BTreeSet<EmailDomain>| domains.iter().any(|domain| domain.as_str() == email.domain());
                issuer.is_host() || issuers.get(issuer).is_some_and(at_home)
            }
        }
    }

    /// Fails unless the issuer is believed.
    pub fn require(&self, issuer: &Issuer, email: &Email) -> Result<()> {
        if self.covers(issuer, email) {
            return Ok(());
        }
        let message = format!(
            "{issuer} is not trusted with e-mail addresses at {}. The operator can list the domain with the issuer in people.trusted_issuers.",
            email.domain()
        );
        Err(Error::new(Code::Denied, message))
    }
}

/// What becomes of an identity that no account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// It becomes part of the account that has its address.
    Join,
    /// Nobody has its address: it gets an account of its own.
    MakeNew,
    /// It becomes part of the account once an admin or the account itself has said so.
    NeedsConfirmation,
}

/// What becomes of an identity of this issuer, which says that `email` is its person's. `holder` is the account that has that
/// address. An error is a refusal.
pub fn joining(holder: Option<&User>, issuer: &Issuer, email: &Email, trust: &Trust) -> Result<Joining> {
    trust.require(issuer, email)?;
    let Some(holder) = holder else { return Ok(Joining::MakeNew) };
    let refused = |message: &'static str| Err(Error::new(Code::Denied, message));
    if !holder.active {
        return refused("The account with this e-mail address has been switched off; an admin can switch it on again.");
    }
    if holder.former.iter().any(|former| former.email == *email) {
        return refused(
            "This e-mail address was another account's until recently and is not free yet. Try again in a few minutes.",
        );
    }
    if !holder.has(email) {
        return Err(too_alike());
    }
    if holder.identities.iter().any(|identity| identity.issuer == *issuer) {
        // An issuer that knows two people by one address has given it to somebody else.
        return refused(
            "This e-mail address is that of another person whom the same issuer knows. An admin has to settle whose it is.",
        );
    }
    // Whoever takes over an admin's address at their issuer would have everything. What the embedding service itself says
    // needs no confirmation: it could say anything.
    let confirmed = match holder.role {
        Role::Admin => issuer.is_host(),
        Role::Finance | Role::Member => true,
    };
    Ok(if confirmed { Joining::Join } else { Joining::NeedsConfirmation })
}

/// The claim that finds an account holds the beginning of a long address.
pub fn too_alike() -> Error {
    let message = "This e-mail address begins with the same 118 bytes as another account's, and accounts are told apart by those. Use another address.";
    Error::new(Code::Denied, message)
}

/// What somebody is told whose identity waits for its confirmation.
pub fn unconfirmed(holder: &User, issuer: &Issuer) -> Error {
    let message = format!(
        "The account with this e-mail address is an admin's, so signing in to it through {issuer} has to be confirmed within three days: \
         by an admin, or by the account itself, signed in as before, with users.confirm_identity for {}. Then sign in again.",
        holder.id
    );
    Error::new(Code::Denied, message)
}

/// What is kept of an identity that needs a confirmation.
#[derive(Debug)]
pub enum Asked {
    /// It waits already: nothing changes.
    Already,
    /// The account with it among those that wait.
    Kept(Box<User>),
}

impl User {
    /// The identities that wait for a confirmation and have not run out.
    pub fn waiting(&self, now: Timestamp) -> impl Iterator<Item = &PendingIdentity> {
        self.pending.iter().filter(move |pending| pending.since.is_within(PENDING_FOR, now))
    }

    /// The account with an identity that waits for a confirmation. Those that have run out make room; otherwise there are few,
    /// so that nobody fills the record.
    pub fn with_pending(&self, identity: &Identity, email: &Email, now: Timestamp) -> Result<Asked> {
        let same = |pending: &PendingIdentity| pending.is(&identity.issuer, &identity.subject);
        if self.waiting(now).any(|pending| same(pending) && pending.email == *email) {
            return Ok(Asked::Already);
        }
        let mut pending: Vec<PendingIdentity> = self.waiting(now).filter(|pending| !same(pending)).cloned().collect();
        if pending.len() >= MAX_PENDING {
            let message = format!(
                "{MAX_PENDING} identities wait for a confirmation at this account, which is as many as may. An admin or the account itself confirms \
                 one, or they run out after three days."
            );
            return Err(Error::new(Code::Denied, message));
        }
        pending.push(PendingIdentity {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            email: email.clone(),
            since: now,
        });
        Ok(Asked::Kept(Box::new(Self { pending, ..self.clone() })))
    }

    /// The account with an identity that was confirmed. Fails when none of that name waits, or when it could not join any more.
    pub fn confirmed(&self, issuer: &Issuer, subject: &IssuerSubject, trust: &Trust, now: Timestamp) -> Result<Self> {
        let Some(found) = self.waiting(now).find(|pending| pending.is(issuer, subject)) else {
            let message = "No identity of that issuer and subject waits for a confirmation at this account; pending_identities of the account shows those that do.";
            return Err(Error::new(Code::NotFound, message).at("subject"));
        };
        match joining(Some(self), issuer, &found.email, trust)? {
            Joining::Join | Joining::NeedsConfirmation | Joining::MakeNew => {}
        }
        let (issuer, subject) = (issuer.clone(), subject.clone());
        Ok(self.with_identity(Identity { issuer, subject, email: Some(found.email.clone()), verified: true }))
    }

    /// The account with another identity, which does not wait any more.
    pub fn with_identity(&self, identity: Identity) -> Self {
        let mut next = self.clone();
        next.pending.retain(|pending| !pending.is(&identity.issuer, &identity.subject));
        next.identities.push(identity);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::user, *};

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    fn issuer(text: &str) -> Issuer {
        text.parse().unwrap()
    }

    /// `https://sso.example` is trusted with `corp.example`.
    fn listed() -> Trust {
        Trust::Listed([(issuer("https://sso.example"), ["corp.example".parse().unwrap()].into())].into())
    }

    fn pending_of(subject: &str) -> Identity {
        let (issuer, subject) = (issuer("https://sso.example"), subject.parse().unwrap());
        Identity { issuer, subject, email: Some(email("ann@corp.example")), verified: true }
    }

    #[test]
    fn an_issuer_is_believed_about_its_own_domains() {
        let trust = listed();
        let table = [
            ("https://sso.example", "ann@corp.example", true),
            ("https://sso.example", "ann@CORP.example", true),
            ("https://sso.example", "ann@sub.corp.example", false),
            ("https://sso.example", "ann@evilcorp.example", false),
            ("https://sso.example", "ann@other.example", false),
            ("https://sso.example/", "ann@corp.example", false),
            ("https://other.example", "ann@corp.example", false),
            ("host", "ann@other.example", true),
        ];
        for (from, address, expected) in table {
            assert_eq!(trust.covers(&issuer(from), &email(address)), expected, "{from} {address}");
            assert!(Trust::EveryIssuer.covers(&issuer(from), &email(address)));
        }
        let nobody = Trust::Listed(BTreeMap::new());
        assert!(nobody.covers(&Issuer::host(), &email("a@b.example")));
        assert!(!nobody.covers(&issuer("https://sso.example"), &email("a@corp.example")));
    }

    #[test]
    fn an_identity_joins_makes_an_account_waits_or_is_refused() {
        let member = user();
        let admin = User { role: Role::Admin, ..user() };
        let off = User { active: false, ..user() };
        let finance = User { role: Role::Finance, ..user() };
        let left = member.moved(
            &issuer("https://idp.example"),
            &"00u1".parse().unwrap(),
            &email("new@corp.example"),
            user().created_at,
        );
        let (sso, idp, host) = ("https://sso.example", "https://idp.example", "host");
        let table = [
            (None, sso, "ann@corp.example", Some(Joining::MakeNew)),
            (None, sso, "ann@other.example", None),
            (None, host, "ann@other.example", Some(Joining::MakeNew)),
            (Some(&member), sso, "ann@corp.example", Some(Joining::Join)),
            (Some(&finance), sso, "ann@corp.example", Some(Joining::Join)),
            (Some(&member), host, "ann@corp.example", Some(Joining::Join)),
            (Some(&member), idp, "ann@corp.example", None),
            (Some(&member), "https://other.example", "ann@corp.example", None),
            (Some(&admin), sso, "ann@corp.example", Some(Joining::NeedsConfirmation)),
            (Some(&admin), host, "ann@corp.example", Some(Joining::Join)),
            (Some(&admin), "https://other.example", "ann@corp.example", None),
            (Some(&off), host, "ann@corp.example", None),
            (Some(&left), sso, "ann@corp.example", None),
            (Some(&member), sso, "bob@corp.example", None),
        ];
        for (row, (holder, from, address, expected)) in table.into_iter().enumerate() {
            let answer = joining(holder, &issuer(from), &email(address), &listed());
            assert!(answer.as_ref().err().is_none_or(|error| error.code() == Code::Denied), "row {row}");
            assert_eq!(answer.ok(), expected, "row {row}");
        }
        // The same issuer knows another person by the address, whoever is trusted.
        let known = joining(Some(&member), &issuer(idp), &email("ann@corp.example"), &Trust::EveryIssuer);
        assert!(known.unwrap_err().message().contains("same issuer"));
    }

    #[test]
    fn few_identities_wait_and_each_runs_out() {
        let at = |hours: u64| Timestamp::from_millis(0).plus(Duration::from_secs(3600 * hours));
        let address = email("ann@corp.example");
        let mut admin = User { role: Role::Admin, ..user() };
        for n in 0..MAX_PENDING {
            let Asked::Kept(next) = admin.with_pending(&pending_of(&format!("s{n}")), &address, at(0)).unwrap() else {
                panic!("it is new")
            };
            admin = *next;
        }
        assert!(matches!(admin.with_pending(&pending_of("s0"), &address, at(1)), Ok(Asked::Already)));
        assert_eq!(admin.with_pending(&pending_of("more"), &address, at(1)).unwrap_err().code(), Code::Denied);
        let (from, subject) = (issuer("https://sso.example"), "s1".parse().unwrap());
        assert_eq!(admin.confirmed(&from, &subject, &listed(), at(72)).unwrap_err().code(), Code::NotFound, "too late");
        let Ok(Asked::Kept(later)) = admin.with_pending(&pending_of("more"), &address, at(72)) else { panic!("room") };
        assert_eq!(later.pending.len(), 1, "what has run out is gone");

        let untrusted = Trust::Listed(BTreeMap::new());
        assert_eq!(admin.confirmed(&from, &subject, &untrusted, at(1)).unwrap_err().code(), Code::Denied);
        let confirmed = admin.confirmed(&from, &subject, &listed(), at(1)).unwrap();
        assert!(confirmed.identity(&from, &subject).is_some_and(|identity| identity.verified));
        assert_eq!(confirmed.pending.len(), MAX_PENDING - 1);
        let second = confirmed.confirmed(&from, &"s0".parse().unwrap(), &listed(), at(1));
        assert_eq!(second.unwrap_err().code(), Code::Denied, "one issuer knows one person by an address");
    }
}
