//! kill -9 in the middle of an apply: of the server, of the supervisor, of Terraform, of everything at once. What had been
//! decided is carried out once, what had been written is kept, and nothing is left running.

use crate::job::{all, ask, committed, fulfilled, log, request_id, running, runs, story, text, the_resource};
use asgard_tests::{Cast, Client, Peers, Process, Server, Site, alive, eventually, eventually_within, overlay};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Supervisor,
    Terraform,
    All,
}

#[test]
fn killing_the_server_does_not_kill_a_run() {
    kill_again_and_again(&Site::sqlite().armed().yaml(OFTEN), Victim::Server);
}

#[test]
fn killing_the_supervisor_loses_nothing() {
    kill_again_and_again(&Site::postgres().armed().yaml(OFTEN), Victim::Supervisor);
}

#[test]
fn killing_terraform_loses_nothing() {
    kill_again_and_again(&Site::sqlite().armed().yaml(OFTEN), Victim::Terraform);
}

#[test]
fn killing_everything_at_once_loses_nothing() {
    kill_again_and_again(&Site::postgres().armed().yaml(OFTEN), Victim::All);
}

const SECONDS: u64 = 2;
/// What a killed server would have cleared away is cleared away at the next look around.
const OFTEN: &str = "reconcile_secs: 5\n";

/// What the tests go on with after a server was killed.
struct Scene<'a> {
    site: &'a Site,
    server: Server,
    cast: Cast,
    key: Client,
    project: String,
}

impl<'a> Scene<'a> {
    fn new(site: &'a Site) -> Self {
        let server = site.start();
        let cast = site.cast(&server);
        let project = cast.project("Killed");
        let key = cast.key(&project);
        Self { site, server, cast, key, project }
    }

    fn restart(&mut self) {
        self.server = self.site.start();
        self.cast = self.cast.at(self.server.base());
        self.key = self.key.at(self.server.base());
    }

    fn owner(&self) -> &Client {
        &self.cast.owner.session
    }

    /// Asks for a demo and waits until its apply is under way.
    fn apply(&self, service: &str, name: &str, seconds: u64) -> (String, Value, Instant) {
        let asked = ask(&self.key, service, name, &json!({"seconds": seconds, "monthly_usd": 1}));
        let resource = asked["resource"].clone();
        running(self.owner(), &resource, "apply");
        (request_id(&asked), resource, Instant::now())
    }

    /// The processes to kill; none when the apply is over already.
    fn targets(&self, victim: Victim) -> Vec<Process> {
        match victim {
            Victim::Server => vec![self.server.process()],
            Victim::Supervisor => self.site.supervisors(),
            Victim::Terraform => self.site.terraforms("apply"),
            Victim::All => self.site.processes(),
        }
    }
}

fn kill_again_and_again(site: &Site, victim: Victim) {
    let mut scene = Scene::new(site);
    // Once undisturbed, to know how long it takes here and now.
    let (request, resource, start) = scene.apply("local-demo", "undisturbed", SECONDS);
    fulfilled(scene.owner(), &request);
    let took = start.elapsed();
    assert_eq!(story(&runs(scene.owner(), &resource)), ["plan succeeded", "apply succeeded"]);

    let points = Peers::get().kills;
    for point in 0..points {
        let mut part = (f64::from(point) + 0.5) / f64::from(points);
        let mut tries = 0;
        // A machine may be faster than it was; then there is nothing to kill, and it is tried earlier.
        while !kill_once(&mut scene, victim, &format!("demo-{point}-{tries}"), took.mul_f64(part)) {
            part *= 0.7;
            tries += 1;
            assert!(tries < 5, "there was nothing to kill, five times over");
        }
    }

    let demos = all(scene.owner(), &format!("/api/projects/{}/resources", scene.project));
    assert!(demos.iter().all(|demo| demo["status"] == "provisioned"), "{demos:#?}");
    assert_eq!(
        committed(scene.owner(), &scene.project),
        f64::from(u32::try_from(demos.len()).unwrap()),
        "a dollar each"
    );
    let ids: BTreeSet<&str> = demos.iter().map(|demo| text(&demo["outputs"], "id")).collect();
    assert_eq!(ids.len(), demos.len(), "every demo is one of its own");
    site.assert_no_orphans();
    site.assert_no_leftovers();
    let tokens: Vec<String> = demos
        .iter()
        .map(|demo| text(&scene.key.secret(text(&demo["secret_refs"]["token"], "name"), None).ok(), "value").to_owned())
        .collect();
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), tokens.len());
    site.assert_kept(&tokens);
}

