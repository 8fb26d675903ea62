use super::*;
use crate::{
    domain::{person::Trust, tier::Tier},
    kernel::{Slug, Usd},
};

/// The file of the deploy guide, as written.
const GUIDE: &str = r"
# Cost-centers a project may register against. Empty = open mode (any group).
groups:
  - { key: platform, display_name: Platform, cost_center: CC-100 }
  - { key: research, display_name: Research, cost_center: CC-200 }

registration:
  require_manager: true   # false → manager optional, defaults to the owner (self-manage)
  require_group: true     # false → group optional (ungrouped, blank cost-center)
  require_cost_center: false  # reserved; cost-center derives from group today

# Per-tier evidence required to promote into a tier (keys: light-operational /
# wide-operational / critical-path). Any tier you list replaces that tier's
# shipped default; tiers you omit keep theirs.
classification_requirements:
  wide-operational: [repo_or_source_url, support_contact, runbook_url, monitoring_or_logs_url]

review:
  poc_window_days: 90    # first review deadline for a new POC
  auto_extensions: 1     # automatic +window grants before a human must decide
  sweep_secs: 86400      # how often the background sweep flags overdue reviews

governance:
  maintainer_min: 2      # Wide/Critical systems below this count as understaffed

provisioning:
  terraform:
    modules_dir: /modules         # bundled in the image (or your own mounted tree)
    work_dir: /data/asgard-tf     # scratch only; state is kept in the DB
  # Allow only the targets you intend to provision into:
  allowed:
    - { cloud: auth0, account: your-tenant }
";

#[test]
fn the_guides_file_loads_as_written() {
    let loaded = load_text(GUIDE, NO_ENV).unwrap();
    assert!(loaded.warnings.is_empty() && loaded.errors.is_empty());
    let config = loaded.config;
    assert_eq!(config.registration.group("research").unwrap().display_name.as_str(), "Research");
    assert!(!config.registration.is_open_mode() && config.registration.group("other").is_none());
    let evidence = &config.governance.classification_requirements;
    let count = |tier| evidence.for_tier(tier).len();
    assert_eq!(Tier::ALL.map(count), [0, 11, 4, 23]);
    let terraform = config.provisioning.terraform.as_ref().unwrap();
    assert_eq!(terraform.modules_dir.as_deref(), Some("/modules".as_ref()));
    assert_eq!(terraform.work_dir, PathBuf::from("/data/asgard-tf"));
    let auth0: Slug = "auth0".parse().unwrap();
    assert_eq!(config.provisioning.default_for(&auth0).unwrap().account.as_str(), "your-tenant");
    assert!(matches!(&config.keys.source, KeySource::GeneratedFile { path } if path.as_os_str() == "asgard.db.key"));
}

