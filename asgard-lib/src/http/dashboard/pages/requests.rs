//! Requests: one with its plan and its decision, all of them, and what waits for a person.

mod act;
mod inbox;
mod steps;

pub(crate) use act::{approve, cancel, reject};
pub(crate) use inbox::inbox;

use crate::{
    app::{
        projects::{GetProject, ProjectView},
        requests::{GetRequest, ListRequests, RequestView},
        resources::{ResourceRuns, RunView},
    },
    domain::{
        access::{Action, Object, decide, may_approve_of, satisfies},
        project::Lifecycle,
        request::{Command, RequestStatus},
    },
    error::{Code, Error, Result},
    http::dashboard::{
        frame::{Layout, PageRequest, Section, id},
        pages::projects::{May, subject},
        widgets::{Badge, Field, Fields, FormData, Pager, PlanTable, RequestTable, RunTable, Values, money, verb, who},
    },
    kernel::{BasePath, Limit},
};
use askama::Template;
use axum::{extract::Path, response::Response};
use steps::{Step, steps};

/// What a visitor may decide about a request.
pub(crate) enum AllowedDecisions {
    /// Nothing: it does not wait for a person.
    Over,
    /// Approve or reject it.
    Both {
        /// Whether approving would be approving their own.
        own: bool,
    },
    /// Reject it, but not approve it, and why.
    RejectOnly {
        /// The rule.
        why: String,
    },
    /// Neither, and why.
    Neither {
        /// The rule.
        why: String,
    },
}

impl AllowedDecisions {
    /// About a request of a project, by the rule that the operation follows.
    pub(crate) fn of(page_request: &PageRequest, request: &RequestView, project: &ProjectView) -> Self {
        if request.status != RequestStatus::Pending {
            return Self::Over;
        }
        let (actor, subject) = (page_request.actor(), subject(project));
        let alone = page_request.app().config().registration.require_manager;
        match may_approve_of(actor, &subject, &request.requested_by, &request.barred, alone) {
            Ok(_) if project.status != Lifecycle::Active => Self::RejectOnly {
                why: format!("The project is {}; nothing of it is carried out.", project.status.name()),
            },
            Ok(_) if !request.waits_for.iter().any(|approver| satisfies(actor, approver)) => {
                let names: Vec<String> = request.waits_for.iter().map(ToString::to_string).collect();
                Self::RejectOnly { why: format!("Policy waits for {} to approve this.", names.join(", and ")) }
            }
            Ok(own) => Self::Both { own },
            Err(error) => {
                let why = error.message().to_owned();
                match decide(Action::Decide, actor, &Object::Project(&subject)) {
                    Ok(()) => Self::RejectOnly { why },
                    Err(_) => Self::Neither { why },
                }
            }
        }
    }
}

/// The form that decides a request.
#[derive(Template)]
#[template(path = "parts/decide.html")]
pub(crate) struct DecideForm {
    base: BasePath,
    allowed: AllowedDecisions,
    request: String,
    version: String,
    what: String,
    back: &'static str,
    note: Field,
}

impl askama::filters::HtmlSafe for DecideForm {}

impl DecideForm {
    /// For a request; `back` is where deciding leads, below the base path.
    pub(crate) fn new(allowed: AllowedDecisions, request: &RequestView, base: &BasePath, back: &'static str) -> Self {
        let note = Field::line("note", "Note").longest(500).help("For whoever asked, and for the record.");
        Self {
            base: base.clone(),
            allowed,
            what: title(request),
            request: request.request_id.to_string(),
            version: request.version.to_string(),
            back,
            note: note.within(request.request_id.as_str()),
        }
    }

    fn keep(mut self, form_data: Option<&FormData>, error: Option<&Error>) -> Self {
        let mut fields = Fields(vec![self.note]).keep(form_data);
        if let Some(error) = error {
            fields.blame(error);
        }
        self.note = fields.0.pop().unwrap_or_else(|| Field::line("note", "Note"));
        self
    }
}

