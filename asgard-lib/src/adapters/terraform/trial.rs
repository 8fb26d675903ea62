//! Everything that runs need, tried out before there is a run: what is wrong is said when a server starts, not when somebody has asked
//! for something and waits.

use super::{
    conduct::SuperviseOptions,
    confine::{Confined, Confinement},
    engine::{self, Engine},
    environment::Environment,
    query::{self, Asked},
    workdir,
};
use crate::{
    error::{Code, Error, Result},
    kernel::SecretText,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

/// How long a script that does nothing may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is tried, and how soon after a failure.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The engine.
    pub engine: Engine,
    /// How far it is confined; nothing when this program has no stage for that.
    pub confined: Option<Confined>,
}

/// Tries the work folder, the folder of providers and the engine, with the variables that a run would have.
///
/// # Errors
///
/// The first thing that runs could not work with: which setting names it, and what to do.
pub async fn try_out(options: &SuperviseOptions, given: &[(String, SecretText)]) -> Result<Trial> {
    let parent = workdir::parent(&options.work_dir)?;
    workdir::free(&parent, options.min_free_bytes)?;
    let tried = parent.join(format!(".trial-{}", std::process::id()));
    // Of a process of the same id that was killed in the middle.
    let _ = fs::remove_dir_all(&tried);
    let worked = executes(&tried, options).await;
    let removed = fs::remove_dir_all(&tried);
    worked?;
    removed.map_err(|error| unusable(&parent, &error.to_string()))?;
    options.mirror.as_deref().map(workdir::mirror).transpose()?;
    let engine = engine::find(&options.bin, given, options.helper, &options.around()).await?;
    let confined = match options.helper {
        Some(helper) => Some(helper.confinement().await.map_err(|error| {
            Error::new(Code::RunnerFailed, "This program cannot be started as the stage before Terraform.")
                .caused_by(error)
        })?),
        None => None,
    };
    Ok(Trial { engine, confined })
}

/// Whether files can be written there and programs executed, as those of providers are.
async fn executes(folder: &Path, options: &SuperviseOptions) -> Result<()> {
    let refuse = |why: &str| unusable(&options.work_dir, why);
    workdir::private_folder(folder).map_err(|error| refuse(&error.to_string()))?;
    let script = folder.join("script");
    let written = fs::write(&script, "#!/bin/sh\nexit 0\n");
    written
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o700)))
        .map_err(|error| refuse(&error.to_string()))?;
    let environment = Environment::bare(&[]);
    let confined = options.helper.map(|helper| {
        let around = options.around();
        let mut confinement = Confinement::of_program(Path::new("/bin/sh"), &environment, &around);
        confinement.write.push(folder.to_owned());
        (helper, confinement)
    });
    let asked = Asked { program: &script, environment: &environment, folder, confined };
    // A file that another thread's child still has open for writing is executed a moment later.
    let mut tries = 0;
    loop {
        tries += 1;
        match query::run(&asked, &[], PATIENCE).await {
            Ok(_) => return Ok(()),
            Err(_) if tries < TRIES => tokio::time::sleep(AGAIN).await,
            Err(error) => {
                let why = format!("a program in it cannot be executed, as those of providers are ({})", error.chain());
                return Err(refuse(&why));
            }
        }
    }
}

fn unusable(folder: &Path, why: &str) -> Error {
    let message =
        format!("The work folder {} cannot be used: {why}. Name another in ASGARD_TF_WORK_DIR.", folder.display());
    Error::new(Code::Config, message).at(workdir::SETTING)
}
