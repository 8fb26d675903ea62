//! The schemas of all commands and outputs as components. A type that is read and written differently becomes two.

use crate::app::operations::Entry;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const PATH: &str = "/components/schemas";
const REF: &str = "#/components/schemas/";

/// Collects components while operations are described.
pub(super) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = PATH.into());
        Self { read: settings().into_generator(), written: settings().for_serialize().into_generator() }
    }

    /// What an operation takes, as an object schema with its references still inside.
    pub(crate) fn input(&mut self, entry: &Entry) -> Map<String, Value> {
        let schema = (entry.input)(&mut self.read).to_value();
        let name =
            schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(REF)).map(str::to_owned);
        let named = name.and_then(|name| self.read.definitions_mut().remove(&name));
        match named.unwrap_or(schema) {
            Value::Object(mut map) => {
                map.remove("title");
                map
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }

    /// A reference to what an operation gives back.
    pub(crate) fn output(&mut self, entry: &Entry) -> Value {
        (entry.output)(&mut self.written).to_value()
    }

    /// What an operation gives back, followed to its end.
    pub(crate) fn resolved<'s>(&'s self, output: &'s Value) -> &'s Value {
        let name = output.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(REF));
        name.and_then(|name| self.written.definitions().get(name)).unwrap_or(output)
    }

    /// Every component. What is read is called after its type too, unless something else of that name is written.
    pub(crate) fn finish(mut self) -> Map<String, Value> {
        let mut all: BTreeMap<String, Value> = self.written.take_definitions(true).into_iter().collect();
        for (name, schema) in self.read.take_definitions(true) {
            all.entry(read_name(&name, &schema, &all)).or_insert(schema);
        }
        all.into_iter().collect()
    }

    /// The names of components that are read differently from how they are written.
    pub(crate) fn renamed(&mut self) -> Vec<String> {
        let written = self.written.definitions().clone();
        let read = self.read.definitions().iter();
        read.filter(|(name, schema)| written.get(*name).is_some_and(|other| other != *schema))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn read_name(name: &str, schema: &Value, written: &BTreeMap<String, Value>) -> String {
    match written.get(name) {
        Some(other) if other != schema => format!("{name}Input"),
        Some(_) | None => name.to_owned(),
    }
}

/// Points references at the names that [`Schemas::finish`] gives.
pub(super) fn rename(schema: &mut Value, renamed: &[String]) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(path)) = map.get_mut("$ref")
                && path.strip_prefix(REF).is_some_and(|name| renamed.iter().any(|one| one == name))
            {
                path.push_str("Input");
            }
            map.values_mut().for_each(|value| rename(value, renamed));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
