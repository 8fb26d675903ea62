//! The first admin, and the operator's way back in.

use super::{
    Asgard, Call, Tx,
    people::{Account, new_user},
};
use crate::{
    domain::{
        audit::AuditAction,
        person::{User, check_password},
    },
    error::{Code, Error, Result},
    kernel::{Email, Role, SecretText, Username},
    ports::{
        kinds::Kind,
        records::{Entity, Records, Stored, store_error},
    },
};
use serde::{Deserialize, Serialize};

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

crate::kernel::opaque!(FirstAdmin);

/// When the configured password goes before the one that the admin has chosen since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wins {
    /// Whenever they differ: what a server does at its start, which an operator causes.
    Always,
    /// When it is another one than was last configured: environments of a function start many times a day, and nobody means
    /// anything by that.
    WhenItChanges,
}

/// The configured password as it last became an account's: the hash that the account got then.
#[derive(Clone, Serialize, Deserialize)]
struct Applied {
    id: String,
    password: String,
}

impl Applied {
    fn id_for(user: &str) -> String {
        format!("bootstrap/password/{user}")
    }
}

impl Entity for Applied {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "configured password";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

/// The claim that lets one replica make the first admin.
const FIRST: &str = "bootstrap/first-admin";

fn system(app: &Asgard) -> Call {
    Call::system("bootstrap", app.new_trace())
}

/// Makes sure that there is an admin: makes one when no admin was ever made, and lets a configured password win. Where sign-in is
/// switched off, the configured admin is who everybody acts as, so that the account has to be there.
pub async fn first_admin(app: &Asgard) -> Result<FirstAdmin> {
    let made = first_admin_with(app, app.config().people.admin_password.as_ref(), Wins::Always).await?;
    if app.config().server.dev_insecure {
        stand_in(app).await?;
    }
    Ok(made)
}

/// The account that everybody acts as while sign-in is switched off: that of the configured admin.
pub(crate) async fn stand_in(app: &Asgard) -> Result<Stored<User>> {
    let username = &app.config().people.admin_user;
    let id = app.store().holder(&User::username_claim(username)).await.map_err(store_error)?;
    let user: Option<Stored<User>> = match id {
        Some(id) => app.store().read(&id).await?,
        None => None,
    };
    let refused = |why: &str| {
        let message = format!(
            "ASGARD_DEV_INSECURE has everybody act as the account that ASGARD_ADMIN_USER (people.admin_user) names, and {username} {why}. Set \
             ASGARD_ADMIN_USER to the username of an active account of this database, or switch ASGARD_DEV_INSECURE off."
        );
        Error::new(Code::BadCredential, message)
    };
    match user {
        None => Err(refused("has no account in this database")),
        Some(user) if !user.active => Err(refused("is an account that has been switched off")),
        Some(user) => Ok(user),
    }
}

/// The same with a password that was configured elsewhere, and with less weight.
pub async fn first_admin_with(app: &Asgard, password: Option<&SecretText>, wins: Wins) -> Result<FirstAdmin> {
    let people = &app.config().people;
    let username = &people.admin_user;
    let existing = app.store().holder(&User::username_claim(username)).await.map_err(store_error)?;
    if let (Some(id), Some(password)) = (&existing, password) {
        return apply(app, id, password, wins).await;
    }
    let admins = app.store().counter(User::ACTIVE_ADMINS).await.map_err(store_error)?;
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

/// Makes the configured password the account's, if it goes before the account's own.
async fn apply(app: &Asgard, id: &str, password: &SecretText, wins: Wins) -> Result<FirstAdmin> {
    let applied: Option<Stored<Applied>> = app.store().read(&Applied::id_for(id)).await?;
    let applied = applied.map(|applied| applied.value.password);
    let is = async |hash: &str| app.passwords().verify(password, Some(hash), app.world()).await;
    if let (Some(applied), Wins::WhenItChanges) = (&applied, wins)
        && is(applied).await?
    {
        return Ok(FirstAdmin::Present);
    }
    let found: Option<Stored<User>> = app.store().read(id).await?;
    let user = found.ok_or_else(|| Error::bug(format!("username claim without its account {id}")))?;
    if let Some(hash) = &user.password
        && is(hash).await?
    {
        if applied.as_ref() != Some(hash) {
            note(app, id, hash).await?;
        }
        return Ok(FirstAdmin::Present);
    }
    let username = user.value.username;
    match set(app, &username, password, Noted::Since(applied.as_deref())).await? {
        true => Ok(FirstAdmin::Reset(username)),
        false => Ok(FirstAdmin::Present),
    }
}

/// Remembers which password was configured, so that another one is known to be another.
async fn note(app: &Asgard, id: &str, hash: &str) -> Result<()> {
    let applied = &Applied { id: Applied::id_for(id), password: hash.to_owned() };
    app.transact(&system(app), |tx| {
        Box::pin(async move {
            tx.as_system()?;
            put(tx, applied).await?;
            tx.audit(None, AuditAction::UserPasswordNoted, id, &[("by", "operator".into())])
        })
    })
    .await
}

async fn put(tx: &mut Tx<'_>, applied: &Applied) -> Result<()> {
    match tx.read_checked::<Applied>(&applied.id).await? {
        None => tx.insert(applied),
        Some(before) => tx.replace(&before, applied),
    }
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
            tx.as_system()?;
            let user = new_user(tx, Account::local(username, email, role, hash.clone()))?;
            if let Some(claim) = once {
                // A generated one too: whatever is configured later is another one.
                put(tx, &Applied { id: Applied::id_for(user.id.as_str()), password: hash.clone() }).await?;
                tx.claim_or(
                    claim.to_owned(),
                    &user.id,
                    Error::new(Code::AlreadyExists, "The first admin has been made already."),
                )?;
            }
            tx.audit(
                None,
                AuditAction::UserCreated,
                &user.id,
                &[("username", username.to_string()), ("by", "operator".into())],
            )
        })
    })
    .await
}

