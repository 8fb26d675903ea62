//! The rules against what is expected of them: `expected.txt` has a row for each action and a column for each kind of actor. A
//! new action without a row fails.

use super::{
    actions::Scope,
    standing::{Grant, Standing},
    *,
};
use crate::{
    domain::{
        policy::Approver,
        request::{Command, Request, RequestStatus, Target},
        resource,
    },
    error::{Code, Result},
    kernel::{
        Actor, ActorRef, AgentId, Email, KeyId, Party, Person, ProjectId, RequestId, ResourceId, Role, SessionId,
        SignIn, Timestamp, TokenId, Usd, UserId, VerifiedEmail, id::TimeOrdered,
    },
};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

fn email(name: &str) -> Email {
    format!("{name}@corp.example").parse().unwrap()
}

fn user(n: u8) -> UserId {
    UserId::build(Timestamp::from_millis(0), [n; 10])
}

/// The account of whoever has this name.
fn account(name: &str) -> UserId {
    let mut digest = [0; 32];
    for (slot, byte) in digest.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    UserId::from_digest(&digest)
}

fn person(name: &str) -> Person {
    Person::verified(account(name), email(name))
}

fn human_of(person: Person, role: Role) -> Actor {
    Actor::Human { person, role, sign_in: SignIn::Session(SessionId::from_digest(&[1; 32])) }
}

fn human(name: &str, role: Role) -> Actor {
    human_of(person(name), role)
}

fn token(name: &str, role: Role) -> Actor {
    Actor::UserToken { person: person(name), role, token: TokenId::from_digest(&[2; 32]) }
}

fn agent(project: i64, on_behalf_of: Option<&str>) -> Actor {
    Actor::Agent {
        agent: AgentId::build(Timestamp::from_millis(0), [4; 10]),
        project: ProjectId::new(2026, project),
        on_behalf_of: on_behalf_of.map(person),
    }
}

fn key(project: i64, minted_by: &str) -> Actor {
    Actor::ProjectKey {
        key: KeyId::from_digest(&[3; 32]),
        project: ProjectId::new(2026, project),
        minted_by: Party::Address(email(minted_by)),
    }
}

fn subject() -> Subject {
    Subject {
        id: ProjectId::new(2026, 1),
        owner: Party::Address(email("owner")),
        manager: Party::Address(email("manager")),
    }
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
        ("finance-pat", token("finance", Role::Finance)),
        ("finance-owner-pat", token("owner", Role::Finance)),
        ("key", key(1, "owner")),
        ("foreign-key", key(2, "owner")),
        ("agent", agent(1, None)),
        ("agent-for-owner", agent(1, Some("owner"))),
        ("foreign-agent", agent(2, Some("owner"))),
        ("system", Actor::System { name: "loop" }),
    ]
}

/// What is expected of whom, written by hand; the end-to-end test reads the same file.
fn expected() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let mut lines =
        include_str!("expected.txt").lines().filter(|line| !line.starts_with('#')).map(str::split_whitespace);
    let columns: Vec<&str> = lines.next().unwrap().skip(1).collect();
    let mut rows = BTreeMap::new();
    for mut line in lines {
        let action = line.next().unwrap();
        let cells: Vec<&str> = line.collect();
        assert_eq!(cells.len(), columns.len(), "{action} has a cell for every column");
        let row = columns.iter().copied().zip(cells).collect();
        assert!(rows.insert(action, row).is_none(), "{action} has two rows");
    }
    rows
}

