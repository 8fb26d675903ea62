//! What the tests of this folder share: a database in a folder, events from files, and an AWS that answers as it is told.
#![allow(dead_code, reason = "each test uses a part of it")]

use asgard_lambda::Settings;
use asgard_lib::{
    aws::Aws,
    config::Environment,
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use lambda_http::{Context, LambdaEvent, lambda_runtime};
use serde_json::Value;
use std::{
    ffi::OsString,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

pub const PASSWORD: &str = "correct horse battery";

/// A database that was made ready, as an operator does with `asgard migrate`.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub settings: Settings,
}

impl Place {
    pub async fn new(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/asgard.db", folder.path().display());
        let given = more.iter().any(|(name, _)| name.starts_with("ASGARD_ADMIN_PASSWORD"));
        let password = ("ASGARD_ADMIN_PASSWORD", if given { "" } else { PASSWORD });
        let fixed = [("ASGARD_DATABASE_URL", url.as_str()), password];
        let os = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        let environment: Environment = fixed.iter().chain(more).map(os).collect();
        let settings = Settings::load(environment).await.unwrap();
        let place = Self { folder, settings };
        place.open().await.close().await;
        place
    }

    /// Has a Lambda that answers after a while be asked to do jobs.
    pub async fn waking(&mut self, delay: std::time::Duration) -> Asked {
        let (sdk, asked) = aws(delay, &[(202, Value::Null)]).await;
        self.settings.aws = Aws::with(sdk);
        self.settings.events = Some("asgard-events".to_owned());
        asked
    }

    /// As a server would open it.
    pub async fn open(&self) -> Runtime {
        let config = &self.settings.loaded.config;
        Runtime::open(config, RuntimeOptions::server(config, Supervisors::none())).await.unwrap()
    }
}

pub fn event(name: &str) -> Value {
    let path = format!("{}/tests/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An invocation that may last so many milliseconds, as the emulator says it.
pub fn invocation<T>(payload: T, millis: u64) -> LambdaEvent<T> {
    let mut context = Context::default();
    context.deadline = millis;
    context.env_config = Arc::new(lambda_runtime::Config::default());
    LambdaEvent::new(payload, context)
}

/// What somebody asked AWS: the head of each request, and its body.
pub type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// An AWS that remembers what it was asked. The nth request gets the nth answer, a status and a body, and the last one again
/// after that.
pub async fn aws(delay: std::time::Duration, answers: &[(u16, Value)]) -> (SdkConfig, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let (heard, answers) = (Arc::clone(&asked), answers.to_vec());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (heard, answers) = (Arc::clone(&heard), answers.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
                while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let before = {
                    let mut heard = heard.lock().unwrap();
                    heard.push((head, String::from_utf8(body).unwrap()));
                    heard.len() - 1
                };
                tokio::time::sleep(delay).await;
                let (status, answer) = answers.get(before).or_else(|| answers.last()).unwrap();
                let answer = if answer.is_null() { String::new() } else { answer.to_string() };
                let head = format!(
                    "HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                let _ = stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).await;
            });
        }
    });
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(format!("http://{address}"))
        .build();
    (sdk, asked)
}
