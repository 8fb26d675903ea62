//! Asgard's own rules, all of them. What they ask for holds whatever else is configured. `docs/policy.md` lists them by id.

use super::{Approver, ChangeKind, Facts, Judgement, Moment, RuleId};
use crate::{domain::run::Change, kernel::Usd};

/// The target has to be on the allow-list.
pub const TARGET_ALLOWED: RuleId = RuleId::known("target.allowed");
/// A plan that grew after an interruption is approved again.
pub const PLAN_GROWN: RuleId = RuleId::known("plan.grown");
/// The service, or the wanted inputs, ask for a person.
pub const APPROVAL_WANTED: RuleId = RuleId::known("approval.wanted");
/// What exists was of a kind that asks for a person.
pub const APPROVAL_PRESENT: RuleId = RuleId::known("approval.present");
/// Removing what asks for a person asks for one.
pub const APPROVAL_REMOVAL: RuleId = RuleId::known("approval.removal");
/// Removing anything else passes.
pub const REMOVAL_FREE: RuleId = RuleId::known("removal.free");
/// New secret values pass.
pub const ROTATION_FREE: RuleId = RuleId::known("rotation.free");
/// A change that destroys or replaces asks for a person.
pub const PLAN_DESTROYS: RuleId = RuleId::known("plan.destroys");
/// What adds no cost passes.
pub const COST_NONE: RuleId = RuleId::known("cost.none");
/// The tier lets nothing that costs pass by itself.
pub const COST_NO_CEILING: RuleId = RuleId::known("cost.no-ceiling");
/// It would pass the tier's ceiling.
pub const COST_ABOVE_CEILING: RuleId = RuleId::known("cost.above-ceiling");
/// It would pass the ceiling of all projects of the owner.
pub const COST_ABOVE_OWNER: RuleId = RuleId::known("cost.above-owner-ceiling");
/// It would pass the ceiling of a project whose manager has never signed in.
pub const COST_UNCONFIRMED: RuleId = RuleId::known("cost.manager-unconfirmed");
/// It stays within the ceilings.
pub const COST_WITHIN_CEILING: RuleId = RuleId::known("cost.within-ceiling");
/// Nothing speaks against planning it, or starting what was decided.
pub const NO_OBJECTION: RuleId = RuleId::known("policy.no-objection");
/// The plan changes nothing.
pub const PLAN_EMPTY: RuleId = RuleId::known("plan.empty");
/// The plan is the rest of what was approved before an interruption.
pub const PLAN_REST: RuleId = RuleId::known("plan.rest-of-approved");
/// The operator's policy could not be asked.
pub const POLICY_UNAVAILABLE: RuleId = RuleId::known("policy.unavailable");

/// Every id above, in the order of `docs/policy.md`.
pub const ALL: [RuleId; 18] = [
    TARGET_ALLOWED,
    PLAN_GROWN,
    APPROVAL_WANTED,
    APPROVAL_PRESENT,
    APPROVAL_REMOVAL,
    PLAN_DESTROYS,
    COST_NO_CEILING,
    COST_ABOVE_CEILING,
    COST_ABOVE_OWNER,
    COST_UNCONFIRMED,
    REMOVAL_FREE,
    ROTATION_FREE,
    COST_NONE,
    COST_WITHIN_CEILING,
    PLAN_EMPTY,
    PLAN_REST,
    NO_OBJECTION,
    POLICY_UNAVAILABLE,
];

/// The rules that are asked at every moment.
const ALWAYS: &[fn(&Facts) -> Option<Judgement>] = &[target];
/// The rules that are asked once there is a plan. Of equally strict ones the first counts as the one that decided.
const ON_A_PLAN: &[fn(&Facts) -> Option<Judgement>] = &[grown, approval, change_without_cost, losses, cost];

/// What Asgard's own rules say: the strictest of them.
pub fn built_in(facts: &Facts) -> Judgement {
    let on_a_plan: &[fn(&Facts) -> Option<Judgement>] = match facts.moment {
        Moment::Planned | Moment::Approval => ON_A_PLAN,
        // A run that plans starts without one.
        Moment::Starting if facts.plan.is_some() => ON_A_PLAN,
        Moment::Asking | Moment::Starting => &[],
    };
    let found = ALWAYS.iter().chain(on_a_plan).filter_map(|rule| rule(facts)).reduce(Judgement::join);
    found.unwrap_or_else(|| Judgement::allow(NO_OBJECTION, "No rule speaks against it."))
}

fn ask(rule: RuleId, reason: impl Into<String>) -> Judgement {
    Judgement::ask(rule, Approver::ManagerOrAdmin, reason)
}

fn target(facts: &Facts) -> Option<Judgement> {
    let cloud = &facts.target.cloud;
    let denied = || match facts.change {
        ChangeKind::Remove => removal_denied(cloud.as_str()),
        ChangeKind::Create | ChangeKind::Update | ChangeKind::RotateSecrets => {
            target_denied(cloud.as_str(), facts.target.account.is_some())
        }
    };
    (!facts.target_listed).then(denied)
}

/// The denial of removing something from an account that has left the allow-list, which also said as whom to remove it.
fn removal_denied(cloud: &str) -> Judgement {
    let reason =
        format!("Its account of cloud {cloud} is not on the allow-list any more, so that it cannot be removed there.");
    let what = "An operator puts the account back under provisioning.allowed, with the role that may remove it. Then ask again, and take it off \
                the list afterwards.";
    Judgement::deny(TARGET_ALLOWED, reason, what)
}

