//! What was made can be removed, whatever has become of its service since.

use crate::job::{fulfilled, provide, request_id, runs, story, text, the_resource};
use asgard_tests::{Site, eventually, overlay};
use serde_json::json;
use std::fs;

/// One service has left the catalogue, of the other neither the inputs nor the files are what they were.
#[test]
fn a_resource_is_compared_and_removed_after_its_module_is_gone_or_broken() {
    let site = Site::sqlite().armed();
    let services = site.dir().join("services");
    overlay(&services, "gone-demo", &[]);
    overlay(&services, "broken-demo", &[]);
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let mut server = site.start();
    let cast = site.cast(&server);
    let (project, names) = (cast.project("Removed"), ["gone-demo", "broken-demo"]);
    let key = cast.key(&project);
    for name in names {
        provide(&key, &cast.owner.session, name, name, &json!({"seconds": 0, "monthly_usd": 2}));
    }
    assert!(server.stop().success());

    fs::remove_dir_all(services.join("gone-demo")).unwrap();
    let broken = services.join("broken-demo");
    fs::write(broken.join("main.tf"), "this { is not terraform\n").unwrap();
    let manifest = fs::read_to_string(broken.join("service.yaml")).unwrap();
    fs::write(broken.join("service.yaml"), manifest.replace("seconds", "moments")).unwrap();
    let server = site.start();
    let cast = cast.at(server.base());
    let (owner, key) = (&cast.owner.session, key.at(server.base()));
    assert_eq!(owner.get("/api/services/gone-demo").status, 404);
    for name in names {
        let resource = the_resource(owner, &project, name);
        let id = text(&resource, "resource_id").to_owned();
        let path = format!("/api/projects/{project}/resources/{id}");
        owner.post(&format!("{path}/refresh"), &json!({})).ok();
        eventually("it is compared", || {
            let refreshed = owner.get(&path).ok();
            refreshed["refreshed_at"].is_string().then_some(())
        });
        let asked = if name == "gone-demo" {
            key.tool("deprovision_resource", &json!({"resource_id": id})).ok()
        } else {
            owner.delete(&path).ok()
        };
        let over = fulfilled(owner, &request_id(&asked));
        assert_eq!(over["plan"]["delete"], 6, "{over:#}");
        let story = story(&runs(owner, &resource));
        assert_eq!(story.iter().filter(|run| run.ends_with(" succeeded")).count(), 5, "{story:?}");
        assert_eq!(story.last().map(String::as_str), Some("destroy succeeded"));
    }
    site.assert_no_orphans();
    site.assert_no_leftovers();
}