#[test]
fn the_whole_table() {
    let (expected, subject) = (expected(), subject());
    let (named, known): (BTreeSet<&str>, BTreeSet<&str>) =
        (expected.keys().copied().collect(), Action::ALL.iter().map(|action| action.name()).collect());
    assert_eq!(named, known, "every action has a row in expected.txt, and every row an action");
    for action in Action::ALL {
        let (row, rule) = (&expected[action.name()], action.rule());
        let object = match rule.scope {
            Scope::Nothing | Scope::OwnAccount | Scope::Organisation => Object::Nothing,
            Scope::Project => Object::Project(&subject),
        };
        let columns: BTreeSet<&str> = actors().iter().map(|(name, _)| *name).chain(["nobody"]).collect();
        assert_eq!(row.keys().copied().collect::<BTreeSet<_>>(), columns, "a column for every kind of actor");
        assert_eq!(row["nobody"], if rule.scope == Scope::Nothing { "ok" } else { "401" }, "{action:?}");
        for (name, actor) in actors() {
            let answer = decide(*action, &actor, &object);
            let found = answer.as_ref().map_or_else(|error| error.code().status().to_string(), |()| "ok".to_owned());
            assert_eq!(found, row[name], "{action:?} by {name}: {answer:?}");
        }
    }
}

