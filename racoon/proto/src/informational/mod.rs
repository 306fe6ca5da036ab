//! The informational exchange (RFC 2408 section 4.8, RFC 2409 section 5.7): what the peer notifies and deletes.

pub(crate) mod dpd;

use std::sync::Arc;

use crate::config::Rekey;
use crate::engine::core::Core;
use crate::engine::datagram::{Incoming, Protecting};
use crate::engine::{Engine, Phase1Id};
use crate::message::rules::INFORMATIONAL_IN_CLEAR;
use crate::num::{Doi, Flags, NotifyType, PayloadType, Protocol};
use crate::output::{Event, EventKind, Level};
use crate::path::AddrPort;
use crate::phase1::entry::Phase1;
use crate::phase1::open_informational;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, NegotiationResult, Outcome, Role};
use crate::wire::{CookiePair, Delete, Notify, RawPayload, Tail, chain};

/// Length in bytes to which a peer's text is cut in the log.
const TEXT_MAX: usize = 200;

/// Errors by which an initiator refuses message 6 of main mode.
const OF_AUTHENTICATION: [NotifyType; 7] = [
    NotifyType::INVALID_ID_INFORMATION,
    NotifyType::INVALID_HASH_INFORMATION,
    NotifyType::AUTHENTICATION_FAILED,
    NotifyType::INVALID_SIGNATURE,
    NotifyType::INVALID_CERTIFICATE,
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
        if incoming.header.flags.contains(Flags::ENCRYPTED) {
            match self.phase1s.protecting(incoming) {
                Protecting::Established(id) => self.protected_informational(id, incoming),
                Protecting::NotYet => self.early_informational(incoming),
                Protecting::Unknown | Protecting::Elsewhere => self.unknown_informational(incoming),
            }
        } else {
            self.informational_in_clear(incoming);
        }
    }

    fn unknown_informational(&mut self, incoming: &Incoming<'_>) {
        let cookies = incoming.header.cookies;
        // Not an error: a peer that does not know that this host restarted deletes its SAs under the old cookies.
        let kind = (self.phase1s.standing_of(&self.core, incoming.path.remote), LoggedEvent::Unknown);
        self.core.log_limited(kind, Level::Info, incoming.path.remote, || {
            format!("informational message for an unknown ISAKMP SA {cookies}, perhaps from before a restart; ignored")
        });
    }

    /// Processes a message under an established phase 1.
    fn protected_informational(&mut self, id: Phase1Id, incoming: &Incoming<'_>) {
        let (remote, message_id) = (incoming.path.remote, incoming.header.message_id);
        let is_used = self.phase1s.sa(id).is_none_or(|sa| sa.used.refuses(message_id));
        if message_id == 0 || is_used {
            return self.core.log(Level::Debug, Some(remote), || format!("message id {message_id:#010x} again"));
        }
        match self.phase1s.read_protected(&mut self.core, id, incoming) {
            Ok(messages) => {
                self.heard_from(id);
                messages.into_iter().for_each(|message| self.informed(id, message));
            }
            Err(cause) => {
                let text = || format!("an informational message is ignored: {cause}");
                self.core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text);
            }
        }
    }

    /// Processes a message that arrives before the last one of phase 1, or in its place. The peer has the keys, and may explain a
    /// refusal; anything else is ignored until the SA exists.
    fn early_informational(&mut self, incoming: &Incoming<'_>) {
        let Incoming { header, body, .. } = incoming;
        let Some(id) = self.phase1s.find(header.cookies) else { return };
        let Some(phase1) = self.phase1s.get(id) else { return };
        let Some(mode) = phase1.negotiation() else { return };
        let messages = match mode.informational((header, *body), (&self.core.codec, phase1.remote()), read) {
            Some(Ok(messages)) => messages,
            Some(Err(_)) => return self.phase1s.note_unreadable(&mut self.core, id),
            None => return,
        };
        let refusal = messages.into_iter().find_map(|message| match message {
            Message::Notify(notify) if notify.kind.is_error() => Some(notify.kind),
            _ => None,
        });
        if let Some(kind) = refusal {
            self.fail_phase1(id, FailureReason::Refused(kind));
        }
    }

    /// Processes an authenticated notify or delete.
    fn informed(&mut self, id: Phase1Id, message: Message) {
        match message {
            Message::Notify(notify) => self.notified(id, &notify),
            Message::Delete(delete) => self.deleted(id, &delete),
        }
    }

    fn notified(&mut self, id: Phase1Id, notify: &Notify) {
        let Some(remote) = self.phase1s.get(id).map(|phase1| phase1.remote()) else { return };
        match notify.kind {
            NotifyType::INITIAL_CONTACT => self.initial_contact_received(id),
            NotifyType::R_U_THERE => self.phase1s.r_u_there(&mut self.core, id, notify),
            NotifyType::R_U_THERE_ACK => self.phase1s.r_u_there_ack(&mut self.core, id, notify),
            kind if kind.is_error() => {
                // If it ends a negotiation, that has its own line.
                let ended = self.peer_refused(id, notify) || self.phase1_refused(id, kind);
                let level = if ended { Level::Debug } else { Level::Warning };
                let text = || format!("the peer says {kind}{}", text_suffix(notify));
                let kind_of_line = (PeerStanding::Proved(remote.ip()), LoggedEvent::Notified);
                self.core.log_reason(kind_of_line, &kind, level, remote, text);
            }
            kind => self.core.log(Level::Debug, Some(remote), || format!("notification {kind} is of no interest")),
        }
    }

    /// Removes an SA whose initiator has refused message 6. Returns whether the notify is such a refusal.
    ///
    /// The responder already has the SA when an initiator refuses its identity. A later error is about something else: it is a
    /// refusal only while nothing was negotiated under the SA, and no later than message 6 would be retransmitted.
    fn phase1_refused(&mut self, id: Phase1Id, kind: NotifyType) -> bool {
        let Some(phase1) = self.phase1s.get(id).filter(|phase1| phase1.role == Role::Responder) else { return false };
        let Some(established) = phase1.established() else { return false };
        let is_new = self.core.now < established.since + self.core.settings.retransmission.whole();
        if !is_new || established.negotiated || !OF_AUTHENTICATION.contains(&kind) {
            return false;
        }
        // The notify does not say which message is malformed. If others than message 6 were sent under the SA, such as
        // INITIAL-CONTACT or a probe, it may be one of those.
        let only_message_6 = established.sa.used.count() <= 1;
        if kind == NotifyType::PAYLOAD_MALFORMED && !only_message_6 {
            return false;
        }
        let (remote, cookies) = (phase1.remote(), phase1.cookies);
        let cause = FailureReason::Refused(kind);
        let outcome = self.phase1_outcome(phase1, NegotiationResult::Failed(cause.clone()));
        let text =
            || format!("phase1 negotiation failed: {cookies}: the initiator refused message 6: {}", cause.explained());
        if self.core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text) {
            let event = cause.phase1_event().and_then(|kind| Some(self.phase1_event(self.phase1s.get(id)?, kind)));
            let outcome = self.core.record_outcome(Outcome { peer_said: vec![kind], ..outcome });
            event.into_iter().for_each(|event| self.core.emit(Event { outcome: Some(Arc::clone(&outcome)), ..event }));
        }
        self.leave_phase2s(id);
        self.drop_phase1(id);
        true
    }

    fn deleted(&mut self, id: Phase1Id, delete: &Delete) {
        let Some(remote) = self.phase1s.get(id).map(|phase1| phase1.remote()) else { return };
        // DOI 0 comes from Cisco's Unity.
        if !matches!(delete.doi, Doi::IPSEC | Doi::ISAKMP) {
            return self.core.log(Level::Debug, Some(remote), || format!("a delete of DOI {} is ignored", delete.doi));
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
        let Some(path) = self.phase1s.get(speaker).map(Phase1::path) else {
            return;
        };
        let Some(id) = self.phase1s.find(cookies) else {
            return self
                .core
                .log(Level::Debug, Some(path.remote), || format!("the peer deletes an unknown phase 1 {cookies}"));
        };
        let Some(phase1) = self.phase1s.get(id).filter(|phase1| phase1.path() == path) else {
            let text = || format!("the peer deletes somebody else's {cookies}");
            self.core.log_of_peer(LoggedEvent::Misplaced, Level::Warning, path.remote, text);
            return;
        };
        if phase1.established().is_none() {
            return;
        }
        self.emit_phase1_event(id, EventKind::PeerDeleted);
        if self.phase1s.is_kept_up(&self.core, id) {
            return self.purge_phase1(id, false);
        }
        self.core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA expired {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        self.leave_phase2s(id);
        self.drop_phase1(id);
    }

    /// Processes an unencrypted message, which may be forged. It is recorded for a negotiation and ends nothing, except that with
    /// `weak_phase1_check` a DELETE ends a negotiation without keys.
    fn informational_in_clear(&mut self, incoming: &Incoming<'_>) {
        let Incoming { path, header, body, .. } = incoming;
        let cookies = header.cookies;
        let begun = || self.phase1s.find_first(cookies.initiator, *path);
        let unanswered = |id: &Phase1Id| self.phase1s.get(*id).is_some_and(|phase1| phase1.cookies.responder.is_zero());
        let found = self.phase1s.find(cookies).or_else(|| begun().filter(unanswered));
        let of_peer = |id: &Phase1Id| self.phase1s.get(*id).is_some_and(|phase1| phase1.path() == *path);
        let Some(id) = found.filter(of_peer) else { return self.unknown_informational(incoming) };
        let payloads = chain::walk(header.next_payload, body, Tail::Padding);
        let messages = payloads.map_err(FailureReason::from).and_then(|payloads| {
            INFORMATIONAL_IN_CLEAR.check(&payloads)?;
            read(&payloads)
        });
        match messages {
            Ok(messages) => messages.iter().for_each(|message| self.hinted(id, message)),
            Err(cause) => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, path.remote, || {
                    format!("an informational message: {cause}")
                });
            }
        }
    }

    /// Processes an unauthenticated notify or delete.
    fn hinted(&mut self, id: Phase1Id, message: &Message) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let remote = phase1.remote();
        let is_weak = self.core.settings.remotes.get(phase1.block).is_some_and(|block| block.weak_phase1_check);
        match message {
            Message::Notify(notify) if phase1.negotiation().is_some() && notify.kind.is_error() => {
                let is_news = phase1.conversation.record.said(notify.kind);
                let offered = phase1.conversation.record.offer_refused_by(phase1.role, notify.kind);
                let standing = self
                    .phase1s
                    .get(id)
                    .map_or(PeerStanding::Unknown, |phase1| self.phase1s.standing_of_phase1(&self.core, phase1));
                let (_, level) = match is_news {
                    true => self.core.apply_rate_limit(
                        (standing, LoggedEvent::Hint),
                        Some(&notify.kind),
                        Level::Warning,
                        remote,
                    ),
                    false => (false, Level::Debug),
                };
                let seconds = self.core.settings.retransmission.whole().as_secs();
                self.core.log(level, Some(remote), || {
                    format!(
                        "unauthenticated notify {}{}{offered}; negotiation goes on for up to {seconds} s",
                        notify.kind,
                        text_suffix(notify)
                    )
                });
            }
            Message::Notify(notify) if phase1.established().is_some() && notify.kind.is_error() => {
                self.core.log(Level::Debug, Some(remote), || {
                    format!("unauthenticated notify {}{}: the peer is asked", notify.kind, text_suffix(notify))
                });
                self.phase1s.unknown_to_peer(&mut self.core, id);
            }
            Message::Delete(delete) if phase1.is_early() && delete_names(delete, phase1.cookies) && is_weak => {
                self.fail_phase1(id, FailureReason::Deleted(Protocol::ISAKMP));
            }
            Message::Delete(_) => self.core.log(Level::Debug, Some(remote), || "a delete in clear is ignored".into()),
            _ => self.core.log(Level::Debug, Some(remote), || "an informational message in clear is ignored".into()),
        }
    }
}

