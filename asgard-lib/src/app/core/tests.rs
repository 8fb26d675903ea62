//! The order of an operation's steps, what a decision must not do, and what a replay asks first.

mod every;
mod large;
mod lifetime;
mod moments;

use super::{
    drive::drive,
    idempotency::Remember,
    operation::{Decided, Operation, SimpleOperation, Unremembered},
};
use crate::{
    app::{
        Asgard, Call, Hints, Meta, Reads, Tx,
        core::scope::ReadMode,
        keys::MintKey,
        operations,
        testkit::{Kit, OWNER, StoreFaults, signed_in},
    },
    backends::MemoryStore,
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        project::Project,
    },
    error::{Code, Error, Result},
    kernel::{Party, ProjectId, SecretId, SecretText},
    ports::records::Stored,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

const META: Meta = Meta {
    name: "test.probe",
    title: "Probe",
    description: "Notes its steps.",
    action: Action::DescribeProject,
    routes: &[],
    tools: &[],
    hints: Hints::CREATE,
    creates: true,
};

/// Notes its steps, and renames a project.
#[derive(Default, Deserialize, JsonSchema)]
struct Probe {
    project: Option<ProjectId>,
    /// How often somebody changes the project after `prepare` has read it.
    #[serde(skip)]
    moves: AtomicU32,
    #[serde(skip)]
    steps: Mutex<Vec<&'static str>>,
}

impl Probe {
    fn of(kit: &Kit, moves: u32) -> Self {
        Self { project: Some(kit.project.clone()), moves: AtomicU32::new(moves), ..Self::default() }
    }

    fn note(&self, step: &'static str) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    fn took(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Probed {
    prepared: u32,
}

async fn touch(app: &Asgard, project: &ProjectId) -> Result<()> {
    let call = Call::system("test", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.allow(Action::Open, &Object::Nothing)?;
            let before = tx.need::<Project>(project.as_str()).await?;
            tx.replace(&before, &before.value)?;
            tx.audit(Some(project), AuditAction::ProjectUpdated, project, &[])
        })
    })
    .await
}

impl Operation for Probe {
    type Output = Probed;
    type Permit = Stored<Project>;
    type Prepared = u32;
    type Decided = Probed;
    const META: Meta = META;

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Project>> {
        self.note("authorise");
        Ok(reads.project(self.project.as_ref(), Action::DescribeProject, ReadMode::Checked).await?.0)
    }

