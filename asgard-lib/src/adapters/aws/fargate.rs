//! Runs as tasks of Amazon ECS on Fargate. Each run is one task, told nothing but the run's id; it opens the same database
//! and claims the run there, so a task that is started twice or too late does no harm.
//!
//! ECS starts a task once for a client token. The token is the run and the number of its tasks that have ended, so
//! dispatchers that are at it together, and replies that get lost, come to one task; a task that died without claiming the
//! run makes room for the next.

mod place;
mod refused;
mod stop_reason;
#[cfg(test)]
mod tests;

pub use place::here;

use crate::{
    app::Asgard,
    aws::Aws,
    config::Fargate,
    domain::run::Run,
    error::{Code, Error, Result},
    kernel::{RunId, Timestamp},
    ports::{
        records::Records,
        runner::{Liveness, Runner, SupervisorLocation},
    },
};
use async_trait::async_trait;
use aws_sdk_ecs::{
    Client,
    types::{
        AssignPublicIp, AwsVpcConfiguration, ContainerOverride, DesiredStatus, LaunchType, NetworkConfiguration,
        PropagateTags, Tag, Task, TaskOverride,
    },
};
use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use stop_reason::StopReason;
use tokio::sync::OnceCell;

/// The name for records: of plans that were made in tasks, in the functions and in the tasks alike.
const NAME: &str = "fargate";
/// How long a task gets to claim its run. Fetching a large image takes a minute or two.
const CLAIM_WITHIN: Duration = Duration::from_secs(180);
/// A task that ECS does not know this long after it was noted is gone for good.
const BEHIND: Duration = Duration::from_secs(600);
/// How many pages of ended tasks are looked through, of a hundred each.
const PAGES: usize = 10;

/// Starts runs as tasks.
pub struct Tasks {
    settings: Fargate,
    aws: Aws,
    client: OnceCell<Client>,
    app: OnceLock<Weak<Asgard>>,
}

crate::kernel::opaque!(Tasks);

impl Tasks {
    /// Tasks with these settings.
    pub fn new(settings: Fargate, aws: Aws) -> Arc<Self> {
        Arc::new(Self { settings, aws, client: OnceCell::new(), app: OnceLock::new() })
    }

    /// The same with a client of one's own.
    pub fn with_client(settings: Fargate, client: Client) -> Arc<Self> {
        let client = OnceCell::new_with(Some(client));
        Arc::new(Self { settings, aws: Aws::new(), client, app: OnceLock::new() })
    }

    /// Says which control plane it works for, so that tasks are tagged with their project. Once; later calls change nothing.
    pub fn bind(&self, app: &Arc<Asgard>) {
        let _ = self.app.set(Arc::downgrade(app));
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| async { Client::new(self.aws.sdk().await) }).await
    }

    /// The tasks of a run that are to run.
    async fn on_the_way(&self, run: &RunId) -> Result<Vec<String>> {
        // Who started a task must be the only filter; without another, what is to run is listed.
        let asked = self.client().await.list_tasks().cluster(&self.settings.cluster).started_by(run.as_str());
        let listed = asked.send().await.map_err(|error| refused::call("ListTasks", &error))?;
        Ok(listed.task_arns.unwrap_or_default())
    }

    /// The tasks of a run that ended or are about to. ECS forgets them after an hour.
    async fn ended(&self, run: &RunId) -> Result<Vec<Task>> {
        let (mut ended, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let asked = self.client().await.list_tasks().cluster(&self.settings.cluster);
            let asked = asked.family(family(&self.settings.task_definition)).desired_status(DesiredStatus::Stopped);
            let listed = asked.set_next_token(next).send().await;
            let listed = listed.map_err(|error| refused::call("ListTasks", &error))?;
            let tasks = listed.task_arns.unwrap_or_default();
            if !tasks.is_empty() {
                let found = self.described(&self.settings.cluster, tasks).await?.tasks;
                ended.extend(found.into_iter().filter(|task| task.started_by() == Some(run.as_str())));
            }
            next = listed.next_token;
            if next.is_none() {
                return Ok(ended);
            }
        }
        tracing::warn!(run.id = %run, "Too many tasks ended lately to look through; those of this run may be among the rest.");
        Ok(ended)
    }

    async fn described(&self, cluster: &str, tasks: Vec<String>) -> Result<Described> {
        let asked = self.client().await.describe_tasks().cluster(cluster).set_tasks(Some(tasks));
        let found = asked.send().await.map_err(|error| refused::call("DescribeTasks", &error))?;
        let missing = found.failures().iter().any(|failure| failure.reason() == Some("MISSING"));
        Ok(Described { tasks: found.tasks.unwrap_or_default(), missing })
    }

    async fn tags(&self, run: &RunId) -> Vec<Tag> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let mut tags = vec![tag("asgard:run", run.as_str())];
        if let Some(app) = self.app.get().and_then(Weak::upgrade)
            && let Ok(Some(run)) = app.store().read::<Run>(run.as_str()).await
        {
            tags.push(tag("asgard:project", run.project.as_str()));
        }
        tags
    }

    fn network(&self) -> Result<NetworkConfiguration> {
        let public = if self.settings.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
        let groups = Some(self.settings.security_groups.clone()).filter(|groups| !groups.is_empty());
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(self.settings.subnets.clone()))
            .set_security_groups(groups)
            .assign_public_ip(public);
        Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc.build().map_err(Error::bug)?).build())
    }
}

