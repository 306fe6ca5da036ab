//! Records datagrams that were not delivered, for the error line of a negotiation that fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Engine;
use crate::outcome::Cause;
use crate::time::Time;
use crate::undelivered::{DeliveryError, Undelivered};

/// Peers whose errors are remembered; beyond it the oldest is dropped. Answers to forged addresses cause errors, too.
const PEERS_MAX: usize = 1024;

/// Different errors remembered for each peer.
const ERRORS_MAX: usize = 3;

/// Recent delivery errors by destination.
#[derive(Debug, Default)]
pub(super) struct DeliveryErrors {
    peers: BTreeMap<SocketAddr, Errors>,
}

#[derive(Debug)]
struct Errors {
    last: Time,
    errors: Vec<(Time, DeliveryError)>,
}

impl DeliveryErrors {
    fn note(&mut self, remote: SocketAddr, error: DeliveryError, now: Time) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&remote) {
            let oldest = self.peers.iter().min_by_key(|(_, errors)| errors.last).map(|(remote, _)| *remote);
            oldest.and_then(|oldest| self.peers.remove(&oldest));
        }
        let peer = self.peers.entry(remote).or_insert(Errors { last: now, errors: Vec::new() });
        peer.last = now;
        match peer.errors.iter_mut().find(|(_, known)| *known == error) {
            Some((last, _)) => *last = now,
            None => {
                if peer.errors.len() >= ERRORS_MAX {
                    peer.errors.remove(0);
                }
                peer.errors.push((now, error));
            }
        }
    }

    /// Returns the errors of a peer since `began`, to be appended to a cause: empty, or begins with a semicolon.
    fn since(&self, remote: SocketAddr, began: Time) -> String {
        let errors = self.peers.get(&remote).map(|peer| peer.errors.as_slice()).unwrap_or_default();
        errors.iter().filter(|(last, _)| *last >= began).map(|(_, error)| format!("; {error}")).collect()
    }
}

impl Engine {
    /// A datagram of ours did not arrive.
    pub(super) fn undelivered(&mut self, undelivered: Undelivered) {
        self.delivery_errors.note(undelivered.remote, undelivered.error, self.now);
    }

    /// Returns the delivery errors of a negotiation that fails because no answer came.
    pub(super) fn delivery_errors(&self, remote: SocketAddr, began: Time, cause: &Cause) -> String {
        match cause {
            Cause::NoAnswer(_) | Cause::Phase1Late(_) => self.delivery_errors.since(remote, began),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut errors = DeliveryErrors::default();
        let remote = |number: u32| SocketAddr::from((number.to_be_bytes(), 500));
        for number in 0..5000 {
            let local = DeliveryError::Local(number.to_string());
            errors.note(remote(number), local.clone(), Time::from_secs(number.into()));
            errors.note(remote(9999), local, Time::from_secs(number.into()));
            assert!(errors.peers.len() <= PEERS_MAX);
        }
        let of_last = "; this host cannot send: 4997; this host cannot send: 4998; this host cannot send: 4999";
        assert_eq!(errors.since(remote(9999), Time::default()), of_last);
        assert_eq!(errors.since(remote(9999), Time::from_secs(4999)), "; this host cannot send: 4999");
        assert_eq!(errors.since(remote(1), Time::default()), "");
        assert_eq!(errors.since(remote(4000), Time::default()), "; this host cannot send: 4000");
    }
}
