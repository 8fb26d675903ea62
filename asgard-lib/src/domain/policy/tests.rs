//! Asgard's rules as tables and properties, and what joining two answers keeps.

use super::{rules::*, *};
use crate::{
    domain::{
        project::Lifecycle,
        resource::ResourceStatus,
        run::{Change, PlannedChange},
        service::Approval,
        target::Target,
        tier::{DataClass, Tier},
    },
    error::Code,
    kernel::{ActorKind, ActorRef, ProjectId, Timestamp, Usd},
};
use proptest::prelude::*;
use serde_json::{Map, json};

fn state(asks_human: bool) -> StateFacts {
    StateFacts {
        spec: Map::new(),
        monthly: Usd::ZERO,
        asks_human,
        status: Some(ResourceStatus::Provisioned),
        drifted: 0,
    }
}

/// A new resource that costs nothing, on its plan.
fn facts() -> Facts {
    let by = ActorRef { kind: ActorKind::Human, id: "usr_x".into(), person: None, user: None };
    Facts {
        moment: Moment::Planned,
        at: Timestamp::from_millis(0),
        actor: by.clone(),
        requested_by: by,
        project: ProjectFacts {
            id: ProjectId::new(2026, 1),
            tier: Tier::Poc,
            data_class: DataClass::Internal,
            status: Lifecycle::Active,
        },
        service: "thing".parse().unwrap(),
        name: "demo".parse().unwrap(),
        approval: Approval::Auto,
        change: ChangeKind::Create,
        target: Target { cloud: "local".parse().unwrap(), account: None, region: None },
        target_listed: true,
        present: None,
        wanted: Some(StateFacts { status: None, ..state(false) }),
        cost: cost(0, 0, Some(50)),
        plan: Some(plan(0, 0)),
    }
}

fn cost(now: i64, adds: i64, ceiling: Option<i64>) -> CostFacts {
    let [now, adds] = [now, adds].map(Usd::from_dollars);
    let ceiling = ceiling.map(Usd::from_dollars);
    CostFacts { now, adds, after: now + adds, ceiling, owner: None, unconfirmed: None }
}

/// Adding 10 to the project's 20 of 50, where its owner has so much, and the manager of the project this ceiling or none.
fn beyond(owner_now: i64, owner_ceiling: Option<i64>, unconfirmed: Option<i64>) -> Facts {
    let (now, ceiling) = (Usd::from_dollars(owner_now), owner_ceiling.map(Usd::from_dollars));
    let owner = Some(OwnerCostFacts { now, after: now + Usd::from_dollars(10), ceiling });
    let unconfirmed = unconfirmed.map(Usd::from_dollars);
    Facts { cost: CostFacts { owner, unconfirmed, ..cost(20, 10, Some(50)) }, ..facts() }
}

fn plan(replace: u32, destroy: u32) -> PlanFacts {
    PlanFacts { create: 1, update: 0, replace, destroy, changes: vec![], grown: false }
}

fn update(present: bool, wanted: bool) -> Facts {
    Facts { change: ChangeKind::Update, present: Some(state(present)), wanted: Some(state(wanted)), ..facts() }
}

fn removal(present: bool, destroy: u32) -> Facts {
    let change = ChangeKind::Remove;
    Facts { change, present: Some(state(present)), wanted: None, plan: Some(plan(0, destroy)), ..facts() }
}

fn rotation(asks: bool) -> Facts {
    Facts { change: ChangeKind::RotateSecrets, plan: Some(plan(1, 1)), ..update(asks, asks) }
}

