//! From settings that are each right to a configuration that is right as a whole.

use super::{
    Audit, Config, Database, DatabaseLocation, Fargate, Governance, KeySource, Keys, Log, Metrics, People,
    Provisioning, Registration, Review, Runs, SecretStoreKind, Secrets, Server, Terraform, Throttle,
    database::RawKeys,
    known::distance,
    notes::Notes,
    people::{RawPeople, TrustedIssuer},
    providers,
    provisioning::{AllowedTarget, RawProvisioning, owners_ceilings},
    reader::Reader,
    section::Section,
    value::{AwsName, EvidenceRules},
    yaml::Content,
};
use crate::{
    domain::person::{Trust, check_password},
    kernel::Email,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Every setting by itself.
pub(super) struct RawConfig {
    server: Server,
    metrics: Metrics,
    log: Log,
    database: Database,
    keys: RawKeys,
    secrets: Secrets,
    people: RawPeople,
    throttle: Throttle,
    registration: Registration,
    governance: Governance,
    review: Review,
    audit: Audit,
    runs: Runs,
    provisioning: RawProvisioning,
}

impl RawConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            server: Server::read(reader),
            metrics: Metrics::read(reader),
            log: Log::read(reader),
            database: Database::read(reader),
            keys: RawKeys::read(reader),
            secrets: Secrets::read(reader),
            people: RawPeople::read(reader),
            throttle: Throttle::read(reader),
            registration: Registration::read(reader),
            governance: Governance::read(reader),
            review: Review::read(reader),
            audit: Audit::read(reader),
            runs: Runs::read(reader),
            provisioning: RawProvisioning::read(reader),
        }
    }
}

/// Judges the settings together. Every rule is looked at even when another failed.
pub(super) fn validate(raw: RawConfig, reader: &mut Reader<'_>, notes: &mut Notes) -> Option<Config> {
    let server = server(raw.server, reader, notes);
    let keys = keys(raw.keys, &raw.database.location, reader);
    database(&raw.database, reader);
    secrets(&raw.secrets, reader);
    let people = people(raw.people, reader, notes);
    registration(&raw.registration, reader);
    evidence(&raw.governance, notes);
    let provisioning = provisioning(raw.provisioning, reader, notes);
    Some(Config {
        server,
        metrics: raw.metrics,
        log: raw.log,
        database: raw.database,
        keys: keys?,
        secrets: raw.secrets,
        people: people?,
        throttle: raw.throttle,
        registration: raw.registration,
        governance: raw.governance,
        review: raw.review,
        audit: raw.audit,
        runs: raw.runs,
        provisioning,
    })
}

fn server(mut server: Server, reader: &mut Reader<'_>, notes: &mut Notes) -> Server {
    if server.dev_insecure && !server.is_loopback() {
        server.dev_insecure = false;
        reader.format_instead("ASGARD_DEV_INSECURE", "false (honoured only on a loopback address)");
        let bind = server.bind;
        notes.warnings.push(format!(
            "ASGARD_DEV_INSECURE is ignored: it is honoured only when listening on a loopback address, and {bind} is not one"
        ));
    }
    server
}

fn database(raw: &Database, reader: &mut Reader<'_>) {
    let has_schemas = matches!(raw.location, DatabaseLocation::Postgres { .. });
    if raw.schema.is_some() && !has_schemas {
        let reason =
            "only a PostgreSQL database has schemas; unset it, or set ASGARD_DATABASE_URL to a PostgreSQL database";
        reader.blame("database.schema", reason);
    }
}

