//! Keys in KMS, secrets in Secrets Manager. What is fetched is in `adapters/secret_arns`.

use super::*;

const KMS: &str = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

#[test]
fn the_master_key_is_in_one_place_and_moves_between_two() {
    for database in ["sqlite://a.db", "postgres://db/asgard"] {
        let to_kms = load_env([
            ("ASGARD_DATABASE_URL", database),
            ("ASGARD_KMS_KEY_ID", KMS),
            ("ASGARD_SECRET_KEY_PREVIOUS", KEY),
        ]);
        if !cfg!(feature = "aws") {
            assert!(to_kms.unwrap_err().contains("ASGARD_KMS_KEY_ID: AWS KMS needs the `aws` feature"));
            continue;
        }
        let keys = to_kms.unwrap().config.keys;
        assert!(matches!(&keys.source, KeySource::Kms(key) if key.as_str() == KMS), "{keys:?}");
        assert_eq!((keys.previous.len(), keys.previous_kms.len()), (1, 0));
        let back = load_env([
            ("ASGARD_DATABASE_URL", database),
            ("ASGARD_SECRET_KEY", KEY),
            ("ASGARD_KMS_KEY_ID_PREVIOUS", &format!("{KMS}, alias/older")),
        ]);
        let keys = back.unwrap().config.keys;
        assert!(matches!(&keys.source, KeySource::Given(_)), "{keys:?}");
        assert_eq!((keys.previous.len(), keys.previous_kms.len()), (0, 2));
    }
    let both = load_env([("ASGARD_SECRET_KEY", KEY), ("ASGARD_KMS_KEY_ID", KMS)]).unwrap_err();
    for part in [
        "ASGARD_KMS_KEY_ID: set together with ASGARD_SECRET_KEY",
        "ASGARD_SECRET_KEY_PREVIOUS",
        "ASGARD_KMS_KEY_ID_PREVIOUS",
    ] {
        assert!(both.contains(part), "{both}");
    }
}

#[test]
fn a_master_key_under_the_wrong_name_is_not_repeated() {
    for name in ["ASGARD_KMS_KEY_ID", "ASGARD_KMS_KEY_ID_PREVIOUS", "ASGARD_ADMIN_PASSWORD_SECRET_ARN"] {
        let problems = load_env([(name, KEY)]).unwrap_err();
        assert!(problems.contains(name) && !problems.contains(&KEY[..12]), "{problems}");
    }
}

#[test]
fn where_secrets_live_is_sealed_unless_somebody_says_otherwise() {
    let loaded = load(&LoadOptions::default()).unwrap();
    assert_eq!(loaded.config.secrets.store, SecretStoreKind::Sealed);
    assert_eq!(loaded.config.secrets.path.as_str(), "asgard");
    let set = load_text("provisioning:\n  secrets: { store: secretsmanager, path: team/asgard }\n", NO_ENV);
    if cfg!(feature = "aws") {
        let secrets = set.unwrap().config.secrets;
        assert_eq!((secrets.store, secrets.path.as_str()), (SecretStoreKind::SecretsManager, "team/asgard"));
    } else {
        assert!(set.unwrap_err().contains("AWS Secrets Manager needs the `aws` feature"));
    }
    for bad in ["/asgard", "asgard/", "a//b", "a b", "ä"] {
        let problems = load_env([("ASGARD_SECRET_STORE_PATH", bad)]).unwrap_err();
        assert!(problems.contains("ASGARD_SECRET_STORE_PATH"), "{problems}");
    }
    assert!(load_env([("ASGARD_SECRET_STORE", "vault")]).unwrap_err().contains("sealed or secretsmanager"));
}

#[test]
fn only_what_has_to_be_fetched_is_fetched() {
    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x";
    let wanted = |env: Environment| secrets_to_fetch(&env).len();
    assert_eq!(
        wanted(Environment::from([("ASGARD_ADMIN_PASSWORD_SECRET_ARN", ARN), ("AUTH0_CLIENT_SECRET_SECRET_ARN", ARN)])),
        2
    );
    assert_eq!(wanted(Environment::from([("ASGARD_CONFIG_SECRET_ARN", ARN)])), 1);
    for none in [
        ("SOMEBODY_ELSES_SECRET_ARN", ARN),
        ("ASGARD_ADMIN_PASSWORD_SECRET_ARN", "hunter2"),
        ("ASGARD_ADMIN_PASSWORD", ARN),
    ] {
        assert_eq!(wanted(Environment::from([none])), 0);
    }
    assert_eq!(wanted(Environment::from([("ASGARD_BIND_SECRET_ARN", ARN), ("ASGARD_BIND_FILE", "/x")])), 0);
}

#[test]
fn a_secret_can_be_the_whole_file_and_then_nothing_else_is() {
    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:asgard-config";
    let with = |text: &str, more: &[(&str, &str)], file: Option<&str>| {
        let given = [("ASGARD_CONFIG_SECRET_ARN", ARN)];
        let os = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        let mut env: Environment = given.iter().chain(more).map(os).collect();
        for wanted in secrets_to_fetch(&env) {
            env.fetched(&wanted, Ok(crate::kernel::SecretText::new(text)));
        }
        load(&LoadOptions { env, file: file.map(Into::into), ..LoadOptions::default() })
            .map_err(|problems| problems.to_string())
    };
    for text in ["review:\n  poc_window_days: 7\n", r#"{"review": {"poc_window_days": 7}}"#] {
        let loaded = with(text, &[("ASGARD_LOG", "warn")], None).unwrap();
        assert!(loaded.config.review.poc_window_days == 7 && loaded.file.is_none());
        assert_eq!(loaded.config.log.filter, "warn", "a variable wins over it");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
    let wrong = with("\nserver: { bnid: x }\n", &[], None).unwrap_err();
    assert!(wrong.contains("ASGARD_CONFIG_SECRET_ARN:2") && wrong.contains("bnid"), "{wrong}");
    let both = with("{}", &[("ASGARD_CONFIG", "/opt/asgard.yaml")], None).unwrap_err();
    assert!(both.contains("ASGARD_CONFIG and ASGARD_CONFIG_SECRET_ARN are both set"), "{both}");
    let both = with("{}", &[], Some("/opt/asgard.yaml")).unwrap_err();
    assert!(both.contains("ASGARD_CONFIG_SECRET_ARN: --config names a file as well"), "{both}");
}
