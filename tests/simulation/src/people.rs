//! People who work: an owner who asks for things, and a manager who approves or rejects them.

use crate::{dice::Dice, keys, simulation::Simulation};
use asgard_lib::{
    Code, Error, Result,
    app::{
        Asgard, Call, Operation,
        projects::RegisterProject,
        requests::{Approve, Cancel, ListPending, ListRequests, Reject, RequestResource},
        resources::{DeprovisionResource, ListResources, RetryResource},
    },
    domain::request::RequestStatus,
    kernel::{self, Actor, ProjectId, Role, TokenId, UserId},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// The names that things are asked for under.
const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];
const SERVICES: [&str; 3] = ["counted", "fragile", "asked"];
/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Person {
    /// Owns the project.
    Owner,
    /// Manages it.
    Manager,
    /// Runs Asgard.
    Admin,
}

impl Person {
    /// The person as an actor.
    pub fn actor(self) -> Option<Actor> {
        let (name, role, digit) = match self {
            Self::Owner => ("owner@corp.example", Role::Member, 1),
            Self::Manager => ("manager@corp.example", Role::Member, 2),
            Self::Admin => ("admin@corp.example", Role::Admin, 3),
        };
        Some(Actor::UserToken {
            person: kernel::Person::verified(UserId::from_digest(&[digit; 32]), name.parse().ok()?),
            role,
            token: TokenId::from_digest(&[digit; 32]),
        })
    }
}

/// Everybody's work.
pub struct People {
    simulation: Arc<Simulation>,
    dice: Dice,
    project: ProjectId,
}

impl People {
    /// Works until the course is over.
    pub async fn work(simulation: Arc<Simulation>) {
        let dice = Dice::of(simulation.seed, "people");
        let end = Instant::now() + Duration::from_secs(60 * simulation.course.minutes);
        let register = json!({"name": "Pilot", "owner_email": "owner@corp.example", "manager_email": "manager@corp.example", "group": "g"});
        let project = loop {
            if let Some(Ok(project)) =
                call::<RegisterProject>(&simulation, &dice, Person::Owner, register.clone()).await
            {
                break project.project_id;
            }
            sleep(Duration::from_secs(1)).await;
        };
        keys::leave_keys(&simulation, &project).await;
        let people = Self { simulation, dice, project };
        while Instant::now() < end {
            sleep(people.dice.millis(500, 15_000)).await;
            people.act().await;
        }
    }

    async fn act(&self) {
        let (dice, project) = (&self.dice, self.project.as_str());
        match dice.below(100) {
            0..45 => {
                let (Some(service), Some(name)) = (dice.pick(&SERVICES), dice.pick(&NAMES)) else { return };
                let spec = json!({"things": dice.below(5), "label": if dice.percent(50) { "a" } else { "b" }});
                let ask = json!({"project_id": project, "service": service, "name": name, "spec": spec});
                self.call::<RequestResource>(Person::Owner, ask).await;
            }
            45..75 => {
                let Some(pending) = self.call::<ListPending>(Person::Manager, json!({})).await else { return };
                let Some(request) = dice.pick(&pending.items) else { return };
                let decision = json!({"request_id": request.request_id, "version": request.version});
                if dice.percent(85) {
                    // Noted before: the reply may be lost, and the approval counts all the same.
                    let digest = request.plan.as_ref().map(|plan| plan.digest.clone()).unwrap_or_default();
                    let basis = digest.rsplitn(3, '|').nth(2).unwrap_or_default().to_owned();
                    self.simulation.notes.approved(request.request_id.as_str(), &basis);
                    self.call::<Approve>(Person::Manager, decision).await;
                } else {
                    self.call::<Reject>(Person::Manager, decision).await;
                }
            }
            75..83 => {
                let list = json!({"project_id": project, "limit": 20});
                let Some(requests) = self.call::<ListRequests>(Person::Owner, list).await else { return };
                let open: Vec<_> = requests.items.iter().filter(|request| !request.status.is_over()).collect();
                let Some(request) = dice.pick(&open) else { return };
                self.call::<Cancel>(Person::Owner, json!({"request_id": request.request_id})).await;
            }
            number => {
                let list = json!({"project_id": project, "limit": 50});
                let Some(resources) = self.call::<ListResources>(Person::Owner, list).await else { return };
                let Some(resource) = dice.pick(&resources.items) else { return };
                let named = json!({"resource_id": resource.resource_id});
                // What a person has to look at first is left alone: nobody here looks.
                let looked_at =
                    resource.request_state == Some(RequestStatus::NeedsAttention) || resource.attention.is_some();
                if number < 93 {
                    self.call::<DeprovisionResource>(Person::Owner, named).await;
                } else if !looked_at || resource.service.as_str() != "fragile" {
                    self.call::<RetryResource>(Person::Owner, named).await;
                }
            }
        }
    }

    async fn call<O: Operation + Send + Sync>(&self, person: Person, command: Value) -> Option<O::Output> {
        call::<O>(&self.simulation, &self.dice, person, command).await?.ok()
    }
}

/// Calls an operation on some host that serves. `None` when none does, or the host died before it answered.
pub async fn call<O: Operation>(
    simulation: &Arc<Simulation>,
    dice: &Dice,
    person: Person,
    command: Value,
) -> Option<Result<O::Output>> {
    let host = dice.pick(&simulation.hosts)?;
    let (pid, app) = simulation.server_of(host)?;
    let command: O = serde_json::from_value(command).ok()?;
    let (reply, answer) = tokio::sync::oneshot::channel();
    let actor = person.actor()?;
    host.run(pid, async move {
        let _ = reply.send(run(&app, actor, &command).await);
    });
    let answer = tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?;
    let outcome = answer.as_ref().err().map(Error::code);
    simulation.notes.called(&format!("{} {person:?}: {outcome:?}", O::META.name), outcome.is_some());
    if let Some(Code::Bug) = outcome {
        let why = answer.as_ref().err().map(Error::chain).unwrap_or_default();
        simulation.notes.violation(format!("{} was answered with a bug: {why}", O::META.name));
    }
    Some(answer)
}

async fn run<O: Operation>(app: &Arc<Asgard>, actor: Actor, command: &O) -> Result<O::Output> {
    app.run(&Call::by(actor, app.new_trace()), command).await
}
