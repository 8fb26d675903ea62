//! Values of sensitive inputs, from the call that brings them until nothing needs them.

use super::GetSecret;
use crate::{
    app::{
        resources::DeprovisionResource,
        testkit::{Kit, StoreFaults},
        worker,
    },
    backends::MemoryStore,
    domain::{
        job::{Job, MAX_ATTEMPTS, MAX_PAUSE, SHARDS, Work},
        resource::ResourceStatus,
        secret::Secret,
    },
    error::{Code, Result},
    kernel::{ResourceId, SecretId},
    ports::kinds,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

const NAME: &str = "keyed.one.password";

async fn ask(kit: &Kit, password: &str) -> Result<crate::app::requests::Requested> {
    kit.ask("keyed", "one", json!({"password": password})).await
}

async fn done(kit: &Kit, password: &str) -> ResourceId {
    let asked = ask(kit, password).await.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    let resource = kit.resource(&asked.request.resource_id).await;
    assert_eq!(resource.status, ResourceStatus::Provisioned);
    resource.id
}

async fn reveal(kit: &Kit) -> (u32, String) {
    let reveal = GetSecret { project_id: Some(kit.project.clone()), name: NAME.to_owned() };
    let revealed = kit.app.run(&kit.owner(), &reveal).await.unwrap();
    (revealed.version, revealed.value)
}

/// The values that a job is going to forget.
async fn doomed(kit: &Kit) -> BTreeSet<SecretId> {
    let mut found = BTreeSet::new();
    for shard in 0..SHARDS {
        for job in kit.all::<Job>(&kinds::JOBS_DUE, &shard.to_string()).await {
            if let Work::Forget { secrets, .. } = job.work {
                found.extend(secrets.into_iter().map(|secret| secret.id));
            }
        }
    }
    found
}

/// How many values the secret store has.
fn stored(kit: &Kit) -> usize {
    let everything = format!("{:?}", kit.memory);
    let ids = everything.split("id: \"secret/").skip(1).filter_map(|rest| rest.split('"').next());
    ids.collect::<BTreeSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn a_value_is_stored_once_however_often_the_decision_is_made() {
    let kit = Kit::dry().await;
    kit.faulty.fault.conflict_every.store(2, SeqCst);
    for n in 0..4 {
        kit.ask("keyed", &format!("r{n}"), json!({"password": "hunter2"})).await.unwrap();
        assert_eq!(kit.faulty.fault.secret_puts.load(SeqCst), n + 1, "one input, one value");
    }
    assert!(kit.faulty.fault.conflicts.load(SeqCst) > 0, "nobody was faster");
    assert_eq!(doomed(&kit).await, BTreeSet::new(), "what is named is not collected");
    assert!(!format!("{:?}", kit.memory).contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_value_is_read_once_however_often_the_decision_is_made() {
    let kit = Kit::dry().await;
    done(&kit, "hunter2").await;
    let before = kit.faulty.fault.secret_gets.load(SeqCst);
    kit.faulty.fault.conflict_every.store(2, SeqCst);
    for n in 1..=4 {
        assert_eq!(reveal(&kit).await, (1, "hunter2".to_owned()));
        assert_eq!(kit.faulty.fault.secret_gets.load(SeqCst), before + n);
    }
    assert!(kit.faulty.fault.conflicts.load(SeqCst) > 0, "nobody was faster");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_no_commit_names_is_forgotten() {
    let kit = Kit::staged().await;
    ask(&kit, "one").await.unwrap();
    assert_eq!(ask(&kit, "two").await.unwrap_err().code(), Code::OpenRequest);
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (2, 1));
    kit.pass(Duration::from_secs(3500));
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(stored(&kit), 2, "a call may still be about to name it");
    kit.pass(Duration::from_secs(200));
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (1, 0));
    assert_eq!(reveal(&kit).await, (1, "one".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_secret_store_that_is_away_for_long_forgets_in_the_end() {
    let kit = Kit::staged().await;
    ask(&kit, "one").await.unwrap();
    ask(&kit, "two").await.unwrap_err();
    kit.faulty.fault.forgets_nothing.store(true, SeqCst);
    for _ in 0..2 * MAX_ATTEMPTS {
        kit.pass(Duration::from_secs(2 * 3600));
        worker::run_due(&kit.app).await.unwrap();
    }
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (2, 1), "it is tried on and on");
    kit.faulty.fault.forgets_nothing.store(false, SeqCst);
    kit.pass(2 * MAX_PAUSE);
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (1, 0));
}

/// What is asked for and refused uses nothing up: the input can be changed after any number of refusals, and what they stored is gone.
#[tokio::test(start_paused = true)]
async fn refused_asks_burn_no_version_of_a_sensitive_input() {
    let kit = Kit::dry().await;
    done(&kit, "first").await;
    let open = ask(&kit, "second").await.unwrap();
    for n in 0..40 {
        let refused = ask(&kit, &format!("refused {n}")).await.unwrap_err();
        assert_eq!(refused.code(), Code::OpenRequest);
    }
    assert_eq!(reveal(&kit).await, (2, "second".to_owned()));
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(kit.resource(&open.request.resource_id).await.status, ResourceStatus::Provisioned);
    done(&kit, "third").await;
    assert_eq!(reveal(&kit).await, (3, "third".to_owned()));
    for _ in 0..3 {
        kit.pass(2 * MAX_PAUSE);
        while worker::run_due(&kit.app).await.unwrap() > 0 {}
    }
    // Of the input the first value, the present one and the one before it, and the output of the dry run: none of what was refused.
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (4, 0));
}

/// A process that sleeps between the job and the value, for longer than the job waits.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_stored_after_its_job_was_done_is_forgotten_all_the_same() {
    let kit = Kit::staged().await;
    let (app, clock) = (Arc::clone(&kit.app), Arc::clone(&kit.clock));
    let asleep = async move {
        clock.advance(Duration::from_secs(3700));
        worker::run_due(&app).await.unwrap();
    };
    *kit.faulty.fault.before_put.lock().unwrap() = Some(Box::pin(asleep));
    let refused = ask(&kit, "hunter2").await.unwrap_err();
    assert_eq!((refused.code(), refused.retry_after_secs()), (Code::Busy, Some(1)));
    assert_eq!((stored(&kit), doomed(&kit).await.len()), (1, 1), "the value came after its job");
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(stored(&kit), 0);
    ask(&kit, "hunter2").await.unwrap();
    assert_eq!((stored(&kit), reveal(&kit).await), (1, (1, "hunter2".to_owned())));
}

/// A process that dies anywhere leaves nothing that is not named or collected.
#[tokio::test(start_paused = true)]
async fn a_death_at_any_call_leaves_nothing_behind() {
    for calls in 1.. {
        let kit = Kit::staged().await;
        kit.faulty.fault.life.after(calls, false);
        let asked = ask(&kit, "hunter2").await;
        kit.faulty.fault.life.after(i64::MAX, false);
        let named = kit.all::<Secret>(&kinds::SECRETS_BY_PROJECT, kit.project.as_str()).await.len();
        kit.pass(Duration::from_secs(3700));
        worker::run_due(&kit.app).await.unwrap();
        assert_eq!((stored(&kit), doomed(&kit).await.len()), (named, 0), "died at call {calls}");
        if asked.is_ok() {
            assert_eq!(named, 1);
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_at_once_agree_on_one_value() {
    let kit = Kit::staged().await;
    let (one, two) = tokio::join!(ask(&kit, "one"), ask(&kit, "two"));
    let winner = match (one, two) {
        (Ok(_), Err(error)) => ("one", error),
        (Err(error), Ok(_)) => ("two", error),
        other => panic!("{other:?}"),
    };
    assert_eq!(winner.1.code(), Code::OpenRequest);
    kit.pass(Duration::from_secs(3700));
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!((stored(&kit), reveal(&kit).await), (1, (1, winner.0.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn the_same_value_again_changes_nothing_and_is_not_stored() {
    let kit = Kit::dry_on(StoreFaults::on(&MemoryStore::new())).await;
    done(&kit, "one").await;
    let again = ask(&kit, "one").await.unwrap();
    assert!(!again.changed);
    assert_eq!(kit.faulty.fault.secret_puts.load(SeqCst), 2, "the input, and the output of the dry run");
}

#[tokio::test(start_paused = true)]
async fn values_that_were_replaced_go_when_nothing_was_made_with_them_and_all_go_with_the_resource() {
    let kit = Kit::dry().await;
    let mut resource = None;
    for (n, password) in ["one", "two", "three", "four"].into_iter().enumerate() {
        resource = Some(done(&kit, password).await);
        assert_eq!(reveal(&kit).await, (u32::try_from(n).unwrap() + 1, password.to_owned()));
        kit.pass(Duration::from_secs(700));
        worker::run_due(&kit.app).await.unwrap();
        let secret = kit.all::<Secret>(&kinds::SECRETS_BY_PROJECT, kit.project.as_str()).await;
        let secret = secret.into_iter().find(|secret| secret.name == NAME).unwrap();
        // The first one is under the secret's own id; of the others, the present one and the one before it.
        let apart = secret.stored_as.iter().chain(&secret.applied_as).count();
        assert_eq!(apart, n.min(2));
        assert_eq!(stored(&kit), 1 + apart + 1, "and the output of the dry run");
    }
    let remove = DeprovisionResource { project_id: None, resource_id: resource.unwrap(), version: None };
    kit.app.run(&kit.owner(), &remove).await.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(stored(&kit), 0);
    assert_eq!(kit.all::<Secret>(&kinds::SECRETS_BY_PROJECT, kit.project.as_str()).await, []);
}

/// A key that an admin minted for others reveals, and each time the owner and the manager are told through whom.
#[tokio::test]
async fn what_a_key_of_an_admins_reveals_is_said_to_owner_and_manager_and_on_the_key() {
    use crate::{
        app::{
            Call,
            keys::{AdoptKey, MintKey},
            testkit::{MANAGER, OWNER, signed_in},
        },
        domain::{
            audit::{AuditAction, AuditEvent},
            credential::ProjectKey,
        },
        kernel::{Actor, Role},
    };
    let kit = Kit::dry().await;
    let spec = serde_json::json!({"password": "hunter2"});
    kit.ask("keyed", "one", spec).await.unwrap();
    crate::app::worker::run_due(&kit.app).await.unwrap();
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a person") };
    let admin = Call::by(Actor::Human { person, sign_in, role: Role::Admin }, kit.app.new_trace());
    let mint = MintKey { project_id: kit.project.clone(), name: "run book".parse().unwrap(), expires_in_days: None };
    let key = kit.app.run(&admin, &mint).await.unwrap().id;
    let reveal = GetSecret { project_id: None, name: "keyed.one.password".into() };
    for _ in 0..2 {
        kit.app.as_key(&key).await.unwrap().run(&reveal).await.unwrap();
    }
    let events = kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
    let told: Vec<_> = events.iter().filter(|event| event.action == AuditAction::SecretRevealedByAdminKey).collect();
    assert_eq!(told.len(), 2);
    let detail = |name: &str| told[0].details[name].as_str();
    assert_eq!(
        (detail("minted_by"), detail("owner"), detail("manager"), detail("secret")),
        ("root@corp.example", OWNER, MANAGER, "keyed.one.password")
    );
    assert_eq!(told[0].actor.person.as_ref().map(ToString::to_string).as_deref(), Some("root@corp.example"));
    let kept = kit.read::<ProjectKey>(&key).await.unwrap();
    assert_eq!(
        kept.reveals.as_ref().map(|reveals| (reveals.count, reveals.last_name.as_str())),
        Some((2, "keyed.one.password"))
    );

    // Once the owner answers for the key, a reveal is theirs.
    let adopt = AdoptKey { project_id: kit.project.clone(), key_id: key.clone() };
    kit.app.run(&Call::by(signed_in(OWNER), kit.app.new_trace()), &adopt).await.unwrap();
    kit.app.as_key(&key).await.unwrap().run(&reveal).await.unwrap();
    assert_eq!(kit.read::<ProjectKey>(&key).await.unwrap().reveals.as_ref().map(|reveals| reveals.count), Some(2));
}

/// What a service that embeds Asgard lets act for a person is told of as that person's key is.
#[tokio::test]
async fn a_reveal_by_an_agent_for_somebody_who_may_not_reveal_tells_owner_and_manager() {
    use crate::{
        app::{
            Call,
            testkit::{MANAGER, OWNER, signed_in},
        },
        domain::audit::{AuditAction, AuditEvent},
        kernel::{Actor, AgentId},
    };
    let kit = Kit::dry().await;
    let id = kit.world.id::<AgentId>();
    done(&kit, "hunter2").await;
    let reveal = GetSecret { project_id: None, name: NAME.into() };
    let told = async || {
        let events = kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
        let told = |event: &AuditEvent| event.action == AuditAction::SecretRevealedByAgentOfOther;
        events.into_iter().filter(told).collect::<Vec<_>>()
    };
    for (of, tells) in [(Some("root@corp.example"), 1), (Some(OWNER), 0), (Some(MANAGER), 0), (None, 0)] {
        let before = told().await.len();
        let on_behalf_of = of.map(|of| {
            let Actor::Human { person, .. } = signed_in(of) else { panic!("a person") };
            person
        });
        let agent = Actor::Agent { agent: id.clone(), project: kit.project.clone(), on_behalf_of };
        kit.app.run(&Call::by(agent, kit.app.new_trace()), &reveal).await.unwrap();
        assert_eq!(told().await.len() - before, tells, "{of:?}");
    }
    let event = told().await.pop().unwrap();
    let detail = |name: &str| event.details[name].as_str();
    assert_eq!(
        (detail("on_behalf_of"), detail("owner"), detail("manager"), detail("secret"), event.object.as_str()),
        ("root@corp.example", OWNER, MANAGER, NAME, id.as_str())
    );
}
