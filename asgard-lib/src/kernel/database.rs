//! Which database, and where: the one reader of database URLs. Nothing here quotes a URL: it may hold a password.

use super::{DynamoTable, SecretText};
use std::{fmt, path::PathBuf, str::FromStr};

/// Which database, and where.
#[derive(Clone)]
pub enum DatabaseLocation {
    /// A file on this machine's disk.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A table in AWS.
    DynamoDb {
        /// Which, and where.
        table: DynamoTable,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The connection URL; it may hold a password. Its driver reads what follows the scheme.
        url: SecretText,
    },
}

/// Never shows the URL of a server: its password could be anywhere in it.
impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
            Self::DynamoDb { table } => {
                write!(f, "dynamodb://{}", table.name)?;
                let parts = [("region", &table.region), ("endpoint", &table.endpoint)];
                let mut glue = '?';
                for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                    write!(f, "{glue}{name}={value}")?;
                    glue = '&';
                }
                Ok(())
            }
            Self::Postgres { url: _ } => f.write_str("postgres://(secret)"),
        }
    }
}

/// Why a text is no database URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseUrlFault {
    /// Nothing stands before a colon.
    NoScheme,
    /// The scheme is none of ours.
    UnknownScheme,
    /// The scheme is ours, and what follows it is wrong.
    Because(&'static str),
}

impl fmt::Display for DatabaseUrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "it has no scheme",
            Self::UnknownScheme => "its scheme is not one that Asgard knows",
            Self::Because(why) => why,
        })
    }
}

impl std::error::Error for DatabaseUrlFault {}

/// The case of a scheme means nothing, and the path of a file is percent-decoded, as in every URL.
impl FromStr for DatabaseLocation {
    type Err = DatabaseUrlFault;

    fn from_str(url: &str) -> Result<Self, DatabaseUrlFault> {
        let (scheme, rest) = url.split_once(':').ok_or(DatabaseUrlFault::NoScheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => match file(rest.strip_prefix("//").unwrap_or(rest)) {
                Ok(path) => Ok(Self::Sqlite { path }),
                Err(why) => Err(DatabaseUrlFault::Because(why)),
            },
            lower @ ("postgres" | "postgresql") => match rest.strip_prefix("//") {
                None => Err(DatabaseUrlFault::Because("`//` is missing after the scheme")),
                Some("") => Err(DatabaseUrlFault::Because("a PostgreSQL URL names a host")),
                // Before any part of it is taken for the name of a host and asked for in DNS.
                Some(rest) if !is_escaped(rest) => Err(DatabaseUrlFault::Because(NOT_ESCAPED)),
                // Drivers know the scheme in small letters only.
                Some(_) => Ok(Self::Postgres { url: SecretText::new(format!("{lower}:{rest}")) }),
            },
            "dynamodb" => match format!("dynamodb:{rest}").parse() {
                Ok(table) => Ok(Self::DynamoDb { table }),
                Err(why) => Err(DatabaseUrlFault::Because(why)),
            },
            _ => Err(DatabaseUrlFault::UnknownScheme),
        }
    }
}

const NOT_ESCAPED: &str = "its user, password or a parameter has one of `@`, `/`, `?` and `#` as it is; percent-encode them as \
    `%40`, `%2F`, `%3F` and `%23`";

/// Whether what follows the `//` of a server's URL can be read in one way only: an `@` ends the user and password, and stands
/// nowhere behind the host but in a parameter; a `#` is nowhere.
fn is_escaped(rest: &str) -> bool {
    let parameters = |query: &str| {
        query.split('&').all(|pair| match pair.split_once('=') {
            Some((name, _)) => !name.contains(['@', ':', '/']),
            None => !pair.contains('@'),
        })
    };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port);
    let numbered = port.is_none_or(|port| port.split(',').all(|one| one.bytes().all(|byte| byte.is_ascii_digit())));
    !rest.contains('#') && !path.contains('@') && parameters(query) && numbered
}

