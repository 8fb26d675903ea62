//! People whom somebody else signed in: the service that Asgard is embedded in.

use super::{
    bind, role_name,
    users::{Account, change, new_user},
};
use crate::{
    app::{Asgard, Call, Tx, authenticate},
    domain::{
        audit::AuditAction,
        person::{self, Asked, Identity, Joining, User, joining, unconfirmed},
    },
    error::{Code, Error, Result},
    kernel::{Actor, Email, Issuer, IssuerSubject, Role, SignIn, UserId, Username},
    ports::records::store_error,
};

#[cfg(test)]
mod tests;

/// How often an account is looked for again after somebody else made it at the same moment.
const MAX_CONFLICT_RETRIES: u32 = 5;

/// A person on the word of the embedding service: how it knows them, the address that it has verified, and their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    issuer: Issuer,
    subject: IssuerSubject,
    email: Email,
    role: Role,
}

impl Vouched {
    /// The person at `email`, who may do what `role` may. The service knows them by nothing but the address.
    pub fn new(email: Email, role: Role) -> Self {
        Self { issuer: Issuer::host(), subject: IssuerSubject::from(&email), email, role }
    }

    /// The same person as the service really knows them, or as its own identity provider does: by something that stays when
    /// the address changes.
    pub fn known_as(self, issuer: Issuer, subject: IssuerSubject) -> Self {
        Self { issuer, subject, ..self }
    }

    fn identity(&self) -> Identity {
        Identity {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            email: Some(self.email.clone()),
            verified: true,
        }
    }
}

/// This person, on the word of the embedding service. The account is found by issuer and subject; without one, by the
/// verified address, and the identity joins it if its issuer is trusted with that address (`people.trusted_issuers`) and, for
/// an admin's account, once it was confirmed; without that, it is made, without a password. The role is the service's to
/// say: where the account has another, it is changed and the change is audited. Another address than before becomes the
/// account's, and moves no authority. An account that an admin switched off stays off. Two reads when nothing changes.
pub async fn vouched_for(app: &Asgard, vouched: &Vouched) -> Result<Actor> {
    if vouched.issuer.is_local() {
        return Err(Error::new(
            Code::Denied,
            "The issuer `local` is Asgard itself: nobody else vouches for its accounts.",
        ));
    }
    for _ in 0..MAX_CONFLICT_RETRIES {
        match settle(app, vouched).await {
            Ok(Settled::As(user)) => {
                return Ok(Actor::Human { person: user.person(), role: vouched.role, sign_in: SignIn::Host });
            }
            Ok(Settled::Changed) => {}
            Err(error) if error.code() == Code::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(Code::Busy, "Too many visits at once are this person's first. Try again in a moment.")
        .retry_after(1))
}

enum Settled {
    /// The account is as the service says.
    As(Box<User>),
    /// It is now; it has to be read again.
    Changed,
}

async fn settle(app: &Asgard, vouched: &Vouched) -> Result<Settled> {
    let claim = Identity::claim(&vouched.issuer, &vouched.subject);
    let Some(id) = holder(app, &claim).await? else {
        return match holder(app, &User::email_claim(&vouched.email)).await? {
            Some(id) => join(app, &id, vouched).await,
            None => first_visit(app, vouched).await,
        }
        .map(|()| Settled::Changed);
    };
    let user = authenticate::vouched_for(app, &id).await?;
    let known = user.identity(&vouched.issuer, &vouched.subject);
    let known = known.ok_or_else(|| Error::bug(format!("{claim} is held by {id}, which does not know it")))?;
    if known.email.as_ref() != Some(&vouched.email) {
        move_address(app, &id, vouched).await?;
        return Ok(Settled::Changed);
    }
    if user.role != vouched.role {
        set_role(app, &id, vouched.role).await?;
        return Ok(Settled::Changed);
    }
    bind::resume_of(app, &user).await?;
    Ok(Settled::As(Box::new(user)))
}

async fn holder(app: &Asgard, claim: &str) -> Result<Option<UserId>> {
    let id = app.store().holder(claim).await.map_err(store_error)?;
    id.map(|id| id.parse().map_err(|_| Error::bug(format!("{claim} is held by {id}")))).transpose()
}

fn host(app: &Asgard) -> Call {
    Call::system("host", app.new_trace())
}

async fn set_role(app: &Asgard, user: &UserId, role: Role) -> Result<()> {
    let call = host(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            change(tx, user, AuditAction::UserRoleChanged, ("role", role_name(role)), |user| user.role = role).await
        })
    })
    .await
    .map(drop)
}

