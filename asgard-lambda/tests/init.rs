//! The init of a task's container. One test in a process of its own: it reaps whatever ends.
#![allow(clippy::unwrap_used, reason = "a test that is surprised should fail where it is")]

use asgard_lib::runtime::init::mind;
use rustix::process::{Signal, getpid, kill_process, set_child_subreaper};
use std::{process::Command, time::Duration};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn zombies() -> usize {
    let me = getpid().as_raw_nonzero().get().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            let rest: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            rest.first() == Some(&"Z") && rest.get(1) == Some(&me.as_str())
        })
        .count()
}

#[tokio::test]
async fn it_hands_signals_on_reaps_what_is_left_behind_and_ends_as_the_work_did() {
    // What children leave behind comes to this process, as it does to the first of a container.
    set_child_subreaper(Some(getpid())).unwrap();
    assert_eq!(mind(&mut shell("exit 7")).await.unwrap(), 7);
    assert_eq!(mind(&mut shell("kill -KILL $$")).await.unwrap(), 128 + 9);
    assert_eq!(mind(&mut shell("(sleep 0.2 &); (exit 3 &); sleep 0.6; exit 5")).await.unwrap(), 5);
    assert_eq!(zombies(), 0, "orphans were not reaped");

    let mut patient = shell("trap 'exit 9' TERM; while :; do sleep 0.05; done");
    let telling = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        kill_process(getpid(), Signal::TERM).unwrap();
    };
    let (code, ()) = tokio::join!(mind(&mut patient), telling);
    assert_eq!(code.unwrap(), 9);
    assert!(mind(&mut Command::new("/nowhere/at/all")).await.is_err());
}
