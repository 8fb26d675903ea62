//! People: signing in, sessions, tokens, passwords and accounts.

mod authenticate;
mod host;
mod login;
mod passwords;
mod sessions;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod users;

pub(in crate::app) use authenticate::still;
pub use authenticate::{Accepts, authenticate, version};
pub use host::vouched_for;
pub use login::{AuthConfig, AuthConfigView, ChangePassword, Login, LoginView, Logout, Me, MeView, Nothing, role_name};
pub use passwords::Passwords;
pub use sessions::{ListSessions, RevokeSession, SessionView};
pub use tokens::{CreateToken, ListTokens, RevokeToken, TokenCreated, TokenView};
pub use users::{CreateUser, ListUsers, SetActive, SetRole, UserView, new_user};
