//! Where a task's own process is: what the metadata endpoint of ECS says, so that others can ask ECS whether it lives.

use crate::{kernel::Timestamp, ports::runner::SupervisorLocation};
use serde::Deserialize;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long the endpoint gets, which is on this very host.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const MAX: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "Cluster")]
    cluster: String,
    #[serde(rename = "TaskARN")]
    task: String,
}

/// This task, by the endpoint that ECS_CONTAINER_METADATA_URI_V4 names. `None` where it cannot be told; then others wait
/// until the lease runs out.
pub async fn here(endpoint: &str, now: Timestamp) -> Option<SupervisorLocation> {
    match tokio::time::timeout(PATIENCE, asked(endpoint)).await {
        Ok(Ok(Metadata { cluster, task })) => Some(SupervisorLocation::Task { cluster, task, noted: now }),
        Ok(Err(error)) => {
            tracing::warn!(%error, "The task's metadata cannot be read; this task cannot be proven dead.");
            None
        }
        Err(_) => {
            tracing::warn!("The task's metadata did not come in time; this task cannot be proven dead.");
            None
        }
    }
}

async fn asked(endpoint: &str) -> io::Result<Metadata> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let rest = endpoint.strip_prefix("http://").ok_or_else(|| bad("the endpoint is not an http:// address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
        return Err(bad("the endpoint's path is not one"));
    }
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address).await?;
    // In this version of HTTP an answer is never in chunks and ends with the connection.
    let question = format!("GET /{}/task HTTP/1.0\r\nHost: {host}\r\n\r\n", path.trim_end_matches('/'));
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer).map_err(|_| bad("the answer is not text"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| bad("the answer is not HTTP"))?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(bad("the answer is not 200"));
    }
    serde_json::from_str(body).map_err(|error| bad(&format!("the answer is not what was expected: {error}")))
}
