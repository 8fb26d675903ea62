//! Secrets: names for many, values for few.

mod inputs;
mod reveal;
#[cfg(test)]
mod tests;

pub use inputs::PreparedInputs;
pub(crate) use inputs::take_inputs;
pub use reveal::{GetSecret, ListSecrets, Revealed, RotateSecret, SecretView};
