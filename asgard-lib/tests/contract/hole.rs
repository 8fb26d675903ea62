//! What stands between a client and a server, and may forget connections without a word.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A way to a server that swallows what is sent on connections it has forgotten.
pub struct Hole {
    url: String,
    forgotten: Arc<AtomicU64>,
}

impl Hole {
    /// In front of the server of a URL.
    pub async fn before(url: &str) -> Self {
        let (user, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (server, name) = rest.split_once('/').expect("a URL with a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("{user}@{}/{name}", listener.local_addr().expect("an address"));
        let (server, forgotten) = (server.to_owned(), Arc::new(AtomicU64::new(0)));
        let present = Arc::clone(&forgotten);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let since = present.load(SeqCst);
                tokio::spawn(pump(from_client, to_server, since, Arc::clone(&present)));
                tokio::spawn(pump(from_server, to_client, since, Arc::clone(&present)));
            }
        });
        Self { url, forgotten }
    }

    /// The URL that leads through it.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Forgets every connection that is there. Those that come later work.
    pub fn swallow(&self) {
        self.forgotten.fetch_add(1, SeqCst);
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    since: u64,
    present: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if present.load(SeqCst) != since {
            // Both ends stay open: nobody is told.
            std::future::pending::<()>().await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
