//! Asgard below a path of somebody else's service (`examples/embed-axum`), with a real browser: through its pages as a person of
//! the company, and again after the service was killed.

use asgard_tests::{Browser, Scheme, eventually, example};
use std::{
    collections::{BTreeSet, VecDeque},
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const BASE: &str = "/governance";
/// More pages than there are; a walk that finds more goes in circles.
const MAX_PAGES: usize = 200;

/// The service's process. It is killed when this is dropped.
struct Service {
    child: Child,
    address: String,
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(example("embed-axum"));
    command.env_clear().env("CORP_SESSION_KEY", "42".repeat(32)).current_dir(folder).stdin(Stdio::null());
    command
}

impl Service {
    fn start(folder: &Path) -> Self {
        let said = folder.join("said");
        let output = File::create(&said).unwrap();
        let mut child = program(folder).args(["serve", ".", "127.0.0.1:0"]).stdout(output).spawn().unwrap();
        let address = eventually("the service says where it listens", || {
            assert!(child.try_wait().unwrap().is_none(), "the service ended");
            let said = fs::read_to_string(&said).unwrap();
            said.trim_end_matches('\n')
                .split_once("ready at ")
                .filter(|_| said.ends_with('\n'))
                .map(|(_, at)| at.to_owned())
        });
        Self { child, address }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cookie of a person of the company.
fn cookie(folder: &Path, person: &str, group: &str) -> (String, String) {
    let output = program(folder).args(["session", person, group]).output().unwrap();
    let pair = String::from_utf8(output.stdout).unwrap();
    let (name, value) = pair.trim().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn sign_in(browser: &Browser, service: &Service, (name, value): &(String, String)) {
    // A page that is open to everybody, because cookies are kept for the host of a page.
    browser.go(&format!("{}{BASE}/docs", service.address));
    browser.keep_cookie(name, value);
}

fn path<'u>(service: &Service, url: &'u str) -> &'u str {
    url.strip_prefix(&service.address).unwrap_or_else(|| panic!("{url} is somewhere else"))
}

/// Whether an address is a part of the page itself.
fn is_here(address: &str) -> bool {
    address.starts_with('#') || address.starts_with("data:")
}

/// What the open page links to. Whatever it names is below the path.
fn links(browser: &Browser) -> Vec<String> {
    let addresses = browser.addresses();
    for (what, address) in &addresses {
        let below = address.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        assert!(below || is_here(address), "{what} of {} is {address}", browser.url());
    }
    let links = addresses.into_iter().filter(|(what, address)| what == "a href" && !is_here(address));
    links.map(|(_, address)| address.split('#').next().unwrap_or_default().to_owned()).collect()
}

/// Opens everything that links lead to, from the page that is open.
fn walk(browser: &Browser, service: &Service) -> BTreeSet<String> {
    let mut queue: VecDeque<String> = links(browser).into();
    let mut seen = BTreeSet::new();
    while let Some(address) = queue.pop_front() {
        if seen.insert(address.clone()) {
            assert!(seen.len() < MAX_PAGES, "the pages have no end: {seen:?}");
            browser.go(&format!("{}{address}", service.address));
            assert!(path(service, &browser.url()).starts_with(BASE), "{address} led to {}", browser.url());
            queue.extend(links(browser));
        }
    }
    seen
}

#[test]
fn a_person_of_the_company_asks_for_a_desk_below_the_path_and_it_is_counted_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path());
    let browser = Browser::open(Scheme::Light, true);
    let opens = |service: &Service, path: &str| browser.go(&format!("{}{path}", service.address));
    sign_in(&browser, &service, &cookie(folder.path(), "ann@corp.example", "tools"));

    // From the start to a project.
    opens(&service, BASE);
    assert_eq!(path(&service, &browser.url()), "/governance/projects");
    links(&browser);
    browser.press("Register a project");
    browser.fill("#f-name", "Editor");
    browser.fill("#f-manager_email", "bob@corp.example");
    browser.fill("#f-group", "tools");
    links(&browser);
    browser.press("Register");
    eventually("the project has a page", || path(&service, &browser.url()).contains("/projects/proj-").then_some(()));
    browser.shoot("embedded-project");

    // A desk, which the company's own runner gives.
    browser.press("Request a resource");
    browser.press("Desk");
    browser.fill("#f-name", "window");
    browser.fill("#f-spec-floor", "3");
    links(&browser);
    browser.press("Request it");
    eventually("the request has a page", || path(&service, &browser.url()).contains("/requests/req_").then_some(()));
    eventually("the desk is there", || browser.text().to_lowercase().contains("fulfilled").then_some(()));
    browser.shoot("embedded-request");

    // Every page that links lead to from there.
    opens(&service, &format!("{BASE}/projects"));
    browser.press("Editor");
    let seen = walk(&browser, &service);
    for page in ["/approvals", "/services", "/account"] {
        assert!(seen.contains(&format!("{BASE}{page}")), "{page} was not found by its links: {seen:?}");
    }
    assert!(seen.iter().any(|address| address.contains("/resources/res_")), "{seen:?}");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");

    // The company's policy says no, in a sentence on the page.
    let ask = seen.iter().find(|address| address.ends_with("/ask/desk")).unwrap();
    opens(&service, ask);
    browser.fill("#f-name", "balcony");
    browser.fill("#f-spec-floor", "7");
    browser.press("Request it");
    eventually("the policy refuses it", || browser.text().contains("Floor 7 is being rebuilt.").then_some(()));
    browser.shoot("embedded-refused");

    // Signing out is the company's.
    opens(&service, &format!("{BASE}/projects"));
    browser.press("Sign out");
    eventually("the company says so", || browser.text().contains("Sign in to the company first").then_some(()));

    // What was committed is counted, though the service was killed.
    drop(service);
    let service = Service::start(folder.path());
    sign_in(&browser, &service, &cookie(folder.path(), "root@corp.example", "asgard-admins"));
    eventually("everything is counted", || {
        opens(&service, "/activity");
        let text = browser.text();
        ["\"project.registered\":1", "\"request.fulfilled\":1", "\"failure\":null"]
            .iter()
            .all(|part| text.contains(part))
            .then_some(())
    });
}
