//! Every page, for every role.

use super::{Lived, Page};

const EVERYBODYS: [&str; 1] = ["/account"];
const WORKERS: [&str; 5] = ["/projects", "/projects/new", "/approvals", "/services", "/services/local-demo"];
const ADMINS: [&str; 2] = ["/requests", "/users"];
const READERS: [&str; 2] = ["/audit", "/audit/verify"];

/// What holds for every page, whatever it is about.
fn check(page: &Page, who: &str) {
    let at = format!("{} for {who}", page.path);
    assert!(page.html.starts_with("<!doctype html>"), "{at}: {}", page.html);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{at}: {policy}");
    assert_eq!(page.headers["cache-control"], "no-store", "{at}");
    for forbidden in
        ["<style", " style=", " onclick=", " onload=", " onsubmit=", "javascript:", "<script>", "http-equiv"]
    {
        assert!(!page.has(forbidden), "{forbidden} in {at}");
    }
    let scripts: Vec<&str> = page.html.split("<script").skip(1).collect();
    assert!(scripts.len() == 1 && scripts[0].starts_with(" src=\"/assets/script-"), "{at}");
    assert_eq!(page.html.matches("<h1").count(), 1, "one h1 on {at}");
    assert!(page.has("<html lang=\"en\">") && page.has("<main id=\"main\""), "{at}");
    assert!(page.has("<title>") && page.has("class=\"brand\">"), "{at}");
    ids_are_unique_and_labels_lead_somewhere(&page.html, &at);
}

fn ids_are_unique_and_labels_lead_somewhere(html: &str, at: &str) {
    let values = |name: &str| -> Vec<String> {
        let needle = format!(" {name}=\"");
        html.split(&needle).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    };
    let ids = values("id");
    let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "an id twice on {at}: {ids:?}");
    for name in ["for", "aria-labelledby", "data-copy"] {
        for target in values(name) {
            assert!(unique.contains(&target), "{name}={target} leads nowhere on {at}");
        }
    }
    for group in values("aria-describedby") {
        for target in group.split(' ') {
            assert!(ids.iter().any(|id| id == target), "aria-describedby={target} on {at}");
        }
    }
    assert_eq!(
        html.matches("<table>").count(),
        html.matches("<caption").count(),
        "every table says what it is on {at}"
    );
    assert!(!html.contains("<th>"), "every header has a scope on {at}");
}

/// The addresses of all pages as the router has them, with a name in braces for an id.
fn routes() -> Vec<String> {
    let code: String = include_str!("../pages.rs").split_whitespace().collect();
    let shown = code.split(".route(\"").skip(1).filter_map(|route| route.split_once("\",get("));
    shown.map(|(path, _)| path.to_owned()).collect()
}

/// Whether a path is one of this route.
fn is_of(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    route.split('/').count() == path.split('/').count()
        && route.split('/').zip(path.split('/')).all(|(name, part)| name == part || name.starts_with('{'))
}

#[tokio::test]
async fn every_page_renders_for_every_role_that_may_open_it_and_is_refused_in_style_to_others() {
    let lived = Lived::new().await;
    let project_pages = lived.project_pages();
    let mias = lived.user_page().await;
    let owned = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    for (who, open, shut, status) in [
        (
            "admin",
            [
                owned(&EVERYBODYS),
                owned(&WORKERS),
                owned(&ADMINS),
                owned(&READERS),
                vec![mias.clone()],
                project_pages.clone(),
            ]
            .concat(),
            vec![],
            0,
        ),
        ("olga", [owned(&EVERYBODYS), owned(&WORKERS), project_pages.clone()].concat(), owned(&READERS), 403),
        ("max", [owned(&EVERYBODYS), owned(&WORKERS), project_pages.clone()].concat(), owned(&["/users"]), 403),
        ("sam", [owned(&EVERYBODYS), owned(&WORKERS)].concat(), project_pages.clone(), 404),
        ("fin", [owned(&EVERYBODYS), owned(&READERS)].concat(), [owned(&WORKERS), owned(&ADMINS)].concat(), 403),
    ] {
        if who == "admin" {
            let routes = routes();
            let never: Vec<_> = routes.iter().filter(|route| !open.iter().any(|path| is_of(route, path))).collect();
            assert!(
                routes.len() > 20 && never.is_empty(),
                "an admin opens every page, so add these to a list: {never:?}"
            );
        }
        let mut browser = lived.signed_in(who).await;
        for path in open {
            let page = browser.open(&path).await;
            assert_eq!(page.status, 200, "{path} for {who}: {}", page.html);
            check(&page, who);
        }
        for path in shut {
            let page = browser.open(&path).await;
            assert_eq!(page.status, status, "{path} for {who}");
            check(&page, who);
        }
    }
}

