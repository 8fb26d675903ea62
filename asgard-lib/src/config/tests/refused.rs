use super::*;

/// A file, and all that is said about it.
#[test]
fn files_that_are_refused() {
    let too_deep = format!("groups: {}{}", "[".repeat(40), "]".repeat(40));
    let cases: &[(&str, &str)] = &[
        (
            "provisioning:\n  auto_aprove: {}\n",
            "asgard.yaml:2: provisioning.auto_aprove: unknown key; allowed here: allowed, auto_approve, auto_approve_owner, \
             auto_approve_unconfirmed, aws, default_account, default_cloud, secrets, services_dir, terraform",
        ),
        (
            "sever: {}\n",
            "asgard.yaml:1: sever: unknown key; allowed here: audit, classification_requirements, database, governance, \
             groups, lease_ttl_secs, log, metrics, people, provisioning, reconcile_secs, registration, review, server, trusted_proxies",
        ),
        (
            "review: [1]\n",
            "asgard.yaml:1: review: not a map; allowed here: auto_extensions, poc_window_days, sweep_secs",
        ),
        (
            "- 1\n",
            "asgard.yaml:1: not a map; allowed here: audit, classification_requirements, database, governance, \
             groups, lease_ttl_secs, log, metrics, people, provisioning, reconcile_secs, registration, review, server, trusted_proxies",
        ),
        (
            "lease_ttl_secs: 59\nreconcile_secs: 1e3\n",
            "asgard.yaml:1: lease_ttl_secs: `59` is not allowed; allowed here: a whole number from 60 to 86400 seconds\n\
             asgard.yaml:2: reconcile_secs: `1e3` is not allowed; allowed here: a whole number from 5 to 86400 seconds",
        ),
        (
            "registration:\n  require_manager: maybe\n  require_group: [true]\n",
            "asgard.yaml:2: registration.require_manager: `maybe` is not allowed; allowed here: true, false, 1 or 0\n\
             asgard.yaml:3: registration.require_group: a list is not allowed; allowed here: true, false, 1 or 0",
        ),
        (
            "groups:\n  - { key: platform, display_name: Platform }\n  - { kee: x, key: Bad Key, display_name: X }\n  - {}\n",
            "asgard.yaml:3: groups[1].kee: unknown key; allowed here: key, display_name, cost_center\n\
             asgard.yaml:3: groups[1].key: `Bad Key` is not allowed; allowed here: 1 to 63 of a-z, 0-9 and -, starting with a \
             letter and not ending with -\n\
             asgard.yaml:4: groups[2]: `display_name` is missing: 1 to 120 characters on one line, none of them invisible \
             or turning the direction of text\n\
             asgard.yaml:4: groups[2]: `key` is missing: 1 to 63 of a-z, 0-9 and -, starting with a letter and not ending with -",
        ),
        (
            "groups:\n  - { key: a, display_name: A }\n  - { key: a, display_name: B }\n",
            "asgard.yaml:1: groups: the key a is given twice",
        ),
        (
            "people:\n  trusted_issuers:\n  - { issuer: local, domains: [a.example] }\n  - { issuer: x, domains: [] }\n  - { issuer: x, domains: [a.example] }\n",
            "asgard.yaml:2: people.trusted_issuers: the issuer `local` is Asgard itself, whose accounts nobody else vouches for; leave it out\n\
             asgard.yaml:2: people.trusted_issuers: x is given twice; list all its domains in one entry\n\
             asgard.yaml:2: people.trusted_issuers: x needs at least one domain; leave it out to trust it with none",
        ),
        (
            "groups: platform\n",
            "asgard.yaml:1: groups: not a list; allowed here: a list, each entry a map of key, display_name, cost_center",
        ),
        (
            "registration: { require_cost_center: true }\ngroups:\n  - { key: a, display_name: A }\n",
            "asgard.yaml:2: groups: a needs a cost_center, because registration.require_cost_center is true",
        ),
        (
            "registration: { require_cost_center: true }\n",
            "asgard.yaml:1: registration.require_cost_center: needs groups: a project's cost centre is that of its group, and no group is configured",
        ),
        (
            "classification_requirements:\n  poc: [a]\n  wide-operational: [Bad]\n",
            "asgard.yaml:2: classification_requirements.poc: unknown key; allowed here: light-operational, wide-operational, \
             critical-path\n\
             asgard.yaml:3: classification_requirements.wide-operational[0]: `Bad` is not allowed; allowed here: the name of a \
             piece of evidence: 1 to 64 of a-z, 0-9 and _, starting with a letter",
        ),
        (
            "provisioning:\n  auto_approve:\n    pocc: 5\n    poc: -1\n    wide-operational:\n",
            "asgard.yaml:3: provisioning.auto_approve.pocc: unknown key; allowed here: poc, light-operational, wide-operational \
             or critical-path\n\
             asgard.yaml:4: provisioning.auto_approve.poc: `-1` is not allowed; allowed here: dollars from 0 to 1000000000 with \
             at most six decimals\n\
             asgard.yaml:5: provisioning.auto_approve.wide-operational: has no value; allowed here: dollars from 0 to \
             1000000000 with at most six decimals",
        ),
        (
            "provisioning:\n  auto_approve_owner:\n    pocc: 5\n    poc: -1\n  auto_approve_unconfirmed: much\n",
            "asgard.yaml:3: provisioning.auto_approve_owner.pocc: unknown key; allowed here: poc, light-operational, \
             wide-operational or critical-path\n\
             asgard.yaml:4: provisioning.auto_approve_owner.poc: `-1` is not allowed; allowed here: dollars from 0 to \
             1000000000 with at most six decimals\n\
             asgard.yaml:5: provisioning.auto_approve_unconfirmed: `much` is not allowed; allowed here: dollars from 0 to \
             1000000000 with at most six decimals",
        ),
        (
            "provisioning:\n  allowed:\n    - aws\n    - { cloud: auth0, account: t, credentials: 'arn:aws:iam::123456789012:role/x' }\n    - { cloud: aws, account: '1', credentials: key }\n",
            "asgard.yaml:3: provisioning.allowed[0]: `aws` is not allowed; allowed here: cloud:account, \
             cloud:account=role, or a map of cloud, account, region, credentials\n\
             asgard.yaml:5: provisioning.allowed[2].credentials: `key` is not allowed; allowed here: the ARN of a role, for \
             example arn:aws:iam::123456789012:role/asgard",
        ),
        (
            "provisioning:\n  allowed:\n    - { cloud: auth0, account: t, credentials: 'arn:aws:iam::123456789012:role/x' }\n    - { cloud: aws, account: '2', credentials: 'arn:aws:iam::123456789012:role/x' }\n    - auth0:u\n    - auth0:u\n  default_cloud: aws\n  default_account: '1'\n",
            "asgard.yaml:2: provisioning.allowed: auth0:u is given twice\n\
             asgard.yaml:2: provisioning.allowed: credentials are only for the cloud aws, not for auth0\n\
             asgard.yaml:7: provisioning.default_cloud: aws:1 is not one of provisioning.allowed",
        ),
        (
            "provisioning: { default_cloud: aws }\n",
            "asgard.yaml:1: provisioning.default_cloud: set without default_account; set both or neither",
        ),
        (
            "provisioning:\n  terraform:\n",
            "asgard.yaml:2: provisioning.terraform: empty; write `terraform: {}` to arm provisioning with the defaults, or remove it",
        ),
        (
            "sources: []\ngateway:\nrate_limits: {}\nprovisioning:\n  aws: { x: 1 }\n",
            "asgard.yaml:1: sources: the catalogue of source repositories is not part of this build; remove it\n\
             asgard.yaml:2: gateway: the model gateway is not part of this build; remove it\n\
             asgard.yaml:3: rate_limits: rate limiting of the model gateway is not part of this build; remove it\n\
             asgard.yaml:5: provisioning.aws.x: unknown key; allowed here: assign_public_ip, cluster, container, \
             security_groups, subnets, task_definition",
        ),
        (
            "server:\n  bind: everywhere\n  public_url: asgard.example.com/x\n  max_connections: 0\n",
            "asgard.yaml:2: server.bind: `everywhere` is not allowed; allowed here: an address and a port, for example \
             0.0.0.0:8080, [::1]:8080 or localhost:8080\n\
             asgard.yaml:3: server.public_url: `asgard.example.com/x` is not allowed; allowed here: a scheme and a host, \
             and perhaps a path, for example https://asgard.example.com or https://example.com/governance\n\
             asgard.yaml:4: server.max_connections: `0` is not allowed; allowed here: a whole number from 1 to 1000000 connections",
        ),
        (
            "trusted_proxies: [10.0.0.0/33]\n",
            "asgard.yaml:1: trusted_proxies[0]: `10.0.0.0/33` is not allowed; allowed here: a network such as 10.0.0.0/8, or one address",
        ),
        (
            "people: { admin_email: ann }\n",
            "asgard.yaml:1: people.admin_email: `ann` is not allowed; allowed here: an address such as name@example.com, at most 254 characters",
        ),
        ("log: { format: xml }\n", "asgard.yaml:1: log.format: `xml` is not allowed; allowed here: text or json"),
        ("review:\n  sweep_secs: 60\n  sweep_secs: 70\n", "asgard.yaml:3: `sweep_secs` is given twice"),
        ("groups: [\nreview: {}\n", "asgard.yaml:1: not valid YAML: unclosed bracket '['"),
        ("log: {}\nreview: a: b\n", "asgard.yaml:2: not valid YAML: mapping values are not allowed in this context"),
        ("a: &x 1\nb: *x\n", "asgard.yaml:1: anchors (`&name`) and aliases (`*name`) are not supported"),
        ("review: {}\n---\nreview: {}\n", "asgard.yaml:2: only one document is allowed in a file"),
        ("<<: {}\n", "asgard.yaml:1: not valid YAML: YAML merge keys are not allowed by configured policy"),
        (&too_deep, "asgard.yaml:1: nested more than 16 levels deep"),
        ("lease_ttl_secs: !mine 60\n", "asgard.yaml:1: not valid YAML: unsupported tag `!mine`"),
    ];
    for (text, expected) in cases {
        let said = load_text(text, NO_ENV).map(|_| String::new()).unwrap_or_else(|problems| problems);
        assert_eq!(&said, expected, "{text}");
    }
}

