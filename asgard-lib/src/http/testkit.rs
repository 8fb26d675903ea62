//! A whole Asgard in memory behind its real router, for tests: no listener, no database, a clock that stands still and
//! reproducible ids. Runs are dry; [`TestApp::settle`] does what a worker would do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::{HttpState, Peer, router};
use crate::{
    adapters::{DryRun, LocalKey, MasterKeys, SealedSecrets, SealedVault},
    app::{Asgard, Operations, Parts, ServiceCatalog, bootstrap, operations::Entry, worker},
    backends::MemoryStore,
    config::{self, Config, LoadOptions},
    kernel::{Role, SecretText, Timestamp},
    ports::world::{ManualClock, SeededEntropy, World},
};
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{ffi::OsString, net::IpAddr, sync::Arc};
use tower::ServiceExt;
use zeroize::Zeroizing;

/// The password of every account in here.
pub const PASSWORD: &str = "correct horse battery";

/// An Asgard with people, a project and its key.
pub struct TestApp {
    /// The control plane.
    pub asgard: Arc<Asgard>,
    /// What requests share.
    pub state: Arc<HttpState>,
    /// The clock that it goes by.
    pub clock: Arc<ManualClock>,
    /// Everything that it holds.
    pub store: MemoryStore,
    /// The router.
    pub router: Router,
    /// Nobody.
    pub anonymous: Client,
    /// The admin, signed in.
    pub admin: Client,
    /// A member who owns the project, signed in.
    pub owner: Client,
    /// A member who manages the project, signed in.
    pub manager: Client,
    /// A member who has nothing to do with the project, signed in.
    pub stranger: Client,
    /// Somebody with the finance role, signed in.
    pub finance: Client,
    /// The owner's user token.
    pub pat: Client,
    /// The project's key.
    pub key: Client,
    /// The project's id.
    pub project: String,
}

crate::kernel::opaque!(TestApp);

impl TestApp {
    /// With the default configuration on a loopback listener.
    pub async fn new() -> Self {
        Self::with(&[("ASGARD_BIND", "127.0.0.1:8080")]).await
    }

