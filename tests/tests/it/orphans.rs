//! Terraform without anybody who answers for it: its supervisor and its server are killed or stopped, or what its life hangs on is.
//! Whoever takes the run over finds nobody at work, and nothing is made by two.

use crate::job::{ask, request_id, running, runs, story, text};
use asgard_tests::{Cloud, Process, Server, Site, alive, eventually, eventually_within, overlay};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// As long as a machine may take that is busy with other tests. The lease lasts much longer.
const SOON: Duration = Duration::from_secs(40);

/// A site with a service that works until somebody ends it, and an apply of it that is at work.
struct Scene {
    cloud: Cloud,
    site: Site,
    server: Server,
    owner: asgard_tests::Client,
    resource: Value,
    request: String,
    /// What the Terraform at work says.
    worker: String,
}

impl Scene {
    fn new(site: Site, lease: &str) -> Self {
        let cloud = Cloud::new();
        let services = site.dir().join("services");
        overlay(&services, "restless", &[("exec sleep ${local.step_seconds}", &cloud.work())]);
        let yaml = format!("{lease}reconcile_secs: 5\nprovisioning: {{ services_dir: {} }}\n", services.display());
        let site = site.armed().yaml(&yaml);
        let server = site.start();
        let cast = site.cast(&server);
        let key = cast.key(&cast.project("Orphans"));
        let asked = ask(&key, "restless", "restless", &json!({"seconds": 1}));
        let owner = cast.owner.session;
        running(&owner, &asked["resource"], "apply");
        let worker = cloud.somebody_but(&[], SOON);
        Self { cloud, site, server, owner, resource: asked["resource"].clone(), request: request_id(&asked), worker }
    }

    fn the(&self, what: &str, found: Vec<Process>) -> Process {
        assert_eq!(found.len(), 1, "one {what}: {found:#?}");
        found[0].clone()
    }

    fn supervisor(&self) -> Process {
        self.the("supervisor", self.site.supervisors())
    }

    fn guard(&self) -> Process {
        self.the("guard", self.site.guards())
    }

    fn printed(&self) -> String {
        let run = Path::new(&self.worker).parent().expect("the home is in the run's folder").to_owned();
        fs::read_to_string(run.join("apply.out")).unwrap_or_default()
    }

    /// Nobody worked for as long as another one did.
    fn assert_one_after_the_other(&self) {
        let heard = self.cloud.heard();
        let last = heard.iter().rposition(|(_, who)| *who == self.worker).expect("it has worked");
        let other =
            heard.iter().position(|(_, who)| !who.is_empty() && *who != self.worker).expect("another one works");
        assert!(last < other, "two worked at once");
    }
}

#[test]
fn terraform_ends_with_its_supervisor_and_its_server() {
    let mut scene = Scene::new(Site::sqlite(), "");
    let (supervisor, guard) = (scene.supervisor(), scene.guard());
    scene.server.kill();
    assert!(supervisor.signal(Signal::KILL));
    let killed = Instant::now();
    let last = scene.cloud.silent_within(SOON);
    assert!(last - killed < SOON);
    eventually_within(SOON, "the guard ends when there is nothing left to guard", || {
        (!alive(&guard) && scene.site.processes().is_empty()).then_some(())
    });
    assert!(scene.printed().contains("Interrupt received"), "it was asked to end first: {}", scene.printed());

    // Nobody applied meanwhile, and the rest goes on.
    scene.server = scene.site.start();
    let owner = scene.owner.at(scene.server.base());
    scene.cloud.somebody_but(std::slice::from_ref(&scene.worker), SOON);
    scene.assert_one_after_the_other();
    assert_eq!(
        story(&runs(&owner, &scene.resource)),
        ["plan succeeded", "apply interrupted", "plan succeeded", "apply running"]
    );
}

#[test]
fn killing_the_guard_ends_terraform_and_the_run_goes_on_with_another() {
    let scene = Scene::new(Site::sqlite(), "");
    let terraform = scene.the("terraform", scene.site.terraforms("apply"));
    assert!(scene.guard().signal(Signal::KILL));
    eventually_within(SOON, "the kernel ends Terraform with its guard", || (!alive(&terraform)).then_some(()));
    scene.cloud.somebody_but(std::slice::from_ref(&scene.worker), SOON);
    scene.assert_one_after_the_other();
    assert_eq!(
        story(&runs(&scene.owner, &scene.resource)),
        ["plan succeeded", "apply interrupted", "plan succeeded", "apply running"]
    );
}

