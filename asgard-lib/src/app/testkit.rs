//! What tests of the application share: a whole control plane on a store in memory, with a clock that tests move, a runner
//! that tests play, and a store that dies, conflicts or loses replies on demand.

mod doubles;

pub(crate) use doubles::{FaultyStore, Stage, StoreFaults};

use super::{
    Asgard, Call, Parts, ServiceCatalog,
    projects::RegisterProject,
    requests::{RequestResource, Requested},
    runs::{Assignment, Claim, Claimant, ClaimedRun},
    services::Service,
};
use crate::{
    adapters::{DryRun, LocalKey, MasterKeys, SealedSecrets, SealedVault},
    backends::MemoryStore,
    config::Config,
    domain::{
        credential::UserToken,
        lease::Lease,
        person::User,
        project::Project,
        request::Request,
        resource::{KeptModule, Resource, ResourceStatus, StatePointer},
        run::{OPEN, Run, RunStatus},
        service::{Approval, ByInput, Retry, tests::manifest},
    },
    error::Result,
    kernel::{
        Actor, Email, Generation, Person, ProjectId, RequestId, ResourceId, Role, RunId, SessionId, SignIn, Timestamp,
        TokenId, Usd, UserId, Username,
    },
    ports::{
        kinds::{self, Index},
        policy::Policy,
        records::{Entity, Records, Stored, draft, key, redraft},
        runner::{RunOutcome, RunReporter, Runner, SupervisorLocation},
        store::{Batch, Op, Outcome, Query, Store},
        world::{ManualClock, SeededEntropy, World},
    },
};
use doubles::Counted;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use zeroize::Zeroizing;
/// A control plane and what it stands on.
pub(crate) struct Kit {
    pub memory: MemoryStore,
    pub clock: Arc<ManualClock>,
    pub world: World,
    pub app: Arc<Asgard>,
    pub stage: Arc<Stage>,
    pub faulty: Arc<FaultyStore>,
    pub project: ProjectId,
    /// Whether supervisors promise that what they started ends with their lease.
    pub promises: bool,
}

pub(crate) const OWNER: &str = "owner@corp.example";
pub(crate) const MANAGER: &str = "mgr@corp.example";

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

/// A member with a token.
pub(crate) fn member(person: &str) -> Actor {
    let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(person.as_bytes()).into();
    Actor::UserToken {
        person: Person::verified(UserId::from_digest(&digest), email(person)),
        role: Role::Member,
        token: TokenId::from_digest(&digest),
    }
}

/// A member with a session.
pub(crate) fn signed_in(person: &str) -> Actor {
    let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(person.as_bytes()).into();
    Actor::Human {
        person: Person::verified(UserId::from_digest(&digest), email(person)),
        role: Role::Member,
        sign_in: SignIn::Session(SessionId::from_digest(&digest)),
    }
}

pub(crate) fn catalog() -> ServiceCatalog {
    let service = |id: &str, approval: &str, retry: Retry| {
        let mut manifest = manifest("local", approval);
        manifest.id = id.parse().unwrap();
        manifest.retry = retry;
        Service::new(manifest, BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())])).unwrap()
    };
    let mut keyed = manifest("local", "auto");
    keyed.id = "keyed".parse().unwrap();
    keyed.inputs["properties"]["password"] = serde_json::json!({"type": "string"});
    keyed.sensitive_inputs = vec!["password".to_owned()];
    let keyed = Service::new(keyed, BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())])).unwrap();
    let services = [
        service("thing", "auto", Retry::Safe),
        service("fragile", "auto", Retry::Unsafe),
        service("asked", "human", Retry::Safe),
        keyed,
    ];
    ServiceCatalog::of(services, Vec::new())
}

/// Another process on the same store.
pub(crate) async fn boot(store: Arc<FaultyStore>, world: &World, runner: Arc<dyn Runner>) -> Result<Arc<Asgard>> {
    boot_with(store, world, runner, catalog()).await
}

