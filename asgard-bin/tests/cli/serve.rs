//! Starting, stopping and starting again.

use crate::program::{Place, password_in};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

#[test]
fn the_first_start_makes_an_admin_and_the_second_keeps_it() {
    let place = Place::new();
    let mut server = place.serve();
    assert_eq!(server.get("/healthz", None), (200, "ok".into()));
    assert_eq!(server.get("/readyz", None), (200, "ready".into()));
    assert_eq!(server.get("/api/projects", None).0, 401);
    let line = server.wait_for("password: ");
    assert!(line.contains("username: admin"), "{line}");
    let password = password_in(&line);
    assert!(password.len() >= 20, "{line}");
    assert!(server.login("admin", &password).is_ok());
    let log = server.log();
    assert!(log.contains("asgard.db.key") && log.contains("not armed"), "{log}");
    for file in ["asgard.db", "asgard.db.key"] {
        assert_eq!(fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    server.terminate();
    let log = server.log();
    assert!(log.contains("SIGTERM: no new requests") && log.trim_end().ends_with("Stopped."), "{log}");

    let mut server = place.serve();
    let log = server.log();
    assert!(!log.contains("password: "), "{log}");
    assert!(log.contains("asgard.db.key"), "the key file is named at every start: {log}");
    assert!(server.login("admin", &password).is_ok());
    server.terminate();
}

/// What a container's health check runs: it finds the server by the same configuration, whatever else that lacks.
#[test]
fn health_follows_the_configured_address() {
    let place = Place::new();
    let mut server = place.serve();
    let port: u16 = server.url().rsplit(':').next().unwrap().parse().unwrap();
    let beside = |address: String| {
        Place::new()
            .with("ASGARD_BIND", &address)
            .with("ASGARD_DATABASE_URL_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf")
            .with("HTTP_PROXY", "http://127.0.0.1:1")
    };
    for address in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        for (args, said) in [(&["health"][..], "ready\n"), (&["health", "--live"], "alive\n")] {
            let done = beside(address.clone()).run(args);
            assert_eq!((done.code, done.stdout.as_str()), (0, said), "{address}: {}", done.stderr);
        }
    }
    server.terminate();
    let gone = beside(format!("127.0.0.1:{port}")).run(&["health"]);
    assert!(gone.code == 3 && gone.stderr.contains("no server answers"), "{}", gone.stderr);

    // Up, and not able to work.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 2048];
        let count = stream.read(&mut asked).unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 7\r\n\r\nno base").unwrap();
        String::from_utf8_lossy(&asked[..count]).into_owned()
    });
    let unready = beside(busy.to_string()).run(&["health"]);
    assert!(answering.join().unwrap().starts_with("GET /readyz "));
    assert!(
        unready.code == 1 && unready.stderr.contains("503") && unready.stderr.contains("no base"),
        "{}",
        unready.stderr
    );
}

#[test]
fn a_configured_password_wins_and_ends_sessions() {
    let place = Place::new().with("ASGARD_ADMIN_USER", "root").with("ASGARD_ADMIN_PASSWORD", "the first password");
    let mut server = place.serve();
    assert!(server.log().contains("Made the first admin, root") && !server.log().contains("password: "));
    let session = server.login("root", "the first password").unwrap();
    server.terminate();

    let mut server = place.serve();
    assert_eq!(server.get("/api/auth/me", Some(&session)).0, 200, "the same password changes nothing");
    server.terminate();

    let place = place.with("ASGARD_ADMIN_PASSWORD", "the second password");
    let mut server = place.serve();
    assert!(server.log().contains("it was reset"), "{}", server.log());
    assert_eq!(server.get("/api/auth/me", Some(&session)).0, 401);
    assert_eq!(server.login("root", "the first password"), Err(401));
    assert!(server.login("root", "the second password").is_ok());
    assert!(!server.log().contains("second password"));
    server.terminate();
}

