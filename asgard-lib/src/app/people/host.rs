//! People whom somebody else signed in: the service that Asgard is embedded in.

use super::{
    authenticate::person,
    new_user, role_name,
    users::{UserView, change},
};
use crate::{
    app::{Asgard, Call, Tx},
    domain::{audit::AuditAction, person::User},
    error::{Code, Error, Result},
    kernel::{Actor, Email, Role, SecretText, SessionId, Timestamp, UserId, Username},
    ports::records::store_error,
};

/// How often an account is looked for again after somebody else made it at the same moment.
const MAX_CONFLICT_RETRIES: u32 = 3;

/// The person at this address, on the word of the embedding service. The account is found by the address and made at the
/// first visit, without a password that anybody knows. The role is the service's to say: where the account has another, it
/// is changed and the change is audited. An account that an admin switched off stays off. Two reads when nothing changes.
pub async fn vouched_for(app: &Asgard, email: &Email, role: Role) -> Result<Actor> {
    for _ in 0..MAX_CONFLICT_RETRIES {
        let id = app.store().holder(&User::email_claim(email)).await.map_err(store_error)?;
        let settled = match id {
            Some(id) => {
                let id: UserId = id.parse().map_err(|_| Error::bug(format!("an e-mail claim is held by {id}")))?;
                // No password, so no credential that a change of password could have ended.
                let user = person(app, &id, Timestamp::from_millis(i64::MAX)).await?;
                if user.email != *email {
                    return Err(too_alike());
                }
                if user.role == role { Ok(id) } else { set_role(app, id, role).await }
            }
            None => first_visit(app, email, role).await,
        };
        match settled {
            Ok(user) => {
                // No record has this id: there is no session of ours to list, slide or end.
                let session = SessionId::from_digest(&[0; 32]);
                return Ok(Actor::Human { user, email: email.clone(), role, session });
            }
            Err(error) if error.code() == Code::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(Code::Busy, "Too many visits at once are this person's first. Try again in a moment.")
        .retry_after(1))
}

/// The claim that finds an account holds the beginning of a long address.
fn too_alike() -> Error {
    let message = "This e-mail address begins with the same 118 bytes as another account's, and accounts are told apart by those. Use another address.";
    Error::new(Code::Denied, message)
}

fn host(app: &Asgard) -> Call {
    Call::system("host", app.new_trace())
}

async fn set_role(app: &Asgard, id: UserId, role: Role) -> Result<UserId> {
    let (call, user) = (host(app), &id);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            change(tx, user, AuditAction::UserRoleChanged, ("role", role_name(role)), |user| user.role = role).await
        })
    })
    .await?;
    Ok(id)
}

async fn first_visit(app: &Asgard, email: &Email, role: Role) -> Result<UserId> {
    let nobody_knows = SecretText::new(data_encoding::HEXLOWER.encode(&app.world().random::<32>()));
    let password = app.passwords().hash(&nobody_knows, app.world()).await?;
    let (call, password) = (host(app), &password);
    let made: UserView = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                let username = free_username(tx, email).await?;
                let user = new_user(tx, &username, email, role, password.clone())?;
                let details =
                    [("username", username.to_string()), ("role", role_name(role).into()), ("by", "host".into())];
                tx.audit(None, AuditAction::UserCreated, &user.id, &details)?;
                Ok(UserView::of(&user))
            })
        })
        .await?;
    Ok(made.id)
}

/// The address itself, unless it cannot be a username or is somebody else's. Only a name in lists: nobody types it.
async fn free_username(tx: &Tx<'_>, email: &Email) -> Result<Username> {
    if let Ok(username) = email.as_str().parse::<Username>()
        && tx.holder(&User::username_claim(&username)).await?.is_none()
    {
        return Ok(username);
    }
    let unlike_others = data_encoding::HEXLOWER.encode(&tx.app().world().random::<8>());
    format!("person-{unlike_others}").parse().map_err(Error::bug)
}
