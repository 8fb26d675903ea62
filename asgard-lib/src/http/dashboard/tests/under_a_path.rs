//! The dashboard below a path of somebody else's address: nothing on any page leads out of it.

use super::{Browser, Lived, Page};
use crate::http::{HttpState, mounted, router, testkit::PASSWORD};
use axum::{Router, routing::get};
use http::Method;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

const BASE: &str = "/governance";
/// More pages than there are; a crawl that finds more goes in circles.
const MAX_PAGES: usize = 500;

/// A host with routes of its own, some of which Asgard has as well.
fn host() -> Router {
    let own = || get(|| async { "the host's" });
    Router::new().route("/", own()).route("/projects", own()).route("/healthz", own()).route("/api/{*rest}", own())
}

fn state(lived: &Lived) -> Arc<HttpState> {
    HttpState::below(Arc::clone(&lived.app.asgard), BASE.parse().unwrap())
}

fn hosts(lived: &Lived) -> [(&'static str, Router); 3] {
    [
        ("nested", host().nest(BASE, router(state(lived)))),
        ("nested as a service", host().nest_service(BASE, router(state(lived)))),
        ("merged", host().merge(mounted(state(lived)))),
    ]
}

fn is_inside(address: &str) -> bool {
    address.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// What a browser or the script would open or send a form to, by the attribute that says so.
fn addresses(html: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for name in ["href", "src", "action", "formaction", "data-watch", "data-log"] {
        let mark = format!(" {name}=\"");
        let parts = html.split(&mark).skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(parts.map(|text| (name, text.replace("&#38;", "&").replace("&amp;", "&"))));
    }
    found
}

async fn sign_in(router: Router, username: &str) -> Browser {
    let mut browser = Browser::new(router);
    let page = browser.open(BASE).await;
    let page = browser.send(&page, &format!("{BASE}/sign-in"), &[("username", username), ("password", PASSWORD)]).await;
    assert!(page.status == 200 && is_inside(&page.path), "{} {}", page.path, page.html);
    assert_eq!(browser.cookie_path.as_deref(), Some(BASE));
    browser
}

/// Opens everything that pages lead to, from these on.
async fn crawl(browser: &mut Browser, from: Vec<String>) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = from.iter().cloned().collect();
    let mut queue: VecDeque<String> = from.into();
    while let Some(path) = queue.pop_front() {
        let page: Page = browser.request(Method::GET, &path, None).await;
        assert!(seen.len() < MAX_PAGES, "the pages have no end: {seen:?}");
        let mut found = Vec::new();
        if let Some(location) = page.headers.get("location") {
            found.push(("a redirect", location.to_str().unwrap().to_owned()));
        } else {
            assert_eq!(page.status, 200, "{path}: {}", page.html);
        }
        let kind = page.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
        if kind.starts_with("text/html") {
            found.extend(addresses(&page.html));
        }
        for (what, address) in found {
            if address.starts_with('#') || address.starts_with("data:") {
                continue;
            }
            assert!(is_inside(&address), "{what} of {path} leads to {address}");
            let address = address.split('#').next().unwrap_or_default().to_owned();
            if !matches!(what, "action" | "formaction") && seen.insert(address.clone()) {
                queue.push_back(address);
            }
        }
    }
    seen
}

#[tokio::test]
async fn no_link_form_redirect_cookie_or_asset_leaves_the_path() {
    let lived = Lived::new().await;
    let of = |path: &str| format!("{BASE}{path}");
    for (how, router) in hosts(&lived) {
        let mut nobody = Browser::new(router.clone());
        crawl(&mut nobody, vec![BASE.to_owned(), of("/docs"), of("/docs/errors"), of("/icon.svg")]).await;
        // One that reads everything, one that may do nearly nothing.
        for username in ["admin", "fin"] {
            let mut browser = sign_in(router.clone(), username).await;
            let mut from = vec![BASE.to_owned()];
            if username == "admin" {
                from.extend(lived.project_pages().iter().map(|path| of(path)));
            }
            let seen = crawl(&mut browser, from).await;
            if username == "admin" {
                for path in ["/projects", "/approvals", "/requests", "/services", "/users", "/audit", "/audit/verify"] {
                    assert!(seen.contains(&of(path)), "{how}: {path} was not found by its links: {seen:?}");
                }
                let watched = of(&format!("/api/requests/{}", lived.pending));
                assert!(seen.contains(&watched), "{how}: the script follows an open request: {seen:?}");
            }
        }
        let mut browser = sign_in(router.clone(), "admin").await;
        for path in ["/", "/projects", "/healthz", "/api/projects"] {
            assert!(browser.open(path).await.has("the host's"), "{how}: {path} is still the host's");
        }
        let missing = browser.open(&of("/nothing")).await;
        assert!(missing.status == 404 && addresses(&missing.html).iter().all(|(_, to)| is_inside(to) || to == "#main"));
    }
}

#[tokio::test]
async fn a_deep_link_comes_back_after_signing_in_and_forms_lead_on() {
    let lived = Lived::new().await;
    for (how, router) in hosts(&lived) {
        let mut browser = Browser::new(router.clone());
        let sent = browser.request(Method::GET, "/governance/audit?actor=a%40b", None).await;
        assert_eq!(sent.headers["location"], "/governance?next=%2Faudit%3Factor%3Da%2540b", "{how}");
        let page = browser.open("/governance/audit?actor=a%40b").await;
        let page = browser.send(&page, "/governance/sign-in", &[("username", "fin"), ("password", PASSWORD)]).await;
        assert_eq!((page.path.as_str(), page.status.as_u16()), ("/governance/audit?actor=a%40b", 200), "{how}");
        let out = browser.send(&page, "/governance/sign-out", &[]).await;
        assert!(out.path.starts_with("/governance?said=") && out.has("You are signed out."), "{how}: {}", out.path);
        assert!(browser.session().is_none() && browser.cookie_path.as_deref() == Some(BASE));

        let mut owner = sign_in(router, "olga").await;
        let keys = format!("/governance/projects/{}/keys", lived.app.project);
        let form = owner.open(&keys).await;
        let minted = owner.send(&form, &keys, &[("name", "agent")]).await;
        assert!(minted.has(">http://localhost:8080/governance/mcp<"), "{how}: {}", minted.html);
        let settings = format!("/governance/projects/{}/settings", lived.app.project);
        let form = owner.open(&settings).await;
        let same = owner.send(&form, &settings, &[]).await;
        assert!(same.path.starts_with(&settings) && same.has("nothing had to be done"), "{how}: {}", same.path);
    }
}

#[test]
fn every_address_in_a_template_begins_with_the_base() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"));
    let (mut seen, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (name, address) in addresses(&text) {
                seen += 1;
                let fits = address.starts_with("{{") || address.starts_with('#');
                assert!(fits, "{name}=\"{address}\" in {}: write {{{{ layout.base }}}} before it", path.display());
            }
        }
    }
    assert!(seen > 50, "only {seen} addresses were found");
}
