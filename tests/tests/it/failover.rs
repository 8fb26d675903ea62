//! A PostgreSQL that is replaced by its standby.

use crate::faults::{behind_a_door, status};
use asgard_tests::{Database, Peers, Server, Site, eventually, eventually_within};
use sqlx::{Connection, PgConnection};
use std::{net::SocketAddr, time::Duration};

fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.rsplit_once('@').expect("a URL with a user");
    rest.split('/').next().expect("a URL with a database").parse().expect("an address")
}

/// Asks the standby something.
fn ask(url: &str, question: &'static str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut standby = PgConnection::connect(url).await.expect("the standby answers");
        sqlx::query_scalar(question).fetch_one(&mut standby).await.expect("it knows")
    })
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