/// An environment, and all that is said about it.
#[test]
fn environments_that_are_refused() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("ASGARD_FARGATE_CLUSTER", "runs")],
            "ASGARD_FARGATE_CLUSTER: needs 1 to 16 subnets: set ASGARD_FARGATE_SUBNETS or provisioning.aws.subnets\n\
             ASGARD_FARGATE_CLUSTER: set without a task definition: set ASGARD_FARGATE_TASK_DEFINITION or \
             provisioning.aws.task_definition, too",
        ),
        (
            &[("ASGARD_FARGATE_CONTAINER", "a b")],
            "ASGARD_FARGATE_CONTAINER: `a b` is not allowed; allowed here: a name, an id or an ARN as AWS shows it: 1 to 512 \
             letters, digits, `.`, `_`, `:`, `/`, `-`",
        ),
        (
            &[("ASGARD_BIND", "8080"), ("ASGARD_LOG_FORMAT", "xml"), ("ASGARD_FORCE_HTTPS", "yes")],
            "ASGARD_BIND: `8080` is not allowed; allowed here: an address and a port, for example 0.0.0.0:8080, [::1]:8080 or \
             localhost:8080\n\
             ASGARD_FORCE_HTTPS: `yes` is not allowed; allowed here: true, false, 1 or 0\n\
             ASGARD_LOG_FORMAT: `xml` is not allowed; allowed here: text or json",
        ),
        (
            &[("ASGARD_DATABASE_URL", "postgres://u:hunter2@db/asgard")],
            "ASGARD_SECRET_KEY: needed with PostgreSQL and DynamoDB: 64 hex digits, the same for every replica. Make them with `openssl \
             rand -hex 32` and keep them as carefully as the database. Or set ASGARD_KMS_KEY_ID",
        ),
        (
            &[("ASGARD_DATABASE_SCHEMA", "asgard")],
            "ASGARD_DATABASE_SCHEMA: only a PostgreSQL database has schemas; unset it, or set ASGARD_DATABASE_URL to a PostgreSQL \
             database",
        ),
        (
            &[
                ("ASGARD_DATABASE_URL", "postgres://db/asgard"),
                ("ASGARD_DATABASE_SCHEMA", "my schema"),
                ("ASGARD_SECRET_KEY", KEY),
            ],
            "ASGARD_DATABASE_SCHEMA: `my schema` is not allowed; allowed here: 1 to 63 lower-case letters, digits and `_`, not \
             starting with a digit or `pg_`",
        ),
        (
            &[("ASGARD_SECRET_KEY", "hunter2")],
            "ASGARD_SECRET_KEY: the value is not allowed; allowed here: 64 hex digits (make them with `openssl rand -hex 32`)",
        ),
        (
            // A bad key is not a missing key: it is said once, and nothing stands in for it.
            &[("ASGARD_DATABASE_URL", "postgres://db/asgard"), ("ASGARD_SECRET_KEY", "hunter2")],
            "ASGARD_SECRET_KEY: the value is not allowed; allowed here: 64 hex digits (make them with `openssl rand -hex 32`)",
        ),
        (
            &[("ASGARD_SECRET_KEY_PREVIOUS", KEY)],
            "ASGARD_SECRET_KEY_PREVIOUS: set without ASGARD_SECRET_KEY or ASGARD_KMS_KEY_ID; previous keys only make sense beside \
             the present one",
        ),
        (
            &[("ASGARD_SECRET_KEY", KEY), ("ASGARD_SECRET_KEY_PREVIOUS", "hunter2")],
            "ASGARD_SECRET_KEY_PREVIOUS: the value is not allowed; allowed here: 64 hex digits (make them with `openssl rand \
             -hex 32`), separated by commas",
        ),
        (
            &[("ASGARD_DATABASE_URL", "mysql://u:hunter2@db/asgard")],
            "ASGARD_DATABASE_URL: the value is not allowed; allowed here: sqlite://path/to/file, \
             postgres://user:password@host:port/database or dynamodb://table?region=eu-west-1",
        ),
        (
            &[("ASGARD_DATABASE_URL", "dynamodb://a?region=eu-west-1")],
            "ASGARD_DATABASE_URL: a table's name is 3 to 255 letters, digits, `_`, `-` and `.`",
        ),
        (
            &[("ASGARD_DATABASE_URL", "sqlite://")],
            "ASGARD_DATABASE_URL: the path of the SQLite file is missing, for example sqlite://asgard.db",
        ),
        (
            &[("ASGARD_DATABASE_URL", "sqlite::memory:")],
            "ASGARD_DATABASE_URL: a database in memory cannot be shared with the processes that run Terraform; use a file, for \
             example sqlite://asgard.db",
        ),
        (
            &[("ASGARD_DATABASE_URL", "sqlite://a.db?mode=rwc")],
            "ASGARD_DATABASE_URL: a SQLite database takes no parameters after `?`",
        ),
        (
            &[("ASGARD_OIDC_DOMAIN", "corp.example")],
            "ASGARD_OIDC_DOMAIN: single sign-on is not part of this build; unset it to start with local users",
        ),
        (
            &[("ASGARD_SECRET_KEY", KEY), ("ASGARD_SECRET_KEY_SECRET_ARN", "arn:aws:secretsmanager:x")],
            "ASGARD_SECRET_KEY: ASGARD_SECRET_KEY and ASGARD_SECRET_KEY_SECRET_ARN are both set; set one of them",
        ),
        (
            &[("ASGARD_METRICS_TOKEN", "hunter2"), ("ASGARD_METRICS_TOKEN_FILE", "/nowhere")],
            "ASGARD_METRICS_TOKEN: ASGARD_METRICS_TOKEN and ASGARD_METRICS_TOKEN_FILE are both set; set one of them",
        ),
        (&[("ASGARD_ADMIN_PASSWORD", "hunter2")], "ASGARD_ADMIN_PASSWORD: A password has 12 to 200 characters."),
        (
            &[("ASGARD_ADMIN_USER", "hunter2hunter2"), ("ASGARD_ADMIN_PASSWORD", "Hunter2hunter2")],
            "ASGARD_ADMIN_PASSWORD: A password must not be the username.",
        ),
        (
            &[("ASGARD_ADMIN_PASSWORD_FILE", "/nowhere/hunter2")],
            "ASGARD_ADMIN_PASSWORD_FILE: the file that it names cannot be read: No such file or directory (os error 2)",
        ),
        (
            &[("AUTH0_CLIENT_SECRET", "hunter2"), ("AUTH0_CLIENT_SECRET_FILE", "/nowhere")],
            "AUTH0_CLIENT_SECRET: AUTH0_CLIENT_SECRET and AUTH0_CLIENT_SECRET_FILE are both set; set one of them",
        ),
        (
            &[("ASGARD_TF_ALLOWED", "auth0:tenant, aws")],
            "ASGARD_TF_ALLOWED: `aws` is not allowed; allowed here: cloud:account, cloud:account=role, or a map of cloud, \
             account, region, credentials, separated by commas",
        ),
        (
            &[("ASGARD_ADMIN_USER", "a@b@c")],
            "people.admin_email: needed, because no address can be made from the username a@b@c",
        ),
        (
            &[("ASGARD_SYSTEM_NAME", "0123456789012345678901234567890123456789012345678901234567890")],
            "ASGARD_SYSTEM_NAME: `012345678901234567890123456789012345678901234567890123456789...` is not allowed; allowed here: \
             1 to 60 characters on one line",
        ),
        (
            &[("ASGARD_CONFIG", "/nowhere/asgard.yaml")],
            "/nowhere/asgard.yaml: cannot be read: No such file or directory (os error 2)",
        ),
    ];
    for (env, expected) in cases {
        let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        let said = load(&LoadOptions { env, ..LoadOptions::default() })
            .map_or_else(|problems| problems.to_string(), |_| String::new());
        assert_eq!(&said, expected);
        assert!(!said.contains("hunter2"));
    }
}

