//! People as authority compares them: by account, never by the address that is shown. An address counts where a record
//! still holds nothing else, and only if it is verified.

use super::{Email, Generation, UserId};
use serde::{Deserialize, Serialize};

/// An address whose holder is known: somebody entitled to it has said so. Only such an address gives authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifiedEmail(Email);

impl VerifiedEmail {
    /// Takes the word of whoever may give it: an admin who made the account, or the service that signed the person in.
    pub fn attested(email: Email) -> Self {
        Self(email)
    }

    /// The address.
    pub fn email(&self) -> &Email {
        &self.0
    }
}

/// A person who acts: their account, the address that is shown, and the addresses that are theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    user: UserId,
    email: Email,
    verified: Vec<VerifiedEmail>,
    generation: Generation,
}

impl Person {
    /// The person of this account.
    pub fn new(user: UserId, email: Email, verified: Vec<VerifiedEmail>) -> Self {
        Self { user, email, verified, generation: Generation::FIRST }
    }

    /// The person of this account whose one address is verified.
    pub fn verified(user: UserId, email: Email) -> Self {
        let verified = vec![VerifiedEmail::attested(email.clone())];
        Self::new(user, email, verified)
    }

    /// The same, known by a credential of this generation of the account's.
    #[must_use]
    pub fn of_generation(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// The generation of the account's credentials under which the person is known.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The account.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The address that is shown.
    pub fn email(&self) -> &Email {
        &self.email
    }

    /// The addresses that are theirs.
    pub fn addresses(&self) -> &[VerifiedEmail] {
        &self.verified
    }

    /// Whether this address is verified as theirs.
    pub fn has(&self, email: &Email) -> bool {
        self.verified.iter().any(|verified| verified.email() == email)
    }

    /// The person as records name them.
    pub fn party(&self) -> Party {
        Party::User { id: self.user.clone(), email: self.email.clone() }
    }
}

/// Whom a record names: the owner or manager of a project, or who minted a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Named", into = "Named")]
pub enum Party {
    /// Whoever has this address verified; nobody with it had an account when the record was written.
    Address(Email),
    /// This account.
    User {
        /// The account; it alone gives authority.
        id: UserId,
        /// The address that is shown.
        email: Email,
    },
}

/// A party in a list of a record's.
#[derive(Serialize, Deserialize)]
struct Named {
    email: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
}

impl From<Named> for Party {
    fn from(Named { email, user }: Named) -> Self {
        Self::of(user, email)
    }
}

impl From<Party> for Named {
    fn from(party: Party) -> Self {
        Self { email: party.email().clone(), user: party.user().cloned() }
    }
}

impl Party {
    /// The party of a record's two fields.
    pub fn of(user: Option<UserId>, email: Email) -> Self {
        match user {
            Some(id) => Self::User { id, email },
            None => Self::Address(email),
        }
    }

    /// The address that is shown.
    pub fn email(&self) -> &Email {
        match self {
            Self::Address(email) | Self::User { email, .. } => email,
        }
    }

    /// The account, once it is known.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Address(_) => None,
            Self::User { id, .. } => Some(id),
        }
    }

    /// Whether this is the person, as authority asks: the same account, or a verified address where no account is named.
    pub fn is(&self, person: &Person) -> bool {
        match self {
            Self::Address(email) => person.has(email),
            Self::User { id, .. } => id == person.user(),
        }
    }

    /// Whether this may be the person, as separation of duties asks: the same account, or an address that both have. One
    /// human with two accounts stays one.
    pub fn may_be(&self, person: &Person) -> bool {
        self.user() == Some(person.user()) || person.has(self.email())
    }

    /// Whether both name one person, as far as can be told.
    pub fn same(&self, other: &Self) -> bool {
        let accounts = self.user().zip(other.user()).is_some_and(|(one, two)| one == two);
        accounts || self.email() == other.email()
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.email().fmt(f)
    }
}

/// How a party lies in a record: the address under the name that indexes and views read, and the account beside it.
macro_rules! party_fields {
    ($($(#[$doc:meta])* $module:ident: $email:literal, $user:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) mod $module {
            use super::{Deserialize, Email, Party, Serialize, UserId};

            #[derive(Serialize)]
            struct Written<'a> {
                #[serde(rename = $email)]
                email: &'a Email,
                #[serde(rename = $user, skip_serializing_if = "Option::is_none")]
                user: Option<&'a UserId>,
            }

            #[derive(Deserialize)]
            struct Read {
                #[serde(rename = $email)]
                email: Email,
                #[serde(rename = $user, default)]
                user: Option<UserId>,
            }

            pub(crate) fn serialize<S: serde::Serializer>(party: &Party, to: S) -> Result<S::Ok, S::Error> {
                Written { email: party.email(), user: party.user() }.serialize(to)
            }

            pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Party, D::Error> {
                Read::deserialize(from).map(|read| Party::of(read.user, read.email))
            }
        }
    )*};
}

party_fields! {
    /// The owner of a project.
    owner: "owner", "owner_user";
    /// The manager of a project.
    manager: "manager", "manager_user";
    /// Who minted a key.
    minted_by: "minted_by", "minted_by_user";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Timestamp, id::TimeOrdered};

    fn user(n: u8) -> UserId {
        UserId::build(Timestamp::from_millis(0), [n; 10])
    }

    fn email(name: &str) -> Email {
        format!("{name}@corp.example").parse().unwrap()
    }

    #[test]
    fn an_account_outweighs_the_address_and_an_address_counts_only_if_it_is_verified() {
        let ann = Person::verified(user(1), email("ann"));
        let other_with_anns_address = Person::verified(user(2), email("ann"));
        let unverified = Person::new(user(3), email("ann"), Vec::new());
        let bound = Party::User { id: user(1), email: email("ann") };
        let open = Party::Address(email("ann"));
        assert!(bound.is(&ann) && open.is(&ann));
        assert!(!bound.is(&other_with_anns_address), "an address that moved takes no authority with it");
        assert!(open.is(&other_with_anns_address) && !open.is(&unverified) && !bound.is(&unverified));
        // Duties are stricter than authority is generous: whoever may be the same human is barred.
        assert!(bound.may_be(&ann) && bound.may_be(&other_with_anns_address) && !bound.may_be(&unverified));
        let moved = Party::User { id: user(1), email: email("ann.new") };
        assert!(moved.is(&ann) && moved.may_be(&ann) && !moved.may_be(&other_with_anns_address));
    }

    #[test]
    fn two_parties_are_one_by_account_or_by_address() {
        let ann = Party::User { id: user(1), email: email("ann") };
        assert!(ann.same(&Party::User { id: user(1), email: email("ann.new") }));
        assert!(ann.same(&Party::Address(email("ann"))));
        assert!(!ann.same(&Party::User { id: user(2), email: email("bob") }));
    }
}
