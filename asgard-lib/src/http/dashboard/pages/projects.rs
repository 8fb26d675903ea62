//! Projects: the list, and what every page of one project shows.

mod change;
mod keys;
mod list;
mod overview;
mod parts;
mod register;

pub(crate) use change::{decommission, kill, save, settings, unkill};
pub(crate) use keys::{adopt, keys, mint, revoke};
pub(crate) use list::list;
pub(crate) use overview::overview;
pub(crate) use parts::{audit, requests, resources, reveal_command, rotate, secrets};
pub(crate) use register::{register, registering};

use crate::{
    app::projects::{GetProject, ProjectView},
    domain::{
        access::{Action, Object, Subject, decide},
        project::Lifecycle,
    },
    error::Result,
    http::dashboard::{
        frame::{self, PageRequest},
        widgets::Badge,
    },
    kernel::{Actor, BasePath, Email, Party, ProjectId},
};

/// What a visitor may do to a project, by the rules that the operations follow.
pub(crate) struct May {
    /// Change name, description and evidence.
    pub describe: bool,
    /// Change group, budget and data class.
    pub steer: bool,
    /// Change owner and manager.
    pub reassign: bool,
    /// Kill and unkill.
    pub stop: bool,
    /// Decommission.
    pub end: bool,
    /// Mint and revoke keys.
    pub mint: bool,
    /// Adopt keys.
    pub adopt: bool,
    /// Ask for something.
    pub ask: bool,
    /// Rotate secrets.
    pub rotate: bool,
    /// Read its audit events.
    pub audit: bool,
}

impl May {
    /// What `actor` may do to the project of `subject`.
    pub(crate) fn of(actor: &Actor, subject: &Subject) -> Self {
        let may = |action| decide(action, actor, &Object::Project(subject)).is_ok();
        Self {
            describe: may(Action::DescribeProject),
            steer: may(Action::ManageProject),
            reassign: may(Action::ReassignProject),
            stop: may(Action::StopProject),
            end: may(Action::EndProject),
            mint: may(Action::MintKey),
            adopt: may(Action::AdoptKey),
            ask: may(Action::Ask),
            rotate: may(Action::RotateSecret),
            audit: may(Action::ReadProjectAudit),
        }
    }
}

/// The part of a project that permission depends on.
pub(crate) fn subject(project: &ProjectView) -> Subject {
    let named = |party: &Option<Party>, email: &Email| party.clone().unwrap_or_else(|| Party::Address(email.clone()));
    Subject {
        id: project.project_id.clone(),
        owner: named(&project.owner, &project.owner_email),
        manager: named(&project.manager, &project.manager_email),
    }
}

/// The pages of one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    /// How it stands.
    Overview,
    /// What it has.
    Resources,
    /// What was asked for.
    Requests,
    /// Who may act for it.
    Keys,
    /// What is kept secret for it.
    Secrets,
    /// What happened.
    Audit,
    /// What can be changed.
    Settings,
}

impl Tab {
    const ALL: [Self; 7] =
        [Self::Overview, Self::Resources, Self::Requests, Self::Keys, Self::Secrets, Self::Audit, Self::Settings];

    const fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Resources => "Resources",
            Self::Requests => "Requests",
            Self::Keys => "Keys",
            Self::Secrets => "Secrets",
            Self::Audit => "Audit",
            Self::Settings => "Settings",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Resources => "/resources",
            Self::Requests => "/requests",
            Self::Keys => "/keys",
            Self::Secrets => "/secrets",
            Self::Audit => "/audit",
            Self::Settings => "/settings",
        }
    }

    /// Its page of a project.
    fn href(self, base: &BasePath, project: &ProjectId) -> String {
        format!("{base}/projects/{project}{}", self.path())
    }
}

/// A link between the pages of a project.
pub(crate) struct TabLink {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: &'static str,
    /// Whether this is where we are.
    pub here: bool,
}

/// What stands above every page of a project.
pub(crate) struct Head {
    /// The project.
    pub project: ProjectView,
    /// What the visitor may do.
    pub may: May,
    /// Its state.
    pub badge: Badge,
    /// Its pages.
    pub tabs: Vec<TabLink>,
}

impl Head {
    /// Of a project that was read.
    pub(crate) fn new(page_request: &PageRequest, project: ProjectView, here: Tab) -> Self {
        let may = May::of(page_request.actor(), &subject(&project));
        let link = |tab: Tab| TabLink {
            href: tab.href(page_request.base(), &project.project_id),
            label: tab.label(),
            here: tab == here,
        };
        let shown = |tab: &Tab| match tab {
            Tab::Audit => may.audit,
            Tab::Overview | Tab::Resources | Tab::Requests | Tab::Keys | Tab::Secrets | Tab::Settings => true,
        };
        Self {
            tabs: Tab::ALL.into_iter().filter(shown).map(link).collect(),
            badge: Badge::project(project.status),
            may,
            project,
        }
    }

    /// Of the project of an address.
    pub(crate) async fn load(page_request: &PageRequest, id: &str, here: Tab) -> Result<Self> {
        let project_id = frame::id(id, "project")?;
        let project = page_request.submit(&GetProject { project_id: Some(project_id) }).await?;
        Ok(Self::new(page_request, project, here))
    }

    /// Whether it was stopped and can be lifted.
    pub(crate) fn is_killed(&self) -> bool {
        self.project.status == Lifecycle::Killed
    }

    /// Whether it takes part in anything.
    pub(crate) fn is_active(&self) -> bool {
        self.project.status == Lifecycle::Active
    }
}
