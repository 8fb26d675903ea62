//! An operation with its types erased, and how a command in JSON becomes one.

use super::{
    call::Call,
    drive::drive,
    idempotency::Remember,
    operation::{Meta, Operation},
};
use crate::{
    app::Asgard,
    error::{Code, Error, Result},
    kernel::{is_plain_text, words::plainly},
};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use std::{fmt, pin::Pin};

/// The operations of an area, in the order in which surfaces list them.
macro_rules! table {
    ($($operation:ty,)*) => {
        pub(in crate::app) const OPERATIONS: &[fn() -> $crate::app::core::entry::Entry] =
            &[$($crate::app::core::entry::Entry::of::<$operation>,)*];
    };
}

pub(in crate::app) use table;

/// What an operation answered, ready for a surface.
#[derive(Debug)]
pub struct Answer {
    /// The output.
    pub value: Value,
    /// Whether it is the answer of an earlier call under the same idempotency key.
    pub replayed: bool,
}

type Invoke = for<'a> fn(&'a Asgard, &'a Call, Value) -> Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>>;

/// An operation with its types erased.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Entry {
    /// What surfaces need to know.
    pub meta: Meta,
    /// JSON Schema of the command.
    pub input: fn(&mut SchemaGenerator) -> Schema,
    /// JSON Schema of the output.
    pub output: fn(&mut SchemaGenerator) -> Schema,
    invoke: Invoke,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl Entry {
    /// The entry of an operation.
    pub fn of<O: Operation>() -> Self {
        Self {
            meta: O::META,
            input: |generator| generator.subschema_for::<O>(),
            output: |generator| generator.subschema_for::<O::Output>(),
            invoke: |app, call, input| Box::pin(invoke::<O>(app, call, input)),
        }
    }

    /// Runs the operation with a command in JSON.
    pub async fn call(&self, app: &Asgard, call: &Call, input: Value) -> Result<Answer> {
        (self.invoke)(app, call, input).await
    }

    /// JSON Schema of the command, self-contained.
    pub fn input_schema(&self) -> Value {
        root(self.input, schemars::generate::SchemaSettings::draft2020_12())
    }

    /// JSON Schema of the output as it is serialised, self-contained.
    pub fn output_schema(&self) -> Value {
        root(self.output, schemars::generate::SchemaSettings::draft2020_12().for_serialize())
    }
}

fn root(schema: fn(&mut SchemaGenerator) -> Schema, settings: schemars::generate::SchemaSettings) -> Value {
    let mut generator = settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = schema(&mut generator).to_value();
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
        map.remove("$schema");
        let definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            map.insert("$defs".into(), Value::Object(definitions.into_iter().collect()));
        }
    }
    schema
}

/// What is told about a text that [`hidden`] finds.
pub(crate) const HIDDEN: &str = "This text holds a control character, one that cannot be seen, or one that turns the direction of text. \
     Leave it out: people compare what they read with what they know.";

/// Where a command holds a text that does not show as what it is. The inputs of a service are the service's, and a password is read by
/// nobody.
fn hidden(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!is_plain_text(text)).then(|| path.to_owned()),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| hidden(&format!("{path}[{at}]"), item)),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| match name.as_str() {
            "spec" | "password" | "current_password" | "new_password" => None,
            name if path.is_empty() => hidden(name, field),
            name => hidden(&format!("{path}.{name}"), field),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Reads a command and says which field is wrong when it cannot.
fn parse<O: Operation>(input: Value) -> Result<O> {
    let input = match input {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => input,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(Error::new(Code::InvalidInput, "Expected a JSON object."));
        }
    };
    if let Some(path) = hidden("", &input) {
        return Err(Error::new(Code::InvalidInput, HIDDEN).at(path));
    }
    serde_path_to_error::deserialize(whole_numbers(input)).map_err(|error| {
        let path = error.path().to_string();
        let message = plainly(&error.into_inner().to_string());
        // Serde's sentence for an unknown or missing field names it; the path then only names what it is in.
        let named = message
            .split('`')
            .nth(1)
            .filter(|_| message.starts_with("unknown field") || message.starts_with("missing field"));
        let field = match (path.as_str(), named) {
            ("." | "?", Some(name)) => name.to_owned(),
            (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
            (path, _) => path.to_owned(),
        };
        let message: String = message.chars().take(400).collect();
        Error::new(Code::InvalidInput, format!("{}.", sentence(&message))).at(field)
    })
}

/// `1.0` is an integer to JSON Schema, which is what commands are described by. What a field holds inside is the field's own.
fn whole_numbers(mut input: Value) -> Value {
    /// Up to here every whole number is one `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    for value in input.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(number) = value.as_f64().filter(|_| value.is_f64())
            && number.fract() == 0.0
            && number.abs() <= EXACT
        {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole, and exact")]
            let whole = number as i64;
            *value = whole.into();
        }
    }
    input
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

async fn invoke<O: Operation>(app: &Asgard, call: &Call, input: Value) -> Result<Answer> {
    let remember = Remember::of(call, &O::META, &input)?;
    let command = parse::<O>(input)?;
    let done = drive(app, call, &command, remember.as_ref()).await?;
    Ok(Answer { value: serde_json::to_value(&done.output).map_err(Error::bug)?, replayed: done.replayed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{keys, projects};

    #[test]
    fn a_wrong_field_is_named() {
        let error = |input: Value| parse::<projects::RegisterProject>(input).map(|_| ()).unwrap_err();
        let base = serde_json::json!({"name": "x", "owner_email": "a@b.c"});
        let with = |name: &str, value: Value| {
            let mut input = base.clone();
            input[name] = value;
            error(input)
        };
        assert_eq!(error(serde_json::json!({"name": "x"})).field(), Some("owner_email"));
        assert_eq!(with("ownr", Value::Null).field(), Some("ownr"));
        assert!(with("ownr", Value::Null).message().contains("expected one of `name`"));
        assert_eq!(with("owner_email", "nobody".into()).field(), Some("owner_email"));
        assert_eq!(with("budget_usd", (-1).into()).field(), Some("budget_usd"));
        let evidence = with("evidence", serde_json::json!({"a": 1}));
        assert_eq!((evidence.field(), evidence.message()), (Some("evidence.a"), "Expected text, not a number."));
        assert_eq!(with("evidence", serde_json::json!(["a"])).message(), "Expected an object, not a list.");
        assert!(
            parse::<keys::MintKey>(
                serde_json::json!({"project_id": "proj-2026-0001", "name": "a", "expires_in_days": 3.0})
            )
            .is_ok()
        );
        assert_eq!(error(serde_json::json!([1])).code(), Code::InvalidInput);
        for (name, value) in [
            ("name", serde_json::json!("Pi\u{202e}lot")),
            ("owner_email", serde_json::json!("a\u{200b}@b.c")),
            ("description", serde_json::json!("two\nlines\u{2066}")),
            ("evidence", serde_json::json!({"runbook_url": "https://\u{200d}x"})),
        ] {
            assert!(with(name, value).field().is_some_and(|field| field.starts_with(name)), "{name}");
        }
    }
}