#[test]
fn a_question_about_a_project_names_one() {
    for action in Action::ALL.iter().filter(|action| action.rule().scope == Scope::Project) {
        let answer = decide(*action, &human("root", Role::Admin), &Object::Nothing);
        assert_eq!(answer.unwrap_err().code(), Code::Bug, "{action:?}");
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
    let (mine, other) = (account("a"), user(9));
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
        command: Command::Provision { spec: Map::new().into() },
        status: RequestStatus::Pending,
        requested_by: ActorRef { ..by.reference() },
        barred: Vec::new(),
        monthly: Usd::ZERO,
        reserved: Usd::ZERO,
        unapproved: Usd::ZERO,
        verdict: None,
        decision: None,
        judgements: Vec::new(),
        approvals: Vec::new(),
        plan: None,
        plan_run: None,
        current_run: None,
        resumed: 0,
        began: false,
        asks_human: false,
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
    let one = Subject { manager: Party::Address(email("owner")), ..subject() };
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
    // Whoever owned the project at the time, and whoever held the key before it was adopted, stays barred after everything moved.
    let moved = Subject { owner: Party::Address(email("next")), ..subject() };
    let before = Request { barred: vec![Party::Address(email("root"))], ..by_owner.clone() };
    let may = |actor: &Actor| may_approve(actor, &moved, &before, true).map_err(|error| error.code());
    assert_eq!(may(&human("root", Role::Admin)), Err(Code::SeparationOfDuties));
    assert_eq!(may(&human("manager", Role::Member)), Ok(false));
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

#[test]
fn duties_bar_one_human_with_two_accounts_and_look_through_an_agent() {
    let bound = |name: &str| Party::User { id: account(name), email: email(name) };
    let subject = Subject { owner: bound("owner"), manager: bound("manager"), ..subject() };
    let may =
        |actor: &Actor, by: &Actor| may_approve(actor, &subject, &request(by), true).map_err(|error| error.code());
    let barred = Err(Code::SeparationOfDuties);
    // An admin's second account, with an address that the account of whoever asked has verified too.
    let twin = Person::new(account("twin"), email("twin"), vec![VerifiedEmail::attested(email("manager"))]);
    assert_eq!(may(&human_of(twin.clone(), Role::Admin), &human("manager", Role::Member)), barred);
    assert_eq!(may(&human_of(twin, Role::Admin), &human("owner", Role::Member)), Ok(false));
    // The same account under another address.
    let moved = Person::verified(account("manager"), email("new.manager"));
    assert_eq!(may(&human_of(moved.clone(), Role::Member), &human("manager", Role::Member)), barred);
    assert_eq!(may(&human_of(moved, Role::Member), &human("owner", Role::Member)), Ok(false), "it still manages");
    // An address that is not verified, and one that has moved to another account, give no authority.
    let claims = Person::new(account("thief"), email("manager"), Vec::new());
    assert_eq!(may(&human_of(claims, Role::Member), &human("owner", Role::Member)), Err(Code::NotFound));
    let heir = Person::verified(account("heir"), email("manager"));
    assert_eq!(may(&human_of(heir, Role::Member), &human("owner", Role::Member)), Err(Code::NotFound));
    // Whom the agent acts for is whoever asked; and an agent never approves.
    assert_eq!(may(&human("manager", Role::Member), &agent(1, Some("manager"))), barred);
    assert_eq!(may(&human("manager", Role::Member), &agent(1, Some("owner"))), Ok(false));
    assert_eq!(may(&human("manager", Role::Member), &agent(1, None)), Ok(false));
    assert_eq!(may(&agent(1, Some("manager")), &human("owner", Role::Member)), Err(Code::Denied));
    // A key whose minter's account is known.
    let minted = Actor::ProjectKey {
        key: KeyId::from_digest(&[3; 32]),
        project: ProjectId::new(2026, 1),
        minted_by: Party::User { id: account("manager"), email: email("earlier.address") },
    };
    assert_eq!(may(&human("manager", Role::Member), &minted), barred);
}

#[test]
fn nobody_owns_manages_or_has_the_key_of_every_project() {
    let stands = |standing, actor: &Actor| Grant { standing, by: None }.holds(actor, &Object::EveryProject);
    for (name, actor) in actors() {
        for standing in [Standing::Owner, Standing::Manager, Standing::ProjectKey] {
            assert!(!stands(standing, &actor), "{name} is {standing:?} of every project");
        }
        for action in Action::ALL.iter().filter(|action| action.rule().scope == Scope::Project) {
            // What is left are standings that need no project: a role.
            let by_role = action.rule().may.iter().any(|grant| match grant.standing {
                Standing::Owner | Standing::Manager | Standing::ProjectKey => false,
                Standing::Anyone | Standing::Person | Standing::Member | Standing::Admin | Standing::Finance => {
                    grant.holds(&actor, &Object::Nothing)
                }
            });
            let may = decide(*action, &actor, &Object::EveryProject).is_ok();
            assert_eq!(may, by_role, "{name} {} every project", action.name());
        }
    }
    let told = decide(Action::ReadProject, &key(1, "owner"), &Object::EveryProject).unwrap_err();
    assert!(told.message().contains("PROJ-2026-0001") || told.message().contains("proj-2026-0001"), "{told:?}");
    let stranger = human("stranger", Role::Member);
    assert_eq!(decide(Action::ReadProject, &stranger, &Object::EveryProject).unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_named_approver_is_an_account_and_an_address_only_where_none_is_known() {
    let ann = Approver::Named { person: email("ann"), user: Some(account("ann")) };
    let by_address = Approver::named(email("ann"));
    let of = |person| human_of(person, Role::Member);
    let moved = of(Person::verified(account("ann"), email("ann.new")));
    let heir = of(Person::verified(account("heir"), email("ann")));
    let claims = of(Person::new(account("thief"), email("ann"), Vec::new()));
    let second = of(Person::new(account("twin"), email("twin"), vec![VerifiedEmail::attested(email("ann"))]));
    // Actor, whether the account's approver is satisfied, whether the address's is.
    let table = [
        (human("ann", Role::Member), true, true),
        (token("ann", Role::Member), true, true),
        (moved, true, false),
        (heir, false, true),
        (claims, false, false),
        (second, false, true),
        (human("bob", Role::Admin), false, false),
        (key(1, "ann"), false, false),
        (agent(1, Some("ann")), false, false),
    ];
    for (row, (actor, account, address)) in table.iter().enumerate() {
        assert_eq!((satisfies(actor, &ann), satisfies(actor, &by_address)), (*account, *address), "row {row}");
    }
    let renamed = Approver::Named { person: email("ann.new"), user: Some(account("ann")) };
    let successor = Approver::Named { person: email("ann"), user: Some(account("heir")) };
    assert!(ann.same(&by_address) && ann.same(&renamed) && !ann.same(&successor) && !ann.same(&Approver::Admin));
    assert!(Approver::Admin.same(&Approver::Admin) && !Approver::Admin.same(&Approver::ManagerOrAdmin));
}
