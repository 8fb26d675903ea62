//! People, agents and everybody else at the service.

use crate::running::{JSON, KEY, Running, cookie, folder, now, registration, token};
use embed_axum::session::{COOKIE, Sessions};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_the_company_are_themselves_in_asgard_and_agents_use_their_keys() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let ann = cookie("ann", &[]);

    let registered = service.post("/governance/api/projects", &ann, &registration()).await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    let project = registered.json()["project_id"].as_str().unwrap().to_owned();
    let me = service.get("/governance/api/auth/me", &[("cookie", &ann)]).await.json();
    assert_eq!((&me["user"]["email"], &me["user"]["role"]), (&json!("ann@corp.example"), &json!("member")));

    // The dashboard, as Ann; and the host's own route, which asks Asgard in the same process.
    let page = service.get("/governance/projects", &[("cookie", &ann)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.head.contains("content-type: text/html") && page.head.contains("content-security-policy:"),
        "{}",
        page.head
    );
    assert!(page.body.contains("Editor") && page.body.contains("ann@corp.example"), "{}", page.body);
    let style = page.body.split('"').find(|text| text.starts_with("/governance/assets/")).unwrap().to_owned();
    assert_eq!(service.get(&style, &[]).await.status, 200, "{style}");
    let team = service.get("/team", &[("cookie", &ann)]).await.json();
    assert_eq!(team["projects"], json!([{"id": project, "name": "Editor"}]));
    let other = service.get("/team", &[("cookie", &cookie("eve", &[]))]).await.json();
    assert_eq!(other["projects"], json!([]), "everybody sees their own");
    assert_eq!(
        service.get(&format!("/governance/api/projects/{project}"), &[("cookie", &cookie("eve", &[]))]).await.status,
        404
    );

    // Below the path everything is Asgard's, and outside of it nothing is.
    let missing = service.get("/governance/nothing", &[("cookie", &ann)]).await;
    assert!(missing.status == 404 && missing.head.contains("content-security-policy:"), "{}", missing.head);
    for path in ["/projects", "/api/projects", "/mcp", "/healthz", "/governanceX"] {
        let outside = service.get(path, &[("cookie", &ann)]).await;
        assert!(outside.status == 404 && !outside.head.contains("x-asgard-trace-id"), "{path}: {}", outside.head);
    }
    let about = service.get("/.well-known/oauth-protected-resource/governance/mcp", &[]).await;
    assert!(about.head.contains("content-type: application/problem+json"), "{}", about.head);
    let start = service.get("/governance", &[("cookie", &ann)]).await;
    assert!(start.status == 303 && start.head.contains("location: /governance/projects"), "{}", start.head);

    // A key for an agent, which is good on /mcp and nowhere else.
    let minted =
        service.post(&format!("/governance/api/projects/{project}/keys"), &ann, &json!({"name": "agent"})).await;
    assert_eq!(minted.status, 201, "{}", minted.body);
    let key = format!("Bearer {}", minted.json()["key"].as_str().unwrap());
    let listed = service.mcp(&[("authorization", &key)], "list_services").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.json()["result"]["isError"], json!(false), "{}", listed.body);
    assert!(listed.body.contains("desk"), "{}", listed.body);
    assert_eq!(service.get("/governance/api/projects", &[("authorization", &key)]).await.status, 401);
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
        for path in [
            "/governance/api/auth/me",
            "/governance/api/projects",
            "/governance/api/users",
            "/governance/api/audit",
            "/governance",
            "/governance/",
            "/activity",
            "/team",
            "/",
        ] {
            assert_eq!(service.get(path, &headers).await.status, 401, "{path} with {name}: {value}");
        }
        let all = [headers[0], JSON, ("origin", &*format!("http://{}", service.address))];
        let registered = service.send("POST", "/governance/api/projects", &all, &registration().to_string()).await;
        assert_eq!(registered.status, 401, "{name}: {value}");
        assert_eq!(service.mcp(&headers, "list_services").await.status, 401, "{name}: {value}");
        let page = service.get("/governance/projects", &headers).await;
        assert!(
            page.status == 401
                || page.head.contains("location: /governance?next=/projects")
                || page.head.contains("location: /governance?next=%2fprojects"),
            "{}",
            page.head
        );
    }
    assert_eq!(service.get("/governance/api/users", &[("cookie", &ann)]).await.status, 200, "and the genuine one does");
    assert_eq!(service.mcp(&[("cookie", &ann)], "list_services").await.status, 401, "agents have keys");
    for path in ["/governance/api/auth/login", "/governance/sign-in"] {
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
        assert_eq!(service.get("/governance/api/users", &[("cookie", &cookie)]).await.status, users, "{groups:?}");
        assert_eq!(service.get("/governance/api/audit", &[("cookie", &cookie)]).await.status, audit, "{groups:?}");
    }
    // Who leaves the group leaves the role, by every credential.
    let eve = |groups: &[&str]| cookie("eve", groups);
    let minted =
        service.post("/governance/api/auth/tokens", &eve(&["asgard-admins"]), &json!({"name": "laptop"})).await;
    let pat = format!("Bearer {}", minted.json()["token"].as_str().unwrap());
    assert_eq!(service.get("/governance/api/users", &[("authorization", &pat)]).await.status, 200);
    assert_eq!(service.get("/governance/api/users", &[("cookie", &eve(&[]))]).await.status, 403);
    assert_eq!(service.get("/governance/api/users", &[("authorization", &pat)]).await.status, 403);

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
        let reply = service.send("POST", "/governance/api/projects", &all, &registration().to_string()).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("origin-denied")), "{headers:?}");
        for path in ["/sign-out", "/governance/sign-out"] {
            assert_eq!(service.send("POST", path, &all, "").await.status, 403, "{path} {headers:?}");
        }
    }
    for path in ["/sign-out", "/governance/sign-out"] {
        let out = service.post(path, &ann, &Value::Null).await;
        assert!(out.status == 303 && out.head.contains(&format!("set-cookie: {COOKIE}=; ")), "{path}: {}", out.head);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_comes_from_the_companys_own_parts_and_is_there_after_a_restart() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let ann = cookie("ann", &[]);
    let (_, key) = service.project().await;

    // Its services and its facilities.
    let services = service.agent(&key, "list_services", json!({})).await.unwrap();
    let ids: Vec<&Value> = services["items"].as_array().unwrap().iter().map(|service| &service["id"]).collect();
    assert_eq!(ids, ["desk"]);
    let ask = json!({"service": "desk", "name": "window", "spec": {"floor": 3}});
    let asked = service.agent(&key, "request_resource", ask).await.unwrap();
    let get = json!({"request_id": asked["request"]["request_id"], "wait_s": 20});
    let request = service.agent(&key, "get_request", get).await.unwrap();
    assert_eq!(request["status"], "fulfilled", "{request}");
    let resource = service.agent(&key, "get_resource", json!({"resource_id": request["resource_id"]})).await.unwrap();
    let number = resource["outputs"]["number"].as_u64().unwrap();
    assert!((300..400).contains(&number), "{resource}");

    // Its safe.
    let wanted = json!({"name": "desk.window.code"});
    let code = service.agent(&key, "get_secret", wanted.clone()).await.unwrap()["value"].as_str().unwrap().to_owned();
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
    assert_eq!(service.agent(&key, "get_secret", wanted).await.unwrap()["value"], code.as_str());
    service.stop().await;
}
