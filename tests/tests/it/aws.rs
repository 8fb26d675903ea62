//! The binary with its keys and secrets on AWS: the master key in KMS, settings and secret values in Secrets Manager.

use crate::job::{provide, text};
use asgard_tests::{Aws, Site};
use serde_json::{Value, json};
use std::process::Output;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn on_aws(mut site: Site, aws: &Aws) -> Site {
    for (name, value) in aws.environment() {
        site.set(name, value);
    }
    site
}

fn masters(site: &Site) -> String {
    let output = site.run(&["keys", "status", "-o", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A name that no other test has.
fn unique(site: &Site) -> String {
    let name = site.dir().file_name().and_then(|name| name.to_str()).expect("a folder has a name");
    format!("asgard/{name}")
}

#[test]
fn settings_keys_and_values_live_on_aws_and_nothing_of_them_elsewhere() {
    let aws = Aws::get();
    let site = on_aws(Site::sqlite(), &aws);
    let path = unique(&site);
    let (key, password) = (aws.new_key(), aws.new_secret(&format!("{path}/password"), asgard_tests::PASSWORD));
    // The finest log there is: what is sent to AWS must not be in it either.
    let mut site = site
        .with("ASGARD_LOG", "trace")
        .with("ASGARD_KMS_KEY_ID", &key)
        .with("ASGARD_SECRET_STORE", "secretsmanager")
        .with("ASGARD_SECRET_STORE_PATH", &path)
        .with("ASGARD_ADMIN_PASSWORD", "")
        .with("ASGARD_ADMIN_PASSWORD_SECRET_ARN", &password)
        .armed();
    let output = site.run(&["config", "show"]);
    assert!(said(&output).contains("# ASGARD_ADMIN_PASSWORD_SECRET_ARN"), "{}", said(&output));

    let server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("On AWS");
    let agent = cast.key(&project);
    provide(&agent, &cast.owner.session, "local-demo", "token", &json!({}));
    let value = text(&agent.secret("local-demo.token.token", None).ok(), "value").to_owned();
    assert!(masters(&site).contains(&key), "the data keys are under the key in KMS");

    let listed = aws.secrets("ListSecrets", &json!({ "MaxResults": 100 }));
    let ours = |secret: &&Value| {
        secret["Name"].as_str().is_some_and(|name| name.starts_with(&format!("{path}/{project}/res_")))
    };
    let secrets: Vec<&Value> = listed["SecretList"].as_array().expect("secrets").iter().filter(ours).collect();
    assert_eq!(secrets.len(), 1, "{listed:#}");
    let resource = secrets[0]["Name"].as_str().and_then(|name| name.rsplit('/').nth(1)).expect("the resource's id");
    let tags = json!([{ "Key": "asgard:project", "Value": project }, { "Key": "asgard:resource", "Value": resource }]);
    assert_eq!(secrets[0]["Tags"], tags);
    let stored = aws.secrets("GetSecretValue", &json!({ "SecretId": secrets[0]["Name"] }));
    assert_eq!(stored["SecretString"], value.as_str(), "whoever reads it without Asgard gets the present value");
    site.assert_kept(&[value.clone(), asgard_tests::PASSWORD.to_owned()]);
    drop(server);

    // To another key of KMS, as the operations guide says, and the old one opens nothing.
    let other = aws.new_key();
    site.set("ASGARD_KMS_KEY_ID", &other);
    let output = site.run(&["keys", "status"]);
    assert!(!output.status.success() && said(&output).contains("The master key is wrong"), "{}", said(&output));
    site.set("ASGARD_KMS_KEY_ID_PREVIOUS", &key);
    let server = site.start();
    let agent = agent.at(server.base());
    assert_eq!(text(&agent.secret("local-demo.token.token", None).ok(), "value"), value);
    site.set("ASGARD_KMS_KEY_ID_PREVIOUS", "");
    let output = site.run(&["keys", "drop-stale"]);
    assert!(output.status.success() && said(&output).contains("Forgot 1"), "{}", said(&output));
    assert!(masters(&site).contains(&other) && !masters(&site).contains(&key));
    drop(server);

    // A key that somebody disabled: refused at once, with what to do.
    aws.kms("DisableKey", &json!({ "KeyId": other }));
    let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("is disabled. Enable it"), "{}", said(&output));
    aws.kms("EnableKey", &json!({ "KeyId": other }));
    let server = site.start();
    let agent = agent.at(server.base());
    assert_eq!(text(&agent.secret("local-demo.token.token", None).ok(), "value"), value);
}

#[test]
fn a_local_master_key_moves_to_kms_and_back() {
    let aws = Aws::get();
    let mut site = on_aws(Site::sqlite(), &aws).with("ASGARD_SECRET_KEY", &"1".repeat(64));
    drop(site.start());
    let key = aws.new_key();
    let alias = format!("alias/{}", unique(&site).replace('.', "-"));
    aws.kms("CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": key }));

    site.set("ASGARD_KMS_KEY_ID", &alias);
    let output = site.run(&["config", "check"]);
    assert!(said(&output).contains("set together with ASGARD_SECRET_KEY"), "{}", said(&output));
    site.set("ASGARD_SECRET_KEY", "");
    site.set("ASGARD_SECRET_KEY_PREVIOUS", &"1".repeat(64));
    drop(site.start());
    site.set("ASGARD_SECRET_KEY_PREVIOUS", "");
    assert!(site.run(&["keys", "drop-stale"]).status.success());
    let status = masters(&site);
    assert!(status.contains(&key) && !status.contains("local:"), "{status}");
    drop(site.start());

    site.set("ASGARD_KMS_KEY_ID", "");
    site.set("ASGARD_KMS_KEY_ID_PREVIOUS", &alias);
    site.set("ASGARD_SECRET_KEY", &"2".repeat(64));
    drop(site.start());
    site.set("ASGARD_KMS_KEY_ID_PREVIOUS", "");
    assert!(site.run(&["keys", "drop-stale"]).status.success());
    let status = masters(&site);
    assert!(status.contains("local:") && !status.contains(&key), "{status}");
}

