//! A phase 2 comes up, is renewed, and goes; or fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::conversation::Record;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::kernel::{KernelRequest, SaName};
use crate::num::{Doi, ExchangeType, PayloadType, Protocol};
use crate::output::{Event, EventKind, Level};
use crate::path::Path;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::renewal::{RETRY, outlives};
use crate::phase1::table::Phase1;
use crate::phase2::TrafficKey;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::kernel_state::protocol_name;
use crate::phase2::quick_mode::sa_of;
use crate::phase2::table::{EstablishedPhase2, Phase2, State};
use crate::phase2::traffic::{Endpoints, Identities};
use crate::reason::{FailureReason, Negotiation, NegotiationResult, NoPhase1, Outcome, Role};
use crate::select::{RemoteQuery, SainfoQuery};
use crate::time::Time;
use crate::wire::Notify;

/// Longest text in a notify, in bytes; a racoon that receives it shows up to 200.
const NOTIFY_TEXT_MAX: usize = 150;

impl Engine {
    /// Its phase 1 is up.
    pub(crate) fn phase1_up(&mut self, phase1: Phase1Id, waiting: Vec<Phase2Id>) {
        waiting.into_iter().for_each(|id| self.phase2_under(id, phase1));
    }

    /// Phase 2s that waited for a phase 1 fail, because there is none.
    pub(crate) fn phase1_failed(&mut self, waiting: Vec<Phase2Id>, why: &NoPhase1) {
        waiting.into_iter().for_each(|id| self.fail_phase2(id, FailureReason::NoPhase1(why.clone())));
    }

    /// What is established under a phase 1 belongs to another one now; what is on its way stays.
    pub(crate) fn phase2s_move(&mut self, from: Phase1Id, to: Phase1Id) {
        let is_established = |id: &Phase2Id| self.phase2s.get(*id).is_some_and(|one| one.established().is_some());
        let ids = self.phase2s.under(from).into_iter().filter(is_established).collect::<Vec<_>>();
        ids.into_iter().for_each(|id| self.phase2s.bind(id, to));
    }

