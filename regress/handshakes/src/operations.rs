//! The limit set by public-key operations. In each handshake, each side computes two Diffie-Hellman operations per exchange; with
//! certificates it also signs once, and verifies two signatures: the peer's, and that of the authority.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use racoon_proto::credentials::{Credentials, SignRequest, VerifyRequest};
use racoon_proto::crypto::{DhOperation, DhTask, Exponent, Job, OpenSslRandom, Secret, Task};

use crate::keys::{Keys, own_key};
use crate::meter::{cpu_time, rate};
use crate::suite::Suite;

/// Duration of the measurement.
const FOR: Duration = Duration::from_millis(300);

/// Returns the handshakes per second of processor time if they consisted only of these operations.
pub(crate) fn handshakes(suite: Suite, keys: &Keys) -> Result<f64> {
    let draw = || Exponent::draw(suite.group, &mut OpenSslRandom).context("an exponent");
    let peer = draw()?.public_value()?;
    let (begin, mut count) = (cpu_time(), 0);
    while cpu_time().saturating_sub(begin) < FOR {
        for _ in 0..suite.exchanges() {
            let work = DhTask { exponent: draw()?, operation: DhOperation::Both(peer.clone()) };
            let mut done = Job::from(Task::DiffieHellman(work)).perform(keys);
            done.take_diffie_hellman().context("no answer")?.outcome?;
        }
        authenticate(suite, keys)?;
        count += 1;
    }
    Ok(rate(count, cpu_time().saturating_sub(begin)))
}

/// Signs a hash and verifies the signature, with both certificates.
fn authenticate(suite: Suite, keys: &Keys) -> Result<()> {
    let Some(signature) = suite.signature else { return Ok(()) };
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (addresses, hash) = ((localhost, localhost), Secret::from(vec![7; 32]));
    let request = SignRequest { key: own_key(), addresses, method: signature.method, hash: hash.clone() };
    let signed = keys.sign(&request).ok().context("no signature")?;
    let request = VerifyRequest {
        trust: Arc::default(),
        addresses,
        method: signature.method,
        identity: keys.identity(),
        certificates: signed.certificates,
        hash,
        signature: signed.signature,
    };
    keys.verify(&request).ok().context("the signature is wrong")?;
    Ok(())
}
