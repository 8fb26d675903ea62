//! Whose address is whose, and what a change of it moves.

use super::*;
use crate::kernel::id::TimeOrdered;

fn email(name: &str) -> Email {
    format!("{name}@corp.example").parse().unwrap()
}

fn issuer() -> (Issuer, IssuerSubject) {
    ("https://idp.example".parse().unwrap(), "00u1".parse().unwrap())
}

pub(super) fn user() -> User {
    let (issuer, subject) = issuer();
    let at = Timestamp::from_millis(0);
    User {
        id: UserId::build(at, [1; 10]),
        username: "ann".parse().unwrap(),
        email: email("ann"),
        identities: vec![Identity { issuer, subject, email: Some(email("ann")), verified: true }],
        former: Vec::new(),
        pending: Vec::new(),
        binding: None,
        role: Role::Member,
        active: true,
        password: None,
        password_set_by: None,
        generation: Generation::FIRST,
        credentials_from: at,
        unlocked_until: None,
        created_at: at,
        signed_in_at: None,
    }
}

#[test]
fn the_key_of_an_identity_is_issuer_and_subject_and_nothing_can_be_moved_between_them() {
    let claim = |issuer: &str, subject: &str| Identity::claim(&issuer.parse().unwrap(), &subject.parse().unwrap());
    assert_ne!(claim("ab", "c"), claim("a", "bc"));
    assert_ne!(claim("https://a", "Ann"), claim("https://a", "ann"), "subjects are compared byte by byte");
    assert_eq!(claim("local", "ann"), User::username_claim(&"ann".parse().unwrap()));
    assert!(claim("https://a", "ann").is_ascii());
}

#[test]
fn an_address_that_was_left_stays_bound_and_the_new_one_is_shown() {
    let (issuer, subject) = issuer();
    let now = Timestamp::from_millis(7);
    let moved = user().moved(&issuer, &subject, &email("ann.new"), now);
    assert_eq!((&moved.email, moved.former.len()), (&email("ann.new"), 1));
    assert!(moved.has(&email("ann")) && moved.has(&email("ann.new")));
    assert_eq!(moved.bound(&Party::Address(email("ann"))), Some(moved.party()));
    assert_eq!(moved.bound(&Party::User { id: moved.id.clone(), email: email("ann") }), Some(moved.party()));
    assert_eq!(moved.bound(&moved.party()), None, "it says so already");
    let somebody = Party::User { id: UserId::build(now, [9; 10]), email: email("ann") };
    assert_eq!(moved.bound(&somebody), None, "another account's, whatever address is shown");
    let back = moved.moved(&issuer, &subject, &email("ann"), now);
    assert_eq!(
        (back.email, back.former.iter().map(|former| &former.email).collect::<Vec<_>>()),
        (email("ann"), vec![&email("ann.new")])
    );
}

#[test]
fn an_address_that_nobody_verified_gives_nothing() {
    let mut user = user();
    user.identities[0].verified = false;
    assert!(!user.has(&email("ann")) && user.person().addresses().is_empty());
    assert_eq!(user.bound(&Party::Address(email("ann"))), None);
}
