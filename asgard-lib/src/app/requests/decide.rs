//! Approving, rejecting, cancelling.

use super::{
    RequestView,
    explain::{in_words, outstanding},
};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx,
        core::operation::Method::Post,
        core::scope::ReadMode,
        judge::{basis_of_plan, name_accounts, not_denied},
        runs,
        services::kept::judged_by,
    },
    domain::{
        access::{self, Action},
        audit::AuditAction,
        person::User,
        policy::{Answer, Approver, Judged, Moment},
        project::Project,
        request::{self, Approved, Decision, Request, RequestStatus, Step, Transition, facts},
        resource::Resource,
        run::Run,
    },
    error::{Code, Error, Result},
    kernel::{RequestId, is_plain_text},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::Deserialize;
use typed_builder::TypedBuilder;

const MAX_NOTE: usize = 500;

struct Loaded {
    request: Stored<Request>,
    resource: Stored<Resource>,
    project: Stored<Project>,
    subject: access::Subject,
}

async fn load(tx: &mut Tx<'_>, id: &RequestId, action: Action, version: Option<&Version>) -> Result<Loaded> {
    let found = tx.read_checked::<Request>(id.as_str()).await?;
    let Some(request) = found else {
        return Err(tx.unknown("request"));
    };
    let (project, subject) = tx.project_of("request", &request.project, action, ReadMode::Checked).await?;
    tx.expect_version(&request.version, version)?;
    let resource = tx.need::<Resource>(request.resource.as_str()).await?;
    Ok(Loaded { request, resource, project, subject })
}

fn note(text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > MAX_NOTE || !is_plain_text(text) {
        let allowed = "A remark has at most 500 characters, none of them invisible or turning the direction of text.";
        return Err(Error::invalid("note", allowed));
    }
    Ok(Some(text.to_owned()))
}

async fn finish(
    tx: &mut Tx<'_>,
    loaded: &Loaded,
    transition: Transition,
    action: AuditAction,
    details: &[(&str, String)],
) -> Result<RequestView> {
    let after = runs::apply_transition(tx, &loaded.request, &loaded.resource, transition).await?;
    tx.audit(Some(&loaded.project.id), action, &loaded.request.id, details)?;
    Ok(RequestView::of(&after, tx.version()))
}

/// Whether whoever asked has set the password of whoever approves, and so could be both of them.
async fn password_is_the_askers(tx: &Tx<'_>, request: &Request) -> Result<bool> {
    let (Some(user), Some(asker)) = (tx.actor()?.user(), request.requested_by.answerable()) else { return Ok(false) };
    let account = tx.read::<User>(user.as_str()).await?;
    Ok(account.and_then(|account| account.value.password_set_by).is_some_and(|by| asker.user() == Some(&by)))
}

/// Approves a request.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Approve {
    /// The id, `req_...`, of a pending request; `list_pending_approvals` shows them.
    pub request_id: RequestId,
    /// A remark for the record, at most 500 characters.
    #[serde(default)]
    #[builder(default)]
    #[schemars(length(max = 500), regex(pattern = crate::kernel::text::LINES))]
    pub note: Option<String>,
    /// The `version` of the request that you have read; the approval is refused when the request has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Approve {
    type Output = RequestView;
    const META: Meta = Meta {
        name: "requests.approve",
        title: "Approve a request",
        description: "Approves a pending request; exactly the plan that it shows is then carried out. The project's manager or an admin approves, never its owner, \
                      whoever asked, or whoever minted the key that asked.",
        action: Action::Decide,
        routes: &[Route { method: Post, path: "/requests/{request_id}/approve", status: 200 }],
        tools: &["approve_request"],
        hints: Hints { read_only: false, destructive: true, idempotent: false },
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RequestView> {
        let loaded = load(tx, &self.request_id, Action::Decide, self.version.as_ref()).await?;
        let self_approval = access::may_approve(
            tx.actor()?,
            &loaded.subject,
            &loaded.request,
            tx.app().config().registration.require_manager,
        )?;
        loaded.project.require_active()?;
        loaded.request.require_pending()?;
        let decision =
            Decision { by: tx.actor()?.reference(), at: tx.now(), note: note(self.note.as_deref())?, self_approval };
        let (actor, judged) = (tx.actor()?, judged(tx, &loaded).await?);
        let mut details = vec![("rule", judged.judgement.rule.to_string())];
        if self_approval {
            details.push(("self_approval", "true".to_owned()));
        }
        if password_is_the_askers(tx, &loaded.request).await? {
            details.push(("password_set_by_requester", "true".to_owned()));
        }
        let waits = waits_for(&loaded.request, &judged);
        let (satisfies, others): (Vec<Approver>, Vec<Approver>) =
            waits.into_iter().partition(|approver| access::satisfies(actor, approver));
        let (request, resource, now) = (&loaded.request, &loaded.resource, tx.now());
        if satisfies.is_empty() {
            let message = format!("Policy waits for {} to approve this.", in_words(&others));
            return Err(Error::new(Code::Denied, message));
        }
        if others.is_empty() {
            let transition = request::approved(request, resource, decision, judged, now)?;
            return finish(tx, &loaded, transition, AuditAction::RequestApproved, &details).await;
        }
        details.push(("still_waits_for", in_words(&others)));
        let given = Approved { decision, satisfies };
        let transition = request::partly_approved(request, resource, given, judged, now)?;
        finish(tx, &loaded, transition, AuditAction::RequestPartlyApproved, &details).await
    }
}

