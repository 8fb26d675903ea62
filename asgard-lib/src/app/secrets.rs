//! Secrets: names for many, values for few.

mod reveal;
#[cfg(test)]
mod tests;

pub use reveal::{GetSecret, ListSecrets, Revealed, RotateSecret, SecretView};

crate::app::core::entry::table! {
    ListSecrets,
    GetSecret,
    RotateSecret,
}
