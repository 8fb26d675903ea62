//! Migrations: SQL files in the binary, run in order, each in a transaction and under a lock, each remembered with its
//! checksum. What was applied is never edited; a later file changes it.

use crate::error::{Code, Error, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// One file of `migrations/<dialect>`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1 without gaps; 0 is the views, which are made again whenever they changed.
    pub number: i64,
    /// The file's name without its ending.
    pub name: &'static str,
    /// What it runs.
    pub sql: &'static str,
}

impl Migration {
    /// The digest that tells an edited file; line endings do not count.
    pub fn checksum(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.sql.replace('\r', "")))
    }
}

/// What a database remembers of a migration: number and checksum.
pub type Applied = (i64, String);

/// The table that remembers. The same words make it in every dialect.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations \
    (number bigint NOT NULL PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at text NOT NULL)";

/// The next migration to run, if one is left. Refuses a database that this build does not understand.
pub fn next<'a>(known: &'a [Migration], views: &'a Migration, applied: &[Applied]) -> Result<Option<&'a Migration>> {
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
    if let Some(missing) = known.iter().find(|migration| !has(migration)) {
        if let Some((later, _)) = applied.iter().find(|(number, _)| *number > missing.number) {
            return refuse(format!(
                "The database has migration {later} but not {}: it was not migrated by Asgard.",
                missing.number
            ));
        }
        return Ok(Some(missing));
    }
    let current = applied.iter().any(|(number, checksum)| *number == views.number && *checksum == views.checksum());
    Ok((!current).then_some(views))
}

/// The refusal of a database that still needs `migration`.
pub fn pending(migration: &Migration) -> Error {
    Error::new(Code::Config, format!("The database lacks migration {}. Run `asgard migrate` first.", migration.name))
}

macro_rules! embedded {
    ($dialect:literal: $($number:literal = $name:literal),* $(,)?) => {
        /// The migrations of this dialect, in order.
        pub const MIGRATIONS: &[$crate::backends::sql::migrations::Migration] = &[$(
            $crate::backends::sql::migrations::Migration {
                number: $number,
                name: $name,
                sql: include_str!(concat!("../../../../migrations/", $dialect, "/", $name, ".sql")),
            },
        )*];
        /// The views for analysts.
        pub const VIEWS: $crate::backends::sql::migrations::Migration = $crate::backends::sql::migrations::Migration {
            number: 0,
            name: "views",
            sql: include_str!(concat!("../../../../migrations/views/", $dialect, ".sql")),
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

    fn told(applied: &[Applied]) -> String {
        match next(KNOWN, &VIEWS, applied) {
            Ok(Some(migration)) => migration.name.to_owned(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.message().to_owned(),
        }
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
