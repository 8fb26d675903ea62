//! What a Terraform process finds in its environment: an allow-list, built from nothing. A module can print it, so it holds
//! the credentials of the run's own target and none of Asgard's.

use super::workdir::Layout;
use crate::{
    error::{Code, Error, Result},
    kernel::SecretText,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Never handed on, whoever asks for it: Asgard's own settings, what would make Terraform behave differently or write
/// elsewhere, and what would put other code into its process.
const NEVER: &[&str] = &["ASGARD_", "TF_", "LD_", "DATABASE_URL", "CHECKPOINT_", "HOME", "TMPDIR", "AWS_CONTAINER_"];
/// Parts of names of variables whose values are hidden in logs.
const SECRET: &[&str] = &["SECRET", "TOKEN", "PASSWORD", "CREDENTIAL", "ACCESS_KEY", "PRIVATE_KEY", "API_KEY"];

/// A child's environment.
#[derive(Clone)]
pub(super) struct Environment(Vec<(String, OsString)>);

impl Environment {
    /// For the engine itself, before there is a work folder: only to ask for its version.
    pub(crate) fn bare(given: &[(String, SecretText)]) -> Self {
        let path = given.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, path)| path.reveal());
        let mut this = Self(vec![("PATH".into(), path.into())]);
        this.steady("/nonexistent".as_ref(), "/dev/null".as_ref());
        this
    }

    /// For a step of a run.
    pub(crate) fn of_run(given: &[(String, SecretText)], layout: &Layout) -> Self {
        let allowed =
            given.iter().filter(|(name, _)| allowed(name)).map(|(name, value)| (name.clone(), value.reveal().into()));
        let mut this = Self(allowed.collect());
        if !given.iter().any(|(name, _)| name == "PATH") {
            this.set("PATH", PATH);
        }
        this.steady(&layout.home(), &layout.cli_config());
        this.set("TMPDIR", layout.tmp());
        this
    }

    /// What is the same for every process: no prompts, no calls home, no settings of the user's.
    fn steady(&mut self, home: &Path, cli_config: &Path) {
        self.set("HOME", home);
        self.set("TF_CLI_CONFIG_FILE", cli_config);
        self.set("TF_IN_AUTOMATION", "1");
        self.set("TF_INPUT", "0");
        self.set("CHECKPOINT_DISABLE", "1");
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The files and folders that variables name and that whoever has them reads: credentials, tokens, certificates.
    pub(crate) fn named_files(&self) -> Vec<PathBuf> {
        let names_one = |name: &str| ["_FILE", "_DIR", "_BUNDLE"].iter().any(|end| name.ends_with(end));
        let named = self.0.iter().filter(|(name, _)| names_one(name)).map(|(_, value)| PathBuf::from(value));
        named.filter(|path| path.is_absolute()).collect()
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> Result<Vec<(String, String)>> {
        let as_text = |(name, value): &(String, OsString)| Some((name.clone(), value.to_str()?.to_owned()));
        let all: Option<_> = self.0.iter().map(as_text).collect();
        all.ok_or_else(|| {
            Error::new(Code::RunnerFailed, "The path of the work folder is not UTF-8 text.")
                .at("provisioning.terraform.work_dir")
        })
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> Vec<PathBuf> {
        self.0
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| std::env::split_paths(path).collect())
            .unwrap_or_default()
    }
}

fn allowed(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !NEVER.iter().any(|never| name.starts_with(never))
}

/// The values among a child's variables that its log must not show.
pub(super) fn secrets(given: &[(String, SecretText)]) -> impl Iterator<Item = &str> {
    let secret = |name: &str| SECRET.iter().any(|part| name.contains(part)) && !name.ends_with("_FILE");
    given.iter().filter(move |(name, _)| secret(name)).map(|(_, value)| value.reveal())
}

/// Whether a supervisor started by this process needs a variable: Asgard's own settings, since it opens the same database,
/// and what it hands on to Terraform.
pub(super) fn supervisor_needs(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ];
    const PREFIXES: &[&str] = &["ASGARD_", "AWS_", "AUTH0_", "SSL_CERT_", "LC_", "PG"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a variable that a supervisor needs may be in its environment, which others of its user can read for the moment between its
/// start and its closing itself to them. Settings and credentials may not.
pub(super) fn may_be_seen(name: &str) -> bool {
    const NEVER: &[&str] = &[
        "PGPASSWORD",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    ];
    !NEVER.contains(&name) && !["ASGARD_", "AUTH0_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn nothing_of_asgards_reaches_a_child() {
        let given = |name: &str, value: &str| (name.to_owned(), SecretText::new(value));
        let given = [
            given("AWS_SECRET_ACCESS_KEY", "aws-secret"),
            given("AWS_REGION", "eu-central-1"),
            given("AWS_SHARED_CREDENTIALS_FILE", "/root/.aws/credentials"),
            given("ASGARD_SECRET_KEY", "master"),
            given("DATABASE_URL", "postgres://"),
            given("TF_LOG", "TRACE"),
            given("TF_CLI_CONFIG_FILE", "/missing"),
            given("HOME", "/root"),
            given("LD_PRELOAD", "x.so"),
            given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/asgards-own"),
            given("AWS_CONTAINER_AUTHORIZATION_TOKEN", "asgards-own"),
            given("A=B", "x"),
        ];
        let layout = Layout::new("/w".as_ref(), &"run_00000000000000000000000000".parse().unwrap());
        let child = Environment::of_run(&given, &layout);
        let seen: BTreeMap<_, _> = child.variables().map(|(name, value)| (name, value.to_str().unwrap())).collect();
        assert_eq!(child.variables().count(), seen.len(), "a variable is set once");
        let names: Vec<_> = seen.keys().copied().collect();
        assert_eq!(
            names,
            [
                "AWS_REGION",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SHARED_CREDENTIALS_FILE",
                "CHECKPOINT_DISABLE",
                "HOME",
                "PATH",
                "TF_CLI_CONFIG_FILE",
                "TF_INPUT",
                "TF_IN_AUTOMATION",
                "TMPDIR"
            ]
        );
        assert_eq!(seen["HOME"], "/w/run_00000000000000000000000000/home");
        assert_eq!(secrets(&given[..3]).collect::<Vec<_>>(), ["aws-secret"]);
    }
}
