//! This very program as something else than Asgard: the stages between a supervisor and Terraform. `main` of a program that
//! supervises runs calls [`helper`] before it does anything else.

use super::{
    confine::{Confined, Confinement},
    guard,
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};
use tokio::process::Command;

/// The first argument of a guard.
const GUARD: &str = "internal-guard";
/// The first argument of the stage that becomes a confined program.
const CONFINE: &str = "internal-confine";
/// What this program is called in lists of processes.
const NAME: &str = "asgard";
/// This program, whatever has become of its file since it was started.
const MYSELF: &str = "/proc/self/exe";
/// What a shell says of a program that cannot be executed.
const CANNOT_EXECUTE: u8 = 126;

/// That this program can stand between a supervisor and Terraform: its `main` calls [`helper`].
#[derive(Clone, Copy, Debug)]
pub struct Helper(());

impl Helper {
    /// Says so. In a program that does not call [`helper`] the stages would do what the program does.
    pub const fn this_program() -> Self {
        Self(())
    }

    /// The guard of a run.
    #[allow(clippy::unused_self, reason = "only who has one may start it")]
    pub(super) fn guard(self, run: &str) -> Command {
        let mut command = Command::new(MYSELF);
        command.arg0(NAME).args([GUARD, run]).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        command
    }

    /// A program that is confined and changes nothing.
    #[allow(clippy::unused_self, reason = "only who has one may start it")]
    pub(super) fn confined(self, program: &Path, confinement: &Confinement) -> io::Result<Command> {
        confined(program, confinement, None, false)
    }

    /// How far Terraform is confined on this machine.
    ///
    /// # Errors
    ///
    /// The stage cannot be started, or does not say.
    pub async fn confinement(self) -> io::Result<Confined> {
        let mut command = Command::new(MYSELF);
        command.arg0(NAME).args([CONFINE, &serde_json::to_string(&Stage::default())?]).env_clear();
        let said = command.stdin(Stdio::null()).output().await?;
        serde_json::from_slice(&said.stdout).map_err(|error| {
            let complaint = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            io::Error::other(if complaint.is_empty() { error.to_string() } else { complaint })
        })
    }
}

/// A program behind the stage that confines it; `note` is where the stage writes down how far it is confined.
pub(super) fn confined(
    program: &Path,
    confinement: &Confinement,
    note: Option<PathBuf>,
    guarded: bool,
) -> io::Result<Command> {
    let guard = guarded.then(std::process::id);
    let stage = Stage { guard, confinement: confinement.clone(), note };
    let mut command = Command::new(MYSELF);
    command.arg0(NAME).args([OsStr::new(CONFINE), serde_json::to_string(&stage)?.as_ref(), program.as_os_str()]);
    Ok(command)
}

/// What the stage is to do before it becomes the program.
#[derive(Default, Serialize, Deserialize)]
struct Stage {
    /// The process with which it ends.
    guard: Option<u32>,
    confinement: Confinement,
    note: Option<PathBuf>,
}

/// Is one of the stages, when this process was started as one. The arguments are those after the program's name.
pub fn helper(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let first = arguments.next()?;
    if first == GUARD {
        Some(guard::run())
    } else if first == CONFINE {
        Some(match confine(arguments) {
            Ok(code) => code,
            Err(why) => {
                complain(&why);
                ExitCode::from(CANNOT_EXECUTE)
            }
        })
    } else {
        None
    }
}

/// Says something where nobody has started a log.
pub(super) fn complain(what: &dyn Display) -> ExitCode {
    // If nobody hears it, nobody can be told.
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("asgard: {what}\n"));
    ExitCode::FAILURE
}

/// Becomes a program, confined. Without one it says how far it would be.
fn confine(mut arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, String> {
    let stage = arguments.next().and_then(|stage| stage.into_string().ok()).unwrap_or_default();
    let stage: Stage = serde_json::from_str(&stage).map_err(|error| error.to_string())?;
    if let Some(guard) = stage.guard {
        // The kernel ends this process, whatever it becomes, with the one thread of the guard.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
        let parent = getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
        if parent != Some(guard) {
            return Err("the guard is gone".to_owned());
        }
    }
    // Opened before, because after it may be out of reach.
    let note = stage.note.map(fs::File::create).transpose().map_err(|error| error.to_string())?;
    let confined = stage.confinement.enforce().map_err(|error| format!("Terraform cannot be confined: {error}"))?;
    let said = serde_json::to_vec(&confined).map_err(|error| error.to_string())?;
    if let Some(mut note) = note {
        io::Write::write_all(&mut note, &said).map_err(|error| error.to_string())?;
    }
    let Some(program) = arguments.next() else {
        io::Write::write_all(&mut io::stdout(), &said).map_err(|error| error.to_string())?;
        return Ok(ExitCode::SUCCESS);
    };
    let error = std::process::Command::new(&program).args(arguments).exec();
    Err(format!("{}: {error}", Path::new(&program).display()))
}