#[test]
fn the_rules_one_by_one() {
    let costs = |now, adds, ceiling| Facts { cost: cost(now, adds, ceiling), ..facts() };
    let grown = Facts { plan: Some(PlanFacts { grown: true, ..plan(0, 0) }), ..facts() };
    let losing = |change: Change, address: &str| {
        let changes = vec![PlannedChange { address: address.to_owned(), change }];
        let plan = Some(PlanFacts {
            changes,
            ..plan(u32::from(change == Change::Replace), u32::from(change == Change::Delete))
        });
        Facts { plan, ..rotation(false) }
    };
    let table = [
        ("fits exactly", costs(0, 50, Some(50)), "allow", COST_WITHIN_CEILING),
        ("is one above", costs(50, 1, Some(50)), "ask", COST_ABOVE_CEILING),
        ("adds nothing to too much", costs(900, 0, Some(0)), "allow", COST_NONE),
        ("costs where only free things pass", costs(0, 1, Some(0)), "ask", COST_ABOVE_CEILING),
        ("is free without a ceiling", costs(0, 0, None), "allow", COST_NONE),
        ("costs without a ceiling", costs(0, 1, None), "ask", COST_NO_CEILING),
        ("fits all that the owner has", beyond(190, Some(200), None), "allow", COST_WITHIN_CEILING),
        ("is one above all that the owner has", beyond(191, Some(200), None), "ask", COST_ABOVE_OWNER),
        ("has an owner's ceiling of nothing", beyond(0, Some(0), None), "ask", COST_ABOVE_OWNER),
        ("fits as long as the manager is unknown", beyond(20, Some(200), Some(30)), "allow", COST_WITHIN_CEILING),
        ("is above what an unknown manager lets pass", beyond(20, Some(200), Some(29)), "ask", COST_UNCONFIRMED),
        ("is above both", beyond(200, Some(200), Some(0)), "ask", COST_ABOVE_OWNER),
        (
            "adds nothing to an owner's too much",
            Facts { cost: CostFacts { adds: Usd::ZERO, ..beyond(900, Some(1), Some(0)).cost }, ..facts() },
            "allow",
            COST_NONE,
        ),
        (
            "removes where the owner has too much",
            Facts { cost: beyond(900, Some(1), Some(0)).cost, ..removal(false, 1) },
            "allow",
            REMOVAL_FREE,
        ),
        ("destroys", Facts { plan: Some(plan(0, 1)), ..facts() }, "ask", PLAN_DESTROYS),
        ("replaces", Facts { plan: Some(plan(1, 0)), ..facts() }, "ask", PLAN_DESTROYS),
        ("wants what a person approves", Facts { wanted: Some(state(true)), ..facts() }, "ask", APPROVAL_WANTED),
        ("changes into what a person approves", update(false, true), "ask", APPROVAL_WANTED),
        ("changes what a person approved", update(true, false), "ask", APPROVAL_PRESENT),
        ("changes neither", update(false, false), "allow", COST_NONE),
        ("removes what a person approved", removal(true, 1), "ask", APPROVAL_REMOVAL),
        ("removes anything else", removal(false, 4), "allow", REMOVAL_FREE),
        ("rotates", rotation(false), "allow", ROTATION_FREE),
        ("rotates what a person approved", rotation(true), "ask", APPROVAL_WANTED),
        (
            "rotates and replaces a value",
            losing(Change::Replace, "module.m[\"a.b\"].random_password.this[0]"),
            "allow",
            ROTATION_FREE,
        ),
        ("rotates and replaces something else", losing(Change::Replace, "aws_db_instance.main"), "ask", PLAN_DESTROYS),
        ("rotates and deletes a value", losing(Change::Delete, "random_password.this"), "ask", PLAN_DESTROYS),
        ("rotates and changes in place", losing(Change::Update, "aws_db_instance.main"), "allow", ROTATION_FREE),
        ("grew after an interruption", grown, "ask", PLAN_GROWN),
        ("is not listed", Facts { target_listed: false, ..facts() }, "deny", TARGET_ALLOWED),
        ("is not listed and destroys", Facts { target_listed: false, ..removal(true, 1) }, "deny", TARGET_ALLOWED),
    ];
    for (what, facts, answer, rule) in table {
        let judgement = built_in(&facts);
        let found = serde_json::to_value(&judgement).unwrap();
        assert_eq!((found["answer"].as_str(), &judgement.rule), (Some(answer), &rule), "{what}: {judgement:?}");
        assert!(judgement.reason.ends_with('.'), "{what}: {}", judgement.reason);
    }
}

#[test]
fn before_a_plan_only_a_denial_counts() {
    for moment in [Moment::Asking, Moment::Starting] {
        let asked = Facts { moment, wanted: Some(state(true)), cost: cost(0, 900, None), plan: None, ..facts() };
        assert_eq!(built_in(&asked).rule, NO_OBJECTION);
        let denied = built_in(&Facts { target_listed: false, ..asked });
        assert_eq!(denied.require_not_denied().unwrap_err().code(), Code::TargetNotAllowed);
    }
    let approved = built_in(&Facts { moment: Moment::Approval, wanted: Some(state(true)), ..facts() });
    assert_eq!(approved.rule, APPROVAL_WANTED, "an approval is judged like the plan");
    let starting = |facts: Facts| built_in(&Facts { moment: Moment::Starting, ..facts }).rule;
    assert_eq!(
        starting(Facts { wanted: Some(state(true)), ..facts() }),
        APPROVAL_WANTED,
        "and so is the start of its run"
    );
    assert_eq!(starting(beyond(900, Some(200), None)), COST_ABOVE_OWNER);
}

