//! What an operator does beside the server.

use crate::program::{Place, password_in};
use std::fs;

#[test]
fn a_database_is_migrated_checked_and_never_made_by_accident() {
    let place = Place::new();
    for command in [&["keys", "status"][..], &["migrate", "--check"], &["admin", "reset-password", "admin"]] {
        let done = place.run(command);
        assert!(done.code == 2 && done.stderr.contains("There is no database file asgard.db"), "{command:?}: {done:?}");
    }
    assert!(!place.path("asgard.db").exists());
    let done = place.run(&["migrate"]);
    assert!(done.code == 0 && done.stdout.contains("up to date"), "{done:?}");
    assert_eq!(place.run(&["migrate", "--check"]).code, 0);
    fs::write(place.path("asgard.db"), b"not a database, but long enough to look like a file of some kind").unwrap();
    let done = place.run(&["migrate", "--check"]);
    assert!(done.code == 2 && done.stderr.contains("asgard.db cannot be used"), "{done:?}");
}

#[test]
fn keys_are_listed_and_rotated_and_only_the_right_master_opens_them() {
    let (first, second) = ("a1".repeat(32), "b2".repeat(32));
    let place = Place::new().with("ASGARD_SECRET_KEY", &first);
    assert_eq!(place.run(&["migrate"]).code, 0);
    let done = place.run(&["keys", "status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(status[0]["state"], "active", "{done:?}");
    let done = place.run(&["keys", "rotate"]);
    assert!(done.code == 0 && done.stdout.contains("has begun"), "{done:?}");
    assert!(place.run(&["keys", "rotate"]).stdout.contains("under way already"));
    assert!(place.run(&["keys", "status"]).stdout.contains("readable"));

    let place = place.with("ASGARD_SECRET_KEY", &second);
    let done = place.run(&["keys", "status"]);
    assert!(done.code == 2 && done.stderr.contains("The master key is wrong"), "{done:?}");
    let place = place.with("ASGARD_SECRET_KEY_PREVIOUS", &first);
    assert_eq!(place.run(&["keys", "status"]).code, 0);
    let place = place.with("ASGARD_SECRET_KEY_PREVIOUS", "");
    let done = place.run(&["keys", "drop-stale"]);
    assert!(done.code == 0 && done.stdout.contains("Forgot 2 wraps"), "{done:?}");
    let place = place.with("ASGARD_SECRET_KEY", &first);
    assert_eq!(place.run(&["keys", "status"]).code, 2, "the old master key opens nothing any more");
}

#[test]
fn accounts_are_made_and_passwords_reset_without_the_password_on_a_command_line() {
    let place = Place::new();
    let mut server = place.serve();
    let done = place.run(&["admin", "create-user", "bob", "--email", "bob@corp.example"]);
    assert_eq!(done.code, 0, "{done:?}");
    let generated = password_in(&done.stdout);
    let session = server.login("bob", &generated).unwrap();

    let done = place.run_with(&["admin", "reset-password", "bob", "--password-stdin"], "correct horse battery\n");
    assert!(done.code == 0 && !done.stdout.contains("correct horse"), "{done:?}");
    assert_eq!(server.get("/api/auth/me", Some(&session)).0, 401, "the session is over");
    assert!(server.login("bob", "correct horse battery").is_ok());

    for (args, input, code, said) in [
        (&["admin", "create-user", "bob", "--email", "b2@corp.example"][..], "", 1, "has this username already"),
        (&["admin", "reset-password", "nobody"], "", 1, "username: There is no such user"),
        (&["admin", "reset-password", "bob", "--password-stdin"], "short\n", 2, "12 to 200 characters"),
        (&["admin", "reset-password", "bob", "--password-stdin"], "", 2, "holds no password"),
    ] {
        let done = place.run_with(args, input);
        assert!(done.code == code && done.stderr.contains(said), "{args:?}: {done:?}");
    }
}
#[test]
fn a_run_that_cannot_be_supervised_is_said_so() {
    let place = Place::new();
    let unknown = "run_01hzzzzzzzzzzzzzzzzzzzzzzz";
    let done = place.run(&["run", unknown]);
    assert!(done.code == 2 && done.stderr.contains("not armed"), "{done:?}");
    let place = place.with("ASGARD_TF_MODULES_DIR", crate::program::repository("modules").to_str().unwrap());
    assert_eq!(place.run(&["migrate"]).code, 0);
    let lost = Place::new().with("ASGARD_TF_MODULES_DIR", "/nowhere/modules").run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(lost.code == 2 && lost.stderr.contains("ASGARD_TF_MODULES_DIR"), "the setting is named: {lost:?}");
    let done = place.run(&["run", unknown]);
    assert!(done.code == 1 && done.stderr.contains("There is no such run"), "{done:?}");
}
