//! A request is authorised again when it is carried out: what could change since it was asked is looked at once more.

use crate::{
    app::{
        Tx,
        judge::{basis, basis_of_plan, judge, name_accounts},
        services::{Service, kept},
        spending,
    },
    domain::{
        access::{self, Action, Object, Subject},
        credential::ProjectKey,
        policy::{Answer, Judged, Moment},
        project::Project,
        request::{Ceilings, Command, Request, Step, facts},
        resource::Resource,
    },
    error::{Error, Result},
    kernel::{Actor, ActorKind, Party, SignIn},
};
use std::sync::Arc;

/// Whether a run may start.
pub(super) enum Permit {
    /// It may, as long as these ceilings hold.
    Starts(Ceilings),
    /// It may not, and neither may its request go on: why, in a sentence for people.
    Fails(String),
    /// Policy had let its plan pass, and by now a person has to be asked.
    Asks(Box<Judged>),
}

/// Looks at a request once more before a run of it starts. `changes` says whether the run changes anything.
pub(super) async fn permit(
    tx: &Tx<'_>,
    request: &Request,
    resource: &Resource,
    project: &Project,
    service: Option<&Arc<Service>>,
    changes: bool,
) -> Result<Permit> {
    if let Err(error) = project.require_active() {
        return Ok(Permit::Fails(error.message().to_owned()));
    }
    let Some(service) = service else {
        return Ok(Permit::Fails(format!("Service {} is not in the catalogue any more.", request.service)));
    };
    // What a person approved is theirs. What only policy let pass is weighed once more, money included.
    let alone = changes && request.decision.is_none();
    let basis = if alone { basis_of_plan(tx, project, service).await? } else { basis(tx, project, service).await? };
    let (actor, plan) = (request.requested_by.clone(), request.plan.as_ref());
    let step = Step { moment: Moment::Starting, actor, at: tx.now(), plan, grown: false };
    let facts = facts(basis, request, resource, step);
    let judgement = judge(tx.app(), &facts).and_then(|judgement| judgement.require_not_denied().map(|()| judgement));
    let judgement = match judgement {
        Ok(judgement) => judgement,
        Err(error) => return Ok(Permit::Fails(error.message().to_owned())),
    };
    if let Command::Provision { spec } = &request.command
        && let Err(error) = service.check_kept_spec(spec)
    {
        let message =
            format!("The service takes other inputs than when this was asked for: {} Ask anew.", error.message());
        return Ok(Permit::Fails(message));
    }
    let makes = match &request.command {
        Command::Provision { .. } | Command::RotateSecrets => !tx.app().runner().is_dry(),
        Command::Deprovision => false,
    };
    if let (true, Err(error)) = (makes, kept::check_size(service)) {
        return Ok(Permit::Fails(error.message().to_owned()));
    }
    if let Some(why) = requester(tx, request, project).await? {
        return Ok(Permit::Fails(why));
    }
    Ok(match judgement.answer {
        Answer::Ask { .. } if alone => {
            let mut judged = Judged::new(&facts, judgement);
            name_accounts(tx, &mut judged).await?;
            Permit::Asks(Box::new(judged))
        }
        Answer::Allow if alone => Permit::Starts(Ceilings::of(&facts.cost)),
        Answer::Ask { .. } | Answer::Allow | Answer::Deny { .. } => Permit::Starts(Ceilings::default()),
    })
}

/// Why whoever asked may not ask for it any more.
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
            match spending::account(tx, &party).await? {
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
