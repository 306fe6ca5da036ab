//! Records datagrams that were not delivered, for the error line of a negotiation that fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::engine::core::Core;
use crate::reason::FailureReason;
use crate::time::Time;
use crate::undelivered::DeliveryError;

/// Peers whose errors are remembered; beyond it the oldest is dropped. Answers to forged addresses cause errors, too.
const PEERS_MAX: usize = 1024;

/// Different errors remembered for each peer.
const ERRORS_MAX: usize = 3;

/// Recent delivery errors by destination.
#[derive(Debug, Default)]
pub(crate) struct DeliveryErrors {
    peers: BTreeMap<SocketAddr, Errors>,
}

#[derive(Debug)]
struct Errors {
    /// A peer that is configured, or has had a phase 1.
    is_known: bool,
    last: Time,
    errors: Vec<(Time, DeliveryError)>,
}

impl DeliveryErrors {
    /// Remembers an error. Those of unknown peers, which anybody can cause, do not displace those of known ones.
    pub(crate) fn note(&mut self, (remote, is_known): (SocketAddr, bool), error: DeliveryError, now: Time) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&remote) {
            let oldest = self.peers.iter().min_by_key(|(_, errors)| (errors.is_known, errors.last));
            match oldest.map(|(remote, errors)| (*remote, errors.is_known)) {
                Some((_, true)) if !is_known => return,
                Some((oldest, _)) => drop(self.peers.remove(&oldest)),
                None => {}
            }
        }
        let peer = self.peers.entry(remote).or_insert(Errors { is_known, last: now, errors: Vec::new() });
        (peer.is_known, peer.last) = (is_known, now);
        // An error that repeats takes no room, but its time is needed: only recent ones explain a failure.
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

    /// Returns the errors of a peer since `began`.
    fn since(&self, remote: SocketAddr, began: Time) -> Vec<DeliveryError> {
        let errors = self.peers.get(&remote).map(|peer| peer.errors.as_slice()).unwrap_or_default();
        errors.iter().filter(|(last, _)| *last >= began).map(|(_, error)| error.clone()).collect()
    }
}

impl Core {
    /// Returns the delivery errors of a negotiation that fails because no answer came.
    pub(crate) fn delivery_errors(
        &self,
        remote: SocketAddr,
        began: Time,
        reason: &FailureReason,
    ) -> Vec<DeliveryError> {
        match reason {
            FailureReason::NoAnswer(_) | FailureReason::Phase1Late(_) => self.delivery_errors.since(remote, began),
            _ => Vec::new(),
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
            errors.note((remote(number), false), local.clone(), Time::from_secs(number.into()));
            errors.note((remote(9999), false), local, Time::from_secs(number.into()));
            assert!(errors.peers.len() <= PEERS_MAX);
        }
        let local = |number: u32| DeliveryError::Local(number.to_string());
        assert_eq!(errors.since(remote(9999), Time::default()), [4997, 4998, 4999].map(local));
        assert_eq!(errors.since(remote(9999), Time::from_secs(4999)), [local(4999)]);
        assert_eq!(errors.since(remote(1), Time::default()), []);
        assert_eq!(errors.since(remote(4000), Time::default()), [local(4000)]);
    }

    #[test]
    fn forged_errors_do_not_displace_those_of_known_peers() {
        let mut errors = DeliveryErrors::default();
        let remote = |number: u32| SocketAddr::from((number.to_be_bytes(), 500));
        let local = || DeliveryError::Local(String::from("x"));
        errors.note((remote(7), true), local(), Time::default());
        (100..5000).for_each(|number| errors.note((remote(number), false), local(), Time::from_secs(1)));
        assert_eq!((errors.peers.len(), errors.since(remote(7), Time::default()).is_empty()), (PEERS_MAX, false));
        // Known ones displace the others, and when all are known, the oldest.
        (10_000..20_000).for_each(|number| errors.note((remote(number), true), local(), Time::from_secs(2)));
        errors.note((remote(8), false), local(), Time::from_secs(3));
        assert!(errors.peers.len() == PEERS_MAX && errors.peers.values().all(|errors| errors.is_known));
    }
}
