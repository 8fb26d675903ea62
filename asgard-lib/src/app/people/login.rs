//! Signing in and out, and one's own password.

use super::{
    bind,
    refusals::{self, Refusal},
    throttle,
    users::UserView,
};
use crate::{
    app::{
        Asgard, Call, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
        core::operation::{
            Method::{Get, Post},
            Unremembered,
        },
    },
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        credential::{self, Session, Shape},
        person::{User, check_password},
    },
    error::{Code, Error, Result},
    kernel::{Actor, Role, SecretText, SignIn, Timestamp, UserId, Username},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// What the sign-in screen needs to know.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {}

/// How people sign in here.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AuthConfigView {
    /// The name of this Asgard that the dashboard shows.
    pub system_name: String,
    /// Whether people sign in with a password.
    pub local: bool,
    /// Whether people sign in through an identity provider.
    pub oidc: bool,
    /// Whether sign-in is switched off (loopback only).
    pub dev_insecure: bool,
}

impl SimpleOperation for AuthConfig {
    type Output = AuthConfigView;
    const META: Meta = Meta {
        name: "auth.config",
        title: "Sign-in configuration",
        description: "How people sign in here, and what the dashboard is called.",
        action: Action::Open,
        routes: &[Route { method: Get, path: "/auth/config", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<AuthConfigView> {
        tx.allow(Action::Open, &Object::Nothing)?;
        let server = &tx.app().config().server;
        Ok(AuthConfigView {
            system_name: server.system_name.as_str().to_owned(),
            local: true,
            oidc: false,
            dev_insecure: server.dev_insecure,
        })
    }
}

/// Signs in with a password.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Login {
    /// The account's name.
    #[schemars(with = "Username")]
    pub username: String,
    /// The account's password.
    pub password: SecretText,
}

/// A new session.
#[derive(Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LoginView {
    /// The session's token, for `Authorization: Bearer`. Browsers get it as a cookie.
    pub token: String,
    /// The account that signed in.
    pub user: UserView,
    /// The time at which the session ends whatever happens.
    pub expires_at: Timestamp,
}

crate::kernel::opaque!(LoginView);

fn wrong() -> Error {
    Error::new(Code::LoginFailed, "The username or password is wrong.")
}

/// Counts an attempt; one that is refused is said to whoever reads the logs.
async fn counted(
    app: &Asgard,
    call: &Call,
    username: &Username,
    signed_in: Option<&UserId>,
) -> Result<throttle::Attempt> {
    let attempt = match signed_in {
        None => throttle::attempt(app, call, username).await,
        Some(user) => throttle::attempt_signed_in(app, call, user).await,
    };
    if attempt.as_ref().is_err_and(|error| error.code() == Code::Throttled) {
        refusals::note(app, call, username.as_str(), Refusal::LockedOut).await;
    }
    attempt
}

/// A password that was right, and the attempt that was counted before it was looked at.
#[expect(unnameable_types, reason = "between prepare and decide; nobody else needs its name")]
pub struct Verified {
    attempt: throttle::Attempt,
    user: UserId,
}

crate::kernel::opaque!(Verified);

impl Operation for Login {
    type Output = LoginView;
    const META: Meta = Meta {
        name: "auth.login",
        title: "Sign in",
        description: "Signs in with a username and password. Repeated failures are slowed down per account and per source.",
        action: Action::Open,
        routes: &[Route { method: Post, path: "/auth/login", status: 200 }],
        tools: &[],
        hints: Hints::CREATE,
        creates: false,
    };

    type Permit = ();
    type Prepared = Verified;
    type Decided = Unremembered<LoginView>;

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<()> {
        reads.allow(Action::Open, &Object::Nothing)
    }

    /// An unknown name costs as much as a wrong password.
    async fn prepare(&self, reads: &mut Reads<'_>, (): &(), before: Option<Verified>) -> Result<Verified> {
        let app = reads.app();
        let Ok(username) = self.username.parse::<Username>() else {
            refusals::note(app, reads.call(), &self.username, Refusal::Failed).await;
            return Err(wrong());
        };
        let attempt = match before {
            Some(before) => before.attempt,
            None => counted(app, reads.call(), &username, None).await?,
        };
        let id = reads.holder(&User::username_claim(&username)).await?;
        let user = match &id {
            Some(id) => reads.read_checked::<User>(id).await?,
            None => None,
        };
        let right = app
            .passwords()
            .verify(&self.password, user.as_ref().and_then(|user| user.password.as_deref()), app.world())
            .await?;
        let Some(user) = user.filter(|user| right && user.active) else {
            refusals::note(app, reads.call(), username.as_str(), Refusal::Failed).await;
            return Err(wrong());
        };
        Ok(Verified { attempt, user: user.value.id })
    }

    async fn decide(&self, tx: &mut Tx<'_>, (): (), verified: &Verified) -> Result<Unremembered<LoginView>> {
        let app = tx.app();
        // The commit depends on the version that the password was verified against.
        let user = tx.read_checked::<User>(verified.user.as_str()).await?;
        let user = user.filter(|user| user.active).ok_or_else(wrong)?;
        let token = credential::mint(Shape::Session, &app.world().random());
        let print = credential::fingerprint(token.reveal());
        let people = &app.config().people;
        let session = Session {
            id: crate::kernel::SessionId::from_digest(&print),
            user: user.id.clone(),
            hash: credential::fingerprint_text(&print),
            created_at: tx.now(),
            valid_until: tx.now().plus(Duration::from_secs(people.session_hours * 3600)),
            idle_secs: people.session_idle_minutes * 60,
            source: tx.call().source.address.chars().take(64).collect(),
            agent: tx.call().source.agent.chars().take(120).collect(),
            generation: Some(user.generation),
            revoked_at: None,
        };
        throttle::give_back(tx, &verified.attempt)?;
        let binding = bind::resumed(tx, &user).await?;
        if binding.is_some() || user.signed_in_at.is_none() {
            let (mut after, now) = (user.value.clone(), tx.now());
            after.signed_in_at.get_or_insert(now);
            after.binding = binding.or(after.binding);
            tx.replace(&user, &after)?;
        }
        tx.insert(&session)?;
        let actor =
            Actor::Human { person: user.person(), role: user.role, sign_in: SignIn::Session(session.id.clone()) };
        tx.audit_as(actor.reference(), None, AuditAction::SessionOpened, &session.id, &[])?;
        Ok(Unremembered(LoginView {
            token: token.reveal().to_owned(),
            user: UserView::of(&user.value, tx.now()),
            expires_at: session.valid_until,
        }))
    }