/// What is told of the task that ended last.
fn of_last(ended: &[Task]) -> Option<StopReason> {
    let last = ended
        .iter()
        .max_by_key(|task| task.stopped_at().or_else(|| task.created_at()).map(aws_smithy_types::DateTime::as_nanos));
    last.map(StopReason::of)
}

struct Described {
    tasks: Vec<Task>,
    missing: bool,
}

#[async_trait]
impl Runner for Tasks {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claim_within(&self) -> Duration {
        CLAIM_WITHIN
    }

    async fn launch(&self, run: &RunId) -> Result<()> {
        if let Some(task) = self.on_the_way(run).await?.first() {
            tracing::debug!(run.id = %run, task.arn = task, "A task of this run is on its way already.");
            return Ok(());
        }
        let ended = self.ended(run).await?;
        let number = ended.len() + 1;
        if let Some(why) = of_last(&ended) {
            tracing::warn!(run.id = %run, task.number = number, why = why.words, "A task ended without taking its run; starting another.");
        }
        let run_only = ContainerOverride::builder().name(&self.settings.container).command(run.as_str()).build();
        let asked = self
            .client()
            .await
            .run_task()
            .cluster(&self.settings.cluster)
            .task_definition(&self.settings.task_definition)
            .launch_type(LaunchType::Fargate)
            .platform_version("LATEST")
            .count(1)
            .network_configuration(self.network()?)
            .overrides(TaskOverride::builder().container_overrides(run_only).build())
            .client_token(format!("{run}-{number}"))
            .started_by(run.as_str())
            .enable_execute_command(false)
            .propagate_tags(PropagateTags::TaskDefinition)
            .set_tags(Some(self.tags(run).await));
        let answer = asked.send().await.map_err(|error| refused::call("RunTask", &error))?;
        // What could not be placed comes back with success.
        if let Some(failure) = answer.failures().first() {
            return Err(refused::failure(failure));
        }
        let Some(task) = answer.tasks().first() else {
            return Err(Error::new(Code::RunnerFailed, "ECS started no task and did not say why."));
        };
        tracing::info!(run.id = %run, task.arn = task.task_arn().unwrap_or_default(), task.number = number, "Started a task.");
        Ok(())
    }

    async fn why_unclaimed(&self, run: &RunId) -> Option<String> {
        let look = async {
            if self.on_the_way(run).await?.is_empty() { Ok(of_last(&self.ended(run).await?)) } else { Ok(None) }
        };
        let why = look.await.unwrap_or_else(|error: Error| {
            tracing::warn!(run.id = %run, error = error.chain(), "It cannot be told what became of a run's tasks.");
            None
        })?;
        tracing::warn!(run.id = %run, why = why.words, "No task took the run.");
        Some(why.hint)
    }

    /// A task and everything in it are one: there is nothing left over elsewhere.
    async fn probe(&self, place: &SupervisorLocation, now: Timestamp) -> Liveness {
        let SupervisorLocation::Task { cluster, task, noted } = place else { return Liveness::Unknown };
        let found = match self.described(cluster, vec![task.clone()]).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(task.arn = task, error = error.chain(), "It cannot be told whether a task lives.");
                return Liveness::Unknown;
            }
        };
        match found.tasks.first().and_then(Task::last_status) {
            // When it is deprovisioned its containers have ended.
            Some("STOPPED" | "DEPROVISIONING" | "DELETED") => Liveness::Dead,
            Some(_) => Liveness::Alive,
            None if found.missing && now.since(*noted) > BEHIND => Liveness::Dead,
            None => Liveness::Unknown,
        }
    }
}

/// The family of a task definition that is named by family, by family and revision, or by ARN.
fn family(definition: &str) -> &str {
    let name = definition.rsplit('/').next().unwrap_or(definition);
    name.split(':').next().unwrap_or(name)
}

/// The runner as a task's own process knows it: it claims and carries out, and starts nothing.
#[derive(Debug)]
pub struct Inside;

#[async_trait]
impl Runner for Inside {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn launch(&self, run: &RunId) -> Result<()> {
        Err(Error::bug(format!("the task of one run was asked to start the supervisor of {run}")))
    }

    async fn probe(&self, _place: &SupervisorLocation, _now: Timestamp) -> Liveness {
        Liveness::Unknown
    }
}