#[tokio::test]
async fn pages_for_nobody_are_pages_too() {
    let lived = Lived::new().await;
    let mut browser = lived.browser();
    check(&browser.open("/").await, "nobody");
    let mut browser = lived.signed_in("admin").await;
    for path in
        ["/projects/proj-2026-9999", "/projects/x", "/requests/x", "/runs/run_x", "/services/x", "/nothing/here"]
    {
        let page = browser.open(path).await;
        assert_eq!(page.status, 404, "{path}");
        check(&page, "admin");
        assert!(page.has("There is no such thing"), "{}", page.html);
    }
    for path in ["/projects?cursor=forged", "/audit?from=yesterday", "/audit?project=x", "/audit?trace=x"] {
        let page = browser.open(path).await;
        assert_eq!(page.status, 400, "{path}");
        check(&page, "admin");
    }
}

#[tokio::test]
async fn the_name_of_the_system_is_everywhere_and_changes_nothing_else() {
    let app = crate::http::testkit::TestApp::with(&[
        ("ASGARD_BIND", "127.0.0.1:8080"),
        ("ASGARD_SYSTEM_NAME", "<Acme> & Sons"),
    ])
    .await;
    let mut browser = super::Browser::new(app.router.clone());
    let page = browser.open("/").await;
    assert!(page.has("<title>Sign in · &#60;Acme&#62; &#38; Sons</title>"), "{}", page.html);
    assert_eq!(
        page.html.matches("class=\"brand\">&#60;Acme&#62; &#38; Sons<").count(),
        page.html.matches("class=\"brand\"").count()
    );
    assert!(page.has("class=\"glyph\" aria-hidden=\"true\">&#60;<") && !page.has("Asgard"), "{}", page.html);
    let icon = browser.open("/icon.svg").await;
    assert!(icon.html.contains(">&#60;</text>") && icon.headers["content-type"] == "image/svg+xml");
}

#[tokio::test]
async fn assets_are_kept_forever_under_the_name_of_their_content() {
    let lived = Lived::new().await;
    let mut browser = lived.browser();
    let page = browser.open("/").await;
    for (mark, mime) in [("href=\"/assets/style-", "text/css"), ("src=\"/assets/script-", "text/javascript")] {
        let path = page.html.split(mark).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let path = format!("{}{path}", mark.split('"').nth(1).unwrap());
        let asset = browser.open(&path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(asset.headers["content-type"].to_str().unwrap().starts_with(mime));
        assert_eq!(asset.headers["cache-control"], "public, max-age=31536000, immutable");
    }
    assert_eq!(browser.open("/assets/style-0000000000000000.css").await.status, 404);
}

#[tokio::test]
async fn a_person_at_an_address_that_is_not_there_is_not_sent_to_the_description_of_an_api() {
    let app = crate::http::testkit::TestApp::new().await;
    let page = super::Browser::new(app.router.clone()).open("/no/such/page").await;
    assert_eq!(page.status, 404);
    assert!(page.has("There is no page at /no/such/page.") && !page.has("openapi"), "{}", page.html);
    let program = app.anonymous.get("/no/such/page").await;
    assert!(program.text().contains("/api/openapi.json lists what there is"), "{}", program.text());
}
