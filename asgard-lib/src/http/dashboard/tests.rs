//! The dashboard as a person without JavaScript meets it.

mod browser;
mod forms;
mod pages;
mod references;
mod safety;
mod under_a_path;

use browser::{Browser, Page};

/// Everything a visitor can open, with the ids of a world in which something has happened.
struct Lived {
    app: crate::http::testkit::TestApp,
    /// A request that waits for approval.
    pending: String,
    /// A resource that is there, with a secret output.
    resource: String,
    /// A run of that resource.
    run: String,
}

impl Lived {
    /// A project with one provisioned resource, and a request that waits.
    async fn new() -> Self {
        let app = crate::http::testkit::TestApp::new().await;
        let ask = |name: &str, spec: serde_json::Value| {
            let arguments = serde_json::json!({"service": "local-demo", "name": name, "spec": spec});
            let path = format!("/api/projects/{}/resources", app.project);
            let owner = app.owner.clone();
            async move { owner.post(&path, arguments).await.json() }
        };
        let done = ask("done", serde_json::json!({})).await;
        app.settle().await;
        let waits = ask("waits", serde_json::json!({"approval": "human", "monthly_usd": 12.5})).await;
        app.settle().await;
        let text = |value: &serde_json::Value, pointer: &str| {
            value
                .pointer(pointer)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_else(|| panic!("{pointer} in {value}"))
                .to_owned()
        };
        let resource = text(&done, "/resource/resource_id");
        let runs = app.owner.get(&format!("/api/projects/{}/resources/{resource}/runs", app.project)).await.json();
        Self { pending: text(&waits, "/request/request_id"), run: text(&runs, "/items/0/run_id"), resource, app }
    }

    fn browser(&self) -> Browser {
        Browser::new(self.app.router.clone())
    }

    async fn signed_in(&self, username: &str) -> Browser {
        let mut browser = self.browser();
        let page = browser.open("/").await;
        let page = browser
            .send(&page, "/sign-in", &[("username", username), ("password", crate::http::testkit::PASSWORD)])
            .await;
        assert_eq!(page.status, 200, "{}", page.html);
        browser
    }

    /// The page of an account.
    async fn user_page(&self) -> String {
        let users = self.app.admin.get("/api/users").await.json();
        format!("/users/{}", users["items"][0]["id"].as_str().unwrap())
    }

    /// Pages of the project and of what belongs to it.
    fn project_pages(&self) -> Vec<String> {
        let project = &self.app.project;
        let of = |tail: &str| format!("/projects/{project}{tail}");
        let mut pages: Vec<String> = [
            "",
            "/resources",
            "/resources?all=1",
            "/requests",
            "/keys",
            "/secrets",
            "/audit",
            "/settings",
            "/ask",
            "/ask/local-demo",
        ]
        .map(of)
        .into();
        pages.extend([
            format!("/projects/{project}/ask/local-demo?resource={}", self.resource),
            format!("/requests/{}", self.pending),
            format!("/resources/{}", self.resource),
            format!("/runs/{}", self.run),
        ]);
        pages
    }
}
