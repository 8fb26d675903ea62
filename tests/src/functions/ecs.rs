//! A stand-in for ECS on Fargate: it starts the `runner` program as a task would, one task for a client token, and ends
//! everything that a task started together with the task, its disk included.

use super::{
    emulator::built,
    loopback::{Answer, Asked, Loopback},
};
use crate::{Process, Site, processes::alive};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    thread,
    time::{Duration, Instant},
};

/// The cluster that runs are started in.
pub const CLUSTER: &str = "arn:aws:ecs:eu-west-1:000000000000:cluster/asgard";
/// What a task has instead of the address of its credentials in the variables of a site.
const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// How long a task gets to end after it was asked to: the most that Fargate gives.
const STOP_WITHIN: Duration = Duration::from_secs(120);

/// What goes wrong with the next RunTask.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is done, and nobody hears of it.
    LostReply,
    /// There is no room: a failure in an answer that says success.
    NoRoom,
}

/// A task, as it is or was.
#[derive(Clone, Debug)]
pub struct Task {
    /// The run that it was started for.
    pub run: String,
    /// Its exit code, once it ended.
    pub exit: Option<i32>,
    /// What was left in the folder where Terraform works, when it ended.
    pub left: Vec<String>,
    /// How long it took to end after it was asked to.
    pub stopping_took: Option<Duration>,
    arn: String,
    token: String,
    reason: Option<String>,
    process: Option<Process>,
    asked_to_stop: Option<Instant>,
    created_at: u64,
}

#[derive(Default)]
struct Known {
    tasks: Vec<Task>,
    asked: Vec<Value>,
    faults: VecDeque<Fault>,
    slow: Duration,
}

struct Shared {
    runner: PathBuf,
    variables: Mutex<BTreeMap<String, String>>,
    dir: PathBuf,
    address: OnceLock<String>,
    known: Mutex<Known>,
}

/// The stand-in.
pub struct Ecs {
    shared: Arc<Shared>,
    server: Loopback,
}

