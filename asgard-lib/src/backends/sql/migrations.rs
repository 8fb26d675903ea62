//! Migrations: SQL files in the binary, run in order, each in a transaction and under a lock, each remembered with its
//! checksum. What was applied is never edited; a later file changes it.

use super::declared::{Dialect, missing};
use crate::error::{Code, Error, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// One file of `migrations/<dialect>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    /// Its number, from 1 without gaps; 0 is the views, which are made again whenever they changed.
    pub number: i64,
    /// The file's name without its ending.
    pub name: &'static str,
    /// What it runs.
    pub sql: &'static str,
}

impl Migration {
    /// The digest that tells an edited file; line endings do not count.
    pub(crate) fn checksum(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.sql.replace('\r', "")))
    }
}

/// What a database remembers of a migration: number and checksum.
pub(crate) type Applied = (i64, String);

/// The table that remembers. The same words make it in every dialect.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations \
    (number bigint NOT NULL PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at text NOT NULL)";

/// The columns of [`TABLE`], in the order of their names.
pub(crate) const COLUMNS: &str = "applied_at,checksum,name,number";

/// Refuses a table `migrations` that another program made: many do.
pub(crate) fn foreign(place: impl std::fmt::Display, remedy: &str) -> Error {
    Error::new(
        Code::Config,
        format!("The table `migrations` in {place} has other columns than Asgard's: another program made it. {remedy}"),
    )
}

/// The files of a dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    /// Which dialect.
    pub dialect: Dialect,
    /// The numbered files, in order.
    pub known: &'static [Migration],
    /// The views.
    pub views: &'static Migration,
}

/// The next thing to do to a database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as this build needs it.
    Nothing,
    /// Run this file.
    Run(&'static Migration),
    /// Run these statements: they make what is declared in [`crate::ports::kinds`] and is in no file.
    Declare(Vec<String>),
}

/// What is next for a database that has `applied`, and of which [`missing`] finds the names in `present`. Refuses a database
/// that this build does not understand.
pub(crate) fn next(files: Files, applied: &[Applied], present: &BTreeSet<String>) -> Result<Step> {
    let Files { dialect, known, views } = files;
    let refuse = |message: String| Err(Error::new(Code::Config, message));
    for (number, checksum) in applied.iter().filter(|(number, _)| *number > 0) {
        let Some(migration) = known.iter().find(|migration| migration.number == *number) else {
            return refuse(format!(
                "The database has migration {number}, which this build does not know: a newer Asgard has been here. \
                 Run that version or a later one."
            ));
        };
        if migration.checksum() != *checksum {
            return refuse(format!(
                "Migration {} was applied to this database with other contents than this build has. \
                 An applied migration must not be edited: run the version that applied it, or restore the file.",
                migration.name
            ));
        }
    }
    let has = |migration: &Migration| applied.iter().any(|(number, _)| *number == migration.number);
    if let Some(next) = known.iter().find(|migration| !has(migration)) {
        if let Some((later, _)) = applied.iter().find(|(number, _)| *number > next.number) {
            return refuse(format!(
                "The database has migration {later} but not {}: it was not migrated by Asgard.",
                next.number
            ));
        }
        return Ok(Step::Run(next));
    }
    let statements = missing(dialect, present);
    if !statements.is_empty() {
        return Ok(Step::Declare(statements));
    }
    let current = applied.iter().any(|(number, checksum)| *number == views.number && *checksum == views.checksum());
    Ok(if current { Step::Nothing } else { Step::Run(views) })
}

/// Refuses a database that is not as this build needs it.
pub(crate) fn settled(step: Step) -> Result<()> {
    let lacks = match step {
        Step::Nothing => return Ok(()),
        Step::Run(migration) => format!("migration {}", migration.name),
        Step::Declare(statements) => format!("{} tables, columns or indexes of this version", statements.len()),
    };
    Err(Error::new(Code::Config, format!("The database lacks {lacks}. Run `asgard migrate` first.")))
}

