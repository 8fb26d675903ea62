//! Time, randomness, waiting and running beside one another: all that makes one course of events differ from another. The
//! core gets them from here and from nowhere else, so that a simulation can decide each of them from its seed.

mod tasks;

pub use tasks::Tasks;

use crate::{
    error::{Error, Result},
    kernel::{Timestamp, id::TimeOrdered},
};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// The time of day. Replicas' clocks disagree; nothing but a hint may depend on it.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Randomness for ids and credentials.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out` with bytes nobody can guess.
    fn fill(&self, out: &mut [u8]);
}

/// Work whose result somebody else has.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How work waits, and how it runs beside other work.
pub trait Executor: Send + Sync + 'static {
    /// Resolves after `time`.
    fn sleep(&self, time: Duration) -> Work;

    /// Runs `work` beside the caller, to its end or until the handle aborts it.
    fn spawn(&self, work: Work) -> JoinHandle<()>;

    /// Does a calculation that would keep a thread busy for long. Resolves when it is done.
    fn compute(&self, calculation: Box<dyn FnOnce() + Send>) -> Work;
}

/// The time that was given for something is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// A clock, a source of randomness, and a way to wait and to run.
#[derive(Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    executor: Arc<dyn Executor>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A world of the given clock and randomness, on the runtime of tokio.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, executor: Arc::new(TokioExecutor) }
    }

    /// The same world, where work waits and runs as `executor` says.
    #[must_use]
    pub fn with_executor(self, executor: Arc<dyn Executor>) -> Self {
        Self { executor, ..self }
    }

    /// The operating system's clock and randomness.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemEntropy))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A new id.
    pub fn id<T: TimeOrdered>(&self) -> T {
        T::build(self.now(), self.random())
    }

    /// Waits for `time`.
    pub async fn sleep(&self, time: Duration) {
        self.executor.sleep(time).await;
    }

    /// Waits for `work`, and no longer than `time`.
    pub async fn timeout<T>(&self, time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.executor.sleep(time) => Err(Elapsed),
        }
    }

    /// Runs `work` beside the caller.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.executor.spawn(Box::pin(work))
    }

    /// The result of a calculation that would keep a thread busy for long.
    pub async fn compute<T: Send + 'static>(&self, calculation: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        let calculation = Box::new(move || drop(done.send(calculation())));
        self.executor.compute(calculation).await;
        result.await.map_err(|_| Error::bug("a calculation ended without a result"))
    }
}

/// The runtime of tokio that the caller runs on.
#[derive(Debug, Clone, Copy)]
pub struct TokioExecutor;

impl Executor for TokioExecutor {
    fn sleep(&self, time: Duration) -> Work {
        Box::pin(tokio::time::sleep(time))
    }

    fn spawn(&self, work: Work) -> JoinHandle<()> {
        tokio::spawn(work)
    }

    fn compute(&self, calculation: Box<dyn FnOnce() + Send>) -> Work {
        Box::pin(async move {
            if let Err(error) = tokio::task::spawn_blocking(calculation).await {
                tracing::error!(%error, "A calculation ended badly.");
            }
        })
    }
}

/// The host's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::panic, reason = "without randomness no credential is safe; going on would be worse than stopping")]
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            panic!("the operating system gives no randomness: {error}");
        }
    }
}

/// A clock that tests set and move.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `at` until it is moved.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_millis()))
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Reproducible bytes for tests: a counter through SplitMix64. Never for credentials that protect anything.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// Bytes that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            for (slot, byte) in chunk.iter_mut().zip(z.to_le_bytes()) {
                *slot = byte;
            }
        }
    }
}
