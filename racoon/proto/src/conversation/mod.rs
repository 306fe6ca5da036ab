//! State common to all exchanges.
//!
//! A [`Conversation`] recognizes retransmitted messages of the peer, repeats our last message until it is answered, limits every
//! other wait by a deadline, and records what happened. It does not read messages: the entry that owns it, a phase 1 or a
//! phase 2, decides what a message means and reports the result.

pub(crate) mod record;
pub(crate) mod reply_cache;
mod retransmission;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use record::Record;
pub(crate) use reply_cache::{Lookup, PacketDigest};

use crate::crypto::Job;
use crate::engine::core::Core;
use crate::engine::{Phase1Id, Phase2Id, Timer};
use crate::num::ExchangeType;
use crate::output::Urgency;
use crate::path::Path;
use crate::reason::{Role, Unanswered};
use crate::settings::Settings;
use crate::time::Time;
use reply_cache::ReplyCache;
use retransmission::SentMessage;

/// Name of a conversation, by which timers and jobs refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ConversationId {
    /// The exchange that negotiates a phase 1.
    Phase1(Phase1Id),
    /// The quick mode that negotiates a phase 2.
    Phase2(Phase2Id),
}

/// State of an exchange with a peer, apart from what its messages mean.
#[derive(Debug)]
pub(crate) struct Conversation {
    id: ConversationId,
    /// What is known for the outcome.
    pub(crate) record: Record,
    reply_cache: ReplyCache,
    /// Our last message, as long as we repeat it ourselves.
    retransmission: Option<SentMessage>,
}

impl Conversation {
    /// A conversation without any message yet.
    pub(crate) fn new(id: ConversationId, record: Record) -> Self {
        Self { id, record, reply_cache: ReplyCache::default(), retransmission: None }
    }

    /// Classifies a datagram of the peer. If it was answered, the answer is returned, at most `count` times.
    pub(crate) fn arrival(&mut self, core: &Core, digest: &PacketDigest) -> Lookup {
        self.reply_cache.lookup(digest, core.settings.retransmission.count)
    }

    /// Returns the answer to the last message, to be sent again although that message was not repeated; at most `count` times in all.
    pub(crate) fn repeat_reply(&mut self, core: &Core) -> Option<Vec<u8>> {
        self.reply_cache.repeat_reply(core.settings.retransmission.count)
    }

    /// Accepts a message, which is being processed until it is answered or rejected. Earlier faults no longer count.
    pub(crate) fn accept(&mut self, digest: PacketDigest) {
        self.reply_cache.begin(digest);
    }

    /// Records progress. Faults before it do not explain a later failure.
    pub(crate) fn step(&mut self, core: &Core, step: &'static str) {
        self.record.step(core.now, step);
        self.record.fault = None;
        self.record.unreadable = 0;
    }

    /// Records the answer to the message that is being processed; none if there is nothing to say. The caller sends it.
    pub(crate) fn answer(&mut self, reply: Option<Vec<u8>>) {
        self.reply_cache.finish(reply);
    }

    /// Rejects the message that is being processed after all, and resumes the retransmission that it had suspended.
    pub(crate) fn reject(&mut self, core: &mut Core) {
        if !self.reply_cache.is_busy() {
            return;
        }
        self.reply_cache.reject();
        if let Some(retransmission) = &mut self.retransmission {
            let due = retransmission.resume().unwrap_or(core.now);
            core.timers.stop(Timer::Deadline(self.id));
            // The due time may have passed while the job ran.
            core.timers.set(Timer::Retransmit(self.id), due.max(core.now));
        }
    }

    /// Whether an accepted message is neither answered nor rejected yet.
    pub(crate) fn is_processing(&self) -> bool {
        self.reply_cache.is_busy()
    }

    /// Keeps a datagram that cannot be processed yet; only the first one.
    pub(crate) fn defer(&mut self, datagram: &[u8]) {
        self.reply_cache.defer(datagram);
    }

