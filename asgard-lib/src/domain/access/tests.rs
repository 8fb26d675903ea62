//! The whole table of who may do what, a row per action and a column per kind of actor. A new action without a row fails.

use super::*;
use crate::{
    domain::{
        request::{Command, Request, RequestStatus, Target},
        resource,
    },
    error::{Code, Result},
    kernel::{
        Actor, ActorRef, Email, KeyId, ProjectId, RequestId, ResourceId, Role, SessionId, Timestamp, TokenId, Usd,
        UserId, id::TimeOrdered,
    },
};
use serde_json::Map;

fn email(name: &str) -> Email {
    format!("{name}@corp.example").parse().unwrap()
}

fn user(n: u8) -> UserId {
    UserId::build(Timestamp::from_millis(0), [n; 10])
}

fn human(name: &str, role: Role) -> Actor {
    Actor::Human { user: user(1), email: email(name), role, session: SessionId::from_digest(&[1; 32]) }
}

fn token(name: &str, role: Role) -> Actor {
    Actor::UserToken { user: user(1), email: email(name), role, token: TokenId::from_digest(&[2; 32]) }
}

fn key(project: i64, minted_by: &str) -> Actor {
    Actor::ProjectKey {
        key: KeyId::from_digest(&[3; 32]),
        project: ProjectId::new(2026, project),
        minted_by: email(minted_by),
    }
}

fn subject() -> Subject {
    Subject { id: ProjectId::new(2026, 1), owner: email("owner"), manager: email("manager") }
}

/// The columns.
fn actors() -> Vec<(&'static str, Actor)> {
    vec![
        ("owner", human("owner", Role::Member)),
        ("owner-pat", token("owner", Role::Member)),
        ("manager", human("manager", Role::Member)),
        ("manager-pat", token("manager", Role::Member)),
        ("admin", human("root", Role::Admin)),
        ("admin-pat", token("root", Role::Admin)),
        ("stranger", human("stranger", Role::Member)),
        ("stranger-pat", token("stranger", Role::Member)),
        ("finance", human("finance", Role::Finance)),
        ("finance-owner-pat", token("owner", Role::Finance)),
        ("key", key(1, "owner")),
        ("foreign-key", key(2, "owner")),
        ("system", Actor::System { name: "loop" }),
    ]
}

/// Who is allowed, per action. Everybody else is refused.
fn rows(action: Action) -> &'static [&'static str] {
    const PEOPLE: &[&str] = &["owner", "owner-pat", "manager", "manager-pat", "admin", "admin-pat"];
    const WORKERS: &[&str] = &[
        "owner",
        "owner-pat",
        "manager",
        "manager-pat",
        "admin",
        "admin-pat",
        "stranger",
        "stranger-pat",
        "key",
        "foreign-key",
    ];
    const RELATED: &[&str] = &["owner", "owner-pat", "manager", "manager-pat", "admin", "admin-pat", "key"];
    const STEERS: &[&str] = &["manager", "manager-pat", "admin", "admin-pat"];
    match action {
        Action::Open => &[
            "owner",
            "owner-pat",
            "manager",
            "manager-pat",
            "admin",
            "admin-pat",
            "stranger",
            "stranger-pat",
            "finance",
            "finance-owner-pat",
            "key",
            "foreign-key",
            "system",
        ],
        Action::OwnAccount => &[
            "owner",
            "owner-pat",
            "manager",
            "manager-pat",
            "admin",
            "admin-pat",
            "stranger",
            "stranger-pat",
            "finance",
            "finance-owner-pat",
        ],
        Action::OwnAccountInSession => &["owner", "manager", "admin", "stranger", "finance"],
        Action::ManageUsers => &["admin", "admin-pat"],
        Action::RegisterProject => {
            &["owner", "owner-pat", "manager", "manager-pat", "admin", "admin-pat", "stranger", "stranger-pat"]
        }
        Action::ListProjects | Action::ListInbox | Action::ReadCatalog => WORKERS,
        Action::ReadProject | Action::DescribeProject | Action::Ask | Action::Cancel => RELATED,
        Action::ManageProject | Action::Decide => STEERS,
        Action::ReassignProject => &["admin", "admin-pat"],
        Action::StopProject | Action::EndProject | Action::MintKey | Action::RevokeKey => PEOPLE,
        Action::RevealSecret => &["owner-pat", "manager-pat", "key"],
        Action::RotateSecret => &["owner", "owner-pat", "manager", "manager-pat", "key"],
        Action::ReadProjectAudit => {
            &["owner", "owner-pat", "manager", "manager-pat", "admin", "admin-pat", "finance", "finance-owner-pat"]
        }
        Action::ReadAudit => &["admin", "admin-pat", "finance", "finance-owner-pat"],
    }
}

