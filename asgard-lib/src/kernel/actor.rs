//! Who is acting. It always comes from the credential, never from a field of the body.

use super::{Email, KeyId, ProjectId, SessionId, TokenId, UserId};
use serde::{Deserialize, Serialize};

/// What a person may do across projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs Asgard: users, any project, any approval that separation of duties allows.
    Admin,
    /// Reads cost and audit, and nothing else.
    Finance,
    /// Registers projects and works on those they own or manage.
    Member,
}

/// Who is acting, by the kind of credential they presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with a session (browser cookie or bearer).
    Human { user: UserId, email: Email, role: Role, session: SessionId },
    /// A person's token (PAT), with that person's authority.
    UserToken { user: UserId, email: Email, role: Role, token: TokenId },
    /// A project's key; acts on its own project only. `minted_by` is the person who answers for it.
    ProjectKey { key: KeyId, project: ProjectId, minted_by: Email },
    /// Asgard itself: a loop, a worker, the runner.
    System { name: &'static str },
}

impl Actor {
    /// The person behind the credential, if there is one.
    pub fn person(&self) -> Option<&Email> {
        match self {
            Self::Human { email, .. } | Self::UserToken { email, .. } => Some(email),
            Self::ProjectKey { minted_by, .. } => Some(minted_by),
            Self::System { .. } => None,
        }
    }

    /// The account that acts, for persons acting as themselves.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Human { user, .. } | Self::UserToken { user, .. } => Some(user),
            Self::ProjectKey { .. } | Self::System { .. } => None,
        }
    }

    /// The role of a person acting as themselves.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Human { role, .. } | Self::UserToken { role, .. } => Some(*role),
            Self::ProjectKey { .. } | Self::System { .. } => None,
        }
    }

    /// The project a key is bound to.
    pub fn bound_project(&self) -> Option<&ProjectId> {
        match self {
            Self::ProjectKey { project, .. } => Some(project),
            Self::Human { .. } | Self::UserToken { .. } | Self::System { .. } => None,
        }
    }

    /// The actor as records and audit events keep it.
    pub fn reference(&self) -> ActorRef {
        match self {
            Self::Human { user, email, .. } => {
                ActorRef { kind: ActorKind::Human, id: user.to_string(), person: Some(email.clone()) }
            }
            Self::UserToken { token, email, .. } => {
                ActorRef { kind: ActorKind::UserToken, id: token.to_string(), person: Some(email.clone()) }
            }
            Self::ProjectKey { key, minted_by, .. } => {
                ActorRef { kind: ActorKind::ProjectKey, id: key.to_string(), person: Some(minted_by.clone()) }
            }
            Self::System { name } => ActorRef { kind: ActorKind::System, id: (*name).to_owned(), person: None },
        }
    }
}

/// The kinds of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person with a session.
    Human,
    /// A person's token.
    UserToken,
    /// A project's key.
    ProjectKey,
    /// Asgard itself.
    System,
}

/// An actor as it is kept: which credential, and which person answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ActorRef {
    /// The kind of credential that acted.
    pub kind: ActorKind,
    /// The id of the account, token or key, or the name of a system part.
    pub id: String,
    /// The e-mail address of the person behind the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Email>,
}
