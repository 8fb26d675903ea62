//! A master key that AWS KMS holds. It never leaves KMS, and what it protects never goes there.
//!
//! Wrapping asks KMS for a fresh key (GenerateDataKey), seals ours under it with AES-256-GCM, and keeps KMS's wrap of the
//! fresh key beside the result. Unwrapping asks KMS to open that wrap (Decrypt). Both name an encryption context: the
//! organisation, the purpose and the data key. See `docs/adr/0008-kms.md`.
//!
//! Layout: format (1 byte) | length of KMS's wrap (2 bytes) | KMS's wrap | our key, sealed.

mod opened;
#[cfg(test)]
mod tests;

use crate::adapters::{
    cipher::{self, Root},
    local_key::bound_to,
};
use crate::{
    aws::{Aws, Fault, Unlogged},
    config::KmsKeyId,
    error::{Code, Error, Result},
    ports::{
        secrets::{KeyWrapper, WrapContext},
        world::World,
    },
};
use async_trait::async_trait;
use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{DataKeySpec, KeySpec, KeyUsageType},
};
use opened::Opened;
use std::{collections::HashMap, error::Error as StdError, fmt};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;

/// Wraps data keys under a key of AWS KMS.
pub struct KmsKey {
    client: Client,
    arn: String,
    world: World,
    opened: Opened,
}

/// Names the key.
impl fmt::Debug for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmsKey({})", self.arn)
    }
}

impl KmsKey {
    /// The key of that name. A key's own ARN is taken as it is; anything else is looked up, because wraps are kept under the
    /// ARN: an alias that is pointed elsewhere means another master key.
    pub async fn open(aws: &Aws, id: &KmsKeyId, world: World) -> Result<Self> {
        let sdk = aws.sdk_in(id.region()).await?;
        let client = Client::new(&sdk);
        let arn = if id.is_key_arn() { id.as_str().to_owned() } else { look_up(&client, id).await? };
        Ok(Self { client, arn, world, opened: Opened::default() })
    }

    /// A fresh key and KMS's wrap of it.
    async fn fresh(&self, context: &WrapContext) -> Result<(Root, Vec<u8>)> {
        let asked = self.client.generate_data_key().key_id(&self.arn).key_spec(DataKeySpec::Aes256);
        let answer = asked
            .set_encryption_context(Some(encryption_context(context)))
            .send()
            .unlogged()
            .await
            .map_err(|error| refusal(&error, "kms:GenerateDataKey", &self.arn, Some(context)))?;
        let fresh = answer.plaintext.map(Blob::into_inner).map(Zeroizing::new);
        let fresh = fresh.as_deref().and_then(|bytes| cipher::key_of(bytes)).ok_or_else(|| odd("GenerateDataKey"))?;
        let wrap = answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| odd("GenerateDataKey"))?;
        Ok((fresh, wrap))
    }

    /// The fresh key again, from KMS or from what was opened lately for the same context.
    async fn reopened(&self, wrap: &[u8], context: &WrapContext) -> Result<Root> {
        let name = opened::name(wrap, &bound_to(context));
        if let Some(key) = self.opened.take_use(&name) {
            return Ok(key);
        }
        let asked = self.client.decrypt().key_id(&self.arn).ciphertext_blob(Blob::new(wrap));
        let answer = asked
            .set_encryption_context(Some(encryption_context(context)))
            .send()
            .unlogged()
            .await
            .map_err(|error| refusal(&error, "kms:Decrypt", &self.arn, Some(context)))?;
        let key = answer.plaintext.map(Blob::into_inner).map(Zeroizing::new).ok_or_else(|| odd("Decrypt"))?;
        let key = cipher::key_of(&key).ok_or_else(|| broken(&self.arn, context, &"KMS's wrap holds no key"))?;
        self.opened.keep(name, &key);
        Ok(key)
    }
}

#[async_trait]
impl KeyWrapper for KmsKey {
    fn master_id(&self) -> String {
        self.arn.clone()
    }

