//! A bounded message queue, shared fairly among source addresses.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use super::receive_queue::Message;

/// Capacity in bytes, about that of a socket's receive buffer.
const BYTES_MAX: usize = 2 << 20;

/// Least number of bytes that a message counts for, which covers its overhead.
const BYTES_MIN: usize = 256;

/// Messages in order of arrival per source; the sources take turns.
///
/// When the queue is full, the source with the most bytes loses its newest message. A source that floods thus displaces
/// only its own messages.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    sources: HashMap<IpAddr, SourceQueue>,
    /// Sources with messages, the next one first.
    turns: VecDeque<IpAddr>,
    /// The same sources, ordered by the bytes that they occupy.
    by_bytes: BTreeSet<(usize, IpAddr)>,
    bytes: usize,
}

/// The messages of one source; never empty.
#[derive(Debug, Default)]
struct SourceQueue {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl FairQueue {
    /// Adds a message. Returns how many messages were dropped to make room, this one included.
    pub(super) fn push(&mut self, message: Message) -> u64 {
        let (source, bytes) = (source_of(message.path.remote.ip()), bytes_of(&message));
        let mut dropped = 0;
        while self.bytes + bytes > BYTES_MAX {
            let own = self.sources.get(&source).map_or(0, |queue| queue.bytes);
            match self.by_bytes.last() {
                // Strictly less, or two equally busy sources would keep displacing each other's messages.
                Some(&(most, largest)) if own + bytes < most => self.drop_newest(largest),
                _ => return dropped + 1,
            }
            dropped += 1;
        }
        let queue = self.sources.entry(source).or_default();
        if queue.messages.is_empty() {
            self.turns.push_back(source);
        }
        // Taken out before the count changes, because the set is ordered by it.
        self.by_bytes.remove(&(queue.bytes, source));
        queue.messages.push_back(message);
        queue.bytes += bytes;
        self.by_bytes.insert((queue.bytes, source));
        self.bytes += bytes;
        dropped
    }

    /// Removes the oldest message of the source whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let source = self.turns.pop_front()?;
        let message = self.sources.get_mut(&source)?.messages.pop_front()?;
        if self.removed(source, &message) {
            self.turns.push_back(source);
        }
        Some(message)
    }

    /// Whether the queue is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn drop_newest(&mut self, source: IpAddr) {
        let newest = self.sources.get_mut(&source).and_then(|queue| queue.messages.pop_back());
        if let Some(message) = newest
            && !self.removed(source, &message)
        {
            self.turns.retain(|one| *one != source);
        }
    }

    /// Accounts for a removed message. Returns whether its source has more messages.
    fn removed(&mut self, source: IpAddr, message: &Message) -> bool {
        let bytes = bytes_of(message);
        self.bytes -= bytes;
        let Some(queue) = self.sources.get_mut(&source) else { return false };
        self.by_bytes.remove(&(queue.bytes, source));
        queue.bytes -= bytes;
        if queue.messages.is_empty() {
            self.sources.remove(&source);
            return false;
        }
        self.by_bytes.insert((queue.bytes, source));
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sources.values().map(|queue| queue.messages.len()).sum()
    }
}

/// Returns the key under which messages are counted: an IPv4 address, or the /64 of an IPv6 address, because one host
/// usually controls a /64.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

fn bytes_of(message: &Message) -> usize {
    message.bytes.len().max(BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;
    use racoon_proto::path::Path;

    use super::*;

    fn message(source: u8, number: u32, length: usize) -> Message {
        let local = SocketAddr::from(([192, 0, 2, 1], 500));
        let remote = SocketAddr::from(([198, 51, 100, source], 500));
        let mut bytes = vec![0; length.max(4)];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Message { path: Path::new(local, remote), bytes: bytes.into() }
    }

    fn label(message: &Message) -> (u8, u32) {
        let IpAddr::V4(source) = message.path.remote.ip() else { panic!("{message:?}") };
        (source.octets()[3], u32::from_be_bytes(message.bytes[..4].try_into().unwrap()))
    }

    fn all(queue: &mut FairQueue) -> Vec<(u8, u32)> {
        std::iter::from_fn(|| queue.pop()).map(|message| label(&message)).collect()
    }

    fn assert_new(queue: &FairQueue) {
        assert!(queue.is_empty() && queue.bytes == 0, "{queue:?}");
        assert!(queue.sources.is_empty() && queue.by_bytes.is_empty(), "{queue:?}");
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = FairQueue::default();
        for number in 0..3 {
            assert_eq!(queue.push(message(1, number, 100)), 0);
        }
        queue.push(message(2, 0, 100));
        queue.push(message(3, 0, 100));
        assert_eq!(all(&mut queue), [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]);
        assert_new(&queue);
    }

    #[test]
    fn flood_displaces_only_its_own_messages() {
        let mut queue = FairQueue::default();
        let room = u32::try_from(BYTES_MAX / BYTES_MIN).unwrap();
        let dropped: u64 = (0..room + 100).map(|number| queue.push(message(1, number, 100))).sum();
        assert_eq!((dropped, queue.len()), (100, BYTES_MAX / BYTES_MIN), "his newest ones");
        for number in 0..100 {
            assert_eq!(queue.push(message(2, number, 100)), 1, "one of the other address");
        }
        (0..100_000).for_each(|number| assert_eq!(queue.push(message(1, number, 100)), 1, "this one"));
        let order = all(&mut queue);
        let honest = order.iter().filter(|(source, _)| *source == 2).collect::<Vec<_>>();
        assert!(honest.len() == 100 && honest.is_sorted());
        assert!(order[..200].iter().filter(|(source, _)| *source == 2).count() == 100, "he does not delay them");
        assert_new(&queue);
    }

    #[test]
    fn large_message_displaces_several_small_ones() {
        let mut queue = FairQueue::default();
        (0..u32::try_from(BYTES_MAX / BYTES_MIN).unwrap())
            .for_each(|number| assert_eq!(queue.push(message(1, number, 1)), 0));
        assert_eq!(queue.push(message(2, 0, 10 * BYTES_MIN)), 10);
        assert_eq!(queue.len(), BYTES_MAX / BYTES_MIN - 9);
    }

    #[test]
    fn ipv6_sources_are_grouped_by_network() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    proptest! {
        /// Messages of a source keep their order, the capacity is never exceeded, and every message is either returned
        /// or counted as dropped.
        #[test]
        fn every_message_is_accounted_for(pushes in prop::collection::vec((0..4_u8, 1..60_000_usize, any::<bool>()), 0..200)) {
            let mut queue = FairQueue::default();
            let (mut dropped, mut out) = (0, Vec::new());
            for (number, (source, length, pops)) in (0_u32..).zip(&pushes) {
                dropped += queue.push(message(*source, number, *length));
                prop_assert!(queue.bytes <= BYTES_MAX);
                if *pops {
                    out.extend(queue.pop().map(|message| label(&message)));
                }
            }
            out.extend(all(&mut queue));
            prop_assert_eq!(u64::try_from(out.len()).unwrap() + dropped, u64::try_from(pushes.len()).unwrap());
            for source in 0..4 {
                prop_assert!(out.iter().filter(|(from, _)| *from == source).is_sorted());
            }
            assert_new(&queue);
        }
    }
}
