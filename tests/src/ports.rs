//! Ports for what cannot choose its own.

use std::{
    net::TcpListener,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

const FIRST: u16 = 12_000;
const MANY: u16 = 8_000;

/// A port that nobody listens at. It lies below those that the system hands out by itself, so that it is not handed to another
/// test before it is used, and no test program chooses one twice soon.
pub fn quiet_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let random = crate::site::unique();
        AtomicU16::new(u16::from_le_bytes([random[0], random[1]]) % MANY)
    });
    (0..100)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % MANY)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one port in a hundred is free")
}
