//! Following the event feed across restarts: what the company has counted is what the audit log holds, each event once.

use crate::running::{Client, Program, Running, cookie, folder, registration};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(30);

type Counts = BTreeMap<String, u64>;

fn admin() -> String {
    cookie("root", &["asgard-admins"])
}

async fn counted(client: &Client) -> (Counts, Value) {
    let shown = client.get("/activity", &[("cookie", &admin())]).await.json();
    (serde_json::from_value(shown["activity"]["counts"].clone()).unwrap(), shown)
}

async fn audited(client: &Client) -> Counts {
    let (mut counts, mut next) = (Counts::new(), String::new());
    loop {
        let page = client.get(&format!("/governance/api/audit?limit=100{next}"), &[("cookie", &admin())]).await.json();
        for event in page["items"].as_array().unwrap() {
            *counts.entry(event["action"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return counts,
        }
    }
}

async fn register(client: &Client) {
    let made = client.post("/governance/api/projects", &cookie("ann", &[]), &registration()).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// Waits until everything is counted that the audit log holds. One event too many would never be.
async fn settles(client: &Client, when: &str) -> Counts {
    let start = Instant::now();
    loop {
        let ((counts, shown), audited) = (counted(client).await, audited(client).await);
        if counts == audited {
            assert_eq!((&shown["failure"], &shown["activity"]["incomplete"]), (&Value::Null, &json!(false)), "{when}");
            let latest = shown["activity"]["latest"].as_array().unwrap();
            assert!(latest.windows(2).all(|two| two[0]["seq"].as_u64() < two[1]["seq"].as_u64()), "{when}: {shown}");
            return counts;
        }
        assert!(start.elapsed() < PATIENCE, "{when}: counted {counts:#?}\nand the audit log has {audited:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Changes a field of the file.
fn change(data: &Path, field: &str, value: Value) {
    let file = data.join("activity.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    kept[field] = value;
    fs::write(&file, kept.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice_wherever_the_service_is_stopped() {
    let folder = folder();
    // Stopped before anything could be read, after some of it, and with more to come.
    let service = Running::start(folder.path()).await;
    register(&service).await;
    service.stop().await;
    let service = Running::start(folder.path()).await;
    settles(&service, "what was committed before the restart").await;
    register(&service).await;
    register(&service).await;
    service.stop().await;
    let copy = fs::read(folder.path().join("activity.json")).unwrap();
    let service = Running::start(folder.path()).await;
    register(&service).await;
    let counts = settles(&service, "after the second restart").await;
    assert_eq!(counts["project.registered"], 4);
    service.stop().await;

    // The company's file comes back from a copy that is older than Asgard's database.
    fs::write(folder.path().join("activity.json"), copy).unwrap();
    let service = Running::start(folder.path()).await;
    assert_eq!(settles(&service, "from an older copy").await["project.registered"], 4);
    service.stop().await;

    // The feed gives everything once more.
    change(folder.path(), "position", json!("ev1-1-0"));
    let service = Running::start(folder.path()).await;
    register(&service).await;
    assert_eq!(settles(&service, "after everything came again").await["project.registered"], 5);

    // Whoever may not read the audit log does not read what follows from it.
    assert_eq!(service.get("/activity", &[("cookie", &cookie("ann", &[]))]).await.status, 403);
    assert_eq!(service.get("/activity", &[("cookie", &cookie("fin", &["finance"]))]).await.status, 200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_goes_on_where_it_was() {
    let folder = folder();
    for pause in [0, 2500, 4000] {
        let program = Program::start(folder.path()).await;
        register(&program.client).await;
        sleep(Duration::from_millis(pause)).await;
        register(&program.client).await;
        program.kill().await;
    }
    let program = Program::start(folder.path()).await;
    assert_eq!(settles(&program.client, "after three kills").await["project.registered"], 6);
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_is_not_begun_again() {
    let folder = folder();
    fs::write(folder.path().join("activity.json"), "{}").unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let sessions = embed_axum::session::Sessions::new(crate::running::KEY);
    let refused = embed_axum::service::Service::open(folder.path(), address, sessions).await;
    assert!(refused.is_err_and(|error| error.message().starts_with("What the company has counted")));
}
