//! Every question of the form "may this actor do this to that?" is answered here and nowhere else.

mod actions;
mod duties;
mod standing;

pub use actions::{Action, Rule, Scope, decide, foreign};
pub use duties::{may_approve, may_approve_of, may_confirm, may_revoke, satisfies};
pub use standing::{Credential, Grant, Object, Standing, Subject};

#[cfg(test)]
mod tests;
