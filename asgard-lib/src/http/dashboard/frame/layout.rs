//! What is around every page: the name, the navigation, who is signed in, and what just happened.

use super::assets;
use crate::{
    domain::access::{Action, Object, decide},
    error::{Error, Kind},
    http::{HttpState, dashboard::widgets::Badge, problem::page},
    kernel::{Actor, BasePath, TraceId},
};

/// The parts of the dashboard, from one table in the order of the navigation. A row is
/// `Name: "label", "where it begins, below the base path", the action that opens it;`.
macro_rules! sections {
    ($($(#[doc = $doc:literal])+ $name:ident: $label:literal, $href:literal, $action:ident;)+) => {
        /// The parts of the dashboard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Section {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Section {
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)+
                }
            }

            /// Where it begins, below the base path.
            pub(crate) const fn href(self) -> &'static str {
                match self {
                    $(Self::$name => $href,)+
                }
            }

            /// What whoever uses it must be allowed to do.
            const fn action(self) -> Action {
                match self {
                    $(Self::$name => Action::$action,)+
                }
            }
        }
    };
}

sections! {
    /// Projects and what belongs to them.
    Projects: "Projects", "/projects", ListProjects;
    /// What waits for a person.
    Approvals: "Approvals", "/approvals", ListInbox;
    /// Every request.
    Requests: "All requests", "/requests", ListAllRequests;
    /// What can be asked for.
    Services: "Services", "/services", ReadServices;
    /// Accounts.
    Users: "Users", "/users", ManageUsers;
    /// The audit log.
    Audit: "Audit log", "/audit", ReadAudit;
    /// One's own account. It has a place of its own beside the navigation.
    Account: "Account", "/account", OwnAccount;
}

impl Section {
    /// Those in the navigation.
    fn navigation() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|section| *section != Self::Account)
    }

    /// Those that somebody may use, by the same rules that the operations follow.
    fn of(actor: &Actor) -> impl Iterator<Item = Self> {
        Self::navigation().filter(|section| decide(section.action(), actor, &Object::Nothing).is_ok())
    }
}

/// Where somebody starts, below the base path: the first part that is theirs.
pub(crate) fn home(actor: &Actor) -> &'static str {
    Section::of(actor).next().unwrap_or(Section::Account).href()
}

/// A link of the navigation.
pub(crate) struct Link {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: &'static str,
    /// Whether this is where we are.
    pub here: bool,
}

/// Something that went wrong, above the page.
pub(crate) struct Banner {
    /// What kind of thing; empty where the sentence says it.
    pub title: &'static str,
    /// The sentence for the person.
    pub message: String,
    /// The page that explains it.
    pub help: String,
    /// What finds it in the log, when it is ours to look for.
    pub trace: Option<String>,
}

impl Banner {
    /// An error as people read it.
    pub(crate) fn new(error: &Error, trace: &TraceId, base: &BasePath) -> Self {
        let ours = match error.kind() {
            Kind::Bug | Kind::Upstream | Kind::Unavailable => true,
            Kind::Invalid | Kind::Unauthenticated | Kind::Denied | Kind::NotFound | Kind::Conflict | Kind::Limit => {
                false
            }
        };
        let title = error.code().title();
        // A sentence that begins with its own title says it twice.
        let said = error.message().to_lowercase().starts_with(&title.to_lowercase());
        Self {
            title: if said { "" } else { title },
            message: error.message().to_owned(),
            help: page(error.code(), base),
            trace: ours.then(|| trace.to_string()),
        }
    }
}

/// Who is signed in.
pub(crate) struct Person {
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Badge,
}

/// What is around a page.
pub(crate) struct Layout {
    /// What every address of ours begins with.
    pub base: BasePath,
    /// Where the start is.
    pub start: String,
    /// The system's name.
    pub system: String,
    /// Its first letter.
    pub glyph: String,
    /// The stylesheet's address.
    pub style: String,
    /// The script's address.
    pub script: String,
    /// Who is signed in.
    pub person: Option<Person>,
    /// Where they may go.
    pub links: Vec<Link>,
    /// Whether we are on the account's page.
    pub at_account: bool,
    /// Whether sign-in is switched off.
    pub insecure: bool,
    /// What was just done.
    pub flash: Option<&'static str>,
    /// What went wrong.
    pub problem: Option<Banner>,
}

impl Layout {
    /// The frame of a page for nobody in particular.
    pub(crate) fn bare(state: &HttpState) -> Self {
        let (system, base) = (state.settings().system_name.as_str(), state.base());
        Self {
            base: base.clone(),
            start: base.join("/"),
            system: system.to_owned(),
            glyph: glyph(system),
            style: base.join(&assets::STYLE.href),
            script: base.join(&assets::SCRIPT.href),
            person: None,
            links: Vec::new(),
            at_account: false,
            insecure: false,
            flash: None,
            problem: None,
        }
    }

    /// The frame of a page for `actor`.
    pub(crate) fn of(state: &HttpState, actor: &Actor, here: Option<Section>) -> Self {
        let link = |section: Section| Link {
            href: state.base().join(section.href()),
            label: section.label(),
            here: here == Some(section),
        };
        let person = actor.role().zip(actor.person().map(|person| person.email()));
        Self {
            person: person.map(|(role, email)| Person { email: email.to_string(), role: Badge::role(role) }),
            links: Section::of(actor).map(link).collect(),
            at_account: here == Some(Section::Account),
            ..Self::bare(state)
        }
    }

    /// The same with something that went wrong.
    #[must_use]
    pub(crate) fn with(self, problem: Option<Banner>) -> Self {
        Self { problem, ..self }
    }
}

/// The letter that stands for a name.
pub(crate) fn glyph(name: &str) -> String {
    name.chars().next().map_or_else(String::new, |first| first.to_uppercase().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Role, SessionId, SignIn, UserId};

    #[test]
    fn navigation_shows_what_the_role_may_use_and_nothing_else() {
        let links = |role| {
            let actor = Actor::Human {
                person: crate::kernel::Person::verified(
                    UserId::from_digest(&[1; 32]),
                    "a@corp.example".parse().unwrap(),
                ),
                role,
                sign_in: SignIn::Session(SessionId::from_digest(&[1; 32])),
            };
            (home(&actor), Section::of(&actor).map(Section::href).collect::<Vec<_>>())
        };
        assert_eq!(links(Role::Finance), ("/audit", vec!["/audit"]));
        assert_eq!(links(Role::Member), ("/projects", vec!["/projects", "/approvals", "/services"]));
        assert_eq!(links(Role::Admin).1.len(), Section::navigation().count());
    }

    #[test]
    fn the_glyph_is_the_first_letter() {
        assert_eq!((glyph("acme Control"), glyph("ökosystem"), glyph("")), ("A".into(), "Ö".into(), String::new()));
    }
}