/// The file and the environment are judged together, and a bad value in the file refuses even where a variable wins.
#[test]
fn all_problems_are_said_at_once_in_order() {
    let text =
        "lease_ttl_secs: 1\nserver: { bind: x, nme: y }\nprovisioning: { secrets: { master_key_hex: hunter2 } }\n";
    let said = load_text(text, [("ASGARD_BIND", "localhost:1"), ("ASGARD_LOG_FORMAT", "xml")]).unwrap_err();
    assert_eq!(
        said,
        "asgard.yaml:1: lease_ttl_secs: `1` is not allowed; allowed here: a whole number from 60 to 86400 seconds\n\
         asgard.yaml:2: server.bind: `x` is not allowed; allowed here: an address and a port, for example 0.0.0.0:8080, \
         [::1]:8080 or localhost:8080\n\
         asgard.yaml:2: server.nme: unknown key; allowed here: bind, force_https, max_body_bytes, max_connections, \
         max_connections_per_peer, mcp_url, public_url, request_timeout_secs, shutdown_grace_secs, system_name\n\
         asgard.yaml:3: provisioning.secrets.master_key_hex: the value is not allowed; allowed here: 64 hex digits (make them \
         with `openssl rand -hex 32`)\n\
         ASGARD_LOG_FORMAT: `xml` is not allowed; allowed here: text or json"
    );
}

