//! Implementations of the ports that are not stores: keys, secrets, runners.

#[cfg(feature = "aws")]
pub mod aws;
mod base64;
mod cipher;
mod commit;
pub mod dry_run;
pub mod keyring;
pub mod layered_secrets;
pub mod local_key;
pub mod sealed_secrets;
#[cfg(feature = "terraform")]
pub mod terraform;
pub mod vault;

#[cfg(test)]
mod testkit;

#[cfg(feature = "aws")]
pub use aws::kms::KmsKey;
#[cfg(feature = "aws")]
pub use aws::secrets_manager::SecretsManager;
pub use keyring::{Keyring, MasterKeys, Rotation, Timing};
pub use layered_secrets::LayeredSecrets;
pub use local_key::{KeyFile, LocalKey};
pub use sealed_secrets::SealedSecrets;
pub use vault::SealedVault;
