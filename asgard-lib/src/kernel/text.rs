//! Text that is parsed once and trusted afterwards.

use super::{Malformed, text_serde};
use std::{fmt, str::FromStr};

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $pattern:expr, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                $name::read(text, is_plain)
            }
        }

        impl $name {
            fn read(text: &str, takes: fn(char) -> bool) -> Result<Self, Malformed> {
                let parse: fn(&str, fn(char) -> bool) -> Option<String> = $parse;
                parse(text, takes).map(Self).ok_or(Malformed { what: $what, allowed: $allowed })
            }

            /// The text of a record, which an earlier version may have taken with characters that are refused today.
            fn stored(text: &str) -> Result<Self, Malformed> {
                Self::read(text, |c| !c.is_control())
            }
        }

        text_serde!($name, $pattern, $allowed, $name::stored);
    };
}

/// What a schema says of text on one line, for fields whose text stays text.
pub(crate) const ONE_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// The same of text that may have several lines.
pub(crate) const LINES: &str = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$";

/// The same of text that may have several lines and tabs.
pub(crate) const PROSE: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// Whether a character shows as what it is: no control, and none that is invisible or turns the direction of what follows. What
/// people read, and compare with what they know, holds no other. Joiners are left out as well, which some scripts write with: a name
/// that only looks like another one is worse than one that is written without them.
pub fn is_plain(c: char) -> bool {
    let invisible = matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}');
    !c.is_control() && !invisible
}

/// Whether a text of several lines shows as what it is: see [`is_plain`]. Line breaks and tabs are allowed.
pub fn is_plain_text(text: &str) -> bool {
    text.chars().all(|c| is_plain(c) || matches!(c, '\n' | '\r' | '\t'))
}

fn is_label(text: &str, longest: usize) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= longest
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text!(
    /// A resource's name, unique per project and service. Becomes part of names in clouds, never of a path.
    ResourceName, "resource name", "2 to 40 of a-z, 0-9 and -, starting with a letter and not ending with -",
    "^[a-z][a-z0-9-]{0,38}[a-z0-9]$",
    |text, _| (text.len() >= 2 && is_label(text, 40)).then(|| text.to_owned())
);

text!(
    /// A short machine name: group keys, service ids, cloud names.
    Slug, "name", "1 to 63 of a-z, 0-9 and -, starting with a letter and not ending with -",
    "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
    |text, _| is_label(text, 63).then(|| text.to_owned())
);

text!(
    /// An account of a cloud: an AWS account id, an Auth0 tenant.
    AccountName, "account", "1 to 128 of letters, digits and . _ -, starting with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
    |text, _| {
        let ok = (1..=128).contains(&text.len())
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        ok.then(|| text.to_owned())
    }
);

text!(
    /// An e-mail address, lower-cased: people are matched by it.
    Email, "e-mail address", "an address such as name@example.com, at most 254 characters",
    concat!(
        "^[^\\s\\x00-\\x1f\\x7f-\\x9f<>()\\[\\],;:\\\\\"@]{1,64}@",
        "([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
    ),
    |text, takes| {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let plain = |c: char| !c.is_whitespace() && takes(c) && !"<>()[],;:\\\"@".contains(c);
        let (long, whole) = (local.chars().count(), text.chars().count());
        let fits = (1..=64).contains(&long) && whole <= 254 && local.chars().all(plain);
        (fits && is_domain(domain)).then(|| text.to_lowercase())
    }
);