#[test]
fn killing_server_supervisor_and_guard_at_once_ends_terraform() {
    let mut scene = Scene::new(Site::sqlite(), "");
    let terraform = scene.the("terraform", scene.site.terraforms("apply"));
    let all = [scene.server.process(), scene.supervisor(), scene.guard()];
    all.iter().for_each(|process| assert!(process.signal(Signal::KILL)));
    eventually_within(SOON, "the kernel ends Terraform with its guard", || (!alive(&terraform)).then_some(()));
    scene.server.kill();
}

#[test]
fn a_guard_that_is_asked_to_end_does_not() {
    let scene = Scene::new(Site::sqlite(), "");
    let guard = scene.guard();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        assert!(guard.signal(signal));
    }
    scene.owner.post(&format!("/api/requests/{}/cancel", scene.request), &json!({})).ok();
    let over = scene.owner.settled(&scene.request);
    assert_eq!(text(&over, "status"), "cancelled", "{over:#}");
    scene.site.assert_no_orphans();
    scene.site.assert_no_leftovers();
}

/// The guard by itself, with a supervisor that is there and says nothing more, as one that was stopped.
#[test]
fn a_guard_that_hears_nothing_ends_what_it_guards_at_the_deadline() {
    let site = Site::sqlite();
    let root = site.work_dir().join("run_00000000000000000000000001");
    for folder in ["module", "home", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let until = Duration::from_secs_f64(uptime + 6.0).as_millis();
    // One that does not listen, with a child that hides from its group, its folder and its environment.
    let time = format!("4242.{}", std::process::id());
    let script =
        "trap 'echo int' INT; (cd / && exec env -i setsid /bin/sh -c 'trap \"\" INT TERM; exec sleep TIME') & \
                  while :; do sleep 0.1; done"
            .replace("TIME", &time);
    let order = json!({
        "root": root, "step": "apply", "program": "/bin/sh", "args": ["-c", script],
        "environment": [["HOME", root.join("home")], ["PATH", "/usr/bin:/bin"]],
        "confinement": {"read": [], "write": [root.join("module")], "closed": []},
        "grace": {"secs": 600, "nanos": 0}, "until": until, "wind_down": {"secs": 3, "nanos": 0},
    });
    let mut guard = site.command(&[]);
    let program = guard.get_program().to_owned();
    guard = Command::new(program);
    guard
        .args(["internal-guard", "run_00000000000000000000000001"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let began = Instant::now();
    let mut child = guard.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{order}").unwrap();
    let hidden = || {
        let sleeps = |entry: fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Process::of(pid).filter(|process| process.command == ["sleep", time.as_str()])
        };
        fs::read_dir("/proc").unwrap().flatten().find_map(sleeps)
    };
    let child_of_it = eventually("it works", hidden);
    let said = child.wait_with_output().unwrap();
    let took = began.elapsed();
    drop(stdin);
    assert!((Duration::from_secs(4)..Duration::from_secs(12)).contains(&took), "{took:?}");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("\"started\"") && said.contains("\"signal\":9"), "{said}");
    assert_eq!(fs::read_to_string(root.join("apply.out")).unwrap(), "int\nint\n", "interrupted twice, then killed");
    assert!(!alive(&child_of_it), "what hides is found, because it descends from what was started");
}

/// The whole of it: a supervisor that is stopped while its lease runs out, and another machine that takes over.
#[test]
#[ignore = "a lease has to run out twice: three minutes"]
fn another_machine_takes_over_when_nobody_works_any_more() {
    for stop in [Signal::KILL, Signal::STOP] {
        let mut scene = Scene::new(Site::postgres(), "lease_ttl_secs: 60\n");
        let mut elsewhere = Server::start_elsewhere(&scene.site);
        let supervisor = scene.supervisor();
        let stopped = Instant::now();
        scene.server.kill();
        assert!(supervisor.signal(stop));
        let last = scene.cloud.silent_within(Duration::from_secs(60));
        assert!(last - stopped < Duration::from_secs(52), "{stop:?}: it was at work until {:?} after", last - stopped);
        let owner = scene.owner.at(elsewhere.base());
        let before = runs(&owner, &scene.resource);
        assert_eq!(story(&before), ["plan succeeded", "apply running"], "nobody has taken over yet");
        // What another namespace cannot see it cannot take for ended, but the lease says that it has.
        scene.cloud.somebody_but(std::slice::from_ref(&scene.worker), Duration::from_secs(120));
        scene.assert_one_after_the_other();
        // The one that was stopped wakes up and finds that it has lost everything.
        if alive(&supervisor) {
            supervisor.signal(Signal::CONT);
            eventually_within(SOON, "it ends", || (!alive(&supervisor)).then_some(()));
        }
        scene.assert_one_after_the_other();
        elsewhere.kill();
    }
}