fn file(path: &str) -> Result<PathBuf, &'static str> {
    if path.contains('?') {
        return Err("a SQLite database takes no parameters after `?`");
    }
    let path =
        percent_decoded(path).ok_or("the path of the SQLite file has a bad %-escape; a plain `%` is written `%25`")?;
    match path.as_str() {
        "" | "/" => Err("the path of the SQLite file is missing, for example sqlite://asgard.db"),
        path if path.contains(":memory:") => Err(
            "a database in memory cannot be shared with the processes that run Terraform; use a file, for example sqlite://asgard.db",
        ),
        path if path.ends_with('/') => Err("the path of the SQLite file names a folder"),
        path if path.chars().any(char::is_control) => Err("the path of the SQLite file has a control character"),
        path => Ok(PathBuf::from(path)),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
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

    fn read(url: &str) -> Result<String, String> {
        let location = url.parse::<DatabaseLocation>().map_err(|why| why.to_string())?;
        Ok(match location {
            DatabaseLocation::Sqlite { path } => format!("file {}", path.display()),
            DatabaseLocation::Postgres { url } => format!("server {}", url.reveal()),
            DatabaseLocation::DynamoDb { table } => format!("table {}", table.name),
        })
    }

    #[test]
    fn urls_point_where_they_say() {
        for (url, place) in [
            ("sqlite://asgard.db", "file asgard.db"),
            ("sqlite:asgard.db", "file asgard.db"),
            ("sqlite://./data/a.db", "file ./data/a.db"),
            ("sqlite:///var/lib/asgard/a.db", "file /var/lib/asgard/a.db"),
            ("SQLite:///with%20space%25.db", "file /with space%.db"),
            ("sqlite://%C3%BC.db", "file ü.db"),
            ("postgresql://u:p@h/d", "server postgresql://u:p@h/d"),
            ("Postgres://u:P%40w@Host/d?sslmode=require", "server postgres://u:P%40w@Host/d?sslmode=require"),
            ("postgres://u:p@w@h:5432/d", "server postgres://u:p@w@h:5432/d"),
            ("postgres://u:p@[::1]:5432/d", "server postgres://u:p@[::1]:5432/d"),
            ("postgres://u:p@[::1]/d", "server postgres://u:p@[::1]/d"),
            ("postgres:///d?host=/run/pg&user=a@b", "server postgres:///d?host=/run/pg&user=a@b"),
            ("dynamodb://table?region=eu-west-1", "table table"),
            ("DynamoDB://Table", "table Table"),
        ] {
            assert_eq!(read(url).as_deref(), Ok(place), "{url}");
        }
    }

    #[test]
    fn what_is_no_database_url_is_refused_without_being_quoted() {
        for (url, says) in [
            ("", "no scheme"),
            ("hunter2.db", "no scheme"),
            ("mysql://u:hunter2@h/d", "not one that Asgard knows"),
            ("postgres:u:hunter2@h", "`//` is missing"),
            ("postgres://", "names a host"),
            ("postgres://u:hun/ter2@h/d", "percent-encode"),
            ("postgres://u:hun?ter2@h/d", "percent-encode"),
            ("postgres://u:hun#ter2@h/d", "percent-encode"),
            ("postgres://u:12/ter2@h/d", "percent-encode"),
            ("postgres://u:12?ter2@h/d", "percent-encode"),
            ("postgres://u:hun@ter/2@h/d", "percent-encode"),
            ("postgres://u:hun@ter?2@h/d", "percent-encode"),
            ("postgres://u:hun@ter#2@h/d", "percent-encode"),
            ("postgres://u:hun@ter?a:b=2@h/d", "percent-encode"),
            ("postgres://u:hunter2@h/d#x", "percent-encode"),
            ("postgres://u:hunter2", "percent-encode"),
            ("postgres://h/d?password=hun#ter2", "percent-encode"),
            ("sqlite://", "file is missing"),
            ("sqlite:///", "file is missing"),
            ("sqlite://data/", "names a folder"),
            ("sqlite://:memory:", "in memory"),
            ("sqlite::memory:", "in memory"),
            ("sqlite://%3Amemory:", "in memory"),
            ("sqlite://a.db?mode=hunter2", "no parameters"),
            ("dynamodb://a", "3 to 255"),
            ("dynamodb:table", "dynamodb://"),
            ("sqlite://a%2", "%-escape"),
            ("sqlite://a%zz", "%-escape"),
            ("sqlite://a%+1", "%-escape"),
            ("sqlite://a%ff", "%-escape"),
            ("sqlite://a%00b", "control character"),
        ] {
            let why = read(url).unwrap_err();
            assert!(why.contains(says) && !why.contains("hunter2"), "{url}: {why}");
        }
        assert_eq!(
            format!("{:?}", "postgres://u:hunter2@h/d".parse::<DatabaseLocation>().unwrap()),
            "postgres://(secret)"
        );
    }
}
