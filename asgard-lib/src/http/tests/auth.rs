//! Who is let in, by which door.

use crate::{
    app::bootstrap,
    http::{
        HttpState, router,
        testkit::{Client, PASSWORD, TestApp},
    },
};
use axum::body::Body;
use http::Method;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

fn cookie_of(reply: &crate::http::testkit::Reply) -> String {
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_gets_a_cookie_and_gives_it_back() {
    let app = TestApp::new().await;
    let nobody = &app.anonymous;
    let login = json!({"username": "olga", "password": PASSWORD}).to_string();
    let reply = nobody.send(Method::POST, "/api/auth/login", &[JSON], Body::from(login.clone())).await;
    let set = reply.header("set-cookie");
    assert!(set.starts_with("asgard_session=") && !set.contains("Secure"), "{set}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=28800"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    let cookie = cookie_of(&reply);
    let me =
        nobody.send(Method::GET, "/api/auth/me", &[("cookie", &format!("a=b; {cookie}; c=d"))], Body::empty()).await;
    assert_eq!(me.json()["user"]["username"], "olga", "{}", me.text());

    // Forwarded headers count only from trusted peers; the test's peer is not one, so only the setting helps.
    let forwarded = nobody
        .send(Method::POST, "/api/auth/login", &[JSON, ("x-forwarded-proto", "https")], Body::from(login.clone()))
        .await;
    assert!(!forwarded.header("set-cookie").contains("Secure"));
    let behind_proxy =
        http::Request::post("/api/auth/login").header(JSON.0, JSON.1).header("x-forwarded-proto", "https");
    let mut behind_proxy = behind_proxy.body(Body::from(login.clone())).unwrap();
    behind_proxy.extensions_mut().insert(crate::http::Peer { address: [10, 0, 0, 1].into(), tls: false });
    let behind_proxy = nobody.request(behind_proxy).await;
    assert!(behind_proxy.header("set-cookie").ends_with("; Secure"), "a trusted proxy says TLS");
    assert!(behind_proxy.headers.contains_key("strict-transport-security"));
    let forced = TestApp::with(&[("ASGARD_BIND", "127.0.0.1:8080"), ("ASGARD_FORCE_HTTPS", "true")]).await;
    let forced = forced.anonymous.send(Method::POST, "/api/auth/login", &[JSON], Body::from(login)).await;
    assert!(forced.header("set-cookie").ends_with("; Secure"));
    assert_eq!(forced.header("strict-transport-security"), "max-age=31536000");

    let origin = ("origin", "http://localhost:8080");
    let out = nobody.send(Method::POST, "/api/auth/logout", &[("cookie", &cookie), origin], Body::empty()).await;
    assert!(
        out.header("set-cookie").starts_with("asgard_session=; ") && out.header("set-cookie").contains("Max-Age=0")
    );
    let over = nobody.send(Method::GET, "/api/auth/me", &[("cookie", &cookie)], Body::empty()).await;
    assert_eq!(over.json()["code"], "bad-credential");
}

/// Behind a proxy that does not pass the Host header on, our own page looks like another site's: the refusal says so.
#[tokio::test]
async fn a_page_that_a_proxy_made_foreign_is_told_what_the_proxy_lacks() {
    for public in [None, Some("https://other.example")] {
        let variables = [("ASGARD_BIND", "127.0.0.1:8080"), ("ASGARD_PUBLIC_URL", public.unwrap_or_default())];
        let app = TestApp::with(&variables[..1 + usize::from(public.is_some())]).await;
        let cookie = format!("asgard_session={}", app.owner.credential.clone().unwrap());
        let sent = |origin: &'static str, site: &'static str| {
            let (app, cookie) = (&app, cookie.clone());
            async move {
                let headers = [JSON, ("cookie", &*cookie), ("origin", origin), ("sec-fetch-site", site)];
                let reply = app
                    .anonymous
                    .send(Method::POST, "/api/auth/tokens", &headers, Body::from("{\"name\":\"t\"}"))
                    .await;
                assert_eq!(reply.status, 403);
                reply.field("detail")
            }
        };
        let told = sent("https://asgard.example", "same-origin").await;
        assert!(told.contains("https://asgard.example") && told.contains("ASGARD_PUBLIC_URL"), "{told}");
        assert_eq!(told.contains("pass the Host header on"), public.is_none(), "{told}");
        assert_eq!(told.contains("https://other.example"), public.is_some(), "{told}");
        let told = sent("https://evil.example", "cross-site").await;
        assert!(!told.contains("ASGARD_PUBLIC_URL"), "{told}");
    }
}

#[tokio::test]
async fn a_cookie_changes_things_only_from_our_own_pages() {
    let app =
        TestApp::with(&[("ASGARD_BIND", "127.0.0.1:8080"), ("ASGARD_PUBLIC_URL", "https://asgard.example")]).await;
    let session = app.owner.credential.clone().unwrap();
    let cookie = format!("asgard_session={session}");
    for (headers, allowed) in [
        (vec![("origin", "http://localhost:8080")], true),
        (vec![("origin", "https://localhost:8080")], true),
        (vec![("origin", "https://asgard.example")], true),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "http://localhost:9090")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "cross-site"), ("referer", "http://localhost:8080/")], false),
        (vec![("referer", "http://localhost:8080/projects")], true),
        (vec![("referer", "https://evil.example/?http://localhost:8080")], false),
        (vec![], false),
    ] {
        let mut all = vec![("cookie", cookie.as_str()), JSON];
        all.extend(&headers);
        let reply = app.anonymous.send(Method::POST, "/api/auth/tokens", &all, Body::from(r#"{"name":"t"}"#)).await;
        let expected = if allowed { 201 } else { 403 };
        assert_eq!(reply.status, expected, "{headers:?}: {}", reply.text());
        if !allowed {
            assert_eq!(reply.json()["code"], "origin-denied");
        }
        let read = app.anonymous.send(Method::GET, "/api/auth/me", &all[..1], Body::empty()).await;
        assert_eq!(read.status, 200, "reading needs no origin");
    }
    let bearer = app
        .owner
        .send(
            Method::POST,
            "/api/auth/tokens",
            &[JSON, ("origin", "https://evil.example")],
            Body::from(r#"{"name":"t"}"#),
        )
        .await;
    assert_eq!(bearer.status, 201, "no other site can make a browser send a bearer");
}

#[tokio::test]
async fn one_credential_a_request() {
    let app = TestApp::new().await;
    let (owner, pat) = (app.owner.credential.clone().unwrap(), app.pat.credential.clone().unwrap());
    let cookie = format!("asgard_session={owner}");
    for (bearer, headers, status) in [
        (Some(&owner), vec![("cookie", cookie.as_str())], 200),
        (Some(&pat), vec![("cookie", cookie.as_str())], 400),
        (None, vec![("authorization", "Bearer x"), ("authorization", "Bearer y")], 400),
        (None, vec![("cookie", cookie.as_str()), ("cookie", "asgard_session=other")], 400),
        (None, vec![("authorization", "Basic b2xnYTp4")], 401),
        (None, vec![("authorization", "Bearer ")], 401),
        (None, vec![("cookie", "asgard_session=")], 401),
        (None, vec![("cookie", "asgard_session_old=x")], 401),
    ] {
        let client = bearer.map_or_else(|| app.anonymous.clone(), |bearer| app.anonymous.with(bearer));
        let reply = client.send(Method::GET, "/api/auth/me", &headers, Body::empty()).await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.text());
    }
    // Reading what is open does not depend on a stale cookie.
    let open =
        app.anonymous.send(Method::GET, "/api/auth/config", &[("cookie", "asgard_session=stale")], Body::empty()).await;
    assert_eq!(open.status, 200);
}

#[tokio::test]
async fn switched_off_sign_in_lets_programs_and_our_own_pages_in_and_never_opens_mcp() {
    let app = TestApp::with(&[("ASGARD_BIND", "127.0.0.1:8080"), ("ASGARD_DEV_INSECURE", "true")]).await;
    let nobody = &app.anonymous;
    let me = nobody.get("/api/auth/me").await;
    assert_eq!(me.json()["user"]["username"], "admin", "{}", me.text());
    assert_eq!(
        nobody
            .post(
                "/api/users",
                json!({"username": "new", "password": PASSWORD, "email": "n@corp.example", "role": "member"})
            )
            .await
            .status,
        201
    );
    for (method, headers, status) in [
        (Method::GET, vec![("origin", "https://evil.example")], 403),
        (Method::GET, vec![("host", "rebound.example")], 403),
        (Method::POST, vec![("sec-fetch-site", "cross-site")], 403),
        (Method::GET, vec![("sec-fetch-site", "cross-site")], 200),
        (Method::GET, vec![("origin", "http://localhost:8080")], 200),
    ] {
        let path = if method == Method::GET { "/api/auth/me" } else { "/api/auth/logout" };
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:8080");
        }
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let reply = nobody.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.text());
    }
    assert_eq!(nobody.with("asg_bad").get("/api/auth/me").await.status, 401, "a bad credential stays bad");
    assert_eq!(nobody.post("/mcp", json!({})).await.status, 401);

    let exposed = TestApp::with(&[("ASGARD_BIND", "0.0.0.0:8080"), ("ASGARD_DEV_INSECURE", "true")]).await;
    assert_eq!(exposed.anonymous.get("/api/auth/me").await.status, 401, "only on loopback");
}

