//! Every question of the form "may this actor do this to that?" is answered here and nowhere else.

use super::{project::Project, request::Request};
use crate::{
    error::{Code, Error, Result},
    kernel::{Actor, ActorRef, Email, ProjectId, Role, UserId},
};

/// What an operation does, as far as permission is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Needs no credential: sign in, read the sign-in configuration.
    Open,
    /// Read or change one's own account, sessions and tokens.
    OwnAccount,
    /// Mint a token or change a password: only with a session.
    OwnAccountInSession,
    /// Read users and change their role or state.
    ManageUsers,
    /// Register a project.
    RegisterProject,
    /// List projects; each actor sees their own.
    ListProjects,
    /// Read a project and what belongs to it.
    ReadProject,
    /// Change name, description and evidence.
    DescribeProject,
    /// Change group, budget and data class.
    ManageProject,
    /// Change owner and manager.
    ReassignProject,
    /// Kill, unkill.
    StopProject,
    /// Decommission.
    EndProject,
    /// Mint a project key.
    MintKey,
    /// Revoke a project key.
    RevokeKey,
    /// Read the catalogue, the groups and the registration requirements.
    ReadCatalog,
    /// Ask for something: provision, update, retry, refresh, deprovision.
    Ask,
    /// Take back a request.
    Cancel,
    /// See what waits for approval; each actor sees what concerns them.
    ListInbox,
    /// Approve or reject.
    Decide,
    /// See a secret's value.
    RevealSecret,
    /// Make a new value for a secret.
    RotateSecret,
    /// Read a project's audit events.
    ReadProjectAudit,
    /// Read and verify every audit event.
    ReadAudit,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Self] = &[
        Self::Open,
        Self::OwnAccount,
        Self::OwnAccountInSession,
        Self::ManageUsers,
        Self::RegisterProject,
        Self::ListProjects,
        Self::ReadProject,
        Self::DescribeProject,
        Self::ManageProject,
        Self::ReassignProject,
        Self::StopProject,
        Self::EndProject,
        Self::MintKey,
        Self::RevokeKey,
        Self::ReadCatalog,
        Self::Ask,
        Self::Cancel,
        Self::ListInbox,
        Self::Decide,
        Self::RevealSecret,
        Self::RotateSecret,
        Self::ReadProjectAudit,
        Self::ReadAudit,
    ];
}

/// The part of a project that permission depends on.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which project.
    pub id: ProjectId,
    /// Its owner.
    pub owner: Email,
    /// Its manager.
    pub manager: Email,
}

impl From<&Project> for Subject {
    fn from(project: &Project) -> Self {
        Self { id: project.id.clone(), owner: project.owner.clone(), manager: project.manager.clone() }
    }
}

/// What is acted on.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// Nothing in particular.
    Nothing,
    /// A project or something that belongs to it.
    Project(&'a Subject),
    /// An account, and what belongs to it.
    Account(&'a UserId),
}

/// What an actor is to a project. Finance outweighs every other standing: it reads cost and audit, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    owner: bool,
    manager: bool,
    admin: bool,
    key: bool,
    session: bool,
    token: bool,
}

impl Standing {
    const NONE: Self = Self { owner: false, manager: false, admin: false, key: false, session: false, token: false };

    fn of(actor: &Actor, subject: &Subject) -> Self {
        let person = |email: &Email, role: Role| Self {
            owner: *email == subject.owner,
            manager: *email == subject.manager,
            admin: role == Role::Admin,
            ..Self::NONE
        };
        match actor {
            Actor::Human { role: Role::Finance, .. } | Actor::UserToken { role: Role::Finance, .. } => Self::NONE,
            Actor::Human { email, role, .. } => Self { session: true, ..person(email, *role) },
            Actor::UserToken { email, role, .. } => Self { token: true, ..person(email, *role) },
            Actor::ProjectKey { project, .. } => Self { key: *project == subject.id, ..Self::NONE },
            Actor::System { .. } => Self::NONE,
        }
    }

    fn related(self) -> bool {
        self.owner || self.manager || self.admin || self.key
    }
}

fn denied(message: &'static str) -> Error {
    Error::new(Code::Denied, message)
}

/// Decides. `Ok(())` allows; the error says why not and who could.
pub fn decide(action: Action, actor: &Actor, object: &Object<'_>) -> Result<()> {
    match action {
        Action::Open => Ok(()),
        Action::OwnAccount => own_account(actor, object),
        Action::OwnAccountInSession => match actor {
            Actor::Human { .. } => own_account(actor, object),
            Actor::UserToken { .. } | Actor::ProjectKey { .. } | Actor::System { .. } => {
                Err(denied("Sign in with a password for this; a token or key cannot do it."))
            }
        },
        Action::ManageUsers => admin(actor),
        Action::RegisterProject => match actor {
            Actor::ProjectKey { .. } => Err(denied(
                "A project key acts on its own project and cannot register another. Use a user token (asg_pat_...) instead.",
            )),
            Actor::Human { .. } | Actor::UserToken { .. } | Actor::System { .. } => worker(actor),
        },
        Action::ListProjects | Action::ListInbox | Action::ReadCatalog => worker(actor),
        Action::ReadAudit => match actor.role() {
            Some(Role::Admin | Role::Finance) => Ok(()),
            Some(Role::Member) | None => {
                Err(denied("Only admins and finance read the whole audit log. Name a project that you own or manage."))
            }
        },
        Action::ReadProjectAudit => match actor.role() {
            Some(Role::Finance) => Ok(()),
            Some(Role::Admin | Role::Member) => on_project(action, actor, object),
            None => Err(denied("The audit log is read by people: its owner, its manager, admins and finance.")),
        },
        Action::ReadProject
        | Action::DescribeProject
        | Action::ManageProject
        | Action::ReassignProject
        | Action::StopProject
        | Action::EndProject
        | Action::MintKey
        | Action::RevokeKey
        | Action::Ask
        | Action::Cancel
        | Action::Decide
        | Action::RevealSecret
        | Action::RotateSecret => on_project(action, actor, object),
    }
}

