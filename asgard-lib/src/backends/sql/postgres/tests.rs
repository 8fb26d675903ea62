//! A pool of the host's, on a server that says whether it takes writes, and counts what else it is asked.

use super::*;
use crate::backends::sql::postgres::connect;
use sqlx::postgres::{PgPoolOptions, PgSslMode};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a connection leads to.
#[derive(Default)]
struct Server {
    standby: AtomicBool,
    /// How often it was asked anything but whether it takes writes, while it took none.
    read_of_the_past: AtomicU32,
    read: AtomicU32,
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

/// The text that begins here.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// One column, a truth value in binary.
fn description() -> Vec<u8> {
    let field = [&b"answer\0"[..], &[0; 4], &[0; 2], &16u32.to_be_bytes(), &1u16.to_be_bytes(), &[0xff; 4], &[0, 1]];
    message(b'T', &[&1u16.to_be_bytes()[..], &field.concat()].concat())
}

impl Server {
    async fn talk(self: Arc<Self>, mut stream: TcpStream) -> std::io::Result<()> {
        let startup = stream.read_u32().await?;
        stream.read_exact(&mut vec![0; startup as usize - 4]).await?;
        stream.write_all(&[message(b'R', &[0; 4]), message(b'K', &[0; 8]), message(b'Z', b"I")].concat()).await?;
        let (mut prepared, mut bound) = (BTreeMap::new(), String::new());
        loop {
            let (kind, length) = (stream.read_u8().await?, stream.read_u32().await?);
            let mut body = vec![0; length as usize - 4];
            stream.read_exact(&mut body).await?;
            let answer = match kind {
                b'P' => {
                    let name = text(&body);
                    prepared.insert(name.clone(), text(&body[name.len() + 1..]));
                    message(b'1', &[])
                }
                b'D' => [message(b't', &[0; 2]), description()].concat(),
                b'B' => {
                    let portal = text(&body);
                    bound = prepared[&text(&body[portal.len() + 1..])].clone();
                    message(b'2', &[])
                }
                b'E' => self.execute(&bound),
                b'C' => message(b'3', &[]),
                b'S' => message(b'Z', b"I"),
                b'X' => return Ok(()),
                _ => Vec::new(),
            };
            stream.write_all(&answer).await?;
        }
    }

    fn execute(&self, sql: &str) -> Vec<u8> {
        let standby = self.standby.load(SeqCst);
        let answer = if sql.contains("pg_is_in_recovery") {
            standby
        } else {
            self.read.fetch_add(1, SeqCst);
            self.read_of_the_past.fetch_add(u32::from(standby), SeqCst);
            true
        };
        let row = [&1u16.to_be_bytes()[..], &1u32.to_be_bytes(), &[u8::from(answer)]].concat();
        [message(b'D', &row), message(b'C', b"SELECT 1\0")].concat()
    }
}

/// The host's pool knows nothing of standbys: neither a connection that it has just made nor one that was used a moment ago is read
/// from before it has said that its server takes writes.
#[tokio::test]
async fn a_pool_that_a_host_lends_reads_from_no_standby() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Arc::new(Server::default());
    let serving = tokio::spawn({
        let server = Arc::clone(&server);
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).talk(stream));
            }
        }
    });
    let options = PgConnectOptions::new().host("127.0.0.1").port(port).username("u").database("d");
    let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(options.ssl_mode(PgSslMode::Disable));
    let engine = connect::lent(pool.clone(), &PostgresOptions::default());
    let read = async || engine.read::<(bool,)>("SELECT true", &[]).await.map(|rows| rows.len());
    assert_eq!(read().await.unwrap(), 1);
    for _ in 0..2 {
        // The name leads to a standby now, or the server became one.
        server.standby.store(true, SeqCst);
        assert!(matches!(read().await, Err(StoreError::Unavailable(_))));
        assert_eq!(server.read_of_the_past.load(SeqCst), 0);
        server.standby.store(false, SeqCst);
        assert_eq!(read().await.unwrap(), 1, "it goes on with the next connection");
    }
    assert_eq!(server.read.load(SeqCst), 3);
    assert!(!pool.is_closed());
    serving.abort();
}
