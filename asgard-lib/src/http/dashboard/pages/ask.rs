//! Asking for a resource: choose a service, fill in a form made from its input schema.

mod inputs;

use crate::{
    app::{
        requests::RequestResource,
        resources::{GetResource, ResourceView},
        services::{GetService, ListServices, OutputView, ServiceSummary, ServiceView},
    },
    domain::service::ApprovalKind,
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section, id},
        pages::projects::{Head, Tab},
        widgets::{Field, Fields, FormData},
    },
    kernel::ResourceId,
};
use askama::Template;
use axum::{extract::Path, response::Response};
use inputs::{Filled, Inputs};
use serde_json::{Map, Value};

#[derive(Template)]
#[template(path = "pages/ask_service.html")]
struct Choose {
    layout: Layout,
    head: Head,
    services: Vec<ServiceSummary>,
}

/// Shows what can be asked for.
pub(crate) async fn choose(page_request: PageRequest, Path(project): Path<String>) -> Response {
    page_request.answer(choose_page(&page_request, &project).await)
}

async fn choose_page(page_request: &PageRequest, project: &str) -> Result<Response> {
    let head = Head::load(page_request, project, Tab::Resources).await?;
    let services = page_request.submit(&ListServices {}).await?.items;
    page_request.page(&Choose { layout: page_request.layout(Section::Projects), head, services }, None)
}

#[derive(Template)]
#[template(path = "pages/ask.html")]
struct Ask {
    layout: Layout,
    head: Head,
    service: ServiceView,
    approval: &'static str,
    once: String,
    fields: Fields,
    groups: Vec<(String, Fields)>,
    changing: Option<ResourceView>,
    outputs: Vec<(String, OutputView)>,
}

/// How a service is approved, in a sentence.
pub(crate) const fn approval(kind: ApprovalKind) -> &'static str {
    match kind {
        ApprovalKind::Auto => {
            "Passes by itself while the project stays below what its tier lets pass; otherwise a person approves."
        }
        ApprovalKind::Human => "A person always approves.",
        ApprovalKind::ByInput => {
            "A person approves when an input asks for it; otherwise it passes while the project stays below what its tier lets pass."
        }
    }
}

/// Shows the form of a service, filled in with what a resource has when one is to be changed.
pub(crate) async fn form(page_request: PageRequest, Path((project, service)): Path<(String, String)>) -> Response {
    page_request.answer(page(&page_request, &project, &service, None, Vec::new()).await)
}

async fn page(
    page_request: &PageRequest,
    project: &str,
    service: &str,
    form_data: Option<&FormData>,
    errors: Vec<Error>,
) -> Result<Response> {
    let head = Head::load(page_request, project, Tab::Resources).await?;
    let service = page_request.submit(&GetService { service: id(service, "service")? }).await?;
    let changing = changing(page_request, &head, &service).await?;
    let inputs = Inputs::of(&service.input_schema, &service.sensitive_inputs);
    let mut name = Field::line("name", "Name").required().longest(40).mono();
    name = match &changing {
        Some(resource) => name.value(resource.name.as_str()).read_only(),
        None => name.help("2 to 40 of a-z, 0-9 and -. The same service and name again changes that resource."),
    };
    let mut plain = vec![name];
    let mut groups = Vec::new();
    for (group, fields) in inputs.fields(changing.as_ref().map(|resource| &resource.spec)) {
        match group {
            None => plain.extend(fields),
            Some(group) => groups.push((group, Fields(fields).keep(form_data))),
        }
    }
    if service.summary.cloud.as_str() != "local" && changing.is_none() {
        plain.push(
            Field::line("account", "Account or tenant")
                .longest(128)
                .help("The first allowed one unless you say which."),
        );
    }
    let mut fields = Fields(plain).keep(form_data);
    for error in &errors {
        let beside = fields.blame(error);
        if !beside {
            groups.iter_mut().any(|(_, group)| group.blame(error));
        }
    }
    let error = errors.into_iter().next();
    let page = Ask {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        once: page_request.once_again(form_data, error.as_ref()),
        approval: approval(service.summary.approval),
        outputs: service.outputs.iter().map(|(name, about)| (name.clone(), about_output(about))).collect(),
        head,
        fields,
        groups,
        changing,
        service,
    };
    page_request.page(&page, error)
}

fn about_output(output: &OutputView) -> OutputView {
    OutputView { description: output.description.clone(), secret: output.secret }
}

/// The resource that the address names, if it is one of this project and service.
async fn changing(page_request: &PageRequest, head: &Head, service: &ServiceView) -> Result<Option<ResourceView>> {
    let Some(resource) = page_request.query().given("resource") else { return Ok(None) };
    let resource_id: ResourceId = id(resource, "resource")?;
    let project_id = Some(head.project.project_id.clone());
    let resource = page_request.submit(&GetResource { project_id, resource_id }).await?;
    Ok(Some(resource).filter(|resource| resource.service == service.summary.id))
}

/// Asks for the resource.
pub(crate) async fn ask(
    page_request: PageRequest,
    Path((project, service)): Path<(String, String)>,
    form_data: FormData,
) -> Response {
    let came_to = match try_ask(&page_request, &project, &service, &form_data).await {
        Ok(response) => Ok(response),
        Err(errors) => page(&page_request, &project, &service, Some(&form_data), errors).await,
    };
    page_request.answer(came_to)
}

async fn try_ask(
    page_request: &PageRequest,
    project: &str,
    service: &str,
    form_data: &FormData,
) -> Result<Response, Vec<Error>> {
    let one = |error: Error| vec![error];
    let about =
        page_request.submit(&GetService { service: id(service, "service").map_err(one)? }).await.map_err(one)?;
    let inputs = Inputs::of(&about.input_schema, &about.sensitive_inputs);
    let spec = match inputs.read(form_data) {
        Filled::Spec(spec) => spec,
        Filled::Wrong(errors) => return Err(errors),
    };
    let ask = request(project, about, spec, form_data).map_err(one)?;
    let asked = page_request.submit_once(&ask, form_data).await.map_err(one)?;
    let flash = if asked.changed { Flash::Requested } else { Flash::Unchanged };
    Ok(page_request.done(&format!("/requests/{}", asked.request.request_id), flash))
}

fn request(
    project: &str,
    about: ServiceView,
    spec: Map<String, Value>,
    form_data: &FormData,
) -> Result<RequestResource> {
    Ok(RequestResource {
        project_id: Some(id(project, "project")?),
        service: about.summary.id,
        name: form_data.read("name")?,
        spec,
        cloud: None,
        account: form_data.given("account").map(str::to_owned),
    })
}
