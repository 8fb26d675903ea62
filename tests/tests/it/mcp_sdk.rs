//! The official MCP client, which is not ours, does the main job.

use asgard_lib::app::operations::OPERATIONS;
use asgard_tests::{Peers, Site};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path, process::Command};

#[test]
fn the_official_client_does_the_main_job() {
    let site = Site::sqlite().armed();
    let server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("SDK");
    let key = cast.key(&project);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp-client/run.mjs");
    let output = Command::new(&Peers::get().node)
        .arg(script)
        .args([&format!("{}/mcp", server.base()), key.credential(), cast.manager.pat.credential()])
        .env("ASGARD_TEST_NODE_DIR", &Peers::get().node_dir)
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(found["project"], project.as_str());
    let listed: BTreeSet<&str> = found["tools"].as_array().expect("tools").iter().filter_map(Value::as_str).collect();
    let operations: BTreeSet<&str> = OPERATIONS.iter().flat_map(|entry| entry.meta.tools.iter().copied()).collect();
    assert_eq!(listed, operations, "the client sees every tool");
    site.assert_kept(&[found["secret"].as_str().expect("the secret").to_owned()]);
    site.assert_no_orphans();
}