    /// A phase 1 goes, and there is no other: what is established lives on, what is on its way does not.
    pub(crate) fn phase2s_orphaned(&mut self, phase1: Phase1Id) {
        let Some(path) = self.phase1s.get(phase1).map(Phase1::path) else { return };
        for id in self.phase2s.under(phase1) {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.phase2s.close(id);
                self.phase2s.orphan(id, path);
            } else {
                self.fail_phase2(id, FailureReason::phase1_gone());
            }
        }
    }

    /// How many are under a phase 1.
    pub(crate) fn phase2_count(&self, phase1: Phase1Id) -> usize {
        self.phase2s.count(phase1)
    }

    /// All SAs with a peer go, but for those under one phase 1, and those that still wait for one.
    pub(crate) fn purge_peer(&mut self, path: Path, keep: Option<Phase1Id>, tell_peer: bool) {
        self.delete_leftovers(Endpoints::of(path), tell_peer);
        for id in self.phase2s.with(Endpoints::of(path)) {
            let Some(phase2) = self.phase2s.get(id).filter(|phase2| self.is_with(phase2, path.remote)) else {
                continue;
            };
            if phase2.phase1.is_some() && phase2.phase1 == keep {
                continue;
            }
            match phase2.state {
                State::Waiting(..) => {}
                State::Established(_) => self.purge_phase2(id, tell_peer),
                _ => self.fail_phase2(id, FailureReason::phase1_gone()),
            }
        }
    }

    /// The peer deleted SAs: those by which we send to it. Their counterparts are of no use any more.
    pub(crate) fn peer_deleted(&mut self, phase1: Phase1Id, protocol: Protocol, spis: Vec<u32>) {
        let Some(remote) = self.phase1s.get(phase1).map(Phase1::remote) else { return };
        for spi in spis {
            let found = self.phase2s.of_sa((remote.ip(), protocol, spi));
            let found = found.and_then(|id| Some((id, self.phase2s.get(id)?)));
            let Some((id, phase2)) = found.filter(|(_, phase2)| self.is_with(phase2, remote)) else {
                if self.leftover_deleted_by(phase1, protocol, spi) {
                    continue;
                }
                self.core
                    .log(Level::Debug, Some(remote), || format!("the peer deletes an unknown {protocol} SA {spi:#x}"));
                continue;
            };
            let is_established = phase2.established().is_some();
            let name = protocol_name(protocol);
            self.core.log(Level::Info, Some(remote), || format!("the peer deletes its {name} SA spi={spi}({spi:#x})"));
            if is_established {
                self.purge_phase2(id, false);
            } else {
                self.fail_phase2(id, FailureReason::Deleted(protocol));
            }
        }
    }

    /// Whether it is with this peer: there may be others behind the same address.
    fn is_with(&self, phase2: &Phase2, remote: SocketAddr) -> bool {
        let under = || phase2.phase1.and_then(|phase1| self.phase1s.get(phase1));
        phase2.path(&self.phase1s).remote == remote || under().is_some_and(|phase1| phase1.remote() == remote)
    }

    /// Another configuration: what would not come about by it goes.
    pub(crate) fn phase2_reload(&mut self) {
        let ids = self.phase2s.iter().filter(|(_, phase2)| !self.is_configured(phase2)).map(|(id, _)| id);
        for id in ids.collect::<Vec<_>>() {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.purge_phase2(id, true);
            } else {
                self.end_phase2(id, NegotiationResult::Abandoned);
            }
        }
    }

    /// Whether there is a remote block and a sainfo for a phase 2.
    fn is_configured(&self, phase2: &Phase2) -> bool {
        let remotes = &self.core.settings.remotes;
        let bound = phase2.phase1.and_then(|phase1| self.phase1_sa(phase1)).and_then(|sa| remotes.get(sa.block));
        let by_address = || {
            remotes
                .select(&RemoteQuery::address(phase2.path(&self.phase1s).remote))
                .ok()
                .flatten()
                .and_then(|at| remotes.get(at))
        };
        let Some(block) = bound.or_else(by_address) else { return false };
        let ids = Identities::of_selector(&phase2.traffic_key.selector);
        let client = Some(phase2.path(&self.phase1s).remote.ip());
        let traffic =
            SainfoQuery { local: &ids.local, remote: &ids.remote, claimed: None, client, remoteid: block.ph1id };
        self.core.settings.sainfos.select(&traffic).is_some()
    }

    /// The end: the peers are told, and all that was installed goes.
    pub(crate) fn phase2_shutdown(&mut self) {
        for id in self.phase2s.iter().map(|(id, _)| id).collect::<Vec<_>>() {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.delete_phase2(id, true);
            } else {
                self.end_phase2(id, NegotiationResult::Abandoned);
            }
        }
    }

    /// Deletes every SA of a protocol, or of all, and what is in a bundle with it.
    pub(crate) fn flush_phase2(&mut self, protocol: Option<Protocol>) {
        let concerns = |phase2: &Phase2| phase2.established().is_some_and(|established| has(established, protocol));
        let ids = self.phase2s.iter().filter(|(_, phase2)| concerns(phase2)).map(|(id, _)| id).collect::<Vec<_>>();
        ids.into_iter().for_each(|id| self.purge_phase2(id, true));
        // With what is flushed the rest of a bundle is of no use.
        self.delete_all_leftovers();
    }

    /// All SAs are in place.
    pub(crate) fn phase2_established(&mut self, id: Phase2Id, established: EstablishedPhase2) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        phase2.conversation.stop_deadline(&mut self.core);
        let (role, traffic_key, remote) = (phase2.role, phase2.traffic_key, phase2.path(&self.phase1s).remote);
        let lifetime = Duration::from_secs(established.terms.lifetime.into());
        let (since, expires, pairs) = (established.since, established.expires, established.pairs.clone());
        self.log_sas(Level::Info, "IPsec-SA established", id, &pairs);
        self.phase2s.establish(id, established);
        // 1. What comes next.
        self.core.timers.set(Timer::Phase2Expire(id), expires);
        if role == Role::Initiator {
            let renewed_after = self.renewed_after(lifetime);
            self.core.timers.set(Timer::Phase2Renew(id), since + renewed_after);
        }
        self.core.timers.set(Timer::Phase2Forget(id), self.core.now + self.core.settings.retransmission.whole());
        self.retire_replaced(id);
        // 2. One of ours that has not begun yet need not begin.
        if let Some(other) = self.phase2s.negotiating(&traffic_key)
            && self.phase2s.get(other).is_some_and(|other| matches!(other.state, State::Waiting(..)))
        {
            self.end_phase2(other, NegotiationResult::Superseded);
        }
        // 3. The news.
        self.core.log(Level::Debug, Some(remote), || format!("phase 2 established for {traffic_key}"));
        if let Some(phase2) = self.phase2s.get(id) {
            let path = phase2.path(&self.phase1s);
            let outcome = outcome(phase2, path, NegotiationResult::Established, self.core.now);
            let outcome = self.core.record_outcome(outcome);
            self.emit_phase2_event(id, EventKind::Phase2Up, Some(outcome));
        }
        self.leftovers_replaced(traffic_key.endpoints);
    }

    /// It is time for another one: once, and only if there is none yet that lives longer. The side that began it does that.
    pub(crate) fn phase2_renew(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get(id).filter(|_| !self.core.stopping) else { return };
        let Some(established) = phase2.established() else { return };
        if phase2.role == Role::Responder || established.renewed || self.has_newer(&phase2.traffic_key, established) {
            return;
        }
        let (traffic_key, remote) = (phase2.traffic_key, phase2.path(&self.phase1s).remote);
        if self.phase2s.negotiating(&traffic_key).is_some() {
            // If nothing comes of that, it is our turn.
            return self.renew_later(id);
        }
        if let Some(established) = self.phase2s.get_mut(id).and_then(Phase2::established_mut) {
            established.renewed = true;
        }
        if let Err(cause) = self.begin_phase2(traffic_key, Phase2Trigger::Renewal(id)) {
            self.core.log(Level::Warning, Some(remote), || format!("{traffic_key} cannot be renewed: {cause}"));
        }
    }

    /// Whether another one for the same lives clearly longer. (Of two that came up at once, by both sides, neither does.)
    fn has_newer(&self, traffic_key: &TrafficKey, than: &EstablishedPhase2) -> bool {
        let lifetime = Duration::from_secs(than.terms.lifetime.into());
        self.phase2s.established(traffic_key).any(|(_, other)| outlives(other.expires, than.expires, lifetime))
    }

    pub(crate) fn renew_later(&mut self, id: Phase2Id) {
        if let Some(established) = self.phase2s.get_mut(id).and_then(Phase2::established_mut) {
            established.renewed = false;
            self.core.timers.set(Timer::Phase2Renew(id), self.core.now + RETRY);
        }
    }

    /// The end of its lifetime. The peer knows it too, and is not told.
    pub(crate) fn phase2_expire(&mut self, id: Phase2Id) {
        self.expire_phase2(id, false);
    }

    /// Its SAs have come to their end.
    pub(crate) fn expire_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        let Some(established) = self.phase2s.get(id).and_then(Phase2::established) else { return };
        let pairs = established.pairs.clone();
        self.log_sas(Level::Info, "IPsec-SA expired", id, &pairs);
        self.delete_phase2(id, tell_peer);
    }

    /// A message is sent again, or the peer does not answer.
    pub(crate) fn phase2_retransmit(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let addresses = phase2.path(&self.phase1s);
        if phase2.phase1.and_then(|phase1| sa_of(&self.phase1s, phase1)).is_none() {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        }
        let Some(first_sent) = phase2.conversation.first_sent(&self.core) else { return };
        let is_sent = phase2.conversation.retransmit(&mut self.core, addresses);
        self.quick_mode_unanswered(id, first_sent, !is_sent);
        if !is_sent && let Some(phase2) = self.phase2s.get(id) {
            let cause = phase2.conversation.record.why(FailureReason::NoAnswer(phase2.unanswered()));
            self.fail_phase2(id, cause);
        }
    }

    /// Phase 1, the kernel or a job did not come in time.
    pub(crate) fn phase2_deadline(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        let cause = match &phase2.state {
            State::Waiting(..) => FailureReason::Phase1Late(self.core.settings.phase1_wait),
            State::Gathering(_, pending) | State::Answering(_, pending) if pending.waits_for_job() => {
                FailureReason::computed_late()
            }
            State::Computing(_) => FailureReason::computed_late(),
            State::Offered(_) | State::Answered(..) => return,
            State::Established(_) if phase2.installs.is_empty() => return,
            _ => FailureReason::KernelTimeout(self.core.settings.phase2_wait),
        };
        self.fail_phase2(id, cause);
    }

    /// Duplicates of what the peer sent are not answered any more.
    pub(crate) fn phase2_forget(&mut self, id: Phase2Id) {
        self.phase2s.close(id);
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.conversation.forget_messages();
        }
    }

    /// A phase 2 that did not even begin.
    pub(crate) fn phase2_not_begun(&mut self, traffic_key: &TrafficKey, cause: FailureReason) {
        let remote = SocketAddr::new(traffic_key.endpoints.remote, self.core.settings.port);
        let local = SocketAddr::new(traffic_key.endpoints.local, self.core.settings.port);
        let record = Record::new(self.core.now);
        let context = record.context(ExchangeType::QUICK, Role::Initiator, &cause);
        self.core.log(Level::Error, Some(remote), || failed(&cause, traffic_key, "", &context));
        let traffic = traffic_key.selector;
        let negotiation = Negotiation::Phase2 { role: Role::Initiator, cookies: None, message_id: 0, traffic };
        let result = NegotiationResult::Failed(cause);
        self.core.record_outcome(record.outcome(negotiation, Path::new(local, remote), None, result, self.core.now));
    }

    /// A negotiation failed.
    pub(crate) fn fail_phase2(&mut self, id: Phase2Id, cause: FailureReason) {
        self.end_phase2(id, NegotiationResult::Failed(cause));
    }

    /// A negotiation ends without SAs: all that was done for it is undone.
    pub(crate) fn end_phase2(&mut self, id: Phase2Id, result: NegotiationResult) {
        self.tell_of_end(id, &result);
        let Some(phase2) = self.remove_phase2(id) else { return };
        self.release_kernel_state(id, &phase2, phase2.peer_may_use);
        if result != NegotiationResult::Superseded {
            for acquire in &phase2.acquires {
                self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire.clone()));
            }
        }
        if let Some(old) = phase2.renews.filter(|_| matches!(result, NegotiationResult::Failed(_))) {
            self.renew_later(old);
        }
        let endpoints = phase2.traffic_key.endpoints;
        match result {
            NegotiationResult::Failed(
                FailureReason::NoAnswer(_) | FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_),
            ) => {
                self.leftovers_unanswered(endpoints);
            }
            _ => self.leftovers_replaced(endpoints),
        }
        self.record_phase2_outcome(&phase2, result);
    }

    /// Keeps the outcome of a negotiation, and reports the event for a failure if there is one.
    fn record_phase2_outcome(&mut self, phase2: &Phase2, result: NegotiationResult) {
        let outcome = self.core.record_outcome(outcome(phase2, phase2.path(&self.phase1s), result, self.core.now));
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        if let Some(kind) = reason.phase2_event() {
            let event = self.phase2_event(phase2, kind, Some(Arc::clone(&outcome)));
            self.core.emit(event);
        }
    }

    /// Log, events and a notify to the peer.
    fn tell_of_end(&mut self, id: Phase2Id, result: &NegotiationResult) {
        let NegotiationResult::Failed(cause) = result else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (traffic_key, remote, phase1, message_id) =
            (phase2.traffic_key, phase2.path(&self.phase1s).remote, phase2.phase1, phase2.message_id);
        let role = phase2.role;
        let of = phase2.cookies.map(|cookies| format!(" {cookies}:{message_id:08x}")).unwrap_or_default();
        let context = phase2.conversation.record.context(ExchangeType::QUICK, role, cause);
        let undelivered = self.delivery_errors(remote, phase2.conversation.record.began, cause);
        let said = match (cause, phase2.conversation.record.peer_text.as_str()) {
            (FailureReason::Refused(_), said) if !said.is_empty() => format!("; in its words{said}"),
            _ => String::new(),
        };
        let text = || failed(cause, &traffic_key, &of, &format!("{said}{undelivered}{context}"));
        // The failed phase 1 has its own error; each phase 2 that waited for it needs no other one.
        let waited = matches!(phase2.state, State::Waiting(_));
        let level = match cause {
            FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_) if waited => Level::Notify,
            _ => Level::Error,
        };
        match role {
            Role::Initiator => self.core.log(level, Some(remote), text),
            Role::Responder => {
                let kind = (PeerStanding::Proved(remote.ip()), LoggedEvent::Phase2Failed);
                self.core.log_reason(kind, &format_args!("{cause}: {traffic_key}"), Level::Error, remote, text);
            }
        }
        match (phase1, cause) {
            (Some(phase1), FailureReason::Kernel(_)) => self.notify_kernel_refusal(id, phase1, cause),
            (Some(phase1), _) => self.notify_refusal(phase1, cause),
            (None, _) => {}
        }
    }

    /// Tells the peer what was wrong with what it sent.
    pub(crate) fn notify_refusal(&mut self, phase1: Phase1Id, cause: &FailureReason) {
        let Some(kind) = cause.notify() else { return };
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi: Vec::new(), kind, data: Vec::new() };
        self.send_informational(phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }

    /// Tells the peer that our kernel refused, in words: no notify's number says so. The SPI shows which negotiation it was, where
    /// the peer knows one.
    fn notify_kernel_refusal(&mut self, id: Phase2Id, phase1: Phase1Id, cause: &FailureReason) {
        let Some(kind) = cause.notify() else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let known = match (&phase2.state, phase2.role) {
            (State::InstallingInbound(installing), Role::Responder) => {
                installing.outbound.installations.first().map(|one| one.name.spi)
            }
            (_, Role::Responder) => None,
            (_, Role::Initiator) => {
                phase2.kernel_sas.iter().find(|name| name.destination == phase2.sa_endpoints.local).map(|name| name.spi)
            }
        };
        let spi = known.map(|spi| spi.to_be_bytes().to_vec()).unwrap_or_default();
        let text = first_clauses(&cause.to_string(), NOTIFY_TEXT_MAX).to_owned();
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi, kind, data: text.into_bytes() };
        self.send_informational(phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }

    /// Deletes an established phase 2 ahead of its time, with a line for each SA.
    pub(crate) fn purge_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        let remote = phase2.path(&self.phase1s).remote;
        let pairs = phase2.established().map(|established| established.pairs.clone()).unwrap_or_default();
        for SaName { protocol, spi, .. } in pairs.iter().flat_map(|pair| [pair.inbound, pair.outbound]) {
            self.core.log(Level::Info, Some(remote), || {
                format!("purged IPsec-SA proto_id={} spi={spi}.", protocol_name(protocol))
            });
        }
        self.delete_phase2(id, tell_peer);
    }

    /// Deletes an established phase 2.
    pub(crate) fn delete_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        self.emit_phase2_event(id, EventKind::Phase2Down, None);
        let Some(phase2) = self.remove_phase2(id) else { return };
        self.switch_over_now(&phase2.traffic_key);
        self.release_kernel_state(id, &phase2, tell_peer);
    }

    /// Forgets a phase 2.
    fn remove_phase2(&mut self, id: Phase2Id) -> Option<Phase2> {
        for timer in [
            Timer::Phase2Renew(id),
            Timer::Phase2SwitchOver(id),
            Timer::Phase2Replaced(id),
            Timer::Phase2Expire(id),
            Timer::Phase2Forget(id),
        ] {
            self.core.timers.stop(timer);
        }
        let phase2 = self.phase2s.remove(id)?;
        phase2.conversation.end(&mut self.core);
        if matches!(phase2.state, State::Waiting(..)) {
            self.cancel_wait(id);
        }
        for request in phase2.installs.keys().chain(phase2.spi_requests.keys()) {
            self.core.requests.remove(request);
        }
        Some(phase2)
    }

    fn emit_phase2_event(&mut self, id: Phase2Id, kind: EventKind, outcome: Option<Arc<Outcome>>) {
        if let Some(phase2) = self.phase2s.get(id) {
            let event = self.phase2_event(phase2, kind, outcome);
            self.core.emit(event);
        }
    }

    /// An event about a phase 2.
    fn phase2_event(&self, phase2: &Phase2, kind: EventKind, outcome: Option<Arc<Outcome>>) -> Event {
        let sa = phase2.phase1.and_then(|phase1| self.phase1_sa(phase1));
        Event {
            kind,
            local: Some(phase2.path(&self.phase1s).local),
            remote: Some(phase2.path(&self.phase1s).remote),
            cookies: phase2.cookies,
            message_id: phase2.message_id,
            identity: sa.map(|sa| sa.peer.id.clone()),
            remote_section: Some(phase2.block.clone()).filter(|name| !name.is_empty()),
            traffic: Some(phase2.traffic_key.selector),
            outcome,
        }
    }
}