fn own_account(actor: &Actor, object: &Object<'_>) -> Result<()> {
    let own = match object {
        Object::Nothing => true,
        Object::Account(user) => actor.user() == Some(*user),
        Object::Project(_) => false,
    };
    match (actor.user(), own) {
        (Some(_), true) => Ok(()),
        (Some(_), false) => Err(Error::not_found("session or token")),
        (None, _) => Err(denied("This belongs to a person's account; sign in or use a user token.")),
    }
}

fn admin(actor: &Actor) -> Result<()> {
    match actor.role() {
        Some(Role::Admin) => Ok(()),
        Some(Role::Finance | Role::Member) | None => Err(denied("Only an admin may do this.")),
    }
}

/// Anybody who works with projects: everyone but finance.
fn worker(actor: &Actor) -> Result<()> {
    match actor {
        Actor::ProjectKey { .. } => Ok(()),
        Actor::System { .. } => Err(denied("Asgard's own parts do not call operations.")),
        Actor::Human { role, .. } | Actor::UserToken { role, .. } => match role {
            Role::Admin | Role::Member => Ok(()),
            Role::Finance => Err(denied("The finance role reads cost and audit, and nothing else.")),
        },
    }
}

fn on_project(action: Action, actor: &Actor, object: &Object<'_>) -> Result<()> {
    worker(actor)?;
    let Object::Project(subject) = object else {
        return Err(Error::bug(format!("{action:?} was asked without a project")));
    };
    let standing = Standing::of(actor, subject);
    if !standing.related() {
        return Err(match actor {
            Actor::ProjectKey { project, .. } => Error::new(
                Code::Denied,
                format!("This key acts on {project} only. Leave project_id out, or use that project's key."),
            ),
            Actor::Human { .. } | Actor::UserToken { .. } | Actor::System { .. } => Error::not_found("project"),
        });
    }
    let people = standing.owner || standing.manager || standing.admin;
    let (allowed, who) = match action {
        Action::ReadProject | Action::Ask | Action::Cancel | Action::DescribeProject => (true, ""),
        Action::ManageProject => {
            (standing.manager || standing.admin, "Only the project's manager or an admin may change that.")
        }
        Action::ReassignProject => (standing.admin, "Only an admin may change a project's owner or manager."),
        Action::StopProject | Action::EndProject | Action::ReadProjectAudit => {
            (people, "Only the project's owner, its manager or an admin may do this; a key may not.")
        }
        Action::MintKey | Action::RevokeKey => (
            people,
            "Keys are minted and revoked by the project's owner, its manager or an admin; a key may only revoke itself.",
        ),
        Action::Decide => (standing.manager || standing.admin, "The project's manager or an admin approves."),
        Action::RevealSecret => (
            standing.key || (standing.token && (standing.owner || standing.manager)),
            "Secret values are revealed to the project's key, or to the owner's or manager's token, through get_secret; nobody else.",
        ),
        Action::RotateSecret => (
            standing.key || standing.owner || standing.manager,
            "Secrets are rotated by the project's key, its owner or its manager.",
        ),
        Action::Open
        | Action::OwnAccount
        | Action::OwnAccountInSession
        | Action::ManageUsers
        | Action::RegisterProject
        | Action::ListProjects
        | Action::ListInbox
        | Action::ReadCatalog
        | Action::ReadAudit => return Err(Error::bug(format!("{action:?} is not about a project"))),
    };
    if allowed { Ok(()) } else { Err(denied(who)) }
}

/// Separation of duties, beyond [`Action::Decide`]: nobody approves what they asked for, own, or hold the key of. With
/// `require_manager: false` and one person as owner and manager, an admin approves, even if that admin is the owner;
/// `Ok(true)` says that this was a self-approval, to be audited as such.
pub fn may_approve(actor: &Actor, subject: &Subject, request: &Request, require_manager: bool) -> Result<bool> {
    may_approve_of(actor, subject, &request.requested_by, require_manager)
}

/// The same for whatever `requested_by` asked for: surfaces know a request only by its view.
pub fn may_approve_of(
    actor: &Actor,
    subject: &Subject,
    requested_by: &ActorRef,
    require_manager: bool,
) -> Result<bool> {
    decide(Action::Decide, actor, &Object::Project(subject))?;
    let Some(person) = actor.person() else {
        return Err(Error::new(Code::SeparationOfDuties, "A person approves, not a key."));
    };
    let owner = *person == subject.owner;
    let asked = requested_by.person.as_ref() == Some(person);
    if !owner && !asked {
        return Ok(false);
    }
    let alone = !require_manager && subject.owner == subject.manager;
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
        (false, _) => Err(Error::new(
            Code::SeparationOfDuties,
            "You asked for this, or minted the key that did; somebody else has to approve it.",
        )),
    }
}

#[cfg(test)]
mod tests;
