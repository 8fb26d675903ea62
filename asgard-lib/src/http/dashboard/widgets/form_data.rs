//! What a form sent, and reading it as a command's fields.

use crate::{
    app::operations::HIDDEN,
    error::{Code, Error, Result},
    http::{HttpState, Problem, api::collect},
    kernel::{SecretText, is_plain_text},
};
use axum::{
    Form,
    body::Body,
    extract::{FromRequest, Request},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use std::sync::Arc;

/// The most fields that a form of ours can have.
const MAX_FIELDS: usize = 500;

/// The fields of a sent form, in order. No `Debug`: it may hold a password.
#[derive(Default)]
pub(crate) struct FormData(Vec<(String, String)>);

impl FromRequest<Arc<HttpState>> for FormData {
    type Rejection = Problem;

    /// A form is a body like every other: as large as `max_body_bytes` allows, and no larger. The routes of the pages have no limit
    /// besides.
    async fn from_request(request: Request, state: &Arc<HttpState>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = collect(state, &parts.headers, body).await?;
        let request = Request::from_parts(parts, Body::from(bytes));
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
    pub(crate) fn of_query(uri: &http::Uri) -> Self {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(pairs.map(|query| query.0).unwrap_or_default().into_iter().take(MAX_FIELDS).collect())
    }

    /// Fields for tests.
    #[cfg(test)]
    pub(crate) fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Every field.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's text without blanks around it; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default().trim()
    }

    /// A field's text as it was sent: passwords may begin with a blank.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// A field's text, unless it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A field as a command holds it. Empty text is read as well, so that the error says what is allowed.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        typed(name, self.text(name).into())
    }

    /// A field that may be left empty, as a command holds it.
    pub(crate) fn read_given<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.given(name).map(|text| typed(name, text.into())).transpose()
    }

    /// A number that may be left empty, as a command holds it.
    pub(crate) fn read_number<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let read = |text: &str| {
            let number =
                number(text).ok_or_else(|| Error::invalid(name.to_owned(), "Expected a number, such as 100."))?;
            typed(name, number)
        };
        self.given(name).map(read).transpose()
    }

    /// A secret field, with the blanks around it.
    pub(crate) fn secret(&self, name: &str) -> SecretText {
        SecretText::new(self.raw(name).unwrap_or_default())
    }

    /// The fields below a prefix: `evidence.` gives `runbook_url` for `evidence.runbook_url`.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.trim())))
    }
}

/// A value as a command holds it, read as it is read on every surface, or what is allowed.
fn typed<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    if value.as_str().is_some_and(|text| !is_plain_text(text)) {
        return Err(Error::invalid(name.to_owned(), HIDDEN));
    }
    serde_json::from_value(value).map_err(|wrong| {
        let mut letters = crate::kernel::words::plainly(&wrong.to_string()).chars().take(400).collect::<String>();
        if let Some(first) = letters.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Error::invalid(name.to_owned(), format!("{letters}."))
    })
}

/// A number as people type it. A dollar sign, blanks and commas between thousands are forgiven.
pub(crate) fn number(text: &str) -> Option<Value> {
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
        let form_data = FormData::of_pairs(&[("budget_usd", "x"), ("days", "1.5"), ("none", ""), ("good", "1,000")]);
        let field = |error: Error| error.field().map(str::to_owned);
        assert_eq!(form_data.read_number::<u64>("budget_usd").map_err(field), Err(Some("budget_usd".into())));
        assert_eq!(form_data.read_number::<u64>("days").map_err(field), Err(Some("days".into())));
        assert_eq!(form_data.read_number::<u64>("none").ok(), Some(None));
        assert_eq!(form_data.read_number::<u64>("good").ok(), Some(Some(1000)));
        let wrong = form_data.read::<crate::kernel::Email>("budget_usd").unwrap_err();
        assert!(wrong.message().starts_with("Not a valid e-mail address: expected"), "{wrong}");
    }
}