    async fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>> {
        // Not kept for unwrapping: the first unwrap shows that Asgard may also decrypt, before anything depends on it.
        let (fresh, wrap) = self.fresh(context).await?;
        let length = u16::try_from(wrap.len()).map_err(|_| odd("GenerateDataKey"))?;
        let sealed = cipher::seal(&fresh, self.world.random(), &whole(&wrap, context), key)?;
        let mut out = vec![FORMAT];
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&wrap);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    async fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>> {
        let (wrap, sealed) =
            split(wrapped).ok_or_else(|| broken(&self.arn, context, &"it is cut short or of another format"))?;
        let fresh = self.reopened(wrap, context).await?;
        let key =
            cipher::open(&fresh, &whole(wrap, context), sealed).map_err(|why| broken(&self.arn, context, &why))?;
        cipher::key_of(&key).ok_or_else(|| broken(&self.arn, context, &"it does not hold 32 bytes"))
    }
}

/// Our key is bound to KMS's wrap as well: not one byte of what is stored can be another and go unnoticed, whatever KMS
/// makes of it.
fn whole(wrap: &[u8], context: &WrapContext) -> Vec<u8> {
    let mut whole = format!("kms|{}|", wrap.len()).into_bytes();
    whole.extend_from_slice(wrap);
    whole.extend_from_slice(&bound_to(context));
    whole
}

fn split(wrapped: &[u8]) -> Option<(&[u8], &[u8])> {
    let (format, rest) = wrapped.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    if *format != FORMAT {
        return None;
    }
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn encryption_context(context: &WrapContext) -> HashMap<String, String> {
    let parts =
        [("asgard:org", context.org.as_str()), ("asgard:purpose", "data-key"), ("asgard:data-key", &context.data_key)];
    parts.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The ARN of a key that can wrap.
async fn look_up(client: &Client, id: &KmsKeyId) -> Result<String> {
    let answer = client.describe_key().key_id(id.as_str()).send().await;
    let answer = answer.map_err(|error| refusal(&error, "kms:DescribeKey", id.as_str(), None))?;
    let key = answer.key_metadata.ok_or_else(|| odd("DescribeKey"))?;
    let fits = key.key_usage == Some(KeyUsageType::EncryptDecrypt) && key.key_spec == Some(KeySpec::SymmetricDefault);
    if !fits {
        let message = format!(
            "The KMS key {} is not a symmetric key for encryption and decryption. Use one that is.",
            id.as_str()
        );
        return Err(Error::new(Code::Config, message));
    }
    key.arn.ok_or_else(|| odd("DescribeKey"))
}

/// What KMS's refusal means for an operator. It is said at start; while running, the keyring tells callers less.
fn refusal<E>(error: &SdkError<E>, action: &str, key: &str, context: Option<&WrapContext>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let fault = Fault::of(error);
    if let Some(usual) = fault.usual(Code::KeyUnavailable, action, &format!("the KMS key {key}")) {
        return usual;
    }
    let message = match (fault.code(), context) {
        ("DisabledException", _) => {
            format!("The KMS key {key} is disabled. Enable it: without it nothing encrypted can be read.")
        }
        ("KMSInvalidStateException", _) => {
            format!(
                "The KMS key {key} cannot be used in its present state. If its deletion is scheduled, cancel that and enable it: without it nothing encrypted can be read."
            )
        }
        ("NotFoundException", _) => {
            format!(
                "There is no KMS key {key}. Look at its account and region; an id or an alias is looked for in the region of AWS_REGION."
            )
        }
        ("InvalidKeyUsageException", _) => {
            format!("The KMS key {key} is not a symmetric key for encryption and decryption. Use one that is.")
        }
        ("InvalidCiphertextException" | "IncorrectKeyException", Some(context)) => {
            return broken(key, context, &fault);
        }
        _ => format!("AWS refuses {action} on the KMS key {key}."),
    };
    Error::new(Code::Config, message).caused_by(fault.to_string())
}

/// A wrap that does not open: nothing that another attempt could change.
fn broken(key: &str, context: &WrapContext, why: &dyn fmt::Display) -> Error {
    let message = format!(
        "The wrap of data key {} does not open under the KMS key {key}: it was changed, belongs to another data key, or was made with another key. \
         Restore the record of that data key from a backup of the database.",
        context.data_key
    );
    Error::new(Code::Config, message).caused_by(why.to_string())
}

fn odd(operation: &str) -> Error {
    Error::new(Code::KeyUnavailable, "AWS KMS gave an answer that cannot be used. Try again in a moment.")
        .caused_by(format!("the answer to {operation} lacks a part or has a part of another size"))
}
