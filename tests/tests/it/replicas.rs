//! Two servers on one PostgreSQL.

use crate::job::{ask, committed, fulfilled, request_id, runs, story, text};
use asgard_tests::{Client, Site, eventually};
use serde_json::{Value, json};
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

#[test]
fn fifty_racing_approvals_make_one_run() {
    let site = Site::postgres().armed();
    let (one, two) = (site.start(), site.start());
    let cast = site.cast(&one);
    let project = cast.project("Raced");
    let key = cast.key(&project);
    let asked = ask(&key, "local-demo", "raced", &json!({"approval": "human", "monthly_usd": 3}));
    let request = request_id(&asked);
    assert_eq!(text(&cast.owner.session.settled(&request), "status"), "pending");

    // The manager and the admin, at both servers, by REST and by MCP, all at once.
    let start = Barrier::new(50);
    let rest = |who: &Client| who.post(&format!("/api/requests/{request}/approve"), &json!({})).status;
    let tool = |who: &Client| match who.tool("approve_request", &json!({"request_id": request})) {
        tool if tool.failed => {
            assert_eq!(tool.code(), "wrong-state");
            409
        }
        _ => 200,
    };
    let answers: Vec<u16> = thread::scope(|scope| {
        let racers: Vec<_> = (0..50)
            .map(|number| {
                let base = if number % 2 == 0 { one.base() } else { two.base() };
                let person = if number % 3 == 0 { &cast.admin } else { &cast.manager };
                let (session, pat) = (person.session.at(base), person.pat.at(base));
                let start = &start;
                let (rest, tool) = (&rest, &tool);
                scope.spawn(move || {
                    start.wait();
                    if number % 5 == 0 { tool(&pat) } else { rest(&session) }
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("an answer")).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 200 | 409)), "{answers:?}");
    fulfilled(&cast.owner.session.at(two.base()), &request);
    let runs = runs(&cast.owner.session, &asked["resource"]);
    assert_eq!(story(&runs), ["plan succeeded", "apply succeeded"]);
    assert_eq!(runs[1]["attempts"], 1);
    assert_eq!(committed(&cast.owner.session, &project), 3.0);
    let audit = cast.admin.session.get(&format!("/api/audit?project_id={project}&action=request.approved")).ok();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "{audit:#}");

    same_request_from_everywhere(&cast.owner.session, &key, &project, [one.base(), two.base()]);
    site.assert_no_orphans();
}

/// Twenty agents who ask for the same thing at once get one request and one resource.
fn same_request_from_everywhere(owner: &Client, key: &Client, project: &str, bases: [&str; 2]) {
    let start = Barrier::new(20);
    let answers: Vec<Value> = thread::scope(|scope| {
        let racers: Vec<_> = (0..20)
            .map(|number| {
                let (key, start) = (key.at(bases[number % 2]), &start);
                scope.spawn(move || {
                    start.wait();
                    ask(&key, "random-secret", "shared", &json!({"length": 24}))
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("an answer")).collect()
    });
    let ids: std::collections::BTreeSet<String> = answers.iter().map(request_id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(answers.iter().filter(|answer| answer["changed"] == true).count(), 1);
    fulfilled(owner, ids.first().expect("one"));
    crate::job::the_resource(owner, project, "shared");
}

/// A replica dies in the middle of its work: jobs claimed, leases held. The other one takes them over.
#[test]
fn a_dead_replica_is_replaced() {
    let site = Site::postgres();
    let (mut one, two) = (site.start(), site.start());
    let cast = site.cast(&one);
    let project = cast.project("Replaced");
    let key = cast.key(&project);
    let there = cast.owner.session.at(two.base());
    // Runs only: the loops' leases are the living replica's as well.
    let held = || {
        let holder = "body::jsonb ->> 'holder'";
        let query =
            format!("SELECT id || ' ' || ({holder}) FROM lease WHERE id LIKE 'resource/%' AND {holder} IS NOT NULL");
        site.database().rows(&query).unwrap()
    };
    let mut requests = Vec::new();
    // Until it dies with something in its hands. A dry run is short, so it is given many.
    let left = (0..20)
        .find_map(|round| {
            let key = key.at(one.base());
            let more: Vec<String> = thread::scope(|scope| {
                let askers: Vec<_> = (0..24)
                    .map(|number| {
                        let key = key.clone();
                        scope.spawn(move || {
                            request_id(&ask(&key, "local-demo", &format!("job-{round}-{number}"), &json!({})))
                        })
                    })
                    .collect();
                askers.into_iter().map(|asker| asker.join().expect("an answer")).collect()
            });
            requests.extend(more);
            // As soon as a lease is seen: whoever works at it may be the one that dies.
            (0..100).any(|_| !held().is_empty());
            one.kill();
            let mut left = held();
            // What the living replica does takes milliseconds; what is held after a while was the dead one's.
            thread::sleep(Duration::from_secs(2));
            let still = held();
            left.retain(|lease| still.contains(lease));
            if left.is_empty() {
                one = site.start();
                return None;
            }
            Some(left)
        })
        .expect("it died with a lease in its hands");
    let start = Instant::now();
    for request in &requests {
        let over = there.settled_within(Duration::from_secs(100), request);
        assert_eq!(over["status"], "fulfilled", "{over:#}");
    }
    // A job's claim lasts 60 seconds, a run's lease 20 in a process that serves; what they held is then done.
    assert!(start.elapsed() < Duration::from_secs(90), "it took {:?} to replace {left:?}", start.elapsed());
    for resource in crate::job::all(&there, &format!("/api/projects/{project}/resources")) {
        let story = story(&runs(&there, &resource));
        assert_eq!(story.iter().filter(|run| *run == "apply succeeded").count(), 1, "{story:?}");
    }
    eventually("no lease of a run is held", || held().is_empty().then_some(()));
}

/// Sessions, their end, and the count of failed sign-ins are the same at every replica.
#[test]
fn replicas_share_sessions_and_throttling() {
    let site = Site::postgres().yaml("people: { throttle: { account_failures: 6, window_secs: 3600 } }\n");
    let (one, two) = (site.start(), site.start());
    let cast = site.cast(&one);
    let there = cast.owner.session.at(two.base());
    assert_eq!(there.get("/api/auth/me").ok()["user"]["email"], cast.owner.email.as_str());
    there.post("/api/auth/logout", &json!({})).ok();
    cast.owner.session.get("/api/auth/me").refused(401, "bad-credential");

    let guess = |base: &str, password: &str| {
        let guess = json!({"username": "manager", "password": password});
        one.anonymous().at(base).post("/api/auth/login", &guess)
    };
    asgard_tests::with_a_window_ahead(3600);
    for number in 0..6 {
        guess(if number % 2 == 0 { one.base() } else { two.base() }, "not the password").refused(401, "login-failed");
    }
    for base in [one.base(), two.base()] {
        let refused = guess(base, asgard_tests::PASSWORD);
        refused.refused(429, "throttled");
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|secs| secs > 0), "{refused:?}");
    }
    // Somebody else, from the same address, is not locked out with them.
    let other = json!({"username": "stranger", "password": asgard_tests::PASSWORD});
    two.anonymous().post("/api/auth/login", &other).ok();
}
