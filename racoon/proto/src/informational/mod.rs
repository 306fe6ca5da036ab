//! The informational exchange (RFC 2408 section 4.8, RFC 2409 section 5.7): what the peer notifies and deletes.

pub(crate) mod dpd;
pub(crate) mod dpd_state;
mod in_clear;

use std::sync::Arc;

use crate::config::Rekey;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id};
use crate::num::{Doi, Flags, NotifyType, PayloadType, Protocol};
use crate::output::{Event, EventKind, Level};
use crate::path::AddrPort;
use crate::phase1::datagram::Protecting;
use crate::phase1::entry::Phase1;
use crate::phase1::negotiation::Phase1Next;
use crate::phase1::open_informational;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, NegotiationResult, Outcome, Role};
use crate::wire::{CookiePair, Delete, Notify, RawPayload};

/// Length in bytes of the longest text of a peer that is logged.
const TEXT_MAX: usize = 200;

/// Errors by which an initiator refuses message 6 of main mode.
const OF_AUTHENTICATION: [NotifyType; 8] = [
    NotifyType::INVALID_ID_INFORMATION,
    NotifyType::INVALID_HASH_INFORMATION,
    NotifyType::AUTHENTICATION_FAILED,
    NotifyType::INVALID_SIGNATURE,
    NotifyType::INVALID_CERTIFICATE,
    NotifyType::INVALID_CERT_ENCODING,
    NotifyType::INVALID_CERT_AUTHORITY,
    NotifyType::PAYLOAD_MALFORMED,
];

/// The content of a payload of an informational message.
enum Message {
    Notify(Notify),
    Delete(Delete),
}

impl Engine {
    /// Processes an informational message.
    pub(crate) fn informational_datagram(&mut self, incoming: &Incoming<'_>) {
        if !incoming.header.flags.contains(Flags::ENCRYPTED) {
            let next = self.phase1s.informational_in_clear(&mut self.core, incoming);
            return self.perform_for_phase1(next);
        }
        match self.phase1s.protecting(incoming) {
            Protecting::Established(id) => self.protected_informational(id, incoming),
            Protecting::NotYet => {
                let next = self.phase1s.early_informational(&mut self.core, incoming);
                self.perform_for_phase1(next);
                self.phase1s.request_proof(&mut self.core, incoming);
            }
            Protecting::Unknown | Protecting::Elsewhere => {
                self.phase1s.unknown_informational(&mut self.core, incoming);
            }
        }
    }

    /// Processes a message under an established phase 1.
    fn protected_informational(&mut self, id: Phase1Id, incoming: &Incoming<'_>) {
        let messages = self.phase1s.get_mut(id).and_then(|phase1| phase1.read_protected(&mut self.core, incoming));
        // `read_protected` has logged why there are none.
        let Some(messages) = messages else { return };
        self.phase1s.heard_from(&mut self.core, &mut self.phase2s, id);
        for message in messages {
            match message {
                Message::Notify(notify) => self.notified(id, &notify),
                Message::Delete(delete) => self.deleted(id, &delete),
            }
        }
    }

    /// Processes an authenticated notify.
    fn notified(&mut self, id: Phase1Id, notify: &Notify) {
        // An earlier payload of the message may have removed the phase 1.
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let remote = phase1.remote();
        match notify.kind {
            NotifyType::INITIAL_CONTACT => self.initial_contact_received(id),
            NotifyType::R_U_THERE => phase1.r_u_there(&mut self.core, notify),
            NotifyType::R_U_THERE_ACK => phase1.r_u_there_ack(&mut self.core, notify),
            kind if kind.is_error() => {
                // If it ends a negotiation, that has its own line.
                let refused = self.phase2s.refused_by(id, notify);
                refused.into_iter().for_each(|phase2| self.fail_phase2(phase2, FailureReason::Refused(kind)));
                let ended = refused.is_some() || self.phase1_refused(id, kind);
                let level = if ended { Level::Debug } else { Level::Warning };
                let text = || format!("the peer says {kind}{}", text_suffix(notify));
                let kind_of_line = (PeerStanding::Proved(remote.ip()), LoggedEvent::Notified);
                self.core.log_reason(kind_of_line, &kind, level, remote, text);
            }
            kind => self.core.log(Level::Debug, Some(remote), || format!("ignored notify {kind}")),
        }
    }

