//! Routing of datagrams to the phase 1 or phase 2 that they belong to.

use std::net::{IpAddr, SocketAddr};

use crate::conversation::PacketDigest;
use crate::engine::Engine;
use crate::num::{ExchangeType, Flags, NotifyType};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::datagram::Protecting;
use crate::phase1::rate_limit::LoggedEvent;
use crate::reason::FailureReason;
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
    /// Reads the header of a datagram, and hands it to the owner of its exchange.
    pub(crate) fn datagram(&mut self, path: Path, datagram: &[u8]) {
        let remote = path.remote;
        // A keepalive only holds the mapping of a NAT, and belongs to no exchange (RFC 3948 section 4).
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
            ExchangeType::MAIN | ExchangeType::AGGRESSIVE | ExchangeType::BASE => {
                let next = self.phase1s.datagram(&mut self.core, &incoming);
                self.perform_for_phase1(next);
            }
            ExchangeType::QUICK => self.quick_datagram(&incoming),
            ExchangeType::INFORMATIONAL => self.informational_datagram(&incoming),
            other => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Unknown, remote, || {
                    format!("exchange type {other} is not supported")
                });
            }
        }
    }

    /// Processes a datagram whose header is malformed or of another version.
    fn unreadable(&mut self, path: Path, datagram: &[u8], error: WireError) {
        let remote = path.remote;
        let WireError::Version { major, minor } = error else {
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || {
                format!("malformed message: {error}")
            });
            return;
        };
        let reason = FailureReason::OtherVersion { major, minor };
        // Later versions have the initiator's SPI in place of its cookie, so this may answer our first message.
        let cookie = datagram.first_chunk().map(|cookie| Cookie(*cookie));
        match cookie.and_then(|cookie| self.phase1s.find_first(cookie, path)) {
            Some(id) => self.phase1s.note_fault(&mut self.core, id, reason),
            None => {
                self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::Malformed, remote, || reason.explained())
            }
        }
    }

    /// Processes a message of quick mode.
    fn quick_datagram(&mut self, incoming: &Incoming<'_>) {
        let Incoming { path, header, .. } = incoming;
        match self.phase1s.protecting(incoming) {
            Protecting::Established(id) => self.quick_mode_datagram(id, incoming),
            // Deferred, or dropped: the peer retransmits it.
            Protecting::NotYet => self.phase1s.request_proof(&mut self.core, incoming),
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

/// Whether a source address can belong to a host.
pub(crate) fn is_plausible(remote: SocketAddr) -> bool {
    let ip = remote.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    remote.port() != 0 && !ip.is_multicast() && !ip.is_unspecified() && !is_broadcast
}
