//! What is wrong with a configuration. All of it is found before anything is said.

use super::yaml::shorten;
use std::fmt;

/// Where a problem is, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// At a line of the file, or in the file as a whole.
    File { name: String, line: Option<u64> },
    /// Somewhere that the problem's own name says: a variable or a flag.
    Outside,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    place: Place,
    about: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { name, line: Some(line) } => write!(f, "{name}:{line}: ")?,
            Place::File { name, line: None } => write!(f, "{name}: ")?,
            Place::Outside => {}
        }
        if !self.about.is_empty() {
            write!(f, "{}: ", self.about)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, one problem a line. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblems(Vec<Problem>);

impl ConfigProblems {
    /// Each problem: those of the file by line, then the others.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

impl From<ConfigProblems> for crate::Error {
    fn from(problems: ConfigProblems) -> Self {
        Self::new(crate::Code::Config, problems.to_string())
    }
}

/// Collects problems while a configuration is read.
pub(crate) struct Finder<'a> {
    file: &'a str,
    found: Vec<Problem>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    /// A problem at a line of the file.
    pub(super) fn at_line(&mut self, line: u64, about: impl Into<String>, message: impl Into<String>) {
        let place = Place::File { name: self.file.to_owned(), line: Some(line) };
        self.found.push(Problem { place, about: about.into(), message: message.into() });
    }

    /// A problem of the file as a whole, or at a line that may not be known.
    pub(super) fn in_file(&mut self, line: Option<u64>, message: impl Into<String>) {
        let place = Place::File { name: self.file.to_owned(), line };
        self.found.push(Problem { place, about: String::new(), message: message.into() });
    }

    /// A problem of a variable, a flag, or of several settings together.
    pub(super) fn outside(&mut self, about: impl Into<String>, message: impl Into<String>) {
        self.found.push(Problem { place: Place::Outside, about: about.into(), message: message.into() });
    }

    /// A key of the file that nobody reads.
    pub(super) fn unknown_key<'k>(&mut self, line: u64, path: &str, allowed: impl IntoIterator<Item = &'k str>) {
        let allowed: Vec<&str> = allowed.into_iter().collect();
        self.at_line(line, shorten(path), format!("unknown key; allowed here: {}", allowed.join(", ")));
    }

    pub(super) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn finish(mut self) -> ConfigProblems {
        self.found.sort();
        self.found.dedup();
        ConfigProblems(self.found)
    }
}
