//! One's own account: password, tokens, sessions.

use crate::{
    app::people::{
        ChangePassword, CreateToken, ListSessions, ListTokens, Me, RevokeSession, RevokeToken, SessionView,
        SignOutEverywhere, TokenCreated, TokenView, UserView,
    },
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section, forget, id},
        widgets::{Badge, Field, Fields, FormData, Pager, When},
    },
    kernel::Limit,
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/account.html")]
struct Account {
    layout: Layout,
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

pub(super) struct TokenRow {
    pub token: TokenView,
    pub badge: Badge,
    pub works: bool,
    pub made: When,
    pub used: Option<When>,
    pub ends: When,
}

pub(super) struct SessionRow {
    pub session: SessionView,
    pub began: When,
    pub used: When,
    pub ends: When,
}

/// Shows the account.
pub(crate) async fn show(page_request: PageRequest) -> Response {
    page_request.answer(page(&page_request, None, None).await)
}

async fn page(page_request: &PageRequest, form_data: Option<&FormData>, error: Option<Error>) -> Result<Response> {
    let user = page_request.submit(&Me {}).await?.user;
    let tokens = page_request.submit(&ListTokens { cursor: page_request.cursor(), limit: Limit::default() }).await?;
    let sessions = page_request.submit(&ListSessions { cursor: None, limit: Limit::default() }).await?;
    let mut password = Fields(vec![
        Field::password("current_password", "Present password", "current-password"),
        Field::password("new_password", "New password", "new-password").help("12 to 200 characters."),
        Field::password("again", "New password again", "new-password"),
    ]);
    let days = page_request.app().config().people.token_days;
    let mut token = Fields(vec![
        Field::line("name", "What it is for").required().longest(120).placeholder("my CLI"),
        Field::whole("expires_in_days", "Works for days", 1, 365).value(days.min(365).to_string()),
    ])
    .keep(form_data);
    if let Some(error) = &error
        && !password.blame(error)
    {
        token.blame(error);
    }
    let page = Account {
        layout: page_request.layout(Section::Account).with(error.as_ref().map(|error| page_request.banner(error))),
        role: Badge::role(user.role),
        signed_in_here: page_request.signed_in_here(),
        once: page_request.once_again(form_data, error.as_ref()),
        pager: page_request.pager(&tokens),
        tokens: tokens.items.into_iter().map(|token| token_row(page_request, token)).collect(),
        sessions: sessions.items.into_iter().map(|session| session_row(page_request, session)).collect(),
        user,
        password,
        token,
    };
    page_request.page(&page, error)
}

pub(super) fn token_row(page_request: &PageRequest, token: TokenView) -> TokenRow {
    let expired = page_request.now >= token.expires_at;
    TokenRow {
        badge: Badge::credential(!token.works && !expired, expired),
        works: token.works,
        made: When::new(token.created_at, page_request.now),
        used: token.last_used_at.map(|at| When::new(at, page_request.now)),
        ends: When::new(token.expires_at, page_request.now),
        token,
    }
}

pub(super) fn session_row(page_request: &PageRequest, session: SessionView) -> SessionRow {
    SessionRow {
        began: When::new(session.created_at, page_request.now),
        used: When::new(session.last_used_at, page_request.now),
        ends: When::new(session.expires_at, page_request.now),
        session,
    }
}

async fn back(page_request: &PageRequest, form_data: Option<&FormData>, came_to: Result<Flash>) -> Response {
    let answer = match came_to {
        Ok(flash) => Ok(page_request.done("/account", flash)),
        Err(error) => page(page_request, form_data, Some(error)).await,
    };
    page_request.answer(answer)
}

/// Ends every session and token, this session too.
pub(crate) async fn sign_out_everywhere(page_request: PageRequest) -> Response {
    let answer = match try_sign_out(&page_request).await {
        Ok(()) => forget(page_request.state(), page_request.arrival(), Flash::SignedOutEverywhere),
        Err(error) => page(&page_request, None, Some(error)).await,
    };
    page_request.answer(answer)
}

async fn try_sign_out(page_request: &PageRequest) -> Result<()> {
    let user_id = page_request.actor().user().cloned().ok_or_else(|| Error::not_found("user"))?;
    page_request.submit(&SignOutEverywhere { user_id }).await.map(|_| ())
}

/// Changes the password. Every session and token ends, this session too.
pub(crate) async fn change_password(page_request: PageRequest, form_data: FormData) -> Response {
    let answer = match try_change_password(&page_request, &form_data).await {
        Ok(()) => forget(page_request.state(), page_request.arrival(), Flash::PasswordChanged),
        Err(error) => page(&page_request, Some(&form_data), Some(error)).await,
    };
    page_request.answer(answer)
}

async fn try_change_password(page_request: &PageRequest, form_data: &FormData) -> Result<()> {
    if form_data.raw("new_password") != form_data.raw("again") {
        return Err(Error::invalid("again", "The two new passwords are not the same."));
    }
    let change = ChangePassword {
        current_password: form_data.secret("current_password"),
        new_password: form_data.secret("new_password"),
    };
    page_request.submit(&change).await.map(|_| ())
}

#[derive(Template)]
#[template(path = "pages/token_created.html")]
struct Created {
    layout: Layout,
    name: String,
    /// Missing when the same form was sent again: it was shown then.
    token: Option<String>,
    suffix: String,
    address: String,
}

/// Makes a token and shows it, this once.
pub(crate) async fn create_token(page_request: PageRequest, form_data: FormData) -> Response {
    let answer = match try_create_token(&page_request, &form_data).await {
        Ok(created) => show_token(&page_request, created),
        Err(error) => page(&page_request, Some(&form_data), Some(error)).await,
    };
    page_request.answer(answer)
}

async fn try_create_token(page_request: &PageRequest, form_data: &FormData) -> Result<TokenCreated> {
    let create =
        CreateToken { name: form_data.read("name")?, expires_in_days: form_data.read_number("expires_in_days")? };
    page_request.submit_once(&create, form_data).await
}

fn show_token(page_request: &PageRequest, created: TokenCreated) -> Result<Response> {
    let page = Created {
        layout: page_request.layout(Section::Account),
        name: created.about.name.to_string(),
        token: created.token,
        suffix: created.about.suffix,
        address: page_request.public_address(""),
    };
    page_request.page(&page, None)
}

/// Revokes a token.
pub(crate) async fn revoke_token(page_request: PageRequest, Path(token): Path<String>) -> Response {
    let revoked = match id(&token, "token") {
        Ok(token_id) => page_request.submit(&RevokeToken { token_id }).await.map(|_| Flash::TokenRevoked),
        Err(error) => Err(error),
    };
    back(&page_request, None, revoked).await
}

/// Ends a session.
pub(crate) async fn end_session(page_request: PageRequest, Path(session): Path<String>) -> Response {
    let ended = match id(&session, "session") {
        Ok(session_id) => page_request.submit(&RevokeSession { session_id }).await.map(|_| Flash::SessionEnded),
        Err(error) => Err(error),
    };
    back(&page_request, None, ended).await
}
