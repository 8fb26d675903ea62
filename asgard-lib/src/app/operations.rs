//! The one table of operations, joined from those of the areas. Surfaces iterate it, so authorisation, validation, audit and metrics
//! cannot differ between them. [`OPERATIONS`] are the shipped ones; a host adds its own, and each [`Asgard`](super::Asgard) has its table.

mod own;

use super::{audit, keys, people, projects, requests, resources, secrets, services};
use crate::error::Result;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

pub(crate) use super::core::entry::HIDDEN;
pub use super::core::entry::{Answer, Entry};

/// The operations of an [`Asgard`](super::Asgard), by name and by tool. Made once, before the first request.
#[derive(Debug, Default)]
pub struct Operations {
    entries: Vec<Entry>,
    names: BTreeMap<&'static str, usize>,
    tools: BTreeMap<&'static str, usize>,
}

impl Operations {
    /// The shipped ones.
    pub fn shipped() -> Arc<Self> {
        Arc::clone(&OPERATIONS)
    }

    /// The shipped ones, and those of the host's own.
    ///
    /// # Errors
    ///
    /// [`Code::Config`](crate::Code::Config) when one of the host's has a name, a route or a tool that is taken, or is described in a way that a
    /// surface cannot show. The message says which, and what is allowed.
    pub fn with_own(own: Vec<Entry>) -> Result<Arc<Self>> {
        if own.is_empty() {
            return Ok(Self::shipped());
        }
        let mut entries = OPERATIONS.entries.clone();
        for entry in own {
            own::check(&entry, &entries)?;
            entries.push(entry);
        }
        Ok(Arc::new(Self::of(entries)))
    }

    fn of(entries: Vec<Entry>) -> Self {
        let names = entries.iter().enumerate().map(|(at, entry)| (entry.meta.name, at)).collect();
        let tools =
            entries.iter().enumerate().flat_map(|(at, entry)| entry.meta.tools.iter().map(move |tool| (*tool, at)));
        Self { tools: tools.collect(), names, entries }
    }

    /// Every operation, in the order of the table.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The operation of that name.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.names.get(name)?)
    }

    /// The operation of that MCP tool.
    pub fn tool(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.tools.get(name)?)
    }
}

impl<'a> IntoIterator for &'a Operations {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The areas, in the order in which surfaces list them. Each has a table of its own operations.
const AREAS: &[&[fn() -> Entry]] = &[
    people::OPERATIONS,
    projects::OPERATIONS,
    keys::OPERATIONS,
    services::OPERATIONS,
    requests::OPERATIONS,
    resources::OPERATIONS,
    secrets::OPERATIONS,
    audit::OPERATIONS,
];

/// The shipped operations.
pub static OPERATIONS: LazyLock<Arc<Operations>> =
    LazyLock::new(|| Arc::new(Operations::of(AREAS.iter().copied().flatten().map(|entry| entry()).collect())));

/// The shipped operation of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    OPERATIONS.named(name)
}

/// The shipped operation of that MCP tool.
pub fn tool(name: &str) -> Option<&'static Entry> {
    OPERATIONS.tool(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn names_routes_and_tools_are_unique_and_routes_fill_fields() {
        let mut seen = BTreeSet::new();
        for entry in OPERATIONS.iter() {
            let meta = &entry.meta;
            assert!(seen.insert(meta.name.to_owned()), "{} twice", meta.name);
            assert!(!meta.routes.is_empty() || !meta.tools.is_empty(), "{} is on no surface", meta.name);
            let input = entry.input_schema();
            for route in meta.routes {
                assert!(seen.insert(format!("{} {}", route.method.name(), route.path)), "{} twice", route.path);
                for field in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                    assert!(
                        input["properties"].get(field).is_some(),
                        "{} has no field {field} for {}",
                        meta.name,
                        route.path
                    );
                }
            }
            for tool in meta.tools {
                assert!(seen.insert((*tool).to_owned()), "tool {tool} twice");
            }
            assert_eq!(input["additionalProperties"], false, "{} takes unknown fields", meta.name);
            assert!(
                meta.hints.read_only || !meta.creates || meta.routes.iter().all(|r| r.status != 200),
                "{} creates with 200",
                meta.name
            );
        }
    }

    /// What is wrong with the descriptions below a schema, by path.
    fn undescribed(path: &str, schema: &Value, into: &mut Vec<String>) {
        for (field, described) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{field}");
            let text = described["description"].as_str().unwrap_or_default();
            let vague = ["Which", "Where to", "How many.", "Who.", "When.", "What.", "Its id"];
            if text.split_whitespace().count() < 3 || vague.iter().any(|vague| text.starts_with(vague)) {
                into.push(format!("{path}: {text:?}"));
            }
            undescribed(&path, described, into);
            undescribed(&path, &described["items"], into);
        }
    }

    #[test]
    fn every_field_that_agents_see_says_what_it_holds() {
        let mut vague = Vec::new();
        for entry in OPERATIONS.iter() {
            undescribed(entry.meta.name, &entry.input_schema(), &mut vague);
            undescribed(entry.meta.name, &entry.output_schema(), &mut vague);
        }
        vague.sort();
        vague.dedup();
        assert!(vague.is_empty(), "name the thing, its form and where to get it:\n{}", vague.join("\n"));
    }
}