/// Sends the head of a request, and waits until the server asks for its body: from then on it is under way.
fn begin(stream: &mut TcpStream, head: &str) {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; GO_ON.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, GO_ON, "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_request_under_way_is_finished_and_a_second_signal_does_not_wait() {
    let place = Place::new();
    let mut server = place.serve();
    let address = server.url().replace("http://", "");
    let mut slow = TcpStream::connect(&address).unwrap();
    // A body that is on its way when the signal comes.
    let body = br#"{"username":"admin","password":"wrong"}"#;
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    begin(&mut slow, &head);
    server.signal(Signal::TERM);
    server.wait_for("no new requests");
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < until, "it still accepts");
        std::thread::sleep(Duration::from_millis(10));
    }
    slow.write_all(body).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(server.ended().success(), "{}", server.log());

    let mut server = place.serve();
    let mut hanging = TcpStream::connect(server.url().replace("http://", "")).unwrap();
    begin(&mut hanging, &head);
    server.signal(Signal::INT);
    server.wait_for("no new requests");
    std::thread::sleep(Duration::from_millis(700));
    let asked = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.ended().code(), Some(130), "{}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn it_answers_before_its_database_does() {
    let place = Place::new()
        .with("ASGARD_DATABASE_URL", "postgres://asgard:hunter2@127.0.0.1:1/asgard")
        .with("ASGARD_SECRET_KEY", &"c3".repeat(32));
    place.write("asgard.yaml", "database: { startup_wait_secs: 6 }\n");
    let mut server = place.start_with(&["serve", "--bind", "127.0.0.1:0", "--config", "asgard.yaml"]);
    server.wait_for("cannot be used yet");
    assert_eq!(server.get("/healthz", None), (200, "ok".into()));
    assert_eq!(server.get("/readyz", None).0, 503);
    assert_eq!(server.get("/api/projects", None).0, 503);
    let status = server.ended();
    assert_eq!(status.code(), Some(3), "{}", server.log());
    assert!(server.log().contains("127.0.0.1:1") && !server.log().contains("hunter2"), "{}", server.log());
}

#[test]
fn what_cannot_be_served_from_is_refused() {
    let place = Place::new();
    place.serve().terminate();
    let whole = fs::read(place.path("asgard.db")).unwrap();
    fs::write(place.path("asgard.db"), &whole[..whole.len() / 3]).unwrap();
    fs::remove_file(place.path("asgard.db-wal")).unwrap_or_default();
    let done = place.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(done.code == 2 && done.stderr.contains("The SQLite file asgard.db cannot be used"), "{done:?}");

    fs::write(place.path("asgard.db"), &whole).unwrap();
    let other = place.with("ASGARD_SECRET_KEY", &"d4".repeat(32));
    let done = other.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(done.code == 2 && done.stderr.contains("The master key is wrong"), "{done:?}");
    let place = other.with("ASGARD_SECRET_KEY", "");
    fs::remove_file(place.path("asgard.db.key")).unwrap();
    let done = place.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(done.code == 2 && done.stderr.contains("asgard.db.key is missing"), "{done:?}");
    assert!(!place.path("asgard.db.key").exists(), "no other key is made");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = Place::new().run(&["serve", "--bind", &address]);
    assert!(
        done.code == 1 && done.stderr.contains("cannot be listened on") && done.stderr.contains("--bind"),
        "{done:?}"
    );
}

#[test]
fn the_log_for_machines_is_one_object_a_line_and_keeps_the_password() {
    let place = Place::new().with("ASGARD_LOG_FORMAT", "json").with("ASGARD_LOG", "error");
    let mut server = place.start();
    let line = server.wait_for("password: ");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line["message"].as_str().unwrap().contains("username: admin password: "), "{line}");
    server.terminate();
    let place = place.with("ASGARD_LOG", "info");
    let mut server = place.serve();
    server.terminate();
    for line in server.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field} of {line}");
        }
    }
    let done = place.with("ASGARD_SECRET_KEY", &"e5".repeat(32)).run(&["serve", "--bind", "127.0.0.1:0"]);
    let last: serde_json::Value = serde_json::from_str(done.stderr.lines().last().unwrap()).unwrap();
    assert!(last["level"] == "ERROR" && last["message"].as_str().unwrap().contains("master key is wrong"), "{last}");
}

#[test]
fn sign_in_is_switched_off_only_loudly_and_on_loopback() {
    let place = Place::new().with("ASGARD_DEV_INSECURE", "1");
    let mut server = place.serve();
    assert!(server.log().contains("NOBODY HAS TO SIGN IN"), "{}", server.log());
    assert_eq!(server.get("/api/projects", None).0, 200);
    server.terminate();
    let mut server = place.start_with(&["serve", "--bind", "0.0.0.0:0"]);
    server.wait_for("is ready at");
    assert!(server.log().contains("ASGARD_DEV_INSECURE is ignored"), "{}", server.log());
    server.terminate();
}

#[test]
fn a_worker_works_beside_the_server_and_stops_likewise() {
    let place = Place::new();
    place.serve().terminate();
    let mut worker = place.start_with(&["worker"]);
    worker.wait_for("Nothing listens here");
    worker.terminate();
    assert!(worker.log().trim_end().ends_with("Stopped."), "{}", worker.log());
}

/// What a process that may not be looked into has in /proc belongs to root, whoever runs it.
#[cfg(target_os = "linux")]
#[test]
fn the_process_is_closed_to_others_of_its_user() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let mut server = place.serve_as_nobody_if_root();
    let facts = |file: &str| fs::metadata(format!("/proc/{}/{file}", server.pid())).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next().unwrap();
    assert_ne!(user, "0", "the test needs a process that is not root's");
    assert_eq!(facts("environ").uid(), 0);
    assert_eq!(facts("mem").uid(), 0);
    server.terminate();
}
