//! One account, for admins: what its person has to sign in with.

use super::account::{SessionRow, TokenRow, session_row, token_row};
use crate::{
    app::people::{GetUser, ListUserSessions, ListUserTokens, RevokeUserCredential, SignOutEverywhere, UserView},
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section, id},
        widgets::{Badge, Pager},
    },
    kernel::{Limit, UserId},
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "pages/user.html")]
struct Account {
    layout: Layout,
    user: UserView,
    role: Badge,
    active: Badge,
    tokens: Vec<TokenRow>,
    sessions: Vec<SessionRow>,
    pager: Pager,
}

/// Shows the account.
pub(crate) async fn show(page_request: PageRequest, Path(user): Path<String>) -> Response {
    page_request.answer(page(&page_request, &user, None).await)
}

async fn page(page_request: &PageRequest, user: &str, error: Option<Error>) -> Result<Response> {
    let user_id: UserId = id(user, "user")?;
    let user = page_request.submit(&GetUser { user_id: user_id.clone() }).await?;
    let limit = Limit::default();
    let tokens = ListUserTokens { user_id: user_id.clone(), cursor: page_request.cursor(), limit };
    let tokens = page_request.submit(&tokens).await?;
    let sessions = page_request.submit(&ListUserSessions { user_id, cursor: None, limit }).await?;
    let page = Account {
        layout: page_request.layout(Section::Users).with(error.as_ref().map(|error| page_request.banner(error))),
        role: Badge::role(user.role),
        active: Badge::active(user.active),
        pager: page_request.pager(&tokens),
        tokens: tokens.items.into_iter().map(|token| token_row(page_request, token)).collect(),
        sessions: sessions.items.into_iter().map(|session| session_row(page_request, session)).collect(),
        user,
    };
    page_request.page(&page, error)
}

/// Ends one session or token.
pub(crate) async fn revoke(page_request: PageRequest, Path((user, credential)): Path<(String, String)>) -> Response {
    let ended = try_revoke(&page_request, &user, &credential)
        .await
        .map(|()| if credential.starts_with("ses_") { Flash::SessionEnded } else { Flash::TokenRevoked });
    back(&page_request, &user, ended).await
}

async fn try_revoke(page_request: &PageRequest, user: &str, credential: &str) -> Result<()> {
    let revoke =
        RevokeUserCredential { user_id: id(user, "user")?, credential_id: id(credential, "session or token")? };
    page_request.submit(&revoke).await.map(|_| ())
}

/// Ends every session and token.
pub(crate) async fn sign_out(page_request: PageRequest, Path(user): Path<String>) -> Response {
    let ended = try_sign_out(&page_request, &user).await.map(|()| Flash::SignedOutEverywhere);
    back(&page_request, &user, ended).await
}

async fn try_sign_out(page_request: &PageRequest, user: &str) -> Result<()> {
    page_request.submit(&SignOutEverywhere { user_id: id(user, "user")? }).await.map(|_| ())
}

async fn back(page_request: &PageRequest, user: &str, came_to: Result<Flash>) -> Response {
    let answer = match came_to {
        Ok(flash) => Ok(page_request.done(&format!("/users/{user}"), flash)),
        Err(error) => page(page_request, user, Some(error)).await,
    };
    page_request.answer(answer)
}
