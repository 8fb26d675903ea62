//! Secrets: names for many, values for few.

mod inputs;
mod reveal;

pub(crate) use inputs::take_inputs;
pub use reveal::{GetSecret, ListSecrets, Revealed, RotateSecret, SecretView};
