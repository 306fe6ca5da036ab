//! Queue of messages that were read from the sockets and wait for the engine. Under load, messages of known peers are
//! processed first and those of unknown sources are dropped first; the kernel's socket queue cannot tell them apart.
//!
//! No class starves: each gets its share of a round, and within a class the sources take turns.

use std::time::Duration;

use racoon_proto::engine::Priority;
use racoon_proto::path::Path;
use racoon_proto::time::Time;

use super::fair_queue::FairQueue;

/// Messages taken from each class per round, most urgent first.
const SHARES: [u32; Priority::ALL.len()] = [32, 8, 4];

/// Interval at which the number of dropped messages is logged.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// A message and the path on which it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) path: Path,
    pub(super) bytes: Box<[u8]>,
}

/// The queue, one [`FairQueue`] per class.
#[derive(Debug)]
pub(super) struct ReceiveQueue {
    classes: [FairQueue; Priority::ALL.len()],
    /// What is left of each class's share in this round.
    left: [u32; Priority::ALL.len()],
    /// Number of dropped messages since the last report.
    dropped: u64,
    /// Time of the next report.
    report: Option<Time>,
}

impl Default for ReceiveQueue {
    fn default() -> Self {
        Self { classes: Default::default(), left: SHARES, dropped: 0, report: None }
    }
}

impl ReceiveQueue {
    /// Adds a message. If its class is full, it or a message of a busier source is dropped.
    pub(super) fn push(&mut self, priority: Priority, message: Message, now: Time) {
        // Always found: there is a queue for each priority.
        let Some(class) = class_of(priority).and_then(|at| self.classes.get_mut(at)) else { return };
        let dropped = class.push(message);
        if dropped > 0 {
            self.dropped += dropped;
            self.report.get_or_insert(now + REPORTED_EVERY);
        }
    }

    /// Removes the next message.
    pub(super) fn next(&mut self) -> Option<Message> {
        if self.is_empty() {
            return None;
        }
        loop {
            for (class, left) in self.classes.iter_mut().zip(&mut self.left) {
                if *left > 0
                    && let Some(message) = class.pop()
                {
                    *left -= 1;
                    return Some(message);
                }
            }
            // Every class is empty or has used up its share: begin a new round.
            self.left = SHARES;
        }
    }

    /// Whether the queue is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(FairQueue::is_empty)
    }

    /// Returns when there is something to report.
    pub(super) fn due(&self) -> Option<Time> {
        self.report
    }

    /// Returns how many messages were dropped since the last report, if a report is due.
    pub(super) fn report(&mut self, now: Time) -> Option<u64> {
        self.report.take_if(|due| now >= *due)?;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// Returns the index of a class.
fn class_of(priority: Priority) -> Option<usize> {
    Priority::ALL.iter().position(|one| *one == priority)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn message(number: usize) -> Message {
        let end = SocketAddr::from(([127, 0, 0, 1], 500));
        Message { path: Path::new(end, end), bytes: number.to_be_bytes().into() }
    }

    fn number(message: &Message) -> usize {
        usize::from_be_bytes((*message.bytes).try_into().unwrap())
    }

    /// Pushes `count` messages numbered from `from`.
    fn push(receive_queue: &mut ReceiveQueue, priority: Priority, from: usize, count: usize) {
        (from..from + count).for_each(|number| receive_queue.push(priority, message(number), Time::default()));
    }

    #[test]
    fn peers_go_first_and_nobody_starves() {
        let mut receive_queue = ReceiveQueue::default();
        push(&mut receive_queue, Priority::Unknown, 3000, 500);
        push(&mut receive_queue, Priority::Known, 2000, 100);
        push(&mut receive_queue, Priority::Exchange, 1000, 100);
        let order = std::iter::from_fn(|| receive_queue.next()).map(|one| number(&one)).collect::<Vec<_>>();
        let round = |from: usize, at: usize| {
            let class = |begin: usize, share: usize| (begin + share * at)..(begin + share * (at + 1));
            let expected = class(1000, 32).chain(class(2000, 8)).chain(class(3000, 4)).collect::<Vec<_>>();
            assert_eq!(order[from..from + 44], expected);
        };
        (0..3).for_each(|at| round(44 * at, at));
        assert_eq!(order.len(), 700);
        // Within a class the order is kept.
        for class in [1000..2000, 2000..3000, 3000..4000] {
            assert!(order.iter().filter(|number| class.contains(*number)).is_sorted());
        }
        assert!(receive_queue.is_empty() && receive_queue.next().is_none());
    }

    #[test]
    fn each_class_is_bounded() {
        let mut receive_queue = ReceiveQueue::default();
        push(&mut receive_queue, Priority::Unknown, 0, 10_000);
        push(&mut receive_queue, Priority::Exchange, 0, 10);
        let waiting = receive_queue.classes.iter().map(FairQueue::len).collect::<Vec<_>>();
        assert_eq!(waiting, [10, 0, 8192]);
        assert_eq!(receive_queue.due(), Some(Time::from_secs(60)));
        assert_eq!(receive_queue.report(Time::from_secs(59)), None);
        assert_eq!(receive_queue.report(Time::from_secs(60)), Some(10_000 - 8192));
        assert_eq!((receive_queue.report(Time::from_secs(600)), receive_queue.due()), (None, None));
    }
}