/// A request in words.
pub(crate) fn title(request: &RequestView) -> String {
    format!("{} {} {}", verb(&request.command), request.service, request.name)
}

#[derive(Template)]
#[template(path = "pages/request.html")]
struct Page {
    layout: Layout,
    title: String,
    request: RequestView,
    project: ProjectView,
    badge: Badge,
    steps: Vec<Step>,
    cost: String,
    by: String,
    decide: DecideForm,
    cancel: bool,
    plan: Option<PlanTable>,
    inputs: Option<Values>,
    runs: Option<RunTable>,
    may: May,
    open: bool,
}

/// Shows a request.
pub(crate) async fn show(page_request: PageRequest, Path(request): Path<String>) -> Response {
    page_request.answer(page(&page_request, &request, None, None).await)
}

async fn page(
    page_request: &PageRequest,
    request: &str,
    form_data: Option<&FormData>,
    error: Option<Error>,
) -> Result<Response> {
    let request = page_request.submit(&GetRequest::waiting(id(request, "request")?, 0)).await?;
    let project = page_request.submit(&GetProject { project_id: Some(request.project_id.clone()) }).await?;
    let runs = runs_of(page_request, &request).await?;
    let may = May::of(page_request.actor(), &subject(&project));
    let allowed = AllowedDecisions::of(page_request, &request, &project);
    let inputs = match &request.command {
        Command::Provision { spec } if !spec.is_empty() || !spec.secret_inputs.is_empty() => {
            Some(Values::new(spec, "input", false).with_secrets(spec.secret_inputs.keys()))
        }
        Command::Provision { .. } | Command::RotateSecrets | Command::Deprovision => None,
    };
    let base = page_request.base();
    let page = Page {
        layout: page_request.layout(Section::Projects).with(error.as_ref().map(|error| page_request.banner(error))),
        title: title(&request),
        badge: Badge::request(request.status),
        steps: steps(&request, &runs, page_request.now),
        cost: money(request.monthly_usd.0),
        by: who(&request.requested_by),
        decide: DecideForm::new(allowed, &request, page_request.base(), "").keep(form_data, error.as_ref()),
        cancel: !request.status.is_over() && !request.cancel_requested,
        plan: request.plan.as_ref().map(|plan| PlanTable::new(plan, base, request.plan_run.as_ref())),
        inputs,
        runs: (!runs.is_empty()).then(|| RunTable::new(runs, page_request.base(), page_request.now)),
        open: !request.status.is_over(),
        may,
        project,
        request,
    };
    page_request.page(&page, error)
}

/// The runs that carried a request out, newest first.
async fn runs_of(page_request: &PageRequest, request: &RequestView) -> Result<Vec<RunView>> {
    let ask = ResourceRuns {
        project_id: Some(request.project_id.clone()),
        resource_id: request.resource_id.clone(),
        cursor: None,
        limit: Limit::default(),
    };
    let mut runs = page_request.submit(&ask).await?.items;
    runs.retain(|run| run.request_id.as_ref() == Some(&request.request_id));
    Ok(runs)
}

#[derive(Template)]
#[template(path = "pages/requests.html")]
struct All {
    layout: Layout,
    table: Option<RequestTable>,
    pager: Pager,
}

/// Shows every request, to admins.
pub(crate) async fn all(page_request: PageRequest) -> Response {
    page_request.answer(all_page(&page_request).await)
}

async fn all_page(page_request: &PageRequest) -> Result<Response> {
    if !page_request.is_admin() {
        let why = "Only an admin sees the requests of every project at once. A project's own page shows its requests.";
        return Err(Error::new(Code::Denied, why));
    }
    let found = page_request
        .submit(&ListRequests { project_id: None, cursor: page_request.cursor(), limit: Limit::default() })
        .await?;
    let page = All {
        layout: page_request.layout(Section::Requests),
        pager: page_request.pager(&found),
        table: (!found.items.is_empty())
            .then(|| RequestTable::new(found.items, true, page_request.base(), page_request.now)),
    };
    page_request.page(&page, None)
}