/// Every variable of the guide, the runbooks and the compose file, together.
#[test]
fn the_guides_environment_loads_as_written() {
    let loaded = load_env([
        ("ASGARD_DATABASE_URL", "postgres://postgres:change-me@db:5432/asgard"),
        ("ASGARD_BIND", "0.0.0.0:8080"),
        ("ASGARD_SECRET_KEY", KEY),
        ("ASGARD_ADMIN_PASSWORD", ""),
        ("ASGARD_ADMIN_USER", "Root"),
        ("ASGARD_SYSTEM_NAME", "Acme Control Plane"),
        ("ASGARD_FORCE_HTTPS", "1"),
        ("ASGARD_TF_BIN", "/usr/bin/terraform"),
        ("ASGARD_TF_MODULES_DIR", "/modules"),
        ("ASGARD_TF_WORK_DIR", "/data/asgard-tf"),
        ("ASGARD_TF_PROVIDER_MIRROR", "/providers"),
        ("ASGARD_TF_ALLOWED", "auth0:your-tenant,aws:1234567890"),
        ("AUTH0_DOMAIN", "your-tenant.us.auth0.com"),
        ("AUTH0_CLIENT_ID", "id"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("ASGARD_METRICS_TOKEN", "t"),
        ("ASGARD_PUBLIC_URL", "https://Asgard.example.com:443/"),
        ("ASGARD_LOG", "info,asgard_lib=debug"),
        ("ASGARD_LOG_FORMAT", "json"),
        ("ASGARD_DEV_INSECURE", "1"),
        ("ASGARD_DISABLE_LOCAL_LOGIN", "true"),
        ("ASGARD_OIDC_CLIENT_ID", "x"),
        ("ASGARD_OIDC_CLIENT_SECRET", "x"),
        ("ASGARD_OIDC_REDIRECT_URI", "x"),
        ("ASGARD_OIDC_SCOPES", "x"),
        ("ASGARD_OIDC_ADMIN_GROUPS", "x"),
        ("ASGARD_OIDC_FINANCE_GROUPS", "x"),
        ("ASGARD_OIDC_GROUPS_CLAIM", "x"),
        ("ASGARD_ADMIN_EMAILS", "x"),
        ("ASGARD_GIT_TOKEN", "x"),
        ("ASGARD_GUARDRAIL_MODE", "enforce"),
        ("OPENAI_API_KEY", "x"),
        ("ANTHROPIC_API_KEY", "x"),
    ])
    .unwrap();
    let config = &loaded.config;
    assert!(matches!(config.database.location, DatabaseLocation::Postgres { .. }));
    assert_eq!((config.people.admin_user.as_str(), config.people.admin_email.as_str()), ("root", "root@localhost"));
    assert!(config.people.admin_password.is_none() && config.server.force_https);
    assert_eq!(config.server.public_url.as_ref().unwrap().as_str(), "https://asgard.example.com");
    assert_eq!(config.provisioning.default_target.as_ref().unwrap().account.as_str(), "your-tenant");
    assert!(config.provisioning.is_armed() && !config.server.dev_insecure);
    let without: Vec<&str> =
        loaded.warnings.iter().filter_map(|w| w.split_once(" has no effect: ").map(|(name, _)| name)).collect();
    assert_eq!(without.len(), 12, "{:?}", loaded.warnings);
    assert_eq!(
        loaded.warnings.iter().filter(|w| !w.contains("has no effect")).collect::<Vec<_>>(),
        [
            "ASGARD_DEV_INSECURE is ignored: it is honoured only when listening on a loopback address, and 0.0.0.0:8080 is not one"
        ]
    );
    assert_eq!(
        loaded.errors,
        ["ASGARD_DISABLE_LOCAL_LOGIN is ignored: single sign-on is not configured, so nobody could sign in"]
    );
    let shown = format(&loaded);
    assert!(shown.contains("= false (honoured only on a loopback address)  # ASGARD_DEV_INSECURE\n"), "{shown}");
}

#[test]
fn variables_win_over_the_file_and_the_flag_over_both() {
    let file = "server: { bind: '127.0.0.1:1', system_name: 12 }\nlog: { filter: debug }\nreview:\n";
    let origins = |loaded: &Loaded| {
        let interesting = |s: &&Setting| s.origin != Origin::Default;
        let line = |s: &Setting| format!("{}={} # {}", s.spec.name(), s.value, s.origin);
        loaded.settings.iter().filter(interesting).map(line).collect::<Vec<_>>()
    };
    let loaded =
        load_text(file, [("ASGARD_BIND", "localhost:2"), ("ASGARD_LOG", ""), ("ASGARD_DEV_INSECURE", "1")]).unwrap();
    assert!(loaded.config.server.dev_insecure && loaded.config.server.is_loopback());
    assert_eq!(
        origins(&loaded),
        [
            "server.bind=127.0.0.1:2 # ASGARD_BIND",
            "server.system_name=12 # asgard.yaml:1",
            "ASGARD_DEV_INSECURE=true # ASGARD_DEV_INSECURE",
            "log.filter=debug # asgard.yaml:2",
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bind");
    std::fs::write(&path, "[::1]:3\n").unwrap();
    let env = Environment::from([("ASGARD_BIND_FILE", path.to_str().unwrap())]);
    let loaded = load(&LoadOptions { env: env.clone(), ..LoadOptions::default() }).unwrap();
    assert_eq!(origins(&loaded), ["server.bind=[::1]:3 # ASGARD_BIND_FILE"]);
    let loaded = load(&LoadOptions { env, bind: Some("0.0.0.0:4".into()), ..LoadOptions::default() }).unwrap();
    assert_eq!(origins(&loaded), ["server.bind=0.0.0.0:4 # --bind"]);
}

#[test]
fn unknown_variables_only_warn_and_the_nearest_is_named() {
    let loaded = load_env([("ASGARD_DATABSE_URL", "x"), ("ASGARD_SERVICE_PORT_HTTP", "1"), ("HOME", "/root")]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "ASGARD_DATABSE_URL is not a variable that Asgard knows; it has no effect; did you mean ASGARD_DATABASE_URL?",
            "ASGARD_SERVICE_PORT_HTTP is not a variable that Asgard knows; it has no effect",
        ]
    );
    let env = Environment::from([("ASGARD_TOKEN", "x")]);
    assert!(
        load(&LoadOptions { env, also_known: vec!["ASGARD_TOKEN"], ..LoadOptions::default() })
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn files_that_everybody_can_read_are_no_place_for_secrets() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str, mode: u32| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let warnings = |text: &str, mode: u32| {
        let file = Some(at("asgard.yaml", text, mode));
        load(&LoadOptions { file, ..LoadOptions::default() }).unwrap().warnings
    };
    let secret = format!("provisioning: {{ secrets: {{ master_key_hex: '{KEY}' }} }}\n");
    let warned = warnings(&secret, 0o644).pop().unwrap();
    assert!(warned.contains("master_key_hex") && warned.contains("0644") && warned.contains("chmod o="), "{warned}");
    assert!(!warned.contains(KEY));
    let database = format!("database: {{ url: 'postgres://asgard:word@db/asgard' }}\n{secret}");
    assert!(warnings(&database, 0o604).pop().unwrap().contains("database.url"));
    assert_eq!(warnings("database: { url: 'sqlite://asgard.db' }\n", 0o644), Vec::<String>::new());
    assert_eq!((warnings(&secret, 0o640).len(), warnings("lease_ttl_secs: 60\n", 0o644).len()), (0, 0));

    let key = |mode: u32| {
        let file = at("key", KEY, mode);
        load_env([("ASGARD_SECRET_KEY_FILE", file.to_str().unwrap())])
    };
    let refused = key(0o644).unwrap_err();
    assert!(
        refused.contains("ASGARD_SECRET_KEY_FILE") && refused.contains("chmod 600") && refused.contains("0644"),
        "{refused}"
    );
    assert!(!refused.contains(KEY));
    assert!(key(0o600).is_ok() && key(0o440).is_ok());
}

#[test]
fn children_get_what_their_cloud_needs_and_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".aws")).unwrap();
    std::fs::write(folder.path().join(".aws/config"), "").unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "from a file\n").unwrap();
    let config = load_env([
        ("HOME", folder.path().to_str().unwrap()),
        ("PATH", "/bin"),
        ("ASGARD_SECRET_KEY", KEY),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/asgards-own"),
        ("AUTH0_CLIENT_SECRET_FILE", secret.to_str().unwrap()),
        ("OTHER", "x"),
    ])
    .unwrap()
    .config;
    let names = |cloud| config.provisioning.child_env(cloud).map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("local"), ["PATH"]);
    assert_eq!(names("aws"), ["AWS_CONFIG_FILE", "AWS_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "PATH"]);
    assert_eq!(names("auth0"), ["AUTH0_CLIENT_SECRET", "PATH"]);
    assert!(config.provisioning.provider_env["AUTH0_CLIENT_SECRET"].same("from a file"));
}

#[test]
fn provisioning_is_armed_by_a_block_or_by_modules() {
    let armed = |text: &str, env: &[(&str, &str)]| {
        let loaded = load_text(text, env.iter().copied()).unwrap();
        (loaded.config.provisioning.is_armed(), loaded.warnings.len())
    };
    assert_eq!(armed("provisioning: {}\n", &[]), (false, 0));
    assert_eq!(armed("provisioning: { terraform: {} }\n", &[]), (true, 0));
    assert_eq!(armed("", &[("ASGARD_TF_MODULES_DIR", "/modules")]), (true, 0));
    assert_eq!(armed("", &[("ASGARD_TF_ALLOWED", "aws:1")]), (false, 1));
    let text = "provisioning: { auto_approve: { poc: 0, wide-operational: 12.5 }, allowed: [aws:0123, auth0:t], default_cloud: auth0, default_account: t }\n";
    let provisioning = load_text(text, NO_ENV).unwrap().config.provisioning;
    assert_eq!(provisioning.auto_approve.get(&Tier::Poc), Some(&Usd::ZERO));
    assert_eq!(provisioning.auto_approve.get(&Tier::WideOperational), Some(&Usd::from_micros(12_500_000)));
    assert_eq!(provisioning.auto_approve.len(), 2, "a tier that is not listed needs a person");
    let owners = |tier: Tier| provisioning.auto_approve_owner.get(&tier).copied();
    assert_eq!(owners(Tier::WideOperational), Some(Usd::from_dollars(50)), "four times what one project may");
    assert_eq!((owners(Tier::Poc), owners(Tier::LightOperational)), (Some(Usd::ZERO), None));
    assert_eq!(provisioning.auto_approve_unconfirmed, Usd::from_dollars(25));
    let text = "provisioning: { auto_approve_owner: { poc: 75.5 }, auto_approve_unconfirmed: 0 }\n";
    let set = load_text(text, NO_ENV).unwrap().config.provisioning;
    let owners = |tier: Tier| set.auto_approve_owner.get(&tier).copied();
    assert_eq!(owners(Tier::Poc), Some(Usd::from_micros(75_500_000)));
    assert_eq!(owners(Tier::LightOperational), Some(Usd::from_dollars(800)), "a tier that is not listed keeps its own");
    assert_eq!(set.auto_approve_unconfirmed, Usd::ZERO);
    assert_eq!(provisioning.default_target.as_ref().unwrap().cloud.as_str(), "auth0");
    assert_eq!(provisioning.default_for(&"aws".parse().unwrap()).unwrap().account.as_str(), "0123", "spelling is kept");
    let config = Config::default();
    assert!(
        config.server.trusts("10.1.2.3".parse().unwrap()) && config.server.trusts("::ffff:127.0.0.1".parse().unwrap())
    );
    assert!(!config.server.trusts("8.8.8.8".parse().unwrap()));
}

#[test]
fn issuers_are_trusted_with_the_domains_that_are_listed() {
    let trust = |text: &str| load_text(text, NO_ENV).unwrap().config.people.trust;
    assert_eq!(trust("{}\n"), Trust::EveryIssuer);
    let (sso, ann) = ("https://sso.example".parse().unwrap(), "ann@corp.example".parse().unwrap());
    let listed = trust("people: { trusted_issuers: [{ issuer: 'https://sso.example', domains: [Corp.example] }] }\n");
    assert!(listed.covers(&sso, &ann) && !listed.covers(&sso, &"ann@other.example".parse().unwrap()));
    assert!(!trust("people: { trusted_issuers: [] }\n").covers(&sso, &ann), "an empty list trusts no issuer");
}

#[test]
fn mistyped_evidence_is_asked_about() {
    let text = "classification_requirements:\n  light-operational: [runbok_url, our_own_field]\n";
    let loaded = load_text(text, NO_ENV).unwrap();
    assert_eq!(loaded.warnings, ["classification_requirements asks for `runbok_url`; did you mean `runbook_url`?"]);
}

/// The examples load, and the full one names every setting of the file with its default.
#[test]
fn the_examples_load() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !(name.starts_with("asgard") && name.ends_with(".yaml")) {
            continue;
        }
        seen += 1;
        let loaded =
            load(&LoadOptions { file: Some(path), ..LoadOptions::default() }).unwrap_or_else(|p| panic!("{name}: {p}"));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
        if name == "asgard.full.yaml" {
            for setting in &loaded.settings {
                let in_file = matches!(setting.origin, Origin::File { .. });
                // A key in KMS would be the master key, and needs a build that knows KMS; SQLite has no schemas: they are there
                // as comments.
                let commented = matches!(setting.spec.env, Some("ASGARD_KMS_KEY_ID" | "ASGARD_DATABASE_SCHEMA"));
                assert!(
                    in_file || setting.spec.yaml.is_none() || setting.spec.secret || commented,
                    "{} is not in {name}",
                    setting.spec.name()
                );
                if setting.default != "(not set)" && setting.default != "[]" && in_file {
                    assert_eq!(setting.value, setting.default, "{}", setting.spec.name());
                }
            }
        }
    }
    assert!(seen >= 3, "{seen} examples");
}

