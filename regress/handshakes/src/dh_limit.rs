//! The limit set by Diffie-Hellman: each side of a handshake computes two operations per exchange.

use std::time::Duration;

use anyhow::{Context, Result};
use racoon_proto::crypto::{DhOperation, DhTask, Exponent, Job, OpenSslRandom, Task};

use crate::meter::{cpu_time, rate};
use crate::suite::{FixedKey, Suite};

/// Duration of the measurement.
const FOR: Duration = Duration::from_millis(300);

/// Returns the handshakes per second of processor time if they consisted only of Diffie-Hellman.
pub(crate) fn handshakes(suite: Suite) -> Result<f64> {
    let draw = || Exponent::draw(suite.group, &mut OpenSslRandom).context("an exponent");
    let peer = draw()?.public_value()?;
    let (begin, mut count) = (cpu_time(), 0);
    while cpu_time().saturating_sub(begin) < FOR {
        let work = DhTask { exponent: draw()?, operation: DhOperation::Both(peer.clone()) };
        let mut done = Job::from(Task::DiffieHellman(work)).perform(&FixedKey);
        done.take_diffie_hellman().context("no answer")?.outcome?;
        count += 1;
    }
    Ok(rate(count, cpu_time().saturating_sub(begin)) / f64::from(suite.exchanges()))
}
