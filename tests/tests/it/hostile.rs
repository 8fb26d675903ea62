//! Input that was never meant well: a clear error each, no panic, nothing half done, and the server goes on.

use crate::job::{ask, fulfilled, request_id, text};
use asgard_tests::{Cast, Client, Database, PASSWORD, Server, Site};
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Everything that the store holds which operations are about, by id and version.
fn versions(site: &Site) -> Vec<String> {
    let tables = ["project", "project_key", "person", "session", "user_token", "request", "resource", "run", "secret"];
    tables
        .iter()
        .flat_map(|table| {
            site.database()
                .rows(&format!("SELECT '{table} ' || id || ' ' || version FROM {table} ORDER BY id"))
                .unwrap()
        })
        .collect()
}

struct Scene {
    site: Site,
    server: Server,
    cast: Cast,
    project: String,
    key: Client,
}

impl Scene {
    fn new() -> Self {
        let site = Site::sqlite();
        let server = site.start();
        let cast = site.cast(&server);
        let project = cast.project("Target");
        let key = cast.key(&project);
        fulfilled(&cast.owner.session, &request_id(&ask(&key, "local-demo", "there", &json!({}))));
        Self { site, server, cast, project, key }
    }

    /// Does `attack` and expects that it changed nothing and hurt nobody.
    fn unmoved(&mut self, attack: impl FnOnce(&Self)) {
        let before = versions(&self.site);
        attack(self);
        assert_eq!(versions(&self.site), before, "something was committed");
        assert!(self.server.is_alive());
        assert_eq!(self.server.anonymous().get("/readyz").text, "ready");
        let log = self.server.log_text();
        assert!(!log.contains("panic"), "a panic was logged");
    }
}

#[test]
fn rest_refuses_what_makes_no_sense() {
    let mut scene = Scene::new();
    scene.unmoved(|scene| {
        let (owner, project) = (&scene.cast.owner.session, &scene.project);
        let register = |changes: Value| {
            let mut body = json!({"name": "X", "owner_email": scene.cast.owner.email, "manager_email": scene.cast.manager.email,
                "group": "platform"});
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            owner.post("/api/projects", &body)
        };
        let field = |reply: &Value| reply["field"].as_str().unwrap_or_default().to_owned();
        for (changes, wrong) in [
            (json!({"name": ""}), "name"),
            (json!({"name": 7}), "name"),
            (json!({"name": "x".repeat(10_000)}), "name"),
            (json!({"name": "line\nbreak"}), "name"),
            (json!({"owner_email": "nobody"}), "owner_email"),
            (json!({"owner_email": ["a@b.c"]}), "owner_email"),
            (json!({"manager_email": scene.cast.owner.email}), "manager_email"),
            (json!({"group": "no-such-group"}), "group"),
            (json!({"group": "../platform"}), "group"),
            (json!({"budget_usd": -1}), "budget_usd"),
            (json!({"budget_usd": "100"}), "budget_usd"),
            (json!({"budget_usd": 1e300}), "budget_usd"),
            (json!({"classification": "supreme"}), "classification"),
            (json!({"evidence": {"runbook_url": 1}}), "evidence.runbook_url"),
            (json!({"project_id": "proj-2026-0001"}), "project_id"),
            (json!({"minted_by": "admin@localhost"}), "minted_by"),
        ] {
            let refused = register(changes.clone()).refused(400, "invalid-input");
            assert_eq!(field(&refused), wrong, "{changes} {refused}");
        }

        let request = |name: &Value| {
            owner.post("/api/requests", &json!({"project_id": project, "service": "local-demo", "name": name, "spec": {}}))
        };
        for name in [
            "..", "../../etc/passwd", "a/b", "a\\b", "A-Z", "-a", "a-", "a", "", "a b", "a%2fb", "name;rm", "$(reboot)", "ä-ö", "a\u{202e}b",
        ] {
            assert_eq!(field(&request(&name.into()).refused(400, "invalid-input")), "name", "{name:?}");
        }
        request(&"x".repeat(41).into()).refused(400, "invalid-input");
        request(&"nul\0byte".into()).refused(400, "invalid-input");
        for wrong in [json!(7), json!(null), json!(["there"]), json!({"name": "x"})] {
            request(&wrong).refused(400, "invalid-input");
        }
        for spec in [json!([]), json!("x"), json!(7)] {
            let body = json!({"project_id": project, "service": "local-demo", "name": "x-y", "spec": spec});
            owner.post("/api/requests", &body).refused(400, "invalid-input");
        }
        for (spec, wrong) in [
            (json!({"seconds": "1"}), "spec.seconds"),
            (json!({"seconds": -1}), "spec.seconds"),
            (json!({"seconds": 1.5}), "spec.seconds"),
            (json!({"seconds": 3601}), "spec.seconds"),
            (json!({"fail_at": "never"}), "spec.fail_at"),
            (json!({"monthly_usd": 1e30}), "spec.monthly_usd"),
            (json!({"project_id": "proj-2026-0002"}), "spec.project_id"),
            (json!({"rotation": 5}), "spec.rotation"),
            (json!({"seconds": {"$secret": "sec_x", "version": 1}}), "spec.seconds"),
        ] {
            let body = json!({"project_id": project, "service": "local-demo", "name": "x-y", "spec": spec});
            let refused = owner.post("/api/requests", &body).refused(400, "invalid-spec");
            assert_eq!(field(&refused), wrong, "{spec} {refused}");
        }
        let body = json!({"project_id": project, "service": "local-demo", "name": "x-y", "spec": {"name": "other"}});
        owner.post("/api/requests", &body).refused(400, "invalid-input");
        let body = json!({"project_id": project, "service": "rm-rf", "name": "x-y", "spec": {}});
        owner.post("/api/requests", &body).refused(404, "not-found");
        let body = json!({"project_id": project, "service": "local-demo", "name": "x-y", "spec": {}, "cloud": "aws"});
        owner.post("/api/requests", &body).refused(400, "invalid-input");

        for path in [
            "/api/projects/..%2f..%2fetc%2fpasswd",
            "/api/projects/proj-2026-0001%00",
            "/api/projects/%ff",
            "/api/requests/req_",
            "/api/runs/run_../log",
            "/api/projects?limit=0",
            "/api/projects?limit=1000000",
            "/api/projects?limit=abc",
            "/api/projects?cursor=nonsense",
            "/api/projects?colour=blue",
            "/api/projects?limit=1&limit=2",
            "/api/requests/req_00000000000000000000000000?wait_s=9999",
        ] {
            let reply = owner.get(path);
            assert!((400..405).contains(&reply.status), "{reply:?}");
            assert_eq!(reply.header("content-type"), "application/problem+json", "{reply:?}");
        }
        // A cursor of one list is no cursor of another, and not of somebody else's either.
        let cursor = owner.get("/api/projects?limit=1").ok()["next_cursor"].clone();
        assert!(cursor.is_null(), "one project is one page");
        owner.get("/api/nothing").refused(404, "not-found");
        owner.json("PATCH", "/api/projects", &json!({})).refused(405, "method-not-allowed");
    });
}

