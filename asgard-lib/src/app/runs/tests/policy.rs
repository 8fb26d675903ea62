//! Policy through the life of a request: what it weighs, what it adds, and what is kept of it.

use crate::{
    app::{
        Call,
        people::{Vouched, vouched_for},
        requests::{Approve, ExplainRequest, Reject},
        resources::DeprovisionResource,
        testkit::{Kit, MANAGER, boot_under, catalog, signed_in, sized_catalog},
    },
    domain::{
        policy::{Approver, Facts, Judgement, Moment, RuleId, built_in},
        request::{Request, RequestStatus},
        run::PlanSummary,
    },
    error::{Code, Error, Result},
    kernel::{Actor, Person, RequestId, Role, SignIn, UserId},
    ports::{
        kinds,
        policy::{BuiltIn, Policy},
        runner::{RunOutcome, RunReporter},
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// A policy that a test writes as a function.
struct Scripted<F>(F);

impl<F: Fn(&Facts) -> Result<Judgement> + Send + Sync> Policy for Scripted<F> {
    fn judge(&self, facts: &Facts) -> Result<Judgement> {
        (self.0)(facts)
    }
}

async fn under(policy: impl Fn(&Facts) -> Result<Judgement> + Send + Sync + 'static) -> Kit {
    let mut kit = Kit::staged().await;
    let runner = Arc::clone(&kit.stage) as _;
    let policy = Arc::new(Scripted(policy));
    kit.app = boot_under(Arc::clone(&kit.faulty), &kit.world, runner, catalog(), policy).await.unwrap();
    kit
}

fn rule(id: &str) -> RuleId {
    id.parse().unwrap()
}

/// Plans the request, so that it creates one thing.
async fn plan(kit: &Kit, id: &RequestId) -> RequestStatus {
    let summary = PlanSummary { create: 1, ..PlanSummary::default() };
    end(kit, id, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }).await
}

async fn end(kit: &Kit, id: &RequestId, ending: RunOutcome) -> RequestStatus {
    let run = kit.request(id).await.current_run.unwrap();
    kit.supervise(&run, ending).await;
    kit.check().await;
    kit.request(id).await.status
}

async fn approve(kit: &Kit, call: &Call, id: &RequestId) -> Result<RequestStatus> {
    let command = Approve { request_id: id.clone(), note: None, version: None };
    kit.app.run(call, &command).await.map(|view| view.status)
}

fn admin(kit: &Kit) -> Call {
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a session") };
    Call::by(Actor::Human { person, sign_in, role: Role::Admin }, kit.app.new_trace())
}

fn last_rule(request: &Request) -> &str {
    request.judgements.last().unwrap().judgement.rule.as_str()
}

#[tokio::test(start_paused = true)]
async fn what_a_person_approved_is_neither_changed_nor_removed_without_one() {
    let mut kit = Kit::staged().await;
    let runner = Arc::clone(&kit.stage) as _;
    kit.app =
        boot_under(Arc::clone(&kit.faulty), &kit.world, runner, sized_catalog(), Arc::new(BuiltIn)).await.unwrap();
    let ask = async |size: &str| kit.ask("sized", "one", json!({"size": size})).await.unwrap().request.request_id;
    let applied = || RunOutcome::Applied { outputs: BTreeMap::new() };

    let large = ask("l").await;
    assert_eq!(plan(&kit, &large).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&large).await), "approval.wanted");
    approve(&kit, &kit.manager(), &large).await.unwrap();
    assert_eq!(end(&kit, &large, applied()).await, RequestStatus::Fulfilled);

    // The small one alone would pass; what exists is large.
    let small = ask("s").await;
    assert_eq!(plan(&kit, &small).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&small).await), "approval.present");
    kit.app.run(&kit.manager(), &Reject { request_id: small, note: None, version: None }).await.unwrap();

    let resource_id = kit.request(&large).await.resource;
    let remove = DeprovisionResource { project_id: None, resource_id: resource_id.clone(), version: None };
    let gone = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
    let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    let outcome = RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) };
    assert_eq!(end(&kit, &gone, outcome).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&gone).await), "approval.removal");
    kit.app.run(&kit.manager(), &Reject { request_id: gone, note: None, version: None }).await.unwrap();

    // Once a person let it become small, nobody is asked to remove it.
    let small = ask("s").await;
    plan(&kit, &small).await;
    approve(&kit, &kit.manager(), &small).await.unwrap();
    assert_eq!(end(&kit, &small, applied()).await, RequestStatus::Fulfilled);
    let remove = DeprovisionResource { project_id: None, resource_id, version: None };
    let gone = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
    let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    let outcome = RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) };
    assert_eq!(end(&kit, &gone, outcome).await, RequestStatus::Approved);
    assert_eq!(last_rule(&kit.request(&gone).await), "removal.free");
}

