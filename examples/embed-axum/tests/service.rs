//! The service on a listener, as browsers and agents meet it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing that is wrong"
)]

use asgard_lib::{kernel::Timestamp, ports::world::World};
use embed_axum::{
    parts::CompanyClock,
    service::Service,
    session::{COOKIE, Sessions, Visitor},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const KEY: [u8; 32] = [42; 32];
const JSON: (&str, &str) = ("content-type", "application/json");

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    clock: Arc<CompanyClock>,
    served: JoinHandle<std::io::Result<()>>,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Running {
    async fn start(data: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service::open(data, address, Sessions::new(KEY)).await.unwrap();
        let (stop, clock) = (service.stop(), Arc::clone(service.clock()));
        Self { address, stop, clock, served: tokio::spawn(service.serve(listener)) }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }

    /// One request over a connection of its own. HTTP/1.0, so that the answer ends where the connection does.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text =
            format!("{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n", self.address, body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", path, headers, "").await
    }

    /// What a page of this service sends.
    async fn post(&self, path: &str, cookie: &str, body: &Value) -> Reply {
        let origin = format!("http://{}", self.address);
        self.send("POST", path, &[JSON, ("cookie", cookie), ("origin", &origin)], &body.to_string()).await
    }

    async fn mcp(&self, headers: &[(&str, &str)], tool: &str) -> Reply {
        self.tool(headers, tool, json!({})).await
    }

    async fn tool(&self, headers: &[(&str, &str)], tool: &str, arguments: Value) -> Reply {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let mut all = vec![JSON, ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        self.send("POST", "/mcp", &all, &call.to_string()).await
    }
}

fn now() -> Timestamp {
    World::system().now()
}

fn token(sessions: &Sessions, name: &str, groups: &[&str], at: Timestamp) -> String {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let visitor = Visitor { email: format!("{name}@corp.example").parse().unwrap(), groups };
    sessions.sign(visitor, at, Duration::from_secs(3600)).unwrap()
}

fn cookie(name: &str, groups: &[&str]) -> String {
    format!("{COOKIE}={}", token(&Sessions::new(KEY), name, groups, now()))
}

fn registration() -> Value {
    json!({"name": "Editor", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "tools"})
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_the_company_are_themselves_in_asgard_and_agents_use_their_keys() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let ann = cookie("ann", &[]);

    let registered = service.post("/api/projects", &ann, &registration()).await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    let project = registered.json()["project_id"].as_str().unwrap().to_owned();
    let me = service.get("/api/auth/me", &[("cookie", &ann)]).await.json();
    assert_eq!((&me["user"]["email"], &me["user"]["role"]), (&json!("ann@corp.example"), &json!("member")));

    // The dashboard, as Ann; and the host's own route, which asks Asgard in the same process.
    let page = service.get("/projects", &[("cookie", &ann)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.head.contains("content-type: text/html") && page.head.contains("content-security-policy:"),
        "{}",
        page.head
    );
    assert!(page.body.contains("Editor") && page.body.contains("ann@corp.example"), "{}", page.body);
    let style = page.body.split('"').find(|text| text.starts_with("/assets/")).unwrap().to_owned();
    assert_eq!(service.get(&style, &[]).await.status, 200, "{style}");
    let team = service.get("/team", &[("cookie", &ann)]).await.json();
    assert_eq!(team["projects"], json!([{"id": project, "name": "Editor"}]));
    let other = service.get("/team", &[("cookie", &cookie("eve", &[]))]).await.json();
    assert_eq!(other["projects"], json!([]), "everybody sees their own");
    assert_eq!(service.get(&format!("/api/projects/{project}"), &[("cookie", &cookie("eve", &[]))]).await.status, 404);

    // A key for an agent, which is good on /mcp and nowhere else.
    let minted = service.post(&format!("/api/projects/{project}/keys"), &ann, &json!({"name": "agent"})).await;
    assert_eq!(minted.status, 201, "{}", minted.body);
    let key = format!("Bearer {}", minted.json()["key"].as_str().unwrap());
    let listed = service.mcp(&[("authorization", &key)], "list_services").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.json()["result"]["isError"], json!(false), "{}", listed.body);
    assert!(listed.body.contains("desk"), "{}", listed.body);
    assert_eq!(service.get("/api/projects", &[("authorization", &key)]).await.status, 401);
    assert_eq!(service.get("/team", &[("authorization", &key)]).await.status, 401);

    // Everything is there after a restart, the key too.
    service.stop().await;
    let service = Running::start(folder.path()).await;
    assert_eq!(service.mcp(&[("authorization", &key)], "list_services").await.status, 200);
    let team = service.get("/team", &[("cookie", &ann)]).await.json();
    assert_eq!(team["projects"][0]["name"], "Editor");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_signed_in_gets_nothing_whatever_they_send() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let ann = cookie("ann", &["asgard-admins"]);
    let genuine = token(&Sessions::new(KEY), "ann", &["asgard-admins"], now());
    let (claims, mac) = genuine.split_once('.').unwrap();
    let last = if mac.ends_with('A') { "E" } else { "A" };
    let hour = Duration::from_secs(3601);
    let session = |token: &str| format!("{COOKIE}={token}");
    for (name, value) in [
        ("x-request-id", "nothing at all".to_owned()),
        ("hostuser", "ann@corp.example".to_owned()),
        ("x-forwarded-user", "ann@corp.example".to_owned()),
        ("x-forwarded-email", "ann@corp.example".to_owned()),
        ("x-asgard-user", "ann@corp.example".to_owned()),
        ("remote-user", "ann".to_owned()),
        ("cookie", session("ann@corp.example")),
        ("cookie", session(&token(&Sessions::new([1; 32]), "ann", &["asgard-admins"], now()))),
        ("cookie", session(&token(&Sessions::new(KEY), "ann", &[], now().minus(hour)))),
        ("cookie", session(&format!("{claims}.{}{last}", &mac[..mac.len() - 1]))),
        ("cookie", session(claims)),
        ("cookie", format!("asgard_session={genuine}")),
        ("cookie", format!("{}; {}", session(&genuine), session("planted"))),
        ("authorization", format!("Bearer {genuine}")),
        ("authorization", "Basic YW5uOmFubg==".to_owned()),
    ] {
        let headers = [(name, value.as_str())];
        for path in ["/api/auth/me", "/api/projects", "/api/users", "/api/audit", "/team", "/"] {
            assert_eq!(service.get(path, &headers).await.status, 401, "{path} with {name}: {value}");
        }
        let all = [headers[0], JSON, ("origin", &*format!("http://{}", service.address))];
        let registered = service.send("POST", "/api/projects", &all, &registration().to_string()).await;
        assert_eq!(registered.status, 401, "{name}: {value}");
        assert_eq!(service.mcp(&headers, "list_services").await.status, 401, "{name}: {value}");
        let page = service.get("/projects", &headers).await;
        assert!(
            page.status == 401
                || page.head.contains("location: /?next=/projects")
                || page.head.contains("location: /?next=%2fprojects"),
            "{}",
            page.head
        );
    }
    assert_eq!(service.get("/api/users", &[("cookie", &ann)]).await.status, 200, "and the genuine one does");
    assert_eq!(service.mcp(&[("cookie", &ann)], "list_services").await.status, 401, "agents have keys");
    for path in ["/api/auth/login", "/sign-in"] {
        let password = json!({"username": "ann@corp.example", "password": "correct horse battery"});
        assert_eq!(service.post(path, "", &password).await.status, 404, "nobody signs in with a password");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_decide_the_role_and_another_sites_page_decides_nothing() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    for (groups, users, audit) in
        [(&["asgard-admins"][..], 200, 200), (&["finance"][..], 403, 200), (&["tools", "asgard-admin"][..], 403, 403)]
    {
        let cookie = cookie(groups[0], groups);
        assert_eq!(service.get("/api/users", &[("cookie", &cookie)]).await.status, users, "{groups:?}");
        assert_eq!(service.get("/api/audit", &[("cookie", &cookie)]).await.status, audit, "{groups:?}");
    }
    // Who leaves the group leaves the role, by every credential.
    let eve = |groups: &[&str]| cookie("eve", groups);
    let minted = service.post("/api/auth/tokens", &eve(&["asgard-admins"]), &json!({"name": "laptop"})).await;
    let pat = format!("Bearer {}", minted.json()["token"].as_str().unwrap());
    assert_eq!(service.get("/api/users", &[("authorization", &pat)]).await.status, 200);
    assert_eq!(service.get("/api/users", &[("cookie", &eve(&[]))]).await.status, 403);
    assert_eq!(service.get("/api/users", &[("authorization", &pat)]).await.status, 403);

    let ann = cookie("ann", &[]);
    for headers in [
        vec![],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
    ] {
        let mut all = vec![JSON, ("cookie", ann.as_str())];
        all.extend(&headers);
        let reply = service.send("POST", "/api/projects", &all, &registration().to_string()).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("origin-denied")), "{headers:?}");
        assert_eq!(service.send("POST", "/sign-out", &all, "").await.status, 403, "{headers:?}");
    }
    let out = service.post("/sign-out", &ann, &Value::Null).await;
    assert!(out.status == 303 && out.head.contains(&format!("set-cookie: {COOKIE}=; ")), "{}", out.head);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_comes_from_the_companys_own_parts_and_is_there_after_a_restart() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let ann = cookie("ann", &[]);
    let project = service.post("/api/projects", &ann, &registration()).await.json()["project_id"].clone();
    let minted = format!("/api/projects/{}/keys", project.as_str().unwrap());
    let minted = service.post(&minted, &ann, &json!({"name": "agent"})).await.json();
    let key = format!("Bearer {}", minted["key"].as_str().unwrap());
    let agent = [("authorization", key.as_str())];
    let answer = |reply: Reply| reply.json()["result"]["structuredContent"].clone();

    // Its services and its facilities.
    let services = answer(service.mcp(&agent, "list_services").await);
    let ids: Vec<&Value> = services["items"].as_array().unwrap().iter().map(|service| &service["id"]).collect();
    assert_eq!(ids, ["desk"]);
    let ask = json!({"service": "desk", "name": "window", "spec": {"floor": 3}});
    let asked = answer(service.tool(&agent, "request_resource", ask).await);
    let get = json!({"request_id": asked["request"]["request_id"], "wait_s": 20});
    let request = answer(service.tool(&agent, "get_request", get).await);
    assert_eq!(request["status"], "fulfilled", "{request}");
    let resource = answer(service.tool(&agent, "get_resource", json!({"resource_id": request["resource_id"]})).await);
    let number = resource["outputs"]["number"].as_u64().unwrap();
    assert!((300..400).contains(&number), "{resource}");

    // Its safe.
    let wanted = json!({"name": "desk.window.code"});
    let code = answer(service.tool(&agent, "get_secret", wanted.clone()).await)["value"].as_str().unwrap().to_owned();
    let kept: Vec<_> =
        std::fs::read_dir(folder.path().join("safe")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), code);

    // Its clock: an hour later by the company's time, the company's session is over.
    assert_eq!(service.get("/team", &[("cookie", &ann)]).await.status, 200);
    service.clock.correct(2 * 3_600_000);
    assert_eq!(service.get("/team", &[("cookie", &ann)]).await.status, 401);
    service.stop().await;

    let service = Running::start(folder.path()).await;
    assert_eq!(answer(service.tool(&agent, "get_secret", wanted).await)["value"], code.as_str());
    service.stop().await;
}
