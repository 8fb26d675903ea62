use super::*;
use crate::{
    aws::testkit::{Answer, FakeAws, refusal},
    config::{self, LoadOptions},
};
use serde_json::json;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:asgard-AbCdEf";
const OTHER: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:other-AbCdEf";

async fn load(fake: &FakeAws, variables: &[(&str, &str)]) -> Result<config::Loaded, String> {
    let mut env: Environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let wanted = config::secrets_to_fetch(&env);
    fetch(&fake.aws(), &mut env, &wanted).await;
    config::load(&LoadOptions { env, ..LoadOptions::default() }).map_err(|problems| problems.to_string())
}

fn text(text: &str) -> Answer {
    (200, json!({ "ARN": ARN, "Name": "asgard", "SecretString": text }))
}

#[tokio::test]
async fn each_secret_is_fetched_once_and_shown_by_its_variable() {
    let fake = FakeAws::answering([text(r#"{"password":"correct horse","token":"a token of sixteen"}"#)]).await;
    let (password, token) = (format!("{ARN}#password"), format!("{ARN}#token"));
    let loaded =
        load(&fake, &[("ASGARD_ADMIN_PASSWORD_SECRET_ARN", &password), ("ASGARD_METRICS_TOKEN_SECRET_ARN", &token)])
            .await
            .unwrap();
    assert!(loaded.config.people.admin_password.as_ref().unwrap().same("correct horse"));
    assert_eq!(fake.operations(), ["getsecretvalue"], "one secret, one call");
    let shown = config::format(&loaded);
    assert!(shown.contains("# ASGARD_ADMIN_PASSWORD_SECRET_ARN") && !shown.contains("horse"), "{shown}");
    assert!(!format!("{loaded:?}").contains("horse"));
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_by_variable_and_arn() {
    let fake = FakeAws::answering([refusal(400, "AccessDeniedException")]).await;
    let problems = load(
        &fake,
        &[
            ("ASGARD_ADMIN_PASSWORD_SECRET_ARN", ARN),
            ("ASGARD_METRICS_TOKEN_SECRET_ARN", OTHER),
            ("ASGARD_SECRET_KEY_SECRET_ARN", "hunter2"),
            ("ASGARD_BIND", "nowhere"),
            ("ASGARD_SYSTEM_NAME", "Asgard"),
            ("ASGARD_SYSTEM_NAME_SECRET_ARN", ARN),
        ],
    )
    .await
    .unwrap_err();
    let denied = "AWS does not allow Asgard secretsmanager:GetSecretValue on the secret";
    for expected in [
        &format!("ASGARD_ADMIN_PASSWORD_SECRET_ARN: {denied} {ARN}"),
        &format!("ASGARD_METRICS_TOKEN_SECRET_ARN: {denied} {OTHER}"),
        "ASGARD_SECRET_KEY_SECRET_ARN: not the ARN of a secret; allowed here: arn:aws:secretsmanager:",
        "ASGARD_BIND: `nowhere` is not allowed",
        "ASGARD_SYSTEM_NAME: ASGARD_SYSTEM_NAME and ASGARD_SYSTEM_NAME_SECRET_ARN are both set",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
    assert!(!problems.contains("hunter2"), "{problems}");
    assert_eq!(fake.operations().len(), 2, "what is wrong already is not fetched");
}

#[tokio::test]
async fn a_secret_that_cannot_be_a_setting_is_refused() {
    for (answer, why) in [
        (refusal(400, "ResourceNotFoundException"), "there is no secret"),
        (refusal(400, "InvalidRequestException"), "scheduled for deletion"),
        (refusal(400, "DecryptionFailure"), "cannot decrypt the secret"),
        (refusal(400, "ThrottlingException"), "cannot be used just now"),
        ((200, json!({ "ARN": ARN, "SecretBinary": "aHVudGVyMg==" })), "is binary; a setting is text"),
        (text(""), "is empty"),
        (text(r#"{"a":"hunter2","b":"x"}"#), "say which field is meant"),
    ] {
        let fake = FakeAws::answering([answer]).await;
        let problems = load(&fake, &[("ASGARD_ADMIN_PASSWORD_SECRET_ARN", ARN)]).await.unwrap_err();
        assert!(problems.contains(why) && problems.contains(ARN), "{problems}");
        assert!(
            problems.starts_with("ASGARD_ADMIN_PASSWORD_SECRET_ARN: ") && !problems.contains("hunter2"),
            "{problems}"
        );
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
}

#[tokio::test]
async fn all_secrets_together_have_five_seconds() {
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fake = FakeAws::answering([text("x")]).await;
    let url = format!("http://{}", silent.local_addr().unwrap());
    let aws = Aws::with(fake.sdk().to_builder().endpoint_url(url).build());
    let mut env =
        Environment::from([("ASGARD_ADMIN_PASSWORD_SECRET_ARN", ARN), ("ASGARD_METRICS_TOKEN_SECRET_ARN", OTHER)]);
    let wanted = config::secrets_to_fetch(&env);
    let started = Instant::now();
    fetch(&aws, &mut env, &wanted).await;
    assert!((PATIENCE..PATIENCE + Duration::from_secs(2)).contains(&started.elapsed()), "{:?}", started.elapsed());
    let problems = config::load(&LoadOptions { env, ..LoadOptions::default() }).unwrap_err().to_string();
    assert_eq!(problems.matches("within 5 seconds").count(), 2, "{problems}");
}
