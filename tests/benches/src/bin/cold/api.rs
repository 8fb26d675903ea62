//! Lambda's runtime API on loopback, for one function at a time: what the function asks is heard, and answered by hand.

use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// What every path begins with.
const VERSION: &str = "/2018-06-01/runtime/";

/// A request of the function, and when its last byte was there.
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    answer: Sender<String>,
}

/// The runtime API.
pub(crate) struct Api {
    pub(crate) address: String,
    heard: Receiver<Heard>,
    number: u32,
}

impl Api {
    pub(crate) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (say, heard) = channel();
        // It ends with the process: a function that was ended does not connect again.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let say = say.clone();
                thread::spawn(move || {
                    // The end of the function is the end of its connections, which is no failure here.
                    let _ = converse(stream, &say);
                });
            }
        });
        Ok(Self { address, heard, number: 0 })
    }

    /// The next request, if there is one within that time.
    pub(crate) fn hear(&self, within: Duration) -> io::Result<Option<Heard>> {
        match self.heard.recv_timeout(within) {
            Ok(heard) => Ok(Some(heard)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the runtime API has ended")),
        }
    }

    /// Answers a `next` with an event.
    pub(crate) fn invoke(&mut self, next: Heard, event: &Value) -> io::Result<()> {
        self.number += 1;
        // A minute, as the emulator of cargo-lambda says it: a duration, not a moment.
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: 00000000-0000-4000-8000-{:012}\r\nlambda-runtime-deadline-ms: 60000\r\nlambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:cold\r\nlambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n",
            self.number
        );
        let body = event.to_string();
        next.say(format!("{head}content-length: {}\r\n\r\n{body}", body.len()))
    }
}

impl Heard {
    /// What the path says after the version.
    pub(crate) fn what(&self) -> &str {
        self.path.strip_prefix(VERSION).unwrap_or(&self.path)
    }

    /// Takes note of an answer or an error of the function.
    pub(crate) fn accept(self) -> io::Result<()> {
        self.say("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned())
    }

    fn say(self, answer: String) -> io::Result<()> {
        self.answer.send(answer).map_err(|_| io::Error::other("the function hung up"))
    }
}

/// One connection of the function.
fn converse(stream: TcpStream, say: &Sender<Heard>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some((path, length)) = head(&mut reader)? {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (answer, answered) = channel();
        let heard = Heard { at: Instant::now(), path, body, answer };
        if say.send(heard).is_err() {
            return Ok(());
        }
        // Nobody answers a `next` after the last event.
        let Ok(answer) = answered.recv() else { return Ok(()) };
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Path and length of the next request.
fn head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<(String, usize)>> {
    let (mut first, mut length) = (None, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        match (line.is_empty(), &first) {
            (true, None) => {}
            (true, Some(_)) => break,
            (false, None) => first = line.split(' ').nth(1).map(str::to_owned),
            (false, Some(_)) => {
                let field = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                length = length.or_else(|| field.and_then(|(_, value)| value.trim().parse().ok()));
            }
        }
    }
    Ok(first.map(|path| (path, length.unwrap_or(0))))
}
