//! Words everyone shares: ids, money, time, text, pages and actors. Depends on nothing else in the crate.

pub(crate) mod actor;
pub(crate) mod base_path;
pub(crate) mod canonical;
pub(crate) mod database;
pub(crate) mod generation;
pub(crate) mod id;
pub(crate) mod money;
pub(crate) mod network;
pub(crate) mod page;
pub(crate) mod principal;
pub(crate) mod schema;
pub(crate) mod secret;
pub(crate) mod table;
#[cfg(all(test, any(feature = "http", feature = "aws")))]
pub(crate) mod testkit;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod words;

pub use actor::{Actor, ActorKind, ActorRef, Role, SignIn};
pub use base_path::BasePath;
pub use database::{DatabaseLocation, DatabaseUrlFault};
pub use generation::Generation;
pub use id::*;
pub use money::{Dollars, Usd};
pub use page::{Cursor, Limit, Page};
pub use principal::{Party, Person, VerifiedEmail};
pub use schema::SchemaName;
pub use secret::SecretText;
pub use table::DynamoTable;
pub use text::{
    AccountName, DisplayName, Email, EmailDomain, Issuer, IssuerSubject, ResourceName, Slug, Username, is_plain,
    is_plain_text,
};
pub use time::Timestamp;

/// A value that did not parse: what it was for, and what is allowed. Never carries the value itself when that could be
/// a secret; callers turn it into an [`crate::Error`] that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What was being parsed, for example `resource name`.
    pub what: &'static str,
    /// What is allowed, as a sentence fragment.
    pub allowed: &'static str,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a valid {}: expected {}", self.what, self.allowed)
    }
}

impl std::error::Error for Malformed {}

/// Writes only the name of a type where it is printed for debugging: it holds a secret, or parts that print nothing.
macro_rules! opaque {
    ($type:ty) => {
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    };
}
pub(crate) use opaque;

/// Serde and JSON Schema for a type that is text outside and parsed inside (`FromStr` in, `Display` out).
macro_rules! text_serde {
    ($name:ident, $pattern:expr, $description:expr) => {
        $crate::kernel::text_serde!($name, $pattern, $description, |text: &str| text.parse::<$name>());
    };
    ($name:ident, $pattern:expr, $description:expr, $read:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                let read: fn(&str) -> Result<Self, $crate::kernel::Malformed> = $read;
                read(&text).map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}
pub(crate) use text_serde;