#[test]
fn the_whole_table() {
    let subject = subject();
    for action in Action::ALL {
        let object = match action {
            Action::Open
            | Action::ManageUsers
            | Action::RegisterProject
            | Action::ListProjects
            | Action::ListInbox
            | Action::ReadCatalog
            | Action::ReadAudit
            | Action::OwnAccount
            | Action::OwnAccountInSession => Object::Nothing,
            _ => Object::Project(&subject),
        };
        for (name, actor) in actors() {
            let answer = decide(*action, &actor, &object);
            assert_eq!(answer.is_ok(), rows(*action).contains(&name), "{action:?} by {name}: {answer:?}");
            if let Err(error) = answer {
                assert!(matches!(error.code(), Code::Denied | Code::NotFound), "{action:?} by {name}: {error:?}");
            }
        }
    }
}

#[test]
fn strangers_learn_nothing_and_keys_learn_which_project_is_theirs() {
    let subject = subject();
    let ask = |actor: &Actor| decide(Action::ReadProject, actor, &Object::Project(&subject)).unwrap_err();
    assert_eq!(ask(&human("stranger", Role::Member)).code(), Code::NotFound);
    let foreign = ask(&key(2, "owner"));
    assert!(foreign.code() == Code::Denied && foreign.message().contains("proj-2026-0002"));
}

#[test]
fn accounts_are_their_owners() {
    let (mine, other) = (user(1), user(9));
    assert!(decide(Action::OwnAccount, &human("a", Role::Finance), &Object::Account(&mine)).is_ok());
    assert_eq!(
        decide(Action::OwnAccount, &human("a", Role::Admin), &Object::Account(&other)).unwrap_err().code(),
        Code::NotFound
    );
}

fn request(by: &Actor) -> Request {
    let at = Timestamp::from_millis(0);
    let (id, resource) = (RequestId::build(at, [1; 10]), ResourceId::build(at, [1; 10]));
    let _: resource::ResourceStatus = resource::ResourceStatus::Provisioning;
    Request {
        id,
        project: ProjectId::new(2026, 1),
        project_name: "Pilot".parse().unwrap(),
        resource,
        service: "local-demo".parse().unwrap(),
        name: "demo".parse().unwrap(),
        target: Target { cloud: "local".parse().unwrap(), account: None, region: None },
        command: Command::Provision { spec: Map::new() },
        status: RequestStatus::Pending,
        requested_by: ActorRef { ..by.reference() },
        monthly: Usd::ZERO,
        reserved: Usd::ZERO,
        verdict: None,
        decision: None,
        plan: None,
        plan_run: None,
        current_run: None,
        resumed: 0,
        began: false,
        cancel_requested: false,
        error: None,
        inbox: None,
        created_at: at,
        updated_at: at,
    }
}

/// Project, actor, request, `require_manager`, and the answer.
type Row<'a> = (&'a Subject, Actor, &'a Request, bool, Result<bool, Code>);

#[test]
fn nobody_approves_what_they_own_asked_for_or_hold_the_key_of() {
    let two = subject();
    let one = Subject { manager: email("owner"), ..subject() };
    let by_key = request(&key(1, "root"));
    let by_owner = request(&human("owner", Role::Member));
    let by_manager = request(&token("manager", Role::Member));
    let table: [Row<'_>; 14] = [
        (&two, human("manager", Role::Member), &by_owner, true, Ok(false)),
        (&two, token("manager", Role::Member), &by_owner, true, Ok(false)),
        (&two, human("root", Role::Admin), &by_owner, true, Ok(false)),
        (&two, human("owner", Role::Member), &by_key, true, Err(Code::Denied)),
        (&two, human("owner", Role::Admin), &by_manager, true, Err(Code::SeparationOfDuties)),
        (&two, human("manager", Role::Member), &by_manager, true, Err(Code::SeparationOfDuties)),
        (&two, human("root", Role::Admin), &by_key, true, Err(Code::SeparationOfDuties)),
        (&two, human("root", Role::Admin), &by_manager, true, Ok(false)),
        (&two, human("stranger", Role::Member), &by_owner, true, Err(Code::NotFound)),
        (&two, human("manager", Role::Finance), &by_owner, true, Err(Code::Denied)),
        (&two, key(1, "manager"), &by_owner, true, Err(Code::Denied)),
        (&one, human("owner", Role::Member), &by_owner, false, Err(Code::SeparationOfDuties)),
        (&one, human("owner", Role::Admin), &by_owner, false, Ok(true)),
        (&two, human("owner", Role::Admin), &by_owner, false, Err(Code::SeparationOfDuties)),
    ];
    for (row, (subject, actor, request, strict, expected)) in table.into_iter().enumerate() {
        assert_eq!(may_approve(&actor, subject, request, strict).map_err(|e| e.code()), expected, "row {row}");
    }
}

#[test]
fn a_key_ends_itself_and_no_other() {
    let (subject, own) = (subject(), key(1, "owner"));
    let Actor::ProjectKey { key: id, .. } = &own else { panic!("a key") };
    let other = KeyId::from_digest(&[9; 32]);
    assert!(may_revoke(&own, &subject, id).is_ok());
    assert_eq!(may_revoke(&own, &subject, &other).unwrap_err().code(), Code::Denied);
    assert!(may_revoke(&human("owner", Role::Member), &subject, &other).is_ok());
    assert_eq!(may_revoke(&human("stranger", Role::Member), &subject, &other).unwrap_err().code(), Code::NotFound);
}
