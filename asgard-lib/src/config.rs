//! Every setting, declared once.
//!
//! A setting is a field of a section ([`Server`], [`Review`], ...), with its meaning, type, default, unit and where it is
//! set. From that declaration come its reading and checking ([`load`]), what [`format()`] prints and the page
//! `docs/configuration.md` ([`reference()`]). Reading happens in two steps: every setting is read by itself, then the settings
//! are judged together and become a [`Config`]. Whoever holds a `Config` holds one that can be run.

mod database;
mod environment;
mod governance;
mod known;
mod markdown;
mod notes;
mod people;
mod problems;
mod providers;
mod provisioning;
mod reader;
mod reference;
mod secret_arn;
mod secrets;
mod section;
mod server;
mod setting;
mod spec;
mod validate;
mod value;
mod yaml;

pub use database::{Database, DatabaseLocation, KeySource, Keys};
pub use environment::{Environment, SecretVariable};
pub use governance::{Audit, Governance, Group, Registration, Review, Runs};
pub use people::{People, Throttle};
pub use problems::{ConfigProblems, Problem};
pub use provisioning::{AllowedTarget, Fargate, Provisioning, Terraform};
pub use reference::{format, reference};
pub use secret_arn::SecretArn;
pub use secrets::{SecretPath, SecretStoreKind, Secrets};
pub use server::{Log, LogFormat, Metrics, Server};
pub use setting::{Origin, Setting};
pub use spec::Spec;
pub use value::{EvidenceRules, KmsKeyId, MasterKey, PublicUrl, RoleArn, SystemName};

use reader::Reader;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use yaml::Node;

/// A checked configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The listener.
    pub server: Server,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
    /// The operator's log.
    pub log: Log,
    /// The database.
    pub database: Database,
    /// The master keys.
    pub keys: Keys,
    /// Where the values of secrets live.
    pub secrets: Secrets,
    /// The first admin, sessions and tokens.
    pub people: People,
    /// How guessing passwords is slowed down.
    pub throttle: Throttle,
    /// What a registration must say, and the groups.
    pub registration: Registration,
    /// What promotion asks for.
    pub governance: Governance,
    /// When projects are looked at again.
    pub review: Review,
    /// How long the audit log is kept.
    pub audit: Audit,
    /// Leases of runs and loops.
    pub runs: Runs,
    /// Targets, automatic approval and Terraform.
    pub provisioning: Provisioning,
}

/// All defaults: SQLite in the current folder, nothing armed.
impl Default for Config {
    #[allow(clippy::expect_used, reason = "nothing is set, so nothing can be wrong; a test loads the same")]
    fn default() -> Self {
        load(&LoadOptions::default()).expect("the defaults are valid").config
    }
}

/// What to load from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file, from `--config`. Without one, `ASGARD_CONFIG` names it, or `ASGARD_CONFIG_SECRET_ARN` has given what would be
    /// in it; without those, there is none.
    pub file: Option<PathBuf>,
    /// The environment; it wins over the file.
    pub env: Environment,
    /// `--bind`; it wins over both.
    pub bind: Option<String>,
    /// Variables that start with `ASGARD_` and belong to somebody else, for example to the command line client.
    pub also_known: Vec<&'static str>,
}

/// A configuration that may be run, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is probably a mistake but harmless. To be logged as warnings.
    pub warnings: Vec<String>,
    /// What was asked for and is not done, for safety. To be logged as errors.
    pub errors: Vec<String>,
    /// Every setting with its value and origin.
    pub settings: Vec<Setting>,
}

/// Loads and checks a configuration.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn load(options: &LoadOptions) -> Result<Loaded, ConfigProblems> {
    let source = Source::find(options)?;
    let mut reader = source.reader(options);
    let raw = validate::RawConfig::read(&mut reader);
    let mut notes = notes::Notes::default();
    known::check_file(&mut reader);
    known::check_environment(&mut reader, &options.also_known, &mut notes);
    let config = validate::validate(raw, &mut reader, &mut notes);
    if let (Some(file), Some(config)) = (&source.file, &config) {
        notes.warnings.extend(open_to_others(file, &reader.settings, &config.database.location));
    }
    match config.filter(|_| reader.problems.is_clean()) {
        Some(config) => {
            let settings = reader.settings;
            Ok(Loaded { config, file: source.file, warnings: notes.warnings, errors: notes.errors, settings })
        }
        None => Err(reader.problems.finish()),
    }
}

