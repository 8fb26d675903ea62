//! The first admin, at every start.

use crate::logging;
use asgard_lib::{
    Result,
    app::bootstrap::{FirstAdmin, first_admin},
    runtime::Runtime,
};

/// Makes the first admin where there is none, and says what became of it. A generated password is said once, whatever the
/// log's filter: there is no other way to learn it.
pub async fn ensure(runtime: &Runtime) -> Result<()> {
    match first_admin(runtime.app()).await? {
        FirstAdmin::Present => {}
        FirstAdmin::Made(username) => {
            tracing::info!("Made the first admin, {username}, with the password of ASGARD_ADMIN_PASSWORD.");
        }
        FirstAdmin::Generated(username, password) => logging::once(&format!(
            "Made the first admin. This is shown only once; sign in and change it. username: {username} password: {}",
            password.reveal()
        )),
        FirstAdmin::Reset(username) => tracing::warn!(
            "ASGARD_ADMIN_PASSWORD differs from the password of {username}: it was reset, and the account's sessions are over."
        ),
    }
    Ok(())
}
