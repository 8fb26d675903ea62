//! A service's input schema as form fields, and what was filled in as a spec.

mod shape;

use crate::{
    error::Error,
    http::dashboard::widgets::{Choice, Control, Field, FormData, words},
};
use serde_json::{Map, Value};
use shape::Shape;

/// How deep objects of objects become fields of their own; deeper ones are written as JSON.
const DEEPEST: usize = 2;
/// The most fields that a form shows.
const MAX: usize = 200;

/// One input of a service.
struct Known {
    /// Its names from the outside in.
    path: Vec<String>,
    shape: Shape,
    required: bool,
    title: Option<String>,
    description: String,
    default: Option<Value>,
}

/// The inputs of a service.
pub(crate) struct Inputs(Vec<Known>);

/// What a form came to.
pub(crate) enum Filled {
    /// A spec; the operation judges it.
    Spec(Map<String, Value>),
    /// Texts that are not what their fields hold.
    Wrong(Vec<Error>),
}

impl Inputs {
    /// The inputs of a JSON Schema. Required ones come first.
    pub(crate) fn of(schema: &Value, sensitive: &[String]) -> Self {
        let mut found = Vec::new();
        walk(schema, &[], true, sensitive, &mut found);
        found.sort_by_key(|known| !known.required);
        Self(found)
    }

    /// The fields, in groups: those of an object stand together under its name.
    pub(crate) fn fields(&self, present: Option<&Map<String, Value>>) -> Vec<(Option<String>, Vec<Field>)> {
        let mut groups: Vec<(Option<String>, Vec<Field>)> = vec![(None, Vec::new())];
        for known in &self.0 {
            let group = known
                .path
                .split_last()
                .filter(|(_, outer)| !outer.is_empty())
                .map(|(_, outer)| words(&outer.join(" ")));
            let field = known.field(present);
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, fields)) => fields.push(field),
                None => groups.push((group, vec![field])),
            }
        }
        groups
    }

    /// The spec that was filled in. What was left empty is left out.
    pub(crate) fn read(&self, form_data: &FormData) -> Filled {
        let mut spec = Map::new();
        let mut wrong = Vec::new();
        for known in &self.0 {
            let name = known.field_name();
            let text = form_data.raw(&name).unwrap_or_default();
            let text = if known.shape.keeps_blanks() { text } else { text.trim() };
            match (text.is_empty(), known.required) {
                (true, false) => {}
                (true, true) => wrong.push(Error::invalid(name, "This has to be filled in.")),
                (false, _) => match known.shape.parse(text) {
                    Ok(value) => insert(&mut spec, &known.path, value),
                    Err(allowed) => wrong.push(Error::invalid(name, allowed)),
                },
            }
        }
        if wrong.is_empty() { Filled::Spec(spec) } else { Filled::Wrong(wrong) }
    }
}

fn insert(into: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            into.insert(name.clone(), value);
        }
        [outer, inner @ ..] => {
            if let Value::Object(map) = into.entry(outer.clone()).or_insert_with(|| Value::Object(Map::new())) {
                insert(map, inner, value);
            }
        }
    }
}

fn walk(schema: &Value, outer: &[String], asked: bool, sensitive: &[String], found: &mut Vec<Known>) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, about) in properties {
        if found.len() >= MAX {
            return;
        }
        let path: Vec<String> = outer.iter().chain([name]).cloned().collect();
        let required = asked && required.contains(&name.as_str());
        let nested = about.get("properties").and_then(Value::as_object).is_some_and(|inner| !inner.is_empty());
        if nested && path.len() < DEEPEST {
            walk(about, &path, required, &[], found);
            continue;
        }
        let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
        let shape = if sensitive.contains(name) { Shape::Secret } else { Shape::of(about) };
        found.push(Known {
            path,
            shape,
            required,
            title: text("title"),
            description: text("description").unwrap_or_default(),
            default: about.get("default").cloned(),
        });
    }
}

impl Known {
    fn field_name(&self) -> String {
        format!("spec.{}", self.path.join("."))
    }

    fn field(&self, present: Option<&Map<String, Value>>) -> Field {
        let last = self.path.last().map_or("", String::as_str);
        let label = self.title.clone().unwrap_or_else(|| words(last));
        let held = present.and_then(|spec| {
            let (first, inner) = self.path.split_first()?;
            inner.iter().try_fold(spec.get(first)?, |value, name| value.get(name))
        });
        let value = held.or(self.default.as_ref());
        let mut field = Field::new(self.field_name(), label, self.control())
            .help([self.description.as_str(), self.shape.hint()].join(" ").trim().to_owned())
            .value(value.map(|value| self.shape.format(value)).unwrap_or_default());
        if let Shape::Text { longest: Some(longest) } = self.shape {
            field = field.longest(longest);
        }
        if self.shape.is_code() {
            field = field.mono();
        }
        if self.required { field.required() } else { field }
    }

    fn control(&self) -> Control {
        match &self.shape {
            Shape::Text { .. } => Control::Line("text"),
            Shape::Secret => Control::Password,
            Shape::Number { whole, min, max } => {
                Control::Number { min: min.clone(), max: max.clone(), step: if *whole { "1" } else { "any" } }
            }
            Shape::Choice(values) => {
                let named = values.iter().map(|value| {
                    let text = shape::plain(value);
                    Choice::new(text.clone(), text)
                });
                self.optional_choice(named.collect())
            }
            Shape::Flag => self.optional_choice(vec![Choice::new("true", "Yes"), Choice::new("false", "No")]),
            Shape::Lines { .. } | Shape::Pairs | Shape::Json => Control::Area { rows: 3 },
        }
    }

    /// A choice that may be left open, unless something has to be chosen or is chosen by itself.
    fn optional_choice(&self, choices: Vec<Choice>) -> Control {
        let open = (self.default.is_none()).then(|| Choice::new("", if self.required { "Choose" } else { "Not set" }));
        Control::Choice(open.into_iter().chain(choices).collect())
    }
}

#[cfg(test)]
mod tests;
