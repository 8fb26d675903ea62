use crate::http::testkit::TestApp;

#[tokio::test]
async fn smoke() {
    let app = TestApp::new().await;
    for (name, client, path) in [
        ("anon", &app.anonymous, "/healthz"),
        ("anon", &app.anonymous, "/readyz"),
        ("anon", &app.anonymous, "/api/projects"),
        ("anon", &app.anonymous, "/api/auth/config"),
        ("owner", &app.owner, "/api/projects"),
        ("owner", &app.owner, "/api/projects?limit=x"),
        ("key", &app.key, "/api/projects"),
        ("pat", &app.pat, "/api/auth/me"),
        ("admin", &app.admin, "/api/users"),
        ("fin", &app.finance, "/api/projects"),
        ("admin", &app.admin, "/metrics"),
    ] {
        assert!(client.get(path).await.status.as_u16() < 500, "{name} {path}");
    }
}
