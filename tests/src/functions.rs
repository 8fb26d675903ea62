//! A deployment of the functions: the real programs as `infra/template.yaml` sets them up, at the emulator of Lambda, with
//! stand-ins for what they reach. The keys and the admin's password are with the stand-in for AWS, the records with the
//! emulator of DynamoDB.

mod ecs;
mod emulator;
mod invokes;
mod loopback;
mod roles;
mod runtime_api;

use crate::{Aws, Cast, Client, PASSWORD, Process, Site, eventually_within};
pub use ecs::{CLUSTER, Ecs, Fault, Task};
use emulator::Emulator;
pub use emulator::{Environment, FUNCTIONS};
pub use invokes::{Invokes, Outcome, now};
pub use loopback::{Answer, Asked, Loopback};
pub use roles::Roles;
pub use runtime_api::RuntimeApi;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// What only the task is told. Where Terraform works is each task's own.
const TASK_ONLY: [&str; 4] = ["ASGARD_TF_MODULES_DIR", "ASGARD_TF_BIN", "ASGARD_TF_WORK_DIR", "ASGARD_TF_READABLE"];

/// A deployment.
pub struct Functions {
    environments: BTreeMap<&'static str, Environment>,
    password: String,
    /// The stand-in for Lambda and the scheduler.
    pub invokes: Invokes,
    /// The stand-in for ECS.
    pub ecs: Ecs,
    emulator: Emulator,
    site: Site,
}

impl Functions {
    /// Deploys: a key, a password, the table, the functions and their schedules.
    pub fn deploy() -> Self {
        Self::with(&[]).scheduled()
    }

    /// The same with more variables and without the schedules: what nobody asks for is done when a test ticks.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        let aws = Aws::get();
        let mut site = Site::dynamodb().armed();
        // Nothing of a machine is asked where there is none.
        site.set("ASGARD_TF_INSTANCE_METADATA", "");
        for (name, value) in aws.environment() {
            // KMS and Secrets Manager are there. What else the functions call has an address of its own.
            match name {
                "AWS_ENDPOINT_URL" => {
                    site.set("AWS_ENDPOINT_URL_KMS", value);
                    site.set("AWS_ENDPOINT_URL_SECRETS_MANAGER", value);
                }
                name => site.set(name, value),
            }
        }
        let unique = site.dir().file_name().expect("a folder has a name").to_string_lossy().into_owned();
        site.set("ASGARD_SECRET_KEY", "");
        site.set("ASGARD_KMS_KEY_ID", &aws.new_key());
        site.set("ASGARD_ADMIN_PASSWORD", "");
        site.set("ASGARD_LOG_FORMAT", "json");
        site.set("ASGARD_EVENTS_FUNCTION", invokes::EVENTS);
        let emulator = Emulator::start(&site);
        let invokes = Invokes::start(emulator.invoker());
        site.set("AWS_ENDPOINT_URL_LAMBDA", &invokes.url());
        variables.iter().for_each(|(name, value)| site.set(name, value));

