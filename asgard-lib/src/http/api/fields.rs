//! What a command's fields look like, worked out once from its schema: a query is text and has to become typed values.

use serde_json::Value;
use std::collections::BTreeMap;

/// What the text of a path or query value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Shape {
    /// Text stays text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Something that only a body can hold.
    Nested,
}

impl Shape {
    fn of(schema: &Value) -> Self {
        let named = |name: &str| match schema.get("type") {
            Some(Value::String(one)) => one == name,
            Some(Value::Array(several)) => several.iter().any(|one| one == name),
            Some(_) | None => false,
        };
        if named("object") || named("array") {
            Self::Nested
        } else if named("integer") {
            Self::Integer
        } else if named("number") {
            Self::Number
        } else if named("boolean") {
            Self::Boolean
        } else {
            // Enums, patterns and unions of them are all written as text.
            Self::Text
        }
    }

    /// The value that `text` stands for, or what was expected.
    pub(crate) fn read(self, text: &str) -> Result<Value, &'static str> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Text => Ok(text.into()),
            Self::Integer => {
                let number = text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
                number.ok().filter(|_| plain).ok_or("Expected a whole number.")
            }
            Self::Number => {
                let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                number.map(Value::Number).ok_or("Expected a number.")
            }
            Self::Boolean => match text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("Expected `true` or `false`."),
            },
            Self::Nested => Err("This can only be sent in a JSON body."),
        }
    }
}

/// The fields of a command.
pub(in crate::http) struct Fields {
    shapes: BTreeMap<String, Shape>,
    /// Other names that a field goes by, and the field.
    aliases: BTreeMap<String, String>,
}

impl Fields {
    /// The fields that a schema declares.
    pub(crate) fn of(schema: &Value) -> Self {
        let properties = || schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let shapes = properties().map(|(name, schema)| (name.clone(), Shape::of(schema))).collect();
        let aliases = properties().flat_map(|(name, schema)| {
            let others = schema.get("x-aliases").and_then(Value::as_array).into_iter().flatten();
            others.filter_map(Value::as_str).map(|other| (other.to_owned(), name.clone()))
        });
        Self { shapes, aliases: aliases.collect() }
    }

    pub(crate) fn shape(&self, name: &str) -> Option<Shape> {
        self.shapes.get(name).copied()
    }

    /// The name of the field that this name means.
    pub(crate) fn named(&self, name: String) -> String {
        self.aliases.get(&name).cloned().unwrap_or(name)
    }

    /// The names of what a query may hold besides `fixed`.
    pub(crate) fn queryable(&self, fixed: &[(&str, &str)]) -> Vec<&str> {
        let free =
            |(name, shape): (&String, &Shape)| *shape != Shape::Nested && !fixed.iter().any(|(known, _)| known == name);
        self.shapes.iter().filter(|(name, shape)| free((name, shape))).map(|(name, _)| name.as_str()).collect()
    }
}
