//! What looks like one of Asgard's own references or marks, sent through every surface: it is refused, or it is the text or the
//! object that it is, and nothing is looked up for it.

use super::Browser;
use crate::{
    domain::{request::Request, resource::Resource},
    http::testkit::{PASSWORD, TestApp},
    ports::{
        kinds::{REQUESTS, RESOURCES_BY_PROJECT},
        records::{Records, Stored},
        store::{Query, Store},
    },
};
use serde_json::{Value, json};

const SERVICE: &str = "\
id: open-box
title: Open box
description: Takes anything.
cloud: local
connector: terraform
module: .
approval: auto
retry: safe
timeout_secs: 600
grace_secs: 30
cost: {monthly_usd: 0}
inputs:
  type: object
  properties:
    seed: {type: string, description: A secret.}
    any: {description: Anything.}
    map: {type: object, additionalProperties: true, description: A map.}
    list: {type: array, description: A list.}
    text: {type: string, description: A text.}
sensitive_inputs: [seed]
outputs:
  id: {description: Names it., example: box}
";

async fn app() -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("local/open-box");
    std::fs::create_dir_all(&module).unwrap();
    std::fs::write(module.join("service.yaml"), SERVICE).unwrap();
    std::fs::write(module.join("main.tf"), "# nothing\n").unwrap();
    let app = TestApp::tuned(&[("ASGARD_BIND", "127.0.0.1:8080")], |config| {
        config.provisioning.services_dir = Some(folder.path().to_owned());
    })
    .await;
    (app, folder)
}

/// Every form of a reference that was ever believed, or could be taken for one.
fn forms(secret: &str) -> Vec<(Value, bool)> {
    let (old, new) = (json!({"$secret": secret, "version": 1}), json!({"secret": secret, "version": 1}));
    let refused = [
        json!({"any": old}),
        json!({"map": old}),
        json!({"map": {"deep": [{"deeper": old}]}}),
        json!({"list": ["x", old]}),
        json!({"list": [[old]]}),
        json!({"any": {"$secret": null}}),
        json!({"map": {"$secret": secret, "version": 1, "more": true}}),
        json!({"seed": old}),
        json!({"seed": new}),
        json!({"secret_inputs": {"seed": new}}),
        json!({"secret_inputs": {"any": new}, "text": "x"}),
    ];
    let plain = [
        json!({"any": new}),
        json!({"map": {"secret_inputs": {"any": new}}}),
        json!({"map": {secret: old.to_string()}}),
        json!({"text": old.to_string()}),
        json!({"text": "(stored as a secret)"}),
        json!({"text": "${var.seed} %{ if true }x%{ endif }"}),
        json!({"list": [new.to_string(), "[redacted]"]}),
    ];
    refused.into_iter().map(|spec| (spec, true)).chain(plain.into_iter().map(|spec| (spec, false))).collect()
}

async fn resources(app: &TestApp) -> Vec<Stored<Resource>> {
    let store: &dyn Store = &app.store;
    store.list::<Resource>(&Query::new(&RESOURCES_BY_PROJECT, app.project.as_str()).take(200)).await.unwrap().items
}

async fn asked(app: &TestApp) -> usize {
    let store: &dyn Store = &app.store;
    store.list::<Request>(&Query::new(&REQUESTS, "").take(200)).await.unwrap().items.len()
}

#[tokio::test]
async fn nothing_that_is_sent_is_a_reference_through_any_surface() {
    let (app, _folder) = app().await;
    // Secrets to point at: this project's own, another project's, and one of a resource that is gone.
    let path = format!("/api/projects/{}/resources", app.project);
    let own = json!({"service": "open-box", "name": "own", "spec": {"seed": "hunter2-own"}});
    app.owner.post(&path, own).await;
    app.settle().await;
    let holder = resources(&app).await.remove(0);
    let own = holder.spec.secret_inputs["seed"].secret.to_string();
    let other =
        json!({"name": "Other", "owner_email": "sam@corp.example", "manager_email": "max@corp.example", "group": "x"});
    let other = app.stranger.post("/api/projects", other).await.field("project_id");
    let foreign = json!({"service": "open-box", "name": "foreign", "spec": {"seed": "hunter2-foreign"}});
    let foreign =
        app.stranger.post(&format!("/api/projects/{other}/resources"), foreign).await.json()["resource"]["resource_id"]
            .as_str()
            .unwrap()
            .to_owned();
    app.settle().await;
    let store: &dyn Store = &app.store;
    let foreign =
        store.read::<Resource>(&foreign).await.unwrap().unwrap().spec.secret_inputs["seed"].secret.to_string();
    let destroyed = "sec_01arz3ndektsv4rrffq69g5fav".to_owned();

    let mut browser = Browser::new(app.router.clone());
    let page = browser.open("/").await;
    browser.send(&page, "/sign-in", &[("username", "olga"), ("password", PASSWORD)]).await;
    let form = format!("/projects/{}/ask/open-box", app.project);
    let mut made = 0;
    for secret in [own, foreign, destroyed] {
        for (number, (spec, refused)) in forms(&secret).into_iter().enumerate() {
            let before = (resources(&app).await.len(), asked(&app).await);
            made += 1;
            let name = |surface: &str| format!("{surface}-{made}-{number}");
            let ask = |name: String| json!({"service": "open-box", "name": name, "spec": spec});
            let mut names = vec![name("rest"), name("mcp")];
            let rest = app.owner.post(&path, ask(name("rest"))).await;
            assert_eq!(rest.status.is_client_error(), refused, "{spec}: {}", rest.json());
            let tool = app.key.tool("request_resource", ask(name("mcp"))).await;
            assert_eq!(tool.is_err(), refused, "{spec}: {tool:?}");
            // The form has a field for each input, and none for what is no input.
            let fields = spec.as_object().unwrap();
            if fields.keys().all(|input| !["secret_inputs", "seed", "list"].contains(&input.as_str())) {
                let name = name("form");
                let texts: Vec<(String, String)> = fields
                    .iter()
                    .map(|(input, value)| {
                        (format!("spec.{input}"), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    })
                    .collect();
                let mut changes: Vec<(&str, &str)> = vec![("name", &name)];
                changes.extend(texts.iter().map(|(input, text)| (input.as_str(), text.as_str())));
                let page = browser.open(&form).await;
                let sent = browser.send(&page, &form, &changes).await;
                assert_eq!(!sent.has("The request is open"), refused, "{spec}: {}", sent.html);
                names.push(name);
            }
            app.settle().await;
            let all = resources(&app).await;
            if refused {
                assert_eq!((all.len(), asked(&app).await), before, "{spec}");
                continue;
            }
            for name in names {
                let resource = all.iter().find(|resource| resource.name.as_str() == name).unwrap();
                let same = Value::Object(resource.spec.values.clone()) == spec;
                assert!(same && resource.spec.secret_inputs.is_empty(), "{name}: {:?}", resource.spec);
                let shown = browser.open(&format!("/resources/{}", resource.id)).await;
                assert!(!shown.has("nobody is shown its value"), "{name} is shown as a secret: {}", shown.html);
                assert!(!shown.has("hunter2"), "{}", shown.html);
            }
        }
    }
}