    /// Returns the datagram that was deferred.
    pub(crate) fn take_deferred(&mut self) -> Option<Vec<u8>> {
        self.reply_cache.take_deferred()
    }

    /// Sends a message, and repeats it until it is answered. This replaces the deadline.
    pub(crate) fn send(&mut self, core: &mut Core, path: Path, message: Vec<u8>) {
        core.transmit(path, &message);
        self.retransmission = Some(SentMessage::new(message, core.now));
        // The deadline would fail the exchange while its message is still repeated.
        core.timers.stop(Timer::Deadline(self.id));
        core.timers.set(Timer::Retransmit(self.id), core.now + core.settings.retransmission.interval);
    }

    /// Sends the repeated message once more. False if it was sent `count` times: then the peer does not answer.
    pub(crate) fn retransmit(&mut self, core: &mut Core, path: Path) -> bool {
        let settings = core.settings.retransmission;
        let Some(message) = self.retransmission.as_mut().and_then(|sent| sent.next_copy(settings.count)) else {
            return false;
        };
        core.transmit(path, message);
        core.timers.set(Timer::Retransmit(self.id), core.now + settings.interval);
        true
    }

    /// When the message that is repeated now was sent first; none if none is.
    pub(crate) fn first_sent(&self) -> Option<Time> {
        self.retransmission.as_ref().map(SentMessage::first_sent)
    }

    /// Suspends the retransmission while a job for the apparent answer runs, and waits no longer for the job than for an
    /// answer. A side that repeats nothing keeps its deadline: invalid values of the peer must not extend it.
    pub(crate) fn suspend_retransmission(&mut self, core: &mut Core) {
        let due = core.timers.stop(Timer::Retransmit(self.id));
        if let Some(retransmission) = &mut self.retransmission {
            retransmission.suspend(due);
            self.set_deadline(core, |settings| settings.retransmission.whole());
        }
    }

    /// Ends the retransmission: the peer has answered.
    pub(crate) fn stop_retransmission(&mut self, core: &mut Core) {
        self.retransmission = None;
        core.timers.stop(Timer::Retransmit(self.id));
    }

    /// Limits the wait for something that we do not ask for again: a peer, a job, the kernel.
    pub(crate) fn set_deadline(&self, core: &mut Core, wait: impl FnOnce(&Settings) -> Duration) {
        core.timers.set(Timer::Deadline(self.id), core.now + wait(&core.settings));
    }

    /// Ends such a wait.
    pub(crate) fn stop_deadline(&self, core: &mut Core) {
        core.timers.stop(Timer::Deadline(self.id));
    }

    /// Hands a job to the shell. Its result replaces that of an earlier job.
    pub(crate) fn start_job(&self, core: &mut Core, urgency: Urgency, job: Job) {
        core.start_job(self.id, urgency, job);
    }

    /// Describes our last message, number `message` of the exchange, which the peer does not answer.
    pub(crate) fn unanswered(&self, exchange: ExchangeType, role: Role, message: u8) -> Unanswered {
        let reply = self.reply_cache.last_reply();
        let (bytes, sent) = match &self.retransmission {
            Some(retransmission) => (retransmission.bytes(), retransmission.sent()),
            None => (reply.bytes, 1),
        };
        Unanswered {
            exchange,
            role,
            message,
            bytes,
            sent: sent.saturating_add(reply.resent),
            repeated: reply.repeated,
            unreadable: self.record.unreadable,
        }
    }

    /// Forgets what was received and sent: duplicates are no longer answered.
    pub(crate) fn forget_messages(&mut self) {
        self.reply_cache = ReplyCache::default();
    }

    /// Ends the conversation: no timer remains, and the result of a job is dropped.
    pub(crate) fn end(&self, core: &mut Core) {
        core.timers.stop(Timer::Retransmit(self.id));
        core.timers.stop(Timer::Deadline(self.id));
        core.jobs.forget(self.id);
    }
}
