//! People at the dashboard, with a real browser: signed in, registered, minted, asked, approved, read. Pictures are kept.

use crate::job::{ask, request_id, text};
use asgard_tests::{Browser, PASSWORD, Scheme, Server, Site, eventually};
use serde_json::json;

struct Visitor {
    browser: Browser,
    base: String,
    name: &'static str,
}

impl Visitor {
    fn new(server: &Server, scheme: Scheme, javascript: bool, name: &'static str) -> Self {
        Self::of(Browser::open(scheme, javascript), server, name)
    }

    fn of(browser: Browser, server: &Server, name: &'static str) -> Self {
        Self { browser, base: server.base().to_owned(), name }
    }

    fn go(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.base));
    }

    fn shoot(&self, page: &str) {
        self.browser.shoot(&format!("{}-{page}", self.name));
    }

    fn reads(&self, text: &str) {
        let seen = self.browser.text();
        assert!(seen.contains(text), "expected to read `{text}` at {}:\n{seen}", self.browser.url());
    }

    fn sign_in(&self, username: &str) {
        self.go("/");
        self.browser.fill("#f-username", username);
        self.browser.fill("#f-password", PASSWORD);
        self.browser.press("Sign in");
        eventually("the sign-in leads on", || self.browser.text().contains("Sign out").then_some(()));
    }

    fn sign_out(&self) {
        self.browser.press("Sign out");
        eventually("the sign-in page is back", || (self.browser.count("#f-password") == 1).then_some(()));
    }
}

#[test]
fn the_whole_way_in_light_with_javascript() {
    visit(Scheme::Light, true, "light");
}

#[test]
fn the_whole_way_in_dark_without_javascript() {
    visit(Scheme::Dark, false, "dark");
}

fn visit(scheme: Scheme, javascript: bool, name: &'static str) {
    let site = Site::sqlite().armed().with("ASGARD_SYSTEM_NAME", "Acme Control Plane");
    let server = site.start();
    let cast = site.cast(&server);
    let visitor = Visitor::new(&server, scheme, javascript, name);
    let browser = &visitor.browser;

    visitor.go("/");
    assert!(browser.title().contains("Acme Control Plane"), "{}", browser.title());
    visitor.shoot("01-sign-in");
    browser.fill("#f-username", "owner");
    browser.fill("#f-password", "wrong password");
    browser.press("Sign in");
    eventually("a wrong password is refused", || browser.text().contains("wrong").then_some(()));
    visitor.shoot("02-wrong-password");
    visitor.sign_in("owner");
    visitor.reads("Acme Control Plane");

    // Register.
    visitor.go("/projects/new");
    browser.fill("#f-name", "Pilot");
    browser.fill("#f-manager_email", &cast.manager.email);
    browser.choose("#f-group", "platform");
    browser.fill("#f-budget_usd", "100");
    visitor.shoot("03-register");
    browser.press("Register");
    let project = eventually("the project has a page", || {
        let url = browser.url();
        url.split('?').next()?.rsplit('/').next().filter(|last| last.starts_with("proj-")).map(ToOwned::to_owned)
    });
    visitor.reads("Pilot");
    visitor.shoot("04-project");

    // Mint a key. It is shown once.
    visitor.go(&format!("/projects/{project}/keys"));
    browser.fill("#f-name", "agent");
    browser.press("Mint a key");
    let key = eventually("the key is shown", || (browser.count("#new-key") == 1).then(|| browser.read("#new-key")));
    assert!(key.starts_with("asg_") && key.len() == 50, "{key}");
    visitor.shoot("05-key");
    let key = cast.owner.session.with(key.trim());
    visitor.go(&format!("/projects/{project}/keys"));
    assert!(!browser.source().contains(key.credential()), "a key is shown once");

    // The agent asks over MCP, the owner looks, and may not approve.
    let asked = ask(&key, "local-demo", "hello", &json!({"approval": "human", "monthly_usd": 12, "seconds": 1}));
    let request = request_id(&asked);
    assert_eq!(text(&cast.owner.session.settled(&request), "status"), "pending");
    visitor.go(&format!("/requests/{request}"));
    visitor.reads("terraform_data.token");
    assert_eq!(browser.count("form[action$='/approve']"), 0, "no button that would be refused");
    visitor.shoot("06-request-as-owner");
    visitor.sign_out();

    // The manager approves from the inbox.
    visitor.sign_in("manager");
    visitor.go("/approvals");
    visitor.reads("hello");
    visitor.shoot("07-approvals");
    browser.fill("form[action$='/approve'] [name='note']", "Looks right");
    browser.click("form[action$='/approve'] button.primary");
    eventually("the inbox is empty", || (browser.count("form[action$='/approve']") == 0).then_some(()));
    visitor.shoot("08-approved");
    crate::job::fulfilled(&cast.owner.session, &request);
    visitor.go(&format!("/requests/{request}"));
    visitor.reads("Looks right");
    visitor.shoot("09-request-fulfilled");

    // The resource and its log, without the secret.
    let resource = crate::job::the_resource(&cast.owner.session, &project, "hello");
    visitor.go(&format!("/resources/{}", text(&resource, "resource_id")));
    visitor.reads(text(&resource["outputs"], "id"));
    visitor.reads("local-demo.hello.token");
    visitor.shoot("10-resource");
    let secret = key.secret("local-demo.hello.token", None).ok();
    let secret = text(&secret, "value").to_owned();
    let apply = crate::job::runs(&cast.owner.session, &resource).pop().expect("an apply");
    visitor.go(&format!("/runs/{}", text(&apply, "run_id")));
    visitor.reads("terraform_data.demo");
    visitor.shoot("11-run");
    assert!(!browser.source().contains(&secret));

    // Asked on a page as well, with a form that checks.
    visitor.go(&format!("/projects/{project}/ask/local-demo"));
    visitor.shoot("12-ask");
    visitor.go("/projects");
    visitor.shoot("13-projects");
    visitor.go("/no/such/page");
    visitor.shoot("14-nothing-here");
    visitor.sign_out();

    // An admin sees the audit log, finance nothing that is not its own.
    visitor.sign_in("admin");
    visitor.go("/audit");
    visitor.reads("request.approved");
    visitor.shoot("15-audit");
    visitor.sign_out();
    visitor.sign_in("finance");
    visitor.go(&format!("/projects/{project}"));
    assert!(!browser.text().contains("Mint a key"), "finance mints nothing");
    visitor.shoot("16-finance");

    let complaints: Vec<String> = browser
        .complaints()
        .into_iter()
        // What the visit itself provoked: the wrong password, the missing page, and finance at a project.
        .filter(|complaint| !["401", "403", "404"].iter().any(|status| complaint.contains(&format!("status of {status}"))))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    site.assert_kept(&[secret]);
}

