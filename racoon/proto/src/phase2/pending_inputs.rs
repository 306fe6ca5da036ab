//! The inputs of our first message: an SPI for each SA, and with perfect forward secrecy a public value. The kernel and a job provide
//! them in any order.

use crate::crypto::{DhOperation, DhResult, DhTask, Exponent, GroupError, Job, Secret, Task};
use crate::num::Group;
use crate::reason::FailureReason;

/// The inputs, as far as they have arrived.
#[derive(Debug)]
pub(crate) struct PendingInputs {
    spis: Vec<Option<u32>>,
    exchange: Exchange,
}

/// The state of the Diffie-Hellman exchange.
#[derive(Debug)]
enum Exchange {
    /// There is none, or it has finished.
    Done(Option<CompletedExchange>),
    /// A job for this group runs.
    Running(Group),
}

/// The result of a Diffie-Hellman job.
#[derive(Debug)]
pub(crate) struct CompletedExchange {
    pub(crate) exponent: Exponent,
    /// Our public value.
    pub(crate) public: Option<Vec<u8>>,
    /// The secret shared with the peer.
    pub(crate) shared: Option<Secret>,
}

impl PendingInputs {
    /// Awaits `spis` SPIs and, if there is a group, an exchange.
    pub(crate) fn new(spis: usize, group: Option<Group>) -> Self {
        Self { spis: vec![None; spis], exchange: group.map_or(Exchange::Done(None), Exchange::Running) }
    }

    /// Sets the SPI of a member.
    pub(crate) fn set_spi(&mut self, member: usize, spi: u32) {
        if let Some(place) = self.spis.get_mut(member) {
            *place = Some(spi);
        }
    }

    /// Sets the result of the job.
    ///
    /// # Errors
    /// If the job has failed.
    pub(crate) fn set_exchange(&mut self, done: DhResult) -> Result<(), FailureReason> {
        // A late result of a job that is no longer awaited is ignored.
        if let Exchange::Running(group) = self.exchange {
            self.exchange = Exchange::Done(Some(completed_exchange(done, group)?));
        }
        Ok(())
    }

    /// Whether all inputs have arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.spis.iter().all(Option::is_some) && matches!(self.exchange, Exchange::Done(_))
    }

    /// Whether a job still runs. Otherwise the kernel is awaited, or nothing.
    pub(crate) fn waits_for_job(&self) -> bool {
        matches!(self.exchange, Exchange::Running(_))
    }

    /// The SPIs and the result of the exchange.
    pub(crate) fn into_parts(self) -> (Vec<u32>, Option<CompletedExchange>) {
        let exchange = match self.exchange {
            Exchange::Done(exchange) => exchange,
            Exchange::Running(_) => None,
        };
        (self.spis.into_iter().flatten().collect(), exchange)
    }
}

/// A Diffie-Hellman job.
pub(crate) fn job(exponent: Exponent, operation: DhOperation) -> Job {
    Task::DiffieHellman(DhTask { exponent, operation }).into()
}

/// The result of a job for `group`.
///
/// # Errors
/// If the peer's value must not be used, or if libcrypto fails.
pub(crate) fn completed_exchange(done: DhResult, group: Group) -> Result<CompletedExchange, FailureReason> {
    let values = done.outcome.map_err(|error| match error {
        GroupError::Peer(problem) => FailureReason::KeyExchange { group, problem },
        GroupError::Crypto(error) => error.into(),
    })?;
    Ok(CompletedExchange { exponent: done.exponent, public: values.public, shared: values.shared })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    fn done(task: DhOperation) -> DhResult {
        let exponent = Exponent::draw(Group::X25519, &mut SeededRandom::new(1)).unwrap();
        let mut result = job(exponent, task).perform(&NoKeys);
        result.take_diffie_hellman().unwrap()
    }

    struct NoKeys;

    impl crate::psk::KeyTable for NoKeys {
        fn key(&self, _: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, crate::psk::NoKey> {
            Err(crate::psk::NoKey::NoFile)
        }
    }

    impl crate::credentials::Credentials for NoKeys {}

    #[test]
    fn it_is_complete_when_all_is_there() {
        let mut pending = PendingInputs::new(2, Some(Group::X25519));
        pending.set_spi(1, 7);
        pending.set_exchange(done(DhOperation::Public)).unwrap();
        assert!(!pending.is_complete() && !pending.waits_for_job());
        pending.set_spi(0, 8);
        pending.set_spi(2, 9);
        assert!(pending.is_complete());
        let (spis, exchange) = pending.into_parts();
        assert_eq!(spis, [8, 7]);
        assert_eq!(exchange.unwrap().public.unwrap().len(), 32);
    }

    #[test]
    fn without_forward_secrecy_only_spis_are_needed() {
        let mut pending = PendingInputs::new(1, None);
        assert!(!pending.is_complete() && !pending.waits_for_job());
        pending.set_spi(0, 8);
        assert!(pending.is_complete());
    }

    #[test]
    fn a_bad_value_of_the_peer_is_its_fault() {
        let mut pending = PendingInputs::new(1, Some(Group::X25519));
        let error = pending.set_exchange(done(DhOperation::Both(vec![0; 32]))).unwrap_err();
        assert!(matches!(error, FailureReason::KeyExchange { group: Group::X25519, .. }), "{error}");
        let error = pending.set_exchange(done(DhOperation::Both(vec![1; 31]))).unwrap_err();
        assert!(error.to_string().contains("31 bytes"), "{error}");
    }
}