#[test]
fn bodies_that_are_too_much_or_no_json_are_refused() {
    let mut scene = Scene::new();
    scene.unmoved(|scene| {
        let owner = &scene.cast.owner.session;
        let post = |body: &[u8], kind: &str| owner.send("POST", "/api/projects", &[("content-type", kind)], Some(body));
        let json = |body: &[u8]| post(body, "application/json");
        let deep = [b"{\"evidence\":".repeat(10_000), b"{}".to_vec(), b"}".repeat(10_000)].concat();
        json(&deep).refused(400, "invalid-input");
        let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(10 * 1024 * 1024)).into_bytes();
        // The connection may be closed before all of it was sent; what matters is that it is not taken.
        if let Some(reply) =
            owner.try_send("POST", "/api/projects", &[("content-type", "application/json")], Some(&huge))
        {
            reply.refused(413, "body-too-large");
        }
        for body in [
            &b"{"[..],
            b"",
            b"null",
            b"[]",
            b"\"x\"",
            b"{\"name\":\"x\",\"name\":\"y\"}",
            b"\xff\xfe",
            b"{'a':1}",
            b"{} {}",
        ] {
            json(body).refused(400, "invalid-input");
        }
        json(b"{\"name\":\"a\\u0000b\",\"owner_email\":\"owner@corp.example\"}").refused(400, "invalid-input");
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
            post(b"{}", kind).refused(415, "unsupported-media-type");
        }
        // From another site's page, with the browser's cookie.
        let cookie = format!("asgard_session={}", owner.credential());
        let headers = [("cookie", &*cookie), ("origin", "https://evil.example"), ("content-type", "application/json")];
        let anonymous = scene.server.anonymous();
        anonymous.send("POST", "/api/projects", &headers, Some(b"{}")).refused(403, "origin-denied");
        // Two credentials are none.
        let two = [("cookie", "asgard_session=other"), ("content-type", "application/json")];
        owner.send("POST", "/api/projects", &two, Some(b"{}")).refused(400, "invalid-input");
        for credential in ["", "Bearer", "x".repeat(20_000).as_str(), "asg_' OR 1=1 --", "\u{e4}"] {
            if let Some(reply) = anonymous.with(credential).try_get("/api/projects") {
                assert!(matches!(reply.status, 400 | 401 | 431), "{credential:?} {reply:?}");
            }
        }
    });
}

