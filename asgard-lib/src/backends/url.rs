//! Database URLs. A message never quotes one: it may hold a password.

use crate::{
    error::{Code, Error, Result},
    kernel::DynamoTable,
};
use std::path::PathBuf;

const EXPECTED: &str = "Expected `sqlite://asgard.db`, `sqlite:///absolute/path.db`, `postgres://user:password@host:5432/database` or `dynamodb://table?region=eu-west-1`.";

/// Where a URL points.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server; its driver reads the rest of the URL.
    Postgres,
    /// A table in AWS.
    DynamoDb(DynamoTable),
}

fn refuse(why: &str) -> Error {
    Error::new(Code::Config, format!("The database URL cannot be used: {why} {EXPECTED}"))
}

pub(super) fn parse(url: &str) -> Result<Location> {
    let Some((scheme, rest)) = url.split_once(':') else { return Err(refuse("it has no scheme.")) };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => file(rest.strip_prefix("//").unwrap_or(rest)).map(Location::Sqlite),
        "postgres" | "postgresql" if rest.starts_with("//") => Ok(Location::Postgres),
        "postgres" | "postgresql" => Err(refuse("`//` is missing after the scheme.")),
        "dynamodb" => url.parse().map(Location::DynamoDb).map_err(|why| refuse(&format!("{why}."))),
        _ => Err(refuse("its scheme is not one that Asgard knows.")),
    }
}

fn file(path: &str) -> Result<PathBuf> {
    if path.contains('?') {
        return Err(refuse("a SQLite URL takes no options."));
    }
    let path = decode(path).ok_or_else(|| refuse("its path has a bad %-escape."))?;
    match path.as_str() {
        "" | "/" => Err(refuse("it names no file.")),
        ":memory:" => Err(refuse("a database in memory would be gone at every restart.")),
        path if path.ends_with('/') => Err(refuse("it names a folder.")),
        path if path.contains('\0') => Err(refuse("its path has a NUL.")),
        path => Ok(PathBuf::from(path)),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_point_where_they_say() {
        for (url, path) in [
            ("sqlite://asgard.db", "asgard.db"),
            ("sqlite:asgard.db", "asgard.db"),
            ("sqlite://./data/a.db", "./data/a.db"),
            ("sqlite:///var/lib/asgard/a.db", "/var/lib/asgard/a.db"),
            ("SQLite:///with%20space%25.db", "/with space%.db"),
        ] {
            assert_eq!(parse(url).unwrap(), Location::Sqlite(path.into()), "{url}");
        }
        assert_eq!(parse("postgresql://u:p@h/d").unwrap(), Location::Postgres);
        assert!(matches!(parse("dynamodb://table?region=eu-west-1").unwrap(), Location::DynamoDb(_)));
    }

    #[test]
    fn what_is_no_database_url_is_refused_without_being_quoted() {
        for (url, says) in [
            ("", "no scheme"),
            ("hunter2.db", "no scheme"),
            ("mysql://u:hunter2@h/d", "not one that Asgard knows"),
            ("postgres:u:hunter2@h", "`//` is missing"),
            ("sqlite://", "names no file"),
            ("sqlite:///", "names no file"),
            ("sqlite://data/", "names a folder"),
            ("sqlite://:memory:", "in memory"),
            ("sqlite://a.db?mode=hunter2", "no options"),
            ("dynamodb://a", "3 to 255"),
            ("sqlite://a%2", "%-escape"),
            ("sqlite://a%zz", "%-escape"),
            ("sqlite://a%00b", "NUL"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.message().contains(says), "{url}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
