//! Work that leaves the engine because it is slow, or because the engine does not hold what it takes.
//!
//! The engine gives a [`Job`] to the shell and goes on; [`Job::perform`] runs on whatever thread the shell likes, and its
//! [`JobResult`] comes back as an event.

use openssl::error::ErrorStack;

use super::{Exponent, GroupError, Secret};
use crate::psk::KeyTable;

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
    },
    /// No name has a key, or only empty ones.
    Unknown,
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
            // The peer's value first: with a bad one nothing else needs to be computed.
            DhTask::Both(peer) => {
                shared(peer).and_then(|shared| Ok(DhValues { public: Some(public()?), shared: Some(shared) }))
            }
        };
        DhDone { exponent, outcome }
    }
}

impl KeyQuery {
    fn perform(&self, keys: &dyn KeyTable) -> KeyAnswer {
        let keys = self.names.iter().map(|name| keys.key(name).filter(|key| !key.is_empty()));
        let found = keys.enumerate().find_map(|(name, key)| Some((name, key?)));
        found.map_or(KeyAnswer::Unknown, |(name, key)| KeyAnswer::Found { name, key: key.into() })
    }
}
