//! A small HTTP/1.1 load generator: keep-alive connections that send one request after another and count the answers.

use std::{
    io,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Wire {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some((status, from, length)) = head(&self.buffer)? {
                while self.buffer.len() < from + length {
                    self.more().await?;
                }
                let body = self.buffer.get(from..from + length).unwrap_or_default().to_vec();
                return Ok(Reply { status, body });
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(broken("the server hung up")),
            _ => Ok(()),
        }
    }
}

/// Status, where the body starts and how long it is, once the head is there.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text =
        std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| broken("a head that is not text"))?;
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken("no status"))?;
    let length = text
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| broken("an answer without a length"))?;
    Ok(Some((status, end + 4, length)))
}

/// A request as bytes.
pub(crate) fn request(method: &str, path: &str, bearer: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json, text/event-stream\r\n");
    if let Some(bearer) = bearer {
        text.push_str(&format!("authorization: Bearer {bearer}\r\n"));
    }
    match body {
        Some(body) => {
            text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
        }
        None => text.push_str("\r\n"),
    }
    text.into_bytes()
}

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Sends `request` over `connections` connections for `length` and counts the answers, which all have to be successes.
pub(crate) async fn load(address: &str, request: &[u8], connections: usize, length: Duration) -> io::Result<Load> {
    let mut tasks = Vec::with_capacity(connections);
    let started = Instant::now();
    for _ in 0..connections {
        let (address, request) = (address.to_owned(), request.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut wire = Wire::open(&address).await?;
            let mut times = Vec::new();
            while started.elapsed() < length {
                let sent = Instant::now();
                let reply = wire.ask(&request).await?;
                if !(200..300).contains(&reply.status) {
                    let text = String::from_utf8_lossy(&reply.body).into_owned();
                    return Err(io::Error::other(format!("answered {}: {text}", reply.status)));
                }
                times.push(sent.elapsed());
            }
            io::Result::Ok(times)
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.map_err(io::Error::other)??);
    }
    let took = started.elapsed();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "a count of requests")]
    let per_second = times.len() as f64 / took.as_secs_f64();
    Ok(Load { per_second, p50: at(50), p99: at(99) })
}
