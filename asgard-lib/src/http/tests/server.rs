//! The listener, over real sockets.

use crate::{
    config::Server,
    http::{Front, serve, testkit::TestApp},
};
use axum::{Router, routing::get};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start(front: Arc<Front>, settings: Server) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { serve(listener, front, &settings, stop).await }
    });
    Running { address, stop, task }
}

async fn send(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
}

/// Reads until the text shows up or the connection ends.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&got).contains(text) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
        }
    }
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn a_front_answers_before_there_is_anything_behind_it() {
    let app = TestApp::new().await;
    let front = Front::closed();
    let server = start(Arc::clone(&front), Server::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(&mut stream, "/healthz").await;
    assert!(read_until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
    for path in ["/readyz", "/api/projects"] {
        send(&mut stream, path).await;
        let answer = read_until(&mut stream, "}").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not-ready"), "{answer}");
    }
    front.open(&app.state);
    send(&mut stream, "/readyz").await;
    assert!(read_until(&mut stream, "\r\n\r\nready").await.starts_with("HTTP/1.1 200"), "on the same connection");
    send(&mut stream, "/api/projects").await;
    assert!(read_until(&mut stream, "}").await.starts_with("HTTP/1.1 401"));
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_so_before_the_connection_ends() {
    let app = TestApp::new().await;
    let front = Front::closed();
    front.open(&app.state);
    let server = start(front, Server::default()).await;
    for expects in [false, true] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let expect = if expects { "expect: 100-continue\r\n" } else { "" };
        let head = format!(
            "POST /api/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10485760\r\n{expect}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if !expects {
            stream.write_all(&vec![b'x'; 10 * 1024 * 1024]).await.unwrap();
        }
        let answer = read_until(&mut stream, "}").await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body-too-large"), "{answer}");
    }
    server.stop.cancel();
}

fn slow(takes: Duration) -> Arc<Front> {
    let handler = move || async move {
        tokio::time::sleep(takes).await;
        "done"
    };
    Arc::new(Front::from(Router::new().route("/", get(handler))))
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_idle_connections() {
    let server = start(slow(Duration::from_millis(300)), Server::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    send(&mut idle, "/").await;
    assert!(read_until(&mut idle, "done").await.contains("200"));
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    send(&mut busy, "/").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    assert!(read_until(&mut busy, "done").await.ends_with("done"), "what had begun was answered");
    assert_eq!(read_until(&mut idle, "never").await, "", "the idle one was closed");
    tokio::time::timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing new is accepted");
}

#[tokio::test]
async fn grace_ends() {
    let settings = Server { shutdown_grace_secs: 0, ..Server::default() };
    let server = start(slow(Duration::from_secs(3600)), settings).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(&mut stream, "/").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap().unwrap();
    assert_eq!(read_until(&mut stream, "done").await, "");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let settings = Server { max_connections: 1, ..Server::default() };
    let server = start(slow(Duration::ZERO), settings).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    send(&mut first, "/").await;
    assert!(read_until(&mut first, "done").await.contains("200"));
    let mut second = TcpStream::connect(server.address).await.unwrap();
    send(&mut second, "/").await;
    let waited = tokio::time::timeout(Duration::from_millis(200), read_until(&mut second, "done")).await;
    assert!(waited.is_err(), "answered although the only place is taken");
    drop(first);
    let answer = tokio::time::timeout(Duration::from_secs(2), read_until(&mut second, "done")).await.unwrap();
    assert!(answer.contains("200"));
    server.stop.cancel();
}

/// Idle connections of one peer neither take every place nor keep the health check out, whoever asks for it.
#[tokio::test]
async fn a_probe_is_answered_whoever_holds_the_connections() {
    for settings in [
        Server { max_connections: 2, ..Server::default() },
        Server { max_connections_per_peer: 2, ..Server::default() },
    ] {
        let probes =
            Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(|| async { "ready" }));
        let server = start(Arc::new(Front::from(probes)), settings).await;
        let mut idle = Vec::new();
        for _ in 0..300 {
            idle.push(TcpStream::connect(server.address).await.unwrap());
        }
        for path in ["/healthz", "/readyz"] {
            let mut probe = TcpStream::connect(server.address).await.unwrap();
            send(&mut probe, path).await;
            let limit = Duration::from_secs(5);
            let answer = tokio::time::timeout(limit, read_until(&mut probe, "never")).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        }
        server.stop.cancel();
    }
}
