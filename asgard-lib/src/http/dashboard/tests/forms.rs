//! Forms, sent as a browser without JavaScript sends them.

use super::{Browser, Lived};
use crate::{
    app::people::{Accepts, authenticate},
    http::testkit::{PASSWORD, TestApp},
};

#[tokio::test]
async fn a_new_key_is_shown_with_the_address_that_serves_agents() {
    let app = TestApp::with(&[("ASGARD_MCP_URL", "https://u1.lambda-url.eu-west-1.on.aws/")]).await;
    let mut owner = Browser::new(app.router.clone());
    let page = owner.open("/").await;
    owner.send(&page, "/sign-in", &[("username", "olga"), ("password", PASSWORD)]).await;
    let path = format!("/projects/{}/keys", app.project);
    let keys = owner.open(&path).await;
    let minted = owner.send(&keys, &path, &[("name", "agent")]).await;
    assert!(minted.has(">https://u1.lambda-url.eu-west-1.on.aws/mcp<"), "{}", minted.html);
}

#[tokio::test]
async fn the_runbook_by_hand_sign_in_register_mint_request_approve() {
    let lived = Lived::new().await;
    let mut owner = lived.signed_in("olga").await;

    let form = owner.open("/projects/new").await;
    let fields = [
        ("name", "Collab <Editor>"),
        ("manager_email", "max@corp.example"),
        ("group", "applications"),
        ("budget_usd", "200"),
    ];
    let project = owner.send(&form, "/projects", &fields).await;
    assert!(
        project.has("The project is registered") && project.has("Collab &#60;Editor&#62;") && project.has("$200"),
        "{}",
        project.html
    );
    let id = project.path.split(['/', '?']).nth(2).unwrap().to_owned();
    assert!(id.starts_with("proj-2026-"), "{}", project.path);

    let keys = owner.open(&format!("/projects/{id}/keys")).await;
    let minted = owner.send(&keys, &format!("/projects/{id}/keys"), &[("name", "agent")]).await;
    let key =
        minted.html.split("id=\"new-key\" tabindex=\"0\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    assert!(key.starts_with("asg_") && minted.has("http://localhost:8080/mcp"), "{}", minted.html);
    assert!(authenticate(&lived.app.asgard, key, Accepts::Agents).await.is_ok(), "the key that was shown works");

    let ask = owner.open(&format!("/projects/{id}/ask/local-demo")).await;
    let fields = [("name", "hello"), ("spec.approval", "human"), ("spec.monthly_usd", "30")];
    let request = owner.send(&ask, &format!("/projects/{id}/ask/local-demo"), &fields).await;
    assert!(request.has("The request is open") && request.has("Planning"), "{}", request.html);
    lived.app.settle().await;
    let path = request.path.split('?').next().unwrap().to_owned();
    let request = owner.open(&path).await;
    assert!(request.has("Waits for approval") && request.has("1 to create"), "{}", request.html);
    assert!(request.form(&format!("{path}/approve")).is_none(), "the owner is offered no approval");
    assert!(request.has("You may not decide this."), "{}", request.html);

    let mut manager = lived.signed_in("max").await;
    let inbox = manager.open("/approvals").await;
    assert!(inbox.has("local-demo hello") && inbox.has("$30") && inbox.has("olga@corp.example"), "{}", inbox.html);
    let inbox = manager.send(&inbox, &format!("{path}/approve"), &[("note", "Go on & build")]).await;
    assert!(inbox.path.starts_with("/approvals") && inbox.has("Approved."), "{}", inbox.html);
    assert!(!inbox.has("local-demo hello"), "it waits no more");
    lived.app.settle().await;

    let request = owner.open(&path).await;
    assert!(
        request.has("Fulfilled") && request.has("Go on &#38; build") && request.has("max@corp.example"),
        "{}",
        request.html
    );
    let resources = owner.open(&format!("/projects/{id}/resources")).await;
    assert!(resources.has("Provisioned") && resources.has(">hello</a>"), "{}", resources.html);
    let secrets = owner.open(&format!("/projects/{id}/secrets")).await;
    assert!(secrets.has("local-demo.hello.token"), "{}", secrets.html);
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_with_what_was_entered_and_what_is_wrong() {
    let lived = Lived::new().await;
    let mut admin = lived.signed_in("admin").await;
    let form = admin.open("/projects/new").await;
    let wrong = admin
        .send(&form, "/projects", &[("name", "My \"thing\""), ("owner_email", "nobody"), ("group", "platform")])
        .await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.has("value=\"My &#34;thing&#34;\"") && wrong.has("value=\"nobody\""), "{}", wrong.html);
    assert!(wrong.has("id=\"f-owner_email-wrong\"") && wrong.has("aria-invalid=\"true\""), "{}", wrong.html);
    let fields = [("owner_email", "olga@corp.example"), ("manager_email", "olga@corp.example"), ("budget_usd", "lots")];
    let wrong = admin.send(&wrong, "/projects", &fields).await;
    assert!(wrong.has("id=\"f-budget_usd-wrong\""), "{}", wrong.html);
    let wrong = admin.send(&wrong, "/projects", &[("budget_usd", "1,000")]).await;
    assert!(wrong.has("id=\"f-manager_email-wrong\"") && wrong.has("different people"), "{}", wrong.html);
    let right = admin.send(&wrong, "/projects", &[("manager_email", "max@corp.example")]).await;
    assert!(right.has("The project is registered") && right.has("$1,000"), "{}", right.html);

    let path = format!("/projects/{}/ask/local-demo", lived.app.project);
    let ask = admin.open(&path).await;
    let wrong =
        admin.send(&ask, &path, &[("name", "Not A Name"), ("spec.seconds", "soon"), ("spec.monthly_usd", "x")]).await;
    assert_eq!(wrong.status, 400);
    for mark in ["f-spec-seconds-wrong", "f-spec-monthly_usd-wrong", "value=\"Not A Name\"", "value=\"soon\""] {
        assert!(wrong.has(mark), "{mark} in {}", wrong.html);
    }
    let wrong =
        admin.send(&wrong, &path, &[("spec.seconds", "99999"), ("spec.monthly_usd", "0"), ("name", "fine")]).await;
    assert!(wrong.has("f-spec-seconds-wrong"), "{}", wrong.html);
}

#[tokio::test]
async fn sending_a_form_twice_does_it_once_and_shows_a_key_once() {
    let lived = Lived::new().await;
    let mut owner = lived.signed_in("olga").await;
    let path = format!("/projects/{}/keys", lived.app.project);
    let form = owner.open(&path).await;
    let first = owner.send(&form, &path, &[("name", "twice")]).await;
    let second = owner.send(&form, &path, &[("name", "twice")]).await;
    assert!(first.has("id=\"new-key\"") && !second.has("id=\"new-key\""), "{}", second.html);
    assert!(second.has("was shown before"), "{}", second.html);
    let keys = owner.open(&path).await;
    assert_eq!(keys.html.matches("scope=\"row\">twice<").count(), 1, "{}", keys.html);
    let other = owner.send(&form, &path, &[("name", "something else")]).await;
    assert_eq!(other.status, 409, "{}", other.html);
    let third = owner.send(&other, &path, &[]).await;
    assert!(third.has("id=\"new-key\""), "the form that came back stands for itself: {}", third.html);
}

#[tokio::test]
async fn settings_send_only_what_changed_and_notice_a_change_underneath() {
    let lived = Lived::new().await;
    let path = format!("/projects/{}/settings", lived.app.project);
    let mut owner = lived.signed_in("olga").await;
    let form = owner.open(&path).await;
    assert!(!form.has("name=\"owner_email\"") && !form.has("name=\"budget_usd\""), "an owner does not steer");
    let same = owner.send(&form, &path, &[]).await;
    assert!(same.has("nothing had to be done"), "{}", same.html);
    let saved =
        owner.send(&form, &path, &[("description", "For\r\neditors"), ("evidence.runbook_url", "https://r/x")]).await;
    assert!(saved.has("Saved.") && saved.has("For\neditors"), "{}", saved.html);
    let log = owner.open(&format!("/projects/{}/audit", lived.app.project)).await;
    assert!(log.has("fields: description, evidence"), "{}", log.html);
    let stale = owner.send(&form, &path, &[("name", "Renamed")]).await;
    assert_eq!(stale.status, 409);
    assert!(stale.has("value=\"Renamed\"") && stale.has("has changed"), "{}", stale.html);

    let mut manager = lived.signed_in("max").await;
    let form = manager.open(&path).await;
    let saved = manager.send(&form, &path, &[("budget_usd", "250.5"), ("data_class", "confidential")]).await;
    assert!(saved.has("Saved.") && saved.has("value=\"250.5\""), "{}", saved.html);
}

#[tokio::test]
async fn a_project_is_killed_lifted_and_ended() {
    let lived = Lived::new().await;
    let of = |tail: &str| format!("/projects/{}{tail}", lived.app.project);
    let mut owner = lived.signed_in("olga").await;
    let form = owner.open(&of("/settings")).await;
    let refused = owner.send(&form, &of("/decommission"), &[]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.has("still has resources"), "{}", refused.html);
    let wrong = owner.send(&form, &of("/kill"), &[("reason", " ")]).await;
    assert!(wrong.status == 400 && wrong.has("f-reason-wrong"), "{}", wrong.html);
    let killed = owner.send(&form, &of("/kill"), &[("reason", "A key leaked")]).await;
    assert!(killed.has("A key leaked") && killed.has("badge bad\">Killed"), "{}", killed.html);
    assert!(!killed.has("Request a resource"), "nothing new starts");
    let form = owner.open(&of("/settings")).await;
    let lifted = owner.send(&form, &of("/unkill"), &[]).await;
    assert!(lifted.has("badge good\">Active"), "{}", lifted.html);
}

#[tokio::test]
async fn requests_are_rejected_cancelled_and_resources_removed() {
    let lived = Lived::new().await;
    let of = |verb: &str| format!("/requests/{}{verb}", lived.pending);
    let mut manager = lived.signed_in("max").await;
    let form = manager.open(&of("")).await;
    let rejected = manager.send(&form, &of("/reject"), &[("note", "Too dear")]).await;
    assert!(rejected.has("Rejected by max@corp.example: “Too dear”"), "{}", rejected.html);
    let late = manager.send(&form, &of("/approve"), &[("note", "")]).await;
    assert_eq!(late.status, 409, "{}", late.html);
    assert!(late.has("badge off\">Rejected"), "the page shows what has become of it");

    let mut owner = lived.signed_in("olga").await;
    let page = owner.open(&format!("/resources/{}", lived.resource)).await;
    let removing = owner.send(&page, &format!("/resources/{}/remove", lived.resource), &[]).await;
    assert!(removing.has("Destroy local-demo done"), "{}", removing.html);
    let request = removing.path.split('?').next().unwrap().to_owned();
    let cancelled = owner.send(&removing, &format!("{request}/cancel"), &[]).await;
    assert!(cancelled.has("Cancelled"), "{}", cancelled.html);
    let page = owner.open(&format!("/resources/{}", lived.resource)).await;
    let refreshing = owner.send(&page, &format!("/resources/{}/refresh", lived.resource), &[]).await;
    assert!(refreshing.has("A run compares"), "{}", refreshing.html);
    lived.app.settle().await;
    let page = owner.open(&format!("/resources/{}", lived.resource)).await;
    let change = format!("/projects/{}/ask/local-demo?resource={}", lived.app.project, lived.resource);
    assert!(page.has(&change), "{}", page.html);
    let form = owner.open(&change).await;
    assert!(form.has("value=\"done\"") && form.has("readonly"), "{}", form.html);
}

#[tokio::test]
async fn admins_manage_people_and_people_their_own_account() {
    let lived = Lived::new().await;
    let mut admin = lived.signed_in("admin").await;
    let form = admin.open("/users").await;
    let weak =
        admin.send(&form, "/users", &[("username", "nia"), ("email", "nia@corp.example"), ("password", "short")]).await;
    assert!(weak.status == 400 && weak.has("f-password-wrong") && weak.has("value=\"nia\""), "{}", weak.html);
    assert!(!weak.has("short"), "a password never comes back");
    let made = admin.send(&weak, "/users", &[("password", PASSWORD)]).await;
    assert!(made.has("The account is made") && made.has("nia@corp.example"), "{}", made.html);

    let mut nia = lived.signed_in("nia").await;
    let account = nia.open("/account").await;
    let token = nia.send(&account, "/account/tokens", &[("name", "cli")]).await;
    assert!(token.has(">asg_pat_"), "{}", token.html);
    let account = nia.open("/account").await;
    let revoke = account
        .html
        .split("action=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.ends_with("/revoke") && path.contains("/tokens/"));
    let revoked = nia.send(&account, revoke.unwrap(), &[]).await;
    assert!(revoked.has("badge off\">Revoked"), "{}", revoked.html);
    let fields =
        [("current_password", PASSWORD), ("new_password", "another horse battery"), ("again", "another horse")];
    let differ = nia.send(&account, "/account/password", &fields).await;
    assert!(differ.has("f-again-wrong") && !differ.has("another horse"), "{}", differ.html);
    let changed = nia.send(&account, "/account/password", &[fields[0], fields[1], ("again", fields[1].1)]).await;
    assert!(changed.has("Sign in with the new one") && nia.session().is_none(), "{}", changed.html);

    let users = admin.open("/users").await;
    let row = users.html.split(">admin</a>").nth(1).unwrap();
    let own =
        row.split("action=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.ends_with("/role")).unwrap();
    let last = admin.send(&users, own, &[("role", "member")]).await;
    assert_eq!(last.status, 409, "the last admin stays one: {}", last.html);
}

/// How often an operation was counted with this outcome.
async fn counted(app: &TestApp, operation: &str, outcome: &str) -> u64 {
    let text = app.anonymous.get("/metrics").await.text();
    let line = format!("asgard_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn what_is_done_and_read_on_pages_is_counted_like_on_every_surface() {
    let lived = Lived::new().await;
    let app = &lived.app;
    let signed_in = counted(app, "auth.login", "ok").await;
    let mut owner = lived.signed_in("olga").await;
    assert_eq!(counted(app, "auth.login", "ok").await, signed_in + 1);
    let path = format!("/projects/{}/keys", app.project);
    let (listed, minted) = (counted(app, "keys.list", "ok").await, counted(app, "keys.mint", "ok").await);
    let form = owner.open(&path).await;
    assert_eq!(counted(app, "keys.list", "ok").await, listed + 1);
    owner.send(&form, &path, &[("name", "counted")]).await;
    assert_eq!(counted(app, "keys.mint", "ok").await, minted + 1);
    let kill = format!("/projects/{}/kill", app.project);
    let settings = owner.open(&format!("/projects/{}/settings", app.project)).await;
    owner.send(&settings, &kill, &[("reason", " ")]).await;
    assert_eq!(counted(app, "projects.kill", "invalid").await, 1, "what is refused is counted too");
}

/// A page with a form on it, left open until its session was over; then the form is sent.
async fn late(lived: &Lived, page: &str, action: &str, fields: &[(&str, &str)]) -> (Browser, super::Page) {
    let mut owner = lived.signed_in("olga").await;
    let form = owner.open(page).await;
    let session = owner.session().unwrap().to_owned();
    let out = lived.app.anonymous.with(&session).post("/api/auth/logout", serde_json::json!({})).await;
    assert_eq!(out.status, 200, "{}", out.text());
    let asked = owner.submit(&form, action, fields).await;
    (owner, asked)
}

#[tokio::test]
async fn a_form_that_was_sent_after_its_session_had_ended_comes_back_filled_in() {
    let lived = Lived::new().await;
    let fields = [
        ("name", "Late <one>"),
        ("manager_email", "max@corp.example"),
        ("group", "applications"),
        ("budget_usd", "71"),
        ("description", "Line\nline"),
    ];
    let (mut owner, asked) = late(&lived, "/projects/new", "/projects", &fields).await;
    assert_eq!(asked.status, 401);
    assert!(asked.has("what you filled in was not sent") && asked.has("name=\"form\""), "{}", asked.html);
    assert!(!asked.has("Late") && !asked.has("max@corp.example"), "what was sent is sealed: {}", asked.html);

    let wrong = owner.submit(&asked, "/projects", &[("username", "olga"), ("password", "not the password")]).await;
    assert!(wrong.status == 401 && wrong.has("username or password is wrong"), "{}", wrong.html);
    let back = owner.submit(&wrong, "/projects", &[("password", PASSWORD)]).await;
    assert_eq!(back.status, 409, "{}", back.html);
    assert!(back.has("You had been signed out, so this was not sent"), "{}", back.html);
    let filled = back.form("/projects").unwrap();
    for (name, value) in fields {
        assert!(filled.contains(&(name.to_owned(), value.to_owned())), "{name}: {filled:?}");
    }
    let listed = lived.app.owner.get("/api/projects").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing was done by signing in: {listed}");

    let made = owner.send(&back, "/projects", &[]).await;
    assert!(made.has("The project is registered") && made.has("Late &#60;one&#62;"), "{}", made.html);
}

/// What a form is about may be in the query of its address alone.
#[tokio::test]
async fn a_form_that_comes_back_is_still_about_what_its_address_says_in_the_query() {
    let lived = Lived::new().await;
    let action = format!("/projects/{}/ask/local-demo?resource={}", lived.app.project, lived.resource);
    let (mut owner, asked) = late(&lived, &action, &action, &[("spec.seconds", "7")]).await;
    assert_eq!(asked.status, 401, "{}", asked.html);
    let wrong = owner.submit(&asked, &action, &[("username", "olga"), ("password", "not the password")]).await;
    assert_eq!(wrong.status, 401, "{}", wrong.html);
    let back = owner.submit(&wrong, &action, &[("password", PASSWORD)]).await;
    assert!(back.status == 409 && back.has("Change done"), "{}: {}", back.status, back.html);
    assert!(back.form(&action).unwrap().contains(&("spec.seconds".to_owned(), "7".to_owned())), "{}", back.html);
    let made = owner.send(&back, &action, &[]).await;
    assert_eq!(made.status, 200, "{}", made.html);
    let resources = format!("/api/projects/{}/resources", lived.app.project);
    let listed = lived.app.owner.get(&resources).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "the resource was changed, and none was made: {listed}");

    // What was sealed for one query is read by no other.
    let (mut owner, asked) = late(&lived, &action, &action, &[("spec.seconds", "7")]).await;
    let carried = asked.form(&action).unwrap().into_iter().find(|(name, _)| name == "form").unwrap().1;
    let body = format!("username=olga&password={}&form={carried}", super::super::frame::encoded(PASSWORD));
    let other = action.split('?').next().unwrap();
    let refused = owner.request(http::Method::POST, other, Some(body)).await;
    assert_eq!(refused.status, 400, "{}", refused.html);
}

#[tokio::test]
async fn what_comes_back_after_a_sign_in_is_never_carried_out_and_holds_no_secret_in_clear() {
    let lived = Lived::new().await;
    let fields =
        [("current_password", PASSWORD), ("new_password", "staple staple staple"), ("again", "staple staple staple")];
    let known = lived.signed_in("olga").await.open("/account").await.form("/account/password").unwrap();
    let fields: Vec<_> = fields.into_iter().filter(|(name, _)| known.iter().any(|(field, _)| field == name)).collect();
    let (mut owner, asked) = late(&lived, "/account", "/account/password", &fields).await;
    assert!(!asked.has(PASSWORD) && !asked.has("staple"), "{}", asked.html);
    let back = owner.submit(&asked, "/account/password", &[("username", "olga"), ("password", PASSWORD)]).await;
    assert!(back.status == 409 && !back.has(PASSWORD) && !back.has("staple"), "{}: {}", back.status, back.html);
    lived.signed_in("olga").await;

    // An approval, which is a button and a remark.
    let path = format!("/requests/{}", lived.pending);
    let mut manager = lived.signed_in("max").await;
    let shown = manager.open(&path).await;
    let out =
        lived.app.anonymous.with(manager.session().unwrap()).post("/api/auth/logout", serde_json::json!({})).await;
    assert_eq!(out.status, 200);
    let approve = format!("{path}/approve");
    let asked = manager.submit(&shown, &approve, &[("note", "Fine by me")]).await;
    let back = manager.submit(&asked, &approve, &[("username", "max"), ("password", PASSWORD)]).await;
    assert!(back.has("Waits for approval") && back.has("Fine by me"), "{}", back.html);
    let done = manager.send(&back, &approve, &[]).await;
    assert!(done.has("Approved."), "{}", done.html);
}

#[tokio::test]
async fn a_carried_form_is_bound_to_its_address_and_its_hour_and_not_given_to_other_sites() {
    let lived = Lived::new().await;
    let fields = [("name", "Late"), ("manager_email", "max@corp.example")];
    let (mut owner, asked) = late(&lived, "/projects/new", "/projects", &fields).await;
    let carried = asked.form("/projects").unwrap().into_iter().find(|(name, _)| name == "form").unwrap().1;
    let body =
        |carried: &str| format!("username=olga&password={}&form={carried}", super::super::frame::encoded(PASSWORD));
    let keys = format!("/projects/{}/keys", lived.app.project);
    let before = owner.session().map(str::to_owned);
    for (path, carried) in
        [(keys.as_str(), carried.as_str()), ("/projects", "cmt_nothing"), ("/projects", &carried[1..])]
    {
        let refused = owner.request(http::Method::POST, path, Some(body(carried))).await;
        assert!(refused.status == 400 && refused.has("kept for an hour"), "{path}: {}", refused.html);
        assert_eq!(owner.session(), before.as_deref(), "nobody was signed in");
    }
    owner.origin = Some("https://evil.example");
    let refused = owner.request(http::Method::POST, "/projects", Some(body(&carried))).await;
    assert_eq!(refused.status, 403, "{}", refused.html);
    let stolen = owner.request(http::Method::POST, "/projects", Some("name=x".into())).await;
    assert!(!stolen.has("name=\"form\""), "{}", stolen.html);
    owner.origin = Some("http://localhost:8080");
    // However much longer some notation makes it.
    let odd = owner.request(http::Method::POST, "/projects", Some(format!("name={}", "\"\u{1}".repeat(30_000)))).await;
    assert!(odd.status == 401 && odd.has("name=\"form\""), "{}: {}", odd.status, odd.html);
    let large = owner.request(http::Method::POST, "/projects", Some(format!("name={}", "x".repeat(70_000)))).await;
    assert_eq!((large.status.as_u16(), large.headers["location"].to_str().unwrap()), (303, "/?said=not-sent"));
}
