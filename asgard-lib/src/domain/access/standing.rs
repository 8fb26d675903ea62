//! What is acted on, and what an actor is to it.

use crate::{
    domain::project::Project,
    kernel::{Actor, Party, ProjectId, Role, UserId},
};

/// The part of a project that permission depends on.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which project.
    pub id: ProjectId,
    /// Its owner.
    pub owner: Party,
    /// Its manager.
    pub manager: Party,
}

impl From<&Project> for Subject {
    fn from(project: &Project) -> Self {
        Self { id: project.id.clone(), owner: project.owner.clone(), manager: project.manager.clone() }
    }
}

/// What is acted on.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// Nothing in particular.
    Nothing,
    /// A project or something that belongs to it.
    Project(&'a Subject),
    /// Every project there is. Nobody owns, manages or holds a key of them all.
    EveryProject,
    /// An account, and what belongs to it.
    Account(&'a UserId),
}

impl<'a> Object<'a> {
    /// The project, where it is one.
    fn subject(&self) -> Option<&'a Subject> {
        match self {
            Self::Project(subject) => Some(subject),
            Self::Nothing | Self::EveryProject | Self::Account(_) => None,
        }
    }

    /// Whether it concerns the actor, as a project does whom they may know of.
    pub(super) fn is_related(&self, actor: &Actor) -> bool {
        [Standing::Owner, Standing::Manager, Standing::Admin, Standing::ProjectKey]
            .into_iter()
            .any(|standing| Grant { standing, by: None }.holds(actor, self))
    }
}

/// What an actor can be, to the organisation or to a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Anybody at all, Asgard's own parts among them.
    Anyone,
    /// A person, whatever their role.
    Person,
    /// A person who works with projects: every role but finance.
    Member,
    /// A person with the admin role.
    Admin,
    /// A person with the finance role, which reads cost and audit and outweighs every other standing.
    Finance,
    /// The project's owner.
    Owner,
    /// The project's manager.
    Manager,
    /// A key or an agent of the project; where no project is asked about, any key or agent.
    ProjectKey,
}

/// With what a person has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session.
    Session,
    /// A user token.
    Token,
}

/// An entry of the list of who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What the actor has to be.
    pub standing: Standing,
    /// With what they have to come, where that matters.
    pub by: Option<Credential>,
}

impl Grant {
    /// Whether it covers an actor, to the object that is asked about. This is the one place that says what a standing means.
    pub(super) fn holds(self, actor: &Actor, object: &Object<'_>) -> bool {
        let came_by = match actor {
            Actor::Human { .. } => Some(Credential::Session),
            Actor::UserToken { .. } => Some(Credential::Token),
            Actor::ProjectKey { .. } | Actor::Agent { .. } | Actor::System { .. } => None,
        };
        if self.by.is_some() && self.by != came_by {
            return false;
        }
        match self.standing {
            Standing::Anyone => true,
            Standing::Person => actor.user().is_some(),
            Standing::Member => works(actor),
            Standing::Admin => actor.role() == Some(Role::Admin),
            Standing::Finance => actor.role() == Some(Role::Finance),
            Standing::Owner => object.subject().is_some_and(|subject| is(actor, &subject.owner)),
            Standing::Manager => object.subject().is_some_and(|subject| is(actor, &subject.manager)),
            Standing::ProjectKey => actor.bound_project().is_some_and(|own| match object {
                Object::Project(subject) => subject.id == *own,
                Object::EveryProject => false,
                Object::Nothing | Object::Account(_) => true,
            }),
        }
    }
}

/// Whether a record names the actor, who is a person that works with projects.
fn is(actor: &Actor, party: &Party) -> bool {
    works(actor) && actor.person().is_some_and(|person| party.is(person))
}

/// Whether it is a person who works with projects.
fn works(actor: &Actor) -> bool {
    match actor.role() {
        Some(Role::Admin | Role::Member) => true,
        Some(Role::Finance) | None => false,
    }
}

impl Subject {
    /// Whether a record of the project's past names its owner or its manager.
    pub fn names(&self, party: &Party) -> bool {
        self.owner.same(party) || self.manager.same(party)
    }
}
