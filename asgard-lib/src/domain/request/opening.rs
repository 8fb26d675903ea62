//! What opening a request decides: what it will cost a month, and the resource as it shall be while it is carried out.

use super::{Command, Target};
use crate::{
    domain::{
        resource::{Resource, ResourceStatus, Spec},
        service::Manifest,
    },
    error::{Error, Result},
    kernel::{ActorRef, ProjectId, RequestId, ResourceId, ResourceName, Slug, Timestamp, Usd},
};
use serde_json::Map;
use std::collections::BTreeMap;

/// What a resource gets that is not there yet.
#[derive(Clone, Debug)]
pub struct NewResource<'a> {
    /// Its id.
    pub id: ResourceId,
    /// The project.
    pub project: &'a ProjectId,
    /// The service.
    pub service: &'a Slug,
    /// Its name.
    pub name: &'a ResourceName,
    /// Where.
    pub target: &'a Target,
    /// Who asks.
    pub by: &'a ActorRef,
}

/// What the resource costs a month once the command is carried out.
pub fn monthly(command: &Command, manifest: &Manifest, existing: Option<&Resource>) -> Result<Usd> {
    match (command, existing) {
        (Command::Provision { spec }, _) => manifest.monthly(spec),
        (Command::RotateSecrets, Some(resource)) => Ok(resource.committed),
        (Command::RotateSecrets, None) | (Command::Deprovision, _) => Ok(Usd::ZERO),
    }
}

/// The status of a resource while a command is carried out on it, by whether there is one.
fn status(command: &Command, existing: Option<&Resource>) -> Result<ResourceStatus> {
    match (command, existing.map(|resource| (resource.status, resource.provisioned_at))) {
        (Command::Provision { .. }, None | Some((ResourceStatus::Failed, None))) => Ok(ResourceStatus::Provisioning),
        (Command::Provision { .. } | Command::RotateSecrets, Some(_)) => Ok(ResourceStatus::Updating),
        (Command::Deprovision, Some(_)) => Ok(ResourceStatus::Destroying),
        (Command::RotateSecrets | Command::Deprovision, None) => Err(Error::not_found("resource")),
    }
}

/// The resource of a request that is opened: the existing one on its way, or a new one of which nothing was made yet.
///
/// # Errors
///
/// There is none, and the command makes none; or what it is cannot become what the command makes of it.
pub fn opened(
    command: &Command,
    existing: Option<&Resource>,
    new: NewResource<'_>,
    request: &RequestId,
    now: Timestamp,
) -> Result<Resource> {
    let status = status(command, existing)?;
    if let Some(resource) = existing {
        return Ok(Resource { request: request.clone(), ..resource.go(status, now)? });
    }
    Ok(Resource {
        id: new.id,
        project: new.project.clone(),
        service: new.service.clone(),
        name: new.name.clone(),
        target: new.target.clone(),
        status,
        spec: match command {
            Command::Provision { spec } => spec.clone(),
            Command::RotateSecrets | Command::Deprovision => Spec::default(),
        },
        outputs: Map::new(),
        secret_refs: BTreeMap::new(),
        committed: Usd::ZERO,
        unapproved: Some(Usd::ZERO),
        rotation: 0,
        dry_run: false,
        request: request.clone(),
        attention: None,
        drift: Vec::new(),
        refreshed_at: None,
        created_at: now,
        created_by: new.by.clone(),
        unmade: true,
        half_made_asks: false,
        provisioned_at: None,
        updated_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::Code,
        kernel::{Actor, id::TimeOrdered},
    };

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn commands() -> [Command; 3] {
        [Command::Provision { spec: Spec::default() }, Command::RotateSecrets, Command::Deprovision]
    }

    fn opened_on(command: &Command, existing: Option<&Resource>) -> Result<Resource> {
        let (slug, name): (Slug, ResourceName) = ("thing".parse().unwrap(), "one".parse().unwrap());
        let target: Target = serde_json::from_value(serde_json::json!({"cloud": "local"})).unwrap();
        let (project, by) = (ProjectId::new(2026, 1), Actor::System { name: "test" }.reference());
        let (id, request) = (ResourceId::from_digest(&[7; 32]), RequestId::build(now(), [1; 10]));
        let new = NewResource { id, project: &project, service: &slug, name: &name, target: &target, by: &by };
        opened(command, existing, new, &request, now())
    }

    #[test]
    fn the_command_and_what_is_there_say_what_the_resource_becomes() {
        let [provision, rotate, remove] = commands();
        let new = opened_on(&provision, None).unwrap();
        assert_eq!((new.status, new.unmade, new.committed), (ResourceStatus::Provisioning, true, Usd::ZERO));
        for command in [&rotate, &remove] {
            assert_eq!(opened_on(command, None).unwrap_err().code(), Code::NotFound, "{}", command.name());
        }
        let was = |status, provisioned: bool| Resource {
            status,
            provisioned_at: provisioned.then_some(now()),
            ..new.clone()
        };
        for (command, before, becomes) in [
            (&provision, was(ResourceStatus::Failed, false), ResourceStatus::Provisioning),
            (&provision, was(ResourceStatus::Failed, true), ResourceStatus::Updating),
            (&provision, was(ResourceStatus::Provisioned, true), ResourceStatus::Updating),
            (&rotate, was(ResourceStatus::Provisioned, true), ResourceStatus::Updating),
            (&remove, was(ResourceStatus::Provisioned, true), ResourceStatus::Destroying),
            (&remove, was(ResourceStatus::Failed, true), ResourceStatus::Destroying),
        ] {
            let after = opened_on(command, Some(&before)).unwrap();
            assert_eq!((after.status, &after.id), (becomes, &before.id), "{} of {:?}", command.name(), before.status);
        }
        assert!(opened_on(&rotate, Some(&was(ResourceStatus::Destroyed, true))).is_err(), "what is gone stays gone");
    }
}
