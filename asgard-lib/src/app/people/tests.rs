//! Passwords: hashed before a decision, once, and attempts that are given back.

use super::{ChangePassword, CreateUser, Login};
use crate::{
    app::{
        Call, Source,
        testkit::{Kit, signed_in},
    },
    domain::{
        audit::{AuditAction, AuditEvent},
        credential::Session,
        person::User,
    },
    error::Code,
    kernel::{Actor, Person, Role, SecretText, UserId},
    ports::{
        kinds::SESSIONS_BY_USER,
        records::redraft,
        store::{Batch, Op, Outcome, Store},
    },
};
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple staple staple";

fn hashes(kit: &Kit) -> u32 {
    kit.app.passwords().done.load(SeqCst)
}

fn admin(kit: &Kit) -> Call {
    let Actor::Human { person, sign_in, .. } = signed_in("admin@corp.example") else { panic!("a person") };
    Call::by(Actor::Human { person, sign_in, role: Role::Admin }, kit.app.new_trace())
}

fn text(password: &str) -> SecretText {
    SecretText::new(password)
}

async fn mia(kit: &Kit) -> UserId {
    let create = CreateUser {
        username: "mia".parse().unwrap(),
        password: text(PASSWORD),
        email: "mia@corp.example".parse().unwrap(),
        role: None,
    };
    kit.app.run(&admin(kit), &create).await.unwrap().id
}

