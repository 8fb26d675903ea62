//! What a form sent, and turning it into an operation's input.

use crate::{
    error::{Code, Error, Result},
    http::Problem,
};
use axum::{
    Form,
    extract::{FromRequest, Request},
    response::IntoResponse,
};
use serde_json::{Map, Number, Value};

/// The most fields that a form of ours can have.
const MAX_FIELDS: usize = 500;

/// The fields of a sent form, in order. No `Debug`: it may hold a password.
#[derive(Default)]
pub struct FormData(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for FormData {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Form::<Vec<(String, String)>>::from_request(request, state).await {
            Ok(Form(mut fields)) => {
                fields.truncate(MAX_FIELDS);
                Ok(Self(fields))
            }
            Err(refused) => {
                let code = match refused.into_response().status().as_u16() {
                    413 => Code::BodyTooLarge,
                    415 => Code::UnsupportedMedia,
                    _ => Code::InvalidInput,
                };
                Err(Problem(Error::new(code, "The form could not be read. Go back and send it again.")))
            }
        }
    }
}

impl FormData {
    /// What an address asks for, read like a form. What cannot be read asks for nothing.
    pub fn of_query(uri: &http::Uri) -> Self {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(pairs.map(|query| query.0).unwrap_or_default().into_iter().take(MAX_FIELDS).collect())
    }

    /// Fields for tests.
    #[cfg(test)]
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Every field.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's text without blanks around it; empty when it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default().trim()
    }

    /// A field's text as it was sent: passwords may begin with a blank.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// A field's text, unless it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The fields below a prefix: `evidence.` gives `runbook_url` for `evidence.runbook_url`.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.trim())))
    }
}

/// An operation's input, built from a form.
#[derive(Default)]
pub struct Input(Map<String, Value>);

impl Input {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A field that has to be there: empty text is sent on, so that the operation says what is wrong with it.
    #[must_use]
    pub fn text(self, name: &str, form_data: &FormData) -> Self {
        let text = form_data.text(name).to_owned();
        self.set(name, text)
    }

    /// A secret field, with the blanks around it.
    #[must_use]
    pub fn secret(self, name: &str, form_data: &FormData) -> Self {
        let text = form_data.raw(name).unwrap_or_default().to_owned();
        self.set(name, text)
    }

    /// A field that may be left empty.
    #[must_use]
    pub fn optional(self, name: &str, form_data: &FormData) -> Self {
        match form_data.given(name) {
            Some(text) => {
                let text = text.to_owned();
                self.set(name, text)
            }
            None => self,
        }
    }

    /// A number that may be left empty.
    pub fn number(self, name: &str, form_data: &FormData) -> Result<Self> {
        match form_data.given(name) {
            Some(text) => {
                let number =
                    number(text).ok_or_else(|| Error::invalid(name.to_owned(), "Expected a number, such as 100."))?;
                Ok(self.set(name, number))
            }
            None => Ok(self),
        }
    }

    /// The input.
    pub fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// A number as people type it. A dollar sign, blanks and commas between thousands are forgiven.
pub fn number(text: &str) -> Option<Value> {
    let plain: String = text.trim().trim_start_matches('$').chars().filter(|c| !matches!(c, ',' | ' ' | '_')).collect();
    if let Ok(whole) = plain.parse::<i64>() {
        return Some(whole.into());
    }
    plain.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let form_data = FormData::of_pairs(&[
            ("name", " Collab "),
            ("evidence.runbook_url", "https://x/y"),
            ("a", "1"),
            ("b", " "),
            ("password", " x "),
            ("a", "2"),
        ]);
        assert_eq!(form_data.text("name"), "Collab");
        assert_eq!(form_data.text("a"), "1", "the first of a name counts");
        assert_eq!(form_data.given("b"), None);
        assert_eq!(form_data.raw("password"), Some(" x "));
        let below: Vec<_> = form_data.below("evidence.").collect();
        assert_eq!(below, [("runbook_url", "https://x/y")]);
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (text, value) in [("100", 100.into()), ("$1,200", 1200.into()), ("0.5", serde_json::json!(0.5))] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for bad in ["", "ten", "1e999", "NaN", "1.2.3"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(
            Input::new()
                .number("budget_usd", &FormData::of_pairs(&[("budget_usd", "x")]))
                .err()
                .and_then(|e| e.field().map(str::to_owned)),
            Some("budget_usd".into())
        );
    }
}
