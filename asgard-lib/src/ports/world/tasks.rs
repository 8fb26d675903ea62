//! Work that runs beside its owner and ends with it.

use super::World;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::{JoinError, JoinHandle};

/// Running work, each piece under a key. It is started by a [`World`], in whose order it runs. Dropping this aborts what is left of it.
///
/// Whoever waits for the next piece asks each one, so this is for dozens of pieces and not for thousands.
#[derive(Debug)]
pub struct Tasks<K> {
    running: Vec<(K, JoinHandle<()>)>,
}

impl<K> Default for Tasks<K> {
    fn default() -> Self {
        Self { running: Vec::new() }
    }
}

impl<K> Tasks<K> {
    /// Runs `work` beside the caller.
    pub fn spawn(&mut self, world: &World, key: K, work: impl Future<Output = ()> + Send + 'static) {
        self.running.push((key, world.spawn(work)));
    }

    /// How many pieces run, or have ended and were not asked for.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until a piece has ended, the one that was started first if there are several, and says how. `None` when there
    /// is none. Nothing is lost when the wait is given up.
    pub async fn next_ended(&mut self) -> Option<(K, Result<(), JoinError>)> {
        if self.is_empty() {
            return None;
        }
        let (at, ended) = poll_fn(|context| self.poll_ended(context)).await;
        Some((self.running.remove(at).0, ended))
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<(usize, Result<(), JoinError>)> {
        for (at, (_, task)) in self.running.iter_mut().enumerate() {
            if let Poll::Ready(ended) = Pin::new(task).poll(context) {
                return Poll::Ready((at, ended));
            }
        }
        Poll::Pending
    }

    /// Aborts what runs, waits until all of it has ended, and returns the keys of what was left, in the order of their start.
    pub async fn abort(mut self) -> Vec<K> {
        self.running.iter().for_each(|(_, task)| task.abort());
        let mut keys = Vec::with_capacity(self.running.len());
        for (key, mut task) in std::mem::take(&mut self.running) {
            // It was aborted, or it had just ended; either way nothing of it runs any more.
            let _ended = (&mut task).await;
            keys.push(key);
        }
        keys
    }
}

impl<K> Drop for Tasks<K> {
    fn drop(&mut self) {
        self.running.iter().for_each(|(_, task)| task.abort());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::world::{Executor, SystemClock, SystemEntropy, TokioExecutor, Work};
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Duration,
    };
    use tokio::sync::{mpsc, oneshot};

    /// Counts what it was asked to run.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Executor for Counting {
        fn sleep(&self, time: Duration) -> Work {
            TokioExecutor.sleep(time)
        }

        fn spawn(&self, work: Work) -> JoinHandle<()> {
            self.0.fetch_add(1, SeqCst);
            TokioExecutor.spawn(work)
        }

        fn compute(&self, calculation: Box<dyn FnOnce() + Send>) -> Work {
            TokioExecutor.compute(calculation)
        }
    }

    #[tokio::test]
    async fn what_runs_is_started_by_the_world_and_its_end_is_told_with_its_key() {
        let counting = Arc::new(Counting::default());
        let world =
            World::new(Arc::new(SystemClock), Arc::new(SystemEntropy)).with_executor(Arc::clone(&counting) as _);
        let mut tasks = Tasks::default();
        assert!(tasks.next_ended().await.is_none());
        let (end, wait) = oneshot::channel::<()>();
        tasks.spawn(&world, "waits", async { drop(wait.await) });
        tasks.spawn(&world, "panics", async { panic!("on purpose") });
        let (key, ended) = tasks.next_ended().await.unwrap();
        assert_eq!((key, ended.unwrap_err().is_panic()), ("panics", true));
        end.send(()).unwrap();
        let (key, ended) = tasks.next_ended().await.unwrap();
        assert_eq!((key, ended.is_ok(), tasks.len()), ("waits", true, 0));
        assert_eq!(counting.0.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_left_ends_when_it_is_aborted_and_when_it_is_dropped() {
        let world = World::system();
        let (alive, mut ended) = mpsc::channel::<()>(1);
        let start = |tasks: &mut Tasks<u8>, key| {
            let alive = alive.clone();
            tasks.spawn(&world, key, async move {
                let _alive = alive;
                std::future::pending::<()>().await;
            });
        };
        let (mut aborted, mut dropped) = (Tasks::default(), Tasks::default());
        start(&mut aborted, 2);
        start(&mut aborted, 1);
        start(&mut dropped, 3);
        assert_eq!(aborted.abort().await, [2, 1], "in the order of their start");
        drop(dropped);
        drop(alive);
        assert!(ended.recv().await.is_none(), "nothing holds the other end any more");
    }
}
