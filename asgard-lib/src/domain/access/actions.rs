//! The actions, and who may do each.

use super::standing::{Object, Standing};
use crate::{
    error::{Code, Error, Result},
    kernel::{Actor, Role},
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
