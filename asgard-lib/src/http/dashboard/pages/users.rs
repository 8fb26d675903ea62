//! Accounts, for admins.

use crate::{
    app::people::{CreateUser, ListUsers, SetActive, SetRole, UserView, role_name},
    error::{Error, Result},
    http::dashboard::{
        frame::{Flash, Layout, PageRequest, Section, id},
        widgets::{Badge, Choice, Field, Fields, FormData, Pager, When, words},
    },
    kernel::{Limit, Role},
};
use askama::Template;
use axum::{extract::Path, response::Response};

const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Finance];

#[derive(Template)]
#[template(path = "pages/users.html")]
struct Users {
    layout: Layout,
    rows: Vec<Row>,
    fields: Fields,
    once: String,
    creating: bool,
    pager: Pager,
}

struct Row {
    user: UserView,
    active: Badge,
    made: When,
    roles: Vec<(&'static str, String, bool)>,
    own: bool,
}

/// Shows the accounts.
pub(crate) async fn list(page_request: PageRequest) -> Response {
    page_request.answer(page(&page_request, None, None).await)
}

async fn page(page_request: &PageRequest, form_data: Option<&FormData>, error: Option<Error>) -> Result<Response> {
    let found = page_request.submit(&ListUsers { cursor: page_request.cursor(), limit: Limit::default() }).await?;
    let choices =
        ROLES.map(|role| Choice::new(role_name(role), format!("{}: {}", words(role_name(role)), powers(role))));
    let mut fields = Fields(vec![
        Field::line("username", "Username").required().longest(64).help("What they sign in with."),
        Field::email("email", "E-mail").required().help("What projects know them by, as owner or manager."),
        Field::choice("role", "Role", choices.into()).value(role_name(Role::Member)),
        Field::password("password", "First password", "new-password")
            .help("12 to 200 characters. They change it under Account."),
    ])
    .keep(form_data);
    if let Some(error) = &error {
        fields.blame(error);
    }
    let page = Users {
        layout: page_request.layout(Section::Users).with(error.as_ref().map(|error| page_request.banner(error))),
        once: page_request.once_again(form_data, error.as_ref()),
        creating: form_data.is_some_and(|form_data| form_data.raw("username").is_some()),
        pager: page_request.pager(&found),
        rows: found.items.into_iter().map(|user| row(page_request, user)).collect(),
        fields,
    };
    page_request.page(&page, error)
}

const fn powers(role: Role) -> &'static str {
    match role {
        Role::Member => "works on projects they own or manage",
        Role::Admin => "runs Asgard, approves, manages users",
        Role::Finance => "reads cost and audit, nothing else",
    }
}

fn row(page_request: &PageRequest, user: UserView) -> Row {
    Row {
        active: Badge::active(user.active),
        made: When::new(user.created_at, page_request.now),
        roles: ROLES.map(|role| (role_name(role), words(role_name(role)), role == user.role)).into(),
        own: page_request.actor().user() == Some(&user.id),
        user,
    }
}

/// Makes an account.
pub(crate) async fn create(page_request: PageRequest, form_data: FormData) -> Response {
    let made = try_create(&page_request, &form_data).await.map(|_| Flash::UserCreated);
    back(&page_request, &form_data, made).await
}

async fn try_create(page_request: &PageRequest, form_data: &FormData) -> Result<UserView> {
    let create = CreateUser {
        username: form_data.read("username")?,
        password: form_data.secret("password"),
        email: form_data.read("email")?,
        role: form_data.read_given("role")?,
    };
    page_request.submit_once(&create, form_data).await
}

/// Changes a role.
pub(crate) async fn set_role(page_request: PageRequest, Path(user): Path<String>, form_data: FormData) -> Response {
    let changed = try_set_role(&page_request, &user, &form_data).await.map(|_| Flash::UserChanged);
    back(&page_request, &form_data, changed).await
}

async fn try_set_role(page_request: &PageRequest, user: &str, form_data: &FormData) -> Result<UserView> {
    let set = SetRole { user_id: id(user, "user")?, role: form_data.read("role")? };
    page_request.submit(&set).await
}

/// Switches an account on or off.
pub(crate) async fn set_active(page_request: PageRequest, Path(user): Path<String>, form_data: FormData) -> Response {
    let changed = try_set_active(&page_request, &user, &form_data).await.map(|_| Flash::UserChanged);
    back(&page_request, &form_data, changed).await
}

async fn try_set_active(page_request: &PageRequest, user: &str, form_data: &FormData) -> Result<UserView> {
    let set = SetActive { user_id: id(user, "user")?, active: form_data.text("active") == "true" };
    page_request.submit(&set).await
}

async fn back(page_request: &PageRequest, form_data: &FormData, came_to: Result<Flash>) -> Response {
    let answer = match came_to {
        Ok(flash) => Ok(page_request.done("/users", flash)),
        Err(error) => page(page_request, Some(form_data), Some(error)).await,
    };
    page_request.answer(answer)
}