fn keys(raw: RawKeys, database: &DatabaseLocation, reader: &mut Reader<'_>) -> Option<Keys> {
    const LOCAL: &str = "provisioning.secrets.master_key_hex";
    const KMS: &str = "provisioning.secrets.kms_key_id";
    const PREVIOUS: &str = "provisioning.secrets.previous_master_keys_hex";
    const PREVIOUS_KMS: &str = "provisioning.secrets.previous_kms_key_ids";
    let (local, kms) = (reader.is_set(LOCAL), reader.is_set(KMS));
    if !cfg!(feature = "aws") {
        for (name, _) in [(KMS, kms), (PREVIOUS_KMS, !raw.previous_kms.is_empty())].into_iter().filter(|(_, set)| *set)
        {
            let reason =
                "AWS KMS needs the `aws` feature, which is not part of this build; unset it and set ASGARD_SECRET_KEY";
            reader.blame(name, reason);
        }
    }
    if local && kms {
        let reason = "set together with ASGARD_SECRET_KEY, and there is one master key. To move to KMS, keep \
                      ASGARD_KMS_KEY_ID and give the old key as ASGARD_SECRET_KEY_PREVIOUS; to move away from KMS, keep \
                      ASGARD_SECRET_KEY and give the KMS key as ASGARD_KMS_KEY_ID_PREVIOUS";
        reader.blame(KMS, reason);
        return None;
    }
    let source = match (raw.current, raw.kms, database) {
        (Some(key), _, _) => KeySource::Given(key),
        (None, Some(key), _) => KeySource::Kms(key),
        // It was set and it was bad, which has been said. Nothing else may stand in for it.
        (None, None, _) if local || kms => return None,
        (None, None, DatabaseLocation::Sqlite { path }) => {
            let mut file = path.clone().into_os_string();
            file.push(".key");
            KeySource::GeneratedFile { path: PathBuf::from(file) }
        }
        (None, None, DatabaseLocation::Postgres { .. } | DatabaseLocation::DynamoDb { .. }) => {
            let reason = "needed with PostgreSQL and DynamoDB: 64 hex digits, the same for every replica. Make them with \
                          `openssl rand -hex 32` and keep them as carefully as the database. Or set ASGARD_KMS_KEY_ID";
            reader.problems.outside("ASGARD_SECRET_KEY", reason);
            return None;
        }
    };
    if let KeySource::GeneratedFile { .. } = &source {
        for (name, none) in [(PREVIOUS, raw.previous.is_empty()), (PREVIOUS_KMS, raw.previous_kms.is_empty())] {
            if !none {
                let reason = "set without ASGARD_SECRET_KEY or ASGARD_KMS_KEY_ID; previous keys only make sense beside the \
                              present one";
                reader.blame(name, reason);
            }
        }
    }
    Some(Keys { source, previous: raw.previous, previous_kms: raw.previous_kms })
}

fn secrets(secrets: &Secrets, reader: &mut Reader<'_>) {
    if secrets.store == SecretStoreKind::SecretsManager && !cfg!(feature = "aws") {
        let reason = "AWS Secrets Manager needs the `aws` feature, which is not part of this build; use `sealed`";
        reader.blame("provisioning.secrets.store", reason);
    }
}

fn people(raw: RawPeople, reader: &mut Reader<'_>, notes: &mut Notes) -> Option<People> {
    if raw.disable_local_login {
        reader.format_instead("people.disable_local_login", "false (ignored without single sign-on)");
        notes.errors.push(
            "ASGARD_DISABLE_LOCAL_LOGIN is ignored: single sign-on is not configured, so nobody could sign in"
                .to_owned(),
        );
    }
    let admin_user = raw.admin_user.or_else(|| "admin".parse().ok())?;
    let guess = || -> Option<Email> {
        admin_user.as_str().parse().ok().or_else(|| format!("{admin_user}@localhost").parse().ok())
    };
    let Some(admin_email) = raw.admin_email.or_else(guess) else {
        let reason = format!("needed, because no address can be made from the username {admin_user}");
        reader.problems.outside("people.admin_email", reason);
        return None;
    };
    // Before anything is made for a server that would refuse to start with it.
    if let Some(Err(refused)) = raw.admin_password.as_ref().map(|password| check_password(password, &admin_user)) {
        reader.blame("ASGARD_ADMIN_PASSWORD", refused.message().to_owned());
    }
    let trust = trust(raw.trusted_issuers, reader);
    Some(People {
        trust,
        admin_user,
        admin_email,
        admin_password: raw.admin_password,
        session_hours: raw.session_hours,
        session_idle_minutes: raw.session_idle_minutes,
        token_days: raw.token_days,
        key_adoption_days: raw.key_adoption_days,
    })
}

