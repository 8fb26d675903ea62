//! Asking for a resource.

use super::{
    RequestView,
    open::{Asked, Wanted, open},
};
use crate::{
    app::{
        Asgard, Hints, Meta, Operation, Reads, Route, Tx,
        core::operation::Method::Post,
        core::scope::ReadMode,
        requests::inputs::{PreparedInputs, secret_claims, take_inputs},
        services::Service,
        views::ResourceView,
    },
    domain::{
        access::Action,
        project::Project,
        request::{Command, Request, RequestStatus, Target, admit},
        resource::Resource,
    },
    error::{Code, Error, Result},
    kernel::{AccountName, ProjectId, ResourceName, Slug},
    ports::{records::Stored, store::ReadBatch},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use typed_builder::TypedBuilder;

/// Asks for a resource, or for a change of one.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RequestResource {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The service's id, from `list_services`. `resource_type` means the same.
    #[serde(alias = "resource_type")]
    pub service: Slug,
    /// The resource's name: 2 to 40 of a-z, 0-9 and -. The same service and name again updates the resource in place.
    pub name: ResourceName,
    /// The inputs of the service, by name; `get_service` gives their JSON Schema.
    #[serde(default)]
    #[builder(default)]
    pub spec: Map<String, Value>,
    /// The cloud; only the service's own is accepted, so leave it out.
    #[serde(default)]
    #[builder(default)]
    pub cloud: Option<Slug>,
    /// The account or tenant to create the resource in; the first one that is allowed unless told.
    #[serde(default)]
    #[builder(default)]
    #[schemars(with = "Option<AccountName>")]
    pub account: Option<String>,
}

/// What asking led to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Requested {
    /// The request: poll it with `get_request` until its status is fulfilled, rejected, cancelled, failed or needs_attention.
    pub request: RequestView,
    /// The resource with its outputs, once they are there.
    pub resource: ResourceView,
    /// Whether asking changed anything: `false` when it is so already, or the same request is open.
    pub changed: bool,
}

impl Requested {
    /// What an opened or open request looks like.
    pub fn of(tx: &Tx<'_>, asked: Asked) -> Result<Self> {
        match asked {
            Asked::Opened(request, resource) => Ok(Self {
                request: RequestView::of(&request, tx.version()),
                resource: ResourceView::of(&resource, Some(&request), tx.version()),
                changed: true,
            }),
            Asked::Underway(request, resource) => Ok(Self {
                resource: ResourceView::of(&resource.value, Some(&request.value), &resource.version),
                request: RequestView::stored(&request),
                changed: false,
            }),
            Asked::Unchanged(_) => {
                Err(Error::new(Code::WrongState, "The resource is as asked already; there is nothing to do."))
            }
        }
    }
}

impl Operation for RequestResource {
    type Output = Requested;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "requests.create",
        title: "Request a resource",
        description: "Asks for a resource of a service, or for a change of one: the same service and name again updates it in place, and the same spec \
                      again changes nothing. Answers at once with the request; it is planned, approved by policy or a person, and carried out. \
                      Poll get_request (wait_s up to 50) until it is fulfilled; then the outputs are in the resource and secret values come from get_secret.",
        action: Action::Ask,
        routes: &[
            Route { method: Post, path: "/requests", status: 202 },
            Route { method: Post, path: "/projects/{project_id}/resources", status: 202 },
        ],
        tools: &["request_resource"],
        hints: Hints::SET,
        creates: true,
    };

    type Permit = Stored<Project>;
    type Prepared = PreparedInputs;
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Project>> {
        // What everything else follows from comes with the project.
        if let Ok(project) = reads.project_id(self.project_id.as_ref()) {
            let mut claims = vec![
                Resource::name_claim(&project, &self.service, &self.name),
                Request::open_claim(&project, &self.service, &self.name),
            ];
            if let Ok(service) = reads.app().services().need(&self.service) {
                claims.extend(secret_claims(&project, service, &self.name, &self.spec));
            }
            reads.ahead(ReadBatch { keys: Vec::new(), claims, counters: vec![Project::committed_counter(&project)] });
        }
        let (project, _) = reads.project(self.project_id.as_ref(), Action::Ask, ReadMode::Checked).await?;
        Ok(project)
    }

    fn prepared_nothing(prepared: &PreparedInputs) -> bool {
        prepared.is_empty()
    }

    /// Stores the values of sensitive inputs.
    async fn prepare(
        &self,
        reads: &mut Reads<'_>,
        project: &Stored<Project>,
        before: Option<PreparedInputs>,
    ) -> Result<PreparedInputs> {
        let (service, spec, _) = self.admitted(reads.app())?;
        project.require_active()?;
        PreparedInputs::of(reads, &project.id, service, &self.name, &spec, before).await
    }

    async fn decide(&self, tx: &mut Tx<'_>, project: Stored<Project>, prepared: &PreparedInputs) -> Result<Requested> {
        let (service, spec, target) = self.admitted(tx.app())?;
        project.require_active()?;
        let existing = tx.holder(&Resource::name_claim(&project.id, &self.service, &self.name)).await?;
        let resource = prepared.resource(tx, existing.and_then(|id| id.parse().ok()))?;
        let spec = take_inputs(tx, &project.id, &resource, service, &self.name, spec, prepared).await?;
        let wanted = Wanted {
            project: &project,
            service,
            name: &self.name,
            target,
            command: Command::Provision { spec },
            fresh: resource,
        };
        match open(tx, wanted).await? {
            asked @ (Asked::Opened(..) | Asked::Underway(..)) => Requested::of(tx, asked),
            Asked::Unchanged(resource) => {
                let last =
                    tx.read::<Request>(resource.request.as_str()).await?.ok_or_else(|| Error::not_found("request"))?;
                let mut request = RequestView::stored(&last);
                // The resource is as asked whatever its last request was about, a failed plan for instance.
                request.status = RequestStatus::Fulfilled;
                Ok(Requested {
                    request,
                    resource: ResourceView::of(&resource.value, Some(&last.value), &resource.version),
                    changed: false,
                })
            }
        }
    }
}

impl RequestResource {
    /// The service, the checked spec and the target, as far as the command and the settings decide.
    fn admitted<'a>(&self, app: &'a Asgard) -> Result<(&'a Arc<Service>, Map<String, Value>, Target)> {
        let service = app.services().need(&self.service)?;
        let spec = self.own_spec(service.manifest.input_names().contains(&"name"))?;
        service.check_spec(&spec)?;
        let target =
            admit(&service.manifest, self.cloud.as_ref(), self.account.as_deref(), &app.services().allow_list())?;
        Ok((service, spec, target))
    }

    /// The spec without a repeated `name`, which the runbooks give inside it.
    fn own_spec(&self, is_an_input: bool) -> Result<Map<String, Value>> {
        let mut spec = self.spec.clone();
        let repeated = if is_an_input { None } else { spec.remove("name") };
        if repeated.is_some_and(|repeated| repeated.as_str() != Some(self.name.as_str())) {
            let message = format!("`name` may be repeated inside the spec, but then it must be `{}` too.", self.name);
            return Err(Error::invalid("spec.name", message));
        }
        Ok(spec)
    }
}
