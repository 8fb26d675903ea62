//! The text of credentials: a prefix, 40 base62 characters of randomness, and a 6-character base62 CRC-32 over the rest, so
//! that scanners and typing errors can be checked without asking anybody.

use crate::kernel::SecretText;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM: usize = 40;
const CHECK: usize = 6;

/// What a presented bearer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `asg_...`: a project key.
    ProjectKey,
    /// `asg_pat_...`: a user token.
    UserToken,
    /// `asg_ses_...`: a session.
    Session,
}

impl Shape {
    /// What the text starts with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ProjectKey => "asg_",
            Self::UserToken => "asg_pat_",
            Self::Session => "asg_ses_",
        }
    }
}

fn base62(digit: u64) -> char {
    usize::try_from(digit % 62).ok().and_then(|i| ALPHABET.get(i)).map_or('0', |b| char::from(*b))
}

fn check(text: &str) -> String {
    let mut crc = u64::from(crc32fast::hash(text.as_bytes()));
    let mut digits = [0u64; CHECK];
    for slot in digits.iter_mut().rev() {
        *slot = crc % 62;
        crc /= 62;
    }
    digits.iter().map(|d| base62(*d)).collect()
}

/// A new credential from random bytes. Bytes at 248 and above are skipped, so that every character is equally likely;
/// 64 bytes leave 40 good ones but for one time in 10^20, and then the last ones repeat from the start.
pub fn mint(shape: Shape, random: &[u8; 64]) -> SecretText {
    let good = random.iter().filter(|b| **b < 248).chain(random.iter()).take(RANDOM);
    let mut text = String::with_capacity(64);
    text.push_str(shape.prefix());
    text.extend(good.map(|b| base62(u64::from(*b))));
    let crc = check(&text);
    text.push_str(&crc);
    SecretText::new(text)
}

/// What the text is, if its prefix, alphabet, length and check agree.
pub fn parse(text: &str) -> Option<Shape> {
    [Shape::UserToken, Shape::Session, Shape::ProjectKey].into_iter().find(|shape| {
        text.strip_prefix(shape.prefix()).is_some_and(|rest| {
            rest.len() == RANDOM + CHECK
                && rest.bytes().all(|b| b.is_ascii_alphanumeric())
                && text.split_at_checked(text.len() - CHECK).is_some_and(|(body, crc)| check(body) == crc)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn minted_ones_parse_and_any_typo_does_not(bytes in prop::collection::vec(any::<u8>(), 64), at in 4usize..50, to in 0usize..62) {
            let random: [u8; 64] = bytes.try_into().unwrap();
            for shape in [Shape::ProjectKey, Shape::UserToken, Shape::Session] {
                let minted = mint(shape, &random);
                prop_assert_eq!(parse(minted.reveal()), Some(shape));
                let mut typo = minted.reveal().to_owned().into_bytes();
                let at = at.max(shape.prefix().len());
                let new = ALPHABET[to];
                if typo[at] != new {
                    typo[at] = new;
                    prop_assert_eq!(parse(&String::from_utf8(typo).unwrap()), None);
                }
            }
        }
    }

    #[test]
    fn other_text_is_no_credential() {
        for text in
            ["", "asg_", "asg_pat_", "Bearer x", "asg_0000000000000000000000000000000000000000ÄÄÄ", &"a".repeat(10_000)]
        {
            assert_eq!(parse(text), None);
        }
    }
}