/// The part of an address behind the `@`, where it is one.
fn is_domain(domain: &str) -> bool {
    !domain.is_empty()
        && domain.split('.').all(|l| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-'))
        && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

impl Email {
    /// The domain: what is behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

text!(
    /// A domain of e-mail addresses, lower-cased. It stands for itself, and for no domain below it.
    EmailDomain, "e-mail domain", "a domain of e-mail addresses such as example.com, at most 253 characters",
    "^[A-Za-z0-9.-]{1,253}$",
    |text, _| (text.len() <= 253 && is_domain(text)).then(|| text.to_ascii_lowercase())
);

text!(
    /// A name for people to read: trimmed, one line.
    DisplayName, "display name", "1 to 120 characters on one line, none of them invisible or turning the direction of text",
    "^[^\\s\\x00-\\x1f\\x7f-\\x9f]([^\\x00-\\x1f\\x7f-\\x9f]{0,118}[^\\s\\x00-\\x1f\\x7f-\\x9f])?$",
    |text, takes| {
        let text = text.trim();
        let length = text.chars().count();
        ((1..=120).contains(&length) && text.chars().all(takes)).then(|| text.to_owned())
    }
);

text!(
    /// A local account's name, lower-cased.
    Username, "username", "1 to 64 of letters, digits and . _ @ + -, starting with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$",
    |text, _| {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@+-".contains(&b));
        ok.then(|| text.to_ascii_lowercase())
    }
);

/// One line of 1 to 255 characters, exactly as it was given: whoever issues identities compares them byte by byte.
fn exact(text: &str, takes: fn(char) -> bool) -> Option<String> {
    let length = text.chars().count();
    ((1..=255).contains(&length) && text.chars().all(takes)).then(|| text.to_owned())
}

text!(
    /// Who says that somebody is who they are: `local` for Asgard's own accounts, the URL of an identity provider, the name
    /// of a service that Asgard is embedded in.
    Issuer, "issuer", "1 to 255 characters on one line", "^[^\\x00-\\x1f\\x7f-\\x9f]{1,255}$", exact
);

impl Issuer {
    /// Asgard itself: whoever signs in with a username and password.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The service that Asgard is embedded in, where it has given itself no name.
    pub fn host() -> Self {
        Self("host".to_owned())
    }

    /// Whether it is the service that Asgard is embedded in.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Whether it is Asgard itself.
    pub fn is_local(&self) -> bool {
        self.0 == "local"
    }
}

text!(
    /// What an issuer knows somebody by: never given to anybody else, and the same however often an address changes.
    IssuerSubject, "subject", "1 to 255 characters on one line", "^[^\\x00-\\x1f\\x7f-\\x9f]{1,255}$", exact
);

impl From<&Username> for IssuerSubject {
    fn from(username: &Username) -> Self {
        Self(username.as_str().to_owned())
    }
}

impl From<&Email> for IssuerSubject {
    fn from(email: &Email) -> Self {
        Self(email.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_names_never_look_like_paths() {
        for good in ["a1", "my-bucket", "a0123456789012345678901234567890123456b9"] {
            assert!(good.parse::<ResourceName>().is_ok(), "{good}");
        }
        for bad in
            ["", "a", "-a", "a-", "A1", "a/b", "..", "a\0b", "a b", "ä1", "a01234567890123456789012345678901234567890"]
        {
            assert!(bad.parse::<ResourceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn emails_are_lower_case_and_plain() {
        assert_eq!("Ann@Corp.Example".parse::<Email>().map(|e| e.to_string()), Ok("ann@corp.example".into()));
        for bad in ["", "ann", "@x", "a@", "a b@x.y", "a@x..y", "a@-x.y", "a\n@x.y", "a@x.y, b@x.y"] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_that_people_read_holds_what_cannot_be_seen_or_turns_text_around() {
        for hidden in [
            "\u{202e}",
            "\u{2066}",
            "\u{200b}",
            "\u{200d}",
            "\u{feff}",
            "\u{ad}",
            "\u{e0041}",
            "\u{3164}",
            "\u{85}",
            "\u{9b}",
        ] {
            let inside = format!("ann{hidden}a");
            assert!(inside.parse::<DisplayName>().is_err(), "{inside:?}");
            assert!(format!("{inside}@corp.example").parse::<Email>().is_err(), "{inside:?}");
            assert!(inside.parse::<Issuer>().is_err() && inside.parse::<IssuerSubject>().is_err(), "{inside:?}");
            assert!(inside.parse::<Username>().is_err() && !is_plain_text(&inside), "{inside:?}");
        }
        for fine in ["Jürgen Müller", "山田 太郎", "שלום", "مرحبا", "Zoë 🎉", "naïve\u{301}"] {
            assert!(fine.parse::<DisplayName>().is_ok(), "{fine:?}");
        }
        let old: DisplayName = serde_json::from_str("\"ann\\u202ea\"").unwrap();
        assert_eq!(old.as_str(), "ann\u{202e}a", "a record of an earlier version is read");
        assert!(is_plain_text("a line\n\tand another\r\n"));
    }

    #[test]
    fn display_names_are_one_trimmed_line() {
        assert_eq!("  Collab Editor ".parse::<DisplayName>().map(|n| n.to_string()), Ok("Collab Editor".into()));
        for bad in ["", "   ", "a\nb", "a\0b", &"x".repeat(121)] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
    }
}
