//! Work that leaves the engine because it is slow, or because the engine does not hold what it takes.
//!
//! The engine gives a [`Job`] to the shell and goes on; [`Job::perform`] runs on whatever thread the shell likes, and
//! its [`JobResult`] comes back as an event.

use openssl::error::ErrorStack;

use super::{Exponent, GroupError, Secret};
use crate::psk::{KeyTable, NoKey};

/// Work to do: a part of an exchange, a look-up of a key, or both.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// A Diffie-Hellman exchange.
    pub exchange: Option<DhWork>,
    /// A pre-shared key.
    pub key: Option<KeyQuery>,
}

/// A part of a Diffie-Hellman exchange.
#[derive(Clone, Debug)]
pub struct DhWork {
    /// Our exponent; it knows its group.
    pub exponent: Exponent,
    /// What to compute.
    pub task: DhTask,
}

/// What to compute of an exponent. The peer's value is the body of its KE payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhTask {
    /// Our public value.
    Public,
    /// The secret shared with a peer.
    Shared(Vec<u8>),
    /// Both.
    Both(Vec<u8>),
}

/// A pre-shared key by names, in the order in which they are asked for (see [`crate::psk`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// The names: addresses as text, identities as bytes.
    pub names: Vec<Vec<u8>>,
}

/// What became of a job: an answer to each question that was in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobResult {
    /// Of the Diffie-Hellman exchange.
    pub exchange: Option<DhDone>,
    /// Of the look-up.
    pub key: Option<KeyAnswer>,
}

/// What became of a Diffie-Hellman exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhDone {
    /// The exponent, given back: after a bad value of a peer a good one may come.
    pub exponent: Exponent,
    /// What was computed, all or nothing.
    pub outcome: Result<DhValues, GroupError>,
}

/// What was asked for in a [`DhTask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhValues {
    /// Our public value, the body of a KE payload.
    pub public: Option<Vec<u8>>,
    /// g^xy.
    pub shared: Option<Secret>,
}

/// What became of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// There is a key.
    Found {
        /// The first name that has one, as an index of those asked for.
        name: usize,
        /// It, not empty.
        key: Secret,
        /// Others may have it, too ([`KeyTable::is_shared`]).
        shared: bool,
    },
    /// No name has a key, or only empty ones. Of the name that was asked for last.
    Unknown(NoKey),
}

impl Job {
    /// Does the work.
    pub fn perform(self, keys: &dyn KeyTable) -> JobResult {
        let result =
            JobResult { exchange: self.exchange.map(DhWork::perform), key: self.key.map(|query| query.perform(keys)) };
        // The queue belongs to the thread: what is left of this job must not turn up in the next one.
        drop(ErrorStack::get());
        result
    }
}

impl DhWork {
    fn perform(self) -> DhDone {
        let Self { exponent, task } = self;
        let public = || exponent.public_value().map_err(GroupError::from);
        let shared = |peer: &[u8]| exponent.shared_secret(peer);
        let outcome = match &task {
            DhTask::Public => public().map(|public| DhValues { public: Some(public), shared: None }),
            DhTask::Shared(peer) => shared(peer).map(|shared| DhValues { public: None, shared: Some(shared) }),
            DhTask::Both(peer) => {
                let both = exponent.exchange(peer);
                both.map(|(public, shared)| DhValues { public: Some(public), shared: Some(shared) })
            }
        };
        DhDone { exponent, outcome }
    }
}

impl KeyQuery {
    fn perform(&self, keys: &dyn KeyTable) -> KeyAnswer {
        let mut why = NoKey::default();
        for (name, asked) in self.names.iter().enumerate() {
            match keys.key(asked) {
                Ok(key) if key.is_empty() => why = NoKey("the key is empty".into()),
                Ok(key) => return KeyAnswer::Found { name, key: key.into(), shared: keys.is_shared(asked) },
                Err(no_key) => why = no_key,
            }
        }
        KeyAnswer::Unknown(why)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::crypto::{CryptoError, PeerValueError, SeededRandom};
    use crate::num::Group;

    struct Table;

    impl KeyTable for Table {
        fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
            match name {
                b"gw.example" => Ok(Zeroizing::new(b"secret".to_vec())),
                b"empty" => Ok(Zeroizing::default()),
                _ => Err(NoKey(format!("none is for {}", name.escape_ascii()))),
            }
        }
    }

