//! Reading what a child has written so far, whole lines at a time, in bounded memory.

use crate::error::{Error, Result};
use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The longest line that is taken whole. Of a longer one the beginning is kept: what is told of a text is far shorter than this, and
/// so a secret that the cut went through is not told.
const MAX_LINE: usize = 256 << 10;
/// The most that one look reads.
const MAX_READ: u64 = 1 << 20;

/// A file that grows, and how far it was read.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    read: u64,
    rest: Vec<u8>,
    /// Bytes of the same line that were left out.
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
            let (kept, over) = piece.split_at(piece.len().min(MAX_LINE - self.rest.len()));
            self.rest.extend_from_slice(kept);
            self.skipped += over.len() as u64;
            if ends {
                lines.push(self.line());
            }
        }
        Ok((lines, at_end))
    }

    /// The line that was begun and will never be completed, once the child has ended.
    pub(crate) fn last(&mut self) -> Option<String> {
        (!self.rest.is_empty()).then(|| self.line())
    }

    /// The line that is there, as far as it was kept.
    fn line(&mut self) -> String {
        let skipped = std::mem::take(&mut self.skipped);
        let rest = std::mem::take(&mut self.rest);
        if skipped == 0 { String::from_utf8_lossy(&rest).into_owned() } else { cut(&rest) }
    }
}

/// The beginning of a line that is too long: a message of Terraform's with its long text cut, or the same of plain text.
fn cut(rest: &[u8]) -> String {
    let text = String::from_utf8_lossy(rest);
    let text = text.trim_end_matches('\u{fffd}');
    if text.starts_with('{') { closed(text).unwrap_or_else(|| text.to_owned()) } else { format!("{text}...") }
}

/// A JSON object that was cut, made whole again: the text that the cut went through is ended, or, where it went through anything
/// else, what came after the last whole member is left out.
fn closed(text: &str) -> Option<String> {
    let (mut open, mut in_text, mut escapes) = (Vec::new(), false, false);
    // Where a backslash of an escape stands that may be cut, and where the last member ended, with what was open there.
    let (mut escape, mut member) = (None, None);
    for (at, letter) in text.char_indices() {
        match (in_text, letter) {
            (true, _) if escapes => escapes = false,
            (true, '\\') => (escapes, escape) = (true, Some(at)),
            (true, '"') => in_text = false,
            (false, '"') => in_text = true,
            (false, '{') => open.push('}'),
            (false, '[') => open.push(']'),
            (false, '}' | ']') => drop(open.pop()),
            (false, ',') => member = Some((at, open.clone())),
            (true | false, _) => {}
        }
    }
    let ends = |text: &str, open: &[char]| text.chars().chain(open.iter().rev().copied()).collect::<String>();
    if in_text {
        // An escape is six bytes at most; what began later than that before the cut may be half of one.
        let whole = escape.filter(|at| text.len() - at < 12).map_or(text, |at| text.get(..at).unwrap_or_default());
        let ended = ends(&format!("{whole}...\""), &open);
        if serde_json::from_str::<serde::de::IgnoredAny>(&ended).is_ok() {
            return Some(ended);
        }
    }
    let (at, open) = member?;
    Some(ends(text.get(..at)?, &open)).filter(|ended| serde_json::from_str::<serde::de::IgnoredAny>(ended).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            messages::{self, Message},
            testkit,
        },
        *,
    };
    use crate::kernel::Timestamp;
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
        let told = tail.lines().unwrap().0;
        assert_eq!((told[0].len(), told[1].as_str()), (MAX_LINE + 3, "after"));
        assert_eq!(tail.last(), None);
        assert_eq!(tail.taken(), std::fs::metadata(&path).unwrap().len());
    }

    /// A problem of 350 kB is told from its beginning, wherever the cut goes through it.
    #[test]
    fn the_beginning_of_a_long_message_is_kept() {
        let problem = serde_json::json!({
            "@level": "error", "@message": "Error: It failed",
            "diagnostic": {
                "severity": "error", "summary": "It failed", "detail": format!("Because \"of\" this:\n\u{e9}\u{1}{}", "\u{1}\u{1f600}\n\"\\".repeat(40_000)),
                "address": "a.b",
            },
            "type": "diagnostic",
        });
        let line = problem.to_string();
        assert!(line.len() > 350_000);
        for most in (MAX_LINE - 40)..MAX_LINE {
            let (_, read) = messages::read(&cut(&line.as_bytes()[..most]), Timestamp::from_millis(0)).unwrap();
            let Message::Diagnostic { error: true, summary, detail, .. } = read else { panic!("{most}: {read:?}") };
            assert_eq!(summary, "It failed");
            assert!(detail.starts_with("Because \"of\" this:\n\u{e9}\u{1}\u{1}\u{1f600}\n\"\\"), "{most}");
        }
        for (begun, whole) in [
            (r#"{"a":1,"b":[1,2,{"c"#, Some(r#"{"a":1,"b":[1,2]}"#)),
            (r#"{"a":1,"b":tr"#, Some(r#"{"a":1}"#)),
            (r#"{"a":"x\"#, Some(r#"{"a":"x..."}"#)),
            (r#"{"a"#, None),
        ] {
            assert_eq!(closed(begun).as_deref(), whole, "{begun}");
        }
    }
}
