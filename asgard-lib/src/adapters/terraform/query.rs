//! Short commands of the engine whose answer is read into memory and kept there: `version`, `show`. They change nothing, so
//! unlike the others they may write into a pipe.

use super::environment::Environment;
use crate::error::{Code, Error, Result};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};
use zeroize::Zeroizing;

/// The longest answer. A state of 64 MB describes tens of thousands of things.
const MAX: u64 = 64 << 20;
const MAX_COMPLAINT: u64 = 64 << 10;

/// Runs one command in `folder` and returns what it printed. On every other end it is killed.
pub(super) async fn run(
    program: &Path,
    args: &[&str],
    environment: &Environment,
    folder: &Path,
    patience: Duration,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(environment.variables()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let failed = |why: String| {
        let what = args.first().copied().unwrap_or_default();
        Error::new(Code::RunnerFailed, format!("`terraform {what}` did not work.")).caused_by(why)
    };
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
        // What the engine complains about may name values, so it stays with the operator only in its first line.
        let complaint = String::from_utf8_lossy(&complaint);
        let first = complaint
            .lines()
            .find(|line| line.contains("Error"))
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect::<String>();
        return Err(failed(format!("{status}: {first}")));
    }
    Ok(answer)
}
