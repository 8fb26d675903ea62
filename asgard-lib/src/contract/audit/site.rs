//! A log that was really written and sealed, and somebody who can write to its database and has no key.

use super::{Attack, Verdict};
use crate::{
    app::{
        Asgard, Call,
        audit::{VerifyReport, verify, verify_anchored},
        periodic::{Next, PeriodicTask, SealAudit},
        projects::RegisterProject,
    },
    contract::feed::host::Host,
    domain::audit::{AuditAction, AuditBlock, AuditEvent, AuditHead, PENDING},
    error::Result,
    kernel::{Actor, Person, ProjectId, Role, SessionId, SignIn, UserId},
    ports::{
        anchors::AnchorSink,
        kinds::{AUDIT_BY_PROJECT, Kind},
        records::{Entity, key},
        store::{Batch, Draft, Key, Op, Outcome, Query, Record, Store},
    },
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A place outside, which the attacker does not reach.
#[derive(Default)]
struct Outside(Mutex<Vec<String>>);

#[async_trait]
impl AnchorSink for Outside {
    async fn is_empty(&self) -> Result<bool> {
        Ok(self.0.lock().unwrap().is_empty())
    }

    async fn keep(&self, anchors: &[String]) -> Result<()> {
        self.0.lock().unwrap().extend_from_slice(anchors);
        Ok(())
    }
}

/// Two projects whose chains have two blocks each, and an event that waits.
pub(super) struct Site {
    store: Arc<dyn Store>,
    host: Host,
    app: Arc<Asgard>,
    outside: Arc<Outside>,
    /// The project whose chain is attacked.
    pub project: ProjectId,
    /// Another.
    pub other: ProjectId,
}

impl Site {
    pub(crate) async fn sealed_twice(store: &Arc<dyn Store>) -> Self {
        let (host, outside) = (Host::on(store), Arc::new(Outside::default()));
        let sink = Arc::clone(&outside);
        let app = host.boot_with(store, |parts| parts.anchors(sink)).await;
        let (project, other) = (register(&app, "Attacked").await, register(&app, "Other").await);
        let site = Self { store: Arc::clone(store), host, app, outside, project, other };
        for _ in 0..2 {
            site.write().await;
            site.seal().await;
        }
        site.host.clock.advance(Duration::from_secs(300));
        site.write().await;
        site
    }

    /// Something happens in each chain.
    pub(crate) async fn write(&self) {
        let call = Call::system("contract", self.app.new_trace());
        for (project, action) in [
            (Some(&self.project), AuditAction::KeyMinted),
            (Some(&self.other), AuditAction::KeyMinted),
            (None, AuditAction::UserCreated),
        ] {
            self.host.clock.advance(Duration::from_millis(1));
            let action = &action;
            let written = self.app.transact(&call, |tx| {
                Box::pin(async move {
                    tx.as_system()?;
                    tx.audit(project, action.clone(), "something", &[])
                })
            });
            written.await.unwrap();
        }
    }

    pub(crate) async fn seal(&self) {
        self.host.settle();
        while SealAudit.wanted(&self.app).await.unwrap() {
            let _: Next = SealAudit.run(&self.app).await.unwrap();
        }
    }

    /// What the sealer gave away so far.
    pub(crate) fn kept(&self) -> String {
        self.outside.0.lock().unwrap().join("\n")
    }

    /// Nothing is wrong before the attack, with and without anchors.
    pub(crate) async fn is_sound(&self) {
        for anchors in [None, Some(self.kept())] {
            let report = self.verify(anchors.as_deref()).await;
            assert_eq!((&report.breaks, report.complete, report.unsealed), (&Vec::new(), true, 3), "{report:#?}");
        }
    }

    async fn verify(&self, anchors: Option<&str>) -> VerifyReport {
        match anchors {
            Some(anchors) => verify_anchored(&self.app, None, anchors).await.unwrap(),
            None => verify(&self.app, None).await.unwrap(),
        }
    }

    pub(crate) async fn says(&self, attack: Attack, anchors: Option<&str>, said: Verdict) {
        let report = self.verify(anchors).await;
        let anchored = anchors.is_some();
        match said {
            Verdict::Break(words) => {
                let found = report.breaks.iter().any(|one| one.what.contains(words));
                assert!(found, "{attack:?}, anchors: {anchored}: {:#?}", report.breaks);
            }
            Verdict::CannotKnow(words) => {
                assert_eq!(report.breaks, [], "{attack:?}, anchors: {anchored}");
                let found = report.cannot_know.iter().any(|sentence| sentence.contains(words));
                assert!(found, "{attack:?}, anchors: {anchored}: {:#?}", report.cannot_know);
            }
        }
    }

    async fn record(&self, key: Key) -> Record {
        self.store
            .get_many(std::slice::from_ref(&key))
            .await
            .unwrap()
            .remove(0)
            .unwrap_or_else(|| panic!("{key} is not there"))
    }

    async fn commit(&self, op: Op) {
        let mut batch = Batch::new(self.host.world.id(), self.host.world.now());
        batch.push(op).unwrap();
        assert_eq!(self.store.commit(&batch).await.unwrap(), Outcome::Committed);
    }

    pub(crate) async fn body<T: Entity>(&self, id: &str) -> Value {
        serde_json::from_str(&self.record(key::<T>(id)).await.body).unwrap()
    }

    pub(crate) async fn edit<T: Entity>(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let record = self.record(key::<T>(id)).await;
        let mut body = serde_json::from_str(&record.body).unwrap();
        change(&mut body);
        let draft = Draft { key: record.key, schema: record.schema, body: body.to_string(), expires_at: None };
        self.commit(Op::Replace(draft, record.version)).await;
    }

    pub(crate) async fn remove<T: Entity>(&self, id: &str) {
        let record = self.record(key::<T>(id)).await;
        self.commit(Op::Remove(record.key, record.version)).await;
    }

    pub(crate) async fn insert(&self, kind: Kind, id: &str, body: Value) {
        let draft = Draft { key: Key::new(kind, id), schema: 1, body: body.to_string(), expires_at: None };
        self.commit(Op::Insert(draft)).await;
    }

    /// Inserts an event that was never committed, and waits as if it had been a minute ago.
    pub(crate) async fn forge(&self, change: impl FnOnce(&mut Value)) {
        let at = self.host.world.now().minus(Duration::from_secs(60));
        let actor = Actor::System { name: "nobody" }.reference();
        let id = self.host.world.id::<crate::kernel::EventId>();
        let mut event =
            AuditEvent::new(id.clone(), at, actor, AuditAction::KeyMinted, "key_1".into(), self.host.world.id());
        event.project = Some(self.project.clone());
        let mut body = serde_json::to_value(event).unwrap();
        assert_eq!(body["unsealed"], json!(PENDING));
        change(&mut body);
        self.insert(Kind::AuditEvent, id.as_str(), body).await;
    }

    /// The event of the project that waits.
    pub(crate) async fn waiting(&self) -> String {
        let query = Query::new(&AUDIT_BY_PROJECT, self.project.as_str()).take(100);
        let found = self.store.query(&query).await.unwrap().records;
        found.iter().find(|record| record.body.contains("\"unsealed\"")).unwrap().key.id.clone()
    }

    /// The ids of the events of a block.
    pub(crate) async fn sealed(&self, chain: &str, number: u64) -> Vec<String> {
        let block = self.body::<AuditBlock>(&AuditBlock::id(chain, number)).await;
        block["events"].as_array().unwrap().iter().map(|event| event[0].as_str().unwrap().to_owned()).collect()
    }

    /// Removes a block with its events.
    pub(crate) async fn cut(&self, chain: &str, number: u64) {
        for event in self.sealed(chain, number).await {
            self.remove::<AuditEvent>(&event).await;
        }
        self.remove::<AuditBlock>(&AuditBlock::id(chain, number)).await;
    }

    /// Puts the head back that the chain had after its first block.
    pub(crate) async fn set_head_back(&self, chain: &str) {
        let first = self.body::<AuditBlock>(&AuditBlock::id(chain, 1)).await;
        self.edit::<AuditHead>(chain, |body| (body["number"], body["mac"]) = (json!(1), first["mac"].clone())).await;
    }

    /// Removes a chain, and whatever else there is of it in the log.
    pub(crate) async fn remove_chain(&self, chain: &str) {
        for number in [1, 2] {
            self.cut(chain, number).await;
        }
        self.remove::<AuditEvent>(&self.waiting().await).await;
        self.remove::<AuditHead>(chain).await;
    }
}

async fn register(app: &Asgard, name: &str) -> ProjectId {
    let owner = Person::verified(UserId::from_digest(&[1; 32]), "owner@corp.example".parse().unwrap());
    let sign_in = SignIn::Session(SessionId::from_digest(&[1; 32]));
    let owner = Actor::Human { person: owner, role: Role::Member, sign_in };
    let register: RegisterProject = serde_json::from_value(json!({
        "name": name, "owner_email": "owner@corp.example", "manager_email": "mgr@corp.example", "group": "platform",
    }))
    .unwrap();
    let view = app.run(&Call::by(owner, app.new_trace()), &register).await.unwrap();
    serde_json::to_value(view).unwrap()["project_id"].as_str().unwrap().parse().unwrap()
}