/// A change to what a person has to approve begins and fails half-way: what exists may be of that kind, whatever was applied wholly.
#[tokio::test(start_paused = true)]
async fn what_was_half_made_with_an_approval_is_neither_changed_nor_removed_without_one() {
    let begun = async |kit: &Kit, id: &RequestId, outcome: RunOutcome| {
        let (_, claimed_run) = kit.claim(&kit.request(id).await.current_run.unwrap()).await;
        claimed_run.applying(None).await.unwrap();
        claimed_run.finish(outcome).await.unwrap();
        kit.check().await;
    };
    let left = || vec!["a.b".to_owned()];
    let ways: [fn(Vec<String>) -> RunOutcome; 3] = [
        |may_exist| RunOutcome::Failed { error: "boom".into(), may_exist },
        |may_exist| RunOutcome::Cancelled { may_exist },
        |may_exist| RunOutcome::TimedOut { may_exist },
    ];
    for (provisioned, way) in [true, false].into_iter().flat_map(|provisioned| ways.map(|way| (provisioned, way))) {
        let mut kit = Kit::staged().await;
        let runner = Arc::clone(&kit.stage) as _;
        kit.app =
            boot_under(Arc::clone(&kit.faulty), &kit.world, runner, sized_catalog(), Arc::new(BuiltIn)).await.unwrap();
        let ask = async |size: &str| kit.ask("sized", "one", json!({"size": size})).await.unwrap().request.request_id;
        let small = ask("s").await;
        assert_eq!(plan(&kit, &small).await, RequestStatus::Approved);
        let first = if provisioned { RunOutcome::Applied { outputs: BTreeMap::new() } } else { way(left()) };
        begun(&kit, &small, first).await;

        let large = ask("l").await;
        assert_eq!(plan(&kit, &large).await, RequestStatus::Pending);
        approve(&kit, &kit.manager(), &large).await.unwrap();
        begun(&kit, &large, way(left())).await;

        let resource_id = kit.request(&large).await.resource;
        let remove = DeprovisionResource { project_id: None, resource_id, version: None };
        let gone = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
        let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
        let outcome = RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) };
        assert_eq!(end(&kit, &gone, outcome).await, RequestStatus::Pending, "{provisioned}");
        kit.app.run(&kit.manager(), &Reject { request_id: gone, note: None, version: None }).await.unwrap();

        let again = ask("s").await;
        assert_eq!(plan(&kit, &again).await, RequestStatus::Pending, "{provisioned}");
        assert_eq!(last_rule(&kit.request(&again).await), "approval.present");
        // Once a person let it become small and it did, it is small.
        approve(&kit, &kit.manager(), &again).await.unwrap();
        begun(&kit, &again, RunOutcome::Applied { outputs: BTreeMap::new() }).await;
        let gone = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
        let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
        let outcome = RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) };
        assert_eq!(end(&kit, &gone, outcome).await, RequestStatus::Approved, "{provisioned}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_allows_everything_loosens_nothing() {
    let kit = under(|_| Ok(Judgement::allow(rule("anything.goes"), "Why not."))).await;
    let asked = kit.ask("asked", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &asked).await, RequestStatus::Pending);
    let dear = kit.ask("thing", "dear", json!({"monthly_usd": 900})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &dear).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&dear).await), "cost.above-ceiling");
    let cheap = kit.ask("thing", "cheap", json!({"monthly_usd": 0})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &cheap).await, RequestStatus::Approved);
}

