//! The first admin, and the operator's way back in.

use super::{Asgard, Call, people::new_user};
use crate::{
    domain::{
        access::{Action, Object},
        person::{User, check_password},
    },
    error::{Code, Error, Result},
    kernel::{Email, Role, SecretText, Username},
};

/// What became of the first admin at boot.
pub enum FirstAdmin {
    /// There is one already, and nothing changed.
    Present,
    /// One was made with the configured password.
    Made(Username),
    /// One was made with this generated password, to be shown once.
    Generated(Username, SecretText),
    /// The configured password differed from the account's and has been set; its sessions are over.
    Reset(Username),
}

/// The claim that lets one replica make the first admin.
const FIRST: &str = "bootstrap/first-admin";

fn system(app: &Asgard) -> Call {
    Call::system("bootstrap", app.new_trace())
}

/// Makes sure that there is an admin: makes one when no admin was ever made, and lets a configured password win.
pub async fn first_admin(app: &Asgard) -> Result<FirstAdmin> {
    first_admin_with(app, app.config().people.admin_password.as_ref()).await
}

/// The same with a password that was configured elsewhere.
pub async fn first_admin_with(app: &Asgard, password: Option<&SecretText>) -> Result<FirstAdmin> {
    let people = &app.config().people;
    let username = &people.admin_user;
    let existing =
        app.store().holder(&User::username_claim(username)).await.map_err(crate::ports::records::store_error)?;
    if let (Some(id), Some(password)) = (&existing, password) {
        return reset_if_different(app, id, password).await;
    }
    let admins = app.store().counter(User::ACTIVE_ADMINS).await.map_err(crate::ports::records::store_error)?;
    if existing.is_some() || admins > 0 {
        return Ok(FirstAdmin::Present);
    }
    let (password, generated) = match password {
        Some(password) => (password.clone(), false),
        None => (generate(app), true),
    };
    match create_user(app, username, &people.admin_email, Role::Admin, &password, Some(FIRST)).await {
        Ok(()) if generated => Ok(FirstAdmin::Generated(username.clone(), password)),
        Ok(()) => Ok(FirstAdmin::Made(username.clone())),
        // Another replica was faster.
        Err(error) if error.code() == Code::AlreadyExists => Ok(FirstAdmin::Present),
        Err(error) => Err(error),
    }
}

fn generate(app: &Asgard) -> SecretText {
    SecretText::new(data_encoding::BASE32_NOPAD.encode(&app.world().random::<15>()).to_lowercase())
}

async fn reset_if_different(app: &Asgard, id: &str, password: &SecretText) -> Result<FirstAdmin> {
    let found: Option<crate::ports::records::Stored<User>> =
        crate::ports::records::Records::read(app.store(), id).await?;
    let user = found.ok_or_else(|| Error::bug(format!("username claim without its account {id}")))?;
    if app.passwords().verify(password, Some(&user.password), app.world()).await? {
        return Ok(FirstAdmin::Present);
    }
    let username = user.username.clone();
    set_password(app, &username, password).await?;
    Ok(FirstAdmin::Reset(username))
}

/// Makes an account from the operator's console.
pub async fn create_user(
    app: &Asgard,
    username: &Username,
    email: &Email,
    role: Role,
    password: &SecretText,
    once: Option<&str>,
) -> Result<()> {
    check_password(password, username)?;
    let hash = app.passwords().hash(password, app.world()).await?;
    let (call, hash) = (system(app), &hash);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.allow(Action::Open, &Object::Nothing)?;
            let user = new_user(tx, username, email, role, hash.clone())?;
            if let Some(claim) = once {
                tx.claim_or(
                    claim.to_owned(),
                    &user.id,
                    Error::new(Code::AlreadyExists, "The first admin has been made already."),
                )?;
            }
            tx.audit(None, "user.created", &user.id, &[("username", username.to_string()), ("by", "operator".into())])
        })
    })
    .await
}

/// Sets an account's password from the operator's console; its sessions are over. A switched-off account stays off.
pub async fn set_password(app: &Asgard, username: &Username, password: &SecretText) -> Result<()> {
    check_password(password, username)?;
    let hash = app.passwords().hash(password, app.world()).await?;
    let (call, hash) = (system(app), &hash);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.allow(Action::Open, &Object::Nothing)?;
            let id = tx
                .holder(&User::username_claim(username))
                .await?
                .ok_or_else(|| Error::not_found("user").at("username"))?;
            let user = tx.need::<User>(&id).await?;
            tx.replace(&user, &User { password: hash.clone(), credentials_from: tx.now(), ..user.value.clone() })?;
            tx.audit(None, "user.password_reset", &user.id, &[("by", "operator".into())])
        })
    })
    .await
}

/// A new random password for [`set_password`].
pub fn generated_password(app: &Asgard) -> SecretText {
    generate(app)
}
