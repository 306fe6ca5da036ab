//! Work that leaves the engine because it is slow, or because it needs something that the engine does not hold.
//!
//! The engine hands a [`Job`] to the shell and goes on. [`Job::perform`] runs on any thread, and its [`JobResult`] comes back
//! as an input of the engine.

use openssl::error::ErrorStack;

use super::{Exponent, GroupError, Secret};
use crate::credentials::{Credentials, OwnProblem, PeerProblem, SignRequest, Signed, VerifiedPeer, VerifyRequest};
use crate::psk::{KeyTable, NoKey};

/// Work for one step of a negotiation: tasks that are performed in order on one thread.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// What to do. A step asks for at most one task of each kind.
    pub tasks: Vec<Task>,
}

/// A unit of work. Checking a login becomes a variant here, with its own [`TaskResult`].
#[derive(Clone, Debug)]
pub enum Task {
    /// A step of a Diffie-Hellman exchange.
    DiffieHellman(DhTask),
    /// Looking up a pre-shared key.
    FindKey(KeyQuery),
    /// Signing HASH_I or HASH_R.
    Sign(SignRequest),
    /// Verifying a peer's signature and the chain of its certificate.
    Verify(VerifyRequest),
}

/// A step of a Diffie-Hellman exchange.
#[derive(Clone, Debug)]
pub struct DhTask {
    /// Our exponent; it knows its group.
    pub exponent: Exponent,
    /// What to compute from it.
    pub operation: DhOperation,
}

/// What to compute from an exponent. The peer's value is the body of its KE payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhOperation {
    /// Our public value.
    Public,
    /// The secret shared with a peer.
    Shared(Vec<u8>),
    /// Our public value and the secret shared with a peer.
    Both(Vec<u8>),
}

/// A look-up of a pre-shared key by names, in the order in which they are tried (see [`crate::psk`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// The names: addresses as text, identities as bytes.
    pub names: Vec<Vec<u8>>,
}

/// The results of a job's tasks, in their order. The default value, without results, means that the job was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobResult {
    results: Vec<TaskResult>,
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskResult {
    /// Of [`Task::DiffieHellman`].
    DiffieHellman(DhResult),
    /// Of [`Task::FindKey`].
    Key(KeyResult),
    /// Of [`Task::Sign`].
    Signed(Result<Signed, OwnProblem>),
    /// Of [`Task::Verify`].
    Verified(Result<VerifiedPeer, PeerProblem>),
}

/// The result of a step of a Diffie-Hellman exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhResult {
    /// The exponent, given back: a valid value of the peer may follow an invalid one.
    pub exponent: Exponent,
    /// What was computed, all or nothing.
    pub outcome: Result<DhValues, GroupError>,
}

/// What a [`DhOperation`] computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhValues {
    /// Our public value, the body of a KE payload.
    pub public: Option<Vec<u8>>,
    /// g^xy.
    pub shared: Option<Secret>,
}

/// The result of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyResult {
    /// There is a key.
    Found {
        /// The first name that has one, as an index into the names of the query.
        name: usize,
        /// The key, not empty.
        key: Secret,
        /// Others may have it, too ([`KeyTable::is_shared`]).
        shared: bool,
    },
    /// No name has a key that is not empty. The reason is that of the name that was tried last.
    Unknown(NoKey),
}

impl Job {
    /// Performs the tasks.
    pub fn perform(self, credentials: &dyn Credentials) -> JobResult {
        let results = self.tasks.into_iter().map(|task| task.perform(credentials)).collect();
        // OpenSSL's error queue belongs to the thread: an error left by this job must not show up in the next one.
        drop(ErrorStack::get());
        JobResult { results }
    }
}

impl From<Task> for Job {
    fn from(task: Task) -> Self {
        Self { tasks: vec![task] }
    }
}

impl JobResult {
    /// Whether the job was dropped instead of performed.
    pub fn is_dropped(&self) -> bool {
        self.results.is_empty()
    }

    /// Takes the result of the Diffie-Hellman task, if the job had one.
    pub fn take_diffie_hellman(&mut self) -> Option<DhResult> {
        match self.take(|result| matches!(result, TaskResult::DiffieHellman(_)))? {
            TaskResult::DiffieHellman(result) => Some(result),
            _ => None,
        }
    }

    /// Takes the result of the look-up, if the job had one.
    pub fn take_key(&mut self) -> Option<KeyResult> {
        match self.take(|result| matches!(result, TaskResult::Key(_)))? {
            TaskResult::Key(result) => Some(result),
            _ => None,
        }
    }

    /// Takes the signature, if the job had to make one.
    pub fn take_signed(&mut self) -> Option<Result<Signed, OwnProblem>> {
        match self.take(|result| matches!(result, TaskResult::Signed(_)))? {
            TaskResult::Signed(result) => Some(result),
            _ => None,
        }
    }

    /// Takes the result of the verification, if the job had one.
    pub fn take_verified(&mut self) -> Option<Result<VerifiedPeer, PeerProblem>> {
        match self.take(|result| matches!(result, TaskResult::Verified(_)))? {
            TaskResult::Verified(result) => Some(result),
            _ => None,
        }
    }

    /// Removes a result, so that the caller owns the secrets in it and wipes them.
    fn take(&mut self, is_wanted: impl Fn(&TaskResult) -> bool) -> Option<TaskResult> {
        let at = self.results.iter().position(is_wanted)?;
        Some(self.results.remove(at))
    }
}

impl Task {
    fn perform(self, credentials: &dyn Credentials) -> TaskResult {
        match self {
            Self::DiffieHellman(task) => TaskResult::DiffieHellman(task.perform()),
            Self::FindKey(query) => TaskResult::Key(query.perform(credentials)),
            Self::Sign(request) => TaskResult::Signed(credentials.sign(&request)),
            Self::Verify(request) => TaskResult::Verified(credentials.verify(&request)),
        }
    }
}

impl DhTask {
    fn perform(self) -> DhResult {
        let Self { exponent, operation } = self;
        let public = || exponent.public_value().map_err(GroupError::from);
        let shared = |peer: &[u8]| exponent.shared_secret(peer);
        let outcome = match &operation {
            DhOperation::Public => public().map(|public| DhValues { public: Some(public), shared: None }),
            DhOperation::Shared(peer) => shared(peer).map(|shared| DhValues { public: None, shared: Some(shared) }),
            DhOperation::Both(peer) => {
                let both = exponent.exchange(peer);
                both.map(|(public, shared)| DhValues { public: Some(public), shared: Some(shared) })
            }
        };
        DhResult { exponent, outcome }
    }
}

impl KeyQuery {
    fn perform(&self, keys: &(impl KeyTable + ?Sized)) -> KeyResult {
        let mut why = NoKey::NoName;
        for (name, asked) in self.names.iter().enumerate() {
            match keys.key(asked) {
                // Everybody knows the empty key.
                Ok(key) if key.is_empty() => why = NoKey::Empty,
                Ok(key) => return KeyResult::Found { name, key: key.into(), shared: keys.is_shared(asked) },
                Err(no_key) => why = no_key,
            }
        }
        KeyResult::Unknown(why)
    }
}

#[cfg(test)]
mod tests;
