//! What must never happen.

use super::{Browser, Lived};
use crate::{
    app::{
        Call,
        people::{Accepts, authenticate},
        secrets::GetSecret,
    },
    http::testkit::PASSWORD,
};
use http::Method;

#[tokio::test]
async fn nobody_is_sent_to_sign_in_and_comes_back_to_our_own_pages_only() {
    let lived = Lived::new().await;
    let mut browser = lived.browser();
    for path in lived.project_pages().iter().map(String::as_str).chain([
        "/projects",
        "/approvals",
        "/users",
        "/audit",
        "/account",
    ]) {
        let page = browser.request(Method::GET, path, None).await;
        assert_eq!(page.status, 303, "{path}");
        let location = page.headers["location"].to_str().unwrap();
        assert!(location.starts_with("/?next=%2F"), "{path}: {location}");
    }
    let page = browser.open("/audit?actor=a%40b").await;
    let page = browser.send(&page, "/sign-in", &[("username", "fin"), ("password", PASSWORD)]).await;
    assert_eq!(page.path, "/audit?actor=a%40b");

    for theirs in
        ["//evil.example", "https://evil.example", "/\\evil.example", "%2F%2Fevil.example", "/projects%0d%0aX:y"]
    {
        let mut browser = lived.browser();
        let page = browser.open(&format!("/?next={theirs}")).await;
        assert!(!page.has("evil.example"), "{}", page.html);
        let answer =
            browser.submit(&page, "/sign-in", &[("username", "olga"), ("password", PASSWORD), ("next", theirs)]).await;
        assert_eq!(answer.headers["location"], "/", "{theirs}");
    }
    let mut signed_in = lived.signed_in("olga").await;
    let page = signed_in.request(Method::GET, "/?next=//evil.example", None).await;
    assert_eq!(page.headers["location"], "/projects");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_guessing_is_slowed_down() {
    let lived = Lived::new().await;
    let mut browser = lived.browser();
    let page = browser.open("/").await;
    let wrong = browser.send(&page, "/sign-in", &[("username", "olga<"), ("password", "wrong password")]).await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.has("username or password is wrong")
            && wrong.has("value=\"olga&#60;\"")
            && !wrong.has("wrong password\"")
    );
    assert!(browser.session().is_none());
    for _ in 0..10 {
        browser.send(&page, "/sign-in", &[("username", "olga"), ("password", "wrong")]).await;
    }
    let paused = browser.send(&page, "/sign-in", &[("username", "olga"), ("password", PASSWORD)]).await;
    assert_eq!(paused.status, 429);
    assert!(paused.has("Signing in is paused") && paused.has("minutes"), "{}", paused.html);
}

#[tokio::test]
async fn another_site_can_neither_sign_in_nor_act() {
    let lived = Lived::new().await;
    let mut browser = lived.browser();
    let page = browser.open("/").await;
    for origin in [Some("https://evil.example"), Some("null"), None] {
        browser.origin = origin;
        let refused = browser.submit(&page, "/sign-in", &[("username", "olga"), ("password", PASSWORD)]).await;
        assert_eq!(refused.status, 403, "{origin:?}");
        assert!(browser.session().is_none() && refused.has("<h1>"), "{}", refused.html);
    }
    let mut owner = lived.signed_in("olga").await;
    let path = format!("/projects/{}/keys", lived.app.project);
    let form = owner.open(&path).await;
    owner.origin = Some("https://evil.example");
    let refused = owner.submit(&form, &path, &[("name", "stolen")]).await;
    assert_eq!(refused.status, 403);
    assert!(!owner.open(&path).await.has("stolen"));
    let out = owner.submit(&form, "/sign-out", &[]).await;
    assert_eq!(out.status, 403, "not even signing out");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let lived = Lived::new().await;
    let mut browser = lived.signed_in("olga").await;
    let session = browser.session().unwrap().to_owned();
    let page = browser.open("/projects").await;
    let out = browser.send(&page, "/sign-out", &[]).await;
    assert!(out.has("You are signed out.") && browser.session().is_none(), "{}", out.html);
    assert_eq!(lived.app.anonymous.with(&session).get("/api/auth/me").await.status, 401);
}