#[test]
fn files_of_secrets_are_bounded_and_lose_the_newlines_at_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let read = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        let loaded = load_env([("ASGARD_METRICS_TOKEN_FILE", file.to_str().unwrap())])?;
        Ok::<_, String>(loaded.config.metrics.token.unwrap().reveal().to_owned())
    };
    assert_eq!(read(b"pass\n").unwrap(), "pass");
    assert_eq!(read(b"pass\r\n").unwrap(), "pass");
    assert_eq!(read(b" pass\n\r\n\n").unwrap(), " pass");
    assert_eq!(
        read(b"pass\nword\n").unwrap_err(),
        "ASGARD_METRICS_TOKEN_FILE: the value is not allowed; allowed here: 1 to 65536 characters on one line"
    );
    assert_eq!(read(&[b'x'; 65_536]).unwrap().len(), 65_536);
    assert_eq!(
        read(&[b'x'; 65_537]).unwrap_err(),
        "ASGARD_METRICS_TOKEN_FILE: the file that it names is larger than 65536 bytes"
    );
    assert_eq!(read(b"\n").unwrap_err(), "ASGARD_METRICS_TOKEN_FILE: the file that it names is empty");
    assert_eq!(read(b"\xff").unwrap_err(), "ASGARD_METRICS_TOKEN_FILE: the file that it names is not UTF-8 text");
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep_block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let huge = format!("groups: [{}]", "1,".repeat(400_000));
    let large = "#".repeat(1024 * 1024 + 1);
    let wide = format!("groups: [{}]", "a:b,".repeat(1001));
    for (text, expected) in [
        (deep_block.as_str(), "asgard.yaml:17: nested more than 16 levels deep"),
        (&huge, "asgard.yaml:1: too many values for a file of settings"),
        (&large, "asgard.yaml: larger than 1048576 bytes"),
        (&wide, "asgard.yaml:1: groups: more than 1000 entries"),
    ] {
        assert_eq!(load_text(text, NO_ENV).unwrap_err(), expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let said =
        load(&LoadOptions { file: Some(folder.path().to_owned()), ..LoadOptions::default() }).unwrap_err().to_string();
    assert!(said.ends_with("cannot be read: Is a directory (os error 21)"), "{said}");
}
