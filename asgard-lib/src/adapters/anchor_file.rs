//! Anchors of the audit log in a file, beside the process's log.

use crate::{
    error::{Code, Error, Result},
    ports::anchors::{AnchorSink, LogAnchors},
};
use async_trait::async_trait;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// Appends each anchor as a line, and has it on the disk before it counts as kept.
#[derive(Clone, Debug)]
pub struct AnchorFile {
    path: PathBuf,
}

impl AnchorFile {
    /// The file at this path, which is made when there is something to keep.
    ///
    /// # Errors
    ///
    /// [`Code::Config`] when it cannot be opened for appending, or could not be made.
    pub fn at(path: &Path) -> Result<Self> {
        let refused = |error: &dyn std::fmt::Display| {
            let message = format!(
                "`audit.anchor_file`: {} cannot be appended to ({error}). Name a file in a folder that this process may write to.",
                path.display()
            );
            Error::new(Code::Config, message)
        };
        if path.exists() {
            append(path, false).map_err(|error| refused(&error))?;
        } else {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            if !folder.is_dir() {
                return Err(refused(&format!("there is no folder {}", folder.display())));
            }
        }
        Ok(Self { path: path.to_owned() })
    }
}

fn append(path: &Path, create: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[async_trait]
impl AnchorSink for AnchorFile {
    async fn is_empty(&self) -> Result<bool> {
        Ok(std::fs::metadata(&self.path).map_or(0, |file| file.len()) == 0)
    }

    async fn keep(&self, anchors: &[String]) -> Result<()> {
        LogAnchors.keep(anchors).await?;
        let (path, lines) = (self.path.clone(), anchors.iter().map(|anchor| format!("{anchor}\n")).collect::<String>());
        let written = tokio::task::spawn_blocking(move || {
            // One write for all: lines of two processes that share the file stay whole.
            append(&path, true).and_then(|mut file| file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()))
        });
        written.await.map_err(Error::bug)?.map_err(|error| {
            let message = format!("The anchors of the audit log cannot be written to {}.", self.path.display());
            Error::new(Code::Config, message).caused_by(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn anchors_are_appended_and_a_file_that_cannot_be_is_refused_by_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors");
        let file = AnchorFile::at(&path).unwrap();
        assert!(file.is_empty().await.unwrap() && !path.exists());
        file.keep(&["a".into(), "b".into()]).await.unwrap();
        AnchorFile::at(&path).unwrap().keep(&["c".into()]).await.unwrap();
        assert!(!file.is_empty().await.unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
        for wrong in [folder.path().join("no/where"), folder.path().to_owned()] {
            let refused = AnchorFile::at(&wrong).unwrap_err();
            assert!(refused.code() == Code::Config && refused.message().contains("`audit.anchor_file`"), "{refused}");
        }
    }
}