#[test]
fn what_is_wrong_with_secrets_is_said_by_every_command_that_needs_settings_and_by_no_other() {
    let aws = Aws::get();
    let arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:nobody-made-this-AbCdEf";
    let site = on_aws(Site::sqlite(), &aws)
        .with("ASGARD_ADMIN_PASSWORD_SECRET_ARN", arn)
        .with("ASGARD_METRICS_TOKEN_SECRET_ARN", &format!("{arn}#token"))
        .with("ASGARD_SECRET_KEY_SECRET_ARN", "hunter2-hunter2-hunter2");
    for command in [
        &["config", "check"][..],
        &["config", "show"],
        &["migrate"],
        &["keys", "status"],
        &["worker"],
        &["serve", "--bind", "127.0.0.1:0"],
        &["run", "run_00000000000000000000000000"],
    ] {
        let output = site.run(command);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        for part in [
            "ASGARD_ADMIN_PASSWORD: ASGARD_ADMIN_PASSWORD and ASGARD_ADMIN_PASSWORD_SECRET_ARN are both set",
            &format!("ASGARD_METRICS_TOKEN_SECRET_ARN: there is no secret {arn}"),
            "ASGARD_SECRET_KEY_SECRET_ARN: not the ARN of a secret",
        ] {
            assert!(said.contains(part), "{command:?}: {part} is not in {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
    // What needs no settings asks nobody: there is nothing at that address.
    let site = site.with("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    assert!(site.run(&["config", "reference"]).status.success());
    assert!(site.run(&["completions", "bash"]).status.success());
    let output = site.run(&["tools", "--url", "http://127.0.0.1:9"]);
    assert!(!said(&output).contains("SECRET_ARN"), "{}", said(&output));
}
