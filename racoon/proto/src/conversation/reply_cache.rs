//! Recognition of duplicate packets.

use crate::crypto::{CryptoError, digest};
use crate::num::Hash;

/// Digest by which a packet is recognized.
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

/// How to treat a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Process it: it is new.
    New,
    /// Defer or drop it: it is new, but another one is still being processed.
    Busy,
    /// Send this answer again: the packet was answered before.
    Reply(Vec<u8>),
    /// Drop it: it was processed before, or is being processed.
    Duplicate,
}

/// The packets that an exchange has accepted, and the answer to the last one. A packet that was refused is not included, and
/// may arrive again.
#[derive(Debug, Default)]
pub(crate) struct ReplyCache {
    /// Packets answered before the last one.
    past: Vec<PacketDigest>,
    /// The packet that is accepted but not answered yet: a job runs, or the kernel is asked.
    working: Option<PacketDigest>,
    last: Option<AnsweredPacket>,
    /// A packet that arrived too early.
    deferred: Option<Vec<u8>>,
}

#[derive(Debug)]
struct AnsweredPacket {
    digest: PacketDigest,
    /// The answer; none if the packet needs none.
    reply: Option<Vec<u8>>,
    /// How often the answer was sent again.
    resent: u32,
    /// How often the packet arrived again.
    repeated: u32,
}

impl AnsweredPacket {
    fn repeat_reply(&mut self, limit: u32) -> Option<Vec<u8>> {
        let reply = self.reply.as_ref().filter(|_| self.resent < limit)?;
        self.resent += 1;
        Some(reply.clone())
    }
}

/// The last reply of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastReply {
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// How often it was sent again, because the packet that it answers arrived again.
    pub(crate) resent: u32,
    /// How often that packet arrived again.
    pub(crate) repeated: u32,
}

impl ReplyCache {
    /// Classifies a packet. An answer is returned at most `limit` times: the duplicates may be sent by somebody who directs our
    /// answers at a victim.
    pub(crate) fn lookup(&mut self, digest: &PacketDigest, limit: u32) -> Lookup {
        if self.working.as_ref() == Some(digest) || self.past.contains(digest) {
            return Lookup::Duplicate;
        }
        match &mut self.last {
            Some(last) if last.digest == *digest => {
                last.repeated = last.repeated.saturating_add(1);
                last.repeat_reply(limit).map_or(Lookup::Duplicate, Lookup::Reply)
            }
            _ if self.working.is_some() => Lookup::Busy,
            _ => Lookup::New,
        }
    }

    /// Returns the answer to the last packet, as if that had arrived again.
    pub(crate) fn repeat_reply(&mut self, limit: u32) -> Option<Vec<u8>> {
        self.last.as_mut()?.repeat_reply(limit)
    }

    /// Accepts a packet, which is being processed from now on.
    pub(crate) fn begin(&mut self, digest: PacketDigest) {
        self.working = Some(digest);
    }

    /// Rejects the packet that is being processed after all; it may arrive again.
    pub(crate) fn reject(&mut self) {
        self.working = None;
    }

    /// Records the answer to the packet that is being processed. Earlier packets are no longer answered.
    pub(crate) fn finish(&mut self, reply: Option<Vec<u8>>) {
        if let Some(digest) = self.working.take() {
            // Only its digest is kept: the peer has the answer, as it has sent the next packet.
            let last = self.last.replace(AnsweredPacket { digest, reply, resent: 0, repeated: 0 });
            self.past.extend(last.map(|last| last.digest));
        }
    }

    /// Describes the answer to the last packet; all zero if there was none.
    pub(crate) fn last_reply(&self) -> LastReply {
        let last = self.last.as_ref().and_then(|last| Some((last, last.reply.as_ref()?)));
        last.map_or_else(LastReply::default, |(last, reply)| LastReply {
            bytes: reply.len(),
            resent: last.resent,
            repeated: last.repeated,
        })
    }

    /// Whether a packet is being processed.
    pub(crate) fn is_busy(&self) -> bool {
        self.working.is_some()
    }

    /// Keeps a packet that arrived too early, unless there is one already.
    pub(crate) fn defer(&mut self, datagram: &[u8]) {
        if self.deferred.is_none() {
            self.deferred = Some(datagram.to_vec());
        }
    }

    /// Returns the packet that arrived too early.
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
    fn an_answer_is_repeated_at_most_limit_times() {
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
    fn other_packets_are_early_while_one_is_processed() {
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
    fn packets_before_the_last_one_are_duplicates() {
        let mut reply_cache = ReplyCache::default();
        for (one, reply) in [("1", Some(vec![2])), ("3", None)] {
            reply_cache.begin(packet(one));
            reply_cache.finish(reply);
        }
        assert_eq!(reply_cache.lookup(&packet("1"), 5), Lookup::Duplicate);
        assert_eq!(reply_cache.lookup(&packet("3"), 5), Lookup::Duplicate);
    }
}
