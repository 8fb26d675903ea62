//! People whom the embedding service signed in.

use crate::{
    app::bootstrap,
    http::{
        HostCredential, HostUser,
        testkit::{PASSWORD, Reply, TestApp},
    },
    kernel::Role,
};
use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::{Value, json};

const OWN: (&str, &str) = ("origin", "http://localhost:8080");

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    request.body(body).unwrap()
}

fn user(name: &str, role: Role) -> HostUser {
    HostUser::new(format!("{name}@corp.example").parse().unwrap(), role)
}

async fn vouched(app: &TestApp, user: HostUser, mut request: Request<Body>) -> Reply {
    request.extensions_mut().insert(user);
    app.anonymous.request(request).await
}

async fn me(app: &TestApp, user: HostUser) -> Reply {
    vouched(app, user, request(Method::GET, "/api/auth/me", &[], &Value::Null)).await
}

#[tokio::test]
async fn an_account_is_made_at_the_first_visit_and_nobody_knows_its_password() {
    let app = TestApp::new().await;
    let first = join_all((0..4).map(|_| me(&app, user("new", Role::Member)))).await;
    for reply in &first {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["user"], first[0].json()["user"], "racing first visits agree on one account");
    }
    let made = first[0].json();
    assert_eq!(made["user"]["email"], "new@corp.example");
    assert_eq!(made["user"]["role"], "member");
    let audited = app.admin.get("/api/audit?action=user.created&actor=host").await.text();
    assert_eq!(audited.matches("new@corp.example").count(), 1, "{audited}");
    let guess =
        app.anonymous.post("/api/auth/login", json!({"username": "new@corp.example", "password": PASSWORD})).await;
    assert_eq!(guess.json()["code"], "login-failed");

    // A person who has an account already is that person.
    let olga = me(&app, user("olga", Role::Member)).await;
    assert_eq!(olga.json()["user"]["username"], "olga");
    let project = format!("/api/projects/{}", app.project);
    assert_eq!(
        vouched(&app, user("olga", Role::Member), request(Method::GET, &project, &[], &Value::Null)).await.status,
        200
    );
    let stranger = vouched(&app, user("new", Role::Member), request(Method::GET, &project, &[], &Value::Null)).await;
    assert_eq!(stranger.status, 404, "{}", stranger.text());
}

