//! Everything that ends access, and every kind of credential, on every surface that takes the kind. A new kind of credential has no
//! cell in the table, and does not compile until it has one.

use crate::{
    app::{Call, bootstrap, people},
    domain::credential::CredentialKind,
    http::{
        HostUser,
        testkit::{Client, PASSWORD, TestApp},
    },
    kernel::{Actor, AgentId, Role, SecretText},
};
use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// What may end somebody's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessEnd {
    SwitchedOff,
    SwitchedOffAndOnAgain,
    PasswordChanged,
    PasswordReset,
    SignedOutByOneself,
    SignedOutByAdmin,
    SignedOutByOperator,
    RevokedByAdmin,
    ProjectStopped,
    MadeFinance,
    LostTheProject,
    LostTheProjectLongAgo,
}

impl AccessEnd {
    const ALL: [Self; 12] = [
        Self::SwitchedOff,
        Self::SwitchedOffAndOnAgain,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::SignedOutByOneself,
        Self::SignedOutByAdmin,
        Self::SignedOutByOperator,
        Self::RevokedByAdmin,
        Self::ProjectStopped,
        Self::MadeFinance,
        Self::LostTheProject,
        Self::LostTheProjectLongAgo,
    ];

    /// Whether a credential of this kind is over after it, for new calls.
    fn ends(self, kind: CredentialKind) -> bool {
        match kind {
            CredentialKind::Session | CredentialKind::UserToken => match self {
                Self::SwitchedOff
                | Self::SwitchedOffAndOnAgain
                | Self::PasswordChanged
                | Self::PasswordReset
                | Self::SignedOutByOneself
                | Self::SignedOutByAdmin
                | Self::SignedOutByOperator
                | Self::RevokedByAdmin => true,
                // The person goes on, with what they may by then.
                Self::ProjectStopped | Self::MadeFinance | Self::LostTheProject => false,
                // A session has run out by then, whatever happened; the token is the person's.
                Self::LostTheProjectLongAgo => kind == CredentialKind::Session,
            },
            // The project's, not the person's: it goes on until it is revoked, or nobody answers for it for too long.
            CredentialKind::ProjectKey => match self {
                Self::SwitchedOff
                | Self::SwitchedOffAndOnAgain
                | Self::PasswordChanged
                | Self::PasswordReset
                | Self::SignedOutByOneself
                | Self::SignedOutByAdmin
                | Self::SignedOutByOperator
                | Self::MadeFinance
                | Self::LostTheProject => false,
                Self::RevokedByAdmin | Self::ProjectStopped | Self::LostTheProjectLongAgo => true,
            },
            // The service around Asgard says on each request that it is them; only the account itself is Asgard's.
            CredentialKind::Host => match self {
                Self::SwitchedOff => true,
                Self::SwitchedOffAndOnAgain
                | Self::PasswordChanged
                | Self::PasswordReset
                | Self::SignedOutByOneself
                | Self::SignedOutByAdmin
                | Self::SignedOutByOperator
                | Self::RevokedByAdmin
                | Self::ProjectStopped
                | Self::MadeFinance
                | Self::LostTheProject
                | Self::LostTheProjectLongAgo => false,
            },
            // Whoever makes agents ends them. What is Asgard's is the project and the person for whom one acts.
            CredentialKind::Agent => match self {
                Self::SwitchedOff
                | Self::SwitchedOffAndOnAgain
                | Self::PasswordChanged
                | Self::PasswordReset
                | Self::SignedOutByOneself
                | Self::SignedOutByAdmin
                | Self::SignedOutByOperator
                | Self::ProjectStopped => true,
                Self::RevokedByAdmin | Self::MadeFinance | Self::LostTheProject | Self::LostTheProjectLongAgo => false,
            },
        }
    }
}

/// Somebody with every kind of credential.
struct Subject {
    name: String,
    user: String,
    project: String,
    session: Client,
    session_id: String,
    token: Client,
    token_id: String,
    key: Client,
    key_id: String,
    agent: Actor,
}

