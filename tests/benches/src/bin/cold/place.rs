//! Where the functions are: what a deployment gives them, as far as there are emulators.

use serde_json::{Value, json};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

const REGION: &str = "eu-west-1";
/// Where systems keep their root certificates in one file.
const ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What the functions stand on.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    /// Whether there is a database to open.
    pub(crate) opens: bool,
    /// The admin's password, as the function of people has it.
    pub(crate) password: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Place {
    /// With a table in an emulator of DynamoDB, and with a key and a password in an emulator of AWS, where there are such.
    pub(crate) fn prepare(asgard: &Path, dynamodb: Option<&str>, aws: Option<&str>) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut database = format!("dynamodb://asgard_cold_{}?region={REGION}", std::process::id());
        if let Some(endpoint) = dynamodb {
            database.push_str(&format!("&endpoint={endpoint}"));
        }
        let mut environment = vec![
            set("ASGARD_DATABASE_URL", &database),
            set("ASGARD_LOG_FORMAT", "json"),
            set("ASGARD_EVENTS_FUNCTION", "asgard-events"),
            set("AWS_REGION", REGION),
            set("AWS_ACCESS_KEY_ID", "test"),
            set("AWS_SECRET_ACCESS_KEY", "test"),
            set("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        // Amazon Linux has that file only. Debian has every certificate a second time, in a folder that would be read, too.
        if let Some(roots) = ROOTS.iter().find(|roots| Path::new(roots).exists()) {
            environment.push(set("SSL_CERT_FILE", roots));
        }
        let mut password = Vec::new();
        match aws {
            Some(aws) => {
                let key = kms_key(aws)?;
                environment.push(set("ASGARD_KMS_KEY_ID", &key));
                environment.push(set("AWS_ENDPOINT_URL_KMS", aws));
                environment.push(set("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws));
                password.push(set("ASGARD_ADMIN_PASSWORD_SECRET_ARN", &secret(aws)?));
            }
            None => environment.push(set("ASGARD_SECRET_KEY", &"07".repeat(32))),
        }
        let place = Self { folder, opens: dynamodb.is_some(), password, environment };
        if place.opens {
            place.migrate(asgard)?;
        }
        Ok(place)
    }

    /// What a function finds in its environment.
    pub(crate) fn environment(&self, more: &[(&str, &str)], also: &[(String, String)]) -> Vec<(String, String)> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.iter().chain(also).cloned().chain(more).collect()
    }

    /// Makes the table, as an operator does.
    fn migrate(&self, asgard: &Path) -> io::Result<()> {
        let mut command = Command::new(asgard);
        command.arg("migrate").env_clear().envs(self.environment(&[], &[])).current_dir(self.folder.path());
        let done = command.output()?;
        if done.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("asgard migrate failed: {}", String::from_utf8_lossy(&done.stderr))))
    }
}

fn kms_key(aws: &str) -> io::Result<String> {
    let made = ask(aws, "kms", "TrentService.CreateKey", &json!({}))?;
    named(&made, "/KeyMetadata/Arn")
}

fn secret(aws: &str) -> io::Result<String> {
    let name = format!("asgard-cold-{}", std::process::id());
    let input = json!({"Name": name, "SecretString": "a bench password, not a secret"});
    named(&ask(aws, "secretsmanager", "secretsmanager.CreateSecret", &input)?, "/ARN")
}

fn named(answer: &Value, pointer: &str) -> io::Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| io::Error::other(format!("the emulator of AWS answered {answer}")))
}

/// Asks the emulator of AWS, which checks no signature and takes service and region from it.
fn ask(aws: &str, service: &str, target: &str, input: &Value) -> io::Result<Value> {
    let address = aws.strip_prefix("http://").unwrap_or(aws).trim_end_matches('/');
    let away = |error| io::Error::other(format!("the emulator of AWS at {address} cannot be reached: {error}"));
    let mut stream = TcpStream::connect(address).map_err(away)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let body = input.to_string();
    write!(
        stream,
        "POST / HTTP/1.0\r\nhost: {address}\r\nauthorization: AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(body).map_err(|_| io::Error::other(format!("the emulator of AWS answered {answer}")))
}
