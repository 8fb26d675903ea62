//! Master keys and data keys: changed while the server works, wrong ones refused.

use crate::job::{all, provide, text};
use asgard_tests::{Database, Site};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn status(site: &Site) -> Value {
    let output = site.run(&["keys", "status", "-o", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

fn key_of(fill: char) -> String {
    fill.to_string().repeat(64)
}

/// Rotation begins, writing goes on, secrets stay readable, and the master key is changed underneath without a gap.
#[test]
fn keys_change_while_the_server_works() {
    let mut site = Site::postgres().with("ASGARD_SECRET_KEY", &key_of('1')).armed();
    let server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Keys");
    let key = cast.key(&project);
    provide(&key, &cast.owner.session, "local-demo", "before", &json!({}));
    let before = text(&key.secret("local-demo.before.token", None).ok(), "value").to_owned();
    let data_keys = |site: &Site| status(site).as_array().expect("keys").len();
    assert_eq!(data_keys(&site), 1);

    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                cast.project(&format!("Written {written}"));
                assert_eq!(text(&key.secret("local-demo.before.token", None).ok(), "value"), before);
                written += 1;
            }
            written
        });
        let output = site.run(&["keys", "rotate"]);
        assert!(output.status.success(), "{}", said(&output));
        thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer")
    });
    assert!(written > 3, "only {written} writes while the keys were rotated");
    assert_eq!(data_keys(&site), 2, "{:#}", status(&site));
    assert_eq!(all(&cast.owner.session, "/api/projects").len(), written + 1);
    provide(&key, &cast.owner.session, "local-demo", "meanwhile", &json!({}));
    drop(server);

    // Another master key: first with the old one beside it, then the old wraps go, and then the old one opens nothing.
    site.set("ASGARD_SECRET_KEY", &key_of('2'));
    site.set("ASGARD_SECRET_KEY_PREVIOUS", &key_of('1'));
    let server = site.start();
    let key = key.at(server.base());
    assert_eq!(text(&key.secret("local-demo.before.token", None).ok(), "value"), before);
    site.set("ASGARD_SECRET_KEY_PREVIOUS", "");
    let output = site.run(&["keys", "drop-stale"]);
    assert!(output.status.success(), "{}", said(&output));
    drop(server);
    let server = site.start();
    let key = key.at(server.base());
    assert_eq!(text(&key.secret("local-demo.before.token", None).ok(), "value"), before);
    drop(server);
    site.set("ASGARD_SECRET_KEY", &key_of('1'));
    let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(!output.status.success(), "the old master key still opens the keys");
    site.assert_kept(&[before]);
}

#[test]
fn a_wrong_or_malformed_master_key_refuses_to_start() {
    let refused = |site: &Site, word: &str| {
        let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
        let said = said(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{word}: {:?} {said}", output.status);
        assert!(said.contains(word) && !said.contains("panicked"), "expected `{word}`: {said}");
        said
    };

    // PostgreSQL has no key of its own.
    let mut site = Site::postgres().with("ASGARD_SECRET_KEY", "");
    refused(&site, "ASGARD_SECRET_KEY");
    for wrong in ["short", &"g".repeat(64), &"0".repeat(63)] {
        site.set("ASGARD_SECRET_KEY", wrong);
        let said = refused(&site, "ASGARD_SECRET_KEY");
        assert!(!said.contains(&format!("`{wrong}`")), "a key is not shown, not even a wrong one: {said}");
        assert!(said.contains("64"), "it says what a key looks like: {said}");
    }
    site.set("ASGARD_SECRET_KEY", &key_of('a'));
    drop(site.start());
    site.set("ASGARD_SECRET_KEY", &key_of('b'));
    refused(&site, "master key");
    site.set("ASGARD_SECRET_KEY", &key_of('a'));
    drop(site.start());

    // SQLite makes one, closed to others, and says so each time.
    let site = Site::sqlite();
    for _ in 0..2 {
        let mut server = site.start();
        assert!(server.log_text().contains(".key"), "it says where the key is: {}", server.log_text());
        // One that is killed leaves writes in the log beside the file, and whoever opens it next moves them into the file.
        assert!(server.stop().success());
    }
    let Database::Sqlite(database) = site.database() else { unreachable!() };
    let key_files: Vec<_> = fs::read_dir(site.dir())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
        .collect();
    assert_eq!(key_files.len(), 1, "{key_files:?}");
    let file = &key_files[0];
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let right = fs::read(file).unwrap();
    let before = fs::read(database).unwrap();
    for wrong in ["", "not a key\n", &"f".repeat(63)] {
        fs::write(file, wrong).unwrap();
        refused(&site, &file.file_name().unwrap().to_string_lossy());
    }
    fs::write(file, key_of('c')).unwrap();
    refused(&site, "master key");
    // Gone altogether: a new one would lock every secret away for good.
    fs::remove_file(file).unwrap();
    refused(&site, "key");
    assert!(!file.exists(), "no new key is made over old secrets");
    assert_eq!(fs::read(database).unwrap(), before, "nothing was written meanwhile");
    fs::write(file, right).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    drop(site.start());
}
