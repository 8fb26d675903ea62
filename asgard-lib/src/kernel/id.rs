//! The one registry of typed ids. An id is a prefix and 26 characters of lower-case Crockford base32: 48 bits of
//! milliseconds, then 80 random bits, so ids sort by the time they were made and never need a coordinator.

use super::{Malformed, Timestamp, text_serde};
use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY: usize = 26;

/// Something that can be made from a moment and randomness. Implemented by every time-ordered id.
pub trait TimeOrdered: Sized {
    /// Builds the id of `at` from ten random bytes.
    fn build(at: Timestamp, random: [u8; 10]) -> Self;
}

fn encode(bytes: [u8; 16]) -> String {
    let mut bits = u128::from_be_bytes(bytes);
    let mut out = [b'0'; BODY];
    for slot in out.iter_mut().rev() {
        let digit = usize::try_from(bits & 31).unwrap_or(0);
        *slot = ALPHABET.get(digit).copied().unwrap_or(b'0');
        bits >>= 5;
    }
    out.iter().map(|b| char::from(*b)).collect()
}

fn time_body(at: Timestamp, random: [u8; 10]) -> String {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).to_be_bytes();
    let mut bytes = [0u8; 16];
    for (slot, byte) in bytes.iter_mut().zip(millis.iter().skip(2).chain(random.iter())) {
        *slot = *byte;
    }
    encode(bytes)
}

fn check(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|body| body.len() == BODY && body.bytes().all(|b| ALPHABET.contains(&b)))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The part before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// An id derived from a digest instead of from time: credentials are found by what they hash to.
            pub fn from_digest(digest: &[u8; 32]) -> Self {
                let mut bytes = [0u8; 16];
                for (slot, byte) in bytes.iter_mut().zip(digest) {
                    *slot = *byte;
                }
                Self(format!("{}_{}", $prefix, encode(bytes)))
            }
        }

        impl TimeOrdered for $name {
            fn build(at: Timestamp, random: [u8; 10]) -> Self {
                Self(format!("{}_{}", $prefix, time_body(at, random)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                if check(text, $prefix) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Malformed { what: concat!($prefix, " id"), allowed: concat!("`", $prefix, "_` and 26 characters of 0-9 a-z without i, l, o, u") })
                }
            }
        }

        text_serde!($name, concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{26}$"), concat!("Id that starts with `", $prefix, "_`"));
    )*};
}

ids! {
    /// A provisioned thing.
    ResourceId = "res";
    /// A request to change something.
    RequestId = "req";
    /// One execution of Terraform (or of the dry run) for a request.
    RunId = "run";
    /// A secret's metadata.
    SecretId = "sec";
    /// A project key; derived from the key's digest.
    KeyId = "key";
    /// A user token (PAT); derived from the token's digest.
    TokenId = "tok";
    /// A session; derived from its token's digest.
    SessionId = "ses";
    /// A person with a local account.
    UserId = "usr";
    /// An audit event.
    EventId = "evt";
    /// A change that a list has to follow.
    ChangeId = "chg";
    /// A job in the outbox.
    JobId = "job";
    /// Write-once bytes.
    BlobId = "blb";
    /// A commit; also the version of every record that it wrote.
    CommitId = "cmt";
    /// A data key in the keyring.
    DataKeyId = "dek";
    /// One request through a surface, followed through jobs and logs.
    TraceId = "trc";
    /// A process that takes leases and claims jobs.
    HolderId = "hld";
}

/// A project's id, `proj-YYYY-NNNN`; past 9999 in a year the number grows a digit. Never reused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(String);

impl ProjectId {
    /// The id of the `number`th project of `year`.
    pub fn new(year: i16, number: i64) -> Self {
        Self(format!("proj-{year:04}-{number:04}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProjectId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let valid = text.strip_prefix("proj-").and_then(|rest| rest.split_once('-')).is_some_and(|(year, number)| {
            year.len() == 4 && digits(year) && (4..=9).contains(&number.len()) && digits(number)
        });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed { what: "project id", allowed: "`proj-YYYY-NNNN`" })
        }
    }
}

text_serde!(ProjectId, "^proj-[0-9]{4}-[0-9]{4,9}$", "Project id, `proj-YYYY-NNNN`");

/// An agent's id: a UUID, lower-case, as its own protocols have it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

impl AgentId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Version 7: time first, so that ids sort by when they were made.
impl TimeOrdered for AgentId {
    fn build(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0).to_be_bytes();
        let mut bytes = [0u8; 16];
        for (slot, byte) in bytes.iter_mut().zip(millis.iter().skip(2).chain(random.iter())) {
            *slot = *byte;
        }
        let mut bits = u128::from_be_bytes(bytes);
        bits = (bits & !(0xf << 76)) | (0x7 << 76);
        bits = (bits & !(0x3 << 62)) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let mut text = String::with_capacity(36);
        for (position, digit) in hex.chars().enumerate() {
            if matches!(position, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
        }
        Self(text)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AgentId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let groups: Vec<&str> = text.split('-').collect();
        let digits = |group: &&str| group.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && groups.iter().all(digits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed { what: "agent id", allowed: "a UUID in lower case" })
        }
    }
}

text_serde!(AgentId, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "Agent id, a UUID");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let early = RunId::build(Timestamp::from_millis(1_700_000_000_000), [255; 10]);
        let late = RunId::build(Timestamp::from_millis(1_700_000_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<RunId>(), Ok(early.clone()));
        assert_eq!(early.as_str().len(), "run_".len() + BODY);
        assert!(early.as_str().parse::<RequestId>().is_err(), "a run id is not a request id");
    }

    #[test]
    fn agents_have_uuids_of_version_seven() {
        let early = AgentId::build(Timestamp::from_millis(1_700_000_000_000), [255; 10]);
        let late = AgentId::build(Timestamp::from_millis(1_700_000_000_001), [0; 10]);
        assert_eq!(early.as_str(), "018bcfe5-6800-7fff-bfff-ffffffffffff");
        assert_eq!(late.as_str(), "018bcfe5-6801-7000-8000-000000000000");
        assert_eq!(early.to_string().parse::<AgentId>(), Ok(early.clone()));
        assert!(early < late);
        for bad in ["", "018bcfe5", "018BCFE5-6800-7fff-bfff-ffffffffffff", "018bcfe56800-7fff-bfff-ffff-ffffffffffff"]
        {
            assert!(bad.parse::<AgentId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn project_ids_grow_past_9999() {
        assert_eq!(ProjectId::new(2026, 7).as_str(), "proj-2026-0007");
        assert_eq!(ProjectId::new(2026, 12_345).as_str(), "proj-2026-12345");
        for bad in ["proj-26-0001", "proj-2026-001", "proj-2026-00a1", "proj-2026", "proj-2026-0001/..", ""] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad}");
        }
    }
}
