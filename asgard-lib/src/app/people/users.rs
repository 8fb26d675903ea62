//! Accounts, for admins.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::bind;
use crate::{
    app::{
        Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
        core::list::list_command,
        core::operation::Method::{Get, Post},
    },
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        person::{Identity, User, check_password},
    },
    error::{Code, Error, Result},
    kernel::{Email, Generation, Issuer, IssuerSubject, Page, Role, SecretText, Timestamp, UserId, Username},
    ports::{
        kinds,
        records::Stored,
        store::{Count, Query},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use typed_builder::TypedBuilder;

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct UserView {
    /// The account's id, `usr_...`.
    pub id: UserId,
    /// The same under the name that addresses and commands have for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UserId")]
    pub user_id: Option<UserId>,
    /// The name that the person signs in with.
    pub username: Username,
    /// The e-mail address that projects know the person by.
    pub email: Email,
    /// The role: what the person may do across projects.
    pub role: Role,
    /// Whether the person may sign in.
    pub active: bool,
    /// The time at which the account was made.
    pub created_at: Timestamp,
    /// The identities that wait until an admin or the account itself confirms them, a few at most; each runs out after three
    /// days. `users.confirm_identity` confirms one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_identities: Vec<PendingIdentityView>,
}

/// An identity that waits for a confirmation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PendingIdentityView {
    /// Who vouches for the person: the URL of an identity provider, for instance.
    pub issuer: Issuer,
    /// What the issuer knows the person by.
    pub subject: IssuerSubject,
    /// The e-mail address that the issuer gave.
    pub email: Email,
    /// The time at which somebody first signed in with it.
    pub since: Timestamp,
}

impl UserView {
    /// The account without its password, as it is now.
    pub fn of(user: &User, now: Timestamp) -> Self {
        let pending = user.waiting(now).map(|pending| PendingIdentityView {
            issuer: pending.issuer.clone(),
            subject: pending.subject.clone(),
            email: pending.email.clone(),
            since: pending.since,
        });
        Self {
            id: user.id.clone(),
            user_id: Some(user.id.clone()),
            username: user.username.clone(),
            email: user.email.clone(),
            role: user.role,
            active: user.active,
            created_at: user.created_at,
            pending_identities: pending.collect(),
        }
    }
}

list_command! {
    /// Lists the accounts.
    #[derive(TypedBuilder)]
    pub struct ListUsers {}
}

impl SimpleOperation for ListUsers {
    type Output = Page<UserView>;
    const META: Meta = Meta {
        name: "users.list",
        title: "List users",
        description: "Every account, oldest first. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Get, path: "/users", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<UserView>> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        let (app, now) = (tx.app(), tx.now());
        let view = |user: Stored<User>| Some(UserView::of(&user.value, now));
        app.page("users", self.paging(), Query::new(&kinds::USERS, ""), view).await
    }
}

/// Makes an account.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct CreateUser {
    /// The name to sign in with, unique: 1 to 64 of letters, digits and . _ @ + -, starting with a letter or digit.
    pub username: Username,
    /// The first password: 12 to 200 characters.
    #[schemars(length(min = 12, max = 200))]
    pub password: SecretText,
    /// The e-mail address that projects know the person by; unique.
    pub email: Email,
    /// The role: what the person may do across projects; `member` unless told.
    #[serde(default)]
    #[builder(default)]
    pub role: Option<Role>,
}

/// An account that is to be made. No `Debug`: it holds the hash of a password.
#[allow(missing_debug_implementations, reason = "it holds the hash of a password")]
pub struct Account<'a> {
    /// Its name in lists; unique.
    pub username: &'a Username,
    /// The address that is shown. Whoever makes the account says that it is the person's.
    pub email: &'a Email,
    /// What the person may do.
    pub role: Role,
    /// How they are known.
    pub identity: Identity,
    /// The hash of their password, if they have one.
    pub password: Option<String>,
    /// The account of the admin who set it, and so could sign in with it.
    pub password_set_by: Option<UserId>,
}

impl<'a> Account<'a> {
    /// An account with a password, whose address an admin or the operator vouches for.
    pub fn local(username: &'a Username, email: &'a Email, role: Role, password: String) -> Self {
        let identity = Identity {
            issuer: Issuer::local(),
            subject: IssuerSubject::from(username),
            email: Some(email.clone()),
            verified: true,
        };
        Self { username, email, role, identity, password: Some(password), password_set_by: None }
    }
}

/// Writes a new account with its claims, counts it if it is an admin, and has it bound to what names its address already. The
/// password is hashed before the transaction.
pub fn new_user(tx: &mut Tx<'_>, account: Account<'_>) -> Result<User> {
    let Account { username, email, role, identity, password, password_set_by } = account;
    let identity_claim =
        Some(Identity::claim(&identity.issuer, &identity.subject)).filter(|_| !identity.issuer.is_local());
    let id = tx.id();
    let binding = Some(bind::later(tx, &id)?);
    let user = User {
        id,
        username: username.clone(),
        email: email.clone(),
        identities: vec![identity],
        former: Vec::new(),
        pending: Vec::new(),
        binding,
        role,
        active: true,
        password,
        password_set_by,
        generation: Generation::FIRST,
        credentials_from: tx.now(),
        unlocked_until: None,
        created_at: tx.now(),
        signed_in_at: None,
    };
    let taken = |field: &'static str| {
        Error::new(Code::AlreadyExists, format!("Another account has this {field} already.")).at(field)
    };
    tx.claim_or(User::username_claim(username), &user.id, taken("username"))?;
    tx.claim_or(User::email_claim(email), &user.id, taken("email"))?;
    if let Some(claim) = identity_claim {
        tx.claim_or(claim, &user.id, taken("identity"))?;
    }
    if user.is_active_admin() {
        count_admins(tx, 1)?;
    }
    tx.insert(&user)?;
    Ok(user)
}

