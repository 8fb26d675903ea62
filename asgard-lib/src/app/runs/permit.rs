//! A request is authorised again when it is carried out: what could change since it was asked is looked at once more.

use crate::{
    app::{
        Tx,
        judge::{basis, not_denied},
        services::Service,
    },
    domain::{
        access::{self, Action, Object, Subject},
        credential::ProjectKey,
        person::User,
        policy::{Moment, rules},
        project::Project,
        request::{Command, Request, Step},
        resource::Resource,
    },
    error::{Error, Result},
    kernel::{Actor, ActorKind, Party, SignIn},
};
use std::sync::Arc;

/// Why a request may not be carried out, in a sentence for people; `Ok(None)` when it may.
pub(super) async fn objection(
    tx: &Tx<'_>,
    request: &Request,
    resource: &Resource,
    project: &Project,
    service: Option<&Arc<Service>>,
    changes: bool,
) -> Result<Option<String>> {
    if let Err(error) = project.require_active() {
        return Ok(Some(error.message().to_owned()));
    }
    let Some(service) = service else {
        return Ok(Some(format!("Service {} is not in the catalogue any more.", request.service)));
    };
    let basis = basis(tx, project, service).await?;
    let (actor, plan) = (request.requested_by.clone(), request.plan.as_ref());
    let step = Step { moment: Moment::Starting, actor, at: tx.now(), plan, grown: false };
    let judged = match not_denied(tx.app(), basis, request, resource, step) {
        Ok(judged) => judged,
        Err(error) => return Ok(Some(error.message().to_owned())),
    };
    if let Command::Provision { spec } = &request.command
        && let Err(error) = service.check_kept_spec(spec)
    {
        let message =
            format!("The service takes other inputs than when this was asked for: {} Ask anew.", error.message());
        return Ok(Some(message));
    }
    // What nobody had to approve when it was planned, and somebody would have to now, does not go on by itself.
    let asks = [judged.weighed.present_asks_human, judged.weighed.wanted_asks_human].contains(&Some(true));
    let planned = request.judgements.iter().rev().find(|judged| judged.moment == Moment::Planned);
    // The rest of what a person approved is theirs.
    let rest = planned.is_some_and(|judged| judged.judgement.rule == rules::PLAN_REST);
    if changes && asks && request.decision.is_none() && !rest {
        let message = format!(
            "Service {} is approved by a person by now, and nobody was asked when this was planned. Ask anew.",
            request.service
        );
        return Ok(Some(message));
    }
    requester(tx, request, project).await
}

async fn requester(tx: &Tx<'_>, request: &Request, project: &Project) -> Result<Option<String>> {
    let by = &request.requested_by;
    let actor = match by.kind {
        // Asgard's own parts ask only for what a rule already decided.
        ActorKind::System => return Ok(None),
        ActorKind::ProjectKey => {
            let key = tx.read::<ProjectKey>(&by.id).await?;
            let grace = tx.app().config().people.key_adoption();
            let over = |key: &ProjectKey| key.revoked_at.is_some() || key.stopped(tx.now(), grace);
            let good = key.as_ref().filter(|key| !over(key) && key.project == project.id);
            match good {
                Some(key) => Actor::ProjectKey {
                    key: key.id.clone(),
                    project: project.id.clone(),
                    minted_by: key.minted_by.clone(),
                },
                None => {
                    return Ok(Some("The project key that asked for this has been revoked or has stopped.".to_owned()));
                }
            }
        }
        ActorKind::Human | ActorKind::UserToken => {
            let Some(party) = by.answerable() else { return Ok(Some("Nobody answers for this request.".to_owned())) };
            match account(tx, &party).await? {
                Some(user) if user.active => {
                    Actor::Human { person: user.person(), role: user.role, sign_in: SignIn::Earlier }
                }
                Some(_) => {
                    return Ok(Some(format!("The account of {party}, who asked for this, is not active any more.")));
                }
                // People of an identity provider need no account here; then only what they are to the project counts.
                None if Subject::from(project).names(&party) => return Ok(None),
                None => return Ok(Some(gone(&party, project))),
            }
        }
        ActorKind::Agent => {
            let agent = by.id.parse().map_err(|_| Error::bug(format!("{} is no agent's id", by.id)))?;
            Actor::Agent { agent, project: project.id.clone(), on_behalf_of: None }
        }
    };
    let allowed = access::decide(Action::Ask, &actor, &Object::Project(&Subject::from(project)));
    Ok(allowed.err().map(|_| match &by.answerable() {
        Some(party) => gone(party, project),
        None => format!("Who asked for this may not ask for things in {} any more.", project.id),
    }))
}

fn gone(party: &Party, project: &Project) -> String {
    format!("{party}, who asked for this, may not ask for things in {} any more.", project.id)
}

/// The account of whoever asked: the one that the request names, or the one that has the address it names.
async fn account(tx: &Tx<'_>, party: &Party) -> Result<Option<User>> {
    let id = match party {
        Party::User { id, .. } => Some(id.to_string()),
        Party::Address(email) => tx.holder(&User::email_claim(email)).await?,
    };
    let user = match id {
        Some(id) => tx.read::<User>(&id).await?,
        None => None,
    };
    Ok(user.map(|user| user.value))
}