/// Reads only where and how the server listens, for what asks it from the same machine: whatever else is wrong or has to be fetched
/// does not matter.
///
/// # Errors
///
/// What is wrong with these settings, or with the file.
pub fn load_server(options: &LoadOptions) -> Result<Server, ConfigProblems> {
    let source = Source::find(options)?;
    let mut reader = source.reader(options);
    let server = <Server as section::Section>::read(&mut reader);
    if reader.problems.is_clean() { Ok(server) } else { Err(reader.problems.finish()) }
}

/// Says that a file with secrets can be read by everybody on the machine.
fn open_to_others(file: &Path, settings: &[Setting], database: &DatabaseLocation) -> Option<String> {
    // The address of a database is a secret when it holds a password.
    let has_password = match database {
        DatabaseLocation::Postgres { url } => {
            url.reveal().split_once('@').is_some_and(|(user, _)| user.matches(':').count() > 1)
        }
        DatabaseLocation::Sqlite { .. } | DatabaseLocation::DynamoDb { .. } => false,
    };
    let secret = |setting: &&Setting| {
        let is_one = setting.spec.secret && (has_password || setting.spec.yaml != Some("database.url"));
        is_one && matches!(setting.origin, Origin::File { .. })
    };
    let secret = settings.iter().find(secret)?;
    #[cfg(unix)]
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).ok()?);
    #[cfg(not(unix))]
    let mode = 0;
    let (shown, name) = (file.display(), secret.spec.name());
    (mode & 0o007 != 0).then(|| {
        format!("{shown} holds {name} and has mode {:04o}, so everybody on this machine can read it; run `chmod o= {shown}`", mode & 0o777)
    })
}

/// The file of a configuration, or what stands for it.
struct Source {
    file: Option<PathBuf>,
    name: String,
    root: Option<Node>,
}

impl Source {
    fn reader<'a>(&'a self, options: &'a LoadOptions) -> Reader<'a> {
        Reader {
            root: self.root.as_ref(),
            file: &self.name,
            environment: &options.env,
            bind_flag: options.bind.as_deref(),
            problems: problems::Finder::new(&self.name),
            settings: Vec::new(),
        }
    }

    fn find(options: &LoadOptions) -> Result<Self, ConfigProblems> {
        let mut early = problems::Finder::new("");
        let named = environment::resolve(&options.env, spec::FILE_VARIABLE, &mut early);
        if !early.is_clean() {
            return Err(early.finish());
        }
        let (file, document) = match (options.file.clone(), named) {
            (Some(_), Some(found)) if found.variable == spec::DOCUMENT_VARIABLE => {
                early.outside(found.variable, "--config names a file as well; set one of them");
                return Err(early.finish());
            }
            (Some(path), _) => (Some(path), None),
            (None, Some(found)) if found.variable == spec::DOCUMENT_VARIABLE => (None, Some(found.text)),
            (None, named) => (named.map(|found| PathBuf::from(found.text.reveal())), None),
        };
        let name = file.as_ref().map(|path| path.display().to_string());
        let name = name.unwrap_or_else(|| document.as_ref().map_or("", |_| spec::DOCUMENT_VARIABLE).to_owned());
        let name = name.strip_prefix("./").unwrap_or(&name);
        let root = match (&file, &document) {
            (Some(path), _) => read_file(path, name)?,
            (None, Some(text)) => parse(text.reveal(), name)?,
            (None, None) => None,
        };
        let name = name.to_owned();
        Ok(Self { file, name, root })
    }
}

/// The variables whose values have to be fetched from AWS Secrets Manager, and told to [`Environment::fetched`], before
/// [`load`] can judge this environment.
pub fn secrets_to_fetch(environment: &Environment) -> Vec<SecretVariable> {
    let settings = reference::declared();
    let variables = settings.iter().filter_map(|setting| setting.spec.env);
    environment.by_arn([spec::FILE_VARIABLE].into_iter().chain(variables).chain(providers::resolved()))
}

fn read_file(path: &PathBuf, name: &str) -> Result<Option<Node>, ConfigProblems> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(yaml::MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| broken(name, None, format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > yaml::MAX_FILE_BYTES {
        return Err(broken(name, None, format!("larger than {} bytes", yaml::MAX_FILE_BYTES)));
    }
    let text = String::from_utf8(bytes).map_err(|_| broken(name, None, "not UTF-8 text".to_owned()))?;
    parse(&text, name)
}

fn parse(text: &str, name: &str) -> Result<Option<Node>, ConfigProblems> {
    yaml::parse(text).map_err(|found| broken(name, found.line, found.reason))
}

fn broken(name: &str, line: Option<u64>, reason: String) -> ConfigProblems {
    let mut problems = problems::Finder::new(name);
    problems.in_file(line, reason);
    problems.finish()
}

#[cfg(test)]
mod tests;
