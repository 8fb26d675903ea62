//! The audit log: verifying it against anchors from outside, and making anchors.

use super::beside_the_server;
use crate::{
    cli::{AuditCommand, Format},
    failure::{Failure, Result},
    output,
};
use asgard_lib::{
    app::audit::{current_anchors, verify, verify_anchored},
    kernel::ProjectId,
    runtime::Runtime,
};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// How much of the anchors' files is kept: lines without an anchor are not.
const MAX_BYTES: usize = 200 * 1024 * 1024;

pub fn run(config: Option<PathBuf>, command: AuditCommand) -> Result<()> {
    beside_the_server(config, async |runtime| match command {
        AuditCommand::Verify { anchors, project, output } => {
            verified(runtime, &anchors, project.as_ref(), output.output).await
        }
        AuditCommand::Anchors => {
            for anchor in current_anchors(runtime.app()).await? {
                output::line(anchor)?;
            }
            Ok(())
        }
    })
}

async fn verified(runtime: &Runtime, files: &[PathBuf], project: Option<&ProjectId>, format: Format) -> Result<()> {
    let chain = project.map(ProjectId::as_str);
    let report = if files.is_empty() {
        verify(runtime.app(), chain).await?
    } else {
        let mut text = String::new();
        for file in files {
            lines_with_anchors(file, &mut text)?;
        }
        verify_anchored(runtime.app(), chain, &text).await?
    };
    let value = serde_json::to_value(&report)
        .map_err(|error| Failure::failed(format!("the report cannot be printed: {error}")))?;
    output::value(&value, format)?;
    match report.breaks.len() {
        0 => Ok(()),
        breaks => Err(Failure::failed(format!(
            "the audit log is not as it was sealed, in {breaks} places; keep a copy of the database and find out who wrote to it"
        ))),
    }
}

fn lines_with_anchors(path: &Path, text: &mut String) -> Result<()> {
    let unread = |error: std::io::Error| Failure::usage(format!("--anchors {}: {error}", path.display()));
    let mut lines = BufReader::new(File::open(path).map_err(unread)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A log may hold what is no text.
        if lines.read_until(b'\n', &mut line).map_err(unread)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        if line.contains("asgard-anchor-") {
            text.push_str(&line);
            text.push('\n');
        }
        if text.len() > MAX_BYTES {
            return Err(Failure::usage(format!(
                "--anchors {}: more than {MAX_BYTES} bytes of anchors; give those of a shorter time",
                path.display()
            )));
        }
    }
}
