//! An operation of the host's own on every surface.

use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method, operations::Entry},
    domain::access::{Action, Object},
    error::Result,
    http::testkit::TestApp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Counts the services of a cloud.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountServices {
    /// The cloud, as services name it.
    cloud: String,
}

/// How many there are.
#[derive(Debug, Serialize, JsonSchema)]
struct Counted {
    /// The number of services.
    services: usize,
}

impl SimpleOperation for CountServices {
    type Output = Counted;
    const META: Meta =
        Meta::new("acme.count_services", "Count services", "How many services a cloud has.", Action::ReadServices)
            .routes(&[Route::new(Method::Get, "/acme/clouds/{cloud}/services", 200)])
            .tools(&["acme_count_services"])
            .hints(Hints::READ);

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Counted> {
        tx.allow(Action::ReadServices, &Object::Nothing)?;
        let services = tx.app().services().iter().filter(|service| service.manifest.cloud.as_str() == self.cloud);
        Ok(Counted { services: services.count() })
    }
}

#[tokio::test]
async fn it_is_a_route_a_tool_and_described_like_the_shipped_ones() {
    let app = TestApp::operating(vec![Entry::of::<CountServices>()]).await;
    let path = "/api/acme/clouds/local/services";
    let counted = app.owner.get(path).await;
    assert_eq!((counted.status.as_u16(), counted.json()), (200, json!({"services": 2})), "{}", counted.text());
    assert_eq!(app.key.tool("acme_count_services", json!({"cloud": "local"})).await.unwrap(), json!({"services": 2}));
    let typed = app.key.tool("acme_count_services", json!({"clod": "local"})).await.unwrap_err();
    assert_eq!((&typed["code"], &typed["field"]), (&json!("invalid-input"), &json!("clod")));

    // Who may is asked as always.
    assert_eq!(app.anonymous.get(path).await.status, 401);
    assert_eq!(app.finance.get(path).await.status, 403);

    let document = app.anonymous.get("/api/openapi.json").await.json();
    let described = &document["paths"]["/api/acme/clouds/{cloud}/services"]["get"];
    assert_eq!(described["summary"], "Count services");
    assert_eq!(described["tags"], json!(["acme"]));
    assert!(app.anonymous.get("/docs").await.text().contains("Count services"));
    let tools = app.key.rpc("tools/list", json!({})).await.json();
    let tools = tools["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "acme_count_services" && tool["title"] == "Count services"));
    assert!(app.admin.get("/metrics").await.text().contains("operation=\"acme.count_services\""));

    let plain = TestApp::new().await;
    assert_eq!(plain.owner.get(path).await.status, 404, "another Asgard in the same process does not have it");
}