async fn log_in(kit: &Kit, password: &str) -> Result<(), Code> {
    let call = Call::anonymous(kit.app.new_trace(), Source::default());
    let login = Login { username: "mia".into(), password: text(password) };
    kit.app.run(&call, &login).await.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn a_password_is_hashed_once_however_often_the_decision_is_made() {
    let kit = Kit::staged().await;
    let user = mia(&kit).await;
    assert_eq!(hashes(&kit), 1);
    // More successes than failures are allowed: each gives its own attempt back, and no other.
    kit.faulty.fault.conflict_every.store(3, SeqCst);
    let allowed = kit.app.config().throttle.account_failures;
    for n in 1..=allowed + 2 {
        log_in(&kit, PASSWORD).await.unwrap();
        assert_eq!(hashes(&kit), 1 + n, "one login, one hash");
    }
    assert!(kit.faulty.fault.conflicts.load(SeqCst) > 0, "nobody was faster");

    let before = hashes(&kit);
    let Actor::Human { sign_in, .. } = signed_in("mia@corp.example") else { panic!("a person") };
    let person = Person::verified(user, "mia@corp.example".parse().unwrap());
    let mia = Actor::Human { person, role: Role::Member, sign_in };
    let change = ChangePassword { current_password: text(PASSWORD), new_password: text(OTHER) };
    kit.app.run(&Call::by(mia, kit.app.new_trace()), &change).await.unwrap();
    assert_eq!(hashes(&kit), before + 2, "the present one is checked and the new one hashed");
    assert_eq!((log_in(&kit, PASSWORD).await, log_in(&kit, OTHER).await), (Err(Code::LoginFailed), Ok(())));
}

#[tokio::test]
async fn an_unknown_name_costs_a_hash_too_and_failures_are_counted() {
    let kit = Kit::staged().await;
    // The first unknown name makes the hash that all of them are checked against.
    log_in(&kit, PASSWORD).await.unwrap_err();
    let before = hashes(&kit);
    assert_eq!(log_in(&kit, PASSWORD).await, Err(Code::LoginFailed));
    assert_eq!(hashes(&kit), before + 1);
    let allowed = kit.app.config().throttle.account_failures;
    for _ in 2..allowed {
        assert_eq!(log_in(&kit, PASSWORD).await, Err(Code::LoginFailed));
    }
    assert_eq!(log_in(&kit, PASSWORD).await, Err(Code::Throttled));
    assert_eq!(hashes(&kit), before + allowed - 1, "who is throttled costs nothing");
}

/// Somebody changes the account when the password has been checked, right before the session is committed.
async fn log_in_while(kit: &Kit, user: &UserId, change: impl FnOnce(&mut User)) -> (Result<(), Code>, u32) {
    let read = kit.read::<User>(user).await.unwrap();
    let mut after = read.value.clone();
    change(&mut after);
    let mut batch = Batch::new(kit.world.id(), kit.world.now());
    batch.push(Op::Replace(redraft(&read, &after).unwrap(), read.version.clone())).unwrap();
    let memory = kit.memory.clone();
    let meanwhile = async move { assert_eq!(memory.commit(&batch).await.unwrap(), Outcome::Committed) };
    // The first commit counts the attempt.
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((1, Box::pin(meanwhile)));
    let before = hashes(kit);
    let answer = log_in(kit, PASSWORD).await;
    assert!(kit.faulty.fault.before_commit.lock().unwrap().is_none(), "nobody changed anything");
    (answer, hashes(kit) - before)
}

#[tokio::test]
async fn a_login_stands_on_the_account_version_that_its_password_was_checked_against() {
    let kit = Kit::staged().await;
    let user = mia(&kit).await;
    let finance = log_in_while(&kit, &user, |user| user.role = Role::Finance).await;
    assert_eq!(finance, (Ok(()), 2), "the password is checked again");
    let other = kit.app.passwords().hash(&text(OTHER), kit.app.world()).await.unwrap();
    let now = kit.world.now();
    let changed = log_in_while(&kit, &user, |user| *user = user.with_password(other, now)).await;
    assert_eq!(changed, (Err(Code::LoginFailed), 2), "the old password opens nothing any more");
    assert_eq!(log_in(&kit, OTHER).await, Ok(()));
    assert_eq!(kit.all::<Session>(&SESSIONS_BY_USER, user.as_str()).await.len(), 2);
}

/// Tries a wrong password from a client behind a peer.
async fn guess(kit: &Kit, username: &str, address: String, peer: &str) -> Code {
    let source = Source { address, peer: peer.into(), ..Source::default() };
    let call = Call::anonymous(kit.app.new_trace(), source);
    let login = Login { username: username.into(), password: text(OTHER) };
    kit.app.run(&call, &login).await.map(drop).unwrap_err().code()
}

async fn said(kit: &Kit, action: &AuditAction) -> Vec<AuditEvent> {
    let mut events = kit.all::<AuditEvent>(&crate::ports::kinds::AUDIT_PENDING, crate::domain::audit::PENDING).await;
    events.retain(|event| event.action == *action);
    events
}

/// A control plane where a peer's counter is full soon.
async fn behind_a_peer() -> Kit {
    let mut kit = Kit::staged().await;
    let mut config = crate::config::Config::default();
    (config.throttle.peer_failures, config.throttle.source_failures) = (20, 11);
    let (store, stage) = (Arc::clone(&kit.faulty), Arc::clone(&kit.stage));
    kit.app =
        crate::app::testkit::boot_configured(store, &kit.world, stage as _, crate::app::testkit::catalog(), config)
            .await
            .unwrap();
    kit
}

/// A peer whose forwarded addresses are believed gets no further by a new one with each guess.
#[tokio::test]
async fn guesses_are_counted_by_connecting_peer_too() {
    let kit = behind_a_peer().await;
    for n in 0..20 {
        let code = guess(&kit, &format!("user-{n}"), format!("198.51.100.{n}"), "10.0.0.1").await;
        assert_eq!(code, Code::LoginFailed, "{n}");
    }
    // From here on each account has few failures left through this peer, from whichever address.
    let mut tried = 0;
    while guess(&kit, "user-x", format!("198.51.100.{}", 100 + tried), "10.0.0.1").await == Code::LoginFailed {
        tried += 1;
    }
    assert_eq!(tried, kit.app.config().throttle.account_failures / 5);
    assert_eq!(guess(&kit, "user-x", "198.51.100.99".into(), "10.0.0.2").await, Code::LoginFailed);
    assert_eq!(guess(&kit, "user-1", "198.51.100.1".into(), "10.0.0.1").await, Code::LoginFailed, "its second failure");
    assert_eq!(guess(&kit, "user-1", "198.51.100.1".into(), "10.0.0.1").await, Code::Throttled, "its third");
}

async fn log_in_from(kit: &Kit, password: &str, address: &str, peer: &str) -> Result<(), Code> {
    let source = Source { address: address.into(), peer: peer.into(), ..Source::default() };
    let login = Login { username: "mia".into(), password: text(password) };
    let call = Call::anonymous(kit.app.new_trace(), source);
    kit.app.run(&call, &login).await.map(drop).map_err(|error| error.code())
}

/// Behind one proxy, with addresses of their own: so many wrong guesses at other names that the proxy's counter is full.
async fn fill_the_peer(kit: &Kit) {
    let rules = &kit.app.config().throttle;
    for n in 0..rules.peer_failures {
        let address = format!("198.51.200.{}", n / rules.source_failures);
        assert_eq!(guess(kit, &format!("user-{n}"), address, "10.0.0.1").await, Code::LoginFailed, "{n}");
    }
}

#[tokio::test]
async fn a_full_counter_of_the_proxy_locks_nobody_out_who_was_not_guessed_at() {
    let kit = behind_a_peer().await;
    mia(&kit).await;
    fill_the_peer(&kit).await;
    for _ in 0..5 {
        assert_eq!(log_in_from(&kit, PASSWORD, "203.0.113.5", "10.0.0.1").await, Ok(()), "successes are given back");
    }
    let few = kit.app.config().throttle.account_failures / 5;
    for n in 0..few {
        assert_eq!(log_in_from(&kit, OTHER, &format!("203.0.113.{n}"), "10.0.0.1").await, Err(Code::LoginFailed));
    }
    assert_eq!(
        log_in_from(&kit, PASSWORD, "203.0.113.5", "10.0.0.1").await,
        Err(Code::Throttled),
        "guesses are bounded"
    );
}

#[tokio::test]
async fn after_a_reset_on_the_machine_no_counter_keeps_the_right_password_out() {
    let kit = behind_a_peer().await;
    mia(&kit).await;
    let rules = &kit.app.config().throttle;
    fill_the_peer(&kit).await;
    for n in 0..rules.source_failures {
        guess(&kit, &format!("other-{n}"), "203.0.113.5".into(), "10.0.0.1").await;
    }
    for n in 0..rules.account_failures {
        guess(&kit, "mia", format!("198.51.101.{n}"), "10.0.0.9").await;
    }
    assert_eq!(log_in_from(&kit, PASSWORD, "203.0.113.5", "10.0.0.1").await, Err(Code::Throttled));
    crate::app::bootstrap::set_password(&kit.app, &"mia".parse().unwrap(), &text("a new good password")).await.unwrap();
    assert_eq!(log_in_from(&kit, "a new good password", "203.0.113.5", "10.0.0.1").await, Ok(()));
    assert_eq!(log_in_from(&kit, OTHER, "203.0.113.5", "10.0.0.1").await, Err(Code::LoginFailed), "it is no door");
    kit.pass(Duration::from_secs(901));
    assert_eq!(log_in_from(&kit, "a new good password", "203.0.113.5", "10.0.0.1").await, Ok(()), "another window");
}

/// Whoever has an IPv6 network has as many addresses as they like, as a client and behind a peer.
#[tokio::test]
async fn a_client_of_ipv6_is_counted_by_its_network() {
    let kit = behind_a_peer().await;
    let rules = &kit.app.config().throttle;
    for n in 0..rules.source_failures {
        let code = guess(&kit, &format!("user-{n}"), format!("2001:db8:7::{n:x}"), "").await;
        assert_eq!(code, Code::LoginFailed, "{n}");
    }
    assert_eq!(guess(&kit, "user-x", "2001:db8:7:0:ffff::1".into(), "").await, Code::Throttled);
    assert_eq!(guess(&kit, "user-x", "2001:db8:7:1::1".into(), "").await, Code::LoginFailed);
    assert_eq!(
        said(&kit, &AuditAction::SignInLockedOut).await[0].details["source"],
        "2001:db8:7:0:ffff::1",
        "it is shown"
    );

    let kit = behind_a_peer().await;
    let rules = &kit.app.config().throttle;
    for n in 0..rules.peer_failures {
        let (address, peer) = (format!("198.51.{}.{}", n / 200, n % 200), format!("2001:db8:8::{n:x}"));
        assert_eq!(guess(&kit, &format!("user-{n}"), address, &peer).await, Code::LoginFailed, "{n}");
    }
    let mut tried = 0;
    while guess(&kit, "user-x", "198.51.100.7".into(), "2001:db8:8:0:ffff::1").await == Code::LoginFailed {
        tried += 1;
    }
    assert_eq!(tried, rules.account_failures / 5, "the peer's counter is full");
}

/// Strangers who guess keep nobody from changing a password who has a session and knows the present one; and a session alone guesses no
/// more than strangers may.
#[tokio::test]
async fn a_signed_in_person_changes_their_password_while_strangers_guess() {
    let kit = behind_a_peer().await;
    let user = mia(&kit).await;
    let rules = &kit.app.config().throttle;
    for n in 0..rules.account_failures {
        guess(&kit, "mia", format!("198.51.100.{n}"), "").await;
    }
    fill_the_peer(&kit).await;
    assert_eq!(log_in(&kit, PASSWORD).await, Err(Code::Throttled));
    let change = async |present: &str, new: &str| {
        let kept = kit.read::<User>(&user).await.unwrap();
        let Actor::Human { sign_in, .. } = signed_in("mia@corp.example") else { panic!("a person") };
        let mia = Actor::Human { person: kept.person(), role: Role::Member, sign_in };
        let source = Source { address: "198.51.100.1".into(), peer: "10.0.0.1".into(), ..Source::default() };
        let call = Call { source, ..Call::by(mia, kit.app.new_trace()) };
        let change = ChangePassword { current_password: text(present), new_password: text(new) };
        kit.app.run(&call, &change).await.map(drop).map_err(|error| error.code())
    };
    assert_eq!(change(PASSWORD, OTHER).await, Ok(()));
    for _ in 0..rules.account_failures {
        assert_eq!(change(PASSWORD, "yet another one").await, Err(Code::InvalidInput));
    }
    assert_eq!(
        change(OTHER, "yet another one").await,
        Err(Code::Throttled),
        "who has found a session guesses no further"
    );
}

/// Whoever resets the password on the machine gets in, whoever guesses meanwhile.
#[tokio::test]
async fn a_lock_out_by_guesses_is_overcome_by_a_reset_on_the_machine() {
    let kit = Kit::staged().await;
    mia(&kit).await;
    let lock = async || {
        for n in 0..kit.app.config().throttle.account_failures {
            guess(&kit, "mia", format!("198.51.100.{n}"), "").await;
        }
    };
    lock().await;
    assert_eq!(log_in(&kit, PASSWORD).await, Err(Code::Throttled), "the right password alone does not help");
    crate::app::bootstrap::set_password(&kit.app, &"mia".parse().unwrap(), &text("a new good password")).await.unwrap();
    lock().await;
    assert_eq!(log_in(&kit, "a new good password").await, Ok(()));
    kit.pass(Duration::from_secs(901));
    lock().await;
    assert_eq!(log_in(&kit, "a new good password").await, Err(Code::Throttled), "for a while only");
}

#[tokio::test]
async fn failed_sign_ins_and_lock_outs_are_audited_and_fill_no_log() {
    let kit = Kit::staged().await;
    mia(&kit).await;
    let allowed = kit.app.config().throttle.account_failures;
    for _ in 0..allowed + 5 {
        guess(&kit, "mia", "198.51.100.7".into(), "10.0.0.1").await;
    }
    let (failed, locked) =
        (said(&kit, &AuditAction::SignInFailed).await, said(&kit, &AuditAction::SignInLockedOut).await);
    assert_eq!((failed.len(), locked.len()), (1, 1), "once in a window");
    let details = &failed[0].details;
    assert_eq!((details["source"].as_str(), details["peer"].as_str()), ("198.51.100.7", "10.0.0.1"));
    assert_eq!(details["account_digest"], locked[0].details["account_digest"], "one account is told from another");
    assert!(!format!("{failed:?}{locked:?}").contains("mia"), "nobody reads the name");
    kit.pass(Duration::from_secs(kit.app.config().throttle.window_secs));
    // A name that can be nobody's costs no hash, and is said as well: a flood of them is.
    for n in 0..300 {
        guess(&kit, &format!("no body {n}"), format!("198.51.{}.{}", n / 200, n % 200), "").await;
    }
    let failed = said(&kit, &AuditAction::SignInFailed).await;
    assert_eq!(failed.len(), 1 + 100 + 1, "a window is bounded, and says that there was more");
    assert_eq!(failed.iter().filter(|event| event.details.contains_key("more")).count(), 1);
}

/// A replica's clock that is ahead gives a session a later beginning than the change of password that ends it.
#[tokio::test]
async fn a_session_from_a_replica_whose_clock_is_ahead_ends_with_a_change_of_password() {
    use crate::{
        app::{
            bootstrap,
            people::{Accepts, Login, authenticate},
            testkit::{Stage, StoreFaults, boot},
        },
        ports::world::{ManualClock, SeededEntropy, World},
    };
    let kit = Kit::staged().await;
    mia(&kit).await;
    let ahead = Arc::new(ManualClock::at(kit.world.now().plus(Duration::from_secs(60))));
    let world = World::new(ahead, Arc::new(SeededEntropy::new(9)));
    let replica = boot(Arc::new(StoreFaults::on(&kit.memory)), &world, Arc::<Stage>::default()).await.unwrap();
    let login = Login { username: "mia".into(), password: text(PASSWORD) };
    let call = Call::anonymous(replica.new_trace(), Source::default());
    let session = replica.run(&call, &login).await.unwrap().token;
    for app in [&kit.app, &replica] {
        authenticate(app, &session, Accepts::People).await.unwrap();
    }
    bootstrap::set_password(&kit.app, &"mia".parse().unwrap(), &text(OTHER)).await.unwrap();
    for app in [&kit.app, &replica] {
        assert_eq!(authenticate(app, &session, Accepts::People).await.unwrap_err().code(), Code::BadCredential);
    }
}

/// Records of the version before name no generation: they are of the first, and what had ended stays ended.
#[tokio::test]
async fn sessions_of_the_version_before_go_on_unless_they_had_ended() {
    use crate::kernel::Timestamp;
    let kit = Kit::staged().await;
    let user = kit.read::<User>(&mia(&kit).await).await.unwrap().value;
    let session = |created_at: Timestamp| -> Session {
        serde_json::from_value(serde_json::json!({
            "id": "ses_00000000000000000000000001", "user": user.id, "hash": "", "created_at": created_at, "valid_until": created_at,
            "idle_secs": 60, "source": "", "agent": "",
        }))
        .unwrap()
    };
    let (before, after) = (user.credentials_from.minus(Duration::from_secs(1)), user.credentials_from);
    assert!(user.admits_session(&session(before)).is_err() && user.admits_session(&session(after)).is_ok());
    assert!(user.signed_out(after).admits_session(&session(after)).is_err());
}
