//! Datagrams of phase 1, and the phase 1 that protects a datagram of another exchange.

use crate::conversation::{Lookup, Record};
use crate::crypto::JobResult;
use crate::engine::Phase1Id;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::exchange::Exchange;
use crate::phase1::half_open::Admission;
use crate::phase1::negotiation::Phase1Next;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, Malformed, Role};
use crate::wire::{Cookie, Header};

impl Phase1s {
    /// Processes a message of phase 1: of an existing one, a first message, or one without a phase 1.
    pub(crate) fn datagram(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Phase1Next {
        let (header, remote) = (&incoming.header, incoming.path.remote);
        if header.message_id != 0 {
            self.log_unauthenticated(core, LoggedEvent::Malformed, remote, || {
                "phase 1 message with a message id".into()
            });
            return Phase1Next::Wait;
        }
        match self.find_for(header, incoming.path) {
            Some(id) => self.receive(core, id, incoming),
            None if header.cookies.responder.is_zero() => self.first_message(core, incoming),
            None => {
                core.log(Level::Debug, Some(remote), || format!("no phase 1 has the cookies {}", header.cookies));
                Phase1Next::Wait
            }
        }
    }

    /// Processes the first message of a phase 1.
    fn first_message(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Phase1Next {
        let remote = incoming.path.remote;
        let standing = self.standing_of(core, remote);
        // A peer that repeats a refused message is not told at length again.
        let is_repeated = core.rate_limits.was_refused(incoming.header.cookies.initiator, remote);
        let in_words = !is_repeated && core.formats_reasons(standing, LoggedEvent::Refused);
        let mut record = Record { in_words, ..Record::new(core.now) };
        match self.respond(core, incoming, standing, &mut record) {
            Ok(next) => next,
            Err(reason) => {
                Self::refuse_first(core, incoming, (standing, is_repeated), &record, reason);
                Phase1Next::Wait
            }
        }
    }

    /// Processes a message of an existing phase 1.
    fn receive(&mut self, core: &mut Core, id: Phase1Id, incoming: &Incoming<'_>) -> Phase1Next {
        let Incoming { header, body, digest, .. } = incoming;
        let remote = incoming.path.remote;
        let learned = match self.check(core, id, incoming) {
            Arrival::Due { learned } => learned,
            Arrival::Ignored(why) => {
                core.log(Level::Debug, Some(remote), || why.into());
                return Phase1Next::Wait;
            }
            Arrival::Handled => return Phase1Next::Wait,
        };
        if learned {
            // The step needs it: the next message has both cookies in its header.
            self.learn_responder(id, header.cookies.responder);
        }
        let next = self.step(core, id, Some(digest), |exchange, cx| exchange.receive(cx, header, body));
        self.unlearn_responder(id);
        next
    }

    /// Processes the result of a job.
    pub(crate) fn job_done(&mut self, core: &mut Core, id: Phase1Id, result: JobResult) -> Phase1Next {
        let next = self.step(core, id, None, |exchange, cx| exchange.job_done(cx, result));
        // In aggressive mode, only the job shows whether message 2 is authentic.
        self.unlearn_responder(id);
        next
    }

    /// Checks whether a message belongs to the next step of a phase 1.
    fn check(&mut self, core: &mut Core, id: Phase1Id, incoming: &Incoming<'_>) -> Arrival {
        let Incoming { path, header, digest, .. } = incoming;
        let remote = path.remote;
        if let Some(peer) = self.get(id).filter(|phase1| phase1.path() != *path).map(Phase1::remote) {
            let kind = (self.standing_of(core, remote), LoggedEvent::OtherAddress);
            let text = || format!("a message of phase 1 with {peer} from another address is ignored");
            core.log_limited(kind, Level::Warning, remote, text);
            return Arrival::Handled;
        }
        // The routing has just found it.
        let Some(phase1) = self.get_mut(id) else { return Arrival::Handled };
        if phase1.role == Role::Initiator && header.cookies.responder.is_zero() {
            return Arrival::Ignored("ignored our own first message, or one without a responder cookie");
        }
        let exchange = phase1.exchange;
        match phase1.conversation.arrival(core, digest) {
            Lookup::Reply(reply) => {
                phase1.reply(core, reply);
                return Arrival::Handled;
            }
            Lookup::Duplicate | Lookup::Busy => {
                return Arrival::Ignored("ignored a retransmission, or a message that came too early");
            }
            Lookup::New => {}
        }
        let learned = phase1.cookies.responder.is_zero();
        // The cookie proves the address: a message without it may come from whoever forged the first message.
        if !learned && phase1.cookies != header.cookies {
            return Arrival::Ignored("ignored a message without the responder's cookie");
        }
        if self.admission(id, core.settings.half_open) == Admission::Refused {
            return Arrival::Ignored("ignored a message: too many negotiations of this address have jobs running");
        }
        if exchange != header.exchange {
            let found = header.exchange;
            let reason = FailureReason::Malformed(Malformed::OtherExchange { found, expected: exchange });
            self.note_fault(core, id, reason);
            return Arrival::Handled;
        }
        Arrival::Due { learned }
    }

    /// Finds the phase 1 of a message. Only the answer to our first message contains an unknown cookie.
    fn find_for(&self, header: &Header, path: Path) -> Option<Phase1Id> {
        let cookies = header.cookies;
        if cookies.responder.is_zero() {
            return self.find_first(cookies.initiator, path);
        }
        self.find(cookies).or_else(|| {
            let id = self.find_first(cookies.initiator, path)?;
            self.get(id).is_some_and(|phase1| phase1.cookies.responder.is_zero()).then_some(id)
        })
    }

    /// Forgets the responder's cookie if its message was not accepted: the message may be forged.
    fn unlearn_responder(&mut self, id: Phase1Id) {
        let still_unanswered = |phase1: &Phase1| phase1.negotiation().is_some_and(Exchange::is_unanswered);
        if self.get(id).is_some_and(still_unanswered) {
            self.learn_responder(id, Cookie::ZERO);
        }
    }

    /// Repeats message 2 of aggressive mode to a peer that uses the SA before its message 3 has arrived, and so has perhaps lost it.
    /// The peer, whose message has our cookie, then repeats message 3.
    pub(crate) fn request_proof(&mut self, core: &mut Core, incoming: &Incoming<'_>) {
        let Some(phase1) = self.find(incoming.header.cookies).and_then(|id| self.get_mut(id)) else { return };
        if phase1.negotiation().is_some_and(Exchange::awaits_proof)
            && let Some(reply) = phase1.conversation.repeat_reply(core)
        {
            phase1.reply(core, reply);
        }
    }

    /// Finds the phase 1 that protects a message. The message may be deferred until it does.
    pub(crate) fn protecting(&mut self, incoming: &Incoming<'_>) -> Protecting {
        let Some(id) = self.find(incoming.header.cookies) else { return Protecting::Unknown };
        let Some(phase1) = self.get_mut(id) else { return Protecting::Unknown };
        if phase1.path() != incoming.path {
            return Protecting::Elsewhere;
        }
        if phase1.protects(incoming.header.exchange, incoming.datagram) {
            Protecting::Established(id)
        } else {
            Protecting::NotYet
        }
    }
}

/// What becomes of a message of an existing phase 1.
enum Arrival {
    /// It belongs to the next step; `learned`: it is the first one with the responder's cookie.
    Due { learned: bool },
    /// It is ignored, with a line at level debug.
    Ignored(&'static str),
    /// It was answered, or has its own line.
    Handled,
}

/// Result of the search for the phase 1 that protects a message.
pub(crate) enum Protecting {
    /// It protects the message.
    Established(Phase1Id),
    /// It is being negotiated, or a quick mode comes too early.
    NotYet,
    /// It exists on another path.
    Elsewhere,
    /// There is none.
    Unknown,
}
