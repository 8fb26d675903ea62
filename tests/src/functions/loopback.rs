//! A small HTTP server for stand-ins: one thread a connection, and a handler that may also say nothing at all.

use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What somebody asked.
pub struct Asked {
    /// The method and the path.
    pub line: String,
    /// Header lines, names in lower case.
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.line))
    }
}

/// What is answered.
pub enum Answer {
    /// A status and JSON.
    Json(u16, Value),
    /// The same with headers.
    With(Vec<(&'static str, String)>, Value),
    /// XML, as the older services of AWS answer.
    Xml(String),
    /// Nothing: the connection ends, as when a reply gets lost.
    Lost,
}

/// A server on a free loopback port, until it is dropped.
pub struct Loopback {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Loopback {
    /// Starts one.
    pub fn serve(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (stopped, handler) = (Arc::new(AtomicBool::new(false)), Arc::new(handler));
        let over = Arc::clone(&stopped);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (over, handler) = (Arc::clone(&over), Arc::clone(&handler));
                // Whoever hangs up has had what they wanted.
                thread::spawn(move || {
                    let _ = converse(stream, &over, &*handler);
                });
            }
        });
        Self { address, stopped }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then goes.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(stream: TcpStream, over: &AtomicBool, handler: &dyn Fn(&Asked) -> Answer) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while !over.load(Ordering::SeqCst) {
        let Some((asked, last)) = heard(&mut stream)? else { return Ok(()) };
        let (status, headers, kind, body) = match handler(&asked) {
            Answer::Json(status, body) => (status, Vec::new(), "application/json", body.to_string()),
            Answer::With(headers, body) => (200, headers, "application/json", body.to_string()),
            Answer::Xml(body) => (200, Vec::new(), "text/xml", body),
            Answer::Lost => return Ok(()),
        };
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{more}content-length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        if last {
            return Ok(());
        }
    }
    Ok(())
}

/// The next question, and whether it is the last of its connection.
fn heard(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(Asked, bool)>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let last = first.trim_end().ends_with("HTTP/1.0");
    let line = first.rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let mut asked = Asked { line, headers, body: Vec::new() };
    assert_eq!(asked.header("transfer-encoding"), "", "this server reads no chunks: {}", asked.line);
    let length = asked.header("content-length").parse().unwrap_or(0);
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body)?;
    Ok(Some((asked, last)))
}