/// `false` when the apply was over before anything was killed.
fn kill_once(scene: &mut Scene<'_>, victim: Victim, name: &str, after: Duration) -> bool {
    let (request, resource, start) = scene.apply("local-demo", name, SECONDS);
    sleep(after.saturating_sub(start.elapsed()));
    // Early in an apply there may be no Terraform yet: it is killed as soon as there is one.
    let targets = eventually("there is something to kill, or the apply is over", || {
        let targets = scene.targets(victim);
        let underway = runs(scene.owner(), &resource).last().is_some_and(|run| run["status"] == "running");
        (!underway || !targets.is_empty()).then(|| if underway { targets } else { Vec::new() })
    });
    if targets.is_empty() {
        fulfilled(scene.owner(), &request);
        return false;
    }
    let killed = targets.iter().filter(|target| target.signal(Signal::KILL)).count();
    if killed == 0 {
        // It ended between the look and the kill.
        fulfilled(scene.owner(), &request);
        return false;
    }
    if matches!(victim, Victim::Server | Victim::All) {
        scene.server.kill();
        scene.restart();
    }
    let over = scene.owner().settled_within(Duration::from_secs(60), &request);
    assert_eq!(over["status"], "fulfilled", "{victim:?}, {after:?} into the apply: {over:#}");
    let after_kill = runs(scene.owner(), &resource);
    if story(&after_kill).iter().filter(|run| *run == "apply succeeded").count() == 1 && after_kill.len() == 2 {
        // Either it was meant to go on undisturbed, or it ended between the look and the kill.
        let attempts: Vec<u64> = after_kill.iter().filter_map(|run| run["attempts"].as_u64()).collect();
        assert_eq!(attempts, [1, 1], "{after_kill:#?}");
        check_one(scene, name, &after_kill);
        return victim == Victim::Server;
    }
    assert_ne!(victim, Victim::Server, "a killed server must not disturb a run: {:?}", story(&after_kill));
    check_rest(scene, &after_kill);
    check_one(scene, name, &after_kill);
    true
}

/// One resource, one successful apply, no open run, one token that stays.
fn check_one(scene: &Scene<'_>, name: &str, runs_after: &[Value]) {
    let resource = the_resource(scene.owner(), &scene.project, name);
    assert_eq!(text(&resource, "status"), "provisioned", "{resource:#}");
    assert!(resource.get("attention").is_none(), "{resource:#}");
    let story = story(runs_after);
    assert_eq!(story.iter().filter(|run| *run == "apply succeeded").count(), 1, "{story:?}");
    assert!(runs_after.iter().all(|run| run["finished_at"].is_string()), "no run is open: {story:?}");
    let secrets = all(scene.owner(), &format!("/api/projects/{}/secrets", scene.project));
    let own: Vec<&Value> = secrets.iter().filter(|secret| secret["resource_id"] == resource["resource_id"]).collect();
    assert_eq!(own.len(), 1, "{own:#?}");
    assert_eq!(own[0]["version"], 1, "the token was stored once");
    // The same again finds it as asked: nothing is planned, nothing runs.
    let again = ask(&scene.key, "local-demo", name, &json!({"seconds": SECONDS, "monthly_usd": 1}));
    assert_eq!(again["changed"], false, "{again:#}");
}

