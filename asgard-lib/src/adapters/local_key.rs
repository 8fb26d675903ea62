//! A master key that Asgard holds itself: 32 bytes from the configuration or from a file beside the database.

mod file;

pub(crate) use file::{KeyFile, Origin};

use super::cipher::{self, Root};
use crate::{
    error::{Code, Error, Result},
    kernel::SecretText,
    ports::{
        secrets::{KeyWrapper, WrapContext},
        world::World,
    },
};
use async_trait::async_trait;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Wraps data keys under 32 bytes held in memory.
pub struct LocalKey {
    key: Root,
    id: String,
    world: World,
}

impl LocalKey {
    /// How many hexadecimal characters write a key.
    pub const HEX: usize = 64;

    /// A master key of these bytes. Nonces come from `world`.
    pub fn new(key: Zeroizing<[u8; 32]>, world: World) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"asgard master id");
        digest.update(key.as_slice());
        let digest: [u8; 32] = digest.finalize().into();
        let id = HEXLOWER.encode(&digest).chars().take(16).collect::<String>();
        Self { key, id: format!("local:{id}"), world }
    }

    /// The master key written as 64 hexadecimal characters. Anything else is refused; there is no key to fall back to.
    pub fn from_hex(text: &SecretText, world: World) -> Result<Self> {
        let malformed = |found: String| {
            let allowed = "A master key is exactly 64 hexadecimal characters (32 random bytes), for example from `openssl rand -hex 32`";
            Error::new(Code::Config, format!("{allowed}; this one {found}."))
        };
        let text = text.reveal();
        let length = text.chars().count();
        if length != Self::HEX {
            return Err(malformed(format!("has {length} characters")));
        }
        let mut key = Zeroizing::new([0u8; 32]);
        // 64 characters can be more bytes, which `decode_mut` would panic about.
        let fits = HEXLOWER_PERMISSIVE.decode_len(text.len()) == Ok(key.len());
        if !fits || HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut *key).is_err() {
            return Err(malformed("has characters other than 0-9, a-f and A-F".into()));
        }
        Ok(Self::new(key, world))
    }
}

/// Shows the id, never the key.
impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({})", self.id)
    }
}

/// What a wrap is bound to, as associated data.
pub(super) fn bound_to(context: &WrapContext) -> Vec<u8> {
    // The length makes the joint unambiguous: no org and data key can be mistaken for another pair.
    format!("asgard|wrap|{}|{}|{}", context.org.len(), context.org, context.data_key).into_bytes()
}

#[async_trait]
impl KeyWrapper for LocalKey {
    fn master_id(&self) -> String {
        self.id.clone()
    }

    async fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>> {
        cipher::seal(&self.key, self.world.random(), &bound_to(context), key)
    }

    async fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>> {
        let failed = |why: &dyn fmt::Display| {
            Error::bug(format!(
                "the wrap of data key {} under master key {} cannot be opened: {why}",
                context.data_key, self.id
            ))
        };
        let opened = cipher::open(&self.key, &bound_to(context), wrapped).map_err(|broken| failed(&broken))?;
        cipher::key_of(&opened).ok_or_else(|| failed(&"it does not hold 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> LocalKey {
        LocalKey::new(Zeroizing::new([fill; 32]), World::system())
    }

    fn context(data_key: &str) -> WrapContext {
        WrapContext { org: "default".into(), data_key: data_key.into() }
    }

    #[test]
    fn a_key_is_64_hex_characters_or_refused_without_showing_it() {
        let good = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";
        let key = LocalKey::from_hex(&SecretText::new(good), World::system()).unwrap();
        let same = LocalKey::from_hex(&SecretText::new(good.to_lowercase()), World::system()).unwrap();
        assert_eq!(key.master_id(), same.master_id());
        assert_eq!(key.master_id().len(), "local:".len() + 16);
        assert!(!format!("{key:?}").contains(&good.to_lowercase()[..8]));
        let many: [(&str, &str); 7] = [
            ("", "has 0 characters"),
            (&good[..63], "has 63 characters"),
            (&format!("{good}0"), "has 65 characters"),
            (&format!("{good}\n"), "has 65 characters"),
            (&format!("{}g", &good[..63]), "characters other than 0-9"),
            (&format!(" {}", &good[..63]), "characters other than 0-9"),
            (&"ä".repeat(64), "characters other than 0-9"),
        ];
        for (bad, why) in many {
            let error = LocalKey::from_hex(&SecretText::new(bad), World::system()).unwrap_err();
            assert_eq!(error.code(), Code::Config);
            assert!(error.message().contains(why) && error.message().contains("64 hexadecimal"), "{error}");
            assert!(bad.is_empty() || !error.chain().contains(bad), "the error shows the key");
        }
    }

    #[tokio::test]
    async fn a_wrap_opens_only_under_its_key_and_context() {
        let wrapped = key(1).wrap(&[42; 32], &context("dek_a")).await.unwrap();
        assert_eq!(*key(1).unwrap(&wrapped, &context("dek_a")).await.unwrap(), [42; 32]);
        assert!(!wrapped.windows(32).any(|w| w == [42; 32]));
        let again = key(1).wrap(&[42; 32], &context("dek_a")).await.unwrap();
        assert_ne!(wrapped, again, "every wrap draws its own nonce");
        assert_ne!(key(1).master_id(), key(2).master_id());
        for (master, context) in [(key(2), context("dek_a")), (key(1), context("dek_b"))] {
            let error = master.unwrap(&wrapped, &context).await.unwrap_err();
            assert!(error.chain().contains(&master.master_id()), "{}", error.chain());
        }
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(key(1).unwrap(&changed, &context("dek_a")).await.is_err(), "byte {at}");
        }
        let moved = WrapContext { org: "default|5|dek_a".into(), data_key: String::new() };
        assert!(key(1).unwrap(&wrapped, &moved).await.is_err());
    }
}