    /// Removes an SA whose initiator has refused message 6. Returns whether the notify is such a refusal.
    fn phase1_refused(&mut self, id: Phase1Id, kind: NotifyType) -> bool {
        let refused = self.phase1s.get(id).filter(|phase1| phase1.is_refusal_of_message_6(&self.core, kind));
        let Some(phase1) = refused else { return false };
        phase1.record_refusal(&mut self.core, kind);
        self.leave_phase2s(id);
        self.drop_phase1(id, false);
        true
    }

    /// Processes an authenticated delete.
    fn deleted(&mut self, id: Phase1Id, delete: &Delete) {
        // An earlier payload of the message may have removed the phase 1.
        let Some(remote) = self.phase1s.get(id).map(Phase1::remote) else { return };
        // DOI 0 comes from Cisco's Unity.
        if !matches!(delete.doi, Doi::IPSEC | Doi::ISAKMP) {
            return self.core.log(Level::Debug, Some(remote), || format!("ignored a DELETE with DOI {}", delete.doi));
        }
        if delete.protocol == Protocol::ISAKMP {
            for cookies in delete.spis.iter().filter_map(|spi| CookiePair::from_spi(spi)) {
                self.phase1_deleted_by(id, cookies);
            }
        } else {
            self.peer_deleted(id, delete.protocol, delete.spis.iter().map(|spi| number(spi)).collect());
        }
    }

    /// Processes a DELETE of a phase 1, possibly the one that protects it. A peer can delete only its own.
    fn phase1_deleted_by(&mut self, speaker: Phase1Id, cookies: CookiePair) {
        let deleted = self.phase1s.of_speaker(&mut self.core, speaker, cookies);
        // `of_speaker` has logged why there is none.
        let Some(phase1) = deleted.and_then(|id| self.phase1s.get(id)) else { return };
        let (id, path) = (phase1.id, phase1.path());
        let is_kept_up = phase1.is_kept_up(&self.core);
        self.core.emit(phase1.event(&self.core, EventKind::PeerDeleted));
        if is_kept_up {
            return self.purge_phase1(id, false);
        }
        self.core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA expired {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        self.leave_phase2s(id);
        self.drop_phase1(id, false);
    }
}

impl Phase1s {
    fn unknown_informational(&self, core: &mut Core, incoming: &Incoming<'_>) {
        let cookies = incoming.header.cookies;
        // Not an error: a peer that does not know that this host restarted deletes its SAs under the old cookies.
        let kind = (self.standing_of(core, incoming.path.remote), LoggedEvent::Unknown);
        core.log_limited(kind, Level::Info, incoming.path.remote, || {
            format!("informational message for an unknown ISAKMP SA {cookies}, perhaps from before a restart; ignored")
        });
    }

    /// Processes a message that arrives before the last one of phase 1, or in its place. The peer has the keys, and may explain a
    /// refusal; anything else is ignored until the SA exists.
    fn early_informational(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Phase1Next {
        let Incoming { header, body, .. } = incoming;
        let found = self.find(header.cookies).and_then(|id| self.get_mut(id));
        // If no exchange waits for its last message, nothing can be read.
        let Some(phase1) = found else { return Phase1Next::Wait };
        let codec = (&core.codec, phase1.remote());
        let exchange = phase1.negotiation();
        let messages = match exchange.and_then(|exchange| exchange.informational((header, *body), codec, read)) {
            Some(Ok(messages)) => messages,
            Some(Err(_)) => {
                phase1.note_unreadable(core);
                return Phase1Next::Wait;
            }
            None => return Phase1Next::Wait,
        };
        let refusal = messages.into_iter().find_map(|message| match message {
            Message::Notify(notify) if notify.kind.is_error() => Some(notify.kind),
            _ => None,
        });
        let id = phase1.id;
        refusal.map_or(Phase1Next::Wait, |kind| self.fail(core, id, FailureReason::Refused(kind)))
    }

    /// Finds the phase 1 that a peer deletes under the phase 1 `speaker`, if it is the peer's and established.
    fn of_speaker(&self, core: &mut Core, speaker: Phase1Id, cookies: CookiePair) -> Option<Phase1Id> {
        let path = self.get(speaker)?.path();
        let Some(phase1) = self.find(cookies).and_then(|id| self.get(id)) else {
            core.log(Level::Debug, Some(path.remote), || format!("ignored a DELETE for an unknown phase 1 {cookies}"));
            return None;
        };
        if phase1.path() != path {
            let text = || format!("ignored a DELETE for another peer's phase 1 {cookies}");
            core.log_of_peer(LoggedEvent::Misplaced, Level::Warning, path.remote, text);
            return None;
        }
        phase1.sa().map(|_| phase1.id)
    }
}

impl Phase1 {
    /// Reads a message under its SA. Returns `None`, and logs the reason, if it is not authenticated or repeated.
    fn read_protected(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Option<Vec<Message>> {
        let Incoming { header, body, .. } = incoming;
        let (remote, message_id) = (incoming.path.remote, header.message_id);
        let unused = self.sa().filter(|sa| message_id != 0 && !sa.used.refuses(message_id));
        let Some(sa) = unused else {
            core.log(Level::Debug, Some(remote), || {
                format!("ignored an informational message: message id {message_id:#010x} was used before")
            });
            return None;
        };
        match open_informational(&sa.keys, &sa.last_block, (header, *body), (&core.codec, remote), read) {
            Ok(messages) => {
                // After the message is authenticated: a forged one must not use up message ids.
                self.mark_used(core, message_id);
                Some(messages)
            }
            Err(reason) => {
                let text = || format!("an informational message is ignored: {reason}");
                core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text);
                None
            }
        }
    }

