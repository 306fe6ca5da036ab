//! The cost of the engine alone: many initiators and one responder in a thread, of which the responder is measured.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use racoon_proto::kernel::Policy;
use racoon_proto::output::Transmit;

use crate::keys::Keys;
use crate::meter::{cpu_time, rate};
use crate::operations;
use crate::simulated_host::{SimulatedHost, client, policies};
use crate::suite::{self, Suite};
use crate::sys::allocated;

/// Number of simultaneous negotiations.
const WAVE: u32 = 50;

/// Address of the responder.
const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 500);

/// Many clients, and the measured server.
pub(crate) struct EngineBench {
    pub(crate) clients: SimulatedHost,
    pub(crate) server: SimulatedHost,
    /// Outbound policies of the clients.
    outbound_policies: Vec<Policy>,
    /// Processor time of the server.
    cpu_time: Duration,
}

impl EngineBench {
    /// Creates the clients and the server. `more` are policies of the server in addition to those for the clients.
    pub(crate) fn new(
        suite: Suite,
        keys: &Arc<Keys>,
        count: u32,
        more: impl IntoIterator<Item = Policy>,
    ) -> Result<Self> {
        let server = SocketAddr::from(SERVER);
        let numbers = || 0..count;
        let of_clients: Vec<Policy> =
            numbers().flat_map(|number| policies(number, client(number, 500).ip(), server.ip(), 0)).collect();
        let outbound_policies = of_clients.iter().step_by(2).cloned().collect();
        let addresses = numbers().map(|number| client(number, 500)).collect();
        let clients = SimulatedHost::new(
            suite.settings(keys, Some(server.ip().into()), 500),
            Arc::clone(keys),
            addresses,
            of_clients,
        )?;
        let of_server = numbers().flat_map(|number| policies(number, server.ip(), client(number, 500).ip(), 0));
        let server = SimulatedHost::new(
            suite.settings(keys, None, 500),
            Arc::clone(keys),
            vec![server],
            of_server.chain(more).collect(),
        )?;
        Ok(Self { clients, server, outbound_policies, cpu_time: Duration::ZERO })
    }

    /// Establishes a tunnel for every client.
    pub(crate) fn fill(&mut self) -> Result<()> {
        for first in (0..self.outbound_policies.len()).step_by(WAVE as usize) {
            let wave = self.outbound_policies.iter().skip(first).take(WAVE as usize);
            let mut requests: Vec<Transmit> = wave.flat_map(|policy| self.clients.acquire(policy)).collect();
            while !requests.is_empty() {
                let answers = self.serve(&requests);
                requests = answers
                    .iter()
                    .flat_map(|one| self.clients.receive(one.path.remote, one.path.local, &one.bytes))
                    .collect();
            }
        }
        let (up, wanted) = ((self.clients.up, self.server.up), self.outbound_policies.len());
        let failure = self.server.failures.first().or(self.clients.failures.first());
        ensure!(up == (wanted, wanted), "{up:?} of {wanted} tunnels were established: {failure:?}");
        Ok(())
    }

    fn serve(&mut self, requests: &[Transmit]) -> Vec<Transmit> {
        let begin = cpu_time();
        let answers =
            requests.iter().flat_map(|one| self.server.receive(one.path.remote, one.path.local, &one.bytes)).collect();
        self.cpu_time += cpu_time().saturating_sub(begin);
        answers
    }
}

/// Prints a line for each suite.
pub(crate) fn run(count: u32, certificates: &Path) -> Result<()> {
    println!("\nThe engine alone, {count} handshakes (main and quick mode, AES-128, SHA-256), the responder's share:");
    println!(
        "{:13}  {:>12}  {:>16}  {:>8}  {:>10}  {:>12}  {:>12}",
        "suite", "per cpu s", "operations allow", "reached", "operations", "else, us", "bytes/tunnel"
    );
    for suite in suite::ALL {
        let keys = Keys::load(suite, certificates)?;
        let limit = operations::handshakes(suite, &keys)?;
        let mut bench = EngineBench::new(suite, &keys, count, [])?;
        bench.fill()?;
        let (cpu_time, job_time) = (bench.cpu_time.as_secs_f64(), bench.server.job_time.as_secs_f64());
        let rate = rate(count, bench.cpu_time);
        let else_us = (cpu_time - job_time) / f64::from(count) * 1e6;
        let bytes = memory(bench) / usize::try_from(count)?;
        println!(
            "{:13}  {rate:12.0}  {limit:16.0}  {:6.1} %  {:8.1} %  {else_us:12.1}  {bytes:12}",
            suite.name,
            rate / limit * 100.0,
            job_time / cpu_time * 100.0,
        );
    }
    Ok(())
}

/// Returns the bytes of memory that the server holds.
fn memory(bench: EngineBench) -> usize {
    let before = allocated();
    drop(bench.server);
    before.saturating_sub(allocated())
}
