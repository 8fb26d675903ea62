//! One's own account: password, tokens, sessions.

use super::{
    field::{Field, Fields},
    said::Said,
    sent::{Input, Sent},
    shell::{Section, Shell},
    show::{Badge, When},
    sign_in::forget,
    visit::{Pager, Visit, done, text},
};
use crate::{
    app::people::{ListSessions, ListTokens, Me, SessionView, TokenView, UserView},
    error::{Error, Result},
    kernel::Limit,
};
use askama::Template;
use axum::{extract::Path, response::Response};
use serde_json::Value;

#[derive(Template)]
#[template(path = "pages/account.html")]
struct Account {
    shell: Shell,
    user: UserView,
    role: Badge,
    signed_in_here: bool,
    password: Fields,
    token: Fields,
    once: String,
    tokens: Vec<TokenRow>,
    sessions: Vec<SessionRow>,
    pager: Pager,
}

struct TokenRow {
    token: TokenView,
    badge: Badge,
    works: bool,
    made: When,
    used: Option<When>,
    ends: When,
}

struct SessionRow {
    session: SessionView,
    began: When,
    used: When,
    ends: When,
}

/// Shows the account.
pub async fn show(visit: Visit) -> Response {
    visit.answer(page(&visit, None, None).await)
}

async fn page(visit: &Visit, sent: Option<&Sent>, error: Option<Error>) -> Result<Response> {
    let user = visit.read(&Me {}).await?.user;
    let tokens = visit.read(&ListTokens { cursor: visit.cursor(), limit: Limit::default() }).await?;
    let sessions = visit.read(&ListSessions { cursor: None, limit: Limit::default() }).await?;
    let mut password = Fields(vec![
        Field::password("current_password", "Present password", "current-password"),
        Field::password("new_password", "New password", "new-password").help("12 to 200 characters."),
        Field::password("again", "New password again", "new-password"),
    ]);
    let days = visit.app().config().people.token_days;
    let mut token = Fields(vec![
        Field::line("name", "What it is for").required().longest(120).placeholder("my CLI"),
        Field::whole("expires_in_days", "Works for days", 1, 365).value(days.min(365).to_string()),
    ])
    .keep(sent);
    if let Some(error) = &error
        && !password.blame(error)
    {
        token.blame(error);
    }
    let page = Account {
        shell: visit.shell(Section::Account).with(error.as_ref().map(|error| visit.banner(error))),
        role: Badge::role(user.role),
        signed_in_here: visit.signed_in_here(),
        once: visit.once_again(sent, error.as_ref()),
        pager: visit.pager(&tokens),
        tokens: tokens.items.into_iter().map(|token| token_row(visit, token)).collect(),
        sessions: sessions.items.into_iter().map(|session| session_row(visit, session)).collect(),
        user,
        password,
        token,
    };
    visit.page(&page, error)
}

fn token_row(visit: &Visit, token: TokenView) -> TokenRow {
    let expired = visit.now >= token.expires_at;
    TokenRow {
        badge: Badge::credential(token.revoked_at.is_some(), expired),
        works: token.revoked_at.is_none() && !expired,
        made: When::new(token.created_at, visit.now),
        used: token.last_used_at.map(|at| When::new(at, visit.now)),
        ends: When::new(token.expires_at, visit.now),
        token,
    }
}

fn session_row(visit: &Visit, session: SessionView) -> SessionRow {
    SessionRow {
        began: When::new(session.created_at, visit.now),
        used: When::new(session.last_used_at, visit.now),
        ends: When::new(session.expires_at, visit.now),
        session,
    }
}

async fn back(visit: &Visit, sent: Option<&Sent>, came_to: Result<Said>) -> Response {
    let answer = match came_to {
        Ok(said) => Ok(done("/account", said)),
        Err(error) => page(visit, sent, Some(error)).await,
    };
    visit.answer(answer)
}

/// Changes the password. Every session ends, this one too.
pub async fn change_password(visit: Visit, sent: Sent) -> Response {
    let answer = match try_change_password(&visit, &sent).await {
        Ok(()) => forget(visit.state(), visit.arrival(), Said::PasswordChanged),
        Err(error) => page(&visit, Some(&sent), Some(error)).await,
    };
    visit.answer(answer)
}

async fn try_change_password(visit: &Visit, sent: &Sent) -> Result<()> {
    if sent.raw("new_password") != sent.raw("again") {
        return Err(Error::invalid("again", "The two new passwords are not the same."));
    }
    let input = Input::new().secret("current_password", sent).secret("new_password", sent);
    visit.act("auth.change_password", input, None).await.map(|_| ())
}

#[derive(Template)]
#[template(path = "pages/token_created.html")]
struct Created {
    shell: Shell,
    name: String,
    /// Missing when the same form was sent again: it was shown then.
    token: Option<String>,
    suffix: String,
    address: String,
}

/// Makes a token and shows it, this once.
pub async fn create_token(visit: Visit, sent: Sent) -> Response {
    let answer = match try_create_token(&visit, &sent).await {
        Ok(created) => show_token(&visit, &created),
        Err(error) => page(&visit, Some(&sent), Some(error)).await,
    };
    visit.answer(answer)
}

async fn try_create_token(visit: &Visit, sent: &Sent) -> Result<Value> {
    let input = Input::new().text("name", sent).number("expires_in_days", sent)?;
    visit.act("tokens.create", input, sent.given("once")).await
}

fn show_token(visit: &Visit, created: &Value) -> Result<Response> {
    let page = Created {
        shell: visit.shell(Section::Account),
        name: text(created, "/name")?,
        token: text(created, "/token").ok(),
        suffix: text(created, "/suffix")?,
        address: visit.public_address(""),
    };
    visit.page(&page, None)
}

/// Revokes a token.
pub async fn revoke_token(visit: Visit, Path(token): Path<String>) -> Response {
    let revoked = visit.act("tokens.revoke", Input::new().set("token_id", token), None).await;
    back(&visit, None, revoked.map(|_| Said::TokenRevoked)).await
}

/// Ends a session.
pub async fn end_session(visit: Visit, Path(session): Path<String>) -> Response {
    let ended = visit.act("sessions.revoke", Input::new().set("session_id", session), None).await;
    back(&visit, None, ended.map(|_| Said::SessionEnded)).await
}
