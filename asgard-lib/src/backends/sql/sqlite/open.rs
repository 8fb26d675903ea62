//! Opening and migrating the file.

use super::{FILES, SqliteEngine, primary_code, readers::Readers, writer::Writer};
use crate::{
    backends::sql::migrations::{self, Applied, Step},
    error::{Code, Error, Result},
};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::{fs::OpenOptions, io::ErrorKind, path::Path, time::Duration};

/// Marks a file as Asgard's, so that it never writes into another program's database ("Asgd").
const APPLICATION_ID: i64 = 0x4173_6764;
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The names of tables and indexes, and those of columns behind their tables'.
const PRESENT: &str = "SELECT name FROM sqlite_schema UNION ALL \
    SELECT made.name || '.' || part.name FROM sqlite_schema made, pragma_table_xinfo(made.name) part WHERE made.type = 'table'";
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 256;

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Connections that read at the same time.
    pub readers: u32,
    /// Wait for the disk at every commit. Off only where losing the last commits to a power cut does not matter.
    pub durable: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 4, durable: true }
    }
}

/// What helps a file that cannot be used.
#[derive(Clone, Copy)]
enum Remedy {
    /// It is damaged.
    Restore,
    /// It is somebody else's, or nothing of ours.
    Another,
    /// This process may not write it, or its folder.
    Permit,
}

/// A file that cannot be used, and what to do about it.
fn unusable(path: &Path, why: impl std::fmt::Display, remedy: Remedy) -> Error {
    let another = "name another file in ASGARD_DATABASE_URL (database.url)";
    let remedy = match remedy {
        Remedy::Restore => format!("Restore it from a backup, or {another}"),
        Remedy::Another => format!("To use another one, {another}"),
        Remedy::Permit => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or_else(|| "the working folder".to_owned(), |folder| folder.display().to_string());
            format!(
                "Let the user that Asgard runs as write the file and its folder, {folder}, where SQLite keeps its log; or {another}"
            )
        }
    };
    Error::new(Code::Config, format!("The SQLite file {} cannot be used: {why}. {remedy}.", path.display()))
}

fn refused(path: &Path, error: rusqlite::Error) -> Error {
    let why = match primary_code(&error) {
        Some(_) => error.to_string(),
        None => "it cannot be opened".to_owned(),
    };
    let remedy = match primary_code(&error) {
        Some(rusqlite::ffi::SQLITE_PERM | rusqlite::ffi::SQLITE_READONLY | rusqlite::ffi::SQLITE_CANTOPEN) => {
            Remedy::Permit
        }
        Some(_) | None => Remedy::Restore,
    };
    unusable(path, why, remedy).caused_by(error)
}

/// Creates the file so that only its owner reads it. SQLite gives its side files the same mode.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_file() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(unusable(path, "it is not a file", Remedy::Another))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(unusable(path, "its folder does not exist", Remedy::Another))
        }
        Err(error) => Err(unusable(path, error.to_string(), Remedy::Permit).caused_by(error)),
    }
}

/// A connection to a file that is there. A connection is used by one thread at a time, so SQLite need not lock for it.
pub(super) fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that writes, with a write-ahead log.
pub(super) fn connect_writing(path: &Path, durable: bool) -> rusqlite::Result<Connection> {
    let connection = connect(path, false)?;
    // With a write-ahead log, FULL is what makes an answered commit survive a power cut.
    let synchronous = if durable { "FULL" } else { "NORMAL" };
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}"))?;
    Ok(connection)
}

pub(super) fn open(path: &Path, wanted: &SqliteOptions) -> Result<SqliteEngine> {
    create(path)?;
    // Looked at before anything is changed: turning the log on writes to the file.
    let connection = connect(path, false).map_err(|e| refused(path, e))?;
    check_owner(&connection, path)?;
    drop(connection);
    let writing = connect_writing(path, wanted.durable).map_err(|e| refused(path, e))?;
    let writer =
        Writer::start(path.to_owned(), wanted.durable, writing).map_err(|e| unusable(path, e, Remedy::Restore))?;
    let readers = Readers::open(path.to_owned(), wanted.readers.max(1), BUSY_TIMEOUT).map_err(|e| refused(path, e))?;
    Ok(SqliteEngine { path: path.to_owned(), readers, writer })
}

/// Refuses a file that is damaged or belongs to another program. Reading the list of tables touches the header and the
/// first pages, and SQLite compares the header's size with the file's.
fn check_owner(connection: &Connection, path: &Path) -> Result<()> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| refused(path, e));
    let owner = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if owner != APPLICATION_ID && tables > 0 {
        return Err(unusable(path, "it is the database of another program", Remedy::Another));
    }
    Ok(())
}

/// Runs what is missing, each in an exclusive transaction; without `apply` only says what is missing.
pub(super) fn migrate(path: &Path, apply: bool) -> Result<()> {
    let mut connection = connect(path, false).map_err(|e| refused(path, e))?;
    migrate_on(&mut connection, apply).map_err(|e| refused(path, e)).flatten()
}

fn migrate_on(connection: &mut Connection, apply: bool) -> rusqlite::Result<Result<()>> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(migrations::TABLE)?;
        let columns: Option<String> = transaction.query_row(
            "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info('migrations') ORDER BY name)",
            [],
            |row| row.get(0),
        )?;
        if columns.as_deref() != Some(migrations::COLUMNS) {
            return Ok(Err(migrations::foreign(
                "the SQLite file",
                "Give Asgard a file of its own in ASGARD_DATABASE_URL.",
            )));
        }
        let applied: Vec<Applied> = transaction
            .prepare("SELECT number, checksum FROM migrations")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let present =
            transaction.prepare(PRESENT)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        match migrations::next(FILES, &applied, &present) {
            Ok(Step::Run(migration)) if apply => {
                transaction.execute_batch(migration.sql)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO migrations (number, name, checksum, applied_at) \
                     VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
                    params![migration.number, migration.name, migration.checksum()],
                )?;
            }
            Ok(Step::Declare(statements)) if apply => transaction.execute_batch(&statements.concat())?,
            Ok(step) => return Ok(migrations::settled(step)),
            Err(refusal) => return Ok(Err(refusal)),
        }
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backup helps a damaged file, and not one that may not be written.
    #[test]
    fn what_is_advised_helps() {
        let said = |code| {
            refused(
                Path::new("/srv/asgard/a.db"),
                rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None),
            )
        };
        for code in [rusqlite::ffi::SQLITE_CANTOPEN, rusqlite::ffi::SQLITE_READONLY, rusqlite::ffi::SQLITE_PERM] {
            let said = said(code);
            assert!(said.message().contains("write the file and its folder, /srv/asgard"), "{said}");
            assert!(!said.message().contains("backup"), "{said}");
        }
        for code in [rusqlite::ffi::SQLITE_CORRUPT, rusqlite::ffi::SQLITE_NOTADB] {
            assert!(said(code).message().contains("Restore it from a backup"), "{code}");
        }
        let unwritable = unusable(Path::new("a.db"), "Permission denied", Remedy::Permit);
        assert!(unwritable.message().contains("the working folder"), "{unwritable}");
    }
}