    async fn finish(&self, _: &Asgard, Unremembered(view): Unremembered<LoginView>) -> Result<LoginView> {
        Ok(view)
    }
}

/// Signs out: ends the session that calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Logout {}

/// It is done; there is nothing to say.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nothing {}

impl SimpleOperation for Logout {
    type Output = Nothing;
    const META: Meta = Meta {
        name: "auth.logout",
        title: "Sign out",
        description: "Ends the session that calls.",
        action: Action::OwnAccount,
        routes: &[Route { method: Post, path: "/auth/logout", status: 200 }],
        tools: &[],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Nothing> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        if let Actor::Human { sign_in: SignIn::Session(session), .. } = tx.actor()?
            && let Some(open) = tx.read_checked::<Session>(session.as_str()).await?
        {
            let over = Session { revoked_at: Some(tx.now()), ..open.value.clone() };
            tx.replace(&open, &over)?;
            tx.audit(None, AuditAction::SessionClosed, session, &[])?;
        }
        Ok(Nothing {})
    }
}

/// Who am I?
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Me {}

/// The person who calls.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MeView {
    /// The account of the person who calls.
    pub user: UserView,
    /// The kind of credential that the call carried.
    pub credential: crate::kernel::ActorKind,
}

impl SimpleOperation for Me {
    type Output = MeView;
    const META: Meta = Meta {
        name: "auth.me",
        title: "Who am I",
        description: "The person behind the session or token that calls.",
        action: Action::OwnAccount,
        routes: &[Route { method: Get, path: "/auth/me", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<MeView> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        let actor = tx.actor()?;
        let id = actor.user().map(ToString::to_string).unwrap_or_default();
        let user = tx.read::<User>(&id).await?.ok_or_else(|| Error::not_found("user"))?;
        Ok(MeView { user: UserView::of(&user.value, tx.now()), credential: actor.reference().kind })
    }
}

/// Changes one's own password. Every session and every token of the account ends.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct ChangePassword {
    /// The present password of the account.
    pub current_password: SecretText,
    /// The new password: 12 to 200 characters.
    #[schemars(length(min = 12, max = 200))]
    pub new_password: SecretText,
}

/// The new password, hashed, once the present one was right.
#[expect(unnameable_types, reason = "between prepare and decide; nobody else needs its name")]
pub struct NewPassword {
    attempt: throttle::Attempt,
    hash: String,
}

crate::kernel::opaque!(NewPassword);

impl Operation for ChangePassword {
    type Output = Nothing;
    const META: Meta = Meta {
        name: "auth.change_password",
        title: "Change password",
        description: "Changes one's own password. Every session and user token of the account ends, this session too; sign in again.",
        action: Action::OwnAccountInSession,
        routes: &[Route { method: Post, path: "/auth/password", status: 200 }],
        tools: &[],
        hints: Hints::SET,
        creates: false,
    };

    type Permit = UserId;
    type Prepared = NewPassword;
    type Decided = Unremembered<Nothing>;

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<UserId> {
        reads.allow(Action::OwnAccountInSession, &Object::Nothing)?;
        reads.actor()?.user().cloned().ok_or_else(|| Error::not_found("user"))
    }

    async fn prepare(&self, reads: &mut Reads<'_>, id: &UserId, before: Option<NewPassword>) -> Result<NewPassword> {
        let app = reads.app();
        let user = reads.need::<User>(id.as_str()).await?;
        check_password(&self.new_password, &user.username).map_err(|e| e.at("new_password"))?;
        let (attempt, hash) = match before {
            Some(before) => (before.attempt, Some(before.hash)),
            None => (counted(app, reads.call(), &user.username, Some(id)).await?, None),
        };
        if !app.passwords().verify(&self.current_password, user.password.as_deref(), app.world()).await? {
            refusals::note(app, reads.call(), user.username.as_str(), Refusal::Failed).await;
            return Err(Error::invalid("current_password", "The present password is wrong."));
        }
        let hash = match hash {
            Some(hash) => hash,
            None => app.passwords().hash(&self.new_password, app.world()).await?,
        };
        Ok(NewPassword { attempt, hash })
    }

    async fn decide(&self, tx: &mut Tx<'_>, id: UserId, new: &NewPassword) -> Result<Unremembered<Nothing>> {
        let user = tx.need::<User>(id.as_str()).await?;
        throttle::give_back(tx, &new.attempt)?;
        tx.replace(&user, &user.with_password(new.hash.clone(), tx.now()))?;
        tx.audit(None, AuditAction::UserPasswordChanged, &user.id, &[])?;
        Ok(Unremembered(Nothing {}))
    }

    async fn finish(&self, _: &Asgard, Unremembered(nothing): Unremembered<Nothing>) -> Result<Nothing> {
        Ok(nothing)
    }
}

/// What a role is called on pages.
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Finance => "finance",
        Role::Member => "member",
    }
}
