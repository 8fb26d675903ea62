//! The table of actions: what each is about, who may, and what everybody else is told.

use super::standing::{Credential, Grant, Object, Standing};
use crate::{
    error::{Code, Error, Result},
    kernel::{Actor, ProjectId, Role},
};

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing that belongs to anybody: no credential is needed.
    Nothing,
    /// The caller's own account, and what belongs to it.
    OwnAccount,
    /// The organisation: its users, its catalogue, and lists across projects.
    Organisation,
    /// One project, and what belongs to it.
    Project,
}

/// The row of an action in the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it is about.
    pub scope: Scope,
    /// Who may: one of these is enough.
    pub may: &'static [Grant],
    /// What a caller is told who may not, and whom nothing more precise can be told.
    pub refusal: &'static str,
}

/// The enum, the list, the names and the rules of all actions, from one table. A row is
/// `Name: Scope, [Standing, Standing by Credential, ...], "refusal";`.
macro_rules! actions {
    (@by) => { None };
    (@by $credential:ident) => { Some(Credential::$credential) };
    ($($(#[doc = $doc:literal])+ $name:ident: $scope:ident, [$($standing:ident $(by $credential:ident)?),+], $refusal:literal;)+) => {
        /// What an operation does, as far as permission is concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The action's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The action's row.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$name => Rule {
                        scope: Scope::$scope,
                        may: &[$(Grant { standing: Standing::$standing, by: actions!(@by $($credential)?) }),+],
                        refusal: $refusal,
                    },)+
                }
            }
        }
    };
}

actions! {
    /// Needs no credential: sign in, read the sign-in configuration.
    Open: Nothing, [Anyone], "Anybody may do this.";
    /// Read or change one's own account, sessions and tokens.
    OwnAccount: OwnAccount, [Person], "This belongs to a person's account; sign in or use a user token.";
    /// Mint a token or change a password: only with a session.
    OwnAccountInSession: OwnAccount, [Person by Session],
        "Sign in with a password for this; a token or key cannot do it.";
    /// Read users and change their role or state.
    ManageUsers: Organisation, [Admin], "Only an admin may do this.";
    /// Confirm an identity of one's own account, or as an admin of any.
    ConfirmIdentity: Organisation, [Admin, Person by Session],
        "Sign in for this, or have an admin do it; a member's token or a key cannot.";
    /// Count and list the requests of all projects.
    ListAllRequests: Organisation, [Admin],
        "Only an admin sees the requests of all projects; list_requests shows those of a project.";
    /// End every credential of one's own account, or as an admin of any.
    SignOut: Organisation, [Admin, Person by Session],
        "Sign in for this, or have an admin do it; a member's token or a key cannot.";
    /// Register a project.
    RegisterProject: Organisation, [Member],
        "A project key acts on its own project and cannot register another. Use a user token (asg_pat_...) instead.";
    /// List projects; each actor sees their own.
    ListProjects: Organisation, [Member, ProjectKey], "Only members and project keys list projects.";
    /// Read a project and what belongs to it.
    ReadProject: Project, [Owner, Manager, Admin, ProjectKey],
        "Only the project's owner, its manager, its keys and admins may read it.";
    /// Change name, description and evidence.
    DescribeProject: Project, [Owner, Manager, Admin, ProjectKey],
        "Only the project's owner, its manager, its keys and admins may change that.";
    /// Change group, budget and data class.
    ManageProject: Project, [Manager, Admin], "Only the project's manager or an admin may change that.";
    /// Change owner and manager.
    ReassignProject: Project, [Admin], "Only an admin may change a project's owner or manager.";
    /// Kill, unkill.
    StopProject: Project, [Owner, Manager, Admin],
        "Only the project's owner, its manager or an admin may do this; a key may not.";
    /// Decommission.
    EndProject: Project, [Owner, Manager, Admin],
        "Only the project's owner, its manager or an admin may do this; a key may not.";
    /// Mint a project key.
    MintKey: Project, [Owner, Manager, Admin],
        "Keys are minted and revoked by the project's owner, its manager or an admin; a key may only revoke itself.";
    /// Revoke a project key.
    RevokeKey: Project, [Owner, Manager, Admin],
        "Keys are minted and revoked by the project's owner, its manager or an admin; a key may only revoke itself.";
    /// Answer for a project key from now on.
    AdoptKey: Project, [Owner, Manager],
        "A key is adopted by the project's owner or its manager, who answers for it from then on.";
    /// Read the services, the groups and the registration requirements.
    ReadServices: Organisation, [Member, ProjectKey], "Only members and project keys read the catalogue.";
    /// Ask for something: provision, update, retry, refresh, deprovision.
    Ask: Project, [Owner, Manager, Admin, ProjectKey],
        "Only the project's owner, its manager, its keys and admins may ask for this.";
    /// Take back a request.
    Cancel: Project, [Owner, Manager, Admin, ProjectKey],
        "Only the project's owner, its manager, its keys and admins may take this back.";
    /// See what waits for approval; each actor sees what concerns them.
    ListInbox: Organisation, [Member, ProjectKey], "Only members and project keys see what waits for approval.";
    /// Approve or reject.
    Decide: Project, [Manager, Admin], "The project's manager or an admin approves.";
    /// See a secret's value.
    RevealSecret: Project, [ProjectKey, Owner by Token, Manager by Token],
        "Secret values are revealed to the project's key, or to the owner's or manager's token, through get_secret; nobody else.";
    /// Make a new value for a secret.
    RotateSecret: Project, [ProjectKey, Owner, Manager],
        "Secrets are rotated by the project's key, its owner or its manager.";
    /// Read a project's audit events.
    ReadProjectAudit: Project, [Owner, Manager, Admin, Finance],
        "The audit log is read by people: its owner, its manager, admins and finance.";
    /// Read and verify every audit event.
    ReadAudit: Organisation, [Admin, Finance],
        "Only admins and finance read the whole audit log. Name a project that you own or manage.";
}

