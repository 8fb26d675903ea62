//! Every refusal with its full message, everything that the guide and the runbooks write, and that no secret is ever shown.

mod accepted;
mod aws;
mod deployments;
mod refused;
mod secrets;

use super::*;
use std::ffi::OsString;

/// Loads a file of this text under this environment. In problems and origins the file is `asgard.yaml`.
fn load_text<E: IntoIterator<Item = (K, V)>, K: Into<OsString>, V: Into<OsString>>(
    text: &str,
    env: E,
) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asgard.yaml");
    std::fs::write(&file, text).unwrap();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let shorten = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    load(&LoadOptions { file: Some(file), env, ..LoadOptions::default() })
        .map(|mut loaded| {
            for setting in &mut loaded.settings {
                if let Origin::File { name, .. } = &mut setting.origin {
                    *name = shorten(std::mem::take(name));
                }
            }
            loaded
        })
        .map_err(|problems| shorten(problems.to_string()))
}

/// Loads this environment without a file.
fn load_env<const N: usize>(env: [(&str, &str); N]) -> Result<Loaded, String> {
    load(&LoadOptions { env: env.into(), ..LoadOptions::default() }).map_err(|problems| problems.to_string())
}

const NO_ENV: [(&str, &str); 0] = [];
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Each setting has a meaning, a chapter and a name of its own; each variable of the contract is known.
#[test]
fn the_registry_is_whole() {
    let settings = load(&LoadOptions::default()).unwrap().settings;
    let mut names = std::collections::BTreeSet::new();
    for setting in &settings {
        let spec = &setting.spec;
        assert!(spec.meaning.trim().ends_with('.'), "{} has no meaning", spec.name());
        assert!(spec.yaml.is_some() || spec.env.is_some(), "a setting that cannot be set");
        for name in [spec.yaml, spec.env].into_iter().flatten() {
            assert!(names.insert(name), "{name} is declared twice");
        }
    }
    let page = reference();
    assert!(!page.contains("## Other"), "a setting without a chapter");
    for name in CONTRACT.split_whitespace() {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}

const CONTRACT: &str = "
    ASGARD_DATABASE_URL ASGARD_BIND ASGARD_SECRET_KEY ASGARD_SYSTEM_NAME ASGARD_ADMIN_USER ASGARD_ADMIN_PASSWORD
    ASGARD_OIDC_DOMAIN ASGARD_OIDC_CLIENT_ID ASGARD_OIDC_CLIENT_SECRET ASGARD_OIDC_REDIRECT_URI ASGARD_OIDC_SCOPES
    ASGARD_OIDC_ADMIN_GROUPS ASGARD_OIDC_FINANCE_GROUPS ASGARD_OIDC_GROUPS_CLAIM ASGARD_ADMIN_EMAILS
    ASGARD_DISABLE_LOCAL_LOGIN ASGARD_DEV_INSECURE ASGARD_FORCE_HTTPS ASGARD_TF_BIN ASGARD_TF_MODULES_DIR ASGARD_TF_WORK_DIR
    ASGARD_TF_PROVIDER_MIRROR
    ASGARD_TF_ALLOWED ASGARD_GIT_TOKEN ASGARD_GUARDRAIL_MODE AUTH0_DOMAIN AUTH0_CLIENT_ID AUTH0_CLIENT_SECRET
    ASGARD_KMS_KEY_ID ASGARD_KMS_KEY_ID_PREVIOUS ASGARD_SECRET_STORE ASGARD_SECRET_STORE_PATH ASGARD_METRICS_TOKEN ASGARD_LOG ASGARD_LOG_FORMAT ASGARD_PUBLIC_URL ASGARD_MCP_URL
    ASGARD_CONFIG ASGARD_CONFIG_SECRET_ARN
    groups registration.require_manager registration.require_group registration.require_cost_center
    classification_requirements review.poc_window_days review.auto_extensions review.sweep_secs governance.maintainer_min
    lease_ttl_secs reconcile_secs sources provisioning.default_cloud provisioning.default_account provisioning.allowed
    provisioning.auto_approve provisioning.services_dir provisioning.terraform.bin provisioning.terraform.modules_dir
    provisioning.terraform.work_dir provisioning.terraform.timeout_secs provisioning.terraform.concurrency
    provisioning.secrets.master_key_hex provisioning.aws.cluster gateway rate_limits trusted_proxies metrics.open";

#[test]
fn the_reference_page_is_fresh() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let expected = reference();
    #[allow(clippy::disallowed_methods, reason = "the switch that writes the page again")]
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/configuration.md is stale; run UPDATE_DOCS=1 cargo test -p asgard-lib reference_page"
    );
}
