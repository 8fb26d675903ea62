use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Whatever is configured as a secret, by whichever way: it is in force, and shown nowhere.
    #[test]
    fn no_secret_is_ever_shown(
        password in "[!-~]{12,40}",
        token in "[!-~]{12,40}",
        provider in "[!-~]{12,40}",
        key in proptest::array::uniform32(any::<u8>()),
        previous in proptest::array::uniform32(any::<u8>()),
        in_file in any::<bool>(),
        broken in any::<bool>(),
    ) {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let (key, previous) = (hex(&key), hex(&previous));
        let folder = tempfile::tempdir().unwrap();
        let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let url = format!("postgres://asgard:{}@db:5432/asgard?password={}", escaped(&password), escaped(&token));
        let mut env = vec![
            ("AUTH0_CLIENT_SECRET".to_owned(), provider.clone()),
            ("ASGARD_DATABASE_URL".to_owned(), url),
            ("ASGARD_ADMIN_PASSWORD".to_owned(), password.clone()),
        ];
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, &token).unwrap();
        env.push(("ASGARD_METRICS_TOKEN_FILE".to_owned(), token_file.to_str().unwrap().to_owned()));
        // A broken key: too long by one, so that a careless message could hold it.
        let given = if broken { format!("{key}0") } else { key.clone() };
        let mut text = String::new();
        if in_file {
            text = format!(
                "provisioning:\n  secrets:\n    master_key_hex: \"{given}\"\n    previous_master_keys_hex: [\"{previous}\"]\n"
            );
        } else {
            env.push(("ASGARD_SECRET_KEY".to_owned(), given));
            env.push(("ASGARD_SECRET_KEY_PREVIOUS".to_owned(), previous.clone()));
        }
        let all = [&password, &token, &provider, &key, &previous];
        let shown = match load_text(&text, env.clone()) {
            Ok(loaded) => {
                prop_assert!(!broken);
                prop_assert!(loaded.config.people.admin_password.as_ref().unwrap().same(&password));
                prop_assert!(loaded.config.metrics.token.as_ref().unwrap().same(&token));
                prop_assert!(loaded.config.provisioning.provider_env["AUTH0_CLIENT_SECRET"].same(&provider));
                match &loaded.config.keys.source {
                    KeySource::Given(master) => prop_assert_eq!(hex(master.bytes()), key.clone()),
                    KeySource::Kms(_) | KeySource::GeneratedFile { .. } => prop_assert!(false, "the key was given"),
                }
                format!("{}\n{loaded:?}", format(&loaded))
            }
            Err(problems) => {
                prop_assert!(broken, "{problems}");
                problems
            }
        };
        let options = LoadOptions { env: env.into_iter().map(|(n, v)| (n.into(), v.into())).collect(), ..LoadOptions::default() };
        let shown = format!("{shown}{options:?}");
        for secret in all {
            prop_assert!(!shown.contains(secret.as_str()), "{secret} in {shown}");
        }
    }
}
