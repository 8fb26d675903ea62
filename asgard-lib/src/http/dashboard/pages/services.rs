//! What can be asked for.

use crate::{
    app::services::{GetService, ListServices, ServiceSummary, ServiceView},
    domain::service::ApprovalKind,
    error::Result,
    http::dashboard::{
        frame::{Layout, PageRequest, Section, id},
        pages::ask::approval,
    },
};
use askama::Template;
use axum::{extract::Path, response::Response};
use serde_json::Value;

#[derive(Template)]
#[template(path = "pages/services.html")]
struct Services {
    layout: Layout,
    services: Vec<ServiceSummary>,
}

/// Shows every service.
pub(crate) async fn list(page_request: PageRequest) -> Response {
    page_request.answer(list_page(&page_request).await)
}

async fn list_page(page_request: &PageRequest) -> Result<Response> {
    let services = page_request.submit(&ListServices {}).await?.items;
    page_request.page(&Services { layout: page_request.layout(Section::Services), services }, None)
}

#[derive(Template)]
#[template(path = "pages/service.html")]
struct Service {
    layout: Layout,
    service: ServiceView,
    approval: &'static str,
    inputs: Vec<InputRow>,
}

/// An input as the catalogue shows it.
struct InputRow {
    name: String,
    kind: String,
    required: bool,
    default: Option<String>,
    description: String,
    secret: bool,
}

/// Shows a service.
pub(crate) async fn show(page_request: PageRequest, Path(service): Path<String>) -> Response {
    page_request.answer(page(&page_request, &service).await)
}

async fn page(page_request: &PageRequest, service: &str) -> Result<Response> {
    let service = page_request.submit(&GetService { service: id(service, "service")? }).await?;
    let page = Service {
        layout: page_request.layout(Section::Services),
        approval: approval(service.summary.approval),
        inputs: inputs(&service),
        service,
    };
    page_request.page(&page, None)
}

fn inputs(service: &ServiceView) -> Vec<InputRow> {
    let required: Vec<&str> = service
        .input_schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = service.input_schema.get("properties").and_then(Value::as_object);
    let row = |(name, about): (&String, &Value)| InputRow {
        kind: kind(about),
        required: required.contains(&name.as_str()),
        default: about.get("default").map(ToString::to_string),
        description: about.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
        secret: service.sensitive_inputs.contains(name),
        name: name.clone(),
    };
    let mut rows: Vec<InputRow> = properties.into_iter().flatten().map(row).collect();
    rows.sort_by_key(|row| !row.required);
    rows
}

/// What an input holds, with its limits.
fn kind(about: &Value) -> String {
    if let Some(values) = about.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    let name = match about.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => other.to_string(),
        None => "any".to_owned(),
    };
    let limit = |key: &str| about.get(key).map(ToString::to_string);
    match (limit("minimum"), limit("maximum")) {
        (Some(min), Some(max)) => format!("{name}, {min} to {max}"),
        (Some(min), None) => format!("{name}, {min} or more"),
        (None, Some(max)) => format!("{name}, at most {max}"),
        (None, None) => name,
    }
}
