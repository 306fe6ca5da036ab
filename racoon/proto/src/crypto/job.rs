//! Work that leaves the engine because it is slow, or because it needs something that the engine does not hold.
//!
//! The engine hands a [`Job`] to the shell and goes on. [`Job::perform`] runs on any thread, and its [`JobResult`] comes back
//! as an input of the engine.

use openssl::error::ErrorStack;

use super::{Exponent, GroupError, Secret};
use crate::psk::{KeyTable, NoKey};

/// Work for one step of a negotiation: tasks that are performed in order on one thread.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// What to do. A step asks for at most one task of each kind.
    pub tasks: Vec<Task>,
}

/// A unit of work.
///
/// Signing, verifying a certificate chain and checking a login become variants here, each with its own [`TaskResult`].
#[derive(Clone, Debug)]
pub enum Task {
    /// A step of a Diffie-Hellman exchange.
    DiffieHellman(DhTask),
    /// Looking up a pre-shared key.
    FindKey(KeyQuery),
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
    pub fn perform(self, keys: &dyn KeyTable) -> JobResult {
        let results = self.tasks.into_iter().map(|task| task.perform(keys)).collect();
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
        let at = self.results.iter().position(|result| matches!(result, TaskResult::DiffieHellman(_)))?;
        // Removed, so that the caller owns the secrets in it and wipes them.
        match self.results.remove(at) {
            TaskResult::DiffieHellman(result) => Some(result),
            TaskResult::Key(_) => None,
        }
    }

    /// Takes the result of the look-up, if the job had one.
    pub fn take_key(&mut self) -> Option<KeyResult> {
        let at = self.results.iter().position(|result| matches!(result, TaskResult::Key(_)))?;
        match self.results.remove(at) {
            TaskResult::Key(result) => Some(result),
            TaskResult::DiffieHellman(_) => None,
        }
    }
}

impl Task {
    fn perform(self, keys: &dyn KeyTable) -> TaskResult {
        match self {
            Self::DiffieHellman(task) => TaskResult::DiffieHellman(task.perform()),
            Self::FindKey(query) => TaskResult::Key(query.perform(keys)),
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
    fn perform(&self, keys: &dyn KeyTable) -> KeyResult {
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
                _ => Err(no_entry(&name.escape_ascii().to_string())),
            }
        }
    }

    /// The answer about a name, which stands here for the file, so that answers differ.
    fn no_entry(name: &str) -> NoKey {
        NoKey::NoEntry { file: name.into(), nearest: None }
    }

    fn exponent(seed: u64) -> Exponent {
        Exponent::draw(Group::ECP256, &mut SeededRandom::new(seed)).unwrap()
    }

    fn exchange(operation: DhOperation) -> DhResult {
        let job = Job::from(Task::DiffieHellman(DhTask { exponent: exponent(1), operation }));
        let mut result = job.perform(&Table);
        assert_eq!(result.take_key(), None);
        result.take_diffie_hellman().unwrap()
    }

    fn ask(names: &[&str]) -> KeyResult {
        let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut result = Job::from(Task::FindKey(KeyQuery { names })).perform(&Table);
        assert_eq!(result.take_diffie_hellman(), None);
        result.take_key().unwrap()
    }

    #[test]
    fn a_job_gives_the_same_results_on_another_thread() {
        let peer = exponent(2).public_value().unwrap();
        let exchange = Task::DiffieHellman(DhTask { exponent: exponent(1), operation: DhOperation::Both(peer) });
        let job = Job { tasks: vec![exchange, Task::FindKey(KeyQuery { names: vec![b"gw.example".to_vec()] })] };
        let here = job.clone().perform(&Table);
        let mut there = std::thread::spawn(move || job.perform(&Table)).join().unwrap();
        assert_eq!(here, there);
        assert!(
            there.take_diffie_hellman().unwrap().outcome.is_ok() && there.take_key().is_some() && there.is_dropped()
        );
    }

    #[test]
    fn a_job_without_tasks_has_no_results() {
        assert_eq!(Job::default().perform(&Table), JobResult::default());
    }

    #[test]
    fn each_operation_computes_what_it_names() {
        let (public, peer) = (exponent(1).public_value().unwrap(), exponent(2).public_value().unwrap());
        let shared = exponent(2).shared_secret(&public).unwrap();
        let expected = |public: Option<&Vec<u8>>, shared: Option<&Secret>| DhResult {
            exponent: exponent(1),
            outcome: Ok(DhValues { public: public.cloned(), shared: shared.cloned() }),
        };
        assert_eq!(exchange(DhOperation::Public), expected(Some(&public), None));
        assert_eq!(exchange(DhOperation::Shared(peer.clone())), expected(None, Some(&shared)));
        assert_eq!(exchange(DhOperation::Both(peer)), expected(Some(&public), Some(&shared)));
    }

    #[test]
    fn an_invalid_value_loses_neither_the_exponent_nor_the_next_job() {
        let bad = vec![1; 64];
        for task in [DhOperation::Shared(bad.clone()), DhOperation::Both(bad)] {
            let done = exchange(task);
            assert_eq!(done.outcome, Err(GroupError::Peer(PeerValueError::NotOnCurve(Group::ECP256))));
            assert_eq!(done.exponent, exponent(1));
            assert!(ErrorStack::get().errors().is_empty());
        }
    }

    #[test]
    fn the_first_name_with_a_key_is_used() {
        let found = |name| KeyResult::Found { name, key: Secret::from(b"secret".to_vec()), shared: false };
        assert_eq!(ask(&["gw.example"]), found(0));
        assert_eq!(ask(&["other", "empty", "gw.example", "gw.example"]), found(2));
        assert_eq!(ask(&["empty", "other", "another"]), KeyResult::Unknown(no_entry("another")));
        assert_eq!(ask(&["other", "empty"]), KeyResult::Unknown(NoKey::Empty));
        assert_eq!(ask(&[]), KeyResult::Unknown(NoKey::NoName));
    }

    #[test]
    fn secrets_are_not_shown_by_debug() {
        let done = exchange(DhOperation::Shared(exponent(2).public_value().unwrap()));
        let expected = "DhResult { exponent: Exponent(ecp256), outcome: Ok(DhValues { public: None, \
                        shared: Some(Secret(32 bytes)) }) }";
        assert_eq!(format!("{done:?}"), expected);
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let ours = GroupError::from(CryptoError::Group(Group(3)));
        assert_eq!(ours.to_string(), "Diffie-Hellman group 3 is not supported");
        let theirs = exchange(DhOperation::Shared(vec![0; 3])).outcome.unwrap_err();
        assert_eq!(theirs.to_string(), "the public value of the peer has 3 bytes, ecp256 has 64");
    }
}