    fn exponent(seed: u64) -> Exponent {
        Exponent::draw(Group::ECP256, &mut SeededRandom::new(seed)).unwrap()
    }

    fn exchange(task: DhTask) -> DhDone {
        let job = Job { exchange: Some(DhWork { exponent: exponent(1), task }), key: None };
        let result = job.perform(&Table);
        assert_eq!(result.key, None);
        result.exchange.unwrap()
    }

    fn ask(names: &[&str]) -> KeyAnswer {
        let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let result = Job { exchange: None, key: Some(KeyQuery { names }) }.perform(&Table);
        assert_eq!(result.exchange, None);
        result.key.unwrap()
    }

    #[test]
    fn it_can_go_to_a_thread_and_come_back() {
        let peer = exponent(2).public_value().unwrap();
        let work = DhWork { exponent: exponent(1), task: DhTask::Both(peer) };
        let job = Job { exchange: Some(work), key: Some(KeyQuery { names: vec![b"gw.example".to_vec()] }) };
        let here = job.clone().perform(&Table);
        let there = std::thread::spawn(move || job.perform(&Table)).join().unwrap();
        assert_eq!(here, there);
        assert!(there.exchange.unwrap().outcome.is_ok() && there.key.is_some());
    }

    #[test]
    fn nothing_asked_is_nothing_answered() {
        assert_eq!(Job::default().perform(&Table), JobResult::default());
    }

    #[test]
    fn what_is_asked_of_the_exchange_is_answered() {
        let (public, peer) = (exponent(1).public_value().unwrap(), exponent(2).public_value().unwrap());
        let shared = exponent(2).shared_secret(&public).unwrap();
        let expected = |public: Option<&Vec<u8>>, shared: Option<&Secret>| DhDone {
            exponent: exponent(1),
            outcome: Ok(DhValues { public: public.cloned(), shared: shared.cloned() }),
        };
        assert_eq!(exchange(DhTask::Public), expected(Some(&public), None));
        assert_eq!(exchange(DhTask::Shared(peer.clone())), expected(None, Some(&shared)));
        assert_eq!(exchange(DhTask::Both(peer)), expected(Some(&public), Some(&shared)));
    }

    #[test]
    fn a_bad_value_costs_neither_the_exponent_nor_the_next_job() {
        let bad = vec![1; 64];
        for task in [DhTask::Shared(bad.clone()), DhTask::Both(bad)] {
            let done = exchange(task);
            assert_eq!(done.outcome, Err(GroupError::Peer(PeerValueError::NotOnCurve(Group::ECP256))));
            assert_eq!(done.exponent, exponent(1));
            assert!(ErrorStack::get().errors().is_empty());
        }
    }

    #[test]
    fn the_first_name_with_a_key_counts() {
        let found = |name| KeyAnswer::Found { name, key: Secret::from(b"secret".to_vec()), shared: false };
        assert_eq!(ask(&["gw.example"]), found(0));
        assert_eq!(ask(&["other", "empty", "gw.example", "gw.example"]), found(2));
        let unknown = |why: &str| KeyAnswer::Unknown(NoKey(why.into()));
        assert_eq!(ask(&["empty", "other", "another"]), unknown("none is for another"));
        assert_eq!(ask(&["other", "empty"]), unknown("the key is empty"));
        assert_eq!(ask(&[]), unknown(""));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let done = exchange(DhTask::Shared(exponent(2).public_value().unwrap()));
        let expected = "DhDone { exponent: Exponent(ecp256), outcome: Ok(DhValues { public: None, \
                        shared: Some(Secret(32 bytes)) }) }";
        assert_eq!(format!("{done:?}"), expected);
    }

    #[test]
    fn whose_fault_it_is_can_be_told() {
        let ours = GroupError::from(CryptoError::Group(Group(3)));
        assert_eq!(ours.to_string(), "Diffie-Hellman group 3 is not supported");
        let theirs = exchange(DhTask::Shared(vec![0; 3])).outcome.unwrap_err();
        assert_eq!(theirs.to_string(), "the public value of the peer has 3 bytes, ecp256 has 64");
    }
}