#[test]
fn no_page_is_wider_than_a_phone() {
    let site = Site::sqlite();
    let server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Pilot");
    let request = request_id(&ask(&cast.key(&project), "local-demo", "hello", &json!({"monthly_usd": 1})));
    crate::job::fulfilled(&cast.owner.session, &request);
    let resource = crate::job::the_resource(&cast.owner.session, &project, "hello");
    let run = crate::job::runs(&cast.owner.session, &resource).pop().expect("an apply");

    let visitor = Visitor::of(Browser::phone(Scheme::Light), &server, "phone");
    visitor.sign_in("admin");
    let of_project = |page: &str| format!("/projects/{project}{page}");
    for (name, path) in [
        ("projects", "/projects".to_owned()),
        ("register", "/projects/new".into()),
        ("project", of_project("")),
        ("resources", of_project("/resources")),
        ("requests", of_project("/requests")),
        ("keys", of_project("/keys")),
        ("secrets", of_project("/secrets")),
        ("project-audit", of_project("/audit")),
        ("settings", of_project("/settings")),
        ("ask", of_project("/ask/local-demo")),
        ("request", format!("/requests/{request}")),
        ("resource", format!("/resources/{}", text(&resource, "resource_id"))),
        ("run", format!("/runs/{}", text(&run, "run_id"))),
        ("approvals", "/approvals".into()),
        ("services", "/services".into()),
        ("users", "/users".into()),
        ("audit", "/audit".into()),
        ("verify", "/audit/verify".into()),
        ("account", "/account".into()),
        ("reference", "/docs".into()),
    ] {
        visitor.go(&path);
        visitor.shoot(name);
        assert_eq!(visitor.browser.overflow(), 0, "{path} is wider than the screen");
        assert!(!visitor.browser.title().contains("not found"), "{path} is no page");
    }
}
