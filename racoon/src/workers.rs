//! Worker threads for expensive jobs: public-key operations.
//!
//! There are two queues; jobs for known peers go before those for unknown ones. A byte in a pipe announces each result,
//! so that it wakes the event loop.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::unistd::{read, write};
use racoon_proto::output::Urgency;

use crate::self_pipe;

/// The queue is full. Contains the job.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<J>(pub J);

/// A pool of threads that turn a `J` into an `R`.
pub struct Workers<J, R> {
    shared: Arc<Shared<J, R>>,
    /// Read end of the pipe that announces results.
    woken: OwnedFd,
    wanted: NonZeroUsize,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<J, R> {
    queues: Mutex<Queues<J>>,
    arrived: Condvar,
    results: Mutex<Vec<R>>,
    wake: OwnedFd,
    work: Box<dyn Fn(J) -> R + Send + Sync>,
}

struct Queues<J> {
    known: VecDeque<J>,
    unknown: VecDeque<J>,
    /// Capacity of each queue.
    capacity: usize,
    closed: bool,
}

impl<J: Send + 'static, R: Send + 'static> Workers<J, R> {
    /// Creates a pool with a number of threads and a queue capacity. The threads are started later, because the process
    /// may still fork.
    ///
    /// # Errors
    /// Those of pipe(2).
    pub fn new(
        threads: NonZeroUsize,
        capacity: usize,
        work: impl Fn(J) -> R + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (woken, wake) = self_pipe::open()?;
        let queues = Queues { known: VecDeque::new(), unknown: VecDeque::new(), capacity, closed: false };
        let shared = Shared {
            queues: Mutex::new(queues),
            arrived: Condvar::new(),
            results: Mutex::new(Vec::new()),
            wake,
            work: Box::new(work),
        };
        Ok(Self { shared: Arc::new(shared), woken, wanted: threads, threads: Vec::new() })
    }