/// The identity joins the account that has its verified address, or waits for a confirmation, as [`joining`] says.
async fn join(app: &Asgard, id: &UserId, vouched: &Vouched) -> Result<()> {
    let call = host(app);
    let waits = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                let before = tx.need::<User>(id.as_str()).await?;
                let (issuer, details) =
                    (&vouched.issuer, [("issuer", vouched.issuer.to_string()), ("by", "host".into())]);
                match joining(Some(&before), issuer, &vouched.email, &tx.app().config().people.trust)? {
                    Joining::Join => {
                        let after = before.with_identity(vouched.identity());
                        tx.claim_or(Identity::claim(issuer, &vouched.subject), id, taken())?;
                        tx.replace(&before, &after)?;
                        tx.audit(None, AuditAction::UserIdentityAdded, id, &details)?;
                        Ok(None)
                    }
                    Joining::NeedsConfirmation => {
                        match before.with_pending(&vouched.identity(), &vouched.email, tx.now())? {
                            Asked::Already => {}
                            Asked::Kept(after) => {
                                tx.replace(&before, &after)?;
                                tx.audit(None, AuditAction::UserIdentityPending, id, &details)?;
                            }
                        }
                        Ok(Some(unconfirmed(&before, issuer)))
                    }
                    Joining::MakeNew => Err(Error::bug(format!("{id} is there, and is to be made"))),
                }
            })
        })
        .await?;
    waits.map_or(Ok(()), Err)
}

fn taken() -> Error {
    Error::new(Code::AlreadyExists, "Another account has this identity already.")
}

/// The issuer gives another address than before. The one before stays bound to the account until nothing names it.
async fn move_address(app: &Asgard, id: &UserId, vouched: &Vouched) -> Result<()> {
    let (call, email) = (host(app), &vouched.email);
    app.config().people.trust.require(&vouched.issuer, email)?;
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let claim = User::email_claim(email);
            let before = tx.need::<User>(id.as_str()).await?;
            match tx.holder(&claim).await? {
                Some(holder) if holder != id.as_str() => {
                    return Err(Error::new(
                        Code::Denied,
                        "This e-mail address is another account's. An admin has to settle whose it is.",
                    ));
                }
                Some(_) if !before.has(email) => return Err(person::too_alike()),
                Some(_) => {}
                None => tx.claim(claim, id)?,
            }
            let binding = Some(bind::later(tx, id)?);
            let moved = before.moved(&vouched.issuer, &vouched.subject, email, tx.now());
            tx.replace(&before, &User { binding, ..moved })?;
            tx.audit(
                None,
                AuditAction::UserAddressChanged,
                id,
                &[("issuer", vouched.issuer.to_string()), ("by", "host".into())],
            )
        })
    })
    .await
}

async fn first_visit(app: &Asgard, vouched: &Vouched) -> Result<()> {
    let call = host(app);
    // Nobody has the address; the claims of the commit see to it that nobody has got it since.
    joining(None, &vouched.issuer, &vouched.email, &app.config().people.trust)?;
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let username = free_username(tx, &vouched.email).await?;
            let account = Account {
                username: &username,
                email: &vouched.email,
                role: vouched.role,
                identity: vouched.identity(),
                password: None,
                password_set_by: None,
            };
            let user = new_user(tx, account)?;
            let details =
                [("username", username.to_string()), ("role", role_name(vouched.role).into()), ("by", "host".into())];
            tx.audit(None, AuditAction::UserCreated, &user.id, &details)?;
            Ok(())
        })
    })
    .await
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
