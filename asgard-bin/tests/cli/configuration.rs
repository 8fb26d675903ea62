//! Configurations that are refused, and what is said about those that are not.

use crate::program::Place;

#[test]
fn everything_wrong_is_said_with_its_line_and_nothing_starts() {
    let place = Place::new().with("ASGARD_BIND", "nowhere");
    place.write(
        "asgard.yaml",
        "groups:\n  - { key: platform, display_name: Platform }\nreviw:\n  poc_window_days: 90\nlog: { format: xml }\n",
    );
    for command in ["check", "show"] {
        let done = place.run(&["config", command, "--config", "asgard.yaml"]);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stdout.is_empty());
        for said in ["asgard.yaml:3: reviw: unknown key", "asgard.yaml:5: log.format", "ASGARD_BIND"] {
            assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        }
    }
    let done = place.run(&["serve", "--config", "asgard.yaml"]);
    assert!(done.code == 2 && done.stderr.contains("asgard.yaml:3: reviw"), "{done:?}");
    assert!(!place.path("asgard.db").exists(), "nothing was made");
}

#[test]
fn single_settings_are_refused_by_name() {
    for (name, value, said) in [
        ("ASGARD_LOG", "info,x=y=z", "ASGARD_LOG: log.filter: `info,x=y=z` is not a log filter"),
        ("ASGARD_SECRET_KEY", "abc", "ASGARD_SECRET_KEY: "),
        ("ASGARD_DATABASE_URL", "mysql://x", "ASGARD_DATABASE_URL: "),
        ("ASGARD_DATABASE_URL", "postgres://u:hunter2@h/d", "ASGARD_SECRET_KEY: needed with PostgreSQL"),
        ("ASGARD_CONFIG", "missing.yaml", "missing.yaml: cannot be read"),
    ] {
        for command in [&["config", "check"][..], &["serve"], &["keys", "status"]] {
            let done = Place::new().with(name, value).run(command);
            assert_eq!(done.code, 2, "{name}={value} {command:?}: {done:?}");
            assert!(done.stderr.contains(said) && !done.stderr.contains("hunter2"), "{name}={value}: {}", done.stderr);
        }
    }
}

#[test]
fn a_good_one_is_shown_with_origins_and_without_secrets() {
    let key = "5a".repeat(32);
    let place = Place::new()
        .with("ASGARD_SECRET_KEY", &key)
        .with("ASGARD_URL", "http://elsewhere")
        .with("ASGARD_TOKEN", "asg_pat_x")
        .with("ASGARD_BNID", "x");
    place.write("asgard.yaml", "server: { system_name: Acme }\n");
    let done = place.run(&["config", "check", "--config", "asgard.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("did you mean ASGARD_BIND"), "{}", done.stdout);
    assert!(!done.stdout.contains("ASGARD_URL") && !done.stdout.contains("ASGARD_TOKEN"), "the client's are known");
    assert!(done.stdout.contains("asgard.yaml and the environment can be used."));
    let done = place.run(&["config", "show", "--config", "asgard.yaml"]);
    assert!(done.stdout.contains("= Acme  # asgard.yaml:1"), "{}", done.stdout);
    assert!(!done.stdout.contains(&key));
    let page = std::fs::read_to_string(crate::program::repository("docs/configuration.md")).unwrap();
    assert_eq!(
        place.run(&["config", "reference"]).stdout.trim(),
        page.trim(),
        "docs/configuration.md is the reference"
    );
}