#[test]
fn mcp_refuses_what_is_no_message() {
    let mut scene = Scene::new();
    scene.unmoved(|scene| {
        let key = &scene.key;
        let error = |body: &str, status: u16, code: i64| {
            let reply = key.mcp_text(body);
            assert_eq!((reply.status, reply.json()["error"]["code"].as_i64()), (status, Some(code)), "{body:.80} {reply:?}");
        };
        error("{", 400, -32700);
        error("", 400, -32700);
        error("[]", 400, -32600);
        error("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}]", 400, -32600);
        error("7", 400, -32600);
        error("{\"id\":1,\"method\":\"tools/list\"}", 400, -32600);
        error("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"tools/list\"}", 400, -32600);
        error("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"tools/list\"}", 400, -32600);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", 400, -32600);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":[]}", 400, -32600);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"tools/list\"}", 400, -32600);
        error(&format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), 400, -32600);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}", 200, -32601);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"no_such_tool\"}}", 200, -32602);
        error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}}", 200, -32602);
        let deep = format!("{}{{}}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        error(
            &format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"list_services\",\"arguments\":{deep}}}}}"),
            400,
            -32600,
        );
        let huge = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"x\":\"{}\"}}}}", "x".repeat(10 << 20));
        if let Some(reply) = key.try_send("POST", "/mcp", &[("content-type", "application/json")], Some(huge.as_bytes())) {
            assert_eq!(reply.status, 413, "{reply:?}");
        }

        let list = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let send = |headers: &[(&str, &str)]| key.send("POST", "/mcp", headers, Some(list));
        let json = ("content-type", "application/json");
        assert_eq!(send(&[("content-type", "text/plain")]).status, 415);
        assert_eq!(send(&[json, ("accept", "text/html")]).status, 406);
        assert_eq!(send(&[json, ("accept", "*/*")]).status, 200, "simple scripts are met half-way");
        assert_eq!(send(&[json, ("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "1999-01-01")]).status, 400);
        assert_eq!(send(&[json, ("origin", "https://evil.example")]).status, 403);
        assert_eq!(key.send("GET", "/mcp", &[], None).status, 405);
        assert_eq!(key.send("DELETE", "/mcp", &[], None).status, 405);
        assert_eq!(scene.server.anonymous().get("/mcp").status, 401, "a credential comes before everything else");

        let code = |name: &str, arguments: Value| key.tool(name, &arguments).code().to_owned();
        for (name, arguments) in [
            ("request_resource", json!({"service": "local-demo", "name": "../x", "spec": {}})),
            ("request_resource", json!({"service": "local-demo", "name": "x\0y", "spec": {}})),
            ("request_resource", json!({"service": "local-demo", "name": "fine", "spec": {}, "sudo": true})),
            ("request_resource", json!({"service": "local-demo"})),
            ("request_resource", json!({"service": 7, "name": "fine"})),
            ("get_request", json!({"request_id": "../../x"})),
            ("get_request", json!({"request_id": scene.project})),
            ("get_request", json!({"request_id": "req_00000000000000000000000000", "wait_s": 51})),
            ("get_secret", json!({"name": "a/../../b"})),
            ("list_resources", json!({"limit": -1})),
            ("list_resources", json!({"cursor": {}})),
            ("project_get", json!({"project_id": "proj-2026-0001' OR '1'='1"})),
        ] {
            // A NUL makes the whole message unacceptable, everything else is the tool's to refuse.
            if arguments.to_string().contains("\\u0000") {
                assert_eq!(key.mcp("tools/call", &json!({"name": name, "arguments": arguments})).status, 400);
                continue;
            }
            assert_eq!(code(name, arguments.clone()), "invalid-input", "{name} {arguments}");
        }
        assert_eq!(code("request_resource", json!({"service": "local-demo", "name": "fine", "spec": {"x": 1}})), "invalid-spec");
        assert_eq!(code("list_resources", json!({"cursor": "nonsense"})), "invalid-cursor");
        for arguments in [json!([]), json!("x"), json!(7)] {
            let reply = key.mcp("tools/call", &json!({"name": "list_services", "arguments": arguments}));
            assert_eq!(reply.json()["error"]["code"], -32602, "{reply:?}");
        }
    });
}

#[test]
fn slow_and_broken_connections_lose_their_place() {
    let mut scene = Scene::new();
    scene.unmoved(|scene| {
        let address = scene.server.base().trim_start_matches("http://");
        let connect = || {
            let stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
            stream
        };
        // The head of a request, drop by drop: the connection is closed before it is complete.
        let start = Instant::now();
        let mut slow = connect();
        let mut closed = false;
        for byte in b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ".iter().chain(std::iter::repeat_n(&b'x', 100)) {
            if slow.write_all(&[*byte]).and_then(|()| slow.flush()).is_err() {
                closed = true;
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
            if start.elapsed() > Duration::from_secs(30) {
                break;
            }
        }
        assert!(closed, "a client that sends a head drop by drop keeps its place");
        // Not HTTP at all, and a head that is larger than any should be.
        for nonsense in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; 300_000]].concat()] {
            let mut stream = connect();
            let _ = stream.write_all(&nonsense);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        // One that announces more than it sends, and goes.
        let mut liar = connect();
        liar.write_all(b"POST /api/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
            .unwrap();
        drop(liar);
        // Two lengths, as smugglers use them.
        let mut smuggler = connect();
        smuggler
            .write_all(b"POST /api/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n")
            .unwrap();
        let mut answer = [0; 12];
        let _ = smuggler.read(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 4") || answer[0] == 0, "{:?}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn a_configuration_that_makes_no_sense_refuses_to_start() {
    let refused = |yaml: &str, words: &[&str]| {
        let site = Site::sqlite().yaml(yaml);
        let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{yaml:?} {said}");
        for word in words {
            assert!(said.contains(word), "expected `{word}`: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
        let Database::Sqlite(path) = site.database() else { unreachable!() };
        assert!(!path.exists(), "a server that refuses its configuration makes no database: {yaml:?}");
        let check = site.run(&["config", "check"]);
        assert_eq!(check.status.code(), Some(2), "config check says the same");
    };
    // The first two lines are the groups of the runbook.
    refused("groups: []\n", &["asgard.yaml:3", "groups"]);
    refused("lease_ttl_secs: 60\nlease_ttl_secs: 70\n", &["asgard.yaml:4", "lease_ttl_secs"]);
    refused("lease_ttl_sec: 60\n", &["asgard.yaml:3", "lease_ttl_sec", "lease_ttl_secs"]);
    refused("lease_ttl_secs: soon\n", &["asgard.yaml:3", "60"]);
    refused("lease_ttl_secs: 1\n", &["asgard.yaml:3", "60", "86400"]);
    refused("registration: [\n", &["asgard.yaml:"]);
    refused("registration: { require_manager: perhaps }\n", &["asgard.yaml:3", "true", "false"]);
    refused("provisioning: { auto_approve: { supreme: 5 } }\n", &["asgard.yaml:3", "supreme"]);

    // What the configuration points to is looked at only afterwards.
    let site = Site::sqlite().yaml("provisioning: { services_dir: /no/such/folder }\n");
    let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/no/such/folder") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_damaged_database_refuses_to_start() {
    let mut site = Site::sqlite();
    {
        let mut server = site.start();
        let cast = site.cast(&server);
        (0..20).for_each(|number| drop(cast.project(&format!("Project {number}"))));
        assert!(server.stop().success());
    }
    let Database::Sqlite(path) = site.database() else { unreachable!() };
    let path = path.clone();
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 100_000);
    let refused = |what: &str| {
        let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(!output.status.success() && output.status.code().is_some(), "{what}: {:?} {said}", output.status);
        assert!(said.contains("database") && !said.contains("panicked"), "{what}: {said}");
        said
    };
    // Cut off in the middle, as a full disk or a broken copy leaves it.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(u64::try_from(whole.len()).unwrap() / 2).unwrap();
    refused("half a file");
    fs::write(&path, b"this is not a database at all, but it is long enough to look at").unwrap();
    refused("some other file");
    fs::write(&path, [&whole[..100], &vec![0xff; whole.len() - 100][..]].concat()).unwrap();
    refused("a header and rubbish");
    fs::write(&path, &whole).unwrap();
    let server = site.start();
    let login = json!({"username": "admin", "password": PASSWORD});
    let token = server.anonymous().post("/api/auth/login", &login).ok();
    let admin = server.anonymous().with(text(&token, "token"));
    assert_eq!(crate::job::all(&admin, "/api/projects").len(), 20, "the whole file is as it was");
    drop(server);
    site.set("ASGARD_DATABASE_URL", "mysql://localhost/asgard");
    let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("postgres://"), "it says what is allowed");
}
