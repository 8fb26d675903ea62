//! Ends that somebody asked for: a cancelled apply, one that takes too long, a server or a whole machine that is told to stop.

use crate::job::{
    ask, committed, fulfilled, log, pushed_through, request_id, running, runs, story, text, the_resource,
};
use asgard_tests::{Process, Site, eventually, overlay};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

#[test]
fn an_apply_can_be_cancelled_and_asked_for_again() {
    let site = Site::sqlite().armed();
    let server = site.start();
    let cast = site.cast(&server);
    let (owner, project) = (&cast.owner.session, cast.project("Cancelled"));
    let key = cast.key(&project);
    let asked = ask(&key, "local-demo", "slow", &json!({"seconds": 120, "monthly_usd": 2}));
    let (request, resource) = (request_id(&asked), asked["resource"].clone());
    running(owner, &resource, "apply");
    eventually("Terraform applies", || site.terraforms("apply").pop());
    let other = json!({"service": "local-demo", "name": "slow", "spec": {"seconds": 1}});
    let refused = key.tool("request_resource", &other);
    assert_eq!(refused.code(), "open-request", "a different spec meanwhile is a conflict");
    assert!(refused.content.to_string().contains(&request), "that names the open request");
    let same = ask(&key, "local-demo", "slow", &json!({"seconds": 120, "monthly_usd": 2}));
    assert_eq!((same["changed"].as_bool(), request_id(&same)), (Some(false), request.clone()));

    let start = Instant::now();
    let cancelled = key.tool("cancel_request", &json!({"request_id": request})).ok();
    assert_eq!((cancelled["cancel_requested"].as_bool(), text(&cancelled, "status")), (Some(true), "running"));
    let over = owner.settled(&request);
    assert_eq!(text(&over, "status"), "cancelled", "{over:#}");
    assert!(start.elapsed() < Duration::from_secs(40), "it took {:?}", start.elapsed());
    assert_eq!(story(&runs(owner, &resource)), ["plan succeeded", "apply cancelled"]);
    let after = the_resource(owner, &project, "slow");
    assert_eq!(text(&after, "status"), "failed");
    assert!(text(&after, "attention").contains("cancelled half-way"), "{after:#}");
    site.assert_no_orphans();
    site.assert_no_leftovers();
    owner.post(&format!("/api/requests/{request}/cancel"), &json!({})).refused(409, "wrong-state");

    // The rest of it, in no time. The token that existed stays the only one.
    let again = ask(&key, "local-demo", "slow", &json!({"seconds": 0, "monthly_usd": 2}));
    assert_eq!(text(&pushed_through(&cast, &request_id(&again)), "status"), "fulfilled");
    let after = the_resource(owner, &project, "slow");
    assert!(after["status"] == "provisioned" && after.get("attention").is_none(), "{after:#}");
    assert_eq!(committed(owner, &project), 2.0);
    let token = key.secret("local-demo.slow.token", None).ok();
    assert_eq!(token["version"], 1);
    site.assert_kept(&[text(&token, "value").to_owned()]);
}

#[test]
fn an_apply_that_takes_too_long_is_stopped() {
    let site = Site::sqlite().armed();
    let services = site.dir().join("services");
    overlay(&services, "hasty-demo", &[("timeout_secs: 4200", "timeout_secs: 10")]);
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let server = site.start();
    let cast = site.cast(&server);
    let (owner, project) = (&cast.owner.session, cast.project("Late"));
    let key = cast.key(&project);
    let start = Instant::now();
    let asked = ask(&key, "hasty-demo", "late", &json!({"seconds": 100}));
    let over = owner.settled(&request_id(&asked));
    assert_eq!(text(&over, "status"), "failed", "{over:#}");
    assert!((10..45).contains(&start.elapsed().as_secs()), "it took {:?}", start.elapsed());
    let runs = runs(owner, &asked["resource"]);
    assert_eq!(story(&runs), ["plan succeeded", "apply timed_out"]);
    assert!(text(&over, "error").contains("longer than its service allows"), "{over:#}");
    site.assert_no_orphans();
    site.assert_no_leftovers();
    let again = ask(&key, "hasty-demo", "late", &json!({"seconds": 0}));
    assert_eq!(text(&pushed_through(&cast, &request_id(&again)), "status"), "fulfilled");
}

#[test]
fn a_server_that_is_told_to_stop_leaves_its_run_alone() {
    let site = Site::postgres().armed();
    let mut server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Stopped");
    let key = cast.key(&project);
    let asked = ask(&key, "local-demo", "steady", &json!({"seconds": 4}));
    running(&cast.owner.session, &asked["resource"], "apply");
    eventually("Terraform applies", || site.terraforms("apply").pop());
    assert!(server.stop().success());
    let supervisors = site.supervisors();
    assert_eq!(supervisors.len(), 1, "the supervisor goes on without its server: {:?}", site.processes());
    eventually("the supervisor ends by itself", || site.processes().is_empty().then_some(()));

    let server = site.start();
    let cast = cast.at(server.base());
    fulfilled(&cast.owner.session, &request_id(&asked));
    let runs = runs(&cast.owner.session, &asked["resource"]);
    assert_eq!(story(&runs), ["plan succeeded", "apply succeeded"]);
    site.assert_no_leftovers();
}

/// As a service manager does it that stops a whole group: everybody gets SIGTERM, Terraform too.
#[test]
fn a_machine_that_is_told_to_stop_goes_on_afterwards() {
    let site = Site::sqlite().armed();
    let mut server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Rebooted");
    let key = cast.key(&project);
    let asked = ask(&key, "local-demo", "resumed", &json!({"seconds": 8}));
    running(&cast.owner.session, &asked["resource"], "apply");
    eventually("the first step is made", || {
        let apply = runs(&cast.owner.session, &asked["resource"]).pop()?;
        let told = log(&cast.owner.session, &apply);
        let made = |line: &Value| line["kind"] == "apply_complete" && line["address"] == "terraform_data.step_1";
        told.iter().any(made).then_some(())
    });
    // In the middle of the second. The log may be ahead of the state by a moment.
    sleep(Duration::from_millis(500));
    site.processes().iter().for_each(|process: &Process| {
        process.signal(Signal::TERM);
    });
    assert!(server.wait(Duration::from_secs(40)).success());
    eventually("everything has ended", || site.processes().is_empty().then_some(()));

    let server = site.start();
    let cast = cast.at(server.base());
    fulfilled(&cast.owner.session, &request_id(&asked));
    let runs = runs(&cast.owner.session, &asked["resource"]);
    assert_eq!(story(&runs), ["plan succeeded", "apply interrupted", "plan succeeded", "apply succeeded"]);
    let rest = runs[2]["plan"]["changes"].to_string();
    assert!(
        !rest.contains("terraform_data.token") && !rest.contains("step_1"),
        "what was made is not made again: {rest}"
    );
    site.assert_no_orphans();
    site.assert_no_leftovers();
}
