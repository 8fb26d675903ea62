//! The vocabulary of the audit log: what an event may say that somebody did. One table; `docs/audit.md` is compared with it.
//!
//! A stored name never changes its meaning. A name that this build does not know stays readable, because a newer build may
//! have written it. Who embeds Asgard registers names of their own below `x.<vendor>.`.

use crate::{
    domain::request::RequestStatus,
    error::{Code, Error, Result},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// What an action is about; the part of its name before the first dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditArea {
    /// Accounts, and what they sign in with.
    People,
    /// Projects and their keys.
    Projects,
    /// Requests.
    Requests,
    /// Resources.
    Resources,
    /// Runs of Terraform.
    Runs,
    /// Secrets.
    Secrets,
    /// Asgard's own data.
    Operation,
    /// What an embedding service adds.
    Extension,
}

impl AuditArea {
    /// The area as a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::People => "People",
            Self::Projects => "Projects",
            Self::Requests => "Requests",
            Self::Resources => "Resources",
            Self::Runs => "Runs",
            Self::Secrets => "Secrets",
            Self::Operation => "Operation",
            Self::Extension => "Extensions",
        }
    }
}

/// Whether an event of an action belongs to a project's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditScope {
    /// The event names a project.
    Project,
    /// The event belongs to the organisation.
    Organisation,
}

/// One line of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditActionSpec {
    /// The name as it is stored, for example `request.approved`.
    pub name: Cow<'static, str>,
    /// Whether its events name a project.
    pub scope: AuditScope,
    /// What happened, as a sentence for people.
    pub sentence: Cow<'static, str>,
}