/// The line about a phase 2 that failed. `of` is the name of the exchange behind a space, if there was one.
pub(crate) fn failed(cause: &FailureReason, traffic_key: &TrafficKey, of: &str, context: &str) -> String {
    let time_up = if matches!(cause, FailureReason::NoAnswer(_)) { "time up: " } else { "" };
    let (colon, traffic) = match (cause.names_traffic(), of) {
        (true, "") => ("", String::new()),
        (true, _) => (":", String::new()),
        (false, _) => (": ", traffic_key.to_string()),
    };
    format!("phase2 negotiation failed due to {time_up}{cause}{colon}{traffic}{of}{context}")
}

/// The beginning of a text that ends where a clause ends, or at least not within a character.
fn first_clauses(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let endpoints = text
        .match_indices([':', ';'])
        .filter(|(at, _)| text.get(at + 1..).is_some_and(|rest| rest.starts_with(' ')))
        .map(|(at, _)| at)
        .take_while(|at| *at <= max);
    let within = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    endpoints.last().or(within).and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Whether SAs of a protocol, or any, are among them.
pub(crate) fn has(established: &EstablishedPhase2, protocol: Option<Protocol>) -> bool {
    protocol.is_none_or(|protocol| established.pairs.iter().any(|pair| pair.inbound.protocol == protocol))
}

/// What is kept of a phase 2 that ended, or came up.
fn outcome(phase2: &Phase2, path: Path, result: NegotiationResult, now: Time) -> Outcome {
    let Phase2 { role, cookies, message_id, traffic_key, .. } = phase2;
    let (role, cookies, message_id, traffic) = (*role, *cookies, *message_id, traffic_key.selector);
    let negotiation = Negotiation::Phase2 { role, cookies, message_id, traffic };
    let block = Some(phase2.block.clone()).filter(|name| !name.is_empty());
    phase2.conversation.record.outcome(negotiation, path, block, result, now)
}

#[cfg(test)]
mod tests {
    use super::first_clauses;

    #[test]
    fn a_text_for_the_peer_ends_with_a_clause() {
        let text = "kernel: SPI 0x1::2 expired; raise the limit";
        assert_eq!(first_clauses(text, 100), text);
        assert_eq!(first_clauses(text, text.len() - 1), "kernel: SPI 0x1::2 expired");
        assert_eq!(first_clauses(text, 20), "kernel");
        assert_eq!(first_clauses("überlang", 1), "");
        assert_eq!(first_clauses("überlang", 3), "üb");
    }
}