/// A catalogue of one service, which people approve when its size is `l`.
pub(crate) fn sized_catalog() -> ServiceCatalog {
    let mut manifest = manifest("local", "auto");
    manifest.id = "sized".parse().unwrap();
    manifest.retry = Retry::Safe;
    manifest.approval = Approval::ByInput(ByInput { input: "size".into(), human: vec!["l".into()] });
    let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
    ServiceCatalog::of([Service::new(manifest, files).unwrap()], Vec::new())
}

/// Another process on the same store, with other services.
pub(crate) async fn boot_with(
    store: Arc<FaultyStore>,
    world: &World,
    runner: Arc<dyn Runner>,
    catalog: ServiceCatalog,
) -> Result<Arc<Asgard>> {
    boot_of(store, world, runner, |parts| parts.services(catalog)).await
}

/// Another process on the same store, with other settings.
pub(crate) async fn boot_configured(
    store: Arc<FaultyStore>,
    world: &World,
    runner: Arc<dyn Runner>,
    catalog: ServiceCatalog,
    config: Config,
) -> Result<Arc<Asgard>> {
    boot_of(store, world, runner, |parts| parts.services(catalog).config(config)).await
}

/// Another process on the same store, with other services and under another policy.
pub(crate) async fn boot_under(
    store: Arc<FaultyStore>,
    world: &World,
    runner: Arc<dyn Runner>,
    catalog: ServiceCatalog,
    policy: Arc<dyn Policy>,
) -> Result<Arc<Asgard>> {
    boot_of(store, world, runner, |parts| parts.services(catalog).policy(policy)).await
}

/// Another process on the same store, each second of which is paid for.
pub(crate) async fn boot_fleeting(store: Arc<FaultyStore>, world: &World, runner: Arc<dyn Runner>) -> Arc<Asgard> {
    boot_of(store, world, runner, |parts| parts.services(catalog()).fleeting(true)).await.unwrap()
}

async fn boot_of(
    store: Arc<FaultyStore>,
    world: &World,
    runner: Arc<dyn Runner>,
    change: impl FnOnce(Parts) -> Parts + Send,
) -> Result<Arc<Asgard>> {
    let masters = MasterKeys::only(Arc::new(LocalKey::new(Zeroizing::new([7; 32]), world.clone())));
    let vault = SealedVault::on(Arc::clone(&store) as _, Arc::clone(&store.inner) as _, masters, world.clone()).await?;
    let keyring = Arc::clone(vault.keyring());
    let sealed = SealedSecrets::new(Arc::clone(&vault), world.clone());
    let secrets = Arc::new(Counted { inner: sealed, on: Arc::clone(&store) });
    let parts = Parts::new(store, vault, keyring, secrets, runner).world(world.clone());
    Ok(Asgard::new(change(parts)))
}

impl Kit {
    /// A control plane whose runs the test plays, with one project.
    pub(crate) async fn staged() -> Self {
        Self::staged_on(StoreFaults::on(&MemoryStore::new())).await
    }

    pub(crate) async fn staged_on(faulty: FaultyStore) -> Self {
        let stage = Arc::new(Stage::default());
        Self::new(faulty, Arc::clone(&stage) as _, stage).await
    }

    /// The same, where the audit log is kept for some days.
    pub(crate) async fn staged_keeping(days: u64) -> Self {
        let mut kit = Self::staged().await;
        let mut config = Config::default();
        config.audit.retention_days = days;
        let (store, stage) = (Arc::new(StoreFaults::on(&kit.memory)), Arc::clone(&kit.stage));
        kit.app = boot_configured(store, &kit.world, stage as _, catalog(), config).await.unwrap();
        kit
    }

    /// The same under other settings.
    pub(crate) async fn configured(mut self, config: Config) -> Self {
        let (faulty, runner) = (Arc::clone(&self.faulty), Arc::clone(&self.stage) as _);
        self.app = boot_configured(faulty, &self.world, runner, catalog(), config).await.unwrap();
        self
    }

