//! What all that becomes of one request writes, counted by the store, against the page that says what it costs.

use crate::{
    app::{
        periodic::{Next, PeriodicTask, SealAudit},
        rows::{KeepRows, RequestRows},
        testkit::{Kit, OWNER},
        worker,
    },
    domain::request::RequestStatus,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst, time::Duration};

const COSTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deploy-serverless.md");

/// The items that were written since, by kind, and the commits that wrote them.
fn since(kit: &Kit, before: &BTreeMap<&'static str, usize>) -> BTreeMap<&'static str, usize> {
    let now = kit.faulty.fault.written.lock().unwrap().clone();
    let more = now.into_iter().map(|(kind, items)| (kind, items - before.get(kind).copied().unwrap_or(0)));
    more.filter(|(_, items)| *items > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn the_costs_page_counts_what_a_requests_whole_life_writes() {
    let kit = Kit::dry().await;
    kit.enrol(OWNER).await;
    let rows = KeepRows::<RequestRows>::default();
    let settle = async || {
        kit.pass(Duration::from_secs(60));
        while SealAudit.run(&kit.app).await.unwrap() == Next::Again {}
        while rows.run(&kit.app).await.unwrap() == Next::Again {}
    };
    settle().await;
    let before = kit.faulty.fault.written.lock().unwrap().clone();
    let indexed = kit.faulty.fault.indexed.lock().unwrap().1;
    let reads = kit.faulty.fault.calls.load(SeqCst);
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    for _ in 0..20 {
        worker::run_due(&kit.app).await.unwrap();
        kit.pass(Duration::from_secs(5));
    }
    assert_eq!(kit.request(&id).await.status, RequestStatus::Fulfilled);
    settle().await;
    let written = since(&kit, &before);
    let calls = kit.faulty.fault.calls.load(SeqCst) - reads;
    let indexed = kit.faulty.fault.indexed.lock().unwrap().1 - indexed;
    let (commits, items) = (written["marker"], written.values().sum::<usize>());
    let shown: Vec<String> = written.iter().map(|(kind, items)| format!("{kind} {items}")).collect();
    let reads = calls - i64::try_from(commits).unwrap();
    let shown = shown.join(", ");
    let counted = format!(
        "Its whole life is {items} items in {commits} commits ({shown}), {indexed} entries of indices, and {reads} reads."
    );
    let page = std::fs::read_to_string(COSTS).unwrap();
    let page = page.lines().collect::<Vec<_>>().join(" ");
    assert!(page.contains(&counted), "the page is to say: {counted}");
}
