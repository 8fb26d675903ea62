//! A server that answers as AWS would, for what emulators do not show: throttling, missing rights, broken answers.

use super::Aws;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request that the server got: the operation and its JSON.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub operation: String,
    pub body: serde_json::Value,
}

/// What is answered: a status and JSON. The last answer of a list is given again and again.
pub(crate) type Answer = (u16, serde_json::Value);

/// AWS on a loopback port.
#[derive(Clone)]
pub(crate) struct FakeAws {
    pub asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    url: String,
}

/// The answer of AWS to a call that it refuses.
pub(crate) fn refusal(status: u16, code: &str) -> Answer {
    (status, serde_json::json!({ "__type": code, "message": format!("{code}, says the service") }))
}

impl FakeAws {
    /// Gives these answers, one after another.
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { asked: Arc::default(), answers: Arc::new(Mutex::new(answers.into_iter().collect())), url };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        fake
    }

    /// Replaces the answers that are left.
    pub(crate) fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    /// The operations that were asked for since the last look.
    pub(crate) fn operations(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|asked| asked.operation).collect()
    }

    /// The way to it, with credentials, the usual retries and short pauses between them.
    pub(crate) fn aws(&self) -> Aws {
        Aws::with(self.sdk())
    }

    pub(crate) fn sdk(&self) -> SdkConfig {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let retries = RetryConfig::standard()
            .with_max_attempts(super::ATTEMPTS)
            .with_initial_backoff(std::time::Duration::from_millis(5));
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .sleep_impl(aws_sdk_kms::config::SharedAsyncSleep::new(TokioSleep))
            .region(Region::from_static("eu-west-1"))
            .endpoint_url(&self.url)
            .retry_config(retries)
            .credentials_provider(aws_sdk_kms::config::SharedCredentialsProvider::new(
                aws_sdk_kms::config::Credentials::new("AKIDTEST", "test", None, None, "test"),
            ))
            .build()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        while let Some(asked) = next(&mut stream, &mut bytes).await {
            self.asked.lock().unwrap().push(asked);
            let (status, body) = {
                let mut answers = self.answers.lock().unwrap();
                let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                next.expect("an answer for every call")
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} Answer\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    }
}

/// The next request of a connection; `None` when the client has gone.
async fn next(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let header = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
                    .map(str::to_owned)
            };
            let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap_or_default();
                let target = header("x-amz-target").unwrap_or_default();
                bytes.drain(..end + 4 + length);
                let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
                return Some(Asked { operation, body });
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

#[derive(Debug)]
struct TokioSleep;

impl aws_sdk_kms::config::AsyncSleep for TokioSleep {
    fn sleep(&self, duration: std::time::Duration) -> aws_sdk_kms::config::Sleep {
        aws_sdk_kms::config::Sleep::new(tokio::time::sleep(duration))
    }
}