async fn ok(reply: crate::http::testkit::Reply) -> serde_json::Value {
    assert!(reply.status.is_success(), "{}: {}", reply.status, reply.text());
    reply.json()
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn subject(app: &TestApp, name: &str) -> Subject {
    let (username, email) = (name.parse().unwrap(), format!("{name}@corp.example").parse().unwrap());
    let password = SecretText::new(PASSWORD);
    bootstrap::create_user(&app.asgard, &username, &email, Role::Member, &password, None).await.unwrap();
    let login = ok(app.anonymous.post("/api/auth/login", json!({"username": name, "password": PASSWORD})).await).await;
    let session = app.anonymous.with(&text(&login["token"]));
    let sessions = ok(session.get("/api/auth/sessions").await).await;
    let token = ok(session.post("/api/auth/tokens", json!({"name": "laptop", "expires_in_days": 365})).await).await;
    let registration = json!({"name": name, "owner_email": format!("{name}@corp.example"),
        "manager_email": "max@corp.example", "group": "platform"});
    let project = text(&ok(session.post("/api/projects", registration).await).await["project_id"]);
    let key = ok(session.post(&format!("/api/projects/{project}/keys"), json!({"name": "agent"})).await).await;
    let person = people::authenticate(&app.asgard, &text(&token["token"]), people::Accepts::People).await.unwrap();
    let agent = Actor::Agent {
        agent: app.asgard.world().id::<AgentId>(),
        project: project.parse().unwrap(),
        on_behalf_of: person.person().cloned(),
    };
    Subject {
        name: name.to_owned(),
        user: text(&login["user"]["id"]),
        project,
        session,
        session_id: text(&sessions["items"][0]["id"]),
        token: app.anonymous.with(&text(&token["token"])),
        token_id: text(&token["id"]),
        key: app.anonymous.with(&text(&key["key"])),
        key_id: text(&key["id"]),
        agent,
    }
}

async fn end(app: &TestApp, subject: &Subject, ending: AccessEnd) {
    let Subject { name, user, project, .. } = subject;
    let admin = {
        let login = json!({"username": "admin", "password": PASSWORD});
        app.anonymous.with(&app.anonymous.post("/api/auth/login", login).await.field("token"))
    };
    let active = async |active: bool| {
        ok(admin.post(&format!("/api/users/{user}/active"), json!({ "active": active })).await).await;
    };
    let username = name.parse().unwrap();
    match ending {
        AccessEnd::SwitchedOff => active(false).await,
        AccessEnd::SwitchedOffAndOnAgain => {
            active(false).await;
            active(true).await;
        }
        AccessEnd::PasswordChanged => {
            let change = json!({"current_password": PASSWORD, "new_password": "another good password"});
            ok(subject.session.post("/api/auth/password", change).await).await;
        }
        AccessEnd::PasswordReset => {
            bootstrap::set_password(&app.asgard, &username, &SecretText::new("another good password")).await.unwrap();
        }
        AccessEnd::SignedOutByOneself => {
            ok(subject.session.post(&format!("/api/users/{user}/sign-out"), json!({})).await).await;
        }
        AccessEnd::SignedOutByAdmin => {
            ok(admin.post(&format!("/api/users/{user}/sign-out"), json!({})).await).await;
        }
        AccessEnd::SignedOutByOperator => bootstrap::sign_out(&app.asgard, &username).await.unwrap(),
        AccessEnd::RevokedByAdmin => {
            let listed = ok(admin.get(&format!("/api/users/{user}/tokens")).await).await;
            assert_eq!(listed["items"][0]["id"], subject.token_id.as_str());
            let listed = ok(admin.get(&format!("/api/users/{user}/sessions")).await).await;
            assert_eq!(listed["items"][0]["id"], subject.session_id.as_str());
            for id in [&subject.session_id, &subject.token_id] {
                ok(admin.delete(&format!("/api/users/{user}/credentials/{id}")).await).await;
            }
            ok(admin.delete(&format!("/api/projects/{project}/keys/{}", subject.key_id)).await).await;
        }
        AccessEnd::ProjectStopped => {
            ok(admin.post(&format!("/api/projects/{project}/kill"), json!({"reason": "a test"})).await).await;
        }
        AccessEnd::MadeFinance => {
            ok(admin.post(&format!("/api/users/{user}/role"), json!({"role": "finance"})).await).await;
        }
        AccessEnd::LostTheProject | AccessEnd::LostTheProjectLongAgo => {
            let change = json!({"owner_email": "olga@corp.example"});
            ok(admin.patch(&format!("/api/projects/{project}"), change).await).await;
            review(app).await;
            if ending == AccessEnd::LostTheProjectLongAgo {
                app.clock.advance(Duration::from_secs(31 * 86_400));
            }
        }
    }
}

async fn review(app: &TestApp) {
    use crate::app::periodic::{PeriodicTask, ReviewKeys};
    while ReviewKeys.run(&app.asgard).await.unwrap() == crate::app::periodic::Next::Again {}
}

/// Whether a credential of this kind still opens something, on each surface that takes the kind.
async fn opens(app: &TestApp, subject: &Subject, kind: CredentialKind) -> Vec<(&'static str, bool)> {
    let rest = async |client: &Client| client.get("/api/auth/me").await.status == 200;
    let mcp = async |client: &Client| client.rpc("tools/list", json!({})).await.status == 200;
    match kind {
        CredentialKind::Session => {
            let cookie = format!("asgard_session={}", subject.session.credential.as_deref().unwrap());
            let page = app.anonymous.send(Method::GET, "/account", &[("cookie", &cookie)], Body::empty()).await;
            vec![("REST", rest(&subject.session).await), ("dashboard", page.status == 200)]
        }
        CredentialKind::UserToken => vec![("REST", rest(&subject.token).await), ("MCP", mcp(&subject.token).await)],
        CredentialKind::ProjectKey => {
            let own = app.asgard.as_key(&subject.key_id.parse().unwrap()).await.is_ok();
            vec![("MCP", mcp(&subject.key).await), ("in process", own)]
        }
        CredentialKind::Host => {
            let vouched = async |path: &str| {
                let mut request = Request::get(path).header("host", "localhost:8080").body(Body::empty()).unwrap();
                let email = format!("{}@corp.example", subject.name).parse().unwrap();
                request.extensions_mut().insert(HostUser::new(email, Role::Member));
                app.anonymous.request(request).await.status == 200
            };
            vec![("REST", vouched("/api/auth/me").await), ("dashboard", vouched("/account").await)]
        }
        // An agent calls in process; a call that has waited is known anew.
        CredentialKind::Agent => vec![("in process", known_anew(app, &subject.agent).await)],
    }
}

/// Whether somebody goes on whose call has waited.
async fn known_anew(app: &TestApp, actor: &Actor) -> bool {
    app.asgard.still(actor).await.is_ok()
}

#[tokio::test]
async fn what_ends_access_ends_every_kind_of_credential_on_every_surface() {
    let app = TestApp::tuned(&[("ASGARD_BIND", "127.0.0.1:8080")], |config| {
        config.throttle.source_failures = 1000;
        config.throttle.account_failures = 1000;
    })
    .await;
    let mut wrong = Vec::new();
    for (n, ending) in AccessEnd::ALL.into_iter().enumerate() {
        let subject = subject(&app, &format!("subject-{n}")).await;
        let mut calls = Vec::new();
        for kind in CredentialKind::ALL {
            for (surface, opens) in opens(&app, &subject, kind).await {
                assert!(opens, "{kind:?} opens nothing on {surface} before {ending:?}");
            }
            calls.push((kind, acting(&app, &subject, kind).await));
        }
        end(&app, &subject, ending).await;
        for (kind, actor) in calls {
            for (surface, opens) in opens(&app, &subject, kind).await {
                if opens == ending.ends(kind) {
                    wrong.push(format!("{ending:?}: {kind:?} on {surface}: opens {opens}"));
                }
            }
            // A call that was under way when it happened: what the host vouched for before is not what it vouches for now.
            let goes_on = known_anew(&app, &actor).await;
            let ends = match (kind, ending) {
                (
                    CredentialKind::Host,
                    AccessEnd::SwitchedOffAndOnAgain
                    | AccessEnd::PasswordChanged
                    | AccessEnd::PasswordReset
                    | AccessEnd::SignedOutByOneself
                    | AccessEnd::SignedOutByAdmin
                    | AccessEnd::SignedOutByOperator,
                ) => true,
                _ => ending.ends(kind),
            };
            if goes_on == ends {
                wrong.push(format!("{ending:?}: a call by {kind:?} that waited goes on: {goes_on}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The actor of a call that is under way.
async fn acting(app: &TestApp, subject: &Subject, kind: CredentialKind) -> Actor {
    let bearer = |client: &Client| client.credential.clone().unwrap();
    let actor = match kind {
        CredentialKind::Session => {
            people::authenticate(&app.asgard, &bearer(&subject.session), people::Accepts::People).await.unwrap()
        }
        CredentialKind::UserToken => {
            people::authenticate(&app.asgard, &bearer(&subject.token), people::Accepts::Agents).await.unwrap()
        }
        CredentialKind::ProjectKey => {
            people::authenticate(&app.asgard, &bearer(&subject.key), people::Accepts::Agents).await.unwrap()
        }
        CredentialKind::Host => {
            let vouched = people::Vouched::new(format!("{}@corp.example", subject.name).parse().unwrap(), Role::Member);
            people::vouched_for(&app.asgard, &vouched).await.unwrap()
        }
        CredentialKind::Agent => subject.agent.clone(),
    };
    assert_eq!(CredentialKind::of(&actor), Some(kind));
    actor
}

/// What somebody makes with a credential that has just ended is not made: neither a token nor a key outlives what made it.
#[tokio::test]
async fn a_credential_that_has_ended_leaves_no_other_behind() {
    let app = TestApp::new().await;
    let subject = subject(&app, "ann").await;
    let session = acting(&app, &subject, CredentialKind::Session).await;
    end(&app, &subject, AccessEnd::SignedOutByAdmin).await;
    // The request was let in right before: its actor is known, and nothing is committed yet.
    let call = Call::by(session, app.asgard.new_trace());
    let asgard = Arc::clone(&app.asgard);
    let run = async |name: &str, input: serde_json::Value| {
        crate::app::operations::named(name).unwrap().call(&asgard, &call, input).await.map(|answer| answer.value)
    };
    for (name, input) in [
        ("tokens.create", json!({"name": "left behind"})),
        ("keys.mint", json!({"project_id": subject.project, "name": "left behind"})),
    ] {
        let error = run(name, input).await.expect_err(name);
        assert_eq!(error.code(), crate::Code::BadCredential, "{name}: {error:?}");
    }
}
