//! The help texts, as people see them. A change of a flag or a name shows up here.

use crate::program::Place;

#[test]
fn help_texts() {
    let place = Place::new();
    let commands: &[&[&str]] = &[
        &[],
        &["serve"],
        &["migrate"],
        &["config"],
        &["keys"],
        &["keys", "rotate"],
        &["keys", "drop-stale"],
        &["admin"],
        &["admin", "create-user"],
        &["admin", "reset-password"],
        &["validate"],
        &["health"],
        &["worker"],
        &["run"],
        &["tools"],
        &["call"],
        &["completions"],
    ];
    let mut all = String::new();
    for command in commands {
        let mut args = command.to_vec();
        args.push("--help");
        let done = place.run(&args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        all.push_str(&format!("$ asgard {}\n{}\n", args.join(" "), done.stdout));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_wrong_command_line_exits_with_2_and_completions_are_scripts() {
    let place = Place::new();
    for args in [
        &["serv"][..],
        &["serve", "--bnd", "x"],
        &["run", "not-an-id"],
        &["call"],
        &["admin", "create-user", "x", "--email", "nobody"],
    ] {
        let done = place.run(args);
        assert_eq!(done.code, 2, "{args:?}: {done:?}");
        assert!(done.stderr.starts_with("error: "), "{args:?}: {}", done.stderr);
    }
    assert!(place.run(&["run", "not-an-id"]).stderr.contains("run_"), "it says what an id looks like");
    for shell in ["bash", "zsh", "fish"] {
        let done = place.run(&["completions", shell]);
        assert!(done.code == 0 && done.stdout.contains("reset-password"), "{shell}: {done:?}");
    }
}
