//! The supervisor of one run, in a process of its own: a server that is killed does not take it along.

use crate::{
    failure::{Failure, Result},
    logging::{self, Talk},
    process::{self, Stop},
    settings,
};
use asgard_lib::{
    adapters::terraform::Helper,
    config::Environment,
    kernel::RunId,
    runtime::{Alone, Cloud, RuntimeOptions, Supervisors, supervise_alone},
};
use std::path::PathBuf;

pub fn run(config: Option<PathBuf>, run: &RunId, settings_from_stdin: bool) -> Result<()> {
    let env = if settings_from_stdin {
        Environment::from_process_and_pipe(std::io::stdin().lock())
            .map_err(|error| Failure::failed(format!("the settings cannot be read from standard input: {error}")))?
    } else {
        Environment::from_process()
    };
    let cloud = Cloud::with_keys_of(&env);
    let loaded = settings::load_from(env, &cloud, config, None)?;
    logging::start(&loaded, Talk::Usual)?;
    if loaded.config.provisioning.terraform.is_none() {
        return Err(Failure::usage("provisioning is not armed, so there is nothing to supervise").hint(
            "The server's own configuration arms it: ASGARD_TF_MODULES_DIR, or provisioning.terraform in the file.",
        ));
    }
    process::one_thread()?.block_on(async {
        let mut signals = Stop::listen()?;
        // This one starts no others.
        let options = RuntimeOptions::supervisor(Supervisors::none()).cloud(cloud);
        let signal = async || signals.next().await.0;
        // Whoever serves looks for jobs that this process appends.
        let beside = async |_, _| {};
        let closed = loaded.file.iter().cloned().collect();
        let alone = Alone { helper: Some(Helper::this_program()), closed, ..Alone::default() };
        Box::pin(supervise_alone(&loaded.config, run, options, alone, signal, beside)).await?;
        Ok(())
    })
}
