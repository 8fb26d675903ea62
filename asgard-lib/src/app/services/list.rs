//! The catalogue of services.

use crate::{
    app::{Asgard, Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Get, services::Service},
    domain::{
        access::{Action, Object},
        service::{ApprovalKind, Output, Retry},
    },
    error::Result,
    kernel::{Page, Slug},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use typed_builder::TypedBuilder;

/// A service in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ServiceSummary {
    /// The service's id; pass it to `request_resource` as `service`.
    pub id: Slug,
    /// The service's name for people.
    pub title: String,
    /// What the service provides.
    pub description: String,
    /// The cloud that the service creates things in, for example `aws` or `local`.
    pub cloud: Slug,
    /// Who approves: `auto` (policy, up to a ceiling), `human` (always a person) or `by_input` (one of the inputs says
    /// so).
    pub approval: ApprovalKind,
    /// The names of the inputs; `get_service` describes them.
    pub inputs: Vec<String>,
}

/// An output of a service.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct OutputView {
    /// What the output holds.
    pub description: String,
    /// Whether it is a secret, readable through `get_secret` only.
    pub secret: bool,
}

/// A service with its inputs and outputs.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ServiceView {
    /// The same fields as in `list_services`.
    #[serde(flatten)]
    pub summary: ServiceSummary,
    /// JSON Schema of the spec that `request_resource` takes.
    pub input_schema: Value,
    /// The names of the inputs whose values are stored as secrets.
    pub sensitive_inputs: Vec<String>,
    /// The outputs that a resource of this service has, by name.
    pub outputs: BTreeMap<String, OutputView>,
    /// Whether an interrupted run may simply be run again.
    pub safe_to_retry: bool,
    /// Whether requests really create something here, or are dry runs with made-up outputs.
    pub armed: bool,
}

fn summary(service: &Service) -> ServiceSummary {
    let manifest = &service.manifest;
    ServiceSummary {
        id: manifest.id.clone(),
        title: manifest.title.to_string(),
        description: manifest.description.clone(),
        cloud: manifest.cloud.clone(),
        approval: manifest.approval.kind(),
        inputs: manifest.input_names().into_iter().map(str::to_owned).collect(),
    }
}

fn view(app: &Asgard, service: &Service) -> ServiceView {
    let manifest = &service.manifest;
    let output = |output: &Output| OutputView { description: output.description.clone(), secret: output.secret };
    ServiceView {
        summary: summary(service),
        input_schema: manifest.inputs.clone(),
        sensitive_inputs: manifest.sensitive_inputs.clone(),
        outputs: manifest.outputs.iter().map(|(name, about)| (name.clone(), output(about))).collect(),
        safe_to_retry: match manifest.retry {
            Retry::Safe => true,
            Retry::Unsafe => false,
        },
        armed: !app.runner().is_dry(),
    }
}

/// Lists the services.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ListServices {}

impl SimpleOperation for ListServices {
    type Output = Page<ServiceSummary>;
    const META: Meta = Meta {
        name: "services.list",
        title: "List services",
        description: "What can be requested here. get_service shows a service's inputs and outputs.",
        action: Action::ReadServices,
        routes: &[Route { method: Get, path: "/services", status: 200 }],
        tools: &["list_services"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<ServiceSummary>> {
        tx.allow(Action::ReadServices, &Object::Nothing)?;
        Ok(Page { items: tx.app().services().iter().map(|service| summary(service)).collect(), next_cursor: None })
    }
}

/// Shows a service.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetService {
    /// The service's id, for example `local-demo`, from `list_services`.
    pub service: Slug,
}

impl SimpleOperation for GetService {
    type Output = ServiceView;
    const META: Meta = Meta {
        name: "services.get",
        title: "Get a service",
        description: "A service with the JSON Schema of its spec and what it gives back.",
        action: Action::ReadServices,
        routes: &[Route { method: Get, path: "/services/{service}", status: 200 }],
        tools: &["get_service"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ServiceView> {
        tx.allow(Action::ReadServices, &Object::Nothing)?;
        let app = tx.app();
        Ok(view(app, app.services().need(&self.service)?))
    }
}
