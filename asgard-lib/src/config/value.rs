//! How a setting's text becomes a value, the same from the file and from the environment.

mod kms;
mod lists;
mod plain;
mod types;

pub use kms::KmsKeyId;
pub(crate) use lists::Entries;
pub(crate) use types::AwsName;
pub use types::{EvidenceRules, MasterKey, PublicUrl, RoleArn, SystemName};

use super::{
    problems::Finder,
    setting::{Origin, Setting},
    spec::Spec,
    yaml::{Content, Node, shorten},
};

/// Why a text is not a value of a setting.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is none of what is allowed.
    NotAllowed,
    /// It is something that has a reason of its own. The reason never holds the text of a secret.
    Because(String),
}

impl Refusal {
    /// The sentence for the operator. Shows the text unless the setting is a secret.
    pub(super) fn explain<T: Value>(self, text: &str, spec: &Spec) -> String {
        match self {
            Self::Because(reason) => reason,
            Self::NotAllowed if spec.secret => format!("the value is not allowed; allowed here: {}", T::allowed(spec)),
            Self::NotAllowed => format!("`{}` is not allowed; allowed here: {}", shorten(text), T::allowed(spec)),
        }
    }
}

/// A type that settings have.
pub(crate) trait Value: Sized {
    /// What is allowed, as a sentence fragment.
    fn allowed(spec: &Spec) -> String;

    /// The value that `text` spells.
    fn parse(text: &str, spec: &Spec) -> Result<Self, Refusal>;

    /// The value as people read it; never a secret.
    fn format(&self) -> String;

    /// The value of a node of the file, called `name` in messages.
    fn from_node(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<Self> {
        scalar(node, name, spec, problems)
    }

    /// What stands for the value when an entry of a list does not have it; `None` when the entry needs it.
    fn absent() -> Option<Self> {
        None
    }

    /// For lists of maps: what each key means.
    fn parts() -> Vec<Setting> {
        Vec::new()
    }
}

impl Setting {
    /// A key of an entry of a list.
    pub(crate) fn part<T: Value>(spec: Spec) -> Self {
        let default = if T::absent().is_some() { "(not set)" } else { "needed" };
        Self {
            spec,
            allowed: T::allowed(&spec),
            default: default.to_owned(),
            value: String::new(),
            origin: Origin::Default,
            parts: T::parts(),
        }
    }
}

/// Reads a node that must be a single value.
pub(crate) fn scalar<T: Value>(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<T> {
    let message = match &node.content {
        Content::Scalar(text) => match T::parse(text, spec) {
            Ok(value) => return Some(value),
            Err(refusal) => refusal.explain::<T>(text, spec),
        },
        Content::Null => format!("has no value; allowed here: {}", T::allowed(spec)),
        Content::List(_) => format!("a list is not allowed; allowed here: {}", T::allowed(spec)),
        Content::Map(_) => format!("a map is not allowed; allowed here: {}", T::allowed(spec)),
    };
    problems.at_line(node.line, name, message);
    None
}
