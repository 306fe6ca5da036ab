//! Packets that come twice.

use crate::crypto::{CryptoError, digest};
use crate::num::Hash;

/// What a packet is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PacketDigest(Vec<u8>);

impl PacketDigest {
    /// The digest of a datagram.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn of(datagram: &[u8]) -> Result<Self, CryptoError> {
        digest(Hash::SHA256, &[datagram]).map(Self)
    }
}

/// What is to be done with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is new.
    New,
    /// It is new, but another one is still being worked on: hold it, or drop it.
    Early,
    /// It was answered: send the answer again.
    Answered(Vec<u8>),
    /// It was here before, and is worth nothing more.
    Stale,
}

/// What an exchange keeps of the packets that it received. A packet is known here once it was accepted; one that was
/// refused may come again.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Accepted, and answered before the last one.
    past: Vec<PacketDigest>,
    /// Accepted, not yet answered: a job runs, or the kernel is asked.
    working: Option<PacketDigest>,
    last: Option<Answered>,
    /// A packet that came early.
    held: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Answered {
    digest: PacketDigest,
    /// None: nothing is said to it.
    reply: Option<Vec<u8>>,
    /// How often the reply was sent again.
    again: u32,
    /// How often the packet came again.
    repeated: u32,
}

/// The last reply of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastReply {
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// How often it was sent again because the packet that it answers came again.
    pub(crate) again: u32,
    /// How often that packet came again.
    pub(crate) repeated: u32,
}

impl Inbox {
    /// A packet came in. An answer is sent again at most `limit` times: somebody may be sending our answers to a victim.
    pub(crate) fn arrival(&mut self, digest: &PacketDigest, limit: u32) -> Arrival {
        if self.working.as_ref() == Some(digest) || self.past.contains(digest) {
            return Arrival::Stale;
        }
        match &mut self.last {
            Some(last) if last.digest == *digest => {
                last.repeated = last.repeated.saturating_add(1);
                match &last.reply {
                    Some(reply) if last.again < limit => {
                        last.again += 1;
                        Arrival::Answered(reply.clone())
                    }
                    _ => Arrival::Stale,
                }
            }
            _ if self.working.is_some() => Arrival::Early,
            _ => Arrival::New,
        }
    }

    /// The packet is accepted, and worked on from now on.
    pub(crate) fn work_on(&mut self, digest: PacketDigest) {
        self.working = Some(digest);
    }

    /// The packet that was worked on is no good after all; it may come again.
    pub(crate) fn refuse(&mut self) {
        self.working = None;
    }

    /// The packet that was worked on is answered with `reply`, or not at all. The packets before it are not answered any
    /// more.
    pub(crate) fn answered(&mut self, reply: Option<Vec<u8>>) {
        if let Some(digest) = self.working.take() {
            let last = self.last.replace(Answered { digest, reply, again: 0, repeated: 0 });
            self.past.extend(last.map(|last| last.digest));
        }
    }

    /// What the last packet was answered with; nothing if there was no answer.
    pub(crate) fn last_reply(&self) -> LastReply {
        let last = self.last.as_ref().and_then(|last| Some((last, last.reply.as_ref()?)));
        last.map_or_else(LastReply::default, |(last, reply)| LastReply {
            bytes: reply.len(),
            again: last.again,
            repeated: last.repeated,
        })
    }

    /// Something is worked on.
    pub(crate) fn is_working(&self) -> bool {
        self.working.is_some()
    }

    /// Holds a packet that came early; the first one stays.
    pub(crate) fn hold(&mut self, datagram: &[u8]) {
        if self.held.is_none() {
            self.held = Some(datagram.to_vec());
        }
    }

    /// The packet that came early.
    pub(crate) fn take_held(&mut self) -> Option<Vec<u8>> {
        self.held.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &str) -> PacketDigest {
        PacketDigest::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_is_repeated_so_often() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.arrival(&packet("1"), 2), Arrival::New);
        inbox.work_on(packet("1"));
        inbox.answered(Some(vec![2]));
        assert_eq!(inbox.arrival(&packet("1"), 2), Arrival::Answered(vec![2]));
        assert_eq!(inbox.arrival(&packet("1"), 2), Arrival::Answered(vec![2]));
        assert_eq!(inbox.arrival(&packet("1"), 2), Arrival::Stale);
        assert_eq!(inbox.arrival(&packet("2"), 2), Arrival::New);
    }

    #[test]
    fn while_one_is_worked_on_others_are_early() {
        let mut inbox = Inbox::default();
        inbox.work_on(packet("1"));
        assert!(inbox.is_working());
        assert_eq!(inbox.arrival(&packet("1"), 5), Arrival::Stale);
        assert_eq!(inbox.arrival(&packet("2"), 5), Arrival::Early);
        inbox.hold(b"2");
        inbox.hold(b"3");
        assert_eq!(inbox.take_held(), Some(b"2".to_vec()));
        assert_eq!(inbox.take_held(), None);
        inbox.refuse();
        assert_eq!(inbox.arrival(&packet("1"), 5), Arrival::New);
    }

    #[test]
    fn what_lies_behind_is_stale() {
        let mut inbox = Inbox::default();
        for (one, reply) in [("1", Some(vec![2])), ("3", None)] {
            inbox.work_on(packet(one));
            inbox.answered(reply);
        }
        assert_eq!(inbox.arrival(&packet("1"), 5), Arrival::Stale);
        assert_eq!(inbox.arrival(&packet("3"), 5), Arrival::Stale);
    }
}
