//! The task's program, as ECS starts it: what it refuses, and what it does when there is nothing to do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use crate::support::Place;
use asgard_lib::runtime::init;
use std::{
    fs,
    io::ErrorKind,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

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

/// Killed when dropped, with the child that it is the init of.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        for child in children(self.0.id()) {
            let pid = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Whom the system gives the environment of a process to: its own user, or root once it is closed.
fn environ_is_of(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < give_up, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_first_process_of_a_container_and_its_child_are_closed_to_modules() {
    let folder = tempfile::tempdir().unwrap();
    // Root may read everything, and the folder that the programs are in may be closed to others.
    let (root, nobody) = (rustix::process::geteuid().is_root(), 65534);
    let program = folder.path().join("runner");
    let built = env!("CARGO_BIN_EXE_runner");
    fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
    let started = |program: &Path, name: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg0(name).args(arguments).current_dir(folder.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("ASGARD_SECRET_KEY", "c3".repeat(32)).env("ASGARD_TF_MODULES_DIR", "/");
        // Nobody answers there, and it is waited for.
        command.env("ASGARD_DATABASE_URL", "postgres://asgard@127.0.0.1:1/asgard");
        if root {
            command.uid(nobody).gid(nobody);
        }
        loop {
            match command.spawn() {
                // A copy is busy while a process that another test starts at this moment has it open.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
                started => return Killed(started.unwrap()),
            }
        }
    };
    if root {
        chown(folder.path(), Some(nobody), Some(nobody)).unwrap();
    }
    let open = started(Path::new("/bin/sleep"), "sleep", &["60"]);
    until("another program's environment is its user's", || environ_is_of(open.0.id()) != 0);

    let first = started(&program, init::NAME, &[RUN]);
    until("no child", || children(first.0.id()).len() == 1);
    assert_eq!(environ_is_of(first.0.id()), 0, "modules can read the environment of the first process");
    let child = children(first.0.id())[0];
    until("modules can read the environment of the runner", || environ_is_of(child) == 0);
    assert!(children(child).is_empty(), "the child is no init");
}