#[tokio::test(start_paused = true)]
async fn whom_policy_names_by_address_is_kept_by_account() {
    let kit = under(|facts| {
        let named = Approver::named("ann@corp.example".parse()?);
        let ask = Judgement::ask(rule("ann.looks"), named, "Ann looks at this.");
        Ok(if facts.moment == Moment::Planned { ask } else { built_in(facts) })
    })
    .await;
    let ann = Vouched::new("ann@corp.example".parse().unwrap(), Role::Admin);
    let ann = vouched_for(&kit.app, &ann).await.unwrap();
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Pending);
    let kept = Approver::Named { person: "ann@corp.example".parse().unwrap(), user: ann.user().cloned() };
    let explained = kit.app.run(&kit.manager(), &ExplainRequest { request_id: id.clone() }).await.unwrap();
    assert!(explained.approval.unwrap().waits_for.contains(&kept));

    // Another account with that address is not who was meant, even one that may approve.
    let heir = Person::verified(UserId::from_digest(&[7; 32]), "ann@corp.example".parse().unwrap());
    let heir = Actor::Human { person: heir, role: Role::Admin, sign_in: SignIn::Host };
    let explain = ExplainRequest { request_id: id.clone() };
    let refused = approve(&kit, &Call::by(heir, kit.app.new_trace()), &id).await.unwrap_err();
    assert!(refused.code() == Code::Denied && refused.message().contains("waits for ann@corp.example"), "{refused:?}");
    let ann = Call::by(ann, kit.app.new_trace());
    assert!(kit.app.run(&ann, &explain).await.unwrap().approval.unwrap().you_may);
    assert_eq!(approve(&kit, &ann, &id).await.unwrap(), RequestStatus::Approved);
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn everybody_whom_policy_names_has_to_approve() {
    let kit = under(|facts| {
        let named = Approver::named(MANAGER.parse()?);
        let both = Judgement::ask(rule("four.eyes"), named, "Two people look at this.");
        Ok(match facts.moment {
            Moment::Planned => both.join(Judgement::ask(rule("an.admin"), Approver::Admin, "One of them is an admin.")),
            Moment::Asking | Moment::Approval | Moment::Starting => built_in(facts),
        })
    })
    .await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Pending);
    let explain = async |call: &Call| kit.app.run(call, &ExplainRequest { request_id: id.clone() }).await.unwrap();

    assert_eq!(approve(&kit, &kit.owner(), &id).await.unwrap_err().code(), Code::Denied);
    assert_eq!(approve(&kit, &kit.manager(), &id).await.unwrap(), RequestStatus::Pending, "an admin is missing");
    kit.check().await;
    let again = approve(&kit, &kit.manager(), &id).await.unwrap_err();
    assert!(again.code() == Code::Denied && again.message().contains("an admin"), "{again:?}");
    let seen = explain(&kit.manager()).await;
    let approval = seen.approval.unwrap();
    assert_eq!((approval.waits_for, approval.you_may, seen.approvals.len()), (vec![Approver::Admin], false, 1));
    assert!(explain(&admin(&kit)).await.approval.unwrap().you_may);

    assert_eq!(approve(&kit, &admin(&kit), &id).await.unwrap(), RequestStatus::Approved);
    kit.check().await;
    let judgements = kit.request(&id).await.judgements;
    let moments: Vec<Moment> = judgements.iter().map(|judged| judged.moment).collect();
    assert_eq!(moments, [Moment::Asking, Moment::Planned, Moment::Approval, Moment::Approval]);
    assert_eq!(judgements[1].judgement.rule.as_str(), "four.eyes");
    assert_eq!(judgements[1].judgement.also[0].rule.as_str(), "an.admin");
    assert_eq!(explain(&kit.owner()).await.judgements.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_denial_ends_it_wherever_it_comes() {
    for denied in [Moment::Asking, Moment::Planned, Moment::Approval, Moment::Starting] {
        let kit = under(move |facts| {
            // Starting is asked before each run; what is denied here is the start of the apply.
            let applies = facts.moment != Moment::Starting || facts.plan.is_some();
            Ok(if facts.moment == denied && applies {
                Judgement::deny(rule("no.more"), "Nothing more this year.", "The board can change that.")
            } else {
                built_in(facts)
            })
        })
        .await;
        let service = if denied == Moment::Approval { "asked" } else { "thing" };
        let asked = kit.ask(service, "one", json!({"monthly_usd": 3})).await;
        if denied == Moment::Asking {
            let error = asked.unwrap_err();
            assert_eq!(error.code(), Code::PolicyDenied);
            assert!(error.message().contains("The board can change that. (Rule no.more.)"), "{error:?}");
            assert!(kit.all::<Request>(&kinds::REQUESTS_BY_PROJECT, kit.project.as_str()).await.is_empty());
            continue;
        }
        let id = asked.unwrap().request.request_id;
        let planned = plan(&kit, &id).await;
        match denied {
            Moment::Planned => {
                assert_eq!(planned, RequestStatus::Rejected);
                let request = kit.request(&id).await;
                assert!(request.error.as_ref().unwrap().contains("no.more") && request.decision.is_none());
                assert_eq!(last_rule(&request), "no.more");
            }
            Moment::Approval => {
                let error = approve(&kit, &kit.manager(), &id).await.unwrap_err();
                assert_eq!(error.code(), Code::PolicyDenied);
                assert_eq!(kit.request(&id).await.status, RequestStatus::Pending, "it goes on waiting");
            }
            Moment::Asking | Moment::Starting => {
                assert_eq!(planned, RequestStatus::Approved);
                let run = kit.request(&id).await.current_run.unwrap();
                kit.try_claim(&run).await.unwrap();
                let request = kit.request(&id).await;
                assert_eq!(request.status, RequestStatus::Failed);
                assert!(request.error.unwrap().contains("no.more"));
            }
        }
        kit.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_fails_lets_nothing_pass() {
    let fails = |moment: Moment| {
        move |facts: &Facts| {
            if facts.moment == moment { Err(Error::bug("the policy is broken")) } else { Ok(built_in(facts)) }
        }
    };
    let kit = under(fails(Moment::Asking)).await;
    assert_eq!(kit.ask("thing", "one", json!({})).await.unwrap_err().code(), Code::Bug);

    let kit = under(fails(Moment::Planned)).await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&id).await), "policy.unavailable");
    assert_eq!(approve(&kit, &kit.manager(), &id).await.unwrap(), RequestStatus::Approved, "it answers again");

    let kit = under(fails(Moment::Approval)).await;
    let id = kit.ask("asked", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Pending);
    assert_eq!(approve(&kit, &kit.manager(), &id).await.unwrap_err().code(), Code::Bug);
    assert_eq!(kit.request(&id).await.status, RequestStatus::Pending);

    // Too many approvers are an error too, because leaving some out would be looser.
    let kit = under(|facts| {
        let many = (0..20).map(|n| Approver::named(format!("p{n}@corp.example").parse().unwrap()));
        let asks = many.map(|approver| Judgement::ask(rule("everybody"), approver, "All of them."));
        Ok(asks.reduce(Judgement::join).filter(|_| facts.moment == Moment::Planned).unwrap_or_else(|| built_in(facts)))
    })
    .await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    plan(&kit, &id).await;
    assert_eq!(last_rule(&kit.request(&id).await), "policy.unavailable");
}