/// After an interruption only the rest is made: what the log of the interrupted apply says is finished is not planned again,
/// unless the run says that it may exist. Terraform tells of the end of a step a moment before it writes the state; the steps
/// follow each other, so a kill in that moment concerns one.
fn check_rest(scene: &Scene<'_>, runs_after: &[Value]) {
    let story = story(runs_after);
    let first = runs_after.iter().position(|run| run["op"] == "apply").expect("an apply");
    assert!(matches!(text(&runs_after[first], "status"), "interrupted" | "failed"), "{story:?}");
    let mut finished: BTreeSet<String> = log(scene.owner(), &runs_after[first])
        .iter()
        .filter(|line| line["kind"] == "apply_complete")
        .map(|line| text(line, "address").to_owned())
        .collect();
    let told = finished.len();
    let may_exist = runs_after[first]["may_exist"].as_array().map(Vec::as_slice).unwrap_or_default();
    finished.retain(|address| !may_exist.iter().any(|other| other == address.as_str()));
    assert!(told <= finished.len() + 1, "finished and not recorded: {may_exist:?}; {story:?}");
    let rest = runs_after[first + 1..].iter().find(|run| run["op"] == "plan").expect("a plan of the rest");
    let planned: BTreeSet<String> = rest["plan"]["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| text(change, "address").to_owned())
        .collect();
    let twice: Vec<&String> = finished.intersection(&planned).collect();
    assert!(twice.is_empty(), "made already and planned again: {twice:?}; {story:?}");
    assert!(finished.len() + planned.len() <= 6, "{finished:?} {planned:?}");
}

/// A service that does not say it is safe to run again: when something may exist that nobody recorded, a person looks first.
#[test]
fn an_unsafe_service_needs_attention() {
    let site = Site::sqlite().armed();
    let services = site.dir().join("services");
    overlay(&services, "fragile-demo", &[("retry: safe", "retry: unsafe")]);
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let mut scene = Scene::new(&site);
    // In the middle of a step: one that has begun and that the state does not hold. Between two steps there is none, so they
    // are longer than it takes to look for one and to kill it.
    let (request, resource, _) = scene.apply("fragile-demo", "fragile", 8);
    eventually_within(Duration::from_secs(20), "a step is being made", || {
        let steps =
            site.processes().into_iter().filter(|process| process.command.iter().any(|word| word.contains("sleep")));
        (steps.count() > 0).then_some(())
    });
    sleep(Duration::from_millis(200));
    let doomed = site.processes();
    doomed.iter().for_each(|process| {
        process.signal(Signal::KILL);
    });
    scene.server.kill();
    eventually("what was killed is gone", || (!doomed.iter().any(alive)).then_some(()));
    scene.restart();
    let over = scene.owner().settled(&request);
    assert_eq!(text(&over, "status"), "needs_attention", "{over:#}");
    let error = text(&over, "error");
    assert!(error.contains("terraform_data.step_") && error.contains("may exist"), "{error}");
    let after = the_resource(scene.owner(), &scene.project, "fragile");
    assert_eq!((text(&after, "status"), text(&after, "attention")), ("failed", error), "{after:#}");
    let last = runs(scene.owner(), &resource).pop().expect("a run");
    assert_eq!((text(&last, "op"), text(&last, "status")), ("apply", "needs_attention"), "{last:#}");
    assert!(
        last["may_exist"][0].as_str().is_some_and(|address| address.starts_with("terraform_data.step_")),
        "{last:#}"
    );
    assert_eq!(committed(scene.owner(), &scene.project), 1.0, "what may exist still costs");
    site.assert_no_orphans();

    // Somebody has looked, and goes on.
    let path = format!("/api/projects/{}/resources/{}/retry", scene.project, text(&resource, "resource_id"));
    let retry = scene.owner().post(&path, &json!({})).ok();
    fulfilled(scene.owner(), &request_id(&retry));
    let after = the_resource(scene.owner(), &scene.project, "fragile");
    assert!(after.get("attention").is_none() && after["status"] == "provisioned", "{after:#}");
    assert_eq!(committed(scene.owner(), &scene.project), 1.0);
    site.assert_no_leftovers();
}
