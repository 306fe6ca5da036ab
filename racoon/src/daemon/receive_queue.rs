//! Messages that have been read from the sockets and wait to be worked on. When more come than can be worked on, those of
//! peers go before those of strangers, and the latter are dropped: the kernel's queue knows no difference.
//!
//! Nobody waits for ever: in each round all classes have their share, and within a class all addresses.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::engine::Priority;
use racoon_proto::time::Time;

use super::fair_queue::FairQueue;

/// Messages that are taken of each class in a round, the most urgent first.
const SHARES: [u32; Priority::ALL.len()] = [32, 8, 4];

/// How often the number of dropped messages is told.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// A message, and between whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) bytes: Box<[u8]>,
}

/// What waits.
#[derive(Debug)]
pub(super) struct ReceiveQueue {
    classes: [FairQueue; Priority::ALL.len()],
    /// What is left of the shares in this round.
    left: [u32; Priority::ALL.len()],
    /// Messages that were dropped and not reported.
    dropped: u64,
    /// When that is reported.
    report: Option<Time>,
}

impl Default for ReceiveQueue {
    fn default() -> Self {
        Self { classes: Default::default(), left: SHARES, dropped: 0, report: None }
    }
}

impl ReceiveQueue {
    /// Adds a message. If too many of its class wait, it is dropped, or one of an address that has more of them.
    pub(super) fn push(&mut self, priority: Priority, message: Message, now: Time) {
        let Some(class) = class_of(priority).and_then(|at| self.classes.get_mut(at)) else { return };
        let dropped = class.push(message);
        if dropped > 0 {
            self.dropped += dropped;
            self.report.get_or_insert(now + REPORTED_EVERY);
        }
    }

    /// The message that is next.
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
            self.left = SHARES;
        }
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(FairQueue::is_empty)
    }

    /// When there is something to report.
    pub(super) fn due(&self) -> Option<Time> {
        self.report
    }

    /// How many messages were dropped since the last report, if that is due.
    pub(super) fn report(&mut self, now: Time) -> Option<u64> {
        self.report.take_if(|due| now >= *due)?;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// The place of a class.
fn class_of(priority: Priority) -> Option<usize> {
    Priority::ALL.iter().position(|one| *one == priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Message {
        let end = SocketAddr::from(([127, 0, 0, 1], 500));
        Message { local: end, remote: end, bytes: number.to_be_bytes().into() }
    }

    fn number(message: &Message) -> usize {
        usize::from_be_bytes((*message.bytes).try_into().unwrap())
    }

    /// Pushes the numbers from `from`, and returns what comes out of so many messages.
    fn push(receive_queue: &mut ReceiveQueue, priority: Priority, from: usize, count: usize) {
        (from..from + count).for_each(|number| receive_queue.push(priority, message(number), Time::default()));
    }

    #[test]
    fn peers_go_first_and_nobody_waits_for_ever() {
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
        // Within a class the order stays.
        for class in [1000..2000, 2000..3000, 3000..4000] {
            assert!(order.iter().filter(|number| class.contains(*number)).is_sorted());
        }
        assert!(receive_queue.is_empty() && receive_queue.next().is_none());
    }

    #[test]
    fn what_waits_is_bounded_for_each_class() {
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
