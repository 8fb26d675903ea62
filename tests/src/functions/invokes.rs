//! A stand-in for Lambda as other programs see it, and for the scheduler: what they send comes to the functions at the
//! emulator, once or as often as a test wants it.

use super::{
    emulator::Invoker,
    loopback::{Answer, Asked, Loopback},
};
use asgard_lib::{ports::world::World, runtime::PERIODIC_TASKS};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What ASGARD_EVENTS_FUNCTION says.
pub const EVENTS: &str = "asgard-events";
/// How long the scheduler rests between two rounds. A real one has a minute; nobody waits for that.
const ROUND: Duration = Duration::from_secs(1);
/// In which rounds the loops have their turns.
const LOOPS_EVERY: u32 = 5;
/// Loops with a longer tick than this have no turn here: a deployment ticks them once an hour.
const MAX_TICK: Duration = Duration::from_secs(600);

/// What came of an invocation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The environment.
    pub at: &'static str,
    /// What it was sent.
    pub payload: Value,
    /// What it returned, or why it failed.
    pub result: Result<Value, String>,
}

struct Shared {
    invoker: Invoker,
    twice: AtomicBool,
    wakes: Mutex<u32>,
    outcomes: Mutex<Vec<Outcome>>,
}

/// The stand-in.
pub struct Invokes {
    shared: Arc<Shared>,
    server: Loopback,
    stopped: Arc<AtomicBool>,
    rounds: Mutex<Option<JoinHandle<()>>>,
}

impl Invokes {
    /// Starts it before the emulator.
    pub fn start(invoker: Invoker) -> Self {
        let shared = Arc::new(Shared {
            invoker,
            twice: AtomicBool::new(false),
            wakes: Mutex::default(),
            outcomes: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let server = Loopback::serve(move |asked| served.answer(asked));
        Self { shared, server, stopped: Arc::default(), rounds: Mutex::default() }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Delivers everything to both environments from now on, at the same time.
    pub fn twice(&self) {
        self.shared.twice.store(true, Ordering::SeqCst);
    }

    /// Starts the schedules, until they are stopped or this is dropped.
    pub fn schedule(&self) {
        let (shared, stopped) = (Arc::clone(&self.shared), Arc::clone(&self.stopped));
        stopped.store(false, Ordering::SeqCst);
        let rounds = thread::spawn(move || {
            let mut round = 0u32;
            while !stopped.load(Ordering::SeqCst) {
                let moment = now();
                shared.deliver(&json!({"work": "jobs", "scheduled_at": moment}));
                if round.is_multiple_of(LOOPS_EVERY) {
                    let loops = PERIODIC_TASKS.iter().map(|declaration| declaration.periodic);
                    for name in loops.filter(|task| task.tick <= MAX_TICK).map(|task| task.name) {
                        shared.deliver(&json!({"work": "loop", "name": name, "scheduled_at": moment}));
                    }
                }
                round += 1;
                thread::sleep(ROUND);
            }
        });
        *self.rounds.lock().expect("nobody panicked while writing") = Some(rounds);
    }

    /// Stops the schedules, and waits until what they sent is done. Whether there were any.
    pub fn stop(&self) -> bool {
        self.stopped.store(true, Ordering::SeqCst);
        let rounds = self.rounds.lock().expect("nobody panicked while writing").take();
        rounds.map(|rounds| rounds.join().expect("a round does not panic")).is_some()
    }

    /// How often a program asked for the function that does jobs.
    pub fn wakes(&self) -> u32 {
        *self.shared.wakes.lock().expect("nobody panicked while writing")
    }

    /// What came of everything so far.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.shared.outcomes.lock().expect("nobody panicked while writing").clone()
    }
}

impl Drop for Invokes {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// The moment that a schedule names.
pub fn now() -> String {
    World::system().now().to_string()
}

impl Shared {
    fn answer(self: &Arc<Self>, asked: &Asked) -> Answer {
        assert_eq!(asked.line, format!("POST /2015-03-31/functions/{EVENTS}/invocations"));
        assert_eq!(asked.header("x-amz-invocation-type"), "Event", "nobody waits for the other function");
        *self.wakes.lock().expect("nobody panicked while writing") += 1;
        let (shared, payload) = (Arc::clone(self), asked.json());
        thread::spawn(move || shared.deliver(&payload));
        Answer::Json(202, json!({}))
    }

    fn deliver(self: &Arc<Self>, payload: &Value) {
        let environments: &[&'static str] =
            if self.twice.load(Ordering::SeqCst) { &["events", "events-cold"] } else { &["events"] };
        let deliveries = environments.iter().map(|at| {
            let (shared, at, payload) = (Arc::clone(self), *at, payload.clone());
            thread::spawn(move || {
                let result = shared.invoker.invoke(at, &payload);
                let mut outcomes = shared.outcomes.lock().expect("nobody panicked while writing");
                outcomes.push(Outcome { at, payload, result });
            })
        });
        for delivery in deliveries.collect::<Vec<_>>() {
            delivery.join().expect("a delivery does not panic");
        }
    }
}
