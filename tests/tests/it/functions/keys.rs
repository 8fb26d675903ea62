//! Keys that change while the functions work: some environments know the new ones and some do not yet, and each new one finds
//! everything as the others left it.

use super::*;
use asgard_tests::{Aws, FUNCTIONS, Site};

/// What a command of the operator's printed.
fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The data keys, as an operator sees them.
fn status(scene: &Scene) -> Vec<Value> {
    let printed = said(scene.functions.site(), &["keys", "status", "-o", "json"]);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What every environment has to be able to do: read what was sealed before, and open what another one sealed.
fn assert_all_work(scene: &Scene, token: &str, turn: &str) {
    assert_eq!(text(&scene.agent.secret("local-demo.before.token", None).ok(), "value"), token, "{turn}");
    let at = |function: &str| scene.cast.at(scene.functions.client(function).base());
    let (warm, cold) = (at("api"), at("api-cold"));
    for (name, writer, reader) in [("warm", &warm, &cold), ("cold", &cold, &warm)] {
        let made = writer.project(&format!("{turn} {name}"));
        // A cursor is sealed by who gives it.
        let first = writer.owner.session.get("/api/projects?limit=1").ok();
        let next = text(&first, "next_cursor");
        let rest = reader.owner.session.get(&format!("/api/projects?limit=100&cursor={next}")).ok();
        let all = [&first, &rest].map(|page| page["items"].as_array().expect("items").clone()).concat();
        assert!(all.iter().any(|project| project["project_id"] == made.as_str()), "{turn}: {made} is not in {all:#?}");
    }
}

#[test]
fn keys_change_while_functions_run() {
    let aws = Aws::get();
    let mut scene = Scene::new();
    let (request, _) = scene.ask("before", 0);
    fulfilled(scene.owner(), &request);
    let token = text(&scene.agent.secret("local-demo.before.token", None).ok(), "value").to_owned();
    let masters = |scene: &Scene| -> BTreeSet<String> {
        let of = |key: &Value| key["masters"].as_array().expect("masters").clone();
        status(scene).iter().flat_map(of).map(|master| master.as_str().expect("text").to_owned()).collect()
    };
    let old = masters(&scene).pop_first().expect("a master key");

    // The first half of a deployment: these know both keys, and the others were told nothing.
    let new = aws.new_key();
    let both = [("ASGARD_KMS_KEY_ID", new.as_str()), ("ASGARD_KMS_KEY_ID_PREVIOUS", old.as_str())];
    scene.functions.redeploy(&both, &["api-cold", "mcp", "events-cold"]);
    assert_all_work(&scene, &token, "half");
    assert_eq!(masters(&scene), [old.clone(), new.clone()].into());
    scene.functions.redeploy(&both, &["api", "events"]);
    // The second deployment, and the old key opens nothing from then on.
    scene.functions.redeploy(&[("ASGARD_KMS_KEY_ID_PREVIOUS", "")], &FUNCTIONS);
    let dropped = said(scene.functions.site(), &["keys", "drop-stale"]);
    assert!(dropped.contains("Forgot 1"), "{dropped}");
    assert_eq!(masters(&scene), [new.clone()].into());
    aws.kms("DisableKey", &json!({ "KeyId": old }));
    scene.functions.redeploy(&[], &FUNCTIONS);
    assert_all_work(&scene, &token, "alone");

    // A data key, begun from the operator's machine and carried out by ticks.
    assert!(said(scene.functions.site(), &["keys", "rotate"]).contains("has begun"));
    scene.functions.redeploy(&[], &["api-cold"]);
    let mut turn = 0;
    let active = eventually_within(Duration::from_secs(240), "the new data key is in use", || {
        turn += 1;
        assert_all_work(&scene, &token, &format!("turn {turn}"));
        thread::sleep(Duration::from_secs(5));
        status(&scene).into_iter().nth(1).filter(|key| key["state"] == "active")
    });
    let sealed = |scene: &Scene| {
        let keys = status(scene);
        keys.iter()
            .find(|key| key["id"] == active["id"])
            .and_then(|key| key["ciphertexts"].as_u64())
            .expect("it is known")
    };
    // One environment that never knew another active key, and those that had to learn of it.
    scene.functions.redeploy(&[], &["mcp"]);
    assert_all_work(&scene, &token, "after");
    let (request, _) = scene.ask("after", 0);
    fulfilled(scene.owner(), &request);
    let after = text(&scene.agent.secret("local-demo.after.token", None).ok(), "value").to_owned();
    assert_eq!(after.len(), 64);
    assert!(sealed(&scene) > 0, "new things are under the new key: {:#?}", status(&scene));
    scene.functions.assert_events_went_well();
    scene.functions.assert_tasks_ended_clean();
    scene.functions.site().assert_kept(&[token, after, PASSWORD.to_owned()]);
}
