//! Accounts, for admins.

use super::{
    field::{Choice, Field, Fields},
    said::Said,
    sent::{Input, Sent},
    shell::{Section, Shell},
    show::{Badge, When, words},
    visit::{Pager, Visit, done},
};
use crate::{
    app::people::{ListUsers, UserView, role_name},
    error::{Error, Result},
    kernel::{Limit, Role},
};
use askama::Template;
use axum::{extract::Path, response::Response};

const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Finance];

#[derive(Template)]
#[template(path = "pages/users.html")]
struct Users {
    shell: Shell,
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
pub async fn list(visit: Visit) -> Response {
    visit.answer(page(&visit, None, None).await)
}

async fn page(visit: &Visit, sent: Option<&Sent>, error: Option<Error>) -> Result<Response> {
    let found = visit.read(&ListUsers { cursor: visit.cursor(), limit: Limit::default() }).await?;
    let choices =
        ROLES.map(|role| Choice::new(role_name(role), format!("{}: {}", words(role_name(role)), powers(role))));
    let mut fields = Fields(vec![
        Field::line("username", "Username").required().longest(64).help("What they sign in with."),
        Field::email("email", "E-mail").required().help("What projects know them by, as owner or manager."),
        Field::choice("role", "Role", choices.into()).value(role_name(Role::Member)),
        Field::password("password", "First password", "new-password")
            .help("12 to 200 characters. They change it under Account."),
    ])
    .keep(sent);
    if let Some(error) = &error {
        fields.blame(error);
    }
    let page = Users {
        shell: visit.shell(Section::Users).with(error.as_ref().map(|error| visit.banner(error))),
        once: visit.once_again(sent, error.as_ref()),
        creating: sent.is_some_and(|sent| sent.raw("username").is_some()),
        pager: visit.pager(&found),
        rows: found.items.into_iter().map(|user| row(visit, user)).collect(),
        fields,
    };
    visit.page(&page, error)
}

const fn powers(role: Role) -> &'static str {
    match role {
        Role::Member => "works on projects they own or manage",
        Role::Admin => "runs Asgard, approves, manages users",
        Role::Finance => "reads cost and audit, nothing else",
    }
}

fn row(visit: &Visit, user: UserView) -> Row {
    Row {
        active: Badge::active(user.active),
        made: When::new(user.created_at, visit.now),
        roles: ROLES.map(|role| (role_name(role), words(role_name(role)), role == user.role)).into(),
        own: visit.actor().user() == Some(&user.id),
        user,
    }
}

/// Makes an account.
pub async fn create(visit: Visit, sent: Sent) -> Response {
    let input =
        Input::new().text("username", &sent).text("email", &sent).optional("role", &sent).secret("password", &sent);
    let made = visit.act("users.create", input, sent.given("once")).await.map(|_| Said::UserCreated);
    back(&visit, &sent, made).await
}

/// Changes a role.
pub async fn set_role(visit: Visit, Path(user): Path<String>, sent: Sent) -> Response {
    let input = Input::new().set("user_id", user).text("role", &sent);
    let changed = visit.act("users.set_role", input, None).await.map(|_| Said::UserChanged);
    back(&visit, &sent, changed).await
}

/// Switches an account on or off.
pub async fn set_active(visit: Visit, Path(user): Path<String>, sent: Sent) -> Response {
    let input = Input::new().set("user_id", user).set("active", sent.text("active") == "true");
    let changed = visit.act("users.set_active", input, None).await.map(|_| Said::UserChanged);
    back(&visit, &sent, changed).await
}

async fn back(visit: &Visit, sent: &Sent, came_to: Result<Said>) -> Response {
    let answer = match came_to {
        Ok(said) => Ok(done("/users", said)),
        Err(error) => page(visit, Some(sent), Some(error)).await,
    };
    visit.answer(answer)
}
