//! Implementations of the ports that are not stores: keys, secrets, runners.

mod base64;
mod cipher;
mod commit;
pub mod dry_run;
#[cfg(feature = "aws")]
pub mod fargate;
pub mod keyring;
#[cfg(feature = "aws")]
pub mod kms;
pub mod layered_secrets;
pub mod local_key;
pub mod sealed_secrets;
#[cfg(feature = "aws")]
pub mod secret_arns;
#[cfg(feature = "aws")]
pub mod secrets_manager;
#[cfg(feature = "terraform")]
pub mod terraform;
pub mod vault;

#[cfg(test)]
mod testkit;

pub use keyring::{Keyring, MasterKeys, Rotation, Timing};
#[cfg(feature = "aws")]
pub use kms::KmsKey;
pub use layered_secrets::LayeredSecrets;
pub use local_key::{KeyFile, LocalKey};
pub use sealed_secrets::SealedSecrets;
#[cfg(feature = "aws")]
pub use secrets_manager::SecretsManager;
pub use vault::SealedVault;
