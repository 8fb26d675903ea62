//! People: signing in, sessions, tokens, passwords and accounts.

pub(crate) mod bind;
mod confirm;
mod credentials;
mod host;
mod login;
mod passwords;
mod refusals;
mod rewrite;
mod sessions;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod users;

pub use super::authenticate::{Accepts, authenticate, version};
pub use bind::bind_account;
pub use confirm::ConfirmIdentity;
pub use credentials::{
    CredentialId, GetUser, ListUserSessions, ListUserTokens, RevokeUserCredential, SignOutEverywhere,
};
pub use host::{Vouched, vouched_for};
pub use login::{AuthConfig, AuthConfigView, ChangePassword, Login, LoginView, Logout, Me, MeView, Nothing, role_name};
pub use passwords::Passwords;
pub(crate) use rewrite::{is_rewritten, rewrite_some};
pub use sessions::{ListSessions, RevokeSession, SessionView};
pub use tokens::{CreateToken, ListTokens, RevokeToken, TokenCreated, TokenView};
pub use users::{Account, CreateUser, ListUsers, PendingIdentityView, SetActive, SetRole, UserView, new_user};

crate::app::core::entry::table! {
    AuthConfig,
    Login,
    Logout,
    Me,
    ChangePassword,
    ListSessions,
    RevokeSession,
    ListTokens,
    CreateToken,
    RevokeToken,
    ListUsers,
    CreateUser,
    SetRole,
    SetActive,
    ConfirmIdentity,
    GetUser,
    ListUserSessions,
    ListUserTokens,
    RevokeUserCredential,
    SignOutEverywhere,
}