#[test]
fn ids_are_unique_documented_and_read_back() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md")).unwrap();
    for (position, rule) in ALL.iter().enumerate() {
        assert_eq!(&rule.as_str().parse::<RuleId>().unwrap(), rule);
        assert!(!ALL[..position].contains(rule), "{rule} twice");
        assert!(text.contains(&format!("| `{rule}` |")), "docs/policy.md has no row for {rule}");
    }
    for bad in ["", "Cost", "9lives", "a b", "a_b", &"a".repeat(65)] {
        assert!(bad.parse::<RuleId>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_policy_from_outside_is_bounded_and_never_asks_for_nobody() {
    let ask = |approvers| Judgement { answer: Answer::Ask { approvers }, ..judgement("x", 0) };
    assert_eq!(ask(vec![]).bounded().unwrap_err().code(), Code::Bug);
    assert_eq!(ask(vec![Approver::Admin; MAX_APPROVERS + 1]).bounded().unwrap_err().code(), Code::Bug);
    let sorted = ask(vec![Approver::Admin, Approver::ManagerOrAdmin, Approver::Admin]).bounded().unwrap();
    assert_eq!(sorted.answer, Answer::Ask { approvers: vec![Approver::ManagerOrAdmin, Approver::Admin] });
    let long = Judgement { reason: "é".repeat(10_000), ..judgement("x", 2) }.bounded().unwrap();
    assert_eq!(long.reason.chars().count(), 300);
}

#[test]
fn a_judgement_reads_back_as_it_was_written() {
    for strictness in 0..3 {
        let one = judgement("some.rule", strictness).join(judgement("other.rule", strictness));
        assert_eq!(serde_json::from_value::<Judgement>(serde_json::to_value(&one).unwrap()).unwrap(), one);
    }
    let denied = serde_json::to_value(judgement("some.rule", 2)).unwrap();
    assert_eq!(
        denied,
        json!({"answer": "deny", "who_could_change": "Somebody.", "rule": "some.rule", "reason": "Because."})
    );
}

#[test]
fn a_request_keeps_the_newest_judgements_and_waits_for_whom_the_newest_plan_asked() {
    let mut kept = Vec::new();
    assert_eq!(waits_for(&kept), [Approver::ManagerOrAdmin], "a request of the version before");
    for nth in 0..MAX_JUDGED + 3 {
        let rule: RuleId = format!("rule.{nth}").parse().unwrap();
        record(&mut kept, Judged::new(&facts(), Judgement::ask(rule, Approver::Admin, "Because.")));
    }
    assert_eq!(kept.len(), MAX_JUDGED);
    assert_eq!(kept[0].judgement.rule.as_str(), "rule.3");
    assert_eq!(waits_for(&kept), [Approver::Admin]);
    let approval = Facts { moment: Moment::Approval, ..facts() };
    record(&mut kept, Judged::new(&approval, judgement("later", 0)));
    assert_eq!(waits_for(&kept), [Approver::Admin], "what an approval was judged as changes nobody's duty");
    let starting = Facts { moment: Moment::Starting, ..facts() };
    record(
        &mut kept,
        Judged::new(&starting, Judgement::ask(rule_of("at.start"), Approver::ManagerOrAdmin, "Because.")),
    );
    assert_eq!(waits_for(&kept), [Approver::ManagerOrAdmin], "the run did not start, and asks for them");
}

fn rule_of(id: &str) -> RuleId {
    id.parse().unwrap()
}

fn judgement(rule: &str, strictness: u8) -> Judgement {
    let rule = rule.parse().unwrap();
    match strictness {
        0 => Judgement::allow(rule, "Because."),
        1 => Judgement::ask(rule, Approver::ManagerOrAdmin, "Because."),
        _ => Judgement::deny(rule, "Because.", "Somebody."),
    }
}

fn strictness(judgement: &Judgement) -> u8 {
    match judgement.answer {
        Answer::Allow => 0,
        Answer::Ask { .. } => 1,
        Answer::Deny { .. } => 2,
    }
}

fn approvers(judgement: &Judgement) -> &[Approver] {
    match &judgement.answer {
        Answer::Ask { approvers } => approvers,
        Answer::Allow | Answer::Deny { .. } => &[],
    }
}

fn any_judgement() -> impl Strategy<Value = Judgement> {
    let approver = prop_oneof![
        Just(Approver::ManagerOrAdmin),
        Just(Approver::Admin),
        "[a-c]".prop_map(|name| Approver::named(format!("{name}@corp.example").parse().unwrap())),
    ];
    let one = (0..3u8, 0..12u8, prop::collection::btree_set(approver, 1..4)).prop_map(|(strictness, rule, whom)| {
        let one = judgement(&format!("rule.{rule}"), strictness);
        match one.answer {
            Answer::Ask { .. } => Judgement { answer: Answer::Ask { approvers: whom.into_iter().collect() }, ..one },
            Answer::Allow | Answer::Deny { .. } => one,
        }
    });
    prop::collection::vec(one, 1..10).prop_map(|all| all.into_iter().reduce(Judgement::join).unwrap())
}

fn costs(now: i64, adds: i64, ceilings: (Option<i64>, i64, Option<i64>, Option<i64>)) -> CostFacts {
    let (ceiling, owner_now, owner_ceiling, unconfirmed) = ceilings;
    let (owner_now, owner_ceiling) = (Usd::from_dollars(owner_now), owner_ceiling.map(Usd::from_dollars));
    let cost = cost(now, adds, ceiling);
    let owner = Some(OwnerCostFacts { now: owner_now, after: owner_now + cost.adds, ceiling: owner_ceiling });
    CostFacts { owner, unconfirmed: unconfirmed.map(Usd::from_dollars), ..cost }
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let changes = prop_oneof![
        Just(ChangeKind::Create),
        Just(ChangeKind::Update),
        Just(ChangeKind::RotateSecrets),
        Just(ChangeKind::Remove)
    ];
    let ceiling = || prop::option::of(0..100i64);
    let ceilings = (ceiling(), 0..100i64, ceiling(), ceiling());
    (changes, any::<[bool; 4]>(), 0..100i64, 0..100i64, ceilings, 0..2u32, 0..2u32).prop_map(
        |(change, [present, wanted, listed, grown], now, adds, ceilings, replace, destroy)| Facts {
            change,
            target_listed: listed,
            present: (change != ChangeKind::Create).then(|| state(present)),
            wanted: (change != ChangeKind::Remove).then(|| state(wanted)),
            cost: costs(
                now,
                if matches!(change, ChangeKind::Create | ChangeKind::Update) { adds } else { 0 },
                ceilings,
            ),
            plan: Some(PlanFacts { grown, ..plan(replace, destroy) }),
            ..facts()
        },
    )
}

proptest! {
    #[test]
    fn joining_is_associative(a in any_judgement(), b in any_judgement(), c in any_judgement()) {
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)));
    }

    #[test]
    fn joining_is_commutative_up_to_reasons(a in any_judgement(), b in any_judgement()) {
        let (ab, ba) = (a.clone().join(b.clone()), b.join(a));
        prop_assert_eq!(strictness(&ab), strictness(&ba));
        prop_assert_eq!(approvers(&ab), approvers(&ba));
    }

    #[test]
    fn joining_is_never_looser_than_either(a in any_judgement(), b in any_judgement()) {
        let joined = a.clone().join(b.clone());
        for one in [&a, &b] {
            prop_assert!(strictness(&joined) >= strictness(one));
            if strictness(&joined) == 1 {
                prop_assert!(approvers(one).iter().all(|approver| approvers(&joined).contains(approver)));
            }
        }
        prop_assert!(joined.rule == a.rule || joined.rule == b.rule);
        prop_assert_eq!(joined.clone().join(joined.clone()), joined, "joining with itself changes nothing");
    }

    #[test]
    fn whatever_the_facts_the_guarantees_hold(facts in any_facts(), theirs in any_judgement()) {
        let judgement = built_in(&facts).join(theirs);
        let asks = |state: &Option<StateFacts>| state.as_ref().is_some_and(|state| state.asks_human);
        if !facts.target_listed {
            prop_assert_eq!(strictness(&judgement), 2);
        }
        if asks(&facts.present) || asks(&facts.wanted) {
            prop_assert!(strictness(&judgement) >= 1, "a person is asked for what exists and for what is wanted");
        }
        if judgement.answer == Answer::Allow && facts.cost.adds > Usd::ZERO {
            prop_assert!(facts.cost.ceiling.is_some_and(|ceiling| facts.cost.after <= ceiling));
            prop_assert!(facts.cost.unconfirmed.is_none_or(|ceiling| facts.cost.after <= ceiling));
            let owner = facts.cost.owner.unwrap();
            prop_assert!(owner.ceiling.is_none_or(|ceiling| owner.after <= ceiling));
        }
        if judgement.answer == Answer::Allow && matches!(facts.change, ChangeKind::Create | ChangeKind::Update) {
            prop_assert!(facts.plan.is_some_and(|plan| plan.destroy + plan.replace == 0 && !plan.grown));
        }
    }
}