/// A catalogue whose services are those of [`catalog`], changed.
fn changed(change: impl Fn(&mut crate::domain::service::Manifest)) -> crate::app::ServiceCatalog {
    use crate::{app::services::Service, domain::service::tests::manifest};
    let mut thing = manifest("local", "auto");
    thing.id = "thing".parse().unwrap();
    change(&mut thing);
    let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
    crate::app::ServiceCatalog::of([Service::new(thing, files).unwrap()], Vec::new())
}

async fn later_with(kit: &mut Kit, catalog: crate::app::ServiceCatalog) {
    let runner = Arc::clone(&kit.stage) as _;
    kit.app = boot_under(Arc::clone(&kit.faulty), &kit.world, runner, catalog, Arc::new(BuiltIn)).await.unwrap();
}

/// Claims the request's run, which does not start, and says why.
async fn not_started(kit: &Kit, id: &RequestId) -> String {
    let run = kit.request(id).await.current_run.unwrap();
    assert!(matches!(kit.try_claim(&run).await.unwrap(), crate::app::runs::Claim::NotNeeded { .. }));
    let request = kit.request(id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    request.error.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_start_with_what_the_catalogue_forbids_by_now() {
    let mut kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({"size": "l"})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Approved);
    later_with(&mut kit, changed(|thing| thing.inputs["properties"]["size"] = json!({"enum": ["s"]}))).await;
    let why = not_started(&kit, &id).await;
    assert!(why.contains("other inputs") && why.contains("spec.size"), "{why}");

    // Nor is it asked again by a retry.
    let resource_id = kit.request(&id).await.resource;
    let retry = crate::app::resources::RetryResource { project_id: None, resource_id };
    let refused = kit.app.run(&kit.owner(), &retry).await.unwrap_err();
    assert!(refused.code() == Code::WrongState && refused.message().contains("spec.size"), "{refused:?}");
}

/// Its value is not in the spec that is checked then.
#[tokio::test(start_paused = true)]
async fn a_sensitive_input_that_is_required_counts_as_given_when_a_run_starts_and_by_a_retry() {
    let mut kit = Kit::staged().await;
    let keyed = changed(|thing| {
        thing.inputs["properties"]["password"] = json!({"type": "string", "minLength": 12});
        thing.inputs["required"] = json!(["password"]);
        thing.sensitive_inputs = vec!["password".to_owned()];
    });
    later_with(&mut kit, keyed).await;
    let id = kit.ask("thing", "one", json!({"password": "correct horse"})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Approved);
    let failed = RunOutcome::Failed { error: "boom".into(), may_exist: Vec::new() };
    assert_eq!(end(&kit, &id, failed).await, RequestStatus::Failed);
    let resource_id = kit.request(&id).await.resource;
    let retry = crate::app::resources::RetryResource { project_id: None, resource_id };
    let id = kit.app.run(&kit.owner(), &retry).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Approved);
    let (assignment, _) = kit.claim(&kit.request(&id).await.current_run.unwrap()).await;
    assert_eq!(assignment.variables["password"], "correct horse");
}

