//! Implementations of the ports that are not stores: keys, secrets, runners.

mod anchor_file;
#[cfg(feature = "aws")]
pub mod aws;
mod base64;
mod cipher;
mod commit;
mod dry_run;
mod keyring;
mod layered_secrets;
pub(crate) mod local_key;
mod rotation;
mod sealed_secrets;
#[cfg(feature = "terraform")]
pub mod terraform;
pub(crate) mod vault;
#[cfg(feature = "sso")]
mod web;

#[cfg(test)]
mod testkit;

pub use anchor_file::AnchorFile;
#[cfg(feature = "aws")]
pub use aws::kms::KmsKey;
#[cfg(feature = "aws")]
pub use aws::secrets_manager::SecretsManager;
pub use dry_run::DryRun;
pub use keyring::{Drained, KeyState, KeyStatus, Keyring, MasterKeys, Started, Timing};
pub use layered_secrets::LayeredSecrets;
pub use local_key::LocalKey;
pub use rotation::{Rotation, Step, Witness};
pub use sealed_secrets::SealedSecrets;
pub use vault::SealedVault;
#[cfg(feature = "sso")]
pub use web::Web;