fn count_admins(tx: &mut Tx<'_>, delta: i64) -> Result<()> {
    let floor = (delta < 0).then_some(1);
    let count = Count { counter: User::ACTIVE_ADMINS.into(), delta, floor, ceiling: None, expires_at: None };
    tx.count_or(count, Error::new(Code::LastAdmin, "This is the last active admin. Make somebody else an admin first."))
}

/// A new password, hashed.
#[expect(unnameable_types, reason = "between prepare and decide; nobody else needs its name")]
pub struct PasswordHash(String);

crate::kernel::opaque!(PasswordHash);

impl PasswordHash {
    async fn of(app: &Asgard, password: &SecretText, username: &Username) -> Result<Self> {
        check_password(password, username)?;
        app.passwords().hash(password, app.world()).await.map(Self)
    }
}

impl Operation for CreateUser {
    type Output = UserView;

    fn keyed(&self) -> Result<Value> {
        // Not the password itself: what a key stands for is kept for a day.
        let password = data_encoding::HEXLOWER.encode(&Sha256::digest(self.password.reveal().as_bytes()));
        Ok(json!({ "username": self.username, "email": self.email, "role": self.role, "password": password }))
    }

    const META: Meta = Meta {
        name: "users.create",
        title: "Create a user",
        description: "Makes an account that can sign in with a password. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Post, path: "/users", status: 201 }],
        tools: &[],
        hints: Hints::CREATE,
        creates: true,
    };

    type Permit = ();
    type Prepared = PasswordHash;
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<()> {
        reads.allow(Action::ManageUsers, &Object::Nothing)
    }

    async fn prepare(&self, reads: &mut Reads<'_>, (): &(), before: Option<PasswordHash>) -> Result<PasswordHash> {
        match before {
            Some(hash) => Ok(hash),
            None => PasswordHash::of(reads.app(), &self.password, &self.username).await,
        }
    }

    async fn decide(&self, tx: &mut Tx<'_>, (): (), password: &PasswordHash) -> Result<UserView> {
        let role = self.role.unwrap_or(Role::Member);
        let password_set_by = tx.actor()?.user().cloned();
        let password = password.0.clone();
        let account = Account { password_set_by, ..Account::local(&self.username, &self.email, role, password) };
        let user = new_user(tx, account)?;
        tx.audit(
            None,
            AuditAction::UserCreated,
            &user.id,
            &[("username", user.username.to_string()), ("role", super::role_name(user.role).into())],
        )?;
        Ok(UserView::of(&user, tx.now()))
    }
}

/// Changes what somebody may do.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct SetRole {
    /// The account's id, `usr_...`, from the list of users.
    pub user_id: UserId,
    /// The new role of the account.
    pub role: Role,
}

impl SimpleOperation for SetRole {
    type Output = UserView;
    const META: Meta = Meta {
        name: "users.set_role",
        title: "Change a user's role",
        description: "Makes an account admin, finance or member. The last active admin cannot be changed. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Post, path: "/users/{user_id}/role", status: 200 }],
        tools: &[],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<UserView> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        let role = self.role;
        change(tx, &self.user_id, AuditAction::UserRoleChanged, ("role", super::role_name(role)), |user| {
            user.role = role
        })
        .await
    }
}

/// Switches an account on or off.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct SetActive {
    /// The account's id, `usr_...`, from the list of users.
    pub user_id: UserId,
    /// Whether the person may sign in. `false` ends their sessions and tokens at once and for good: `true` brings none of them back.
    pub active: bool,
}

impl SimpleOperation for SetActive {
    type Output = UserView;
    const META: Meta = Meta {
        name: "users.set_active",
        title: "Switch a user on or off",
        description: "Lets an account sign in, or ends its sessions and tokens at once and for good. The last active admin cannot be switched off. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Post, path: "/users/{user_id}/active", status: 200 }],
        tools: &[],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<UserView> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        let (active, now) = (self.active, tx.now());
        let shown = if active { "true" } else { "false" };
        change(tx, &self.user_id, AuditAction::UserActiveChanged, ("active", shown), |user| {
            let ends = user.active && !active;
            *user = User { active, ..if ends { user.signed_out(now) } else { user.clone() } };
        })
        .await
    }
}

pub(super) async fn change(
    tx: &mut Tx<'_>,
    id: &UserId,
    action: AuditAction,
    detail: (&str, &str),
    apply: impl FnOnce(&mut User),
) -> Result<UserView> {
    let before = tx.need::<User>(id.as_str()).await?;
    let mut after = before.value.clone();
    apply(&mut after);
    match (before.is_active_admin(), after.is_active_admin()) {
        (true, false) => count_admins(tx, -1)?,
        (false, true) => count_admins(tx, 1)?,
        (true, true) | (false, false) => {}
    }
    if (before.role, before.active) != (after.role, after.active) {
        tx.replace(&before, &after)?;
        tx.audit(None, action, id, &[(detail.0, detail.1.to_owned())])?;
    }
    Ok(UserView::of(&after, tx.now()))
}
