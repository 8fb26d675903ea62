//! What is declared about a setting.

/// The variable that names the file when no flag does.
pub(super) const FILE_VARIABLE: &str = "ASGARD_CONFIG";
/// The secret that is the file, where nothing has a disk for one.
pub(super) const DOCUMENT_VARIABLE: &str = "ASGARD_CONFIG_SECRET_ARN";

/// A setting's declaration: where it is set, what it means, and what is known about its value.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its path in `asgard.yaml`, if it can be set there.
    pub yaml: Option<&'static str>,
    /// Its environment variable, if it has one.
    pub env: Option<&'static str>,
    /// What it means, in plain English.
    pub meaning: &'static str,
    /// The unit of a number.
    pub unit: &'static str,
    /// The smallest and the largest number allowed.
    pub range: Option<(u64, u64)>,
    /// What is said in place of a default when the default depends on something else.
    pub default_note: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// The first version that knows it.
    pub since: &'static str,
}

const EMPTY: Spec =
    Spec { yaml: None, env: None, meaning: "", unit: "", range: None, default_note: "", secret: false, since: "0.1.0" };

/// A setting at `path` in the file.
pub(crate) const fn at(path: &'static str) -> Spec {
    Spec { yaml: Some(path), ..EMPTY }
}

/// A setting that only the environment has.
pub(crate) const fn env(name: &'static str) -> Spec {
    Spec { env: Some(name), ..EMPTY }
}

impl Spec {
    pub(crate) const fn env(self, name: &'static str) -> Self {
        Self { env: Some(name), ..self }
    }

    pub(crate) const fn meaning(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }

    pub(crate) const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    pub(crate) const fn range(self, least: u64, most: u64) -> Self {
        Self { range: Some((least, most)), ..self }
    }

    pub(crate) const fn default_note(self, default_note: &'static str) -> Self {
        Self { default_note, ..self }
    }

    pub(crate) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The name that people know it by: its path, else its variable.
    pub fn name(&self) -> &'static str {
        match (self.yaml, self.env) {
            (Some(path), _) => path,
            (None, Some(name)) => name,
            (None, None) => "",
        }
    }
}
