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
pub(crate) enum Lookup {
    /// It is new.
    New,
    /// It is new, but another one is still being worked on: hold it, or drop it.
    Busy,
    /// It was answered: send the answer again.
    Reply(Vec<u8>),
    /// It was here before, and is worth nothing more.
    Duplicate,
}

/// What an exchange keeps of the packets that it received. A packet is known here once it was accepted; one that was
/// refused may come again.
#[derive(Debug, Default)]
pub(crate) struct ReplyCache {
    /// Accepted, and answered before the last one.
    past: Vec<PacketDigest>,
    /// Accepted, not yet answered: a job runs, or the kernel is asked.
    working: Option<PacketDigest>,
    last: Option<AnsweredPacket>,
    /// A packet that came early.
    deferred: Option<Vec<u8>>,
}

#[derive(Debug)]
struct AnsweredPacket {
    digest: PacketDigest,
    /// None: nothing is said to it.
    reply: Option<Vec<u8>>,
    /// How often the reply was sent again.
    resent: u32,
    /// How often the packet came again.
    repeated: u32,
}

/// The last reply of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastReply {
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// How often it was sent again because the packet that it answers came again.
    pub(crate) resent: u32,
    /// How often that packet came again.
    pub(crate) repeated: u32,
}

impl ReplyCache {
    /// A packet came in. An answer is sent again at most `limit` times: somebody may be sending our answers to a victim.
    pub(crate) fn lookup(&mut self, digest: &PacketDigest, limit: u32) -> Lookup {
        if self.working.as_ref() == Some(digest) || self.past.contains(digest) {
            return Lookup::Duplicate;
        }
        match &mut self.last {
            Some(last) if last.digest == *digest => {
                last.repeated = last.repeated.saturating_add(1);
                match &last.reply {
                    Some(reply) if last.resent < limit => {
                        last.resent += 1;
                        Lookup::Reply(reply.clone())
                    }
                    _ => Lookup::Duplicate,
                }
            }
            _ if self.working.is_some() => Lookup::Busy,
            _ => Lookup::New,
        }
    }

    /// The packet is accepted, and worked on from now on.
    pub(crate) fn begin(&mut self, digest: PacketDigest) {
        self.working = Some(digest);
    }

    /// The packet that was worked on is no good after all; it may come again.
    pub(crate) fn reject(&mut self) {
        self.working = None;
    }

    /// The packet that was worked on is answered with `reply`, or not at all. The packets before it are not answered any
    /// more.
    pub(crate) fn finish(&mut self, reply: Option<Vec<u8>>) {
        if let Some(digest) = self.working.take() {
            let last = self.last.replace(AnsweredPacket { digest, reply, resent: 0, repeated: 0 });
            self.past.extend(last.map(|last| last.digest));
        }
    }

    /// What the last packet was answered with; nothing if there was no answer.
    pub(crate) fn last_reply(&self) -> LastReply {
        let last = self.last.as_ref().and_then(|last| Some((last, last.reply.as_ref()?)));
        last.map_or_else(LastReply::default, |(last, reply)| LastReply {
            bytes: reply.len(),
            resent: last.resent,
            repeated: last.repeated,
        })
    }

    /// Something is worked on.
    pub(crate) fn is_busy(&self) -> bool {
        self.working.is_some()
    }

    /// Holds a packet that came early; the first one stays.
    pub(crate) fn defer(&mut self, datagram: &[u8]) {
        if self.deferred.is_none() {
            self.deferred = Some(datagram.to_vec());
        }
    }

    /// The packet that came early.
    pub(crate) fn take_deferred(&mut self) -> Option<Vec<u8>> {
        self.deferred.take()
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
        let mut reply_cache = ReplyCache::default();
        assert_eq!(reply_cache.lookup(&packet("1"), 2), Lookup::New);
        reply_cache.begin(packet("1"));
        reply_cache.finish(Some(vec![2]));
        assert_eq!(reply_cache.lookup(&packet("1"), 2), Lookup::Reply(vec![2]));
        assert_eq!(reply_cache.lookup(&packet("1"), 2), Lookup::Reply(vec![2]));
        assert_eq!(reply_cache.lookup(&packet("1"), 2), Lookup::Duplicate);
        assert_eq!(reply_cache.lookup(&packet("2"), 2), Lookup::New);
    }

    #[test]
    fn while_one_is_worked_on_others_are_early() {
        let mut reply_cache = ReplyCache::default();
        reply_cache.begin(packet("1"));
        assert!(reply_cache.is_busy());
        assert_eq!(reply_cache.lookup(&packet("1"), 5), Lookup::Duplicate);
        assert_eq!(reply_cache.lookup(&packet("2"), 5), Lookup::Busy);
        reply_cache.defer(b"2");
        reply_cache.defer(b"3");
        assert_eq!(reply_cache.take_deferred(), Some(b"2".to_vec()));
        assert_eq!(reply_cache.take_deferred(), None);
        reply_cache.reject();
        assert_eq!(reply_cache.lookup(&packet("1"), 5), Lookup::New);
    }

    #[test]
    fn what_lies_behind_is_stale() {
        let mut reply_cache = ReplyCache::default();
        for (one, reply) in [("1", Some(vec![2])), ("3", None)] {
            reply_cache.begin(packet(one));
            reply_cache.finish(reply);
        }
        assert_eq!(reply_cache.lookup(&packet("1"), 5), Lookup::Duplicate);
        assert_eq!(reply_cache.lookup(&packet("3"), 5), Lookup::Duplicate);
    }
}
