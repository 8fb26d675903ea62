//! What the scenarios of the event feed are made of: processes on one store, writers, followers.

use crate::{
    adapters::{DryRun, LocalKey, MasterKeys, SealedSecrets, SealedVault},
    app::{
        Asgard, Call, Parts,
        audit::verify,
        periodic::{Next, PeriodicTask, SealAudit},
    },
    backends::MemoryStore,
    contract::{
        faults::{Dying, Faulty},
        store_fixture::noon,
    },
    domain::audit::{AuditAction, AuditEvent, Event, EventPosition},
    kernel::{Actor, ProjectId},
    ports::{
        records::draft,
        store::{Batch, Op, Outcome, Store},
        vault::marked_event,
        world::{ManualClock, SystemEntropy, World},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// How often sealing is tried before a scenario gives up: an index that lags catches up by one commit with every look.
const MAX_TURNS: u32 = 20_000;

/// The clock that all processes of a scenario share.
pub(in crate::contract) struct Host {
    pub clock: Arc<ManualClock>,
    pub world: World,
}

impl Host {
    pub(crate) fn on(_: &Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::at(noon()));
        let world = World::new(Arc::clone(&clock) as _, Arc::new(SystemEntropy));
        Self { clock, world }
    }

    /// A process on the store.
    pub(crate) async fn boot(&self, store: &Arc<dyn Store>) -> Arc<Asgard> {
        self.boot_with(store, |parts| parts).await
    }

    /// The same, with other parts.
    pub(crate) async fn boot_with(&self, store: &Arc<dyn Store>, change: impl FnOnce(Parts) -> Parts) -> Arc<Asgard> {
        let masters = MasterKeys::only(Arc::new(LocalKey::new(Zeroizing::new([7; 32]), self.world.clone())));
        let blobs = Arc::new(MemoryStore::new());
        let vault = SealedVault::on(Arc::clone(store), blobs, masters, self.world.clone()).await.unwrap();
        let keyring = Arc::clone(vault.keyring());
        let runner = DryRun::new();
        let secrets = Arc::new(SealedSecrets::new(Arc::clone(&vault), self.world.clone()));
        let parts = Parts::new(Arc::clone(store), vault, keyring, secrets, Arc::clone(&runner) as _);
        let app = Asgard::new(change(parts.world(self.world.clone())));
        runner.bind(&app);
        app
    }

    /// A process that can be told to die.
    pub(crate) async fn boot_dying(&self, store: &Arc<dyn Store>) -> (Arc<Faulty<dyn Store, Dying>>, Arc<Asgard>) {
        let dying = Arc::new(Faulty::way_to(store, Dying::default()));
        let app = self.boot(&(Arc::clone(&dying) as Arc<dyn Store>)).await;
        (dying, app)
    }

    /// Lets pass what events need to settle.
    pub(crate) fn settle(&self) {
        self.clock.advance(Duration::from_secs(3));
    }
}

/// Seals until a follower can read everything that was written.
pub(super) async fn drain(host: &Host, app: &Arc<Asgard>, writer: &Writer) {
    host.settle();
    let mut follower = Follower::default();
    for _ in 0..MAX_TURNS {
        follower.catch_up(app, 500).await;
        if follower.seen.len() >= writer.total() {
            return;
        }
        if SealAudit.wanted(app).await.unwrap() {
            let _: Next = SealAudit.run(app).await.unwrap();
        }
    }
    panic!("sealing does not come to an end: {} of {}", follower.seen.len(), writer.total());
}

/// The sealed log verifies, once the indexes have caught up.
pub(super) async fn verifies(app: &Arc<Asgard>) {
    for _ in 0..MAX_TURNS {
        let report = verify(app, None).await.unwrap();
        assert_eq!(report.breaks, []);
        if report.unsealed == 0 {
            return;
        }
        if SealAudit.wanted(app).await.unwrap() {
            let _: Next = SealAudit.run(app).await.unwrap();
        }
    }
    panic!("an event is never sealed");
}

/// Who commits events, and knows which.
#[derive(Default)]
pub(super) struct Writer {
    /// By chain, in the order in which they were committed: the objects' names.
    written: BTreeMap<String, Vec<String>>,
}

impl Writer {
    fn total(&self) -> usize {
        self.written.values().map(Vec::len).sum()
    }

    /// Commits an event of the nth project; the zeroth is none.
    pub(crate) async fn write(&mut self, host: &Host, app: &Asgard, nth: u32) {
        host.clock.advance(Duration::from_millis(1));
        let project = (nth > 0).then(|| ProjectId::new(2096, nth.into()));
        let chain = project.as_ref().map_or_else(|| "org".to_owned(), ToString::to_string);
        let written = self.written.entry(chain).or_default();
        let object = format!("thing-{}", written.len());
        let action = match (&project, written.is_empty()) {
            (Some(_), true) => AuditAction::ProjectRegistered,
            (Some(_), false) => AuditAction::KeyMinted,
            (None, _) => AuditAction::UserCreated,
        };
        let call = Call::system("contract", app.new_trace());
        let (project, object_name, action) = (&project, &object, &action);
        app.transact(&call, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                tx.audit(project.as_ref(), action.clone(), object_name, &[])
            })
        })
        .await
        .unwrap();
        written.push(object);
    }
}

