//! Separation of duties: who is barred from approving what they asked for, own, or hold the key of. It compares accounts and
//! verified addresses, and looks through a key or an agent to the person who answers for it.

use super::{
    actions::{Action, decide},
    standing::{Object, Subject},
};
use crate::{
    domain::{policy::Approver, request::Request},
    error::{Code, Error, Result},
    kernel::{Actor, ActorRef, KeyId, Party, Role, UserId},
};

/// Separation of duties, beyond [`Action::Decide`]: nobody approves what they asked for, own, or hold the key of. With
/// `require_manager: false` and one person as owner and manager, an admin approves, even if that admin is the owner;
/// `Ok(true)` says that this was a self-approval, to be audited as such.
pub fn may_approve(actor: &Actor, subject: &Subject, request: &Request, require_manager: bool) -> Result<bool> {
    may_approve_of(actor, subject, &request.requested_by, &request.barred, require_manager)
}

/// The same for whatever `requested_by` asked for: surfaces know a request only by its view.
pub fn may_approve_of(
    actor: &Actor,
    subject: &Subject,
    requested_by: &ActorRef,
    barred: &[Party],
    require_manager: bool,
) -> Result<bool> {
    decide(Action::Decide, actor, &Object::Project(subject))?;
    let Some(person) = actor.person() else {
        return Err(Error::new(Code::SeparationOfDuties, "A person approves, not a key or an agent."));
    };
    let owner = subject.owner.may_be(person);
    let asked = requested_by.answerable().is_some_and(|party| party.may_be(person));
    let barred = barred.iter().any(|party| party.may_be(person));
    if !owner && !asked && !barred {
        return Ok(false);
    }
    let alone = !require_manager && subject.owner.same(&subject.manager);
    match (alone, actor.role()) {
        (true, Some(Role::Admin)) => Ok(true),
        (true, Some(Role::Member | Role::Finance) | None) => Err(Error::new(
            Code::SeparationOfDuties,
            "Owner and manager are one person here, so an admin has to approve this.",
        )),
        (false, _) if owner => Err(Error::new(
            Code::SeparationOfDuties,
            format!("The owner never approves for their own project; {} or another admin can.", subject.manager),
        )),
        (false, _) if barred && !asked => Err(Error::new(
            Code::SeparationOfDuties,
            "You owned the project when this was asked for, or held the key that asked; somebody else has to approve it.",
        )),
        (false, _) => Err(Error::new(
            Code::SeparationOfDuties,
            "You asked for this, or minted the key that did, or it was asked for you; somebody else has to approve it.",
        )),
    }
}

/// Who revokes a key, beyond [`Action::RevokeKey`]: a key may end itself.
pub fn may_revoke(actor: &Actor, subject: &Subject, key: &KeyId) -> Result<()> {
    match actor {
        Actor::ProjectKey { key: own, .. } if own == key => Ok(()),
        Actor::ProjectKey { .. }
        | Actor::Agent { .. }
        | Actor::Human { .. }
        | Actor::UserToken { .. }
        | Actor::System { .. } => decide(Action::RevokeKey, actor, &Object::Project(subject)),
    }
}

/// Who confirms an identity of an account, beyond [`Action::ConfirmIdentity`]: an admin that of any account, everybody else that of
/// their own. `Ok(true)` says that it is their own.
pub fn may_confirm(actor: &Actor, account: &UserId) -> Result<bool> {
    own_or_admins(Action::ConfirmIdentity, actor, account)
}

/// Who ends every credential of an account, beyond [`Action::SignOut`]: an admin those of any account, everybody else their own.
/// `Ok(true)` says that they are their own.
pub fn may_sign_out(actor: &Actor, account: &UserId) -> Result<bool> {
    own_or_admins(Action::SignOut, actor, account)
}

fn own_or_admins(action: Action, actor: &Actor, account: &UserId) -> Result<bool> {
    decide(action, actor, &Object::Nothing)?;
    match (actor.user() == Some(account), actor.role()) {
        (true, _) => Ok(true),
        (false, Some(Role::Admin)) => Ok(false),
        (false, Some(Role::Member | Role::Finance) | None) => Err(Error::not_found("user")),
    }
}

/// Whether an actor who may approve a request satisfies an approver that policy asked for. It is asked in addition to
/// [`may_approve`]: being named makes nobody an approver. A named person is compared as authority is, by account, because
/// whoever gets the address later is not who was meant; that the same human does not also ask is [`may_approve`]'s stricter bar.
pub fn satisfies(actor: &Actor, approver: &Approver) -> bool {
    match approver {
        Approver::ManagerOrAdmin => true,
        Approver::Admin => actor.role() == Some(Role::Admin),
        Approver::Named { person, user } => {
            let party = Party::of(user.clone(), person.clone());
            actor.person().is_some_and(|actor| party.is(actor))
        }
    }
}
