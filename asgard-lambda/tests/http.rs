//! The function as Lambda runs it: a process that asks a runtime API for events. Here the test is the runtime API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::Duration,
};

fn function() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http"));
    command.env_clear();
    command
}

#[test]
fn by_hand_it_says_what_to_run_instead() {
    let output = function().env("AWS_LAMBDA_FUNCTION_NAME", "x").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("asgard serve") && said.contains("AWS_LAMBDA_RUNTIME_API"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("AWS_LAMBDA_FUNCTION_NAME"), "{said}");
}

/// One request that the function made: its first line and its body.
fn asked(connection: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    connection.read_line(&mut first).unwrap();
    let mut chunked = false;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        chunked |= line == "transfer-encoding: chunked";
    }
    assert!(!chunked, "a buffered answer has a length");
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    Some((first.trim().to_owned(), body))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives the running function an HTTP event and returns its answer.
fn answer(path: &str) -> Value {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let _function = Killed(
        function()
            .env("AWS_LAMBDA_RUNTIME_API", api.local_addr().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "http")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("ASGARD_DATABASE_URL", "sqlite:///nowhere/asgard.db")
            .spawn()
            .unwrap(),
    );
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {"host": "x"},
        "requestContext": {"accountId": "1", "apiId": "a", "stage": "$default", "requestId": "r", "timeEpoch": 0,
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"}},
        "isBase64Encoded": false
    })
    .to_string();
    let mut given = false;
    loop {
        let (stream, _) = api.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut connection = BufReader::new(stream);
        while let Some((first, body)) = asked(&mut connection) {
            if first.starts_with("POST ") && first.contains("/invocation/one/response") {
                return serde_json::from_slice(&body).unwrap();
            }
            assert!(first.starts_with("GET ") && first.contains("/invocation/next") && !given, "{first}");
            given = true;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: one\r\n\
                 lambda-runtime-deadline-ms: 9999999999999\r\nlambda-runtime-invoked-function-arn: arn\r\n\
                 content-length: {}\r\n\r\n",
                event.len()
            );
            connection.get_mut().write_all(format!("{head}{event}").as_bytes()).unwrap();
        }
    }
}

#[test]
fn it_is_healthy_before_its_database_is_there_and_says_what_is_missing() {
    let healthy = answer("/healthz");
    assert_eq!((&healthy["statusCode"], &healthy["body"]), (&json!(200), &json!("ok")), "{healthy}");
    let other = answer("/api/projects");
    assert_eq!(other["statusCode"], 500, "{other}");
    assert_eq!(other["headers"]["content-type"], "application/problem+json", "{other}");
    let problem: Value = serde_json::from_str(other["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["code"], "config");
}

#[test]
fn settings_that_are_wrong_end_it_with_their_names() {
    let mut command = function();
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
        command.env(name, "x");
    }
    command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256").env("ASGARD_LAMBDA_SURFACE", "all");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("ASGARD_LAMBDA_SURFACE") && said.contains("`api` or `mcp`"), "{said}");
}