/// What policy says of a request that is being approved. Fails when it denies.
async fn judged(tx: &Tx<'_>, loaded: &Loaded) -> Result<Judged> {
    let Loaded { request, resource, project, .. } = loaded;
    let Some(service) = judged_by(tx, &request.command, resource).await? else {
        let message = format!("Service {} is not in the catalogue any more. Reject the request.", request.service);
        return Err(Error::new(Code::WrongState, message));
    };
    let grown = request.judgements.last().is_some_and(|judged| judged.weighed.grown);
    let actor = tx.actor()?.reference();
    let step = Step { moment: Moment::Approval, actor, at: tx.now(), plan: request.plan.as_ref(), grown };
    let mut judged =
        not_denied(tx.app(), &facts(basis_of_plan(tx, project, &service).await?, request, resource, step))?;
    name_accounts(tx, &mut judged).await?;
    Ok(judged)
}

/// Those who still have to approve: whom the plan asked for and whom policy asks for now, without those who have.
fn waits_for(request: &Request, judged: &Judged) -> Vec<Approver> {
    let mut waits = outstanding(request);
    if let Answer::Ask { approvers } = &judged.judgement.answer {
        let given = |approver: &Approver| {
            request.approvals.iter().flat_map(|given| &given.satisfies).any(|given| given.same(approver))
        };
        waits.extend(approvers.iter().filter(|approver| !given(approver)).cloned());
    }
    waits.sort();
    waits.dedup();
    waits
}

/// Rejects a request.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Reject {
    /// The id, `req_...`, of a pending request; `list_pending_approvals` shows them.
    pub request_id: RequestId,
    /// The reason, for whoever asked, at most 500 characters.
    #[serde(default, alias = "reason")]
    #[builder(default)]
    #[schemars(length(max = 500), regex(pattern = crate::kernel::text::LINES))]
    pub note: Option<String>,
    /// The `version` of the request that you have read; the rejection is refused when the request has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Reject {
    type Output = RequestView;
    const META: Meta = Meta {
        name: "requests.reject",
        title: "Reject a request",
        description: "Rejects a pending request; nothing of it is carried out. The project's manager or an admin rejects.",
        action: Action::Decide,
        routes: &[Route { method: Post, path: "/requests/{request_id}/reject", status: 200 }],
        tools: &["deny_request"],
        hints: Hints { read_only: false, destructive: true, idempotent: false },
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RequestView> {
        let loaded = load(tx, &self.request_id, Action::Decide, self.version.as_ref()).await?;
        let decision = Decision {
            by: tx.actor()?.reference(),
            at: tx.now(),
            note: note(self.note.as_deref())?,
            self_approval: false,
        };
        let transition = request::rejected(&loaded.request, &loaded.resource, decision, tx.now())?;
        finish(tx, &loaded, transition, AuditAction::RequestRejected, &[]).await
    }
}

/// Takes a request back.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Cancel {
    /// The request's id, `req_...`, from `list_requests`.
    pub request_id: RequestId,
    /// The `version` of the request that you have read; the cancellation is refused when the request has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Cancel {
    type Output = RequestView;
    const META: Meta = Meta {
        name: "requests.cancel",
        title: "Cancel a request",
        description: "Takes a request back. Before anything is applied it is cancelled at once; while it is being applied Terraform is asked to stop, \
                      and what it had created by then stays recorded.",
        action: Action::Cancel,
        routes: &[Route { method: Post, path: "/requests/{request_id}/cancel", status: 200 }],
        tools: &["cancel_request"],
        hints: Hints { read_only: false, destructive: true, idempotent: true },
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RequestView> {
        let loaded = load(tx, &self.request_id, Action::Cancel, self.version.as_ref()).await?;
        let now = tx.now();
        if loaded.request.cancel_requested && !loaded.request.status.is_over() {
            return Ok(RequestView::stored(&loaded.request));
        }
        if let Some(run) = &loaded.request.current_run {
            let run = tx.need::<Run>(run.as_str()).await?;
            if !run.status.is_over() {
                tx.replace(&run, &Run { cancel: true, ..run.value.clone() })?;
            }
        }
        match loaded.request.status {
            RequestStatus::Planning | RequestStatus::Pending | RequestStatus::Approved => {
                let transition = request::cancelled(&loaded.request, &loaded.resource, now)?;
                finish(tx, &loaded, transition, AuditAction::RequestCancelled, &[]).await
            }
            RequestStatus::Running => {
                let asked = Request { cancel_requested: true, updated_at: now, ..loaded.request.value.clone() };
                tx.replace(&loaded.request, &asked)?;
                tx.audit(Some(&loaded.project.id), AuditAction::RequestCancelRequested, &asked.id, &[])?;
                Ok(RequestView::of(&asked, tx.version()))
            }
            RequestStatus::Fulfilled
            | RequestStatus::Rejected
            | RequestStatus::Cancelled
            | RequestStatus::Failed
            | RequestStatus::NeedsAttention => Err(Error::new(
                Code::WrongState,
                format!("Request {} is {} already.", loaded.request.id, loaded.request.status.name()),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
