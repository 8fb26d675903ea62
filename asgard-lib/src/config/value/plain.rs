//! Numbers, truth values, paths, addresses and the kernel's words.

use super::{Refusal, Value};
use crate::{
    config::spec::Spec,
    domain::tier::Tier,
    kernel::{
        AccountName, DatabaseLocation, DatabaseUrlFault, DisplayName, Email, EmailDomain, Issuer, SchemaName,
        SecretText, Slug, Usd, Username,
    },
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn allowed(spec: &Spec) -> String {
                let (least, most) = spec.range.unwrap_or((0, u64::from(<$type>::MAX)));
                let unit = if spec.unit.is_empty() { String::new() } else { format!(" {}", spec.unit) };
                format!("a whole number from {least} to {most}{unit}")
            }

            fn parse(text: &str, spec: &Spec) -> Result<Self, Refusal> {
                let (least, most) = spec.range.unwrap_or((0, u64::from(<$type>::MAX)));
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let number: u64 = digits.then(|| text.parse().ok()).flatten().ok_or(Refusal::NotAllowed)?;
                if !(least..=most).contains(&number) {
                    return Err(Refusal::NotAllowed);
                }
                Self::try_from(number).map_err(|_| Refusal::NotAllowed)
            }

            fn format(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_number!(u32, u64);

/// Types of the kernel that say themselves what is allowed.
macro_rules! kernel_text {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn allowed(_: &Spec) -> String {
                "".parse::<Self>().err().map_or_else(String::new, |malformed| malformed.allowed.to_owned())
            }

            fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
                text.parse().map_err(|_| Refusal::NotAllowed)
            }

            fn format(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

kernel_text!(Slug, AccountName, DisplayName, Email, EmailDomain, Issuer, Username, Tier);

impl Value for bool {
    fn allowed(_: &Spec) -> String {
        "true, false, 1 or 0".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(Refusal::NotAllowed),
        }
    }

    fn format(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn allowed(_: &Spec) -> String {
        "1 to 1000 printable characters on one line".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let text = text.trim();
        let fits = (1..=1000).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned()).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    fn allowed(_: &Spec) -> String {
        "a path".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let fits = !text.trim().is_empty() && !text.chars().any(char::is_control);
        fits.then(|| Self::from(text)).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.display().to_string()
    }
}

impl Value for SecretText {
    fn allowed(_: &Spec) -> String {
        "1 to 65536 characters on one line".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        // A line break is what a file or a variable had around the value, and would be part of it without a word.
        let fits = (1..=65_536).contains(&text.len()) && !text.contains(['\n', '\r']);
        fits.then(|| Self::new(text)).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        "(secret)".to_owned()
    }
}

impl Value for SocketAddr {
    fn allowed(_: &Spec) -> String {
        "an address and a port, for example 0.0.0.0:8080, [::1]:8080 or localhost:8080".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let local = |port: &str| port.parse::<u16>().ok().map(|port| Self::from((Ipv4Addr::LOCALHOST, port)));
        let address = match text.strip_prefix("localhost:") {
            Some(port) => local(port),
            None => text.parse().ok(),
        };
        address.ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.to_string()
    }
}

impl Value for IpNet {
    fn allowed(_: &Spec) -> String {
        "a network such as 10.0.0.0/8, or one address".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let network = text.parse::<Self>().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from));
        network.map(|network| network.trunc()).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.to_string()
    }
}

impl Value for Usd {
    fn allowed(_: &Spec) -> String {
        "dollars from 0 to 1000000000 with at most six decimals".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'_');
        let number = plain.then(|| text.replace('_', "").parse().ok()).flatten();
        number.and_then(Self::from_number).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.dollars().to_string()
    }
}

impl Value for SchemaName {
    fn allowed(_: &Spec) -> String {
        Self::ALLOWED.to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        text.parse().map_err(|_| Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.to_string()
    }
}

impl Value for DatabaseLocation {
    fn allowed(_: &Spec) -> String {
        "sqlite://path/to/file, postgres://user:password@host:port/database or dynamodb://table?region=eu-west-1"
            .to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        text.parse().map_err(|fault| match fault {
            DatabaseUrlFault::NoScheme | DatabaseUrlFault::UnknownScheme => Refusal::NotAllowed,
            DatabaseUrlFault::Because(why) => Refusal::Because(why.to_owned()),
        })
    }

    fn format(&self) -> String {
        format!("{self:?}")
    }
}
