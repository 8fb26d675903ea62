//! The stand-in for AWS, asked as plainly as its protocol allows: the tests share no client with what they test.

use serde_json::Value;

const REGION: &str = "eu-west-1";

/// The stand-in that `tests/run` started.
pub struct Aws {
    url: String,
}

impl Aws {
    /// Where the variable says that it is.
    pub fn get() -> Self {
        Self { url: crate::peers::needed("ASGARD_TEST_AWS_URL") }
    }

    /// The variables that point a process to it.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// Calls an operation of KMS.
    pub fn kms(&self, operation: &str, input: &Value) -> Value {
        self.call("kms", &format!("TrentService.{operation}"), input)
    }

    /// Calls an operation of Secrets Manager.
    pub fn secrets(&self, operation: &str, input: &Value) -> Value {
        self.call("secretsmanager", &format!("secretsmanager.{operation}"), input)
    }

    /// A new key: its ARN.
    pub fn new_key(&self) -> String {
        let made = self.kms("CreateKey", &serde_json::json!({}));
        made["KeyMetadata"]["Arn"].as_str().expect("a key has an ARN").to_owned()
    }

    /// A new secret: its ARN.
    pub fn new_secret(&self, name: &str, value: &str) -> String {
        let made = self.secrets("CreateSecret", &serde_json::json!({ "Name": name, "SecretString": value }));
        made["ARN"].as_str().expect("a secret has an ARN").to_owned()
    }

    fn call(&self, service: &str, target: &str, input: &Value) -> Value {
        // It checks no signature, and takes the region from here.
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = ureq::post(&self.url)
            .header("authorization", signed)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .send(input.to_string());
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        let text = text.unwrap_or_else(|error| panic!("{target}: {error}"));
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