impl Ecs {
    /// Starts it for a site, whose variables are those of the task definition.
    pub fn start(site: &Site, variables: BTreeMap<String, String>) -> Self {
        let shared = Arc::new(Shared {
            runner: built("runner"),
            variables: Mutex::new(variables),
            dir: site.dir().to_owned(),
            address: OnceLock::new(),
            known: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let server = Loopback::serve(move |asked| served.answer(asked));
        shared.address.set(server.url()).expect("it is set once");
        Self { shared, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Changes the task definition, for every task from now on.
    pub fn define(&self, name: &str, value: &str) {
        let mut variables = self.shared.variables.lock().expect("nobody panicked while writing");
        variables.insert(name.to_owned(), value.to_owned());
    }

    /// Every task so far, oldest first.
    pub fn tasks(&self) -> Vec<Task> {
        self.shared.known().tasks.clone()
    }

    /// The tasks of a run.
    pub fn of_run(&self, run: &str) -> Vec<Task> {
        self.tasks().into_iter().filter(|task| task.run == run).collect()
    }

    /// Every RunTask so far.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.known().asked.clone()
    }

    /// What goes wrong with the next RunTasks, one after the other.
    pub fn fail(&self, faults: &[Fault]) {
        self.shared.known().faults.extend(faults);
    }

    /// How long DescribeTasks takes from now on.
    pub fn slow(&self, slow: Duration) {
        self.shared.known().slow = slow;
    }

    /// The process of the living task of a run.
    pub fn process(&self, run: &str) -> Process {
        let found = self.of_run(run).into_iter().rev().find(|task| task.exit.is_none()).and_then(|task| task.process);
        found.unwrap_or_else(|| panic!("no task of {run} lives: {:#?}", self.tasks()))
    }

    /// Asks the living task of a run to stop, as StopTask does.
    pub fn stop(&self, run: &str) {
        let task = self.of_run(run).into_iter().rev().find(|task| task.exit.is_none());
        let task = task.unwrap_or_else(|| panic!("no task of {run} lives: {:#?}", self.tasks()));
        self.shared.stop(&task.arn, "somebody asked for it");
    }

    /// Starts one more task for a run, as a dispatcher may whose first RunTask was forgotten.
    pub fn start_again(&self, run: &str) {
        Shared::start(&self.shared, run, &format!("{run}-again"));
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nobody panicked while writing")
    }

    fn answer(self: &Arc<Self>, asked: &Asked) -> Answer {
        if let Some(id) = asked.line.strip_prefix("GET /v4/").and_then(|rest| rest.strip_suffix("/task")) {
            return Answer::Json(200, json!({"Cluster": CLUSTER, "TaskARN": arn(id)}));
        }
        if asked.line.starts_with("GET /v2/credentials/") {
            let variables = self.variables.lock().expect("nobody panicked while writing");
            let [id, secret] = KEYS.map(|name| variables.get(name).cloned().unwrap_or_default());
            let expires = "2099-01-01T00:00:00Z";
            return Answer::Json(
                200,
                json!({"AccessKeyId": id, "SecretAccessKey": secret, "Token": "task", "Expiration": expires}),
            );
        }
        let operation = asked.header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let body = asked.json();
        if body["cluster"] != CLUSTER {
            return refused("ClusterNotFoundException", "Cluster not found.");
        }
        match operation.as_str() {
            "RunTask" => self.run_task(&body),
            "ListTasks" => {
                let has = |filter: &str| !body[filter].is_null();
                if has("startedBy") && ["family", "desiredStatus", "launchType", "serviceName"].into_iter().any(has) {
                    return refused("InvalidParameterException", "startedBy must be the only filter that you use.");
                }
                let stopped = body["desiredStatus"] == "STOPPED";
                let known = self.known();
                // All tasks here are of one family: that of the task definition they were asked for with.
                let family = |asked: &Value| asked["taskDefinition"].as_str().map(family);
                let is_known = known.asked.last().and_then(family).as_deref() == body["family"].as_str();
                let listed = known
                    .tasks
                    .iter()
                    .filter(|task| !has("startedBy") || body["startedBy"] == task.run.as_str())
                    .filter(|_| !has("family") || is_known)
                    .filter(|task| (task.exit.is_some() || task.asked_to_stop.is_some()) == stopped);
                Answer::Json(200, json!({"taskArns": listed.map(|task| &task.arn).collect::<Vec<_>>()}))
            }
            "DescribeTasks" => {
                let slow = self.known().slow;
                thread::sleep(slow);
                let wanted = body["tasks"].as_array().cloned().unwrap_or_default();
                let known = self.known();
                let (mut tasks, mut failures) = (Vec::new(), Vec::new());
                for arn in &wanted {
                    match known.tasks.iter().find(|task| *arn == task.arn.as_str()) {
                        Some(task) => tasks.push(described(task)),
                        None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
                    }
                }
                Answer::Json(200, json!({"tasks": tasks, "failures": failures}))
            }
            "StopTask" => {
                self.stop(body["task"].as_str().unwrap_or_default(), body["reason"].as_str().unwrap_or_default());
                Answer::Json(200, json!({}))
            }
            other => refused("InvalidParameterException", &format!("{other} is not played here")),
        }
    }

    fn run_task(self: &Arc<Self>, body: &Value) -> Answer {
        let container = &body["overrides"]["containerOverrides"][0];
        let (run, token) = (container["command"][0].as_str(), body["clientToken"].as_str());
        let (Some(run), Some(token)) = (run, token) else {
            return refused("InvalidParameterException", "no command or no token");
        };
        assert_eq!(*container, json!({"name": "runner", "command": [run]}), "a task is told the run and nothing else");
        assert!(body["launchType"] == "FARGATE" && body["startedBy"] == run && token.len() <= 64, "{body:#}");
        let fault = {
            let mut known = self.known();
            known.asked.push(body.clone());
            known.faults.pop_front()
        };
        if matches!(fault, Some(Fault::NoRoom)) {
            let reason =
                "Capacity is unavailable at this time. Please try again later or in a different availability zone";
            return Answer::Json(200, json!({"tasks": [], "failures": [{"reason": reason}]}));
        }
        let known = self.known().tasks.iter().find(|task| task.token == token).cloned();
        let task = known.unwrap_or_else(|| Self::start(self, run, token));
        match fault {
            Some(Fault::LostReply) => Answer::Lost,
            Some(Fault::NoRoom) | None => Answer::Json(200, json!({"tasks": [described(&task)], "failures": []})),
        }
    }

    /// Starts a task: the program, with a disk of its own that goes with it.
    fn start(self: &Arc<Self>, run: &str, token: &str) -> Task {
        // Held until the task is known, so that a token starts one however often it comes.
        let mut known = self.known();
        if let Some(task) = known.tasks.iter().find(|task| task.token == token) {
            return task.clone();
        }
        let number = known.tasks.len() + 1;
        let id = format!("task-{number:04}");
        let disk = self.dir.join(&id);
        let path = |name: &str| disk.join(name);
        for folder in ["home", "tmp", "work"] {
            fs::create_dir_all(path(folder)).expect("a folder can be made");
        }
        let log = File::create(self.dir.join(format!("{id}.log"))).expect("the log can be made");
        let metadata = format!("{}/v4/{id}", self.address.get().expect("it listens"));
        // The role of a task has an address: whoever knows it has the credentials.
        let credentials = format!("{}/v2/credentials/{id}", self.address.get().expect("it listens"));
        let mut command = Command::new(&self.runner);
        command
            .arg(run)
            .env_clear()
            .envs(&*self.variables.lock().expect("nobody panicked while writing"))
            .env("ECS_CONTAINER_METADATA_URI_V4", metadata)
            .env_remove(KEYS[0])
            .env_remove(KEYS[1])
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials)
            .env("HOME", path("home"))
            .env("TMPDIR", path("tmp"))
            .env("ASGARD_TF_WORK_DIR", path("work"))
            .current_dir(&disk)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.runner.display()));
        let task = Task {
            run: run.to_owned(),
            exit: None,
            left: Vec::new(),
            stopping_took: None,
            arn: arn(&id),
            token: token.to_owned(),
            reason: None,
            process: Process::of(child.id()),
            asked_to_stop: None,
            created_at: 1_795_000_000 + u64::try_from(number).unwrap_or_default(),
        };
        known.tasks.push(task.clone());
        drop(known);
        let shared = Arc::clone(self);
        thread::spawn(move || shared.mind(child, number - 1, disk));
        task
    }

