//! Routing of datagrams to the phase 1 or phase 2 that they belong to.

use std::net::{IpAddr, SocketAddr};

use crate::conversation::{Lookup, PacketDigest};
use crate::engine::{Engine, Phase1Id};
use crate::num::{ExchangeType, Flags, NotifyType};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::exchange::Exchange;
use crate::phase1::half_open::Admission;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, Malformed, Role};
use crate::wire::{Cookie, HEADER_LEN, Header, WireError};

/// NAT keepalive packet (RFC 3948 section 2.3).
const KEEPALIVE: [u8; 1] = [0xff];

/// A received message and its path.
pub(crate) struct Incoming<'a> {
    pub(crate) path: Path,
    pub(crate) datagram: &'a [u8],
    pub(crate) header: Header,
    /// The bytes after the header.
    pub(crate) body: &'a [u8],
    pub(crate) digest: PacketDigest,
}

impl Engine {
    pub(crate) fn datagram(&mut self, path: Path, datagram: &[u8]) {
        let remote = path.remote;
        if self.core.stopping || datagram == KEEPALIVE {
            return;
        }
        if !is_plausible(remote) {
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || {
                "a datagram from where no host can be".into()
            });
            return;
        }
        let (header, body) = match Header::parse(datagram) {
            Ok(parsed) => parsed,
            Err(error) => return self.unreadable(path, datagram, error),
        };
        if header.flags.contains(Flags::COMMIT) && header.message_id == 0 {
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || {
                "the commit bit in phase 1".into()
            });
            return self.core.notify_in_clear(path, header.cookies, datagram.len(), NotifyType::INVALID_FLAGS);
        }
        // Bytes after the message are cut off before the digest is computed: otherwise anybody could append some to the peer's own
        // message and turn a duplicate into a new one. (RFC 2408 section 5.1 would allow to refuse it, which no daemon does.)
        let datagram = datagram.get(..HEADER_LEN + body.len()).unwrap_or(datagram);
        let digest = match PacketDigest::of(datagram) {
            Ok(digest) => digest,
            Err(error) => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Failed, remote, || error.to_string());
                return;
            }
        };
        let incoming = Incoming { path, datagram, header, body, digest };
        match header.exchange {
            ExchangeType::MAIN | ExchangeType::AGGRESSIVE | ExchangeType::BASE => self.phase1_datagram(incoming),
            ExchangeType::QUICK => self.quick_datagram(&incoming),
            ExchangeType::INFORMATIONAL => self.informational_datagram(&incoming),
            other => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Unknown, remote, || {
                    format!("exchange type {other} is not supported")
                });
            }
        }
    }

    fn unreadable(&mut self, path: Path, datagram: &[u8], error: WireError) {
        let remote = path.remote;
        let WireError::Version { major, minor } = error else {
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || {
                format!("malformed message: {error}")
            });
            return;
        };
        let cause = FailureReason::OtherVersion { major, minor };
        // Later versions have the initiator's SPI in place of its cookie, so this may answer our first message.
        let cookie = datagram.first_chunk().map(|cookie| Cookie(*cookie));
        match cookie.and_then(|cookie| self.phase1s.find_first(cookie, path)) {
            Some(id) => self.phase1_fault(id, cause),
            None => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || cause.explained())
            }
        }
    }

    /// Processes a message of phase 1: of an existing one, a first message, or one without a phase 1.
    fn phase1_datagram(&mut self, incoming: Incoming<'_>) {
        let Incoming { path, header, .. } = incoming;
        let remote = path.remote;
        if header.message_id != 0 {
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || {
                "a message id in phase 1".into()
            });
            return;
        }
        match self.phase1s.find_for(&header, path) {
            Some(id) => self.phase1_message(id, incoming),
            None if header.cookies.responder.is_zero() => self.first_message(&incoming),
            None => {
                self.core.log(Level::Debug, Some(remote), || format!("no phase 1 has the cookies {}", header.cookies));
            }
        }
    }

    /// Processes a message of an existing phase 1.
    fn phase1_message(&mut self, id: Phase1Id, incoming: Incoming<'_>) {
        let Incoming { path, header, body, digest, .. } = incoming;
        let remote = path.remote;
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        if phase1.path() != path {
            let peer = phase1.remote();
            let text = || format!("a message of phase 1 with {peer} from another address is ignored");
            self.core.log_limited(
                (self.phase1s.standing_of(&self.core, remote), LoggedEvent::OtherAddress),
                Level::Warning,
                remote,
                text,
            );
            return;
        }
        if phase1.role == Role::Initiator && header.cookies.responder.is_zero() {
            return self
                .core
                .log(Level::Debug, Some(remote), || "our own first message, or one without a cookie".into());
        }
        let exchange = phase1.exchange;
        match phase1.conversation.arrival(&self.core, &digest) {
            Lookup::Reply(reply) => return phase1.reply(&mut self.core, reply),
            Lookup::Duplicate | Lookup::Busy => {
                return self
                    .core
                    .log(Level::Debug, Some(remote), || "a duplicate, or a message that came early".into());
            }
            Lookup::New => {}
        }
        let learned = phase1.cookies.responder.is_zero();
        // The cookie proves the address: a message without it may come from whoever forged the first message.
        if !learned && phase1.cookies != header.cookies {
            return self.core.log(Level::Debug, Some(remote), || "a message without the responder's cookie".into());
        }
        if self.phase1s.admission(id, self.core.settings.half_open) == Admission::Refused {
            return self
                .core
                .log(Level::Debug, Some(remote), || "jobs run for all that this address may negotiate".into());
        }
        if exchange != header.exchange {
            let cause =
                FailureReason::Malformed(Malformed::OtherExchange { found: header.exchange, expected: exchange });
            return self.phase1_fault(id, cause);
        }
        if learned {
            self.phase1s.learn_responder(id, header.cookies.responder);
        }
        self.phase1_step(id, Some(digest), |exchange, cx| exchange.receive(cx, &header, body));
        self.phase1s.unlearn_responder(id, learned);
    }

    /// Processes a message of quick mode.
    fn quick_datagram(&mut self, incoming: &Incoming<'_>) {
        let Incoming { path, header, body, digest, .. } = incoming;
        match self.phase1s.protecting(incoming) {
            Protecting::Established(id) => self.quick_mode_datagram(id, header, body, digest),
            Protecting::NotYet => {}
            Protecting::Elsewhere | Protecting::Unknown => {
                let cookies = header.cookies;
                // INVALID-COOKIE tells the peer that this host may have restarted.
                self.core.log_limited(
                    (self.phase1s.standing_of(&self.core, path.remote), LoggedEvent::Unknown),
                    Level::Notify,
                    path.remote,
                    || format!("quick mode for an unknown ISAKMP SA {cookies}, perhaps from before a restart; ignored"),
                );
                self.core.notify_in_clear(*path, cookies, incoming.datagram.len(), NotifyType::INVALID_COOKIE);
            }
        }
    }
}

impl Phase1s {
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
    fn unlearn_responder(&mut self, id: Phase1Id, learned: bool) {
        let still_unanswered = |phase1: &Phase1| phase1.negotiation().is_some_and(Exchange::is_unanswered);
        if learned && self.get(id).is_some_and(still_unanswered) {
            self.learn_responder(id, Cookie::ZERO);
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

/// Whether a source address can belong to a host.
pub(crate) fn is_plausible(remote: SocketAddr) -> bool {
    let ip = remote.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    remote.port() != 0 && !ip.is_multicast() && !ip.is_unspecified() && !is_broadcast
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
