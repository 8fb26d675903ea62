//! What is acted on, and what an actor is to it.

use crate::{
    domain::project::Project,
    kernel::{Actor, Email, ProjectId, Role, UserId},
};

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
pub(super) struct Standing {
    pub(super) owner: bool,
    pub(super) manager: bool,
    pub(super) admin: bool,
    pub(super) key: bool,
    pub(super) session: bool,
    pub(super) token: bool,
}

impl Standing {
    const NONE: Self = Self { owner: false, manager: false, admin: false, key: false, session: false, token: false };

    pub(super) fn of(actor: &Actor, subject: &Subject) -> Self {
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

    pub(super) fn related(self) -> bool {
        self.owner || self.manager || self.admin || self.key
    }
}
