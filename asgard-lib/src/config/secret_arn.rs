//! Values that are in AWS Secrets Manager: how a variable names one, and what of it is the setting's value. Nothing is
//! fetched here; whoever loads the settings does that first.

use super::spec::FILE_VARIABLE;
use crate::kernel::SecretText;
use serde_json::Value as Json;
use std::fmt;

/// The ARN of a secret, and which field of its JSON is meant: `arn:aws:secretsmanager:...#field`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretArn {
    arn: String,
    field: Option<String>,
}

/// What a variable must hold. The text that it does hold is not repeated: it may be the secret itself, under the wrong name.
pub(super) const ALLOWED: &str = "not the ARN of a secret; allowed here: \
     arn:aws:secretsmanager:<region>:<account>:secret:<name>, with `#<field>` where one field of a JSON secret is meant";

impl SecretArn {
    /// Reads an ARN with or without a field.
    pub fn parse(text: &str) -> Option<Self> {
        let (arn, field) = match text.split_once('#') {
            Some((arn, field)) => (arn, Some(field)),
            None => (text, None),
        };
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "secretsmanager", region, account, "secret", name] = parts.as_slice() else {
            return None;
        };
        let word = |text: &str, also: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
        };
        let fits = arn.len() <= 2048
            && (*partition == "aws" || partition.starts_with("aws-"))
            && word(region, b"-")
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && word(name, b"/_+=.@!-")
            && field.is_none_or(|field| (1..=256).contains(&field.len()) && !field.chars().any(char::is_control));
        fits.then(|| Self { arn: arn.to_owned(), field: field.map(str::to_owned) })
    }

    /// The ARN without the field.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The region that the secret is in.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }

    /// What of the secret's text is the value of the variable `name`.
    pub(super) fn value(&self, name: &str, secret: &SecretText) -> Result<SecretText, String> {
        let text = secret.reveal();
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        let object = if text.trim_start().starts_with('{') {
            serde_json::from_str::<serde_json::Map<String, Json>>(text).ok()
        } else {
            None
        };
        let value = match (&self.field, object) {
            (Some(field), Some(object)) => plain(object.get(field)).ok_or_else(|| {
                format!("the secret {} has no field `{field}` that is a text, a number or a truth value", self.arn)
            })?,
            (Some(field), None) => {
                return Err(format!(
                    "the secret {} is not a JSON object, so it has no field `{field}`; leave `#{field}` out",
                    self.arn
                ));
            }
            (None, Some(object)) if name == DATABASE => self.database(&object)?,
            // JSON is YAML.
            (None, Some(_)) if name == FILE_VARIABLE => SecretText::new(text),
            (None, Some(_)) => {
                let reason = "is a JSON object; say which field is meant, with `#<field>` at the end";
                return Err(format!("the secret {} {reason}", self.arn));
            }
            (None, None) => SecretText::new(text),
        };
        if value.reveal().is_empty() { Err(format!("the value in {self} is empty")) } else { Ok(value) }
    }

    /// A database's URL from its `url`, or from the fields of a secret that AWS keeps for a database.
    fn database(&self, object: &serde_json::Map<String, Json>) -> Result<SecretText, String> {
        if let Some(url) = plain(object.get("url")) {
            return Ok(url);
        }
        let engine = object.get("engine").and_then(Json::as_str).unwrap_or_default();
        let missing: Vec<&str> = ["engine", "username", "password", "host"]
            .into_iter()
            .filter(|field| !object.contains_key(*field))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "the secret {} is JSON without `url`, and as a database's secret it lacks {}; add what is missing, or say \
                 which field holds the URL with `#<field>`",
                self.arn,
                missing.join(", ")
            ));
        }
        if !["postgres", "aurora-postgresql"].contains(&engine) {
            return Err(format!(
                "the secret {} is not that of a PostgreSQL database: its `engine` is neither postgres nor aurora-postgresql",
                self.arn
            ));
        }
        let part = |field: &str, otherwise: &str| match object.get(field) {
            None | Some(Json::Null) => Ok(SecretText::new(otherwise)),
            present => {
                plain(present).ok_or_else(|| format!("the field `{field}` of the secret {} is not a text", self.arn))
            }
        };
        let (user, password) = (part("username", "")?, part("password", "")?);
        let (host, port, name) = (part("host", "")?, part("port", "5432")?, part("dbname", "postgres")?);
        let host_fits =
            |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if !host_fits(host.reveal()) || !port.reveal().parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("the `host` or the `port` of the secret {} is not that of a server", self.arn));
        }
        Ok(SecretText::new(format!(
            "postgres://{}:{}@{}:{}/{}?sslmode=require",
            escaped(user.reveal()),
            escaped(password.reveal()),
            host.reveal(),
            port.reveal(),
            escaped(name.reveal()),
        )))
    }
}

/// The ARN with its field, as it was written.
impl fmt::Display for SecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)?;
        self.field.as_ref().map_or(Ok(()), |field| write!(f, "#{field}"))
    }
}

