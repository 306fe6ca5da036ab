//! Unencrypted informational messages. Anybody may have sent them, so they are hints.

use crate::engine::Phase1Id;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::informational::{Message, read, text_suffix};
use crate::message::rules::INFORMATIONAL_IN_CLEAR;
use crate::num::Protocol;
use crate::output::Level;

use crate::phase1::negotiation::Phase1Next;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::reason::FailureReason;
use crate::wire::{CookiePair, Delete, Notify, Tail, chain};

impl Phase1s {
    /// Processes an unencrypted message, which may be forged. It is recorded for a negotiation and ends nothing, except that with
    /// `weak_phase1_check` a DELETE ends a negotiation without keys.
    pub(super) fn informational_in_clear(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Phase1Next {
        let Incoming { path, header, body, .. } = incoming;
        let cookies = header.cookies;
        // The answer to our first message has a cookie that we do not know yet.
        let begun = || self.find_first(cookies.initiator, *path);
        let unanswered = |id: &Phase1Id| self.get(*id).is_some_and(|phase1| phase1.cookies.responder.is_zero());
        let found = self.find(cookies).or_else(|| begun().filter(unanswered));
        let of_peer = |id: &Phase1Id| self.get(*id).is_some_and(|phase1| phase1.path() == *path);
        let Some(id) = found.filter(of_peer) else {
            self.unknown_informational(core, incoming);
            return Phase1Next::Wait;
        };
        let payloads = chain::walk(header.next_payload, body, Tail::Padding);
        let messages = payloads.map_err(FailureReason::from).and_then(|payloads| {
            INFORMATIONAL_IN_CLEAR.check(&payloads)?;
            read(&payloads)
        });
        match messages {
            Ok(messages) => {
                let is_ended = messages.iter().any(|message| self.hinted(core, id, message));
                if is_ended { self.fail(core, id, FailureReason::Deleted(Protocol::ISAKMP)) } else { Phase1Next::Wait }
            }
            Err(reason) => {
                self.log_unauthenticated(core, LoggedEvent::Malformed, path.remote, || {
                    format!("an informational message: {reason}")
                });
                Phase1Next::Wait
            }
        }
    }

    /// Processes an unauthenticated notify or delete. Returns whether it ends the negotiation.
    fn hinted(&mut self, core: &mut Core, id: Phase1Id, message: &Message) -> bool {
        // The caller has just found it.
        let Some(phase1) = self.get_mut(id) else { return false };
        let remote = phase1.remote();
        let is_weak = core.settings.remotes.get(phase1.remote_section).is_some_and(|section| section.weak_phase1_check);
        match message {
            Message::Notify(notify) if phase1.negotiation().is_some() && notify.kind.is_error() => {
                self.note_hint(core, id, notify);
            }
            Message::Notify(notify) if phase1.established().is_some() && notify.kind.is_error() => {
                core.log(Level::Debug, Some(remote), || {
                    format!("unauthenticated notify {}{}: the peer is asked", notify.kind, text_suffix(notify))
                });
                phase1.unknown_to_peer(core);
            }
            Message::Delete(delete) if phase1.is_early() && delete_names(delete, phase1.cookies) && is_weak => {
                return true;
            }
            Message::Delete(_) => core.log(Level::Debug, Some(remote), || "ignored an unencrypted DELETE".into()),
            _ => core.log(Level::Debug, Some(remote), || "ignored an unencrypted informational message".into()),
        }
        false
    }

    /// Records an error of the peer with a negotiation, for its log line if it fails.
    fn note_hint(&mut self, core: &mut Core, id: Phase1Id, notify: &Notify) {
        // The caller has just found it.
        let Some((standing, phase1)) = self.with_standing(core, id) else { return };
        let remote = phase1.remote();
        let is_news = phase1.conversation.record.said(notify.kind);
        let offered = phase1.conversation.record.offer_refused_by(phase1.role, notify.kind);
        let level = if is_news {
            core.apply_rate_limit((standing, LoggedEvent::Hint), Some(&notify.kind), Level::Warning, remote).1
        } else {
            Level::Debug
        };
        let seconds = core.settings.retransmission.whole().as_secs();
        core.log(level, Some(remote), || {
            format!(
                "unauthenticated notify {}{}{offered}; negotiation goes on for up to {seconds} s",
                notify.kind,
                text_suffix(notify)
            )
        });
    }
}

/// Whether a delete names a phase 1 whose responder's cookie may not be known yet.
fn delete_names(delete: &Delete, ours: CookiePair) -> bool {
    let is_ours = |named: CookiePair| {
        named.initiator == ours.initiator && (ours.responder.is_zero() || named.responder == ours.responder)
    };
    let named = delete.spis.iter().filter_map(|spi| CookiePair::from_spi(spi));
    delete.protocol == Protocol::ISAKMP && named.into_iter().any(is_ours)
}