/// Decides. `Ok(())` allows; the error says why not and who could.
pub fn decide(action: Action, actor: &Actor, object: &Object<'_>) -> Result<()> {
    let rule = action.rule();
    let about = match (rule.scope, object) {
        (Scope::Project, Object::Project(_) | Object::EveryProject) => *object,
        (Scope::Project, Object::Nothing | Object::Account(_)) => {
            return Err(Error::bug(format!("{} was asked without a project", action.name())));
        }
        (Scope::Nothing | Scope::OwnAccount | Scope::Organisation, _) => Object::Nothing,
    };
    if !rule.may.iter().any(|grant| grant.holds(actor, &about)) {
        return Err(refusal(&rule, actor, &about));
    }
    match (rule.scope, object) {
        (Scope::OwnAccount, Object::Account(user)) if actor.user() != Some(*user) => {
            Err(Error::not_found("session or token"))
        }
        (Scope::OwnAccount, Object::Project(_) | Object::EveryProject) => {
            Err(Error::bug(format!("{} was asked about a project", action.name())))
        }
        _ => Ok(()),
    }
}

/// What a key or an agent of `own` is told about every other project.
pub fn foreign(own: &ProjectId) -> Error {
    Error::new(Code::Denied, format!("This key acts on {own} only. Leave project_id out, or use that project's key."))
}

/// Why not, as precisely as this actor may know. A stranger learns nothing about a project, not even that it exists.
fn refusal(rule: &Rule, actor: &Actor, object: &Object<'_>) -> Error {
    let denied = |message: &'static str| Error::new(Code::Denied, message);
    if let Actor::System { .. } = actor {
        return denied("Asgard's own parts do not call operations.");
    }
    let for_members = rule.scope == Scope::Project || rule.may.iter().any(|grant| grant.standing == Standing::Member);
    if actor.role() == Some(Role::Finance) && for_members {
        return denied("The finance role reads cost and audit, and nothing else.");
    }
    match (object, actor.bound_project()) {
        (Object::Project(subject), Some(own)) if *own != subject.id => foreign(own),
        (Object::EveryProject, Some(own)) => foreign(own),
        (Object::Project(_) | Object::EveryProject, None) if !object.is_related(actor) => Error::not_found("project"),
        (Object::Project(_) | Object::EveryProject | Object::Nothing | Object::Account(_), _) => denied(rule.refusal),
    }
}
