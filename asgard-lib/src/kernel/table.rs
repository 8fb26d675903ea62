//! Which DynamoDB table, and where: `dynamodb://asgard?region=eu-west-1`.

use std::str::FromStr;

/// A table in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamoTable {
    /// Its name.
    pub name: String,
    /// Its region; by default that of the environment.
    pub region: Option<String>,
    /// Another endpoint than that of AWS: an emulator's.
    pub endpoint: Option<String>,
}

impl FromStr for DynamoTable {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let rest = url.strip_prefix("dynamodb://").ok_or("it does not begin with dynamodb://")?;
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut table = Self { name: name.to_owned(), region: None, endpoint: None };
        let plain = |text: &str, also: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b));
        if !(3..=255).contains(&name.len()) || !plain(name, b"_-.") {
            return Err("a table's name is 3 to 255 letters, digits, `_`, `-` and `.`");
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("region", region)) if (1..=40).contains(&region.len()) && plain(region, b"-") => {
                    table.region = Some(region.to_owned());
                }
                Some(("region", _)) => return Err("`region` is the name of an AWS region, for example eu-west-1"),
                Some(("endpoint", at)) if at.starts_with("http://") || at.starts_with("https://") => {
                    table.endpoint = Some(at.to_owned());
                }
                Some(("endpoint", _)) => return Err("`endpoint` begins with http:// or https://"),
                Some(_) | None => return Err("after `?` only `region` and `endpoint` are allowed, joined by `&`"),
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_table_or_say_why_not() {
        let table = |url: &str| url.parse::<DynamoTable>();
        let local = table("dynamodb://asgard?region=eu-west-1&endpoint=http://127.0.0.1:8000").unwrap();
        assert_eq!((local.name.as_str(), local.region.as_deref()), ("asgard", Some("eu-west-1")));
        assert_eq!(local.endpoint.as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(table("dynamodb://a.b-c_d").unwrap().region, None);
        for (url, says) in [
            ("dynamodb:asgard", "begin with"),
            ("dynamodb://ab", "3 to 255"),
            ("dynamodb://a/b", "3 to 255"),
            ("dynamodb://asgard?region=", "name of an AWS region"),
            ("dynamodb://asgard?region=eu west", "name of an AWS region"),
            ("dynamodb://asgard?endpoint=localhost", "http://"),
            ("dynamodb://asgard?profile=me", "only `region`"),
            ("dynamodb://asgard?region", "only `region`"),
        ] {
            assert!(table(url).unwrap_err().contains(says), "{url}");
        }
    }
}
