//! Settings that are in Secrets Manager.

use super::peer::{aws, secrets};
use asgard_lib::{
    adapters::aws::secret_arns,
    config::{self, DatabaseLocation, Environment, LoadOptions, Loaded},
    kernel::SecretId,
    ports::world::World,
};
use aws_sdk_secretsmanager::primitives::Blob;

async fn load(variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let mut env: Environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let wanted = config::secrets_to_fetch(&env);
    secret_arns::fetch(&aws(), &mut env, &wanted).await;
    config::load(&LoadOptions { env, ..LoadOptions::default() }).map_err(|problems| problems.to_string())
}

/// A secret of this text: its ARN.
async fn secret(text: &str) -> String {
    let name = format!("asgard-test-{}", World::system().id::<SecretId>());
    secrets().create_secret().name(name).secret_string(text).send().await.unwrap().arn.unwrap()
}

#[tokio::test]
async fn every_setting_may_be_a_secret() {
    let url = r#"{"engine":"postgres","username":"asgard","password":"a/b","host":"db.example.com","dbname":"asgard"}"#;
    let keys =
        r#"{"master":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff","bind":"127.0.0.1:8099"}"#;
    let (url, password, keys) = (secret(url).await, secret("correct horse\n").await, secret(keys).await);
    let loaded = load(&[
        ("ASGARD_DATABASE_URL_SECRET_ARN", &url),
        ("ASGARD_ADMIN_PASSWORD_SECRET_ARN", &password),
        ("ASGARD_SECRET_KEY_SECRET_ARN", &format!("{keys}#master")),
        ("ASGARD_BIND_SECRET_ARN", &format!("{keys}#bind")),
        ("AUTH0_CLIENT_SECRET_SECRET_ARN", &password),
    ])
    .await
    .unwrap();
    let config = &loaded.config;
    assert!(config.people.admin_password.as_ref().unwrap().same("correct horse"));
    assert_eq!(config.server.bind.port(), 8099);
    assert!(config.provisioning.provider_env["AUTH0_CLIENT_SECRET"].same("correct horse"));
    let DatabaseLocation::Postgres { url } = &config.database.location else { panic!("{:?}", config.database) };
    assert!(url.same("postgres://asgard:a%2Fb@db.example.com:5432/asgard?sslmode=require"));
    let shown = config::format(&loaded);
    assert!(shown.contains("server.bind") && shown.contains("# ASGARD_BIND_SECRET_ARN"), "{shown}");
    assert!(!shown.contains("horse") && !shown.contains("a%2Fb") && !shown.contains("00112233"), "{shown}");
}

#[tokio::test]
async fn what_is_not_there_binary_or_deleted_is_said_together() {
    let client = secrets();
    let name = || format!("asgard-test-{}", World::system().id::<SecretId>());
    let binary = client.create_secret().name(name()).secret_binary(Blob::new(*b"hunter2")).send().await.unwrap();
    let gone = secret("hunter2").await;
    client.delete_secret().secret_id(&gone).send().await.unwrap();
    let nothing = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:nobody-made-this-AbCdEf";
    let problems = load(&[
        ("ASGARD_ADMIN_PASSWORD_SECRET_ARN", binary.arn().unwrap()),
        ("ASGARD_SECRET_KEY_SECRET_ARN", &gone),
        ("ASGARD_METRICS_TOKEN_SECRET_ARN", nothing),
    ])
    .await
    .unwrap_err();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), 3, "{problems}");
    assert!(lines[0].starts_with("ASGARD_ADMIN_PASSWORD_SECRET_ARN: ") && lines[0].contains("binary"), "{problems}");
    assert!(lines[1].starts_with("ASGARD_METRICS_TOKEN_SECRET_ARN: there is no secret"), "{problems}");
    assert!(lines[2].starts_with("ASGARD_SECRET_KEY_SECRET_ARN: ") && lines[2].contains("deletion"), "{problems}");
    assert!(!problems.contains("hunter2"));
}
