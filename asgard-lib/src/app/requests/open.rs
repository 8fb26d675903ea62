//! Opening a request: the one door to provisioning. Whatever asks (a tool, a route, a retry, a rotation) comes through here.

use crate::{
    app::{
        Tx,
        judge::{basis, not_denied},
        runs,
        services::Service,
    },
    domain::{
        audit::AuditAction,
        credential::ProjectKey,
        policy::{self, Moment},
        project::Project,
        request::{self, Command, NewResource, NextRun, Request, RequestStatus, Step, Target, facts},
        resource::{Resource, ResourceStatus, Spec},
        run::RunOp,
    },
    error::{Code, Error, Result},
    kernel::{Actor, Party, RequestId, ResourceId, ResourceName, Usd},
    ports::{
        records::{Stored, key},
        store::{Count, ReadBatch},
    },
};

/// The most resources that a project may have at once.
const MAX_RESOURCES: i64 = 500;

/// What is wanted, admitted already.
pub struct Wanted<'a> {
    /// The project.
    pub project: &'a Stored<Project>,
    /// The service.
    pub service: &'a Service,
    /// The resource's name.
    pub name: &'a ResourceName,
    /// Where.
    pub target: Target,
    /// What.
    pub command: Command,
    /// The id that the resource gets if there is none of that name.
    pub fresh: ResourceId,
}