    /// A control plane with the dry run.
    pub(crate) async fn dry() -> Self {
        Self::dry_on(StoreFaults::on(&MemoryStore::new())).await
    }

    pub(crate) async fn dry_on(faulty: FaultyStore) -> Self {
        let runner = DryRun::new();
        let kit = Self::new(faulty, Arc::clone(&runner) as _, Arc::default()).await;
        runner.bind(&kit.app);
        kit
    }

    async fn new(faulty: FaultyStore, runner: Arc<dyn Runner>, stage: Arc<Stage>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let world = World::new(Arc::clone(&clock) as _, Arc::new(SeededEntropy::new(1)));
        let faulty = Arc::new(faulty);
        let app = boot(Arc::clone(&faulty), &world, runner).await.unwrap();
        let register: RegisterProject = serde_json::from_value(serde_json::json!({
            "name": "Pilot", "owner_email": OWNER, "manager_email": MANAGER, "group": "platform"
        }))
        .unwrap();
        let project = app.run(&Call::by(signed_in(OWNER), app.new_trace()), &register).await.unwrap();
        let project = serde_json::to_value(project).unwrap()["project_id"].as_str().unwrap().parse().unwrap();
        Self { memory: MemoryStore::clone(&faulty.inner), clock, world, app, stage, faulty, project, promises: true }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn owner(&self) -> Call {
        Call::by(member(OWNER), self.app.new_trace())
    }

    pub(crate) fn manager(&self) -> Call {
        Call::by(signed_in(MANAGER), self.app.new_trace())
    }

    pub(crate) async fn ask(&self, service: &str, name: &str, spec: Value) -> Result<Requested> {
        let Value::Object(spec) = spec else { panic!("a spec is an object") };
        self.ask_with(service, name, spec).await
    }

    async fn ask_with(&self, service: &str, name: &str, spec: Map<String, Value>) -> Result<Requested> {
        let ask = RequestResource {
            project_id: Some(self.project.clone()),
            service: service.parse().unwrap(),
            name: name.parse().unwrap(),
            spec,
            cloud: None,
            account: None,
        };
        self.app.run(&self.owner(), &ask).await
    }

    /// Reads past every fault.
    pub(crate) async fn read<T: Entity>(&self, id: impl std::fmt::Display) -> Option<Stored<T>> {
        let store: &dyn Store = &self.memory;
        store.read::<T>(&id.to_string()).await.unwrap()
    }

    pub(crate) async fn request(&self, id: &RequestId) -> Request {
        self.read::<Request>(id).await.unwrap().value
    }

    pub(crate) async fn resource(&self, id: &ResourceId) -> Resource {
        self.read::<Resource>(id).await.unwrap().value
    }

    pub(crate) async fn run(&self, id: &RunId) -> Run {
        self.read::<Run>(id).await.unwrap().value
    }

    pub(crate) async fn all<T: Entity>(&self, index: &'static Index, partition: &str) -> Vec<T> {
        let store: &dyn Store = &self.memory;
        let page = store.list::<T>(&Query::new(index, partition).take(1000)).await.unwrap();
        assert!(page.next.is_none(), "a test grew too large to look through");
        page.items.into_iter().map(|stored| stored.value).collect()
    }

    /// Claims a run as a supervisor in a process.
    pub(crate) async fn claim(&self, run: &RunId) -> (Box<Assignment>, ClaimedRun) {
        match self.try_claim(run).await.unwrap() {
            Claim::Claimed(assignment, claimed_run) => (assignment, claimed_run),
            Claim::NotNeeded { why } => panic!("{run} needs nobody: {why}"),
            Claim::Held { until } => panic!("{run} waits until {until}"),
        }
    }

    /// Claims a run and ends it so, as a supervisor would.
    pub(crate) async fn supervise(&self, run: &RunId, ending: RunOutcome) {
        let (assignment, claimed_run) = self.claim(run).await;
        claimed_run.engine("terraform 1", "module").await.unwrap();
        if assignment.run.op.changes_things() && !matches!(ending, RunOutcome::Stale { .. }) {
            claimed_run.applying(None).await.unwrap();
        }
        claimed_run.finish(ending).await.unwrap();
    }

    pub(crate) async fn try_claim(&self, run: &RunId) -> Result<Claim> {
        let place = SupervisorLocation::Process {
            host: "here".into(),
            boot: "b".into(),
            pid: 1,
            started: 2,
            installation: None,
        };
        let claimant = Claimant::at(place);
        let claimant = if self.promises { claimant.ending_in_time() } else { claimant };
        ClaimedRun::claim(&self.app, run, claimant).await
    }

    /// What must hold between any two commits.
    pub(crate) async fn check(&self) {
        let requests = self.all::<Request>(&kinds::REQUESTS_BY_PROJECT, self.project.as_str()).await;
        let resources = self.all::<Resource>(&kinds::RESOURCES_BY_PROJECT, self.project.as_str()).await;
        let committed = resources.iter().map(|r| r.committed.micros()).sum::<i64>();
        let reserved = requests.iter().map(|r| r.reserved.micros()).sum::<i64>();
        let counted = self.memory.counter(&Project::committed_counter(&self.project)).await.unwrap();
        assert_eq!(counted, committed + reserved, "money: counted against held by resources and requests");
        let unapproved = resources.iter().map(|r| r.unapproved.unwrap_or_default().micros()).sum::<i64>()
            + requests.iter().map(|r| r.unapproved.micros()).sum::<i64>();
        let counted = self.memory.counter(&Project::unapproved_counter(&self.project)).await.unwrap();
        assert_eq!(counted, unapproved, "money that no person has approved");
        assert!(requests.iter().all(|r| r.unapproved <= r.reserved) && unapproved <= committed + reserved);
        self.check_owners().await;
        let alive = resources.iter().filter(|r| r.status != ResourceStatus::Destroyed);
        let counted = self.memory.counter(&Project::resources_counter(&self.project)).await.unwrap();
        assert_eq!(counted, i64::try_from(alive.clone().count()).unwrap(), "resources that are not destroyed");
        for resource in &resources {
            let holder = self.memory.holder(&resource.claim()).await.unwrap();
            let named = holder.as_deref() == Some(resource.id.as_str());
            assert_eq!(named, resource.status != ResourceStatus::Destroyed, "the name of {resource:?}");
            if resource.status == ResourceStatus::Destroyed {
                assert_eq!(resource.committed, Usd::ZERO, "{resource:?}");
            }
        }
        for request in &requests {
            let open = self.memory.holder(&request.claim()).await.unwrap().as_deref() == Some(request.id.as_str());
            assert_eq!(open, !request.status.is_over(), "the open claim of {request:?}");
            assert!(!request.status.is_over() || request.reserved == Usd::ZERO, "{request:?}");
        }
        self.check_runs(&requests, &resources).await;
        self.check_modules(&resources).await;
    }

    /// Every reference to a kept module is counted, and what is referred to is there.
    async fn check_modules(&self, resources: &[Resource]) {
        let mut referred: BTreeMap<String, i64> = BTreeMap::new();
        for resource in resources {
            let pointer = self.read::<StatePointer>(&resource.id).await;
            let runs = self.all::<Run>(&kinds::RUNS_BY_RESOURCE, resource.id.as_str()).await;
            let of_state = pointer.and_then(|pointer| pointer.value.applied).map(|made| made.module);
            for module in of_state.into_iter().chain(runs.into_iter().filter_map(|run| run.kept)) {
                *referred.entry(module).or_default() += 1;
            }
        }
        for (module, references) in referred {
            let id = KeptModule::id(&module);
            assert_eq!(self.memory.counter(&id).await.unwrap(), references, "references to {module}");
            assert!(self.read::<KeptModule>(&id).await.is_some(), "{module} is kept");
        }
    }

    /// What counts for an owner is what counts for the projects whose records name them so.
    async fn check_owners(&self) {
        let mut owned = BTreeMap::<String, i64>::new();
        for project in self.all::<Project>(&kinds::PROJECTS, "").await {
            let counted = self.memory.counter(&Project::unapproved_counter(&project.id)).await.unwrap();
            *owned.entry(Project::owner_counter(&project.owner)).or_default() += counted;
        }
        for (counter, sum) in owned {
            assert_eq!(self.memory.counter(&counter).await.unwrap(), sum, "{counter}");
        }
    }

    async fn check_runs(&self, requests: &[Request], resources: &[Resource]) {
        let mut running = BTreeSet::new();
        for resource in resources {
            let runs = self.all::<Run>(&kinds::RUNS_BY_RESOURCE, resource.id.as_str()).await;
            for run in &runs {
                assert_eq!(run.open.as_deref() == Some(OPEN), !run.status.is_over(), "{run:?}");
                if run.status == RunStatus::Running {
                    assert!(running.insert(resource.id.clone()), "two runs of {} at once", resource.id);
                }
            }
            let lease = self.read::<Lease>(Run::lease_name(&resource.id)).await;
            let held = lease.is_some_and(|lease| lease.holder.is_some());
            assert_eq!(held, running.contains(&resource.id), "a lease is held exactly while a run runs");
        }
        for request in requests {
            if let Some(run) = &request.current_run {
                assert!(!request.status.is_over() && !self.run(run).await.status.is_over(), "{request:?}");
            }
        }
    }
}

/// What somebody with access to the database, but not to the keys, may do.
impl Kit {
    async fn overwrite(&self, op: Op) {
        let mut batch = Batch::new(self.world.id(), self.world.now());
        batch.push(op).unwrap();
        assert_eq!(self.memory.commit(&batch).await.unwrap(), Outcome::Committed);
    }

