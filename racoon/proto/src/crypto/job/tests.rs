//! Jobs and their results.

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

impl Credentials for Table {}

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
    assert!(there.take_diffie_hellman().unwrap().outcome.is_ok() && there.take_key().is_some() && there.is_dropped());
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
