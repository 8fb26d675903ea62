//! People with local accounts.

use crate::{
    error::{Error, Result},
    kernel::{Email, Role, SecretText, Timestamp, UserId, Username},
};
use serde::{Deserialize, Serialize};

/// A person who can sign in.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub username: Username,
    /// What projects know them by.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub active: bool,
    /// Argon2id, as a PHC string.
    pub password: String,
    /// Sessions that began before this moment are over.
    pub credentials_from: Timestamp,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// Leaves the password hash out.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl User {
    /// The claim that makes a username unique and finds its account.
    pub fn username_claim(username: &Username) -> String {
        format!("username/{username}")
    }

    /// The claim that makes an e-mail address unique and finds its account.
    pub fn email_claim(email: &Email) -> String {
        // Addresses may hold any letter; a claim's name is printable ASCII.
        format!(
            "email/{}",
            data_encoding::BASE32_NOPAD.encode(email.as_str().as_bytes()).chars().take(190).collect::<String>()
        )
    }

    /// The counter of active admins, which may not fall to zero.
    pub const ACTIVE_ADMINS: &'static str = "people/active-admins";

    /// Whether the account counts towards [`Self::ACTIVE_ADMINS`].
    pub fn is_active_admin(&self) -> bool {
        self.active && self.role == Role::Admin
    }
}

/// What a new password must be: 12 to 200 characters, and not the account's own name.
pub fn check_password(password: &SecretText, username: &Username) -> Result<()> {
    let length = password.reveal().chars().count();
    if !(12..=200).contains(&length) {
        return Err(Error::invalid("password", "A password has 12 to 200 characters."));
    }
    if password.reveal().to_lowercase() == username.as_str() {
        return Err(Error::invalid("password", "A password must not be the username."));
    }
    Ok(())
}
