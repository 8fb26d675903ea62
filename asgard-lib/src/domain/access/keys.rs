//! Whether whoever answers for a project's key still may, and what the project's owner and manager should know of it.

use super::{
    actions::{Action, decide},
    standing::{Object, Subject},
};
use crate::{
    domain::{
        credential::{KeyFlag, ProjectKey},
        person::User,
    },
    kernel::{Actor, Party, SignIn, Timestamp},
};

/// Whether somebody may mint keys of the project as things are: their account where it is known, and otherwise the address, if the
/// project names it.
pub fn has_standing(subject: &Subject, minter: &Party, account: Option<&User>) -> bool {
    match account {
        Some(user) => {
            let actor = Actor::Human { person: user.person(), role: user.role, sign_in: SignIn::Earlier };
            user.active && decide(Action::MintKey, &actor, &Object::Project(subject)).is_ok()
        }
        None => subject.names(minter),
    }
}

/// The flag that a key has from now on, where `account` is that of whoever answers for it. A key that nobody adopted in time keeps
/// the flag that stopped it.
pub fn key_flag(key: &ProjectKey, subject: &Subject, account: Option<&User>, now: Timestamp) -> Option<KeyFlag> {
    // Whom Asgard has no account of is the embedding service's to know: what was true of them at the minting stays.
    let unknown_admin = account.is_none() && key.flag == Some(KeyFlag::MintedByAdmin);
    let standing = unknown_admin || has_standing(subject, &key.minted_by, account);
    match (standing, subject.names(&key.minted_by)) {
        (true, true) => None,
        (true, false) => Some(KeyFlag::MintedByAdmin),
        (false, _) => match &key.flag {
            Some(KeyFlag::Unattended { since }) if !since.is_far_ahead_of(now) => {
                Some(KeyFlag::Unattended { since: *since })
            }
            // A clock that was far ahead wrote since when: the key would go on for that much longer.
            Some(KeyFlag::Unattended { .. } | KeyFlag::MintedByAdmin) | None => {
                Some(KeyFlag::Unattended { since: now })
            }
        },
    }
}
