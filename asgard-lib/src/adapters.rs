//! Implementations of the ports that are not stores: keys, secrets, runners.

mod base64;
mod cipher;
mod commit;
pub mod dry_run;
#[cfg(feature = "aws")]
pub mod fargate;
pub mod keyring;
pub mod local_key;
pub mod sealed_secrets;
#[cfg(feature = "terraform")]
pub mod terraform;
pub mod vault;

#[cfg(test)]
mod testkit;

pub use keyring::{Keyring, MasterKeys, Rotation, Timing};
pub use local_key::{KeyFile, LocalKey};
pub use sealed_secrets::SealedSecrets;
pub use vault::SealedVault;
