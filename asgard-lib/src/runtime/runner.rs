//! Which runner carries runs out: made-up ones until provisioning is armed, Terraform's after that, in processes of this
//! machine or in tasks.

use super::{Host, built_with::built_with, cloud::Cloud};
use crate::{
    adapters::DryRun,
    app::Asgard,
    config::{Config, Fargate, Terraform},
    error::{Code, Error, Result},
    kernel::SecretText,
    ports::runner::Runner,
};
use std::{ffi::OsString, path::PathBuf, sync::Arc};

/// How supervisors of runs are started: as processes of their own that outlive this one,
/// `<program> <arguments> <run id>`.
#[derive(Clone, Debug)]
pub struct Supervisors {
    /// The program.
    pub program: PathBuf,
    /// What comes before the run's id, such as `--config asgard.yaml run`.
    pub arguments: Vec<OsString>,
    /// The variables to choose from. A supervisor opens the same database, so it gets Asgard's settings.
    pub environment: Vec<(String, SecretText)>,
    /// Whether settings and credentials are written to its standard input instead, for
    /// [`Environment::from_process_and_pipe`](crate::config::Environment::from_process_and_pipe) to read. In its environment a Terraform
    /// of the same user may read them while it starts.
    pub by_pipe: bool,
}

impl Supervisors {
    /// For processes that start none.
    pub fn none() -> Self {
        Self { program: PathBuf::new(), arguments: Vec::new(), environment: Vec::new(), by_pipe: false }
    }
}

/// What has to be told about the control plane once there is one.
pub(super) enum Binding {
    DryRun(Arc<DryRun>),
    #[cfg(feature = "aws")]
    Tasks(Arc<crate::adapters::aws::fargate::Tasks>),
    /// It needs none, or whoever gave it binds it.
    Nothing,
}

impl Binding {
    pub(crate) fn bind(&self, app: &Arc<Asgard>) {
        match self {
            Self::DryRun(runner) => runner.bind(app),
            #[cfg(feature = "aws")]
            Self::Tasks(runner) => runner.bind(app),
            Self::Nothing => {}
        }
    }
}

pub(super) fn runner(config: &Config, supervisors: Supervisors, host: Host, cloud: &Cloud) -> Chosen {
    let provisioning = &config.provisioning;
    match (host, &provisioning.fargate, &provisioning.terraform) {
        (Host::Task, _, _) => inside(),
        (Host::Machine | Host::Function, Some(fargate), _) => tasks(fargate, cloud),
        (Host::Machine, None, Some(terraform)) => processes(terraform, supervisors),
        (Host::Function, None, Some(_)) => {
            let message = "Provisioning is armed by ASGARD_TF_MODULES_DIR or provisioning.terraform, and a function cannot run Terraform: set ASGARD_FARGATE_CLUSTER instead, or unset it.";
            Err(Error::new(Code::Config, message))
        }
        (Host::Machine | Host::Function, None, None) => {
            let runner = DryRun::new();
            Ok((Arc::clone(&runner) as _, Binding::DryRun(runner)))
        }
    }
}

type Chosen = Result<(Arc<dyn Runner>, Binding)>;

/// Terraform in processes of this machine.
#[allow(clippy::unnecessary_wraps, reason = "a build without Terraform says so")]
fn processes(terraform: &Terraform, supervisors: Supervisors) -> Chosen {
    built_with!("terraform", "Terraform", "unset ASGARD_TF_MODULES_DIR", uses(terraform, supervisors), {
        use crate::adapters::terraform::{LocalProcess, LocalProcessOptions};
        let options = LocalProcessOptions::new(supervisors.program, &terraform.work_dir)
            .args(supervisors.arguments)
            .environment(supervisors.environment)
            .settings_by_pipe(supervisors.by_pipe)
            .concurrency(usize::try_from(terraform.concurrency).unwrap_or(usize::MAX));
        Ok((LocalProcess::new(options), Binding::Nothing))
    })
}

/// Terraform in tasks.
#[allow(clippy::unnecessary_wraps, reason = "a build without AWS says so")]
fn tasks(fargate: &Fargate, cloud: &Cloud) -> Chosen {
    built_with!("aws", "tasks on Fargate", "unset ASGARD_FARGATE_CLUSTER", uses(fargate, cloud), {
        let runner = crate::adapters::aws::fargate::Tasks::new(fargate.clone(), cloud.aws.clone());
        Ok((Arc::clone(&runner) as _, Binding::Tasks(runner)))
    })
}

/// What a task itself has, which starts nothing.
#[allow(clippy::unnecessary_wraps, reason = "a build without AWS says so")]
fn inside() -> Chosen {
    built_with!("aws", "tasks on Fargate", "unset ASGARD_FARGATE_CLUSTER", uses(), {
        Ok((Arc::new(crate::adapters::aws::fargate::Inside), Binding::Nothing))
    })
}