crate::kernel::opaque!(Wanted<'_>);

/// What asking led to.
pub enum Asked {
    /// A new request.
    Opened(Box<Request>, Box<Resource>),
    /// The same thing is being done already.
    Underway(Box<Stored<Request>>, Box<Stored<Resource>>),
    /// It is so already.
    Unchanged(Box<Stored<Resource>>),
}

crate::kernel::opaque!(Asked);

fn same_spec(service: &Service, a: &Spec, b: &Spec) -> bool {
    service.effective(a) == service.effective(b) && a.secret_inputs == b.secret_inputs
}

fn same_command(service: &Service, a: &Command, b: &Command) -> bool {
    match (a, b) {
        (Command::Provision { spec: a }, Command::Provision { spec: b }) => same_spec(service, a, b),
        (Command::RotateSecrets, Command::RotateSecrets) | (Command::Deprovision, Command::Deprovision) => true,
        (Command::Provision { .. } | Command::RotateSecrets | Command::Deprovision, _) => false,
    }
}

/// Opens a request, or finds that there is nothing to open. The claims make two callers at once agree.
pub async fn open(tx: &mut Tx<'_>, wanted: Wanted<'_>) -> Result<Asked> {
    let Wanted { project, service, name, target, command, fresh } = wanted;
    project.require_active()?;
    let id = &service.manifest.id;
    let name_claim = Resource::name_claim(&project.id, id, name);
    let open_claim = Request::open_claim(&project.id, id, name);
    tx.ahead(ReadBatch { claims: vec![open_claim.clone()], ..ReadBatch::default() });
    let (named, open) = (tx.holder(&name_claim).await?, tx.holder(&open_claim).await?);
    let resource = named.iter().map(|resource| key::<Resource>(resource.as_str()));
    let request = open.iter().map(|request| key::<Request>(request.as_str()));
    tx.ahead(ReadBatch { keys: resource.chain(request).collect(), ..ReadBatch::default() });
    let existing = match &named {
        Some(resource) => tx.read_checked::<Resource>(resource).await?,
        None => None,
    };
    if let Some(open) = open
        && let Some(resource) = &existing
    {
        let request = tx.need::<Request>(&open).await?;
        if same_command(service, &request.command, &command) {
            return Ok(Asked::Underway(Box::new(request), Box::new(resource.clone())));
        }
        return Err(Error::new(
            Code::OpenRequest,
            format!(
                "Request {} about {id} `{name}` is {}. Wait for it, or cancel it first.",
                request.id,
                request.status.name()
            ),
        ));
    }
    if let (Some(resource), Command::Provision { spec }) = (&existing, &command) {
        if resource.target != target {
            let message = format!("{id} `{name}` exists in another target. Deprovision it first, or use another name.");
            return Err(Error::new(Code::WrongState, message).at("account"));
        }
        let real = !resource.dry_run || tx.app().runner().is_dry();
        if resource.status == ResourceStatus::Provisioned && real && same_spec(service, &resource.spec, spec) {
            return Ok(Asked::Unchanged(Box::new(resource.clone())));
        }
    }
    let wanted = Wanted { project, service, name, target, command, fresh };
    begin(tx, wanted, existing).await
}

/// Who may not approve what is asked for now: the owner as of now, and everybody who may hold the key that asks.
async fn barred(tx: &Tx<'_>, project: &Project) -> Result<Vec<Party>> {
    let mut barred = vec![project.owner.clone()];
    if let Actor::ProjectKey { key, .. } = tx.actor()? {
        let key = tx.read::<ProjectKey>(key.as_str()).await?;
        barred.extend(key.iter().flat_map(|key| key.held_by.iter().cloned()));
    }
    Ok(barred)
}

async fn begin(tx: &mut Tx<'_>, wanted: Wanted<'_>, existing: Option<Stored<Resource>>) -> Result<Asked> {
    let Wanted { project, service, name, target, command, fresh } = wanted;
    let (now, actor) = (tx.now(), tx.actor()?.reference());
    let before = existing.as_ref().map(|resource| &resource.value);
    let monthly = request::monthly(&command, &service.manifest, before)?;
    let request_id: RequestId = tx.id();
    let barred = barred(tx, project).await?;
    let service_id = &service.manifest.id;
    let new = NewResource { id: fresh, project: &project.id, service: service_id, name, target: &target, by: &actor };
    let resource = request::opened(&command, before, new, &request_id, now)?;
    let mut request = Request { id: request_id, barred, ..fresh_request(tx, project, &resource, command, monthly)? };
    let actor = request.requested_by.clone();
    let step = Step { moment: Moment::Asking, actor, at: now, plan: None, grown: false };
    let judged = not_denied(tx.app(), &facts(basis(tx, project, service).await?, &request, &resource, step))?;
    policy::record(&mut request.judgements, judged);
    tx.claim(request.claim(), &request.id)?;
    match &existing {
        Some(read) => tx.replace(read, &resource)?,
        None => {
            tx.claim(resource.claim(), &resource.id)?;
            let count = Count {
                counter: Project::resources_counter(&project.id),
                delta: 1,
                floor: None,
                ceiling: Some(MAX_RESOURCES),
                expires_at: None,
            };
            tx.count_or(
                count,
                Error::new(Code::QuotaReached, "A project has at most 500 resources. Deprovision one first."),
            )?;
            tx.insert(&resource)?;
        }
    }
    let op = match &request.command {
        Command::Provision { .. } | Command::RotateSecrets => RunOp::Plan,
        Command::Deprovision => RunOp::PlanDestroy,
    };
    runs::queue(tx, &mut request, &resource, &NextRun { op, plan_of: None, resume: false })?;
    tx.insert(&request)?;
    tx.audit(
        Some(&project.id),
        AuditAction::RequestOpened,
        &request.id,
        &[
            ("command", request.command.name().into()),
            ("service", request.service.to_string()),
            ("name", request.name.to_string()),
        ],
    )?;
    Ok(Asked::Opened(Box::new(request), Box::new(resource)))
}

/// A request about a resource, as it begins: nothing decided, nothing run.
pub(super) fn fresh_request(
    tx: &Tx<'_>,
    project: &Project,
    resource: &Resource,
    command: Command,
    monthly: Usd,
) -> Result<Request> {
    let (now, actor) = (tx.now(), tx.actor()?.reference());
    Ok(Request {
        id: tx.id(),
        project: project.id.clone(),
        project_name: project.name.clone(),
        resource: resource.id.clone(),
        service: resource.service.clone(),
        name: resource.name.clone(),
        target: resource.target.clone(),
        command,
        status: RequestStatus::Planning,
        requested_by: actor,
        barred: Vec::new(),
        monthly,
        reserved: Usd::ZERO,
        unapproved: Usd::ZERO,
        verdict: None,
        decision: None,
        judgements: Vec::new(),
        approvals: Vec::new(),
        plan: None,
        plan_run: None,
        current_run: None,
        resumed: 0,
        began: false,
        asks_human: false,
        cancel_requested: false,
        error: None,
        inbox: None,
        created_at: now,
        updated_at: now,
    })
}
