//! A database that is not there yet, and one that goes away and comes back.

use crate::{job::provide, proxy::Proxy};
use asgard_tests::{Client, Database, Server, Site, eventually, eventually_within};
use serde_json::json;
use std::{thread::sleep, time::Duration};

/// Puts a door between a site and its PostgreSQL.
pub fn behind_a_door(site: &mut Site) -> Proxy {
    let Database::Postgres { url, .. } = site.database() else { panic!("only PostgreSQL is behind a network") };
    let (before, rest) = url.rsplit_once('@').expect("a URL with a user");
    let (address, name) = rest.split_once('/').expect("a URL with a database");
    let proxy = Proxy::shut(address.parse().expect("an address"));
    let through = format!("{before}@127.0.0.1:{}/{name}", proxy.port());
    site.set("ASGARD_DATABASE_URL", &through);
    proxy
}

pub fn status(client: &Client, path: &str) -> u16 {
    client.try_get(path).map_or(0, |reply| reply.status)
}

#[test]
fn a_database_that_comes_late_or_goes_away_is_waited_for() {
    let mut site = Site::postgres();
    let mut door = behind_a_door(&mut site);
    let mut server = Server::launch(&site);
    let client = server.anonymous().clone();
    eventually("the server lives", || (status(&client, "/healthz") == 200).then_some(()));
    assert_eq!(status(&client, "/readyz"), 503, "there is no database yet");
    let early = client.get("/api/projects");
    assert!(early.status == 503 || early.status == 401, "{early:?}");
    sleep(Duration::from_secs(2));
    assert_eq!((status(&client, "/healthz"), status(&client, "/readyz")), (200, 503));
    door.open();
    assert!(server.comes_up(Duration::from_secs(30)), "{}", server.log_text());

    let cast = site.cast(&server);
    let project = cast.project("Before");
    let key = cast.key(&project);
    door.close();
    eventually("the loss is noticed", || (status(&client, "/readyz") == 503).then_some(()));
    assert_eq!(status(&client, "/healthz"), 200, "the process itself is well");
    let lost = cast.owner.session.get(&format!("/api/projects/{project}"));
    lost.refused(503, "store-unavailable");
    let lost = cast.owner.session.post(
        "/api/projects",
        &json!({
            "name": "Lost", "owner_email": cast.owner.email, "manager_email": cast.manager.email, "group": "platform",
        }),
    );
    lost.refused(503, "store-unavailable");
    assert!(server.is_alive());

    door.open();
    eventually_within(Duration::from_secs(30), "the server recovers", || {
        (status(&client, "/readyz") == 200).then_some(())
    });
    let listed = cast.owner.session.get("/api/projects").ok();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "what was refused has not happened: {listed:#}");
    provide(&key, &cast.owner.session, "local-demo", "after", &json!({}));
    assert!(server.stop().success());
}

#[test]
fn a_database_that_never_comes_ends_the_server() {
    let mut site = Site::postgres().yaml("database: { startup_wait_secs: 2 }\n");
    let _door = behind_a_door(&mut site);
    let mut server = Server::launch(&site);
    let exit = server.wait(Duration::from_secs(30));
    assert_eq!(exit.code(), Some(3), "unreachable: {}", server.log_text());
    let log = server.log_text();
    assert!(log.to_lowercase().contains("database") && !log.contains("panicked"), "{log}");
    let Database::Postgres { url, .. } = site.database() else { unreachable!() };
    let password = url.split(['@', ':']).nth(2).expect("a password");
    assert!(!log.contains(password), "the log shows the password");
}
