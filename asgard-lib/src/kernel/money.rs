//! Money. Inside and at rest: integer micro-dollars ([`Usd`]). Outside: a JSON number of dollars ([`Dollars`]).

use std::{fmt, ops::Add};

/// US dollars in integer micro-dollars. Serialises as that integer, for records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Usd(i64);

const MICROS: i64 = 1_000_000;
/// The largest amount accepted from outside: a billion dollars.
const LARGEST: f64 = 1e9;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From micro-dollars.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole dollars; saturates.
    pub const fn from_dollars(dollars: i64) -> Self {
        Self(dollars.saturating_mul(MICROS))
    }

    /// From a JSON number of dollars: finite, 0 to a billion, at most six decimals.
    pub fn from_number(dollars: f64) -> Option<Self> {
        if !(0.0..=LARGEST).contains(&dollars) {
            return None;
        }
        // A billion dollars is 1e15 micro-dollars, well inside what an f64 holds exactly.
        let micros = (dollars * 1e6).round();
        let exact = (micros / 1e6 - dollars).abs() < 1e-9_f64.max(dollars * f64::EPSILON * 4.0);
        #[allow(clippy::cast_possible_truncation, reason = "rounded and at most 1e15")]
        exact.then_some(Self(micros as i64))
    }

    /// Micro-dollars.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Dollars as a floating number, for JSON.
    pub fn dollars(self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "amounts stay far below 2^53 micro-dollars")]
        let micros = self.0 as f64;
        micros / 1e6
    }

    /// The difference; saturates.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = ((self.0 / MICROS).unsigned_abs(), (self.0 % MICROS).abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimals = format!("{rest:06}");
        let trimmed = decimals.trim_end_matches('0');
        if trimmed.len() <= 2 {
            write!(f, "{sign}${whole}.{:02}", rest / 10_000)
        } else {
            write!(f, "{sign}${whole}.{trimmed}")
        }
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The outside form of [`Usd`]: a JSON number of dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dollars(pub Usd);

impl serde::Serialize for Dollars {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.micros() % MICROS == 0 {
            s.serialize_i64(self.0.micros() / MICROS)
        } else {
            s.serialize_f64(self.0.dollars())
        }
    }
}

impl<'de> serde::Deserialize<'de> for Dollars {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(d)?;
        Usd::from_number(number)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected dollars from 0 to 1000000000 with at most six decimals"))
    }
}

impl schemars::JsonSchema for Dollars {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dollars".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1_000_000_000, "description": "US dollars" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_money() {
        for bad in [f64::NAN, f64::INFINITY, -0.01, 1e9 + 1.0, 0.000_000_1] {
            assert_eq!(Usd::from_number(bad), None, "{bad}");
        }
        assert_eq!(Usd::from_number(0.1), Some(Usd::from_micros(100_000)));
        assert_eq!(Usd::from_micros(1_500_000).to_string(), "$1.50");
        assert_eq!(Usd::from_micros(1).to_string(), "$0.000001");
        assert_eq!(Usd::from_micros(-500_000).to_string(), "-$0.50");
        assert_eq!(Usd::from_dollars(-7).to_string(), "-$7.00");
    }

    proptest! {
        #[test]
        fn dollars_round_trip(micros in 0i64..=1_000_000_000_000_000) {
            let usd = Usd::from_micros(micros);
            prop_assert_eq!(Usd::from_number(usd.dollars()), Some(usd));
        }
    }
}
