//! Anchors: what the heads of chains were at a moment, marked, as a text that is kept where a writer to the database cannot change
//! it. Verifying with anchors shows what was cut off or set back.
//!
//! An anchor is one word without quotes and spaces, so that it is found again in whatever a log made of the line around it:
//! `asgard-anchor-1;<time>;<key>;<chain>=<block>=<mark of the block>,...;<mark of the anchor>`.

use super::ORG_CHAIN;
use crate::kernel::{DataKeyId, ProjectId, Timestamp};
use data_encoding::HEXLOWER;

/// What every anchor begins with.
const BEGIN: &str = "asgard-anchor-1;";
/// The longest anchor that is read.
const MAX_LENGTH: usize = 16 * 1024;

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnchoredHead {
    /// The chain: a project's id, or `org`.
    pub chain: String,
    /// The number of its last block.
    pub number: u64,
    /// That block's mark, in hex.
    pub mac: String,
}

/// What the heads of some chains were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// When.
    pub at: Timestamp,
    /// The heads.
    pub heads: Vec<AnchoredHead>,
    /// The data key of the mark.
    pub key: DataKeyId,
    /// The mark: HMAC-SHA-256 over [`Anchor::bytes`].
    pub tag: [u8; 32],
}

impl Anchor {
    /// What the mark is made for.
    pub const PURPOSE: &'static str = "audit/anchor";
    /// The most heads in one anchor.
    pub const MAX_HEADS: usize = 50;

    /// What the mark of an anchor covers.
    pub fn bytes(at: Timestamp, heads: &[AnchoredHead], key: &DataKeyId) -> String {
        let heads: Vec<String> =
            heads.iter().map(|head| format!("{}={}={}", head.chain, head.number, head.mac)).collect();
        format!("{BEGIN}{at};{key};{}", heads.join(","))
    }

    /// The anchor as a text.
    pub fn to_text(&self) -> String {
        format!("{};{}", Self::bytes(self.at, &self.heads, &self.key), HEXLOWER.encode(&self.tag))
    }

    /// The texts in a line that begin as anchors do, each as far as it may be one.
    pub fn candidates(line: &str) -> impl Iterator<Item = &str> {
        line.match_indices(BEGIN).map(|(at, _)| {
            let rest = line.get(at..).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ";:=,._-".contains(c)));
            end.and_then(|end| rest.get(..end)).unwrap_or(rest)
        })
    }

    /// Reads an anchor; `None` for a text that is none, or is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut parts = text.strip_prefix(BEGIN)?.split(';');
        let (at, key, heads, tag) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let anchor = Self {
            at: at.parse().ok()?,
            key: key.parse().ok()?,
            heads: heads.split(',').map(head).collect::<Option<_>>()?,
            tag: digest(tag)?,
        };
        // One text for one anchor: what is covered is what was read.
        (anchor.heads.len() <= Self::MAX_HEADS && anchor.to_text() == text).then_some(anchor)
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn head(text: &str) -> Option<AnchoredHead> {
    let mut parts = text.split('=');
    let (chain, number, mac) = (parts.next()?, parts.next()?, parts.next()?);
    let known = chain == ORG_CHAIN || chain.parse::<ProjectId>().is_ok();
    (known && parts.next().is_none() && digest(mac).is_some()).then_some(())?;
    Some(AnchoredHead { chain: chain.to_owned(), number: number.parse().ok()?, mac: mac.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TimeOrdered;

    fn anchor() -> Anchor {
        let at = Timestamp::from_millis(1_800_000_000_123);
        let head = |chain: &str, number| AnchoredHead { chain: chain.into(), number, mac: "0a".repeat(32) };
        let heads = vec![head("org", 3), head("proj-2026-0001", 12)];
        Anchor { at, heads, key: DataKeyId::build(at, [7; 10]), tag: [9; 32] }
    }

    #[test]
    fn an_anchor_is_found_again_in_whatever_a_log_made_of_its_line() {
        let (anchor, text) = (anchor(), anchor().to_text());
        assert_eq!(Anchor::parse(&text), Some(anchor.clone()));
        for line in [
            text.clone(),
            format!(r#"{{"level":"INFO","message":"x","anchor":"{text}","more":1}}"#),
            format!(r#"{{"log":"{{\"anchor\":\"{text}\"}}"}}"#),
            format!("2027-01-15T08:00:00Z INFO asgard: Heads. anchor={text} task=\"audit-seal\""),
        ] {
            let found: Vec<_> = Anchor::candidates(&line).filter_map(Anchor::parse).collect();
            assert_eq!(found, std::slice::from_ref(&anchor), "{line}");
        }
    }

    #[test]
    fn what_is_not_an_anchor_or_is_cut_off_is_none() {
        let text = anchor().to_text();
        let with = |from: &str, to: &str| text.replacen(from, to, 1);
        for wrong in [
            String::new(),
            text[..text.len() - 1].to_owned(),
            with("anchor-1", "anchor-2"),
            with("org=", "elsewhere="),
            with("=12=", "=twelve="),
            with("=12=", "=012="),
            with(";dek_", ";usr_"),
            format!("{text};"),
        ] {
            assert_eq!(Anchor::parse(&wrong), None, "{wrong}");
        }
    }
}