/// The variable that a database's JSON secret as a whole can be meant for.
const DATABASE: &str = "ASGARD_DATABASE_URL";

fn plain(value: Option<&Json>) -> Option<SecretText> {
    match value? {
        Json::String(text) => Some(SecretText::new(text.as_str())),
        Json::Number(number) => Some(SecretText::new(number.to_string())),
        Json::Bool(truth) => Some(SecretText::new(truth.to_string())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Percent-encodes all but what every part of a URL may hold.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:asgard/db-AbCdEf";

    fn value(name: &str, field: &str, secret: &str) -> Result<String, String> {
        let arn = SecretArn::parse(&format!("{ARN}{field}")).unwrap();
        arn.value(name, &SecretText::new(secret)).map(|text| text.reveal().to_owned())
    }

    #[test]
    fn an_arn_is_one_with_a_region_or_refused() {
        let arn = SecretArn::parse(&format!("{ARN}#api.key")).unwrap();
        assert_eq!((arn.arn(), arn.region(), arn.to_string()), (ARN, "eu-west-1", format!("{ARN}#api.key")));
        assert!(SecretArn::parse("arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:rds!db-1").is_some());
        for bad in [
            "",
            "hunter2",
            "asgard/db",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager::123456789012:secret:x",
            "arn:aws:secretsmanager:eu-west-1:1234:secret:x",
            "arn:aws:kms:eu-west-1:123456789012:key/x",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/x",
            &format!("{ARN}#"),
            // How ECS writes a field.
            &format!("{ARN}:password::"),
        ] {
            assert_eq!(SecretArn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_is_its_text_or_the_field_that_was_named() {
        assert_eq!(value("ASGARD_ADMIN_PASSWORD", "", "correct horse\n").unwrap(), "correct horse");
        assert_eq!(value("ASGARD_ADMIN_PASSWORD", "#pw", r#"{"pw":"a\"b","n":7}"#).unwrap(), "a\"b");
        assert_eq!(value("ASGARD_BIND", "#n", r#"{"pw":"hunter2","n":7}"#).unwrap(), "7");
        for (field, secret, why) in [
            ("", "", "is empty"),
            ("", "\n", "is empty"),
            ("", r#"{"pw":"hunter2"}"#, "say which field is meant"),
            ("#other", r#"{"pw":"hunter2"}"#, "has no field `other`"),
            ("#pw", r#"{"pw":["hunter2"]}"#, "has no field `pw` that is a text"),
            ("#pw", "hunter2", "is not a JSON object"),
            ("#pw", r#"{"pw":""}"#, "is empty"),
        ] {
            let reason = value("ASGARD_ADMIN_PASSWORD", field, secret).unwrap_err();
            assert!(reason.contains(why) && reason.contains(ARN) && !reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn a_databases_secret_becomes_its_url() {
        let url = |secret: &str| value("ASGARD_DATABASE_URL", "", secret);
        assert_eq!(url("postgres://u:p@h/d").unwrap(), "postgres://u:p@h/d");
        assert_eq!(url(r#"{"url":"postgres://u:p@h/d","host":"x"}"#).unwrap(), "postgres://u:p@h/d");
        assert_eq!(value("ASGARD_DATABASE_URL", "#u", r#"{"u":"sqlite://a.db"}"#).unwrap(), "sqlite://a.db");
        let rds = r#"{"engine":"postgres","username":"as:gard","password":"p@ss/w%rd? #ü","host":"db.x.eu-west-1.rds.amazonaws.com",
            "port":5433,"dbname":"asgard","dbInstanceIdentifier":"db"}"#;
        assert_eq!(
            url(rds).unwrap(),
            "postgres://as%3Agard:p%40ss%2Fw%25rd%3F%20%23%C3%BC@db.x.eu-west-1.rds.amazonaws.com:5433/asgard?sslmode=require"
        );
        let bare = r#"{"engine":"aurora-postgresql","username":"u","password":"p","host":"h"}"#;
        assert_eq!(url(bare).unwrap(), "postgres://u:p@h:5432/postgres?sslmode=require");
        for (secret, why) in [
            // What RDS keeps for a password that it manages itself.
            (r#"{"username":"u","password":"hunter2"}"#, "lacks engine, host"),
            (
                r#"{"engine":"mysql","username":"u","password":"hunter2","host":"h"}"#,
                "not that of a PostgreSQL database",
            ),
            (r#"{"engine":"postgres","username":"u","password":"hunter2","host":"h/evil"}"#, "is not that of a server"),
            (
                r#"{"engine":"postgres","username":"u","password":"hunter2","host":"h","port":70000}"#,
                "is not that of a server",
            ),
            (r#"{"engine":"postgres","username":"u","password":["hunter2"],"host":"h"}"#, "`password` of the secret"),
        ] {
            let reason = url(secret).unwrap_err();
            assert!(reason.contains(why) && reason.contains(ARN) && !reason.contains("hunter2"), "{reason}");
        }
    }
}
