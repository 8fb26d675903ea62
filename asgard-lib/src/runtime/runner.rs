//! Which runner carries runs out: made-up ones until provisioning is armed, Terraform's after that.

use crate::{
    adapters::dry_run::DryRun,
    app::Asgard,
    config::{Config, Terraform},
    error::Result,
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
}

/// What has to be told about the control plane once there is one.
pub(super) enum Binding {
    DryRun(Arc<DryRun>),
    #[cfg(feature = "terraform")]
    Nothing,
}

impl Binding {
    pub fn bind(&self, app: &Arc<Asgard>) {
        match self {
            Self::DryRun(runner) => runner.bind(app),
            #[cfg(feature = "terraform")]
            Self::Nothing => {}
        }
    }
}

pub(super) fn runner(config: &Config, supervisors: Supervisors) -> Result<(Arc<dyn Runner>, Binding)> {
    match &config.provisioning.terraform {
        None => {
            let runner = DryRun::new();
            Ok((Arc::clone(&runner) as _, Binding::DryRun(runner)))
        }
        Some(terraform) => armed(terraform, supervisors),
    }
}

#[cfg(feature = "terraform")]
#[allow(clippy::unnecessary_wraps, reason = "the same signature as without the feature")]
fn armed(terraform: &Terraform, supervisors: Supervisors) -> Result<(Arc<dyn Runner>, Binding)> {
    use crate::adapters::terraform::{LocalProcess, LocalProcessOptions};
    let options = LocalProcessOptions::new(supervisors.program, &terraform.work_dir)
        .args(supervisors.arguments)
        .environment(supervisors.environment)
        .concurrency(usize::try_from(terraform.concurrency).unwrap_or(usize::MAX));
    Ok((LocalProcess::new(options), Binding::Nothing))
}

#[cfg(not(feature = "terraform"))]
fn armed(_: &Terraform, _: Supervisors) -> Result<(Arc<dyn Runner>, Binding)> {
    use crate::error::{Code, Error};
    let message = "Provisioning is armed, and this build of Asgard cannot run Terraform (feature `terraform`): use a build that can, or unset ASGARD_TF_MODULES_DIR.";
    Err(Error::new(Code::NotSupported, message))
}
