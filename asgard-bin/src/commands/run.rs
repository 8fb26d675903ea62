//! The supervisor of one run, in a process of its own: a server that is killed does not take it along.

use super::{start, supervisors};
use crate::{
    failure::{Failure, Result},
    logging::Talk,
    process::{self, Stop},
};
use asgard_lib::{
    kernel::RunId,
    runtime::{Alone, RuntimeOptions, supervise_alone},
};
use std::{path::PathBuf, time::Duration};

/// A database that is away for a moment is no reason to start over.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(config: Option<PathBuf>, run: &RunId) -> Result<()> {
    let loaded = start(config.clone(), Talk::Usual)?;
    if loaded.config.provisioning.terraform.is_none() {
        return Err(Failure::usage("provisioning is not armed, so there is nothing to supervise").hint(
            "The server's own configuration arms it: ASGARD_TF_MODULES_DIR, or provisioning.terraform in the file.",
        ));
    }
    process::one_thread()?.block_on(async {
        let mut signals = Stop::listen()?;
        let options = RuntimeOptions::command(supervisors(config.as_ref())?).patience(PATIENCE);
        let signal = async || signals.next().await.0;
        // Whoever serves looks for jobs that this process appends.
        let beside = async |_, _| {};
        let alone = Alone::default();
        Box::pin(supervise_alone(&loaded.config, run, options, alone, signal, beside)).await?;
        Ok(())
    })
}
