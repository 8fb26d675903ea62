//! The layout of a sealed blob: `ASGV` | format | length of the record's id | id | ciphertext. The id says which record
//! would name the blob if it were in use; that record decides, so collecting orphans needs no index.

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"ASGV\x01";
/// The most that stands before the ciphertext.
pub(super) const HEAD: usize = MAGIC.len() + 1 + 255;

/// The blob that holds `sealed` for the record `owner`.
pub(super) fn pack(owner: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let length = u8::try_from(owner.len()).map_err(|_| Error::bug("a sealed value's id is too long for its blob"))?;
    let mut out = Vec::with_capacity(MAGIC.len() + 1 + owner.len() + sealed.len());
    out.extend_from_slice(MAGIC);
    out.push(length);
    out.extend_from_slice(owner.as_bytes());
    out.extend_from_slice(sealed);
    Ok(out)
}

/// The owner and the ciphertext; `None` when the vault did not write it.
pub(super) fn unpack(packed: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = packed.strip_prefix(MAGIC)?.split_first()?;
    let (owner, sealed) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(owner).ok()?, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_blobs_unpack_and_others_do_not(owner in "[a-z/_0-9]{1,200}", sealed: Vec<u8>, noise: Vec<u8>) {
            let packed = pack(&owner, &sealed).unwrap();
            prop_assert_eq!(unpack(&packed), Some((owner.as_str(), sealed.as_slice())));
            prop_assert_eq!(unpack(&packed[..MAGIC.len() + owner.len()]), None);
            prop_assert!(noise.starts_with(MAGIC) || unpack(&noise).is_none());
        }
    }
}
