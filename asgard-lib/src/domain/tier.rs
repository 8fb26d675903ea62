//! How much a project matters and how sensitive its data is.

use crate::kernel::Malformed;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The classification of a project, lowest first. Promotion goes one step up at a time; each step asks for evidence.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// An experiment with a review date.
    #[default]
    Poc,
    /// In use by one team.
    LightOperational,
    /// In use by many.
    WideOperational,
    /// The organisation cannot work without it.
    CriticalPath,
}

impl Tier {
    /// Every tier, lowest first.
    pub const ALL: [Self; 4] = [Self::Poc, Self::LightOperational, Self::WideOperational, Self::CriticalPath];

    /// The name used everywhere outside.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poc => "poc",
            Self::LightOperational => "light-operational",
            Self::WideOperational => "wide-operational",
            Self::CriticalPath => "critical-path",
        }
    }
}

/// What the data of a project may be, least sensitive first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DataClass {
    /// Anybody may see it.
    Public,
    /// Anybody in the organisation may see it.
    #[default]
    Internal,
    /// Those who need it may see it.
    Confidential,
    /// Named people may see it.
    Restricted,
}

impl DataClass {
    /// Every class, least sensitive first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];

    /// The name used everywhere outside.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for DataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = "poc, light-operational, wide-operational or critical-path";
        Self::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or(Malformed { what: "classification", allowed })
    }
}

impl FromStr for DataClass {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = "public, internal, confidential or restricted";
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(Malformed { what: "data class", allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_print_and_serialise_alike_and_order_is_rank() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
            assert!("x".parse::<Tier>().unwrap_err().allowed.contains(tier.as_str()));
        }
        for class in DataClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
            assert!("x".parse::<DataClass>().unwrap_err().allowed.contains(class.as_str()));
        }
        assert!(Tier::ALL.is_sorted() && DataClass::ALL.is_sorted());
        assert!("Poc".parse::<Tier>().is_err() && "".parse::<DataClass>().is_err());
    }
}
