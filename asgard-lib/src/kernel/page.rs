//! Lists come in pages. A cursor is sealed by the keyring: clients can neither read nor forge one.

use serde::{Deserialize, Serialize};

/// How many items a page may hold: 1 to 200, 50 unless told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The most that one page holds.
    pub const MAX: u16 = 200;

    /// The number.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// A limit of `n`, clamped into what is allowed.
    pub fn clamped(n: u16) -> Self {
        Self(n.clamp(1, Self::MAX))
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match u16::deserialize(d)? {
            n @ 1..=Self::MAX => Ok(Self(n)),
            _ => Err(serde::de::Error::custom("expected 1 to 200")),
        }
    }
}

impl schemars::JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50, "description": "How many items a page holds" })
    }
}

/// Where the next page starts; opaque.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Cursor(#[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,1000}$"))] pub String);

/// One page of a list. `next_cursor` is absent on the last page.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Page<T> {
    /// The items of this page, in order.
    pub items: Vec<T>,
    /// The cursor of the next page: pass it as `cursor`; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same page with every item turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}