fn trust(listed: Option<Vec<TrustedIssuer>>, reader: &mut Reader<'_>) -> Trust {
    const NAME: &str = "people.trusted_issuers";
    let Some(listed) = listed else { return Trust::EveryIssuer };
    let mut issuers = BTreeMap::new();
    for TrustedIssuer { issuer, domains } in listed {
        if issuer.is_local() {
            reader.blame(
                NAME,
                "the issuer `local` is Asgard itself, whose accounts nobody else vouches for; leave it out".to_owned(),
            );
        }
        if domains.is_empty() {
            reader.blame(NAME, format!("{issuer} needs at least one domain; leave it out to trust it with none"));
        }
        if issuers.insert(issuer.clone(), domains.into_iter().collect()).is_some() {
            reader.blame(NAME, format!("{issuer} is given twice; list all its domains in one entry"));
        }
    }
    Trust::Listed(issuers)
}

fn registration(registration: &Registration, reader: &mut Reader<'_>) {
    let mut seen = BTreeSet::new();
    for group in &registration.groups {
        if !seen.insert(&group.key) {
            reader.blame("groups", format!("the key {} is given twice", group.key));
        }
        if registration.require_cost_center && group.cost_center.is_none() {
            let reason = format!("{} needs a cost_center, because registration.require_cost_center is true", group.key);
            reader.blame("groups", reason);
        }
    }
    if registration.require_cost_center && registration.is_open_mode() {
        let reason = "needs groups: a project's cost centre is that of its group, and no group is configured";
        reader.blame("registration.require_cost_center", reason);
    }
}

fn evidence(governance: &Governance, notes: &mut Notes) {
    for field in governance.classification_requirements.fields() {
        if EvidenceRules::known_fields().any(|known| known == field) {
            continue;
        }
        if let Some(near) = EvidenceRules::known_fields().find(|known| distance(known, field) <= 2) {
            notes.warnings.push(format!("classification_requirements asks for `{field}`; did you mean `{near}`?"));
        }
    }
}

fn provisioning(raw: RawProvisioning, reader: &mut Reader<'_>, notes: &mut Notes) -> Provisioning {
    let mut seen = BTreeSet::new();
    for target in &raw.allowed {
        if !seen.insert((&target.cloud, &target.account, &target.region)) {
            let reason = format!("{}:{} is given twice", target.cloud, target.account);
            reader.blame("provisioning.allowed", reason);
        }
        // Accepting the role and running without it would use wider rights than the operator meant to give.
        let refused = match (&target.credentials, target.cloud.as_str()) {
            (None, _) => None,
            (Some(_), "aws") if cfg!(feature = "aws") => None,
            (Some(_), "aws") => Some(format!(
                "assuming a role needs the `aws` feature, which is not part of this build; leave `credentials` of aws:{} out",
                target.account
            )),
            (Some(_), cloud) => Some(format!("credentials are only for the cloud aws, not for {cloud}")),
        };
        if let Some(reason) = refused {
            reader.blame("provisioning.allowed", reason);
        }
    }
    let default_target = default_target(&raw, reader);
    let fargate = fargate(&raw, reader, notes);
    let terraform = terraform(&raw, fargate.is_some(), reader, notes);
    let provider_env = providers::gather(reader, notes);
    Provisioning {
        allowed: raw.allowed,
        default_target,
        auto_approve_owner: owners_ceilings(raw.auto_approve_owner, &raw.auto_approve),
        auto_approve: raw.auto_approve,
        auto_approve_unconfirmed: raw.auto_approve_unconfirmed,
        services_dir: raw.services_dir,
        terraform,
        fargate,
        provider_env,
    }
}

fn default_target(raw: &RawProvisioning, reader: &mut Reader<'_>) -> Option<AllowedTarget> {
    match (&raw.default_cloud, &raw.default_account) {
        (None, None) => raw.allowed.first().cloned(),
        (Some(cloud), Some(account)) => {
            let target = raw.allowed.iter().find(|target| target.cloud == *cloud && target.account == *account);
            if target.is_none() {
                let reason = format!("{cloud}:{account} is not one of provisioning.allowed");
                reader.blame("provisioning.default_cloud", reason);
            }
            target.cloned()
        }
        (Some(_), None) => {
            reader.blame("provisioning.default_cloud", "set without default_account; set both or neither");
            None
        }
        (None, Some(_)) => {
            reader.blame("provisioning.default_account", "set without default_cloud; set both or neither");
            None
        }
    }
}

