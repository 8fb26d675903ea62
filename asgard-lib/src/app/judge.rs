//! Asking policy about a request: Asgard's own rules and the operator's policy, joined by the stricter answer.

use crate::{
    app::{Asgard, Tx, people::bind, services::Service, spending},
    domain::{
        policy::{Answer, Approver, Facts, Judged, Judgement, built_in, rules},
        project::Project,
        request::{Basis, Spending},
    },
    error::Result,
    kernel::Usd,
};

/// What both say. An error is one of the operator's policy.
pub(crate) fn judge(app: &Asgard, facts: &Facts) -> Result<Judgement> {
    let theirs = app.policy().judge(facts).and_then(Judgement::bounded)?;
    Ok(built_in(facts).join(theirs))
}

/// What both say of a plan. Where the operator's policy cannot be asked a person is, and the policy again when they approve.
pub(crate) fn judge_plan(app: &Asgard, facts: &Facts) -> Judgement {
    judge(app, facts).unwrap_or_else(|error| {
        tracing::error!(project.id = %facts.project.id, error = error.chain(), "Policy could not be asked about a plan; a person is.");
        let why = "The policy in force could not be asked; a person looks at it, and the policy is asked again.";
        built_in(facts).join(Judgement::ask(rules::POLICY_UNAVAILABLE, Approver::ManagerOrAdmin, why))
    })
}

/// Names the accounts of those whom policy asks for by address, where they have any. Who approves is settled by what is kept
/// here, so somebody who gets the address later is not asked.
pub(crate) async fn name_accounts(tx: &Tx<'_>, judged: &mut Judged) -> Result<()> {
    let Answer::Ask { approvers } = &mut judged.judgement.answer else { return Ok(()) };
    for approver in approvers.iter_mut() {
        if let Approver::Named { person, user: user @ None } = approver {
            *user = bind::party(tx, person).await?.user().cloned();
        }
    }
    approvers.sort();
    approvers.dedup();
    Ok(())
}

/// What the facts of a request come from: the project's tier and its money as they are now.
pub(crate) async fn basis<'b, 'x: 'b>(tx: &Tx<'x>, project: &'b Project, service: &'b Service) -> Result<Basis<'b>> {
    let app = tx.app();
    let committed = tx.counter(&Project::committed_counter(&project.id)).await?;
    Ok(Basis {
        project,
        manifest: &service.manifest,
        allow_list: app.services().allow_list(),
        ceiling: app.config().provisioning.auto_approve.get(&project.classification).copied(),
        committed: Usd::from_micros(committed),
        spending: None,
    })
}

/// The same once there is a plan: with what counts beyond the project.
pub(crate) async fn basis_of_plan<'b, 'x: 'b>(
    tx: &Tx<'x>,
    project: &'b Project,
    service: &'b Service,
) -> Result<Basis<'b>> {
    spending::ahead(tx, project);
    let basis = basis(tx, project, service).await?;
    let provisioning = &tx.app().config().provisioning;
    let confirmed = spending::has_signed_in(tx, &project.manager).await?;
    let spending = Spending {
        owner: spending::owners(tx, &project.owner).await?,
        owner_ceiling: provisioning.auto_approve_owner.get(&project.classification).copied(),
        unconfirmed: (!confirmed).then_some(provisioning.auto_approve_unconfirmed),
    };
    Ok(Basis { spending: Some(spending), ..basis })
}

/// Asks about a request at a step. Fails when the answer is no.
pub(crate) fn not_denied(app: &Asgard, facts: &Facts) -> Result<Judged> {
    let judgement = judge(app, facts)?;
    judgement.require_not_denied()?;
    Ok(Judged::new(facts, judgement))
}
