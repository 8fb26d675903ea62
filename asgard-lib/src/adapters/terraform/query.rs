//! Short commands of the engine whose answer is read into memory and kept there: `version`, `show`. They change nothing, so
//! unlike the others they may write into a pipe.

use super::{confine::Confinement, environment::Environment, helper::Helper};
use crate::error::{Code, Error, Result};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};
use zeroize::Zeroizing;

/// The longest answer. A state of 64 MB describes tens of thousands of things.
const MAX: u64 = 64 << 20;
const MAX_COMPLAINT: u64 = 64 << 10;

/// The most of what a program complained about that is told.
const MAX_TOLD: usize = 300;

/// A program that is asked things.
pub(super) struct Asked<'a> {
    pub program: &'a Path,
    pub environment: &'a Environment,
    /// Where it works.
    pub folder: &'a Path,
    /// What it may reach, where it can be confined.
    pub confined: Option<(Helper, Confinement)>,
}

/// Runs one command and returns what it printed. On every other end it is killed.
pub(super) async fn run(asked: &Asked<'_>, args: &[&str], patience: Duration) -> Result<Zeroizing<Vec<u8>>> {
    let Asked { program, environment, folder, confined } = asked;
    let failed = |why: String| {
        let what = args.first().copied().unwrap_or_default();
        Error::new(Code::RunnerFailed, format!("`terraform {what}` did not work.")).caused_by(why)
    };
    let mut command = match confined {
        Some((helper, confinement)) => {
            helper.confined(program, confinement).map_err(|error| failed(error.to_string()))?
        }
        None => Command::new(program),
    };
    command.args(args).env_clear().envs(environment.variables()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::bug("a child without its pipes"));
    };
    let mut answer = Zeroizing::new(Vec::new());
    let mut complaint = Vec::new();
    let work = async {
        let (mut stdout, mut stderr) = (stdout.take(MAX + 1), stderr.take(MAX_COMPLAINT));
        let read = tokio::try_join!(stdout.read_to_end(&mut answer), stderr.read_to_end(&mut complaint));
        read.map_err(|error| failed(error.to_string()))?;
        if answer.len() as u64 > MAX {
            return Err(failed(format!("it printed more than {MAX} bytes")));
        }
        // Whatever it still has to complain about must not make it wait for a reader.
        drop((stdout, stderr));
        child.wait().await.map_err(|error| failed(error.to_string()))
    };
    let status =
        timeout(patience, work).await.map_err(|_| failed(format!("it took more than {} s", patience.as_secs())))??;
    if !status.success() {
        return Err(failed(format!("{status}: {}", first_line(&complaint))));
    }
    Ok(answer)
}

/// The line that says most of what a program complained about: its first error, or else its first line. The engine's complaints may name
/// values, so no more than that is told, and to operators only.
fn first_line(complaint: &[u8]) -> String {
    let complaint = String::from_utf8_lossy(complaint);
    let mut lines = complaint
        .lines()
        .map(|line| line.trim_matches(|c: char| c.is_whitespace() || "\u{2502}\u{2577}\u{2575}".contains(c)));
    let lines = lines.by_ref().filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let line = lines.iter().find(|line| line.contains("Error")).or_else(|| lines.first()).copied().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_own_first_line_is_told() {
        assert_eq!(first_line(b"\n  shim: HOME is not set\nusage: x\n"), "shim: HOME is not set");
        assert_eq!(first_line("warming up\n\u{2502} Error: no such plugin\n".as_bytes()), "Error: no such plugin");
        assert_eq!((first_line(b""), first_line(&[b'x'; 5000]).len()), (String::new(), MAX_TOLD));
    }
}
