//! The environment as a value, so that tests pass a map and only one place reads the process's own.

use super::{
    problems::Finder,
    secret_arn::{self, SecretArn},
};
use crate::kernel::SecretText;
use std::{collections::BTreeMap, ffi::OsString, fs::File, io::Read};
use zeroize::Zeroizing;

/// The largest file that `X_FILE` may name.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The most that comes through a pipe; the system bounds an environment by less.
const MAX_PIPE: u64 = 4 << 20;

/// The variables that hold master keys: with `_FILE` they name files that nobody else may read.
const KEYS: &[&str] = &["ASGARD_SECRET_KEY", "ASGARD_SECRET_KEY_PREVIOUS"];

/// What `X_SECRET_ARN` ends with.
const BY_ARN: &str = "_SECRET_ARN";

/// Environment variables. Empty ones are not set. Shows names only.
#[derive(Clone, Default)]
pub struct Environment {
    set: BTreeMap<String, Text>,
    /// By `X_SECRET_ARN`: the value of `X`, or why it could not be had.
    fetched: BTreeMap<String, Result<SecretText, String>>,
}

/// A setting whose value is in AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVariable {
    variable: String,
    /// The secret.
    pub arn: SecretArn,
}

#[derive(Clone)]
enum Text {
    Utf8(SecretText),
    NotUtf8,
}

impl Environment {
    /// The process's environment. Nothing else may read it.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment; everybody else is given it"
    )]
    pub fn from_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The process's environment with what another process gave it besides: those variables win. They come through a pipe, as
    /// [`Environment::to_pipe`] writes them, because the environment of a process that has just been started can be read by others of
    /// its user.
    ///
    /// # Errors
    ///
    /// The pipe cannot be read, is too long, or does not hold variables. What it holds is not repeated.
    pub fn from_process_and_pipe(pipe: impl Read) -> std::io::Result<Self> {
        let mut text = Zeroizing::new(Vec::new());
        pipe.take(MAX_PIPE + 1).read_to_end(&mut text)?;
        let refused = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
        if text.len() as u64 > MAX_PIPE {
            return Err(refused("the settings are too long"));
        }
        let given: BTreeMap<String, String> = serde_json::from_slice(&text)
            .map_err(|_| refused("whoever started this process did not give it all of its settings"))?;
        let mut this = Self::from_process();
        this.set.extend(given.into_iter().map(|(name, value)| (name, Text::Utf8(SecretText::new(value)))));
        Ok(this)
    }

    /// What [`Environment::from_process_and_pipe`] reads.
    pub fn to_pipe<'a>(variables: impl IntoIterator<Item = (&'a str, &'a SecretText)>) -> Zeroizing<Vec<u8>> {
        let variables: BTreeMap<&str, &str> =
            variables.into_iter().map(|(name, value)| (name, value.reveal())).collect();
        Zeroizing::new(serde_json::to_vec(&variables).unwrap_or_default())
    }

    /// The same without what would have to be fetched from AWS Secrets Manager.
    #[must_use]
    pub fn without_secret_arns(mut self) -> Self {
        self.set.retain(|name, _| !name.ends_with(BY_ARN));
        self
    }

    /// The names of the variables that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.set.keys().map(String::as_str)
    }

    /// The value of a variable, unless it is not set or not text.
    pub fn get(&self, name: &str) -> Option<&SecretText> {
        match self.set.get(name)? {
            Text::Utf8(text) => Some(text),
            Text::NotUtf8 => None,
        }
    }

    /// Takes the variable that names the secret out, into an environment of its own.
    #[must_use]
    pub fn take(&mut self, secret: &SecretVariable) -> Self {
        let (set, fetched) = (self.set.remove_entry(&secret.variable), self.fetched.remove_entry(&secret.variable));
        Self { set: set.into_iter().collect(), fetched: fetched.into_iter().collect() }
    }

    /// Whether a variable is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// The variables among `X_SECRET_ARN`, for each `X` of `names`, whose secrets have to be fetched. Those that are wrong
    /// already, because they hold no ARN or because `X` is given as well, are left for [`super::load`] to refuse.
    pub fn by_arn<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<SecretVariable> {
        let wanted = |name: &str| {
            let variable = format!("{name}{BY_ARN}");
            let arn = SecretArn::parse(self.get(&variable)?.reveal())?;
            let only = !self.has(name) && !self.has(&format!("{name}_FILE"));
            only.then_some(SecretVariable { variable, arn })
        };
        names.into_iter().filter_map(wanted).collect()
    }

    /// Tells what became of fetching a secret: its text, or why there is none.
    pub fn fetched(&mut self, wanted: &SecretVariable, found: Result<SecretText, String>) {
        let name = wanted.variable.strip_suffix(BY_ARN).unwrap_or_default();
        let value = found.and_then(|secret| wanted.arn.value(name, &secret));
        self.fetched.insert(wanted.variable.clone(), value);
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.set.keys()).finish()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let entry = |(name, value): (OsString, OsString)| {
            let text = value.into_string().map_or(Text::NotUtf8, |text| Text::Utf8(SecretText::new(text)));
            name.into_string().ok().map(|name| (name, text))
        };
        let set = |(_, text): &(String, Text)| match text {
            Text::Utf8(text) => !text.reveal().is_empty(),
            Text::NotUtf8 => true,
        };
        Self { set: variables.into_iter().filter_map(entry).filter(set).collect(), fetched: BTreeMap::new() }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }
}