#[tokio::test(start_paused = true)]
async fn what_passed_by_itself_waits_for_a_person_once_one_would_have_to_be_asked() {
    let mut kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Approved);
    later_with(&mut kit, changed(|thing| thing.approval = crate::domain::service::Approval::Human)).await;
    let run = kit.request(&id).await.current_run.unwrap();
    assert!(matches!(kit.try_claim(&run).await.unwrap(), crate::app::runs::Claim::NotNeeded { .. }));
    kit.check().await;
    let request = kit.request(&id).await;
    assert_eq!((request.status, last_rule(&request)), (RequestStatus::Pending, "approval.wanted"));
    assert_eq!(kit.run(&run).await.status, crate::domain::run::RunStatus::Cancelled);

    // Exactly the plan that waited is carried out then.
    assert_eq!(approve(&kit, &kit.manager(), &id).await.unwrap(), RequestStatus::Approved);
    assert_eq!(kit.run(&kit.request(&id).await.current_run.unwrap()).await.plan_of, request.plan_run);
    assert_eq!(end(&kit, &id, RunOutcome::Applied { outputs: BTreeMap::new() }).await, RequestStatus::Fulfilled);
}

#[tokio::test(start_paused = true)]
async fn whoever_owned_the_project_when_it_was_asked_for_stays_barred() {
    let kit = Kit::staged().await;
    let agent: crate::app::keys::MintKey =
        serde_json::from_value(json!({"project_id": kit.project, "name": "agent"})).map_err(|e| e.to_string()).unwrap();
    let key = kit.app.run(&kit.manager(), &agent).await.unwrap().id;
    let wanted = json!({"service": "asked", "name": "one"});
    let wanted: crate::app::requests::RequestResource = serde_json::from_value(wanted).unwrap();
    let id = kit.app.as_key(&key).await.unwrap().run(&wanted).await.unwrap().request.request_id;
    assert_eq!(plan(&kit, &id).await, RequestStatus::Pending);
    // The project moves to others, and its former owner manages it now.
    let update = json!({"project_id": kit.project, "owner_email": "next@corp.example", "manager_email": crate::app::testkit::OWNER});
    let update: crate::app::projects::UpdateProject = serde_json::from_value(update).unwrap();
    kit.app.run(&admin(&kit), &update).await.unwrap();
    let former = Call::by(signed_in(crate::app::testkit::OWNER), kit.app.new_trace());
    assert_eq!(approve(&kit, &former, &id).await.unwrap_err().code(), Code::SeparationOfDuties);
    assert_eq!(approve(&kit, &admin(&kit), &id).await.unwrap(), RequestStatus::Approved);
}
