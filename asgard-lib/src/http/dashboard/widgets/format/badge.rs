//! States as badges: a word, a colour and a sign, so that none of them carries the meaning alone.

use crate::{
    domain::{
        project, request, resource,
        run::{self, Change},
    },
    kernel::Role,
};
use askama::Template;

/// How a state feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    /// It is as it should be.
    Good,
    /// Something is going on.
    Busy,
    /// A person has to do something.
    Wait,
    /// It went wrong.
    Bad,
    /// It is over, or off.
    Off,
    /// It is just a fact.
    Plain,
}

/// A state with its word, colour and sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Template)]
#[template(source = r#"<span class="badge {{ class() }}">{{ label }}</span>"#, ext = "html")]
pub(crate) struct Badge {
    tone: Tone,
    label: &'static str,
}

impl askama::filters::HtmlSafe for Badge {}

impl Badge {
    const fn new(tone: Tone, label: &'static str) -> Self {
        Self { tone, label }
    }

    const fn class(&self) -> &'static str {
        match self.tone {
            Tone::Good => "good",
            Tone::Busy => "busy",
            Tone::Wait => "wait",
            Tone::Bad => "bad",
            Tone::Off => "off",
            Tone::Plain => "plain",
        }
    }

    /// A request's state.
    pub(crate) const fn request(status: request::RequestStatus) -> Self {
        match status {
            request::RequestStatus::Planning => Self::new(Tone::Busy, "Planning"),
            request::RequestStatus::Pending => Self::new(Tone::Wait, "Waits for approval"),
            request::RequestStatus::Approved => Self::new(Tone::Busy, "Approved"),
            request::RequestStatus::Running => Self::new(Tone::Busy, "Running"),
            request::RequestStatus::Fulfilled => Self::new(Tone::Good, "Fulfilled"),
            request::RequestStatus::Rejected => Self::new(Tone::Off, "Rejected"),
            request::RequestStatus::Cancelled => Self::new(Tone::Off, "Cancelled"),
            request::RequestStatus::Failed => Self::new(Tone::Bad, "Failed"),
            request::RequestStatus::NeedsAttention => Self::new(Tone::Wait, "Needs attention"),
        }
    }

    /// A resource's state.
    pub(crate) const fn resource(status: resource::ResourceStatus) -> Self {
        match status {
            resource::ResourceStatus::Provisioning => Self::new(Tone::Busy, "Provisioning"),
            resource::ResourceStatus::Provisioned => Self::new(Tone::Good, "Provisioned"),
            resource::ResourceStatus::Updating => Self::new(Tone::Busy, "Updating"),
            resource::ResourceStatus::Failed => Self::new(Tone::Bad, "Failed"),
            resource::ResourceStatus::Suspended => Self::new(Tone::Wait, "Suspended"),
            resource::ResourceStatus::Destroying => Self::new(Tone::Busy, "Destroying"),
            resource::ResourceStatus::Destroyed => Self::new(Tone::Off, "Destroyed"),
        }
    }

    /// A run's state.
    pub(crate) const fn run(status: run::RunStatus) -> Self {
        match status {
            run::RunStatus::Queued => Self::new(Tone::Busy, "Queued"),
            run::RunStatus::Starting => Self::new(Tone::Busy, "Starting"),
            run::RunStatus::Running => Self::new(Tone::Busy, "Running"),
            run::RunStatus::Succeeded => Self::new(Tone::Good, "Succeeded"),
            run::RunStatus::Failed => Self::new(Tone::Bad, "Failed"),
            run::RunStatus::Cancelled => Self::new(Tone::Off, "Cancelled"),
            run::RunStatus::TimedOut => Self::new(Tone::Bad, "Timed out"),
            run::RunStatus::Interrupted => Self::new(Tone::Off, "Interrupted"),
            run::RunStatus::NeedsAttention => Self::new(Tone::Wait, "Needs attention"),
        }
    }

    /// A project's state.
    pub(crate) const fn project(status: project::Lifecycle) -> Self {
        match status {
            project::Lifecycle::Active => Self::new(Tone::Good, "Active"),
            project::Lifecycle::Killed => Self::new(Tone::Bad, "Killed"),
            project::Lifecycle::Decommissioned => Self::new(Tone::Off, "Decommissioned"),
        }
    }

    /// What a plan does to an address.
    pub(crate) const fn change(change: Change) -> Self {
        match change {
            Change::Create => Self::new(Tone::Good, "Create"),
            Change::Update => Self::new(Tone::Busy, "Update"),
            Change::Replace => Self::new(Tone::Wait, "Replace"),
            Change::Delete => Self::new(Tone::Bad, "Destroy"),
        }
    }

    /// A person's role.
    pub(crate) const fn role(role: Role) -> Self {
        match role {
            Role::Admin => Self::new(Tone::Plain, "Admin"),
            Role::Finance => Self::new(Tone::Plain, "Finance"),
            Role::Member => Self::new(Tone::Plain, "Member"),
        }
    }

    /// Whether an account may sign in.
    pub(crate) const fn active(active: bool) -> Self {
        if active { Self::new(Tone::Good, "Active") } else { Self::new(Tone::Off, "Switched off") }
    }

    /// Whether a credential still works.
    pub(crate) const fn credential(revoked: bool, expired: bool) -> Self {
        match (revoked, expired) {
            (true, _) => Self::new(Tone::Off, "Revoked"),
            (false, true) => Self::new(Tone::Off, "Expired"),
            (false, false) => Self::new(Tone::Good, "Working"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_and_a_sign_of_its_own_tone() {
        assert_eq!(
            Badge::request(request::RequestStatus::Pending).to_string(),
            r#"<span class="badge wait">Waits for approval</span>"#
        );
        let labels: std::collections::BTreeSet<_> =
            request::RequestStatus::ALL.map(|status| Badge::request(status).label).into();
        assert_eq!(labels.len(), request::RequestStatus::ALL.len());
        let labels: std::collections::BTreeSet<_> = run::RunStatus::ALL.map(|status| Badge::run(status).label).into();
        assert_eq!(labels.len(), run::RunStatus::ALL.len());
    }
}