    /// Counts an encrypted message that our keys cannot decrypt, as happens when the pre-shared keys differ.
    fn note_unreadable(&mut self, core: &mut Core) {
        self.conversation.record.unreadable = self.conversation.record.unreadable.saturating_add(1);
        core.log(Level::Debug, Some(self.remote()), || "an informational message cannot be read".into());
    }

    /// Whether an error is the refusal of message 6 by the initiator.
    ///
    /// The responder already has the SA when an initiator refuses its identity. A later error is about something else: it is a
    /// refusal only while nothing was negotiated under the SA, and no later than message 6 would be retransmitted.
    fn is_refusal_of_message_6(&self, core: &Core, kind: NotifyType) -> bool {
        let Some(established) = self.established().filter(|_| self.role == Role::Responder) else { return false };
        let is_new = core.now < established.since + core.settings.retransmission.whole();
        // The notify does not say which message is malformed. If others than message 6 were sent under the SA, such as
        // INITIAL-CONTACT or a probe, it may be one of those.
        let only_message_6 = established.sa.used.count() <= 1;
        is_new
            && !established.negotiated
            && OF_AUTHENTICATION.contains(&kind)
            && (kind != NotifyType::PAYLOAD_MALFORMED || only_message_6)
    }

    /// Logs and records that the initiator has refused message 6.
    fn record_refusal(&self, core: &mut Core, kind: NotifyType) {
        let (remote, cookies) = (self.remote(), self.cookies);
        let reason = FailureReason::Refused(kind);
        let text =
            || format!("phase1 negotiation failed: {cookies}: the initiator refused message 6: {}", reason.explained());
        if core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text) {
            let event = reason.phase1_event().map(|kind| self.event(core, kind));
            let outcome = self.outcome(core, NegotiationResult::Failed(reason));
            let outcome = core.record_outcome(Outcome { peer_said: vec![kind], ..outcome });
            event.into_iter().for_each(|event| core.emit(Event { outcome: Some(Arc::clone(&outcome)), ..event }));
        }
    }

    /// Whether it is renewed and probed, so that its loss means the loss of the peer.
    fn is_kept_up(&self, core: &Core) -> bool {
        match core.settings.remotes.get(self.remote_section).map(|section| section.rekey) {
            Some(Rekey::Force) => true,
            Some(Rekey::On) => self.is_probed(core),
            Some(Rekey::Off) | None => false,
        }
    }
}

/// Reads the Notification and Delete payloads; others are ignored.
fn read(payloads: &[RawPayload<'_>]) -> Result<Vec<Message>, FailureReason> {
    let messages = payloads.iter().filter_map(|payload| match payload.kind {
        PayloadType::NOTIFY => Some(Notify::parse(payload.body).map(Message::Notify)),
        PayloadType::DELETE => Some(Delete::parse(payload.body).map(Message::Delete)),
        _ => None,
    });
    messages.collect::<Result<_, _>>().map_err(FailureReason::from)
}

/// Returns the text that some peers append to an error, if it can be logged.
pub(crate) fn text_of(notify: &Notify) -> Option<&str> {
    let text = std::str::from_utf8(&notify.data).ok()?;
    (!text.is_empty() && text.len() <= TEXT_MAX && text.chars().all(|c| !c.is_control())).then_some(text)
}

/// Returns the text of a notify after a colon, to be appended to a log line; empty if there is none.
fn text_suffix(notify: &Notify) -> String {
    text_of(notify).map(|text| format!(": {text}")).unwrap_or_default()
}

/// Returns an SPI of up to 4 bytes as a number.
fn number(spi: &[u8]) -> u32 {
    spi.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}
