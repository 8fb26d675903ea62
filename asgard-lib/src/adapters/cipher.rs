//! The one authenticated cipher everything here uses: AES-256-GCM with a key of its own for every message.
//!
//! A random 96-bit nonce under one long-lived key is safe for about 2^32 messages, and list cursors alone could use that
//! up in weeks. So each message draws 192 random bits: the first half derives the message's key (HMAC-SHA-256 of the root),
//! the second half is the GCM nonce under it. Nobody has to count messages.
//!
//! Layout: format (1 byte) | random (24 bytes) | ciphertext and tag (16 bytes more than the plaintext).

use crate::error::{Error, Result};
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A key in memory; wiped when dropped.
pub(crate) type Root = Zeroizing<[u8; 32]>;

const FORMAT: u8 = 1;
const HALF: usize = 12;
/// Random bytes that each message needs.
pub(crate) const RANDOM: usize = 2 * HALF;
/// How much longer a sealed message is than its plaintext.
pub(crate) const OVERHEAD: usize = 1 + RANDOM + 16;

/// HMAC-SHA-256 over `parts` joined.
pub(crate) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Root {
    // HMAC pads a short key with zeros to its block; a block-sized key makes this call infallible.
    let mut block = Zeroizing::new([0u8; 64]);
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn message_cipher(root: &[u8; 32], half: &[u8]) -> Aes256Gcm {
    let key = hmac(root, &[b"asgard message key|", half]);
    Aes256Gcm::new((&*key).into())
}

/// Seals `plaintext`; the same `aad` is needed to open it.
pub(crate) fn seal(root: &[u8; 32], random: [u8; RANDOM], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let (first, second) = halves(&random);
    let sealed = message_cipher(root, first)
        .encrypt(&second.into(), Payload { msg: plaintext, aad })
        .map_err(|_| Error::bug("the plaintext is longer than AES-GCM can seal"))?;
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD);
    out.push(FORMAT);
    out.extend_from_slice(&random);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// Opens what [`seal`] made.
pub(crate) fn open(root: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let (&format, rest) = sealed.split_first().ok_or(Broken::Short)?;
    if format != FORMAT {
        return Err(Broken::Format(format));
    }
    let (random, body) = rest.split_first_chunk::<RANDOM>().ok_or(Broken::Short)?;
    let (first, second) = halves(random);
    let opened = message_cipher(root, first).decrypt(&second.into(), Payload { msg: body, aad });
    opened.map(Zeroizing::new).map_err(|_| Broken::Unproven)
}

/// A key, if there are just as many bytes.
pub(crate) fn key_of(bytes: &[u8]) -> Option<Root> {
    let mut key = Zeroizing::new([0u8; 32]);
    if bytes.len() != key.len() {
        return None;
    }
    for (slot, byte) in key.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    Some(key)
}

fn halves(random: &[u8; RANDOM]) -> (&[u8], [u8; HALF]) {
    let (first, second) = random.split_at(HALF);
    let mut nonce = [0u8; HALF];
    for (slot, byte) in nonce.iter_mut().zip(second) {
        *slot = *byte;
    }
    (first, nonce)
}

/// Why something sealed could not be opened; for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Too few bytes.
    Short,
    /// Sealed by a build that this one does not know.
    Format(u8),
    /// The key, what it is bound to, or a byte is wrong.
    Unproven,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it is cut short"),
            Self::Format(format) => write!(f, "it has format {format}, which this build does not know"),
            Self::Unproven => f.write_str("it was changed, belongs to something else, or was sealed under another key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        // Test case 2 uses the key "Jefe", which zero padding leaves unchanged.
        let mut key = [0u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = hmac(&key, &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&*tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let sealed = seal(&[7; 32], [9; RANDOM], b"for ann", b"the value").unwrap();
        assert_eq!(sealed.len(), b"the value".len() + OVERHEAD);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(open(&[7; 32], b"for ann", &changed).is_err(), "byte {at} bit {bit}");
            }
            assert!(open(&[7; 32], b"for ann", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(open(&[7; 32], b"for bob", &sealed).unwrap_err(), Broken::Unproven);
        assert_eq!(open(&[8; 32], b"for ann", &sealed).unwrap_err(), Broken::Unproven);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_does_not_show(root: [u8; 32], random: [u8; RANDOM], aad: Vec<u8>, text in proptest::collection::vec(any::<u8>(), 8..300)) {
            let sealed = seal(&root, random, &aad, &text).unwrap();
            prop_assert!(!sealed.windows(text.len()).any(|w| w == text));
            prop_assert_eq!(&*open(&root, &aad, &sealed).unwrap(), &text);
        }
    }
}