macro_rules! embedded {
    ($dialect:literal, $which:ident: $($number:literal = $name:literal),* $(,)?) => {
        /// The migrations of this dialect, in order.
        pub(crate) const MIGRATIONS: &[$crate::backends::sql::migrations::Migration] = &[$(
            $crate::backends::sql::migrations::Migration {
                number: $number,
                name: $name,
                sql: include_str!(concat!("../../../migrations/", $dialect, "/", $name, ".sql")),
            },
        )*];
        /// The views for analysts.
        pub(crate) const VIEWS: $crate::backends::sql::migrations::Migration = $crate::backends::sql::migrations::Migration {
            number: 0,
            name: "views",
            sql: include_str!(concat!("../../../migrations/views/", $dialect, ".sql")),
        };
        const FILES: $crate::backends::sql::migrations::Files = $crate::backends::sql::migrations::Files {
            dialect: $crate::backends::sql::declared::Dialect::$which,
            known: MIGRATIONS,
            views: &VIEWS,
        };
    };
}
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use embedded;

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] =
        &[Migration { number: 1, name: "one", sql: "SELECT 1" }, Migration { number: 2, name: "two", sql: "SELECT 2" }];
    const VIEWS: Migration = Migration { number: 0, name: "views", sql: "SELECT 0" };

    const FILES: Files = Files { dialect: Dialect::Sqlite, known: KNOWN, views: &VIEWS };

    /// The names of everything that is declared.
    fn everything() -> BTreeSet<String> {
        let mut present = BTreeSet::new();
        for statement in missing(Dialect::Sqlite, &present) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            present.insert(words[2].to_owned());
            let own = ["version", "schema", "body", "noted_at"];
            let columns =
                words.iter().filter(|word| words[1] == "TABLE" && (word.starts_with("f_") || own.contains(word)));
            present.extend(columns.map(|column| format!("{}.{column}", words[2])));
        }
        present
    }

    fn told(applied: &[Applied]) -> String {
        match next(FILES, applied, &everything()) {
            Ok(Step::Run(migration)) => migration.name.to_owned(),
            Ok(Step::Declare(statements)) => statements.join(" "),
            Ok(Step::Nothing) => "nothing".to_owned(),
            Err(error) => error.message().to_owned(),
        }
    }

    /// Between the files and the views, which may look at what is made.
    #[test]
    fn what_is_declared_and_in_no_file_is_made_after_the_files() {
        let [one, two, views] = [KNOWN[0].checksum(), KNOWN[1].checksum(), VIEWS.checksum()];
        let mut present = everything();
        present.remove("job_due");
        let step = |applied: &[Applied]| next(FILES, applied, &present).unwrap();
        assert_eq!(step(&[(1, one.clone())]), Step::Run(&KNOWN[1]));
        let Step::Declare(statements) = step(&[(0, views), (1, one), (2, two)]) else { panic!("job_due is missing") };
        assert!(statements.len() == 1 && statements[0].starts_with("CREATE INDEX job_due ON job "), "{statements:?}");
        assert!(settled(Step::Declare(statements)).unwrap_err().message().contains("asgard migrate"));
    }

    #[test]
    fn the_next_one_is_run_and_what_is_not_understood_is_refused() {
        let [one, two, views] = [KNOWN[0].checksum(), KNOWN[1].checksum(), VIEWS.checksum()];
        assert_eq!(told(&[]), "one");
        assert_eq!(told(&[(1, one.clone())]), "two");
        assert_eq!(told(&[(1, one.clone()), (2, two.clone())]), "views");
        assert_eq!(told(&[(0, "older".into()), (1, one.clone()), (2, two.clone())]), "views");
        assert_eq!(told(&[(0, views), (1, one.clone()), (2, two.clone())]), "nothing");
        assert!(told(&[(1, "edited".into())]).contains("other contents"));
        assert!(told(&[(1, one), (2, two.clone()), (3, "x".into())]).contains("newer Asgard"));
        assert!(told(&[(2, two)]).contains("not migrated by Asgard"));
    }

    #[test]
    fn line_endings_do_not_change_a_checksum() {
        let unix = Migration { number: 1, name: "x", sql: "SELECT 1;\nSELECT 2;" };
        assert_eq!(unix.checksum(), Migration { sql: "SELECT 1;\r\nSELECT 2;", ..unix }.checksum());
    }
}
