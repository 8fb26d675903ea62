//! A PostgreSQL that is replaced by its standby.

use crate::{
    faults::{behind_a_door, status},
    proxy::Proxy,
};
use asgard_tests::{Database, Peers, Server, Site, eventually, eventually_within};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.rsplit_once('@').expect("a URL with a user");
    rest.split('/').next().expect("a URL with a database").parse().expect("an address")
}

fn on<T>(url: &str, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut server = PgConnection::connect(url).await.expect("the server answers");
        work(&mut server).await.expect("it knows")
    })
}

/// Asks a server something.
fn ask(url: &str, question: &'static str) -> bool {
    on(url, async |server| sqlx::query_scalar(question).fetch_one(server).await)
}

fn value(url: &str, question: &str) -> String {
    on(url, async |server| sqlx::query_scalar(sqlx::AssertSqlSafe(question)).fetch_one(server).await)
}

fn tell(url: &str, statement: &'static str) {
    on(url, async |server| server.execute(sqlx::raw_sql(statement)).await.map(|_| ()));
}

/// Its name leads to the standby, as after a switch in DNS, before that is a primary.
#[test]
fn a_standby_is_never_read_from_and_serves_once_it_is_promoted() {
    let standby = &Peers::get().standby_url;
    assert!(ask(standby, "SELECT pg_is_in_recovery()"), "an earlier run promoted it: start the peers again");
    let mut site = Site::postgres();
    let mut door = behind_a_door(&mut site);
    door.open();
    let mut server = Server::launch(&site);
    assert!(server.comes_up(Duration::from_secs(30)), "{}", server.log_text());
    let client = server.anonymous().clone();
    let cast = site.cast(&server);
    let project = cast.project("Before");

    door.lead_to(address(standby));
    eventually("the loss is noticed", || (status(&client, "/readyz") == 503).then_some(()));
    for _ in 0..3 {
        let read = cast.owner.session.get(&format!("/api/projects/{project}"));
        read.refused(503, "store-unavailable");
    }

    assert!(ask(standby, "SELECT pg_promote(true, 30)"), "it can be promoted");
    eventually_within(Duration::from_secs(10), "the server goes on", || {
        (status(&client, "/readyz") == 200).then_some(())
    });
    cast.owner.session.get(&format!("/api/projects/{project}")).ok();
    cast.project("After");
    assert!(server.stop().success());
}

/// A switch as a managed service does it, in the middle of work: the old primary takes no more writes and keeps its connections,
/// the standby has everything and becomes the primary, and the name leads there.
#[test]
fn a_failover_in_the_middle_of_load_loses_and_doubles_nothing_and_writes_within_ten_seconds() {
    let (primary, standby) = (&Peers::get().pair_primary_url, &Peers::get().pair_standby_url);
    assert!(ask(standby, "SELECT pg_is_in_recovery()"), "an earlier run promoted it: start the peers again");
    let mut site = Site::postgres();
    let mut door = Proxy::shut(address(primary));
    let through = primary.replace(&address(primary).to_string(), &format!("127.0.0.1:{}", door.port()));
    site.set("ASGARD_DATABASE_URL", &through);
    door.open();
    let server = site.start();
    let client = server.anonymous().clone();
    let cast = site.cast(&server);

    let register = |number: usize, worker: usize| {
        let name = format!("Load {worker}-{number}");
        let key = format!("load-{worker}-{number}");
        let body = json!({
            "name": name, "owner_email": cast.owner.email, "manager_email": cast.manager.email, "group": "platform",
        });
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        // The same call again until it is answered, as clients do.
        loop {
            let reply =
                cast.owner.session.try_send("POST", "/api/projects", &headers, Some(body.to_string().as_bytes()));
            match reply {
                Some(reply) if reply.status == 201 || reply.status == 200 => return name,
                Some(reply) => assert!(matches!(reply.status, 503 | 409 | 429), "{reply:?}"),
                None => {}
            }
            sleep(Duration::from_millis(100));
        }
    };
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let made: Vec<(String, Instant)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (stop, register) = (&stop, &register);
                scope.spawn(move || {
                    let mut made = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        made.push((register(made.len(), worker), Instant::now()));
                    }
                    made
                })
            })
            .collect();
        sleep(Duration::from_secs(3));
        tell(primary, "ALTER SYSTEM SET default_transaction_read_only = on");
        assert!(ask(primary, "SELECT pg_reload_conf()"));
        eventually_within(Duration::from_secs(5), "the loss of the primary is noticed", || {
            (status(&client, "/readyz") == 503).then_some(())
        });
        // A transaction that had begun before may still have been writing.
        let last: String = value(primary, "SELECT pg_current_wal_lsn()::text");
        eventually("the standby has everything", || {
            let caught_up: String = value(standby, &format!("SELECT (pg_last_wal_replay_lsn() >= '{last}')::text"));
            (caught_up == "true").then_some(())
        });
        door.lead_newcomers_to(address(standby));
        assert!(ask(standby, "SELECT pg_promote(true, 30)"), "it can be promoted");
        let promoted = Instant::now();
        eventually_within(Duration::from_secs(10), "the server is ready", || {
            (status(&client, "/readyz") == 200).then_some(())
        });
        let first = register(0, 99);
        assert!(promoted.elapsed() < Duration::from_secs(10), "{first} came {:?} after promotion", promoted.elapsed());
        sleep(Duration::from_secs(2));
        stop.store(true, Ordering::SeqCst);
        let mut made: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().expect("its work")).collect();
        made.push((first, Instant::now()));
        made
    });
    assert!(made.len() > 20, "{} in {:?}", made.len(), begun.elapsed());
    let rows: String =
        value(standby, "SELECT coalesce(string_agg(body::jsonb ->> 'name', '|' ORDER BY id), '') FROM project");
    let mut there: Vec<&str> = rows.split('|').filter(|name| name.starts_with("Load ")).collect();
    let mut answered: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    there.sort_unstable();
    answered.sort_unstable();
    assert_eq!(there, answered, "what was answered is there, once");
}

/// A pooler in transaction mode ends the start, in one sentence that says what to change.
#[test]
fn a_server_behind_a_pooler_in_transaction_mode_is_refused_at_the_start() {
    let mut site = Site::postgres();
    let Database::Postgres { name, .. } = site.database() else { panic!("a PostgreSQL was asked for") };
    let (pooler, _) = Peers::get().transaction_pooler_url.rsplit_once('/').expect("a URL with a database");
    let url = format!("{pooler}/{name}");
    site.set("ASGARD_DATABASE_URL", &url);
    let mut server = Server::launch(&site);
    let exit = server.wait(Duration::from_secs(30));
    assert_eq!(exit.code(), Some(2), "{}", server.log_text());
    assert!(server.log_text().contains("pool_mode = session"), "{}", server.log_text());
}

/// A start on a standby says so, in one sentence.
#[test]
fn a_server_that_takes_no_writes_is_refused_at_the_start() {
    let mut site = Site::postgres().yaml("database: { startup_wait_secs: 2 }\n");
    let Database::Postgres { url, .. } = site.database() else { panic!("a PostgreSQL was asked for") };
    // Like a primary that is being replaced, and unlike a standby this one can be had in every test.
    let read_only = format!("{url}?options=-c%20default_transaction_read_only%3Don");
    site.set("ASGARD_DATABASE_URL", &read_only);
    let mut server = Server::launch(&site);
    let exit = server.wait(Duration::from_secs(30));
    assert_eq!(exit.code(), Some(3), "{}", server.log_text());
    assert!(server.log_text().contains("takes no writes"), "{}", server.log_text());
}
