//! Reading what a child has written so far, whole lines at a time, in bounded memory.

use crate::error::{Error, Result};
use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The longest line that is taken. A longer one is left out: cutting it could cut a secret so that it is not recognised.
const MAX_LINE: usize = 256 << 10;
/// The most that one look reads.
const MAX_READ: u64 = 1 << 20;

/// A file that grows, and how far it was read.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    read: u64,
    rest: Vec<u8>,
    /// Bytes of a line that is too long and goes on.
    skipped: u64,
}

impl Tail {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), file: None, read: 0, rest: Vec::new(), skipped: 0 }
    }

    /// How many bytes have been given out as lines.
    pub(crate) fn taken(&self) -> u64 {
        self.read - self.rest.len() as u64 - self.skipped
    }

    /// The lines that were completed since the last look, at most about a megabyte. `false` when there may be more.
    pub(crate) fn lines(&mut self) -> Result<(Vec<String>, bool)> {
        let failed = |error: std::io::Error| Error::bug(format!("reading what Terraform printed: {error}"));
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), true)),
                Err(error) => return Err(failed(error)),
            }
        }
        let Some(file) = &mut self.file else { return Ok((Vec::new(), true)) };
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        let mut fresh = Vec::new();
        file.take(MAX_READ).read_to_end(&mut fresh).map_err(failed)?;
        self.read += fresh.len() as u64;
        let at_end = (fresh.len() as u64) < MAX_READ;
        let mut lines = Vec::new();
        for piece in fresh.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) =
                piece.split_last().filter(|(last, _)| **last == b'\n').map_or((piece, false), |(_, line)| (line, true));
            if self.skipped > 0 || self.rest.len() + piece.len() > MAX_LINE {
                self.skipped += self.rest.len() as u64 + piece.len() as u64;
                self.rest.clear();
            } else {
                self.rest.extend_from_slice(piece);
            }
            if ends {
                lines.push(if self.skipped > 0 {
                    left_out(self.skipped)
                } else {
                    String::from_utf8_lossy(&self.rest).into_owned()
                });
                self.rest.clear();
                self.skipped = 0;
            }
        }
        Ok((lines, at_end))
    }

    /// The line that was begun and will never be completed, once the child has ended.
    pub(crate) fn last(&mut self) -> Option<String> {
        let skipped = std::mem::take(&mut self.skipped);
        let rest = std::mem::take(&mut self.rest);
        match (skipped, rest.is_empty()) {
            (0, true) => None,
            (0, false) => Some(String::from_utf8_lossy(&rest).into_owned()),
            (skipped, _) => Some(left_out(skipped)),
        }
    }
}

fn left_out(bytes: u64) -> String {
    format!("(a line of {bytes} bytes was left out)")
}

#[cfg(test)]
mod tests {
    use super::{super::testkit, *};
    use std::{fs::OpenOptions, io::Write};

    #[test]
    fn lines_come_whole_and_in_bounded_memory() {
        let folder = testkit::folder();
        let path = folder.path().join("out");
        let mut tail = Tail::new(&path);
        assert_eq!(tail.lines().unwrap().0, Vec::<String>::new(), "not there yet");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut say = |text: &str| file.write_all(text.as_bytes()).unwrap();

        say("one\ntw");
        assert_eq!(tail.lines().unwrap().0, ["one"]);
        assert_eq!(tail.taken(), 4);
        say("o\n\nthree");
        assert_eq!(tail.lines().unwrap().0, ["two", ""]);
        assert_eq!(tail.taken(), 9);

        say(&"x".repeat(MAX_LINE * 6));
        let (mut seen, mut at_end) = (Vec::new(), false);
        while !at_end {
            let (lines, end) = tail.lines().unwrap();
            seen.extend(lines);
            at_end = end;
            assert!(tail.rest.len() <= MAX_LINE);
        }
        assert_eq!(seen, Vec::<String>::new());
        say("\nafter\n");
        assert_eq!(tail.lines().unwrap().0, [left_out(MAX_LINE as u64 * 6 + 5), "after".into()]);
        assert_eq!(tail.last(), None);
        assert_eq!(tail.taken(), std::fs::metadata(&path).unwrap().len());
    }
}
