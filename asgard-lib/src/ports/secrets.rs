//! Secret values and the keys that protect them.

pub use crate::domain::secret::SecretOwner;
use crate::{
    error::Result,
    kernel::{SecretId, SecretText},
};
use async_trait::async_trait;
use zeroize::Zeroizing;

/// Where secret values live. Metadata (name, project, version) is a record of Asgard's; this holds only the values. Each value has
/// an owner, a resource of a project, and is given to no other: whoever asks as another one gets an error or nothing.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// Stores a value as version `version` of a secret. Storing the same version again with the same value is fine; with
    /// another value it is refused as [`Code::AlreadyExists`](crate::Code::AlreadyExists).
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()>;

    /// The value of a version, for its owner.
    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>>;

    /// Forgets every version up to and including `version`; none of them can be had afterwards. Doing it again is fine. A
    /// store may refuse to store another value under a number that it was made to forget. Without an owner it is a job of a version
    /// before, which named none.
    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()>;
}

/// What a wrapped data key is bound to; the same facts are needed to unwrap it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrapContext {
    /// The organisation; constant for now.
    pub org: String,
    /// The data key's id.
    pub data_key: String,
}

/// Wraps and unwraps data keys under a master key.
#[async_trait]
pub trait KeyWrapper: Send + Sync + 'static {
    /// Names the master key, without telling anything about it: stored beside each wrap.
    fn master_id(&self) -> String;

    /// Wraps a data key.
    async fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>>;

    /// Unwraps a data key; fails when the master key, the context or a byte is wrong.
    async fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>>;
}
