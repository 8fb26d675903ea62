//! Every command that a state can refuse, in every state that there can be, through REST, as a tool and as a form: it works, or it is
//! refused with a sentence. Claims go with the states, so that no command meets what cannot be.

use crate::{
    app::operations::{OPERATIONS, named},
    backends::MemoryStore,
    domain::{
        person::User,
        project::{Project, ProjectStatus},
        request::{INBOX, Request, RequestStatus},
        resource::{Resource, ResourceStatus},
        run::{OPEN, Run, RunStatus},
    },
    error::{Code, Kind},
    http::testkit::{Client, PASSWORD, Reply, TestApp},
    kernel::RunId,
    ports::{
        records::{Entity, Records, Stored, redraft},
        store::{Batch, Op, Outcome, Store},
        world::{SeededEntropy, World},
    },
};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What changes something and is refused by no state of what it is about: new things, and who signs in or out.
const STATELESS: &[&str] = &[
    "auth.change_password",
    "auth.login",
    "auth.logout",
    "projects.register",
    "requests.explain",
    "secrets.reveal",
    "sessions.revoke",
    "users.confirm_identity",
];

/// Somebody, by each door.
struct Person {
    session: Client,
    token: Client,
    cookie: String,
}

/// A form: where it goes, and its fields.
type Form = (String, Vec<(&'static str, String)>);

/// Something that somebody has done.
struct Command {
    name: &'static str,
    by: usize,
    input: Value,
    form: Option<Form>,
}

const OWNER: usize = 0;
const MANAGER: usize = 1;
const ADMIN: usize = 2;

struct Everything {
    app: TestApp,
    world: World,
    people: Vec<Person>,
    /// What everything begins from: a resource that is there, and a change of it that waits for the manager.
    base: MemoryStore,
    request: String,
    resource: String,
    run: RunId,
    /// Two keys of the project: one that the owner minted, and one that an admin did.
    keys: [String; 2],
    token: String,
    user: String,
    users_token: String,
    once: std::cell::Cell<u32>,
    wrong: std::cell::RefCell<Vec<String>>,
}

async fn person(app: &TestApp, name: &str, session: &Client) -> Person {
    let token = session.post("/api/auth/tokens", json!({"name": "tools"})).await.field("token");
    let body = format!("username={name}&password={}", PASSWORD.replace(' ', "+"));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", "http://localhost:8080")];
    let signed_in = app.anonymous.send(Method::POST, "/sign-in", &headers, Body::from(body)).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    Person { session: session.clone(), token: session.with(&token), cookie }
}

impl Everything {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let people = vec![
            person(&app, "olga", &app.owner).await,
            person(&app, "max", &app.manager).await,
            person(&app, "admin", &app.admin).await,
        ];
        let resources = format!("/api/projects/{}/resources", app.project);
        let ask = |spec: Value| json!({"service": "local-demo", "name": "one", "spec": spec});
        app.owner.post(&resources, ask(json!({}))).await;
        app.settle().await;
        let asked = app.owner.post(&resources, ask(json!({"approval": "human", "seconds": 3}))).await.json();
        app.settle().await;
        let text = |value: &Value, pointer: &str| value.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let (request, resource) = (text(&asked, "/request/request_id"), text(&asked, "/resource/resource_id"));
        let keys = format!("/api/projects/{}/keys", app.project);
        let own = app.owner.post(&keys, json!({"name": "own"})).await.field("id");
        let others = app.admin.post(&keys, json!({"name": "others"})).await.field("id");
        let token = app.owner.post("/api/auth/tokens", json!({"name": "old"})).await.field("id");
        let users_token = app.stranger.post("/api/auth/tokens", json!({"name": "old"})).await.field("id");
        let user = app.stranger.get("/api/auth/me").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let world = World::new(std::sync::Arc::clone(&app.clock) as _, std::sync::Arc::new(SeededEntropy::new(11)));
        let store: &dyn Store = &app.store;
        let pending = store.read::<Request>(&request).await.unwrap().unwrap();
        assert_eq!(pending.status, RequestStatus::Pending);
        let run = pending.plan_run.clone().unwrap();
        let base = app.store.copied();
        let (once, wrong) = Default::default();
        Self {
            app,
            world,
            people,
            base,
            request,
            resource,
            run,
            keys: [own, others],
            token,
            user,
            users_token,
            once,
            wrong,
        }
    }

    async fn read<T: Entity>(&self, id: &str) -> Stored<T> {
        let store: &dyn Store = &self.app.store;
        store.read::<T>(id).await.unwrap().unwrap()
    }

    async fn write(&self, op: Op) {
        let mut batch = Batch::new(self.world.id(), self.world.now());
        batch.push(op).unwrap();
        assert_eq!(self.app.store.commit(&batch).await.unwrap(), Outcome::Committed);
    }

    async fn tamper<T: Entity>(&self, id: &str, change: impl FnOnce(&mut T)) {
        let read = self.read::<T>(id).await;
        let mut value = read.value.clone();
        change(&mut value);
        self.write(Op::Replace(redraft(&read, &value).unwrap(), read.version.clone())).await;
    }

    fn once(&self) -> String {
        self.once.set(self.once.get() + 1);
        format!("once{}", self.once.get())
    }

    fn commands(&self) -> Vec<Command> {
        let project = &self.app.project;
        let with = |more: Value| {
            let mut all = json!({"project_id": project});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let of_request = || json!({"request_id": self.request});
        let of_resource = || with(json!({"resource_id": self.resource}));
        let ask = |spec: Value| with(json!({"service": "local-demo", "name": "one", "spec": spec}));
        let form = |path: String, fields: &[(&'static str, &str)]| {
            let mut fields: Vec<_> = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            fields.push(("once", self.once()));
            Some((path, fields))
        };
        let on_request =
            |verb: &str| form(format!("/requests/{}/{verb}", self.request), &[("note", "Seen"), ("back", "")]);
        let on_resource = |verb: &str| form(format!("/resources/{}/{verb}", self.resource), &[]);
        let on_project =
            |path: &str, fields: &[(&'static str, &str)]| form(format!("/projects/{project}/{path}"), fields);
        let on_user =
            |path: &str, fields: &[(&'static str, &str)]| form(format!("/users/{}/{path}", self.user), fields);
        let of_user = |more: Value| {
            let mut all = json!({"user_id": self.user});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let [own, others] = &self.keys;
        let command = |name, by, input, form| Command { name, by, input, form };
        vec![
            command("requests.approve", MANAGER, of_request(), on_request("approve")),
            command("requests.reject", MANAGER, of_request(), on_request("reject")),
            command("requests.cancel", OWNER, of_request(), on_request("cancel")),
            command("requests.create", OWNER, ask(json!({})), on_project("ask/local-demo", &[("name", "one")])),
            command("requests.create", OWNER, ask(json!({"seconds": 9})), None),
            command("resources.deprovision", OWNER, of_resource(), on_resource("remove")),
            command("resources.retry", OWNER, of_resource(), on_resource("retry")),
            command("resources.refresh", OWNER, of_resource(), on_resource("refresh")),
            command(
                "secrets.rotate",
                OWNER,
                with(json!({"name": "local-demo.one.token"})),
                on_project("secrets/local-demo.one.token/rotate", &[]),
            ),
            command("projects.update", OWNER, with(json!({"description": "Changed."})), None),
            command(
                "projects.kill",
                OWNER,
                with(json!({"reason": "A test."})),
                on_project("kill", &[("reason", "A test.")]),
            ),
            command("projects.unkill", OWNER, with(json!({})), on_project("unkill", &[])),
            command("projects.decommission", OWNER, with(json!({})), on_project("decommission", &[])),
            command("keys.mint", OWNER, with(json!({"name": "more"})), on_project("keys", &[("name", "more")])),
            command("keys.revoke", OWNER, with(json!({"key_id": own})), on_project(&format!("keys/{own}/revoke"), &[])),
            command(
                "keys.adopt",
                OWNER,
                with(json!({"key_id": others})),
                on_project(&format!("keys/{others}/adopt"), &[]),
            ),
            command("tokens.create", OWNER, json!({"name": "new"}), form("/account/tokens".into(), &[("name", "new")])),
            command(
                "tokens.revoke",
                OWNER,
                json!({"token_id": self.token}),
                form(format!("/account/tokens/{}/revoke", self.token), &[]),
            ),
            command(
                "users.create",
                ADMIN,
                json!({"username": "sam", "password": PASSWORD, "email": "sam@corp.example"}),
                None,
            ),
            command(
                "users.set_role",
                ADMIN,
                of_user(json!({"role": "finance"})),
                on_user("role", &[("role", "finance")]),
            ),
            command(
                "users.set_active",
                ADMIN,
                of_user(json!({"active": false})),
                on_user("active", &[("active", "false")]),
            ),
            command(
                "users.set_active",
                ADMIN,
                of_user(json!({"active": true})),
                on_user("active", &[("active", "true")]),
            ),
            command("users.sign_out", ADMIN, of_user(json!({})), on_user("sign-out", &[])),
            command(
                "users.revoke_credential",
                ADMIN,
                json!({"user_id": self.user, "credential_id": self.users_token}),
                None,
            ),
        ]
    }

    fn noted(&self, what: &str, told: &Value) {
        let code = told["code"].as_str().unwrap_or_default();
        let sentence = told["detail"].as_str().or_else(|| told["message"].as_str()).unwrap_or_default();
        let kind = Code::ALL.iter().find(|known| known.slug() == code).map(|code| code.kind());
        let refused = matches!(kind, Some(Kind::Conflict | Kind::Denied)) && sentence.ends_with('.');
        if !refused {
            self.wrong.borrow_mut().push(format!("{what}: {told}"));
        }
    }

    async fn rest(&self, command: &Command) -> Reply {
        let route = named(command.name).unwrap().meta.routes.first().unwrap();
        let Value::Object(mut fields) = command.input.clone() else { panic!("{}", command.name) };
        let mut path = "/api".to_owned();
        for part in route.path.split('/').skip(1) {
            let field = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let value = field.map(|field| fields.remove(field).unwrap().as_str().unwrap().to_owned());
            path = format!("{path}/{}", value.as_deref().unwrap_or(part));
        }
        let method: Method = route.method.name().parse().unwrap();
        let body = match method {
            Method::DELETE => Body::empty(),
            _ => Body::from(Value::Object(fields).to_string()),
        };
        self.people[command.by].session.send(method, &path, &[("content-type", "application/json")], body).await
    }

    async fn form(&self, by: usize, (path, fields): &Form) -> Reply {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://localhost:8080"),
            ("accept", "text/html"),
            ("cookie", self.people[by].cookie.as_str()),
        ];
        self.app.anonymous.send(Method::POST, path, &headers, Body::from(pairs.join("&"))).await
    }

    /// Has every command done in a state that is set anew for each.
    async fn all_are_answered(&self, state: &str, only: &[&str], set: impl AsyncFn()) {
        for command in self.commands() {
            if !only.iter().any(|prefix| command.name.starts_with(prefix)) {
                continue;
            }
            let what = |surface: &str| format!("{} {} by {surface}, {state}", command.name, command.input);
            set().await;
            let reply = self.rest(&command).await;
            if !reply.status.is_success() {
                self.noted(&what("REST"), &reply.json());
            }
            if let Some(tool) = named(command.name).unwrap().meta.tools.first() {
                set().await;
                if let Err(told) = self.people[command.by].token.tool(tool, command.input.clone()).await {
                    self.noted(&what("a tool"), &told);
                }
            }
            if let Some(form) = &command.form {
                set().await;
                let reply = self.form(command.by, form).await;
                let done = reply.status.is_success() || reply.status.is_redirection();
                if !(done || [403, 409, 412].contains(&reply.status.as_u16())) {
                    self.wrong.borrow_mut().push(format!("{}: {} {}", what("a form"), reply.status, reply.text()));
                }
            }
        }
    }

    fn nothing_was_wrong(&self) {
        let wrong = self.wrong.borrow();
        let first: Vec<_> = wrong.iter().take(30).collect();
        assert!(wrong.is_empty(), "{} of them, {first:#?}", wrong.len());
    }

    /// The request and its resource in these states, with the claims, the plan and the run that go with them.
    async fn set(&self, request: RequestStatus, resource: ResourceStatus, planned: bool, run: Option<RunStatus>) {
        self.app.store.restore(&self.base);
        let open_claim = self.read::<Request>(&self.request).await.claim();
        let name_claim = self.read::<Resource>(&self.resource).await.claim();
        self.tamper::<Request>(&self.request, |now| {
            now.status = request;
            now.inbox = (request == RequestStatus::Pending).then(|| INBOX.to_owned());
            now.plan = now.plan.take().filter(|_| planned);
            now.plan_run = now.plan_run.take().filter(|_| planned);
            now.current_run = run.map(|_| self.run.clone());
        })
        .await;
        self.tamper::<Resource>(&self.resource, |now| now.status = resource).await;
        if let Some(status) = run {
            self.tamper::<Run>(self.run.as_str(), |now| {
                (now.status, now.open, now.finished_at) = (status, Some(OPEN.to_owned()), None);
            })
            .await;
        }
        if request.is_over() {
            self.write(Op::Release { name: open_claim, owner: self.request.clone() }).await;
        }
        if resource == ResourceStatus::Destroyed {
            self.write(Op::Release { name: name_claim, owner: self.resource.clone() }).await;
        }
    }
}

/// Whether a plan is known and which run is under way, for a request of this state.
const fn there_may_be(request: RequestStatus) -> &'static [(bool, Option<RunStatus>)] {
    match request {
        RequestStatus::Planning => &[(false, Some(RunStatus::Queued)), (false, Some(RunStatus::Running))],
        RequestStatus::Pending => &[(true, None)],
        RequestStatus::Approved => &[(true, Some(RunStatus::Queued))],
        RequestStatus::Running => &[(true, Some(RunStatus::Running))],
        RequestStatus::Fulfilled => &[(true, None)],
        RequestStatus::Rejected | RequestStatus::Cancelled | RequestStatus::Failed | RequestStatus::NeedsAttention => {
            &[(false, None), (true, None)]
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_command_about_a_request_or_a_resource_works_or_says_why_not_in_every_state_on_every_surface() {
    let all = Everything::new().await;
    let about = ["requests.", "resources.", "secrets."];
    for request in RequestStatus::ALL {
        for resource in ResourceStatus::ALL {
            // What is destroyed has no open request.
            if resource == ResourceStatus::Destroyed && !request.is_over() {
                continue;
            }
            for (planned, run) in there_may_be(request) {
                let state = format!("{request:?}, {resource:?}, planned: {planned}, run: {run:?}");
                all.all_are_answered(&state, &about, async || all.set(request, resource, *planned, *run).await).await;
            }
        }
    }
    all.nothing_was_wrong();
}

#[tokio::test(start_paused = true)]
async fn every_command_works_or_says_why_not_in_every_state_of_a_project_and_its_keys_and_people() {
    let all = Everything::new().await;
    let everything = [""];
    for state in ["active", "killed by its owner", "killed by an admin", "decommissioned"] {
        let set = async || {
            all.app.store.restore(&all.base);
            all.tamper::<Project>(&all.app.project, |project| {
                let (by, at, reason) = (project.created_by.clone(), all.world.now(), "A test.".to_owned());
                project.status = match state {
                    "active" => ProjectStatus::Active,
                    "decommissioned" => ProjectStatus::Decommissioned { by, at },
                    killed => ProjectStatus::Killed { by, by_admin: killed.ends_with("admin"), at, reason },
                };
            })
            .await;
        };
        all.all_are_answered(state, &everything, set).await;
    }
    // What was ended already, and who is switched off.
    let ended = async || {
        all.app.store.restore(&all.base);
        for key in &all.keys {
            let path = format!("/api/projects/{}/keys/{key}", all.app.project);
            assert!(all.app.owner.delete(&path).await.status.is_success());
        }
        assert!(all.app.owner.delete(&format!("/api/auth/tokens/{}", all.token)).await.status.is_success());
    };
    all.all_are_answered("ended", &["keys.", "tokens."], ended).await;
    for (active, role) in [(true, "member"), (true, "finance"), (true, "admin"), (false, "member"), (false, "finance")]
    {
        let set = async || {
            all.app.store.restore(&all.base);
            let role = serde_json::from_value(json!(role)).unwrap();
            all.tamper::<User>(&all.user, |user| (user.active, user.role) = (active, role)).await;
        };
        all.all_are_answered(&format!("{role}, active: {active}"), &["users."], set).await;
    }
    all.nothing_was_wrong();
    let known: BTreeSet<&str> =
        all.commands().iter().map(|command| command.name).chain(STATELESS.iter().copied()).collect();
    let changing = OPERATIONS.iter().filter(|entry| !entry.meta.hints.read_only).map(|entry| entry.meta.name);
    let missing: Vec<_> = changing.filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "in neither list: {missing:?}");
}
