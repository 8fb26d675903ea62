//! Every question of the form "may this actor do this to that?" is answered here and nowhere else.

mod actions;
mod duties;
mod keys;
mod standing;

pub use actions::{Action, Rule, Scope, decide, foreign};
pub use duties::{may_approve, may_approve_of, may_confirm, may_revoke, may_sign_out, satisfies};
pub use keys::{has_standing, key_flag};
pub use standing::{Credential, Grant, Object, Standing, Subject};

#[cfg(test)]
mod tests;
