//! What a turn of a request does to money: what its resource costs, what the request holds, and how much of both no person has approved.

use super::{Command, Request, Transition};
use crate::{
    domain::{policy::CostFacts, resource::Resource},
    kernel::Usd,
};

/// The ceilings that a commit keeps which lets something pass without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Of all that the project has committed and in flight.
    pub project: Option<Usd>,
    /// Of what no person has approved over all projects of the project's owner.
    pub owner: Option<Usd>,
}

impl Ceilings {
    /// Those under which policy weighed the cost. What adds nothing has none.
    pub fn of(cost: &CostFacts) -> Self {
        if cost.adds == Usd::ZERO {
            return Self::default();
        }
        Self {
            project: cost.ceiling.into_iter().chain(cost.unconfirmed).min(),
            owner: cost.owner.and_then(|owner| owner.ceiling),
        }
    }
}

impl Transition {
    /// What the turn adds to what no person has approved.
    pub fn unapproved(&self, request: &Request, resource: &Resource) -> i64 {
        // What a version before made is in no counter until its record says how much it is.
        let counted =
            |request: &Request, resource: &Resource| resource.unapproved.unwrap_or_default() + request.unapproved;
        counted(&self.request, &self.resource).saturating_sub(counted(request, resource)).micros()
    }

    /// The request holds what it adds. Without a person's approval that counts for the owner too.
    pub(super) fn hold(&mut self, request: &Request, adds: Usd, by_a_person: bool) {
        self.money = adds.saturating_sub(request.reserved).micros();
        self.request.reserved = adds;
        self.request.unapproved = if by_a_person { Usd::ZERO } else { adds };
    }

    /// A person is asked, and nothing is held meanwhile. Once applying began it may be running, and stays counted.
    pub(super) fn let_go(&mut self, request: &Request) {
        if !request.began {
            self.money = -request.reserved.micros();
            self.request.reserved = Usd::ZERO;
            self.request.unapproved = Usd::ZERO;
        }
    }

    /// The resource now costs what was asked; what was held for it is spent or given back.
    pub(super) fn settle(&mut self, request: &Request, resource: &Resource, by_a_person: bool) {
        let target = if request.command == Command::Deprovision { Usd::ZERO } else { request.monthly };
        let held = resource.committed + request.reserved;
        self.money = target.saturating_sub(held).micros();
        let unapproved = match &request.command {
            // Who approves a spec approves the resource as it is from then on.
            Command::Provision { .. } if by_a_person => Usd::ZERO,
            Command::Provision { .. } => {
                resource.unapproved() + target.saturating_sub(resource.committed).max(Usd::ZERO)
            }
            Command::RotateSecrets | Command::Deprovision => resource.unapproved(),
        };
        self.resource.committed = target;
        self.resource.unapproved = Some(unapproved.min(target));
        self.request.reserved = Usd::ZERO;
        self.request.unapproved = Usd::ZERO;
    }

    /// Nothing was applied, so what was held is given back. Once applying began it is kept on the resource: it may be running.
    pub(super) fn give_back(&mut self, request: &Request, resource: &Resource) {
        if request.began {
            self.resource.committed = resource.committed + request.reserved;
            // Where nobody knows how much of the resource was approved, that is still to be found out.
            self.resource.unapproved = resource.unapproved.map(|unapproved| unapproved + request.unapproved);
        } else {
            self.money = -request.reserved.micros();
        }
        self.request.reserved = Usd::ZERO;
        self.request.unapproved = Usd::ZERO;
    }
}
