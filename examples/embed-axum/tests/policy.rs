//! The company's policy beside Asgard's own rules.

use crate::running::{Client, Running, cookie, folder};
use serde_json::{Value, json};

async fn ask(client: &Client, key: &str, floor: u8) -> Result<Value, Value> {
    let ask = json!({"service": "desk", "name": format!("desk-{floor}"), "spec": {"floor": floor}});
    let asked = client.agent(key, "request_resource", ask).await?;
    let get = json!({"request_id": asked["request"]["request_id"], "wait_s": 20});
    client.agent(key, "get_request", get).await
}

/// What decided about a request's plan.
async fn explained(client: &Client, key: &str, request: &Value) -> (Value, Value) {
    let id = json!({"request_id": request["request_id"]});
    let explained = client.agent(key, "explain_request", id).await.unwrap();
    let judgements = explained["judgements"].as_array().unwrap();
    (judgements.iter().find(|judged| judged["moment"] == "planned").unwrap().clone(), explained)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_company_says_no_asks_for_more_and_never_for_less_than_asgard() {
    let folder = folder();
    let service = Running::start(folder.path()).await;
    let (_, key) = service.project().await;
    let (bob, root) = (cookie("bob", &[]), cookie("root", &["asgard-admins"]));

    let (passed, _) = explained(&service, &key, &ask(&service, &key, 3).await.unwrap()).await;
    assert_eq!(passed["answer"], "allow", "{passed}");

    // It says no, why, and who could change that.
    let refused = ask(&service, &key, 7).await.unwrap_err();
    assert_eq!(refused["code"], "policy-denied", "{refused}");
    let message = refused["message"].as_str().unwrap();
    for part in ["Floor 7 is being rebuilt.", "The facilities team says", "(Rule company.floor-rebuilt.)"] {
        assert!(message.contains(part), "{part}: {message}");
    }

    // It asks an admin where Asgard's rules ask nobody; the project's manager is not enough.
    let request = ask(&service, &key, 9).await.unwrap();
    assert_eq!(request["status"], "pending", "{request}");
    let (asked, _) = explained(&service, &key, &request).await;
    assert_eq!((&asked["answer"], &asked["rule"]), (&json!("ask"), &json!("company.management-floor")), "{asked}");
    assert_eq!(asked["approvers"], json!([{"kind": "admin"}]));
    let path = |request: &Value, end: &str| {
        format!("/governance/api/requests/{}/{end}", request["request_id"].as_str().unwrap())
    };
    let manager = service.get(&path(&request, "explain"), &[("cookie", &bob)]).await.json();
    assert_eq!(manager["approval"]["you_may"], false, "{manager}");
    assert_eq!(service.post(&path(&request, "approve"), &bob, &json!({})).await.status, 403);
    let approved = service.post(&path(&request, "approve"), &root, &json!({})).await;
    assert_eq!(approved.status, 200, "{}", approved.body);
    let get = json!({"request_id": request["request_id"], "wait_s": 20});
    assert_eq!(service.agent(&key, "get_request", get).await.unwrap()["status"], "fulfilled");

    // It has nothing against floor 8, and Asgard asks all the same, because the manifest wants a person.
    let request = ask(&service, &key, 8).await.unwrap();
    assert_eq!(request["status"], "pending", "{request}");
    let (asked, explained) = explained(&service, &key, &request).await;
    assert_eq!((&asked["answer"], &asked["rule"]), (&json!("ask"), &json!("approval.wanted")), "{explained}");
    assert_eq!(asked["approvers"], json!([{"kind": "manager_or_admin"}]));
    service.stop().await;
}
