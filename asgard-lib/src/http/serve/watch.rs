//! Watching a connection: a client that sends the head of a request drop by drop, or does nothing at all, may not keep its
//! place for ever.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How long a connection may wait for its next request. Longer than the 60 seconds after which load balancers usually
/// close theirs, so that it is never us who closes one that is about to be used.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take from its first byte.
const HEAD: Duration = Duration::from_secs(10);
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

const NEVER: u64 = u64::MAX;

/// What a connection is doing, in milliseconds since it was accepted.
pub(super) struct Watch {
    accepted: Instant,
    idle: Duration,
    last_progress: AtomicU64,
    head_since: AtomicU64,
    answering: AtomicBool,
}

impl Watch {
    /// Watches a connection that was just accepted and may be without any progress for `idle` while it is answered.
    pub(crate) fn new(idle: Duration) -> Self {
        Self {
            accepted: Instant::now(),
            idle,
            last_progress: AtomicU64::new(0),
            // A new connection owes the head of its first request.
            head_since: AtomicU64::new(0),
            answering: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn progress(&self, reading: bool) {
        self.progress_at(self.now(), reading);
    }

    fn progress_at(&self, now: u64, reading: bool) {
        self.last_progress.store(now, Ordering::Relaxed);
        if reading && !self.answering.load(Ordering::Relaxed) {
            let _ = self.head_since.compare_exchange(NEVER, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A request's head is complete.
    pub(crate) fn head_is_read(&self) {
        self.answering.store(true, Ordering::Relaxed);
        self.head_since.store(NEVER, Ordering::Relaxed);
    }

    /// Its answer is on the way; the next head may take its time to begin.
    pub(crate) fn answered(&self) {
        self.answering.store(false, Ordering::Relaxed);
    }

    fn is_hopeless_at(&self, now: u64) -> bool {
        let since = |moment: u64| Duration::from_millis(now.saturating_sub(moment));
        let head_since = self.head_since.load(Ordering::Relaxed);
        if head_since != NEVER && since(head_since) > HEAD {
            return true;
        }
        let idle = if self.answering.load(Ordering::Relaxed) { self.idle } else { KEEP_ALIVE };
        since(self.last_progress.load(Ordering::Relaxed)) > idle
    }

    /// Resolves when the connection should be closed.
    pub(crate) async fn given_up(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.is_hopeless_at(self.now()) {
                return;
            }
        }
    }
}

/// A stream that tells its watch about progress.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            this.watch.progress(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.watch.progress(false);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        this.watch.progress(false);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_drips_in_is_given_up_and_an_idle_connection_later() {
        let watch = Watch::new(Duration::from_secs(105));
        watch.progress_at(9_000, true);
        assert!(!watch.is_hopeless_at(9_000), "nine seconds for the first head");
        watch.progress_at(11_000, true);
        assert!(watch.is_hopeless_at(11_000), "still no head after eleven seconds");

        watch.head_is_read();
        watch.progress_at(60_000, true);
        assert!(!watch.is_hopeless_at(111_000), "a body that makes progress, or a handler that works");
        assert!(watch.is_hopeless_at(166_000), "nothing has moved for longer than a request may take");
        watch.progress_at(112_000, false);
        watch.answered();
        assert!(!watch.is_hopeless_at(182_000), "kept alive longer than a load balancer keeps its side");
        assert!(watch.is_hopeless_at(188_000), "idle for more than 75 seconds");
        watch.progress_at(182_000, true);
        assert!(watch.is_hopeless_at(193_000), "the next head drips in");
    }
}