#[tokio::test]
async fn no_page_ever_holds_a_secret_or_a_key_again() {
    let lived = Lived::new().await;
    let mut owner = lived.signed_in("olga").await;
    let (app, key) = (&lived.app.asgard, lived.app.key.credential.clone().unwrap());
    let agent = authenticate(app, &key, Accepts::Agents).await.unwrap();
    let reveal = GetSecret { project_id: None, name: "local-demo.done.token".into() };
    let value = app.run(&Call::by(agent, app.new_trace()), &reveal).await.unwrap().value;
    let path = format!("/projects/{}/keys", lived.app.project);
    let form = owner.open(&path).await;
    let minted = owner.send(&form, &path, &[("name", "fresh")]).await;
    let fresh = minted.html.split("tabindex=\"0\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    for who in ["olga", "max", "admin"] {
        let mut browser = lived.signed_in(who).await;
        let session = browser.session().unwrap().to_owned();
        let general = ["/projects", "/approvals", "/account", "/services/local-demo"].map(str::to_owned);
        for path in lived.project_pages().into_iter().chain(general) {
            let page = browser.open(&path).await;
            for (what, text) in [("secret", &value), ("key", &key), ("new key", &fresh), ("session", &session)] {
                assert!(!page.has(text), "the {what} is on {path} for {who}");
            }
        }
    }
}

#[tokio::test]
async fn hostile_text_is_text() {
    let lived = Lived::new().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut admin = lived.signed_in("admin").await;
    let form = admin.open("/projects/new").await;
    let fields = [
        ("name", evil),
        ("owner_email", "olga@corp.example"),
        ("manager_email", "max@corp.example"),
        ("group", "g1"),
        ("description", evil),
    ];
    let project = admin.send(&form, "/projects", &fields).await;
    assert_eq!(project.status, 200, "{}", project.html);
    let id = project.path.split(['/', '?']).nth(2).unwrap().to_owned();
    let settings = admin.open(&format!("/projects/{id}/settings")).await;
    let killed = admin.send(&settings, &format!("/projects/{id}/kill"), &[("reason", evil)]).await;
    let mut pages = vec![project, settings, killed];
    for path in
        ["/projects", "/audit", &format!("/audit?actor={}", super::super::frame::encoded(evil)), "/nothing%3Cscript%3E"]
    {
        pages.push(admin.open(path).await);
    }
    for page in pages {
        assert!(!page.has("<script>") && !page.has("<img"), "{}: {}", page.path, page.html);
    }
    let mut nobody = Browser::new(lived.app.router.clone());
    let page = nobody.open("/?said=%3Cscript%3E&next=%22%3E%3Cscript%3E").await;
    assert!(!page.has("<script>"), "{}", page.html);
}

/// What a visitor's request says of the host is not shown beside a new key.
#[tokio::test]
async fn the_address_for_agents_is_not_what_the_request_says() {
    let lived = Lived::new().await;
    let (path, cookie) = (format!("/projects/{}/keys", lived.app.project), lived.app.owner.credential.clone().unwrap());
    let cookie = format!("asgard_session={cookie}");
    let request = http::Request::post(&path)
        .header("host", "evil.example")
        .header("origin", "http://evil.example")
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from("name=agent&once=1"))
        .unwrap();
    let page = lived.app.anonymous.request(request).await.text();
    assert!(!page.contains("evil.example/mcp"), "{page}");
}

#[tokio::test]
async fn forms_keep_to_the_size_of_bodies() {
    let app = crate::http::testkit::TestApp::tuned(&[("ASGARD_BIND", "127.0.0.1:8080")], |config| {
        config.server.max_body_bytes = 2048;
    })
    .await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", "http://localhost:8080")];
    let send = async |path: &str, size: usize| {
        let body = axum::body::Body::from(format!("username=olga&password={}", "x".repeat(size)));
        app.anonymous.send(http::Method::POST, path, &headers, body).await.status.as_u16()
    };
    assert_eq!(send("/sign-in", 4096).await, 413);
    assert_ne!(send("/sign-in", 100).await, 413);
}
