//! The name of a PostgreSQL schema.

use super::Malformed;
use std::{fmt, str::FromStr};

/// A schema of a PostgreSQL database: 1 to 63 lower-case letters, digits and `_`, not starting with a digit. Such a name
/// means the same quoted and unquoted, and can stand in a statement as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName(String);

impl SchemaName {
    /// What is allowed, as a sentence fragment.
    pub const ALLOWED: &'static str = "1 to 63 lower-case letters, digits and `_`, not starting with a digit or `pg_`";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SchemaName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        // PostgreSQL keeps these for itself.
        let reserved = text.starts_with("pg_") || text == "information_schema";
        if first && plain && !reserved && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed { what: "schema name", allowed: Self::ALLOWED })
        }
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_identifier_is_a_schema_name() {
        for name in ["asgard", "_a", "asgard_2", "public", &"a".repeat(63)] {
            assert_eq!(name.parse::<SchemaName>().unwrap().to_string(), name);
        }
        let long = "a".repeat(64);
        for name in ["", "2a", "Asgard", "a-b", "a b", "a\"b", "a;b", "pg_temp", "information_schema", "é", &long] {
            assert!(name.parse::<SchemaName>().is_err(), "{name}");
        }
    }
}