impl Phase1s {
    fn read_protected(
        &mut self,
        core: &mut Core,
        id: Phase1Id,
        incoming: &Incoming<'_>,
    ) -> Result<Vec<Message>, FailureReason> {
        let Incoming { header, body, .. } = incoming;
        let Some(sa) = self.sa(id) else { return Ok(Vec::new()) };
        let codec = (&core.codec, incoming.path.remote);
        let messages = open_informational(&sa.keys, &sa.last_block, (header, *body), codec, read)?;
        if let Some(sa) = self.sa_mut(id) {
            sa.used.add(header.message_id);
        }
        self.message_id_used(core, id);
        Ok(messages)
    }

    /// Counts an encrypted message that our keys cannot decrypt, as happens when the pre-shared keys differ.
    fn note_unreadable(&mut self, core: &mut Core, id: Phase1Id) {
        if let Some(phase1) = self.get_mut(id) {
            phase1.conversation.record.unreadable = phase1.conversation.record.unreadable.saturating_add(1);
            let remote = phase1.remote();
            core.log(Level::Debug, Some(remote), || "an informational message cannot be read".into());
        }
    }

    /// Whether a phase 1 is renewed and probed, so that its loss means the loss of the peer.
    fn is_kept_up(&self, core: &Core, id: Phase1Id) -> bool {
        let block = self.get(id).and_then(|phase1| core.settings.remotes.get(phase1.block));
        match block.map(|block| block.rekey) {
            Some(Rekey::Force) => true,
            Some(Rekey::On) => self.is_probed(core, id),
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

/// Whether a delete names a phase 1 whose responder's cookie may not be known yet.
fn delete_names(delete: &Delete, ours: CookiePair) -> bool {
    let is_ours = |named: CookiePair| {
        named.initiator == ours.initiator && (ours.responder.is_zero() || named.responder == ours.responder)
    };
    let named = delete.spis.iter().filter_map(|spi| CookiePair::from_spi(spi));
    delete.protocol == Protocol::ISAKMP && named.into_iter().any(is_ours)
}

/// Returns the text that some peers append to an error, if it can be logged.
pub(crate) fn text_of(notify: &Notify) -> Option<&str> {
    let text = std::str::from_utf8(&notify.data).ok()?;
    (!text.is_empty() && text.len() <= TEXT_MAX && text.chars().all(|c| !c.is_control())).then_some(text)
}

/// Returns that text behind a colon, to be appended to a log line; empty if there is none.
fn text_suffix(notify: &Notify) -> String {
    text_of(notify).map(|text| format!(": {text}")).unwrap_or_default()
}

/// Returns an SPI of up to 4 bytes as a number.
fn number(spi: &[u8]) -> u32 {
    spi.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}
