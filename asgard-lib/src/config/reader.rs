//! Reads settings one by one: the file, then the environment, then flags; the last that has it wins. Whatever was read is
//! remembered, and that memory is what `show`, the reference and the check for unknown keys are made from.

use super::{
    environment::{Environment, resolve},
    problems::Finder,
    setting::{Origin, Setting},
    spec::Spec,
    value::{Refusal, Value},
    yaml::{Content, Node},
};
/// What settings are read from.
pub(crate) struct Reader<'a> {
    pub(super) root: Option<&'a Node>,
    pub(super) file: &'a str,
    pub(super) environment: &'a Environment,
    pub(super) bind_flag: Option<&'a str>,
    pub(super) problems: Finder<'a>,
    pub(super) settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    /// The value of one setting. A bad value is a problem, and the default stands in while the others are read.
    pub(crate) fn setting<T: Value>(&mut self, spec: Spec, default: T) -> T {
        let mut setting = Setting {
            spec,
            allowed: T::allowed(&spec),
            default: default.format(),
            value: String::new(),
            origin: Origin::Default,
            parts: T::parts(),
        };
        let mut value = default;
        if let Some((line, read)) = self.in_the_file(&spec) {
            setting.origin = Origin::File { name: self.file.to_owned(), line };
            value = read.unwrap_or(value);
        }
        if let Some(found) = spec.env.and_then(|name| resolve(self.environment, name, &mut self.problems)) {
            value = self.parse(found.text.reveal(), &spec, &found.variable).unwrap_or(value);
            setting.origin = Origin::Variable(found.variable);
        }
        if let Some(text) = self.bind_flag.filter(|_| spec.env == Some("ASGARD_BIND")) {
            value = self.parse(text, &spec, "--bind").unwrap_or(value);
            setting.origin = Origin::Flag("--bind");
        }
        setting.value = value.format();
        self.settings.push(setting);
        value
    }

    /// The line of the file that sets `spec`, and its value unless it is bad. A key without a value sets nothing.
    fn in_the_file<T: Value>(&mut self, spec: &Spec) -> Option<(u64, Option<T>)> {
        let path = spec.yaml?;
        let (line, node) = self.root?.at(path)?;
        match node.content {
            Content::Null => None,
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                let value = T::from_node(node, path, spec, &mut self.problems);
                Some((line, value))
            }
        }
    }

    fn parse<T: Value>(&mut self, text: &str, spec: &Spec, about: &str) -> Option<T> {
        let explain = |refusal: Refusal| refusal.explain::<T>(text, spec);
        T::parse(text, spec).map_err(|refusal| self.problems.outside(about, explain(refusal))).ok()
    }

    /// Whether anybody set the setting of that name.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| setting.spec.name() == name && setting.origin != Origin::Default)
    }

    /// Reports that the setting of that name does not go with another, at the place that set it.
    pub(super) fn blame(&mut self, name: &str, message: impl Into<String>) {
        let setting = self.settings.iter().find(|setting| setting.spec.name() == name);
        match setting.map(|setting| &setting.origin) {
            Some(Origin::File { line, .. }) => self.problems.at_line(*line, name, message),
            Some(Origin::Variable(variable)) => self.problems.outside(variable, message),
            Some(Origin::Flag(flag)) => self.problems.outside(*flag, message),
            Some(Origin::Default) | None => self.problems.outside(name, message),
        }
    }

    /// Shows another value than the one that was set, because what was set does not count.
    pub(super) fn format_instead(&mut self, name: &str, value: &str) {
        for setting in self.settings.iter_mut().filter(|setting| setting.spec.name() == name) {
            value.clone_into(&mut setting.value);
        }
    }
}
