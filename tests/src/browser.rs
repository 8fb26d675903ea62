//! Chromium, driven by plain W3C WebDriver.

use crate::{Peers, eventually, wait::number_after};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use ureq::Agent;

/// How long a page may take to show what is looked for.
const PATIENCE: Duration = Duration::from_secs(10);

const CSS: &str = "css selector";

/// Whether an error says that the page is no longer the one that was looked at. The standard knows the first two; the others
/// are what chromedriver passes on when it is asked while one page makes way for the next.
fn moved_on(error: &Value) -> bool {
    const SAYS: [&str; 8] = [
        "stale element",
        "no such element",
        "aborted by navigation",
        "loader has changed",
        "xecution context",
        "Cannot find context",
        "does not belong to the document",
        "No node with given id",
    ];
    let told = [&error["error"], &error["message"]].map(|text| text.as_str().unwrap_or_default());
    SAYS.iter().any(|says| told.iter().any(|text| text.contains(says)))
}

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A browser window.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Opens one.
    pub fn open(scheme: Scheme, javascript: bool) -> Self {
        Self::start(scheme, javascript, json!({}))
    }

    /// Opens one as narrow as a phone's.
    pub fn phone(scheme: Scheme) -> Self {
        let screen = json!({"width": 390, "height": 844, "pixelRatio": 2});
        Self::start(scheme, true, json!({"mobileEmulation": {"deviceMetrics": screen}}))
    }

    fn start(scheme: Scheme, javascript: bool, mut options: Value) -> Self {
        let peers = Peers::get();
        let profile = tempfile::Builder::new().prefix("asgard-browser-").tempdir().expect("a folder can be made");
        // It chooses its port itself and says which: one that was free a moment ago may be somebody else's by now.
        let said = profile.path().join("chromedriver.log");
        let mut driver = Command::new(&peers.chromedriver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(File::create(&said).expect("the log can be made"))
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let port = eventually("chromedriver says where it listens", || {
            let ended = driver.try_wait().expect("a child can be asked");
            let said = fs::read_to_string(&said).expect("the log can be read");
            let port = number_after(&said, "started successfully on port ");
            assert!(port.is_some() || ended.is_none(), "chromedriver ended: {said}");
            port
        });
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let agent: Agent = config.proxy(None).build().into();
        let base = format!("http://127.0.0.1:{port}");
        let mut this = Self { driver, agent, session: base.clone(), profile };
        eventually("chromedriver is ready", || {
            let status = this.agent.get(format!("{base}/status")).call().ok()?.body_mut().read_json::<Value>().ok()?;
            (status["value"]["ready"] == true).then_some(())
        });
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--hide-scrollbars".into(),
            "--window-size=1280,900".into(),
            format!("--user-data-dir={}", this.profile.path().join("profile").display()),
        ];
        if scheme == Scheme::Dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        options["binary"] = json!(peers.chromium);
        options["args"] = json!(arguments);
        if !javascript {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let opened = this.call("POST", "/session", Some(&wanted));
        this.session = format!("{base}/session/{}", opened["sessionId"].as_str().expect("a session"));
        this
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.attempt(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error:#}"))
    }

    fn attempt(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let url = format!("{}{path}", self.session);
        let sent = match (method, body) {
            ("POST", body) => self.agent.post(&url).send_json(body.unwrap_or(&json!({}))),
            ("DELETE", _) => self.agent.delete(&url).call(),
            _ => self.agent.get(&url).call(),
        };
        let mut answer = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let body: Value =
            answer.body_mut().with_config().limit(64 * 1024 * 1024).read_json().expect("WebDriver speaks JSON");
        let value = body["value"].clone();
        if answer.status().is_success() { Ok(value) } else { Err(value) }
    }

    /// Asks again while the page is on its way to another, or does not show yet what is looked for. Only for looking: what
    /// changes something is sent once.
    fn patiently<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>, Value>) -> T {
        let start = Instant::now();
        loop {
            let why = match look() {
                Ok(Some(found)) => return found,
                Ok(None) => Value::Null,
                Err(error) => error,
            };
            let goes_on = (why.is_null() || moved_on(&why)) && start.elapsed() < PATIENCE;
            assert!(
                goes_on,
                "no {what}: {why:#}\nat {:?}:\n{:?}",
                self.attempt("GET", "/url", None),
                self.attempt("GET", "/source", None)
            );
            sleep(Duration::from_millis(50));
        }
    }

    /// Reads something of the page.
    fn page(&self, path: &str) -> Value {
        self.patiently(path, || self.attempt("GET", path, None).map(Some))
    }

    /// The elements that fit now.
    fn elements(&self, using: &str, value: &str) -> Result<Vec<String>, Value> {
        let found = self.attempt("POST", "/elements", Some(&json!({"using": using, "value": value})))?;
        let ids = found.as_array().expect("a list").iter().map(|element| {
            let id = element.as_object().and_then(|element| element.values().next()).and_then(Value::as_str);
            id.expect("an element has an id").to_owned()
        });
        Ok(ids.collect())
    }

    /// The first element that fits.
    fn find(&self, using: &str, value: &str) -> String {
        self.patiently(value, || Ok(self.elements(using, value)?.into_iter().next()))
    }

    /// Asks for something about the first element that fits. The page may change between finding it and asking.
    fn ask(&self, css: &str, what: &str) -> Value {
        self.patiently(&format!("{what} of {css}"), || {
            let Some(element) = self.elements(CSS, css)?.into_iter().next() else { return Ok(None) };
            self.attempt("GET", &format!("/element/{element}/{what}"), None).map(Some)
        })
    }

    /// Goes to a page and waits until it is loaded.
    pub fn go(&self, url: &str) {
        self.call("POST", "/url", Some(&json!({"url": url})));
    }

    /// Keeps a cookie for the host of the page that is open, as its sign-in would.
    pub fn keep_cookie(&self, name: &str, value: &str) {
        self.call("POST", "/cookie", Some(&json!({"cookie": {"name": name, "value": value, "path": "/"}})));
    }

    /// Every address that the page names, with the element and its attribute, such as `a href`: what it links to,
    /// loads and sends forms to.
    pub fn addresses(&self) -> Vec<(String, String)> {
        let script = "return ['href', 'src', 'action', 'formaction'].flatMap(name => \
            [...document.querySelectorAll(`[${name}]`)].map(element => \
            [`${element.localName} ${name}`, element.getAttribute(name)]))";
        let found = self.call("POST", "/execute/sync", Some(&json!({"script": script, "args": []})));
        let pairs = found.as_array().expect("a list").iter();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.page("/url").as_str().expect("a URL").to_owned()
    }

    /// The page's title.
    pub fn title(&self) -> String {
        self.page("/title").as_str().expect("a title").to_owned()
    }

    /// The page's source.
    pub fn source(&self) -> String {
        self.page("/source").as_str().expect("a page").to_owned()
    }

    /// What is to be read on the page.
    pub fn text(&self) -> String {
        self.read("body")
    }

    /// What is to be read in the first element that fits.
    pub fn read(&self, css: &str) -> String {
        self.ask(css, "text").as_str().expect("a text").to_owned()
    }

    /// An attribute of the first element that fits.
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.ask(css, &format!("attribute/{name}")).as_str().map(ToOwned::to_owned)
    }

    /// How many elements fit.
    pub fn count(&self, css: &str) -> usize {
        self.patiently(css, || Ok(Some(self.elements(CSS, css)?.len())))
    }

    /// Replaces what a field holds.
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.find(CSS, css);
        self.call("POST", &format!("/element/{element}/clear"), None);
        self.call("POST", &format!("/element/{element}/value"), Some(&json!({"text": text})));
    }

    /// Chooses an option of a list by its value.
    pub fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']"));
    }

    /// Clicks the first element that fits.
    pub fn click(&self, css: &str) {
        let element = self.find(CSS, css);
        self.call("POST", &format!("/element/{element}/click"), None);
    }

    /// Clicks the button or link that is called so.
    pub fn press(&self, name: &str) {
        let path = format!("//button[normalize-space(.)='{name}']|//a[normalize-space(.)='{name}']");
        let element = self.find("xpath", &path);
        self.call("POST", &format!("/element/{element}/click"), None);
    }

    /// How much wider the page is than the screen, in pixels.
    pub fn overflow(&self) -> i64 {
        // A page that is too wide is shown smaller, so the window's own width would say nothing.
        let script = "return document.documentElement.scrollWidth - screen.width";
        let found = self.call("POST", "/execute/sync", Some(&json!({"script": script, "args": []})));
        found.as_i64().expect("a number")
    }

    /// Keeps a picture of the window among the artefacts.
    pub fn shoot(&self, name: &str) {
        let picture = self.page("/screenshot");
        let bytes = BASE64.decode(picture.as_str().expect("a picture").as_bytes()).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG"), "a screenshot is a PNG");
        fs::write(Peers::get().artefacts.join(format!("{name}.png")), bytes).expect("artefacts can be written");
    }

    /// What the browser had to complain about: scripts, styles, blocked loads.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", Some(&json!({"type": "browser"})));
        log.as_array().into_iter().flatten().map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes the browser; it is killed only afterwards.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
