//! A door in front of a server, to be shut as a failing network would.

use asgard_tests::quiet_port;
use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Forwards connections while it is open.
pub struct Proxy {
    port: u16,
    target: Arc<Mutex<SocketAddr>>,
    door: Option<OpenDoor>,
}

struct Door {
    open: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

/// A door that is open, and the thread that holds its listener.
struct OpenDoor {
    door: Arc<Door>,
    listens: JoinHandle<()>,
}

impl Proxy {
    /// A door to `target`, shut: its port refuses connections, and nobody else is given it meanwhile.
    pub fn shut(target: SocketAddr) -> Self {
        Self { port: quiet_port(), target: Arc::new(Mutex::new(target)), door: None }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to another server from now on, as a name in DNS would: what is connected is cut.
    pub fn lead_to(&mut self, target: SocketAddr) {
        self.close();
        self.lead_newcomers_to(target);
        self.open();
    }

    /// Leads those who connect from now on to another server; what is connected stays where it is.
    pub fn lead_newcomers_to(&mut self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }

    /// Opens it.
    pub fn open(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is still free");
        let door = Arc::new(Door { open: AtomicBool::new(true), connections: Mutex::default() });
        let (ours, target) = (Arc::clone(&door), Arc::clone(&self.target));
        let listens = thread::spawn(move || {
            for client in listener.incoming() {
                if !ours.open.load(Ordering::SeqCst) {
                    return;
                }
                let target = *target.lock().unwrap();
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else { continue };
                let mut connections = ours.connections.lock().unwrap();
                connections.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                pump(client.try_clone().unwrap(), server.try_clone().unwrap());
                pump(server, client);
            }
        });
        self.door = Some(OpenDoor { door, listens });
    }

    /// Shuts it: what is connected is cut, what comes is refused.
    pub fn close(&mut self) {
        let Some(OpenDoor { door, listens }) = self.door.take() else { return };
        door.open.store(false, Ordering::SeqCst);
        // Wakes the thread. Its listener is waited for: until it is dropped the port cannot be bound again.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = listens.join();
        for connection in door.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