/// The denial of a target that the allow-list does not name.
pub fn target_denied(cloud: &str, named: bool) -> Judgement {
    let operator = |what: &str| format!("An operator adds {what} under provisioning.allowed.");
    if named {
        let reason = format!("That account is not on the allow-list for cloud {cloud}.");
        Judgement::deny(TARGET_ALLOWED, reason, operator("it"))
    } else {
        let reason = format!("No account of cloud {cloud} is on the allow-list.");
        Judgement::deny(TARGET_ALLOWED, reason, operator("one"))
    }
}

fn grown(facts: &Facts) -> Option<Judgement> {
    facts.plan.as_ref().filter(|plan| plan.grown)?;
    Some(ask(PLAN_GROWN, "After an interruption the plan does more than what was approved."))
}

/// The present and the wanted state count alike: what a person had to approve is neither changed nor removed without one.
fn approval(facts: &Facts) -> Option<Judgement> {
    let asks = |state: &Option<super::StateFacts>| state.as_ref().is_some_and(|state| state.asks_human);
    let service = &facts.service;
    match (facts.change, asks(&facts.wanted), asks(&facts.present)) {
        (ChangeKind::Remove, _, true) => {
            Some(ask(APPROVAL_REMOVAL, format!("Service {service} is approved by a person, and so is its removal.")))
        }
        (_, true, _) => Some(ask(APPROVAL_WANTED, format!("Service {service} is approved by a person."))),
        (_, false, true) => Some(ask(
            APPROVAL_PRESENT,
            format!("What exists of this {service} is approved by a person, and so is a change of it."),
        )),
        (_, false, false) => None,
    }
}

fn change_without_cost(facts: &Facts) -> Option<Judgement> {
    let service = &facts.service;
    match facts.change {
        ChangeKind::Remove => Some(Judgement::allow(REMOVAL_FREE, format!("Removing a {service} needs no approval."))),
        ChangeKind::RotateSecrets => {
            Some(Judgement::allow(ROTATION_FREE, format!("Rotating secrets of a {service} needs no approval.")))
        }
        ChangeKind::Create | ChangeKind::Update => None,
    }
}

fn losses(facts: &Facts) -> Option<Judgement> {
    match facts.change {
        // Removing is meant to destroy.
        ChangeKind::Remove => return None,
        ChangeKind::RotateSecrets => return beside_the_secrets(facts),
        ChangeKind::Create | ChangeKind::Update => {}
    }
    let lost = facts.plan.as_ref().map_or(0, |plan| plan.destroy.saturating_add(plan.replace));
    (lost > 0).then(|| ask(PLAN_DESTROYS, format!("It would destroy or replace {lost} existing object(s).")))
}

/// A rotation is meant to replace values, and nothing else. A plan lists everything that it destroys or replaces.
fn beside_the_secrets(facts: &Facts) -> Option<Judgement> {
    let changes = &facts.plan.as_ref()?.changes;
    let lost: Vec<&str> = changes
        .iter()
        .filter(|planned| planned.change.loses() && !(planned.change == Change::Replace && planned.is_only_a_value()))
        .map(|planned| planned.address.as_str())
        .collect();
    let first = lost.first()?;
    let more = lost.len() - 1;
    let named = if more == 0 { format!("`{first}`") } else { format!("`{first}` and {more} more") };
    Some(ask(PLAN_DESTROYS, format!("Rotating the secrets would destroy or replace {named} as well.")))
}

fn cost(facts: &Facts) -> Option<Judgement> {
    let cost = facts.cost;
    match facts.change {
        ChangeKind::Remove | ChangeKind::RotateSecrets => return None,
        ChangeKind::Create | ChangeKind::Update => {}
    }
    if cost.adds == Usd::ZERO {
        return Some(Judgement::allow(COST_NONE, "It adds no monthly cost."));
    }
    let tier = match cost.ceiling {
        None => ask(COST_NO_CEILING, "This tier has no automatic approval for things that cost."),
        Some(ceiling) if cost.after > ceiling => ask(
            COST_ABOVE_CEILING,
            format!(
                "It adds {} a month to {} committed or in flight, above the {ceiling} that passes by itself.",
                cost.adds, cost.now
            ),
        ),
        Some(ceiling) => Judgement::allow(
            COST_WITHIN_CEILING,
            format!("{} a month in all stays within the {ceiling} that passes by itself.", cost.after),
        ),
    };
    Some([owner_ceiling(facts), manager_unconfirmed(facts)].into_iter().flatten().fold(tier, Judgement::join))
}

/// A project more is no ceiling more: what nobody approved counts together, wherever its owner has it.
fn owner_ceiling(facts: &Facts) -> Option<Judgement> {
    let owner = facts.cost.owner?;
    let ceiling = owner.ceiling.filter(|ceiling| owner.after > *ceiling)?;
    let reason = format!(
        "All projects of this owner have {} a month that no person has approved, and with {} more that is above the {ceiling} that \
         passes by itself. A person approves it, or the owner removes something.",
        owner.now, facts.cost.adds
    );
    Some(ask(COST_ABOVE_OWNER, reason))
}

/// A manager whom nobody has ever seen answers for nothing yet.
fn manager_unconfirmed(facts: &Facts) -> Option<Judgement> {
    let ceiling = facts.cost.unconfirmed.filter(|ceiling| facts.cost.after > *ceiling)?;
    let reason = format!(
        "The project's manager has never signed in, and until then {ceiling} a month pass by themselves; this makes it {}. An admin \
         approves it, or the manager signs in and does.",
        facts.cost.after
    );
    Some(ask(COST_UNCONFIRMED, reason))
}
