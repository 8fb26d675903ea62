//! The tools: the operations that have a tool name, described once and the same for every caller. Each call is authorised
//! by the operation itself.

use crate::{
    app::{Meta, Operations, operations::Entry},
    error::{Error, Result},
};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Arc};

const KEY: &str = "idempotency_key";

/// The tools by name, and as they are listed.
pub(super) struct Tools {
    listed: Vec<Tool>,
    entries: HashMap<&'static str, Entry>,
}

impl Tools {
    /// Every tool of the table, sorted by name.
    pub(crate) fn of(operations: &Operations) -> Self {
        let mut listed = Vec::new();
        let mut entries = HashMap::new();
        for entry in operations {
            for name in entry.meta.tools {
                listed.push(describe(name, entry));
                entries.insert(*name, *entry);
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Self { listed, entries }
    }

    /// As they are listed.
    pub(crate) fn listed(&self) -> &[Tool] {
        &self.listed
    }

    /// How a tool is described.
    pub(crate) fn described(&self, name: &str) -> Option<&Tool> {
        let at = self.listed.binary_search_by(|tool| tool.name.as_ref().cmp(name)).ok()?;
        self.listed.get(at)
    }

    /// The operation of a tool.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
}

fn describe(name: &'static str, entry: &Entry) -> Tool {
    let Meta { title, description, hints, creates, .. } = entry.meta;
    let mut input = object(entry.input_schema());
    if creates && let Some(Value::Object(properties)) = input.get_mut("properties") {
        properties.insert(KEY.to_owned(), json!({
            "type": "string", "minLength": 1, "maxLength": 200,
            "description": "Any text of your own. Calling again with the same key and arguments within a day does nothing new and gives the first answer again.",
        }));
    }
    let annotations = ToolAnnotations::new()
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(false);
    Tool::new(name, description, Arc::new(input))
        .with_title(title)
        .with_raw_output_schema(Arc::new(object(entry.output_schema())))
        .with_annotations(annotations)
}

/// A schema whose root says that it is an object, which clients insist on.
fn object(schema: Value) -> JsonObject {
    let Value::Object(mut schema) = schema else { return Map::new() };
    schema.entry("type").or_insert_with(|| "object".into());
    schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    schema
}

/// Takes the idempotency key out of the arguments of a tool that creates something.
pub(super) fn idempotency_key(entry: &Entry, arguments: &mut JsonObject) -> Result<Option<String>> {
    if !entry.meta.creates {
        return Ok(None);
    }
    match arguments.remove(KEY) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => Ok(Some(key)),
        Some(_) => Err(Error::invalid(KEY, "Expected text.")),
    }
}