#[test]
fn a_cluster_arms_provisioning_without_terraform() {
    let text = "provisioning: { aws: { cluster: runs, task_definition: asgard-runner:3, subnets: [subnet-1, subnet-2], assign_public_ip: true } }\n";
    let env = [("ASGARD_FARGATE_SECURITY_GROUPS", "sg-1, sg-2"), ("ASGARD_TF_ALLOWED", "aws:012345678901")];
    let loaded = load_text(text, env).unwrap();
    let provisioning = &loaded.config.provisioning;
    assert!(provisioning.is_armed() && provisioning.terraform.is_none());
    let fargate = provisioning.fargate.as_ref().unwrap();
    assert_eq!((fargate.cluster.as_str(), fargate.container.as_str()), ("runs", "runner"));
    assert_eq!((fargate.subnets.len(), fargate.security_groups.len()), (2, 2));
    assert!(fargate.assign_public_ip);
    assert_eq!(loaded.warnings, Vec::<String>::new());

    let idle = load_text("{}\n", [("ASGARD_FARGATE_SUBNETS", "subnet-1")]).unwrap();
    assert!(!idle.config.provisioning.is_armed());
    assert!(idle.warnings.iter().any(|warning| warning.contains("ASGARD_FARGATE_CLUSTER")), "{:?}", idle.warnings);
}