    /// With these variables set.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        Self::tuned(variables, |_| ()).await
    }

    /// With these variables set, and then with the configuration changed further.
    pub async fn tuned(variables: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Self {
        Self::made(variables, change, Operations::shipped()).await
    }

    /// With operations of the host's own beside the shipped ones.
    pub async fn operating(own: Vec<Entry>) -> Self {
        Self::made(&[("ASGARD_BIND", "127.0.0.1:8080")], |_| (), Operations::with_own(own).unwrap()).await
    }

    async fn made(variables: &[(&str, &str)], change: impl FnOnce(&mut Config), operations: Arc<Operations>) -> Self {
        let fixed = [("ASGARD_ADMIN_PASSWORD", PASSWORD)];
        let os = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        let env = fixed.iter().chain(variables).map(os).collect();
        let mut config = config::load(&LoadOptions { env, ..LoadOptions::default() }).unwrap().config;
        change(&mut config);
        let clock = Arc::new(ManualClock::at("2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap()));
        let store = MemoryStore::new();
        let asgard = Self::process(&store, &clock, config, operations).await;
        bootstrap::first_admin(&asgard).await.unwrap();
        let state = HttpState::new(Arc::clone(&asgard));
        let router = router(Arc::clone(&state));
        Self::people(asgard, state, clock, store, router).await
    }

    /// An Asgard on this store.
    async fn process(
        store: &MemoryStore,
        clock: &Arc<ManualClock>,
        config: Config,
        operations: Arc<Operations>,
    ) -> Arc<Asgard> {
        let world = World::new(Arc::clone(clock) as _, Arc::new(SeededEntropy::new(7)));
        let master = LocalKey::new(Zeroizing::new([7; 32]), world.clone());
        let masters = MasterKeys::only(Arc::new(master));
        let vault =
            SealedVault::on(Arc::new(store.clone()), Arc::new(store.clone()), masters, world.clone()).await.unwrap();
        let keyring = Arc::clone(vault.keyring());
        let runner = DryRun::new();
        let secrets = Arc::new(SealedSecrets::new(Arc::clone(&vault), world.clone()));
        let parts = Parts::new(Arc::new(store.clone()), vault, keyring, secrets, Arc::clone(&runner) as _)
            .services(ServiceCatalog::load(&config).unwrap())
            .operations(operations)
            .world(world)
            .config(config);
        let asgard = Asgard::new(parts);
        runner.bind(&asgard);
        asgard
    }

    /// Another process on the same store, under other settings.
    pub async fn again(&self, config: Config) -> Arc<Asgard> {
        Self::process(&self.store, &self.clock, config, Operations::shipped()).await
    }

    async fn people(
        asgard: Arc<Asgard>,
        state: Arc<HttpState>,
        clock: Arc<ManualClock>,
        store: MemoryStore,
        router: Router,
    ) -> Self {
        let anonymous = Client { router: router.clone(), credential: None };
        let mut signed_in = Vec::new();
        let password = SecretText::new(PASSWORD);
        for (name, role) in [
            ("olga", Role::Member),
            ("max", Role::Member),
            ("sam", Role::Member),
            ("fin", Role::Finance),
            ("admin", Role::Admin),
        ] {
            if role != Role::Admin {
                let email = format!("{name}@corp.example").parse().unwrap();
                bootstrap::create_user(&asgard, &name.parse().unwrap(), &email, role, &password, None).await.unwrap();
            }
            let reply = anonymous.post("/api/auth/login", json!({"username": name, "password": PASSWORD})).await;
            signed_in.push(anonymous.with(&reply.field("token")));
        }
        let mut signed_in = signed_in.into_iter();
        let mut next = || signed_in.next().unwrap();
        let (owner, manager, stranger, finance, admin) = (next(), next(), next(), next(), next());
        let registration = json!({"name": "Pilot", "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "platform"});
        let project = owner.post("/api/projects", registration).await.field("project_id");
        let key = owner.post(&format!("/api/projects/{project}/keys"), json!({"name": "agent"})).await;
        let token = owner.post("/api/auth/tokens", json!({"name": "laptop"})).await;
        Self {
            key: anonymous.with(&key.field("key")),
            pat: anonymous.with(&token.field("token")),
            asgard,
            state,
            clock,
            store,
            router,
            anonymous,
            admin,
            owner,
            manager,
            stranger,
            finance,
            project,
        }
    }

    /// Does every job that is due, as a worker would.
    pub async fn settle(&self) {
        worker::run_due(&self.asgard).await.unwrap();
    }
}

/// Somebody who makes requests.
#[derive(Clone)]
pub struct Client {
    router: Router,
    /// What is sent as `Authorization: Bearer`.
    pub credential: Option<String>,
}

crate::kernel::opaque!(Client);

impl Client {
    /// Nobody, at this router.
    pub fn of(router: Router) -> Self {
        Self { router, credential: None }
    }

    /// The same with another credential.
    pub fn with(&self, credential: &str) -> Self {
        Self { router: self.router.clone(), credential: Some(credential.to_owned()) }
    }

    /// A GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    /// A POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.json(Method::POST, path, body).await
    }

    /// A PATCH of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.json(Method::PATCH, path, body).await
    }

    /// A DELETE without a body.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> Reply {
        self.send(method, path, &[("content-type", "application/json")], Body::from(body.to_string())).await
    }

    /// Any request, from a client on another machine.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080");
        if let Some(credential) = &self.credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Peer { address: IpAddr::from([203, 0, 113, 7]), tls: false });
        self.request(request).await
    }

    /// Exactly this request.
    pub async fn request(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// A JSON-RPC request to `/mcp`; the whole answer.
    pub async fn rpc(&self, method: &str, params: Value) -> Reply {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        self.send(Method::POST, "/mcp", &headers, Body::from(message.to_string())).await
    }

    /// A tool call: its structured content, or its text as JSON when it failed.
    pub async fn tool(&self, name: &str, arguments: Value) -> Result<Value, Value> {
        let reply = self.rpc("tools/call", json!({"name": name, "arguments": arguments})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json();
        let result = answer.get("result").unwrap_or_else(|| panic!("{name}: {answer}"));
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        if result["isError"] == true {
            return Err(text);
        }
        assert_eq!(text, result["structuredContent"], "the text of {name} is its structured content");
        Ok(text)
    }
}

/// An answer, read to its end.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

crate::kernel::opaque!(Reply);

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A text of the body's top level.
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text())).to_owned()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