    async fn prepare(&self, reads: &mut Reads<'_>, project: &Stored<Project>, before: Option<u32>) -> Result<u32> {
        self.note("prepare");
        reads.need::<Project>(project.id.as_str()).await?;
        if self.moves.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            touch(reads.app(), &project.id).await?;
        }
        Ok(before.unwrap_or(0) + 1)
    }

    async fn decide(&self, tx: &mut Tx<'_>, project: Stored<Project>, prepared: &u32) -> Result<Probed> {
        self.note("decide");
        tx.replace(&project, &project.value)?;
        tx.audit(Some(&project.id), AuditAction::ProjectUpdated, &project.id, &[])?;
        Ok(Probed { prepared: *prepared })
    }

    async fn finish(&self, _: &Asgard, decided: Probed) -> Result<Probed> {
        self.note("finish");
        Ok(decided)
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_decision_is_repeated_after_a_lost_race() {
    let kit = Kit::staged().await;
    let probe = Probe::of(&kit, 0);
    kit.app.run(&kit.owner(), &probe).await.unwrap();
    assert_eq!(probe.took(), ["authorise", "prepare", "authorise", "decide", "finish"]);
    kit.faulty.fault.conflict_every.store(2, SeqCst);
    let mut all = Vec::new();
    for _ in 0..2 {
        kit.app.run(&kit.owner(), &probe).await.unwrap();
        all.extend(probe.took());
    }
    let count = |step| all.iter().filter(|taken| **taken == step).count();
    assert!(count("decide") > 2, "nobody was faster: {all:?}");
    assert_eq!((count("prepare"), count("finish")), (2, 2), "{all:?}");
    assert_eq!(count("authorise"), 2 + count("decide"), "each attempt asks again");
}

#[tokio::test(start_paused = true)]
async fn what_was_prepared_on_holds_at_the_commit_or_is_prepared_again() {
    let kit = Kit::staged().await;
    for (moves, expected) in [(0, Ok(1)), (1, Ok(2)), (2, Ok(3)), (3, Err(Code::Busy))] {
        let probe = Probe::of(&kit, moves);
        let answer = kit.app.run(&kit.owner(), &probe).await;
        assert_eq!(answer.map(|probed| probed.prepared).map_err(|error| error.code()), expected, "{moves} moves");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_authorises_and_finishes_and_does_nothing_else() {
    let kit = Kit::staged().await;
    let call = |who| Call { idempotency_key: Some("once".into()), ..Call::by(signed_in(who), kit.app.new_trace()) };
    let probe = Probe::of(&kit, 0);
    let remember = |call: &Call| Remember::of(call, &META, &json!({})).unwrap();
    let owner = call(OWNER);
    let remembered = remember(&owner);
    let first = drive(&kit.app, &owner, &probe, remembered.as_ref()).await.unwrap();
    assert!(!first.replayed);
    probe.took();
    let again = drive(&kit.app, &owner, &probe, remembered.as_ref()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.output, first.output);
    assert_eq!(probe.took(), ["authorise", "finish"]);

    // The same person under the same key, once the project is somebody else's.
    kit.tamper::<Project>(kit.project.as_str(), |project| {
        project.owner = Party::Address("new@corp.example".parse().unwrap())
    })
    .await;
    let denied = drive(&kit.app, &owner, &probe, remembered.as_ref()).await.unwrap_err();
    assert_eq!(denied.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_minted_key_is_shown_once_and_not_replayed_to_who_may_not_mint_any_more() {
    let kit = Kit::staged().await;
    let call = Call { idempotency_key: Some("k".into()), ..kit.manager() };
    let mint = operations::named(<MintKey as Operation>::META.name).unwrap();
    let input = json!({"project_id": kit.project, "name": "agent"});
    let first = mint.call(&kit.app, &call, input.clone()).await.unwrap();
    assert!(!first.replayed && first.value["key"].as_str().unwrap().starts_with("asg_"));
    let again = mint.call(&kit.app, &call, input.clone()).await.unwrap();
    let mut without = first.value.clone();
    without.as_object_mut().unwrap().remove("key");
    assert_eq!((again.replayed, again.value), (true, without));
    assert!(!format!("{:?}", kit.memory).contains(first.value["key"].as_str().unwrap()));
    kit.tamper::<Project>(kit.project.as_str(), |project| {
        project.manager = Party::Address("new@corp.example".parse().unwrap())
    })
    .await;
    assert_eq!(mint.call(&kit.app, &call, input).await.unwrap_err().code(), Code::NotFound);
}

/// What a decision must not do, one at a time.
#[derive(Deserialize, JsonSchema)]
struct Leak {
    what: String,
}

impl SimpleOperation for Leak {
    type Output = ();
    const META: Meta = Meta { action: Action::Open, hints: Hints::READ, creates: false, ..META };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        tx.allow(Action::Open, &Object::Nothing)?;
        let (app, id) = (tx.app(), SecretId::from_digest(&[7; 32]));
        let text = SecretText::new("hunter2 hunter2");
        let owner = crate::domain::secret::SecretOwner {
            project: ProjectId::new(2026, 1),
            resource: crate::kernel::ResourceId::from_digest(&[7; 32]),
        };
        match self.what.as_str() {
            "put" => app.secrets().put(&id, 1, &text, &owner).await,
            "get" => app.secrets().get(&id, 1, &owner).await.map(drop),
            "forget" => app.secrets().forget(&id, 1, Some(&owner)).await,
            "seal" => app.vault().prepare("x", "y", b"z").await.map(drop),
            "unseal" => app.vault().read("x", "y").await.map(drop),
            "hash" => app.passwords().hash(&text, app.world()).await.map(drop),
            "verify" => app.passwords().verify(&text, None, app.world()).await.map(drop),
            "launch" => app.runner().launch(&app.world().id()).await,
            "salvage" => app.runner().salvage(&app.world().id(), None).await.map(drop),
            "clean" => app.runner().clean(&app.world().id()).await,
            "set_aside" => app.runner().set_aside(&app.world().id()).await.map(drop),
            "left_over" => app.runner().left_over().await.map(drop),
            "why_unclaimed" => {
                app.runner().why_unclaimed(&app.world().id()).await;
                Ok(())
            }
            "anchored" => app.anchors().is_empty().await.map(drop),
            "anchor" => app.anchors().keep(&["head".to_owned()]).await,
            "and ignores the refusal" => {
                let _ = app.runner().clean(&app.world().id()).await;
                Ok(())
            }
            "wait" => tx.wait(Duration::from_secs(1)).await,
            "commit" => touch(app, &ProjectId::new(2026, 1)).await,
            "nothing" => Ok(()),
            other => Err(Error::invalid("what", other.to_owned())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_has_no_effects_with_or_without_a_race() {
    let kit = Kit::staged().await;
    kit.app.run(&kit.owner(), &Leak { what: "nothing".into() }).await.unwrap();
    let runner = ["launch", "salvage", "clean", "set_aside", "left_over", "why_unclaimed", "and ignores the refusal"];
    let others = ["put", "get", "forget", "seal", "unseal", "hash", "verify", "wait", "commit", "anchored", "anchor"];
    for what in runner.into_iter().chain(others) {
        let error = kit.app.run(&kit.owner(), &Leak { what: what.into() }).await.unwrap_err();
        assert_eq!(error.code(), Code::Bug, "{what}: {error:?}");
        assert!(error.chain().contains("inside a decision"), "{what}: {}", error.chain());
    }
}

/// Asks in `authorise` for something, and for what its entry says only when it is told to.
#[derive(Deserialize, JsonSchema)]
struct LateAsker {
    project: ProjectId,
    asks: bool,
    #[serde(skip)]
    steps: Mutex<Vec<&'static str>>,
}

impl Operation for LateAsker {
    type Output = Probed;
    type Permit = ();
    type Prepared = u32;
    type Decided = Probed;
    const META: Meta = META;

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<()> {
        let action = if self.asks { META.action } else { Action::ReadProject };
        reads.project(Some(&self.project), action, ReadMode::Plain).await.map(drop)
    }

    async fn prepare(&self, _: &mut Reads<'_>, (): &(), _: Option<u32>) -> Result<u32> {
        self.steps.lock().unwrap().push("prepare");
        Ok(1)
    }

    async fn decide(&self, tx: &mut Tx<'_>, (): (), prepared: &u32) -> Result<Probed> {
        tx.project(Some(&self.project), META.action, ReadMode::Plain).await?;
        Ok(Probed { prepared: *prepared })
    }

    async fn finish(&self, _: &Asgard, decided: Probed) -> Result<Probed> {
        self.steps.lock().unwrap().push("finish");
        Ok(decided)
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_asks_late_is_neither_prepared_nor_replayed() {
    let kit = Kit::staged().await;
    let asker = |asks| LateAsker { project: kit.project.clone(), asks, steps: Mutex::default() };
    let call = Call { idempotency_key: Some("once".into()), ..kit.owner() };
    let remember = Remember::of(&call, &META, &json!({})).unwrap();
    let late = asker(false);
    for remember in [None, remember.as_ref()] {
        let error = drive(&kit.app, &call, &late, remember).await.unwrap_err();
        assert!(error.code() == Code::Bug && error.chain().contains("never asked"), "{}", error.chain());
    }
    assert!(late.steps.lock().unwrap().is_empty(), "it was prepared before it had asked");

    let (timely, late) = (asker(true), asker(false));
    drive(&kit.app, &call, &timely, remember.as_ref()).await.unwrap();
    assert_eq!(*timely.steps.lock().unwrap(), ["prepare", "finish"]);
    let error = drive(&kit.app, &call, &late, remember.as_ref()).await.unwrap_err();
    assert!(error.code() == Code::Bug && late.steps.lock().unwrap().is_empty(), "it was answered before it had asked");
}

/// Asks for something, and not for what its entry says.
#[derive(Deserialize, JsonSchema)]
struct Forgetful {
    project: ProjectId,
    asks: bool,
}

impl SimpleOperation for Forgetful {
    type Output = ();
    const META: Meta = Meta { action: Action::StopProject, hints: Hints::READ, creates: false, ..META };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<()> {
        let action = if self.asks { Action::StopProject } else { Action::ReadProject };
        tx.project(Some(&self.project), action, ReadMode::Plain).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_asks_for_the_action_that_its_entry_names() {
    let kit = Kit::staged().await;
    let run = async |asks| kit.app.run(&kit.owner(), &Forgetful { project: kit.project.clone(), asks }).await;
    run(true).await.unwrap();
    let error = run(false).await.unwrap_err();
    assert_eq!(error.code(), Code::Bug);
    assert!(error.chain().contains("StopProject"), "{}", error.chain());
}

#[test]
fn what_creates_nothing_is_neither_remembered_nor_recalled() {
    assert_eq!(Unremembered(1).remember().unwrap_err().code(), Code::Bug);
    assert_eq!(<Unremembered<u8> as Decided>::recall(json!(1)).unwrap_err().code(), Code::Bug);
}

/// A reply alone is kept as well: the same call again is told the same, though nothing was changed by either.
#[tokio::test(start_paused = true)]
async fn a_call_that_changes_nothing_is_remembered_too() {
    let kit = Kit::dry_on(StoreFaults::on(&MemoryStore::new())).await;
    kit.ask("thing", "one", json!({})).await.unwrap();
    let call = Call { idempotency_key: Some("k".into()), ..kit.owner() };
    let ask = operations::named("requests.create").unwrap();
    let input = json!({"project_id": kit.project, "service": "thing", "name": "one"});
    for replayed in [false, true] {
        let answer = ask.call(&kit.app, &call, input.clone()).await.unwrap();
        assert_eq!((answer.replayed, &answer.value["changed"]), (replayed, &json!(false)));
    }
}

/// A batch whose reply was lost and that is refused when it is asked for again is refused for good: the first copy of it arrives
/// late, when nothing stands in its way any more, and changes nothing.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_batch_that_was_refused_changes_nothing() {
    use crate::ports::store::{Batch, Count, Draft, Key, Op, Outcome, Reason, Refusal, Store};
    let kit = Kit::staged().await;
    let other = |op: Op| {
        let mut batch = Batch::new(kit.world.id(), kit.world.now());
        batch.push(op).unwrap();
        batch
    };
    let key = Key::new(crate::ports::kinds::Kind::Meta, "late");
    let name = || "wanted".to_owned();
    kit.memory.commit(&other(Op::Claim { name: name(), owner: "other".into() })).await.unwrap();
    let mut batch = Batch::new(kit.world.id(), kit.world.now());
    let count = Count { counter: "late".into(), delta: 1, floor: None, ceiling: None, expires_at: None };
    batch.push(Op::Insert(Draft { key: key.clone(), schema: 1, body: "{}".into(), expires_at: None })).unwrap();
    batch.push(Op::Claim { name: name(), owner: "me".into() }).unwrap();
    batch.push(Op::Count(count)).unwrap();

    kit.faulty.fault.keeps_back.store(true, std::sync::atomic::Ordering::SeqCst);
    let outcome = super::submit::submit(&kit.app, &batch).await.unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal { step: 1, reason: Reason::Taken }));
    kit.memory.commit(&other(Op::Release { name: name(), owner: "other".into() })).await.unwrap();
    let late = kit.faulty.fault.on_their_way.lock().unwrap().pop().unwrap();
    assert_eq!(late, batch);
    kit.memory.commit(&late).await.unwrap();
    assert_eq!(kit.memory.get_many(&[key]).await.unwrap(), [None]);
    assert_eq!((kit.memory.holder("wanted").await.unwrap(), kit.memory.counter("late").await.unwrap()), (None, 0));
}
