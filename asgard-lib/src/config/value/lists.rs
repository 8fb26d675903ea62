//! Values made of values.

use super::{Refusal, Value};
use crate::config::{
    problems::Finder,
    setting::Setting,
    spec::Spec,
    yaml::{Content, Node, shorten},
};
use std::collections::BTreeMap;

/// The longest list that a setting may hold.
const MAX: usize = 1000;

impl<T: Value> Value for Option<T> {
    fn allowed(spec: &Spec) -> String {
        T::allowed(spec)
    }

    fn parse(text: &str, spec: &Spec) -> Result<Self, Refusal> {
        T::parse(text, spec).map(Some)
    }

    fn format(&self) -> String {
        self.as_ref().map_or_else(|| "(not set)".to_owned(), Value::format)
    }

    fn from_node(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<Self> {
        T::from_node(node, name, spec, problems).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn parts() -> Vec<Setting> {
        T::parts()
    }
}

/// A list: in the file a list, in the environment separated by commas.
impl<T: Value> Value for Vec<T> {
    fn allowed(spec: &Spec) -> String {
        format!("a list, each entry {}", T::allowed(spec))
    }

    fn parse(text: &str, spec: &Spec) -> Result<Self, Refusal> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let read = |part: &str| {
            T::parse(part, spec).map_err(|refusal| {
                let reason = refusal.explain::<T>(part, spec);
                Refusal::Because(format!("{reason}, separated by commas"))
            })
        };
        let list: Self = parts.take(MAX + 1).map(read).collect::<Result<_, _>>()?;
        if list.len() > MAX { Err(Refusal::Because(format!("more than {MAX} entries"))) } else { Ok(list) }
    }

    fn format(&self) -> String {
        let items: Vec<String> = self.iter().map(Value::format).collect();
        format!("[{}]", items.join(", "))
    }

    fn from_node(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<Self> {
        let items = match &node.content {
            Content::List(items) => items,
            Content::Null | Content::Scalar(_) | Content::Map(_) => {
                problems.at_line(node.line, name, format!("not a list; allowed here: {}", Self::allowed(spec)));
                return None;
            }
        };
        if items.len() > MAX {
            problems.at_line(node.line, name, format!("more than {MAX} entries"));
            return None;
        }
        // Every entry is read before anything is given up, so that all problems are found at once.
        let read: Vec<Option<T>> = (items.iter().enumerate())
            .map(|(index, item)| T::from_node(item, &format!("{name}[{index}]"), spec, problems))
            .collect();
        read.into_iter().collect()
    }

    fn parts() -> Vec<Setting> {
        T::parts()
    }
}

impl<K: Value + Ord, T: Value> Value for BTreeMap<K, T> {
    fn allowed(spec: &Spec) -> String {
        format!("a map from {} to {}", K::allowed(spec), T::allowed(spec))
    }

    fn parse(_: &str, _: &Spec) -> Result<Self, Refusal> {
        Err(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        let items: Vec<String> =
            self.iter().map(|(key, value)| format!("{}: {}", key.format(), value.format())).collect();
        format!("{{ {} }}", items.join(", "))
    }

    fn from_node(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<Self> {
        let entries = match &node.content {
            Content::Map(entries) => entries,
            Content::Null | Content::Scalar(_) | Content::List(_) => {
                problems.at_line(node.line, name, format!("not a map; allowed here: {}", Self::allowed(spec)));
                return None;
            }
        };
        let mut map = Self::new();
        let mut whole = true;
        for (key, line, value) in entries {
            let path = format!("{name}.{}", shorten(key));
            let key = K::parse(key, spec).ok();
            if key.is_none() {
                problems.unknown_key(*line, &path, [K::allowed(spec).as_str()]);
            }
            match key.zip(T::from_node(value, &path, spec, problems)) {
                Some((key, value)) => drop(map.insert(key, value)),
                None => whole = false,
            }
        }
        whole.then_some(map)
    }
}

/// The keys of one entry of a list of maps.
pub(crate) struct Entries<'a> {
    node: &'a Node,
    name: &'a str,
}

impl<'a> Entries<'a> {
    /// Opens a map and reports the keys that it should not have. `None` when the node is not a map.
    pub(crate) fn open(
        node: &'a Node,
        name: &'a str,
        keys: &[&'static str],
        problems: &mut Finder<'_>,
    ) -> Option<Self> {
        let Content::Map(entries) = &node.content else { return None };
        for (key, line, _) in entries {
            if !keys.contains(&key.as_str()) {
                problems.unknown_key(*line, &format!("{name}.{key}"), keys.iter().copied());
            }
        }
        Some(Self { node, name })
    }

    /// The value of `key`; a problem when it is needed and not there.
    pub(crate) fn field<T: Value>(&self, key: &'static str, spec: &Spec, problems: &mut Finder<'_>) -> Option<T> {
        match self.node.child(key) {
            Some((_, node)) => T::from_node(node, &format!("{}.{key}", self.name), spec, problems),
            None => T::absent().or_else(|| {
                problems.at_line(self.node.line, self.name, format!("`{key}` is missing: {}", T::allowed(spec)));
                None
            }),
        }
    }
}