#[tokio::test]
async fn an_identity_keeps_its_account_when_the_address_changes() {
    let app = TestApp::new().await;
    let known = |address: &str, issuer: &str| {
        HostUser::new(address.parse().unwrap(), Role::Member).known_as(issuer.parse().unwrap(), "00u1".parse().unwrap())
    };
    let idp = "https://idp.example";
    let account = async |address: &str| {
        let reply = me(&app, known(address, idp)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        (reply.json()["user"]["id"].clone(), reply.json()["user"]["email"].clone())
    };
    let (before, after) = (account("kim@corp.example").await, account("kim.new@corp.example").await);
    assert_eq!((&after.0, &after.1), (&before.0, &json!("kim.new@corp.example")));
    let other = me(&app, user("kim", Role::Member)).await;
    assert_eq!(other.status, 403, "the address is not free yet: {}", other.text());
    let local = me(&app, known("root@corp.example", "local")).await;
    assert_eq!(local.status, 403, "Asgard vouches for its own accounts: {}", local.text());

    // An identity joins the account that has its verified address already.
    let olga = me(&app, known("olga@corp.example", "https://other.example")).await;
    assert_eq!(olga.json()["user"]["username"], "olga", "{}", olga.text());
    let audited = app.admin.get("/api/audit?action=user.identity_added&actor=host").await.json();
    assert_eq!(audited["items"].as_array().map(Vec::len), Some(1), "{audited}");
}

#[tokio::test]
async fn a_name_that_is_taken_or_no_username_gets_another() {
    let app = TestApp::new().await;
    let (name, email) = ("kim@corp.example".parse().unwrap(), "other@corp.example".parse().unwrap());
    let password = crate::kernel::SecretText::new(PASSWORD);
    bootstrap::create_user(&app.asgard, &name, &email, Role::Member, &password, None).await.unwrap();
    for address in ["kim@corp.example", "jürgen@corp.example"] {
        let reply = me(&app, HostUser::new(address.parse().unwrap(), Role::Member)).await;
        assert_eq!(reply.json()["user"]["email"], address, "{}", reply.text());
        assert!(reply.json()["user"]["username"].as_str().unwrap().starts_with("person-"), "{}", reply.text());
    }
}

#[tokio::test]
async fn addresses_that_are_too_long_to_tell_apart_are_not_one_person() {
    let app = TestApp::new().await;
    let long = |end: &str| {
        let address = format!("{}@{}.{end}.example", "a".repeat(60), "b".repeat(60));
        HostUser::new(address.parse().unwrap(), Role::Member)
    };
    assert_eq!(me(&app, long("one")).await.status, 200);
    let other = me(&app, long("two")).await;
    assert_eq!(other.status, 403, "{}", other.text());
    assert_eq!(me(&app, long("one")).await.status, 200);
}

#[tokio::test]
async fn the_host_decides_the_role_and_cannot_take_the_last_admins() {
    let app = TestApp::new().await;
    let users = || request(Method::GET, "/api/users", &[], &Value::Null);
    assert_eq!(vouched(&app, user("max", Role::Member), users()).await.status, 403);
    assert_eq!(vouched(&app, user("max", Role::Admin), users()).await.status, 200);
    let listed = app.admin.get("/api/users").await.json();
    let max = listed["items"].as_array().unwrap().iter().find(|user| user["username"] == "max").unwrap().clone();
    assert_eq!(max["role"], "admin", "the account says what the host says");
    assert_eq!(vouched(&app, user("max", Role::Member), users()).await.status, 403);
    assert_eq!(app.manager.get("/api/users").await.status, 403, "also by his other credentials");

    let admin = HostUser::new("admin@localhost".parse().unwrap(), Role::Member);
    let last = me(&app, admin).await;
    assert_eq!((last.status.as_u16(), last.field("code")), (409, "last-admin".to_owned()), "{}", last.text());

    let off =
        app.admin.post(&format!("/api/users/{}/active", max["id"].as_str().unwrap()), json!({"active": false})).await;
    assert_eq!(off.status, 200, "{}", off.text());
    let out = me(&app, user("max", Role::Admin)).await;
    assert_eq!((out.status.as_u16(), out.field("code")), (401, "bad-credential".to_owned()), "{}", out.text());
    #[cfg(feature = "dashboard")]
    {
        let page = vouched(&app, user("max", Role::Admin), request(Method::GET, "/projects", &[], &Value::Null)).await;
        assert_eq!(page.status, 401, "told, and not sent to a sign-in that would send them back");
        assert!(page.text().contains("switched off"), "{}", page.text());
    }
}

#[cfg(feature = "dashboard")]
#[tokio::test]
async fn the_account_page_offers_nothing_that_is_the_hosts() {
    let app = TestApp::new().await;
    let account = || request(Method::GET, "/account", &[], &Value::Null);
    let hosted = vouched(&app, user("olga", Role::Member), account()).await.text();
    let session = format!("asgard_session={}", app.owner.credential.clone().unwrap());
    let own = request(Method::GET, "/account", &[("cookie", &session)], &Value::Null);
    let own = app.anonymous.request(own).await.text();
    for (part, for_both) in [("Make a token", true), ("Change the password", false), ("Sessions", false)] {
        assert!(own.contains(part), "{own}");
        assert_eq!(hosted.contains(part), for_both, "{part}: {hosted}");
    }
}

#[tokio::test]
async fn it_changes_things_only_from_our_own_pages_and_only_alone() {
    let app = TestApp::new().await;
    let register = json!({"name": "Hosted", "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "platform"});
    let pat = format!("Bearer {}", app.pat.credential.clone().unwrap());
    let cookie = format!("asgard_session={}", app.admin.credential.clone().unwrap());
    for (headers, status) in [
        (vec![OWN], 201),
        (vec![("sec-fetch-site", "same-origin")], 201),
        (vec![], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![OWN, ("authorization", pat.as_str())], 400),
        (vec![OWN, ("authorization", "Basic eDp5")], 400),
    ] {
        let reply =
            vouched(&app, user("olga", Role::Member), request(Method::POST, "/api/projects", &headers, &register))
                .await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.text());
    }
    let both = request(Method::GET, "/api/auth/me", &[("cookie", &cookie)], &Value::Null);
    let both = vouched(&app, user("olga", Role::Member), both).await;
    assert_eq!(both.json()["user"]["username"], "olga", "the admin's cookie is not looked at");
}

#[tokio::test]
async fn nothing_that_a_client_sends_is_a_sign_in_and_mcp_takes_none() {
    let app = TestApp::new().await;
    for (name, value) in [
        ("hostuser", "admin@localhost"),
        ("x-host-user", "admin@localhost"),
        ("x-forwarded-user", "admin@localhost"),
        ("x-forwarded-email", "admin@localhost"),
        ("remote-user", "admin"),
        ("cookie", "hostuser=admin@localhost"),
    ] {
        let reply = app.anonymous.request(request(Method::GET, "/api/auth/me", &[(name, value)], &Value::Null)).await;
        assert_eq!(reply.status, 401, "{name}");
    }
    #[cfg(feature = "mcp")]
    {
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let headers = [("accept", "application/json, text/event-stream"), OWN];
        let reply = vouched(&app, user("admin", Role::Admin), request(Method::POST, "/mcp", &headers, &list)).await;
        assert_eq!(reply.status, 401, "{}", reply.text());
    }
}

#[tokio::test]
async fn what_no_browser_sends_by_itself_needs_no_origin() {
    let app = TestApp::new().await;
    let token = |headers: &[(&str, &str)]| request(Method::POST, "/api/auth/tokens", headers, &json!({"name": "t"}));
    let evil = ("origin", "https://evil.example");
    for (credential, headers, status) in [
        (HostCredential::Cookie, &[][..], 403),
        (HostCredential::Cookie, &[evil], 403),
        (HostCredential::Cookie, &[OWN], 201),
        (HostCredential::Other, &[], 201),
        (HostCredential::Other, &[OWN], 201),
        (HostCredential::Other, &[evil], 201),
    ] {
        let reply = vouched(&app, user("olga", Role::Member).proved_by(credential), token(headers)).await;
        assert_eq!(reply.status, status, "{credential:?} {headers:?}: {}", reply.text());
    }
}
