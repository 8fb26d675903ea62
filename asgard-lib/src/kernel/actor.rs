//! Who is acting. It always comes from the credential, never from a field of the body.

use super::{AgentId, Email, KeyId, Party, Person, ProjectId, SessionId, TokenId, UserId};
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

/// How a person comes to act without presenting a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignIn {
    /// They signed in here: this session can be listed and ended.
    Session(SessionId),
    /// The service that Asgard is embedded in signed them in; Asgard has no session of theirs.
    Host,
    /// Sign-in is switched off on this loopback listener.
    DevInsecure,
    /// They are not here: what they asked for earlier is authorised again.
    Earlier,
}

impl SignIn {
    /// The session, where there is one of ours.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::Host | Self::DevInsecure | Self::Earlier => None,
        }
    }
}

/// Who is acting, by the kind of credential they presented.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// A person who signed in (browser cookie or bearer).
    Human {
        /// Who it is.
        person: Person,
        /// What they may do across projects.
        role: Role,
        /// How they signed in.
        sign_in: SignIn,
    },
    /// A person's token (PAT), with that person's authority.
    UserToken {
        /// Whose it is.
        person: Person,
        /// What they may do across projects.
        role: Role,
        /// The token.
        token: TokenId,
    },
    /// A project's key; acts on its own project only.
    ProjectKey {
        /// The key.
        key: KeyId,
        /// The project it acts on.
        project: ProjectId,
        /// The person who answers for it.
        minted_by: Party,
    },
    /// An agent with an identity of its own; acts on its own project only, as a key does.
    Agent {
        /// The agent.
        agent: AgentId,
        /// The project it acts on.
        project: ProjectId,
        /// The person for whom it acts, where it acts for one. Separation of duties looks through the agent to them.
        on_behalf_of: Option<Person>,
    },
    /// Asgard itself: a loop, a worker, the runner.
    System {
        /// Which part of it.
        name: &'static str,
    },
}

impl Actor {
    /// The person who acts as themselves.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Human { person, .. } | Self::UserToken { person, .. } => Some(person),
            Self::ProjectKey { .. } | Self::Agent { .. } | Self::System { .. } => None,
        }
    }

    /// The person who answers for what is done, if there is one.
    pub fn answerable(&self) -> Option<Party> {
        match self {
            Self::Human { person, .. } | Self::UserToken { person, .. } => Some(person.party()),
            Self::ProjectKey { minted_by, .. } => Some(minted_by.clone()),
            Self::Agent { on_behalf_of, .. } => on_behalf_of.as_ref().map(Person::party),
            Self::System { .. } => None,
        }
    }

    /// The account that acts, for persons acting as themselves.
    pub fn user(&self) -> Option<&UserId> {
        self.person().map(Person::user)
    }

    /// The session that acts, where there is one of ours.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Human { sign_in, .. } => sign_in.session(),
            Self::UserToken { .. } | Self::ProjectKey { .. } | Self::Agent { .. } | Self::System { .. } => None,
        }
    }

    /// The role of a person acting as themselves.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Human { role, .. } | Self::UserToken { role, .. } => Some(*role),
            Self::ProjectKey { .. } | Self::Agent { .. } | Self::System { .. } => None,
        }
    }

    /// The project that a key or an agent is bound to.
    pub fn bound_project(&self) -> Option<&ProjectId> {
        match self {
            Self::ProjectKey { project, .. } | Self::Agent { project, .. } => Some(project),
            Self::Human { .. } | Self::UserToken { .. } | Self::System { .. } => None,
        }
    }

    /// The actor as records and audit events keep it.
    pub fn reference(&self) -> ActorRef {
        let (kind, id) = match self {
            Self::Human { person, .. } => (ActorKind::Human, person.user().to_string()),
            Self::UserToken { token, .. } => (ActorKind::UserToken, token.to_string()),
            Self::ProjectKey { key, .. } => (ActorKind::ProjectKey, key.to_string()),
            Self::Agent { agent, .. } => (ActorKind::Agent, agent.to_string()),
            Self::System { name } => (ActorKind::System, (*name).to_owned()),
        };
        let answerable = self.answerable();
        let user = answerable.as_ref().and_then(|party| party.user().cloned());
        ActorRef { kind, id, person: answerable.map(|party| party.email().clone()), user }
    }
}

/// The kinds of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorKind {
    /// A person with a session.
    Human,
    /// A person's token.
    UserToken,
    /// A project's key.
    ProjectKey,
    /// An agent with an identity of its own.
    Agent,
    /// Asgard itself.
    System,
}

/// An actor as it is kept: which credential, and which person answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ActorRef {
    /// The kind of credential.
    pub kind: ActorKind,
    /// The id of the account, token, key or agent, or the name of a system part.
    pub id: String,
    /// The e-mail address of the person behind it, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Email>,
    /// The id of that person's account, `usr_...`; absent where only the address is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl ActorRef {
    /// The person behind it. What version 0.1.0 wrote names the account of a person with a session by its `id` alone.
    pub fn answerable(&self) -> Option<Party> {
        let user = self.user.clone().or_else(|| match self.kind {
            ActorKind::Human => self.id.parse().ok(),
            ActorKind::UserToken | ActorKind::ProjectKey | ActorKind::Agent | ActorKind::System => None,
        });
        self.person.clone().map(|email| Party::of(user, email))
    }

    /// What is the same for every call with one credential, whatever is known of the person besides. Kept replies are found
    /// by it, those of earlier versions too.
    pub fn credential(&self) -> impl Serialize + '_ {
        #[derive(Serialize)]
        struct Credential<'a> {
            kind: ActorKind,
            id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            person: Option<&'a Email>,
        }
        Credential { kind: self.kind, id: &self.id, person: self.person.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_earlier_versions_are_read_and_written_as_they_were() {
        let id = "usr_00000000000000000000000001";
        let old = format!(r#"{{"kind":"human","id":"{id}","person":"ann@corp.example"}}"#);
        let read: ActorRef = serde_json::from_str(&old).unwrap();
        assert_eq!(read.answerable().and_then(|party| party.user().map(ToString::to_string)).as_deref(), Some(id));
        assert_eq!(serde_json::to_string(&read).unwrap(), old, "sealed events cover these bytes");
        let named = ActorRef { user: id.parse().ok(), ..read };
        assert_eq!(serde_json::to_string(&named.credential()).unwrap(), old, "replies are found again");
    }
}