macro_rules! audit_actions {
    ($($variant:ident = $name:literal, $area:ident, $scope:ident, $sentence:literal;)*) => {
        /// What somebody did.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AuditAction {
            $(#[doc = $sentence] $variant,)*
            /// What an embedding service registered, by its name `x.<vendor>.<name>`.
            Extension(ExtensionAction),
            /// A name that this build does not know. It can be read and not written.
            Other(String),
        }

        impl AuditAction {
            /// Every action that Asgard itself writes.
            pub const BUILT_IN: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is stored.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Extension(extension) => extension.as_str(),
                    Self::Other(name) => name,
                }
            }

            /// What it is about; nothing is known of an unknown name.
            pub const fn area(&self) -> Option<AuditArea> {
                match self {
                    $(Self::$variant => Some(AuditArea::$area),)*
                    Self::Extension(_) => Some(AuditArea::Extension),
                    Self::Other(_) => None,
                }
            }

            /// Whether its events name a project; a registered one's is in the [`AuditVocabulary`].
            pub const fn scope(&self) -> Option<AuditScope> {
                match self {
                    $(Self::$variant => Some(AuditScope::$scope),)*
                    Self::Extension(_) | Self::Other(_) => None,
                }
            }

            /// What happened, as a sentence; a registered one's is in the [`AuditVocabulary`].
            pub const fn sentence(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($sentence),)*
                    Self::Extension(_) | Self::Other(_) => None,
                }
            }

            fn built_in(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

audit_actions! {
    UserCreated = "user.created", People, Organisation, "An account was made.";
    UserRoleChanged = "user.role_changed", People, Organisation, "An account's role was changed.";
    UserActiveChanged = "user.active_changed", People, Organisation, "An account was switched on or off.";
    UserPasswordChanged = "user.password_changed", People, Organisation, "Somebody changed their own password.";
    UserPasswordReset = "user.password_reset", People, Organisation, "An operator set an account's password.";
    UserSignedOut = "user.signed_out", People, Organisation, "Every session and token of an account was ended.";
    UserPasswordNoted = "user.password_noted", People, Organisation, "The configured password was found to be the account's, and that was noted.";
    UserIdentityAdded = "user.identity_added", People, Organisation, "An identity of an issuer joined an account.";
    UserIdentityPending = "user.identity_pending", People, Organisation, "An identity of an issuer waits until it is confirmed for an admin's account.";
    UserAddressChanged = "user.address_changed", People, Organisation, "An issuer gave another address for an account's identity.";
    UserAddressReleased = "user.address_released", People, Organisation, "An address that an account had left was given up.";
    SessionOpened = "session.opened", People, Organisation, "Somebody signed in.";
    SignInFailed = "session.refused", People, Organisation, "Somebody failed to sign in: of one account from one client it is said once in a window.";
    SignInLockedOut = "session.locked_out", People, Organisation, "A sign-in was refused without looking at the password, because too many had failed before.";
    SessionClosed = "session.closed", People, Organisation, "Somebody signed out.";
    SessionRevoked = "session.revoked", People, Organisation, "Somebody ended a session of their own, or an admin did.";
    TokenCreated = "token.created", People, Organisation, "Somebody made a token of their own.";
    TokenRevoked = "token.revoked", People, Organisation, "Somebody revoked a token of their own, or an admin did.";
    ProjectRegistered = "project.registered", Projects, Project, "A project was registered.";
    ProjectUpdated = "project.updated", Projects, Project, "A project's facts were changed.";
    ProjectPeopleBound = "project.people_bound", Projects, Project, "A project came to name its owner or manager by account.";
    ProjectKilled = "project.killed", Projects, Project, "A project was stopped.";
    ProjectUnkilled = "project.unkilled", Projects, Project, "A stopped project was allowed to go on.";
    ProjectDecommissioned = "project.decommissioned", Projects, Project, "A project was ended for good.";
    KeyMinted = "key.minted", Projects, Project, "A project's key was made.";
    KeyRevoked = "key.revoked", Projects, Project, "A project's key was revoked.";
    KeyMintedByAdmin = "key.minted_by_admin", Projects, Project, "An admin answers for a key of a project that they neither own nor manage; its owner and manager are to know.";
    KeyUnattended = "key.unattended", Projects, Project, "Whoever answers for a project's key may not mint keys of it any more; its owner or manager adopts the key, or it stops.";
    KeyAttended = "key.attended", Projects, Project, "Whoever answers for a project's key may mint keys of it again.";
    KeyAdopted = "key.adopted", Projects, Project, "A project's owner or manager answers for a key that somebody else minted.";
    KeyStopped = "key.stopped", Projects, Project, "A project's key ended, because nobody adopted it in time.";
    RequestOpened = "request.opened", Requests, Project, "A request was made.";
    RequestPlanning = "request.planning", Requests, Project, "A request is planned again.";
    RequestPending = "request.pending", Requests, Project, "A request's plan is ready, and a person has to decide.";
    RequestApproved = "request.approved", Requests, Project, "A request was approved, by a person or by policy.";
    RequestPartlyApproved = "request.partly_approved", Requests, Project, "Somebody approved a request, and others still have to.";
    RequestRunning = "request.running", Requests, Project, "A request is being carried out.";
    RequestFulfilled = "request.fulfilled", Requests, Project, "A request was carried out.";
    RequestRejected = "request.rejected", Requests, Project, "A request was rejected.";
    RequestCancelRequested = "request.cancel_requested", Requests, Project, "Somebody asked to stop a request that is being carried out.";
    RequestCancelled = "request.cancelled", Requests, Project, "A request was taken back or stopped.";
    RequestFailed = "request.failed", Requests, Project, "A request failed.";
    RequestNeedsAttention = "request.needs_attention", Requests, Project, "A request was interrupted and needs a person to look at it.";
    ResourceRefreshStarted = "resource.refresh_started", Resources, Project, "Somebody asked to compare a resource with what exists.";
    ResourceRefreshed = "resource.refreshed", Resources, Project, "A resource was compared with what exists.";
    RunStarted = "run.started", Runs, Project, "A supervisor began a run.";
    RunRefused = "run.refused", Runs, Project, "A run was ended before it began.";
    RunNotStarted = "run.not_started", Runs, Project, "No supervisor could be started for a run.";
    RunCancelled = "run.cancelled", Runs, Project, "A run whose request was over was ended.";
    RunRecovered = "run.recovered", Runs, Project, "A run whose supervisor is gone was taken over.";
    RunStateKept = "run.state_kept", Runs, Project, "A run is over, and the Terraform state in its folder was never stored: the folder is kept on its host.";
    RunRelaunched = "run.relaunched", Runs, Project, "A run whose launch was lost gets another.";
    SecretRevealed = "secret.revealed", Secrets, Project, "A secret's value was shown.";
    SecretRevealedByAdminKey = "secret.revealed_by_admin_key", Secrets, Project, "A secret's value was shown to a key for which neither the project's owner nor its manager answers; they are to know.";
    SecretRevealedByAgentOfOther = "secret.revealed_by_agent_of_other", Secrets, Project, "A secret's value was shown to an agent that acts for a person who neither owns nor manages the project; the owner and the manager are to know.";
    DataKeyMade = "data_key.made", Operation, Organisation, "A data key was made: the first of an empty store, or the next, with which a rotation begins.";
    DataKeyActivated = "data_key.activated", Operation, Organisation, "A data key became the one that new things are sealed under.";
    DataKeyWrapped = "data_key.wrapped", Operation, Organisation, "A data key was wrapped under another master key too, which opens it from then on.";
    DataKeyWrapsDropped = "data_key.wraps_dropped", Operation, Organisation, "A data key's wraps under master keys that are not in use any more were dropped.";
    DataKeyRetired = "data_key.retired", Operation, Organisation, "A data key was retired and its wraps were wiped.";
    AuditMarkingBegan = "audit.marking_began", Operation, Organisation, "From here on every event carries a mark; what a version before left waiting was sealed without.";
    AuditEventRefused = "audit.event_refused", Operation, Organisation, "Events that waited to be sealed were refused, because their marks are not genuine.";
    AuditRemoved = "audit.removed", Operation, Organisation, "The first block of an audit chain and its events were removed, because the audit log keeps them no longer.";
}

impl AuditAction {
    /// The action that says that a request came to a status.
    pub const fn request_became(status: RequestStatus) -> Self {
        match status {
            RequestStatus::Planning => Self::RequestPlanning,
            RequestStatus::Pending => Self::RequestPending,
            RequestStatus::Approved => Self::RequestApproved,
            RequestStatus::Running => Self::RequestRunning,
            RequestStatus::Fulfilled => Self::RequestFulfilled,
            RequestStatus::Rejected => Self::RequestRejected,
            RequestStatus::Cancelled => Self::RequestCancelled,
            RequestStatus::Failed => Self::RequestFailed,
            RequestStatus::NeedsAttention => Self::RequestNeedsAttention,
        }
    }
}

/// Any name: known, registered or unknown.
impl From<String> for AuditAction {
    fn from(name: String) -> Self {
        match (Self::built_in(&name), ExtensionAction::new(&name)) {
            (Some(known), _) => known,
            (None, Ok(extension)) => Self::Extension(extension),
            (None, Err(_)) => Self::Other(name),
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq<str> for AuditAction {
    fn eq(&self, name: &str) -> bool {
        self.name() == name
    }
}

impl PartialEq<&str> for AuditAction {
    fn eq(&self, name: &&str) -> bool {
        self.name() == *name
    }
}

impl Serialize for AuditAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AuditAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// For clients it is a text: they meet names that they do not know.
impl schemars::JsonSchema for AuditAction {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// The name of an action that an embedding service adds: `x.<vendor>.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtensionAction(Cow<'static, str>);

impl ExtensionAction {
    /// The longest name.
    pub const MAX_NAME: usize = 80;

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// A name that is not `x.<vendor>.<name>`, or whose vendor is `asgard`.
    pub fn new(name: &str) -> Result<Self> {
        let form = |what: &str| {
            Error::new(
                Code::Config,
                format!(
                    "`{name}` cannot be an audit action of an embedding service: {what}. It is x.<vendor>.<name>: at least three \
                     parts of a-z, 0-9 and _, each beginning with a letter, joined by dots, at most {} bytes.",
                    Self::MAX_NAME
                ),
            )
        };
        let parts: Vec<&str> = name.split('.').collect();
        let plain = |part: &&str| {
            part.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match parts.as_slice() {
            _ if name.len() > Self::MAX_NAME => Err(form("it is too long")),
            ["x", "asgard", ..] => Err(form("the vendor `asgard` is Asgard's own")),
            ["x", _, _, ..] if parts.iter().all(plain) => Ok(Self(Cow::Owned(name.to_owned()))),
            ["x", ..] => Err(form("it does not have that form")),
            _ => Err(form("it does not begin with `x.`")),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ExtensionAction> for AuditAction {
    fn from(extension: ExtensionAction) -> Self {
        Self::Extension(extension)
    }
}

/// Every action that this process may write: Asgard's own, and those that the embedding service registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVocabulary {
    extensions: BTreeMap<ExtensionAction, AuditActionSpec>,
}

impl AuditVocabulary {
    /// Adds what an embedding service may write.
    ///
    /// # Errors
    ///
    /// A name in another form than `x.<vendor>.<name>`, a name that was registered before, a sentence that is none.
    pub fn with(mut self, specs: impl IntoIterator<Item = AuditActionSpec>) -> Result<Self> {
        for spec in specs {
            let name = ExtensionAction::new(&spec.name)?;
            if spec.sentence.trim().is_empty() || !spec.sentence.ends_with('.') {
                let message =
                    format!("The audit action {} needs a sentence for people that ends with a dot.", spec.name);
                return Err(Error::new(Code::Config, message));
            }
            if self.extensions.contains_key(&name) {
                let message = format!("The audit action {} is registered twice.", spec.name);
                return Err(Error::new(Code::Config, message));
            }
            self.extensions.insert(name, spec);
        }
        Ok(self)
    }

    /// The line of an action, if this process may write it.
    pub fn spec(&self, action: &AuditAction) -> Option<AuditActionSpec> {
        match action {
            AuditAction::Other(_) => None,
            AuditAction::Extension(extension) => self.extensions.get(extension).cloned(),
            built_in => Some(AuditActionSpec {
                name: Cow::Owned(built_in.name().to_owned()),
                scope: built_in.scope()?,
                sentence: Cow::Borrowed(built_in.sentence()?),
            }),
        }
    }

    /// Refuses an action that this process may not write, and an event without the project that its action names.
    pub(crate) fn check(&self, action: &AuditAction, names_a_project: bool) -> Result<()> {
        match self.spec(action) {
            None => Err(Error::bug(format!("the audit action {action} was not registered"))),
            Some(spec) if spec.scope == AuditScope::Project && !names_a_project => {
                Err(Error::bug(format!("an event {action} without its project")))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn spec(name: &'static str) -> AuditActionSpec {
        AuditActionSpec { name: name.into(), scope: AuditScope::Organisation, sentence: "It happened.".into() }
    }

    #[test]
    fn names_read_back_and_are_unlike_each_other_and_every_extension() {
        let names: BTreeSet<_> = AuditAction::BUILT_IN.iter().map(AuditAction::name).collect();
        assert_eq!(names.len(), AuditAction::BUILT_IN.len());
        for action in AuditAction::BUILT_IN {
            let text = serde_json::to_string(action).unwrap();
            assert_eq!(serde_json::from_str::<AuditAction>(&text).unwrap(), *action);
            assert!(!action.name().starts_with("x."), "{action}");
            assert!(action.sentence().is_some_and(|sentence| sentence.ends_with('.')), "{action}");
        }
    }

    #[test]
    fn every_status_of_a_request_has_its_action() {
        for status in RequestStatus::ALL {
            assert_eq!(AuditAction::request_became(status).name(), format!("request.{}", status.name()));
        }
    }

    #[test]
    fn unknown_names_stay_readable_and_cannot_be_written() {
        let unknown = AuditAction::from("request.teleported".to_owned());
        assert_eq!(unknown, AuditAction::Other("request.teleported".into()));
        assert_eq!(serde_json::to_value(&unknown).unwrap(), "request.teleported");
        let vocabulary = AuditVocabulary::default();
        assert!(vocabulary.check(&unknown, true).is_err());
        assert!(vocabulary.check(&AuditAction::from("x.acme.door.opened".to_owned()), true).is_err(), "not registered");
        assert!(vocabulary.check(&AuditAction::RequestApproved, true).is_ok());
        assert!(vocabulary.check(&AuditAction::RequestApproved, false).is_err(), "whose request?");
        assert!(vocabulary.check(&AuditAction::UserCreated, false).is_ok());
    }

    #[test]
    fn what_is_registered_may_be_written_and_bad_names_are_refused_with_the_reason() {
        let vocabulary =
            AuditVocabulary::default().with([spec("x.acme.door_opened"), spec("x.acme.door.closed")]).unwrap();
        for name in ["x.acme.door_opened", "x.acme.door.closed"] {
            let action = AuditAction::from(name.to_owned());
            assert!(matches!(&action, AuditAction::Extension(_)));
            vocabulary.check(&action, false).unwrap();
        }
        let long: &'static str = Box::leak(format!("x.acme.{}", "a".repeat(80)).into_boxed_str());
        for (name, says) in [
            ("request.approved", "begin with `x.`"),
            ("door.opened", "begin with `x.`"),
            ("x.door", "form"),
            ("x.acme.", "form"),
            ("x.Acme.door", "form"),
            ("x..door", "form"),
            ("x.acme.9", "form"),
            ("x.asgard.door", "own"),
            (long, "too long"),
        ] {
            let refused = AuditVocabulary::default().with([spec(name)]).unwrap_err();
            assert!(refused.message().contains(says), "{name}: {refused}");
        }
        assert!(vocabulary.with([spec("x.acme.door_opened")]).unwrap_err().message().contains("twice"));
        let mute = AuditActionSpec { sentence: "".into(), ..spec("x.acme.mute") };
        assert!(AuditVocabulary::default().with([mute]).unwrap_err().message().contains("sentence"));
    }

    /// The page has a heading for each area, and below it a line for each action with its sentence.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "whoever runs the test says that the page is to be written")]
    fn the_page_lists_the_vocabulary() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.md");
        let (begin, end) = ("<!-- actions: begin -->\n", "<!-- actions: end -->\n");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (listed, after) = rest.split_once(end).unwrap();
        let wanted = table();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
            return;
        }
        assert_eq!(
            listed, wanted,
            "docs/audit.md is stale; run UPDATE_DOCS=1 cargo test -p asgard-lib lists_the_vocabulary"
        );
    }

    fn table() -> String {
        let mut text = String::new();
        let mut areas: Vec<AuditArea> = AuditAction::BUILT_IN.iter().filter_map(AuditAction::area).collect();
        areas.dedup();
        for area in areas {
            text.push_str(&format!("\n### {}\n\n| action | project | what happened |\n|---|---|---|\n", area.title()));
            for action in AuditAction::BUILT_IN.iter().filter(|action| action.area() == Some(area)) {
                let project = if action.scope() == Some(AuditScope::Project) { "yes" } else { "no" };
                text.push_str(&format!("| `{action}` | {project} | {} |\n", action.sentence().unwrap()));
            }
        }
        text.push('\n');
        text
    }
}