/// A value from the environment and the variable that gave it: `X` itself, `X_FILE` or `X_SECRET_ARN`.
pub(super) struct FromEnvironment {
    pub(super) text: SecretText,
    pub(super) variable: String,
}

/// The value of `name`, given as itself, as `name_FILE` or as `name_SECRET_ARN`.
pub(super) fn resolve(environment: &Environment, name: &str, problems: &mut Finder<'_>) -> Option<FromEnvironment> {
    let file = format!("{name}_FILE");
    let arn = format!("{name}{BY_ARN}");
    let given: Vec<&str> = [name, &file, &arn].into_iter().filter(|variable| environment.has(variable)).collect();
    match given.as_slice() {
        [] => None,
        [variable] if **variable == arn => {
            let reason = match environment.fetched.get(&arn) {
                Some(Ok(text)) => return Some(FromEnvironment { text: text.clone(), variable: arn }),
                Some(Err(reason)) => reason.clone(),
                None => not_fetched(environment, name, &arn),
            };
            problems.outside(arn, reason);
            None
        }
        [variable] => {
            let Some(text) = environment.get(variable) else {
                problems.outside(*variable, "the value is not UTF-8 text");
                return None;
            };
            if **variable == file {
                return match read_file(text.reveal(), KEYS.contains(&name)) {
                    Ok(text) => Some(FromEnvironment { text, variable: file }),
                    Err(reason) => {
                        problems.outside(file, reason);
                        None
                    }
                };
            }
            Some(FromEnvironment { text: text.clone(), variable: name.to_owned() })
        }
        several => {
            problems.outside(name, format!("{} are both set; set one of them", several.join(" and ")));
            None
        }
    }
}

/// Why nobody has fetched the secret that a variable names.
fn not_fetched(environment: &Environment, name: &str, variable: &str) -> String {
    if !cfg!(feature = "aws") {
        return format!(
            "AWS Secrets Manager needs the `aws` feature, which is not part of this build; set {name} or {name}_FILE"
        );
    }
    match environment.get(variable).map(|text| SecretArn::parse(text.reveal())) {
        Some(Some(arn)) => format!("the secret {arn} was not fetched before the configuration was read"),
        Some(None) => secret_arn::ALLOWED.to_owned(),
        None => "the value is not UTF-8 text".to_owned(),
    }
}

/// The content of a file without the newlines at its end. The path is not repeated: it may be the secret itself, given under
/// the wrong name.
fn read_file(path: &str, is_key: bool) -> Result<SecretText, String> {
    let cannot = |error: std::io::Error| format!("the file that it names cannot be read: {error}");
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(cannot)?;
    #[cfg(unix)]
    if is_key {
        let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().map_err(cannot)?);
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            return Err(format!(
                "the file that it names has mode {mode:04o}, so everybody on this machine may have read the key; run `chmod 600` on it (440 where \
                 the group is Asgard's alone), and change the master key if they may have"
            ));
        }
    }
    file.take(MAX_SECRET_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SECRET_FILE {
        return Err(format!("the file that it names is larger than {MAX_SECRET_FILE} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "the file that it names is not UTF-8 text".to_owned())?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() { Err("the file that it names is empty".to_owned()) } else { Ok(SecretText::new(value)) }
}