    /// Changes a record behind everybody's back.
    pub(crate) async fn tamper<T: Entity>(&self, id: &str, change: impl FnOnce(&mut T)) {
        let read = self.read::<T>(id).await.unwrap();
        let mut value = read.value.clone();
        change(&mut value);
        self.overwrite(Op::Replace(redraft(&read, &value).unwrap(), read.version.clone())).await;
    }

    pub(crate) async fn erase<T: Entity>(&self, id: &str) {
        let read = self.read::<T>(id).await.unwrap();
        self.overwrite(Op::Remove(key::<T>(id), read.version)).await;
    }

    pub(crate) async fn plant<T: Entity>(&self, value: &T) {
        self.overwrite(Op::Insert(draft(value).unwrap())).await;
    }

    /// Gives a member of [`member`] and [`signed_in`] an account, and the token that they act with.
    pub(crate) async fn enrol(&self, person: &str) {
        let Actor::UserToken { person, role, token } = member(person) else { panic!("a member has a token") };
        let (user, email) = (person.user().clone(), person.email().clone());
        let (created_at, valid_until) = (self.world.now(), self.world.now().plus(Duration::from_secs(86_400)));
        let username: Username = email.as_str().parse().unwrap();
        let account = serde_json::from_value(serde_json::json!({
            "id": user, "username": username, "email": email, "role": role, "active": true, "password": "",
            "identities": [{ "issuer": "local", "subject": username, "email": email, "verified": true }],
            "credentials_from": created_at, "created_at": created_at,
        }));
        self.plant::<User>(&account.unwrap()).await;
        let name = "laptop".parse().unwrap();
        let (hash, suffix, revoked_at) = (String::new(), String::new(), None);
        let generation = Generation::FIRST;
        let token = UserToken { id: token, user, name, hash, suffix, created_at, valid_until, generation, revoked_at };
        self.plant(&token).await;
    }

    /// Another process on the same store, with its own runner to play.
    pub(crate) async fn second(&self) -> (Arc<Asgard>, Arc<Stage>) {
        let stage = Arc::new(Stage::default());
        let app = boot(Arc::new(StoreFaults::on(&self.memory)), &self.world, Arc::clone(&stage) as _).await.unwrap();
        (app, stage)
    }
}