/// Who follows the feed.
pub(super) struct Follower {
    pub position: EventPosition,
    pub seen: Vec<Event>,
}

impl Default for Follower {
    fn default() -> Self {
        Self { position: EventPosition::START, seen: Vec::new() }
    }
}

impl Follower {
    /// Reads what there is, in pages of this size.
    pub(crate) async fn catch_up(&mut self, app: &Asgard, limit: usize) {
        loop {
            let page = app.events().after(self.position, limit).await.unwrap();
            assert!(page.events.len() <= limit && !page.removed);
            assert!(page.next >= self.position, "a position never goes back");
            self.position = page.next;
            if page.events.is_empty() {
                return;
            }
            // The first key of an empty store is an event too; what a scenario follows is its writer's.
            self.seen.extend(page.events.into_iter().filter(|event| event.action != AuditAction::DataKeyMade));
        }
    }

    /// Everything that was written, once, in the order of its chain, and under growing numbers.
    pub(crate) fn has_all(&self, writer: &Writer, when: &str) {
        assert!(self.seen.windows(2).all(|two| two[0].seq < two[1].seq), "{when}: the numbers do not grow");
        let ids: BTreeSet<_> = self.seen.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), self.seen.len(), "{when}: an event came twice to a follower that kept its position");
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in &self.seen {
            let chain = event.project.as_ref().map_or_else(|| "org".to_owned(), ToString::to_string);
            seen.entry(chain).or_default().push(event.object.clone());
        }
        assert_eq!(seen, writer.written, "{when}");
    }
}

/// How fast events were sealed and appended.
#[derive(Clone, Copy, Debug)]
pub struct SealingRate {
    /// How many there were.
    pub events: u32,
    /// How many chains they belonged to.
    pub projects: u32,
    /// How long it took.
    pub took: Duration,
}

impl SealingRate {
    /// Events a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.events) / self.took.as_secs_f64()
    }
}

/// Commits `events` events of `projects` projects, and measures how long the sealer needs for them.
pub async fn measure(store: Arc<dyn Store>, events: u32, projects: u32) -> SealingRate {
    let host = Host::on(&store);
    let app = host.boot(&store).await;
    for first in (0..events).step_by(90) {
        host.clock.advance(Duration::from_millis(1));
        let mut batch = Batch::new(host.world.id(), host.world.now());
        for n in first..events.min(first + 90) {
            let event = marked_event(app.sealer(), event(&host.world, n % projects + 1, n)).unwrap();
            batch.push(Op::Insert(draft(&event).unwrap())).unwrap();
        }
        assert_eq!(store.commit(&batch).await.unwrap(), Outcome::Committed);
    }
    host.settle();
    let began = Instant::now();
    while SealAudit.wanted(&app).await.unwrap() {
        SealAudit.run(&app).await.unwrap();
    }
    SealingRate { events, projects, took: began.elapsed() }
}

fn event(world: &World, project: u32, n: u32) -> AuditEvent {
    let actor = Actor::System { name: "contract" }.reference();
    let object = format!("req_{n:026}");
    AuditEvent {
        project: Some(ProjectId::new(2096, project.into())),
        details: [("run".to_owned(), format!("run_{n:026}")), ("op".to_owned(), "apply".to_owned())].into(),
        ..AuditEvent::new(world.id(), world.now(), actor, AuditAction::RequestFulfilled, object, world.id())
    }
}
