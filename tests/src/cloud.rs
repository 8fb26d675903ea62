//! A cloud that hears who works in it: modules say so over the network, for as long as they are at work.

use std::{
    io::Read,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

type Heard = Arc<Mutex<Vec<(Instant, String)>>>;

/// The cloud.
pub struct Cloud {
    port: u16,
    heard: Heard,
    over: Arc<AtomicBool>,
}

impl Default for Cloud {
    fn default() -> Self {
        Self::new()
    }
}

impl Cloud {
    /// Opens it on a free loopback port.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (heard, over): (Heard, _) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (hears, until) = (Arc::clone(&heard), Arc::clone(&over));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                let mut said = String::new();
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                // What was cut off was said all the same.
                let _ = stream.read_to_string(&mut said);
                hears.lock().expect("nobody panicked while writing").push((Instant::now(), said.trim().to_owned()));
            }
        });
        Self { port, heard, over }
    }

    /// A command of a module that says who works, five times a second, until it is ended. It makes something each time.
    pub fn work(&self) -> String {
        format!("exec bash -c 'while :; do echo $HOME >/dev/tcp/127.0.0.1/{}; sleep 0.2; done'", self.port)
    }

    /// A command that says something once.
    pub fn say(&self, what: &str) -> String {
        format!("echo {what} >/dev/tcp/127.0.0.1/{}", self.port)
    }

    /// Everything that was said, and when.
    pub fn heard(&self) -> Vec<(Instant, String)> {
        self.heard.lock().expect("nobody panicked while writing").clone()
    }

    /// Waits until nothing has been said for two seconds, and gives the moment at which it was last.
    pub fn silent_within(&self, limit: Duration) -> Instant {
        crate::eventually_within(limit, "nobody works any more", || {
            let last = self.heard().last().expect("somebody has worked").0;
            (last.elapsed() > Duration::from_secs(2)).then_some(last)
        })
    }

    /// Waits until somebody works who is not among `known`, and gives what they say.
    pub fn somebody_but(&self, known: &[String], limit: Duration) -> String {
        crate::eventually_within(limit, "somebody works", || {
            self.heard().into_iter().map(|(_, who)| who).find(|who| !who.is_empty() && !known.contains(who))
        })
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It looks when somebody comes.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}
