//! Lambda's runtime API with deadlines that are meant: the emulator gives every invocation ten minutes, and says so in a way
//! that Lambda does not.

use super::loopback::{Answer, Asked, Loopback};
use asgard_lib::ports::world::World;
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

type Outcome = Result<Value, Value>;

struct Shared {
    next: Mutex<Receiver<(Value, i64)>>,
    done: Mutex<Sender<Outcome>>,
}

/// The runtime API of one environment.
pub struct RuntimeApi {
    server: Loopback,
    queue: Sender<(Value, i64)>,
    done: Receiver<Outcome>,
}

impl RuntimeApi {
    /// Starts it.
    pub fn start() -> Self {
        let (queue, next) = mpsc::channel();
        let (said, done) = mpsc::channel();
        let shared = Arc::new(Shared { next: Mutex::new(next), done: Mutex::new(said) });
        Self { server: Loopback::serve(move |asked| shared.answer(asked)), queue, done }
    }

    /// What AWS_LAMBDA_RUNTIME_API says.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Invokes the function, which may take so long; and how long it took. An invocation that takes longer fails the test:
    /// Lambda would have killed it.
    pub fn invoke(&self, payload: &Value, at_most: Duration) -> (Result<Value, Value>, Duration) {
        let began = Instant::now();
        let deadline = World::system().now().plus(at_most).as_millis();
        self.queue.send((payload.clone(), deadline)).expect("the server lives");
        let done = self.done.recv_timeout(at_most);
        let done = done.unwrap_or_else(|_| panic!("{payload} was not done after {} s", at_most.as_secs()));
        (done, began.elapsed())
    }
}

impl Shared {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.line.starts_with("GET ") && asked.line.ends_with("/invocation/next") {
            // One environment asks, and one thing at a time.
            let next = self.next.lock().expect("nobody panicked while waiting").recv();
            let Ok((payload, deadline)) = next else { return Answer::Lost };
            let headers = vec![
                ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
                ("lambda-runtime-deadline-ms", deadline.to_string()),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-west-1:000000000000:function:asgard-events".to_owned(),
                ),
                ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned()),
            ];
            return Answer::With(headers, payload);
        }
        let body = asked.json();
        let done = if asked.line.ends_with("/response") { Ok(body) } else { Err(body) };
        // Whoever waited may have given up.
        let _ = self.done.lock().expect("nobody panicked while telling").send(done);
        Answer::Json(202, serde_json::json!({}))
    }
}
