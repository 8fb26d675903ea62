//! The task's program, as ECS starts it: what it refuses, and what it does when there is nothing to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that is surprised should fail where it is")]

mod support;

use std::process::Command;
use support::Place;

const RUN: &str = "run_01arz3ndektsv4rrffq69g5fav";

fn runner(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.args(arguments).env_clear().envs(environment.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn it_says_what_is_wrong_and_names_it() {
    for arguments in [&[][..], &["run"], &[RUN, "more"]] {
        let (code, said) = runner(arguments, &[]);
        assert!(code == Some(2) && said.contains("id of the run") || said.contains("id of a run"), "{said}");
    }
    let place = Place::new(&[]).await;
    let url = format!("sqlite://{}/asgard.db", place.folder.path().display());
    let unarmed = [("ASGARD_DATABASE_URL", url.as_str())];
    let (code, said) = runner(&[RUN], &unarmed);
    assert!(code == Some(1) && said.contains("ASGARD_TF_MODULES_DIR"), "{said}");

    // Armed, with a run that is not there: nothing is started, and the log is one object a line.
    let modules = format!("{}/../modules", env!("CARGO_MANIFEST_DIR"));
    let armed = [
        ("ASGARD_DATABASE_URL", url.as_str()),
        ("ASGARD_TF_MODULES_DIR", modules.as_str()),
        ("ASGARD_TF_WORK_DIR", place.folder.path().to_str().unwrap()),
        ("ASGARD_LOG_FORMAT", "json"),
        ("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:1/v4/x"),
    ];
    let (code, said) = runner(&[RUN], &armed);
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["run.id"], RUN, "{said}");
    assert!(
        last["why"].as_str().unwrap().contains("no run") || last["why"].as_str().unwrap().contains("run"),
        "{said}"
    );
}
