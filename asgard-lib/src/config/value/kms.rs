//! How a key in AWS KMS is named.

use super::{Refusal, Value};
use crate::config::spec::Spec;

/// A key's ARN, its id, an alias, or an alias's ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKeyId(String);

impl KmsKeyId {
    /// The name as KMS takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that an ARN names.
    pub fn region(&self) -> Option<&str> {
        self.0.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2))
    }

    /// Whether it is a key's own ARN, which never means another key.
    pub fn is_key_arn(&self) -> bool {
        self.0.starts_with("arn:") && self.0.contains(":key/")
    }

    /// Reads any of the four forms.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= 512 && text.strip_prefix("arn:").map_or_else(|| is_name(text), is_arn);
        fits.then(|| Self(text.to_owned()))
    }
}

fn is_arn(rest: &str) -> bool {
    let parts: Vec<&str> = rest.split(':').collect();
    let [partition, "kms", region, account, resource] = parts.as_slice() else { return false };
    let name = resource.strip_prefix("key/").map_or_else(|| resource.starts_with("alias/"), is_key);
    (*partition == "aws" || partition.starts_with("aws-"))
        && !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name
        && is_name(resource.strip_prefix("key/").unwrap_or(resource))
}

fn is_name(text: &str) -> bool {
    text.strip_prefix("alias/").map_or_else(
        || is_key(text),
        |alias| !alias.is_empty() && alias.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b)),
    )
}

/// A UUID, or `mrk-` and 32 hex digits for a key of several regions.
fn is_key(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    match text.strip_prefix("mrk-") {
        Some(rest) => rest.len() == 32 && hex(rest),
        None => text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hex),
    }
}

impl Value for KmsKeyId {
    fn allowed(_: &Spec) -> String {
        "a KMS key: arn:aws:kms:<region>:<account>:key/<id>, the id alone, or alias/<name>".to_owned()
    }

    /// Does not repeat the text: it may be a master key, given under the wrong name.
    fn parse(text: &str, spec: &Spec) -> Result<Self, Refusal> {
        let refusal = || Refusal::Because(format!("the value is not allowed; allowed here: {}", Self::allowed(spec)));
        Self::parse(text).ok_or_else(refusal)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_and_nothing_else() {
        const ID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let arn = format!("arn:aws:kms:eu-west-1:123456789012:key/{ID}");
        let key = KmsKeyId::parse(&arn).unwrap();
        assert_eq!((key.region(), key.is_key_arn()), (Some("eu-west-1"), true));
        let alias = KmsKeyId::parse("arn:aws-cn:kms:cn-north-1:123456789012:alias/team/asgard").unwrap();
        assert_eq!((alias.region(), alias.is_key_arn()), (Some("cn-north-1"), false));
        for name in [ID, "alias/asgard", "mrk-0123456789abcdef0123456789abcdef"] {
            let key = KmsKeyId::parse(name).unwrap();
            assert_eq!((key.region(), key.is_key_arn()), (None, false));
        }
        for bad in [
            "",
            "asgard",
            "alias/",
            "key/x",
            "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "arn:aws:kms:eu-west-1:123456789012:key/x",
            "arn:aws:kms:eu-west-1:12:alias/x",
            "arn:aws:kms::123456789012:alias/x",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x",
        ] {
            assert_eq!(KmsKeyId::parse(bad), None, "{bad}");
        }
    }
}
