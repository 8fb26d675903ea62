//! The one table of operations. Surfaces iterate it, so authorisation, validation, audit and metrics cannot differ between
//! them. [`OPERATIONS`] are the shipped ones; a host adds its own, and each [`Asgard`] has its table.

mod own;

use super::{
    Asgard, Call, Meta, Operation, audit,
    core::{drive::drive, idempotency::Remember},
    keys, people, projects, requests, resources, secrets, services,
};
use crate::{
    error::{Code, Error, Result},
    kernel::{is_plain_text, words::plainly},
};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, LazyLock},
};

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

/// The operations of an [`Asgard`], by name and by tool. Made once, before the first request.
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
    /// [`Code::Config`] when one of the host's has a name, a route or a tool that is taken, or is described in a way that a
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

macro_rules! table {
    ($($operation:ty,)*) => {
        /// The shipped operations.
        pub static OPERATIONS: LazyLock<Arc<Operations>> =
            LazyLock::new(|| Arc::new(Operations::of(vec![$(Entry::of::<$operation>(),)*])));
    };
}

table! {
    people::AuthConfig,
    people::Login,
    people::Logout,
    people::Me,
    people::ChangePassword,
    people::ListSessions,
    people::RevokeSession,
    people::ListTokens,
    people::CreateToken,
    people::RevokeToken,
    people::ListUsers,
    people::CreateUser,
    people::SetRole,
    people::SetActive,
    people::ConfirmIdentity,
    people::GetUser,
    people::ListUserSessions,
    people::ListUserTokens,
    people::RevokeUserCredential,
    people::SignOutEverywhere,
    projects::ListProjects,
    projects::RegisterProject,
    projects::GetProject,
    projects::UpdateProject,
    projects::ProjectState,
    projects::Kill,
    projects::Unkill,
    projects::Decommission,
    projects::RegistrationRequirements,
    projects::ListGroups,
    keys::MintKey,
    keys::ListKeys,
    keys::RevokeKey,
    keys::AdoptKey,
    keys::ListFlaggedKeys,
    services::ListServices,
    services::GetService,
    requests::RequestResource,
    requests::ListRequests,
    requests::GetRequest,
    requests::ExplainRequest,
    requests::ListPending,
    requests::RequestsOverview,
    requests::Approve,
    requests::Reject,
    requests::Cancel,
    resources::ListResources,
    resources::GetResource,
    resources::DeprovisionResource,
    resources::RetryResource,
    resources::RefreshResource,
    resources::ResourceRuns,
    resources::GetRun,
    resources::RunLog,
    secrets::ListSecrets,
    secrets::GetSecret,
    secrets::RotateSecret,
    audit::ListAudit,
    audit::VerifyAudit,
    audit::ListAuditAnchors,
}

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