    /// Waits for the end of a task's first process; then all of it ends.
    fn mind(&self, mut child: Child, index: usize, disk: PathBuf) {
        let status = child.wait().expect("a child can be waited for");
        for _ in 0..2 {
            let rest = Process::below(&disk, &disk.join("work"));
            rest.iter().for_each(|process| {
                process.signal(Signal::KILL);
            });
            while rest.iter().any(alive) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let left = fs::read_dir(disk.join("work")).into_iter().flatten().flatten();
        let left = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left = left.filter(|name| name != ".installation").collect();
        // With the test its folder goes, and with that this one.
        let _ = fs::remove_dir_all(&disk);
        let mut known = self.known();
        let task = &mut known.tasks[index];
        task.left = left;
        task.stopping_took = task.asked_to_stop.map(|asked| asked.elapsed());
        task.reason.get_or_insert_with(|| "Essential container in task exited".to_owned());
        task.exit = Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()));
    }

    fn stop(self: &Arc<Self>, arn: &str, reason: &str) {
        let process = {
            let mut known = self.known();
            let Some(task) = known.tasks.iter_mut().find(|task| task.arn == arn && task.exit.is_none()) else { return };
            task.reason = Some(format!("Task stopped: {reason}"));
            task.asked_to_stop = Some(Instant::now());
            task.process.clone()
        };
        let Some(process) = process else { return };
        process.signal(Signal::TERM);
        thread::spawn(move || {
            let asked = Instant::now();
            while alive(&process) && asked.elapsed() < STOP_WITHIN {
                thread::sleep(Duration::from_millis(100));
            }
            process.signal(Signal::KILL);
        });
    }
}

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:000000000000:task/asgard/{id}")
}

/// The family of a task definition, however it is named.
fn family(definition: &str) -> String {
    let name = definition.rsplit('/').next().unwrap_or_default();
    name.split(':').next().unwrap_or_default().to_owned()
}

fn refused(code: &str, message: &str) -> Answer {
    Answer::Json(400, json!({"__type": code, "message": message}))
}

fn described(task: &Task) -> Value {
    let status = if task.exit.is_some() {
        "STOPPED"
    } else if task.asked_to_stop.is_some() {
        "STOPPING"
    } else {
        "RUNNING"
    };
    let mut container = json!({"name": "runner", "lastStatus": status});
    let mut described = json!({
        "taskArn": task.arn, "clusterArn": CLUSTER, "lastStatus": status, "startedBy": task.run,
        "createdAt": task.created_at,
    });
    if let Some(code) = task.exit {
        container["exitCode"] = code.into();
        described["stoppedAt"] = (task.created_at + 1).into();
        described["stoppedReason"] = task.reason.clone().into();
    }
    described["containers"] = json!([container]);
    described
}
