//! What the machine allows: a handshake takes two Diffie-Hellman operations of each side, and cannot be cheaper.

use std::time::Duration;

use anyhow::{Context, Result};
use racoon_proto::crypto::{DhTask, DhWork, Exponent, Job, OpenSslRandom};

use crate::meter::{cpu_time, rate};
use crate::suite::{FixedKey, Suite};

/// How long it is measured.
const FOR: Duration = Duration::from_millis(300);

/// Handshakes per processor second if there were nothing but Diffie-Hellman in them.
pub(crate) fn handshakes(suite: Suite) -> Result<f64> {
    let draw = || Exponent::draw(suite.group, &mut OpenSslRandom).context("an exponent");
    let peer = draw()?.public_value()?;
    let (begin, mut count) = (cpu_time(), 0);
    while cpu_time().saturating_sub(begin) < FOR {
        let work = DhWork { exponent: draw()?, task: DhTask::Both(peer.clone()) };
        let done = Job { exchange: Some(work), key: None }.perform(&FixedKey);
        done.exchange.context("no answer")?.outcome?;
        count += 1;
    }
    Ok(rate(count, cpu_time().saturating_sub(begin)) / f64::from(suite.exchanges()))
}
