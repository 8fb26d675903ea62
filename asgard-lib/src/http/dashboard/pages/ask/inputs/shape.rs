//! What an input holds, and how it is written in a form.

use crate::http::dashboard::widgets::number;
use serde_json::{Map, Value};

/// What an input holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A line of text.
    Text { longest: Option<u32> },
    /// A text that is not shown again.
    Secret,
    /// A number.
    Number { whole: bool, min: Option<String>, max: Option<String> },
    /// One of some values.
    Choice(Vec<Value>),
    /// Yes or no.
    Flag,
    /// A list, one item a line.
    Lines { numbers: bool },
    /// Names with text values, `NAME=value` a line.
    Pairs,
    /// Anything else, as JSON.
    Json,
}

impl Shape {
    /// Of a property's schema.
    pub(crate) fn of(about: &Value) -> Self {
        if let Some(values) = about.get("enum").and_then(Value::as_array) {
            return Self::Choice(values.iter().filter(|value| !value.is_null()).cloned().collect());
        }
        let limit = |key: &str| about.get(key).filter(|value| value.is_number()).map(ToString::to_string);
        match kind(about) {
            "string" => {
                let longest = about.get("maxLength").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
                Self::Text { longest }
            }
            "integer" => Self::Number { whole: true, min: limit("minimum"), max: limit("maximum") },
            "number" => Self::Number { whole: false, min: limit("minimum"), max: limit("maximum") },
            "boolean" => Self::Flag,
            "array" => match about.get("items").map_or("", kind) {
                "string" => Self::Lines { numbers: false },
                "integer" | "number" => Self::Lines { numbers: true },
                _ => Self::Json,
            },
            "object" => match about.get("additionalProperties").map_or("", kind) {
                "string" if about.get("properties").is_none() => Self::Pairs,
                _ => Self::Json,
            },
            _ => Self::Json,
        }
    }

    /// What people should know about writing it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Lines { .. } => "One a line.",
            Self::Pairs => "NAME=value, one a line.",
            Self::Json => "As JSON.",
            Self::Secret => "Stored as a secret; it is never shown again.",
            Self::Text { .. } | Self::Number { .. } | Self::Choice(_) | Self::Flag => "",
        }
    }

    /// Whether blanks around it belong to it.
    pub(crate) const fn keeps_blanks(&self) -> bool {
        match self {
            Self::Secret => true,
            Self::Text { .. }
            | Self::Number { .. }
            | Self::Choice(_)
            | Self::Flag
            | Self::Lines { .. }
            | Self::Pairs
            | Self::Json => false,
        }
    }

    /// Whether it is code rather than prose.
    pub(crate) const fn is_code(&self) -> bool {
        match self {
            Self::Lines { .. } | Self::Pairs | Self::Json => true,
            Self::Text { .. } | Self::Secret | Self::Number { .. } | Self::Choice(_) | Self::Flag => false,
        }
    }

    /// The value that a text stands for, or what is allowed.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text { .. } | Self::Secret => Ok(text.into()),
            Self::Number { whole: true, .. } => {
                text.parse::<i64>().map(Value::from).map_err(|_| "Expected a whole number.".to_owned())
            }
            Self::Number { whole: false, .. } => number(text).ok_or_else(|| "Expected a number.".to_owned()),
            Self::Choice(values) => {
                let found = values.iter().find(|value| plain(value) == text).cloned();
                found.ok_or_else(|| "Choose one of the values.".to_owned())
            }
            Self::Flag => match text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("Choose yes or no.".to_owned()),
            },
            Self::Lines { numbers } => lines(text)
                .map(|line| {
                    if *numbers {
                        number(line).ok_or_else(|| format!("`{line}` is not a number."))
                    } else {
                        Ok(line.into())
                    }
                })
                .collect::<Result<Vec<Value>, _>>()
                .map(Value::Array),
            Self::Pairs => {
                let pair = |line: &str| {
                    let (name, value) = line.split_once('=').ok_or("Expected NAME=value on every line.")?;
                    Ok((name.trim().to_owned(), Value::from(value.trim())))
                };
                lines(text).map(pair).collect::<Result<Map<String, Value>, _>>().map(Value::Object)
            }
            Self::Json => serde_json::from_str(text).map_err(|error| format!("This is not JSON: {error}.")),
        }
    }

    /// A value as its field holds it.
    pub(crate) fn format(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret, _) | (_, Value::Null) => String::new(),
            (Self::Lines { .. }, Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join("\n"),
            (Self::Pairs, Value::Object(map)) => {
                map.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join("\n")
            }
            (Self::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
            (_, value) => plain(value),
        }
    }
}

/// The type that a schema names; of several, the first that is not null.
fn kind(about: &Value) -> &str {
    match about.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or(""),
        _ => "",
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Text as it is, everything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