        let migrated = site.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        // Neither the password nor how to start tasks is the task's business.
        let ecs = Ecs::start(&site, site.variables().clone());
        TASK_ONLY.iter().for_each(|name| site.set(name, ""));
        site.set("AWS_ENDPOINT_URL_ECS", &ecs.url());
        for (name, value) in [
            ("CLUSTER", CLUSTER),
            ("TASK_DEFINITION", "asgard-runner"),
            ("CONTAINER", "runner"),
            ("SUBNETS", "subnet-1,subnet-2"),
            ("SECURITY_GROUPS", "sg-1"),
            ("ASSIGN_PUBLIC_IP", "false"),
        ] {
            site.set(&format!("ASGARD_FARGATE_{name}"), value);
        }
        assert_as_deployed(&site);
        let password = aws.new_secret(&format!("asgard/{unique}/admin"), PASSWORD);
        let mut functions = Self { environments: BTreeMap::new(), password, invokes, ecs, emulator, site };
        functions.start(&FUNCTIONS);
        functions
    }

    /// Deploys these functions again, and the tasks, with other variables. Their environments end between two events, as Lambda
    /// ends them, and new ones start; those of the other functions stay.
    pub fn redeploy(&mut self, variables: &[(&str, &str)], functions: &[&'static str]) {
        let scheduled = self.invokes.stop();
        for (name, value) in variables {
            self.site.set(name, value);
            self.ecs.define(name, value);
        }
        assert_as_deployed(&self.site);
        functions.iter().for_each(|function| drop(self.environments.remove(function)));
        self.start(functions);
        if scheduled {
            self.invokes.schedule();
        }
    }

    fn start(&mut self, functions: &[&'static str]) {
        for function in functions {
            let surface = function.split('-').next().unwrap_or_default();
            let (program, more) = match surface {
                "events" => ("events", vec![]),
                surface => {
                    let password = ("ASGARD_ADMIN_PASSWORD_SECRET_ARN", self.password.as_str());
                    let surface = ("ASGARD_LAMBDA_SURFACE", surface);
                    ("http", if surface.1 == "api" { vec![surface, password] } else { vec![surface] })
                }
            };
            let environment = Environment::start(&self.site, &self.emulator, function, program, &more);
            self.environments.insert(function, environment);
        }
        for function in functions.iter().filter(|function| !function.starts_with("events")) {
            let client = self.client(function);
            eventually_within(Duration::from_secs(60), "the function answers", || {
                client.try_get("/healthz").filter(|reply| reply.status == 200)
            });
        }
    }

    /// Starts the schedules.
    #[must_use]
    pub fn scheduled(self) -> Self {
        self.invokes.schedule();
        self
    }

    /// One more environment for events, with a runtime API that ends invocations in time.
    pub fn events_at(&self, runtime_api: &RuntimeApi) -> Environment {
        Environment::at(&self.site, &runtime_api.address(), "events-short", "events", &[])
    }

    /// Somebody who knows nothing yet, at a function.
    pub fn client(&self, function: &str) -> Client {
        self.site.client(&self.emulator.url(function))
    }

    /// The people, signed in at the function for the API.
    pub fn cast(&self) -> Cast {
        Cast::new(&self.site, &self.emulator.url("api"))
    }

    /// An agent or a person at the function for MCP.
    pub fn mcp(&self, who: &Client) -> Client {
        who.at(&self.emulator.url("mcp"))
    }

    /// Its folder, its table, its logs.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The living processes of the tasks.
    pub fn in_tasks(&self) -> Vec<Process> {
        let me = std::process::id();
        let of_task = |process: &Process| {
            let folder = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap_or_default();
            folder.strip_prefix(self.site.dir()).is_ok_and(|rest| rest.to_string_lossy().starts_with("task-"))
        };
        self.site.processes().into_iter().filter(|process| process.pid != me && of_task(process)).collect()
    }

    /// Waits until every task has ended, and fails unless each took everything away that it worked with.
    pub fn assert_tasks_ended_clean(&self) {
        let tasks = eventually_within(Duration::from_secs(30), "every task has ended", || {
            let tasks = self.ecs.tasks();
            tasks.iter().all(|task| task.exit.is_some()).then_some(tasks)
        });
        assert!(tasks.iter().all(|task| task.exit == Some(0) && task.left.is_empty()), "{tasks:#?}");
        assert!(self.in_tasks().is_empty(), "{:#?}", self.in_tasks());
    }

    /// Fails when an event made a function fail, or an environment has ended.
    pub fn assert_events_went_well(&self) {
        self.environments.values().for_each(|environment| drop(environment.process()));
        let failed: Vec<Outcome> =
            self.invokes.outcomes().into_iter().filter(|outcome| outcome.result.is_err()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

/// Fails when the functions are told something that `infra/template.yaml` would not tell them.
fn assert_as_deployed(site: &Site) {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let template = fs::read_to_string(&template).expect("the template can be read");
    let told = site.variables().keys().filter(|name| name.starts_with("ASGARD_"));
    let unknown: Vec<&String> = told.filter(|name| !template.contains(&format!(" {name}:"))).collect();
    assert!(unknown.is_empty(), "infra/template.yaml does not set {unknown:?}");
}