    /// Starts the threads that are not running yet.
    ///
    /// # Errors
    /// Those of the system, if not even one can be started.
    pub fn start(&mut self) -> io::Result<()> {
        while self.threads.len() < self.wanted.get() {
            let shared = Arc::clone(&self.shared);
            let name = format!("worker-{}", self.threads.len());
            match thread::Builder::new().name(name).spawn(move || shared.run()) {
                Ok(thread) => self.threads.push(thread),
                Err(error) if self.threads.is_empty() => return Err(error),
                // Fewer threads are slower, but sufficient.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Queues a job. Starts the threads if that has not happened.
    ///
    /// # Errors
    /// If the queue is full or no thread can be started.
    pub fn submit(&mut self, urgency: Urgency, job: J) -> Result<(), Full<J>> {
        if self.threads.is_empty() && self.start().is_err() {
            return Err(Full(job));
        }
        let mut queues = lock(&self.shared.queues);
        let capacity = queues.capacity;
        let queue = match urgency {
            Urgency::Known => &mut queues.known,
            Urgency::Unknown => &mut queues.unknown,
        };
        if queue.len() >= capacity {
            return Err(Full(job));
        }
        queue.push_back(job);
        drop(queues);
        // Unlocked first, or the thread would wake up only to wait for the lock.
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Returns the available results, in order of completion.
    pub fn results(&self) -> Vec<R> {
        // Empty the pipe first. A result that arrives in between is returned now, and its byte causes one wake-up for
        // nothing; the other way round it would wait for the next one.
        while read(&self.woken, &mut [0; 256]).is_ok_and(|count| count > 0) {}
        std::mem::take(&mut lock(&self.shared.results))
    }
}

impl<J, R> AsFd for Workers<J, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Drops the waiting jobs and waits for those that run.
impl<J, R> Drop for Workers<J, R> {
    fn drop(&mut self) {
        let mut queues = lock(&self.shared.queues);
        queues.closed = true;
        // Nobody will ask for their results.
        queues.known.clear();
        queues.unknown.clear();
        drop(queues);
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl<J, R> Shared<J, R> {
    /// Main loop of a thread. A job that panics has no result and affects no other job.
    fn run(&self) {
        while let Some(job) = self.next() {
            let Ok(result) = catch_unwind(AssertUnwindSafe(|| (self.work)(job))) else { continue };
            lock(&self.results).push(result);
            // If the pipe is full, the event loop is going to wake up anyway.
            let _ = write(&self.wake, &[0]);
        }
    }

    fn next(&self) -> Option<J> {
        let mut queues = lock(&self.queues);
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.take() {
                return Some(job);
            }
            queues = self.arrived.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<J> Queues<J> {
    fn take(&mut self) -> Option<J> {
        self.known.pop_front().or_else(|| self.unknown.pop_front())
    }
}

/// Locks a mutex. Poisoning is ignored: no job runs under a lock, so the data is never half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::poller::{self, Source};

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    /// Waits for a number of results as the daemon does.
    fn fetch<J: Send + 'static, R: Send + 'static>(workers: &Workers<J, R>, count: usize) -> Vec<R> {
        let mut results = Vec::new();
        while results.len() < count {
            poller::wait(&[Source::control(workers.as_fd(), ())], None).unwrap();
            results.extend(workers.results());
        }
        results
    }

    #[test]
    fn many_jobs() {
        let mut workers = Workers::new(NonZeroUsize::new(4).unwrap(), 1000, |job: u64| job * job).unwrap();
        (0..1000).for_each(|job| workers.submit(Urgency::Unknown, job).unwrap());
        let mut results = fetch(&workers, 1000);
        results.sort_unstable();
        assert_eq!(results, (0..1000).map(|job| job * job).collect::<Vec<_>>());
        assert!(workers.results().is_empty(), "a result that nobody asked for");
    }

    /// Returns a pool with one thread that waits for permission before each job, a sender that gives it, and a receiver
    /// that is told when a job begins.
    fn gated(capacity: usize) -> (Workers<u8, u8>, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (go, gate) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let gate = Mutex::new(gate);
        let work = move |job| {
            begin.send(()).unwrap();
            let _ = lock(&gate).recv();
            job
        };
        (Workers::new(ONE, capacity, work).unwrap(), go, begun)
    }

    #[test]
    fn known_peers_first_and_queues_bounded() {
        let (mut workers, go, begun) = gated(2);
        workers.submit(Urgency::Unknown, 0).unwrap();
        begun.recv().unwrap();
        workers.submit(Urgency::Unknown, 1).unwrap();
        workers.submit(Urgency::Unknown, 2).unwrap();
        assert_eq!(workers.submit(Urgency::Unknown, 3), Err(Full(3)));
        workers.submit(Urgency::Known, 4).unwrap();
        workers.submit(Urgency::Known, 5).unwrap();
        assert_eq!(workers.submit(Urgency::Known, 6), Err(Full(6)));
        (0..5).for_each(|_| go.send(()).unwrap());
        assert_eq!(fetch(&workers, 5), [0, 4, 5, 1, 2]);
    }

    #[test]
    fn drop_waits_for_running_jobs_only() {
        let (mut workers, go, begun) = gated(9);
        (0..9).for_each(|job| workers.submit(Urgency::Unknown, job).unwrap());
        begun.recv().unwrap();
        let shared = Arc::clone(&workers.shared);
        let end = thread::spawn(move || drop(workers));
        while !lock(&shared.queues).closed {
            thread::yield_now();
        }
        assert!(!end.is_finished(), "the first job runs");
        drop(go);
        end.join().unwrap();
        assert_eq!(begun.try_iter().count(), 0, "the others are forgotten");
        assert_eq!(*lock(&shared.results), [0]);
    }

    #[test]
    fn panic_loses_one_job() {
        let work = |job: u8| {
            assert_ne!(job, 1, "this panic is part of a test");
            job
        };
        let mut workers = Workers::new(ONE, 9, work).unwrap();
        (0..3).for_each(|job| workers.submit(Urgency::Unknown, job).unwrap());
        assert_eq!(fetch(&workers, 2), [0, 2]);
    }
}