/// Sets an account's password from the operator's console; its sessions and tokens are over, and for a while nobody's guesses lock
/// the account. A switched-off account stays off.
pub async fn set_password(app: &Asgard, username: &Username, password: &SecretText) -> Result<()> {
    set(app, username, password, Noted::Not).await.map(drop)
}

/// Ends every session and token of an account from the operator's console.
pub async fn sign_out(app: &Asgard, username: &Username) -> Result<()> {
    let call = system(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let id = tx.holder(&User::username_claim(username)).await?;
            let id = id.ok_or_else(|| Error::not_found("user").at("username"))?;
            let user = tx.need::<User>(&id).await?;
            tx.replace(&user, &user.signed_out(tx.now()))?;
            tx.audit(None, AuditAction::UserSignedOut, &user.id, &[("by", "operator".into())])
        })
    })
    .await
}

/// Whether a password that is set is the configured one.
#[derive(Clone, Copy)]
enum Noted<'a> {
    /// It is not.
    Not,
    /// It is, and it replaces this one.
    Since(Option<&'a str>),
}

/// Whether it was set: not when somebody else has just set a configured one.
async fn set(app: &Asgard, username: &Username, password: &SecretText, noted: Noted<'_>) -> Result<bool> {
    check_password(password, username)?;
    let hash = app.passwords().hash(password, app.world()).await?;
    let (call, hash) = (system(app), &hash);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let id = tx
                .holder(&User::username_claim(username))
                .await?
                .ok_or_else(|| Error::not_found("user").at("username"))?;
            if let Noted::Since(before) = noted {
                let id = Applied::id_for(&id);
                let now = tx.read_checked::<Applied>(&id).await?;
                if now.map(|applied| applied.value.password).as_deref() != before {
                    return Ok(false);
                }
                put(tx, &Applied { id, password: hash.clone() }).await?;
            }
            let user = tx.need::<User>(&id).await?;
            tx.replace(&user, &user.with_password(hash.clone(), tx.now()).unlocked(tx.now()))?;
            tx.audit(None, AuditAction::UserPasswordReset, &user.id, &[("by", "operator".into())])?;
            Ok(true)
        })
    })
    .await
}

/// A new random password for [`set_password`].
pub fn generated_password(app: &Asgard) -> SecretText {
    generate(app)
}