/// The admin of the database has another name than the configured one, or has been switched off: nothing starts so, and a server that
/// comes to it answers with the setting.
#[tokio::test]
async fn switched_off_sign_in_needs_the_account_that_everybody_acts_as() {
    let variables = [("ASGARD_BIND", "127.0.0.1:8080"), ("ASGARD_DEV_INSECURE", "true")];
    let app = TestApp::with(&variables).await;
    let mut config = app.asgard.config().clone();
    config.people.admin_user = "root".parse().unwrap();
    let other = app.again(config).await;
    let refused = bootstrap::first_admin(&other).await.err().unwrap();
    for word in ["ASGARD_ADMIN_USER", "ASGARD_DEV_INSECURE", "root"] {
        assert!(refused.message().contains(word), "{word}: {}", refused.message());
    }
    let nobody = Client::of(router(HttpState::new(other)));
    let told = nobody.get("/api/auth/me").await;
    assert_eq!(told.status, 401, "{}", told.text());
    assert!(told.text().contains("ASGARD_ADMIN_USER"), "{}", told.text());
    let signed_in = json!({"username": "admin", "password": PASSWORD});
    assert_eq!(nobody.post("/api/auth/login", signed_in).await.status, 200, "others may sign in");
    #[cfg(feature = "dashboard")]
    assert_eq!(nobody.get("/").await.status, 200);

    app.asgard.config();
    let second = json!({"username": "second", "password": PASSWORD, "email": "s@corp.example", "role": "admin"});
    assert_eq!(app.admin.post("/api/users", second).await.status, 201);
    let me = app.admin.get("/api/auth/me").await.json();
    let off = format!("/api/users/{}/active", me["user"]["id"].as_str().unwrap());
    let session = app.anonymous.post("/api/auth/login", json!({"username": "second", "password": PASSWORD})).await;
    let second = app.anonymous.with(&session.field("token"));
    assert_eq!(second.post(&off, json!({"active": false})).await.status, 200);
    assert!(bootstrap::first_admin(&app.asgard).await.err().unwrap().message().contains("switched off"));
    let told = app.anonymous.get("/api/auth/me").await;
    assert_eq!((told.status.as_u16(), told.text().contains("switched off")), (401, true), "{}", told.text());
}