/// Armed by a cluster.
fn fargate(raw: &RawProvisioning, reader: &mut Reader<'_>, notes: &mut Notes) -> Option<Fargate> {
    const OTHERS: [&str; 5] = ["task_definition", "container", "subnets", "security_groups", "assign_public_ip"];
    let text = |name: &AwsName| name.as_str().to_owned();
    let Some(cluster) = &raw.fargate_cluster else {
        for name in OTHERS.map(|name| format!("provisioning.aws.{name}")) {
            if reader.is_set(&name) {
                let hint = "ASGARD_FARGATE_CLUSTER or provisioning.aws.cluster arms it";
                notes.warnings.push(format!("{name} is set, but runs are not carried out on Fargate: {hint}"));
            }
        }
        return None;
    };
    if raw.fargate_task_definition.is_none() {
        let reason = "set without a task definition: set ASGARD_FARGATE_TASK_DEFINITION or provisioning.aws.task_definition, too";
        reader.blame("provisioning.aws.cluster", reason);
    }
    if !(1..=16).contains(&raw.fargate_subnets.len()) {
        let reason = "needs 1 to 16 subnets: set ASGARD_FARGATE_SUBNETS or provisioning.aws.subnets";
        reader.blame("provisioning.aws.cluster", reason);
    }
    if raw.fargate_security_groups.len() > 5 {
        reader.blame("provisioning.aws.security_groups", "more than 5, which is as many as a task may have");
    }
    Some(Fargate {
        cluster: text(cluster),
        task_definition: raw.fargate_task_definition.as_ref().map(text)?,
        container: text(&raw.fargate_container),
        subnets: raw.fargate_subnets.iter().map(text).collect(),
        security_groups: raw.fargate_security_groups.iter().map(text).collect(),
        assign_public_ip: raw.fargate_public_ip,
    })
}

/// Armed by a `terraform` block or by ASGARD_TF_MODULES_DIR.
fn terraform(raw: &RawProvisioning, fargate: bool, reader: &mut Reader<'_>, notes: &mut Notes) -> Option<Terraform> {
    const BLOCK: &str = "provisioning.terraform";
    let block = reader.root.and_then(|root| root.at(BLOCK));
    if let Some((line, _)) = block.filter(|(_, node)| matches!(node.content, Content::Null)) {
        let reason = "empty; write `terraform: {}` to arm provisioning with the defaults, or remove it";
        reader.problems.at_line(line, BLOCK, reason);
    }
    if block.is_none() && raw.modules_dir.is_none() {
        let idle: &[&str] = if fargate { &[] } else { &["ASGARD_TF_ALLOWED", "ASGARD_TF_WORK_DIR", "ASGARD_TF_BIN"] };
        for name in idle.iter().copied() {
            if reader.settings.iter().any(|s| s.spec.env == Some(name) && s.origin.to_string().starts_with(name)) {
                let hint = "provisioning is armed by ASGARD_TF_MODULES_DIR or a provisioning.terraform block";
                notes.warnings.push(format!("{name} is set, but provisioning is not armed: {hint}"));
            }
        }
        return None;
    }
    let scratch = || {
        let folder = reader.environment.get("TMPDIR").map_or("/tmp", |folder| folder.reveal());
        PathBuf::from(folder).join("asgard-tf")
    };
    Some(Terraform {
        bin: raw.bin.clone(),
        modules_dir: raw.modules_dir.clone(),
        work_dir: raw.work_dir.clone().unwrap_or_else(scratch),
        provider_mirror: raw.provider_mirror.clone(),
        readable: raw.readable.clone(),
        accept_instance_role: raw.accept_instance_role,
        instance_metadata: raw.instance_metadata,
        timeout_secs: raw.timeout_secs,
        concurrency: raw.concurrency,
    })
}
