//! The engine alone: a crowd of initiators and one responder in one thread, of which the responder's share is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use racoon_proto::kernel::Policy;
use racoon_proto::output::Transmit;

use crate::ceiling;
use crate::meter::{processor, rate};
use crate::party::{Party, client, policies};
use crate::suite::{self, Suite};
use crate::sys::allocated;

/// How many negotiate at once.
const WAVE: u32 = 50;

/// The responder's address.
const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 500);

/// Many clients, and the server that is looked at.
pub(crate) struct Hall {
    pub(crate) clients: Party,
    pub(crate) server: Party,
    /// The clients' outbound policies.
    wishes: Vec<Policy>,
    /// Processor time of the server.
    spent: Duration,
}

impl Hall {
    /// A hall for so many clients. `more` are policies of the server's beyond those for the clients.
    pub(crate) fn new(suite: Suite, count: u32, more: impl IntoIterator<Item = Policy>) -> Result<Self> {
        let server = SocketAddr::from(SERVER);
        let numbers = || 0..count;
        let of_clients: Vec<Policy> =
            numbers().flat_map(|number| policies(number, client(number, 500).ip(), server.ip(), 0)).collect();
        let wishes = of_clients.iter().step_by(2).cloned().collect();
        let addresses = numbers().map(|number| client(number, 500)).collect();
        let clients = Party::new(suite.settings(Some(server.ip().into()), 500), addresses, of_clients)?;
        let of_server = numbers().flat_map(|number| policies(number, server.ip(), client(number, 500).ip(), 0));
        let server = Party::new(suite.settings(None, 500), vec![server], of_server.chain(more).collect())?;
        Ok(Self { clients, server, wishes, spent: Duration::ZERO })
    }

    /// All clients come up.
    pub(crate) fn fill(&mut self) -> Result<()> {
        for first in (0..self.wishes.len()).step_by(WAVE as usize) {
            let wave = self.wishes.iter().skip(first).take(WAVE as usize);
            let mut requests: Vec<Transmit> = wave.flat_map(|policy| self.clients.acquire(policy)).collect();
            while !requests.is_empty() {
                let answers = self.serve(&requests);
                requests =
                    answers.iter().flat_map(|one| self.clients.receive(one.remote, one.local, &one.bytes)).collect();
            }
        }
        let (up, wanted) = ((self.clients.up, self.server.up), self.wishes.len());
        let failure = self.server.failures.first().or(self.clients.failures.first());
        ensure!(up == (wanted, wanted), "{up:?} of {wanted} came up: {failure:?}");
        Ok(())
    }

    fn serve(&mut self, requests: &[Transmit]) -> Vec<Transmit> {
        let begin = processor();
        let answers = requests.iter().flat_map(|one| self.server.receive(one.remote, one.local, &one.bytes)).collect();
        self.spent += processor().saturating_sub(begin);
        answers
    }
}

/// Prints a line for each suite.
pub(crate) fn run(count: u32) -> Result<()> {
    println!(
        "\nThe engine alone, {count} handshakes (main and quick mode, PSK, AES-128, SHA-256), the responder's part:"
    );
    println!(
        "{:12}  {:>12}  {:>12}  {:>8}  {:>6}  {:>12}  {:>12}",
        "suite", "per cpu s", "DH allows", "reached", "DH", "else, us", "bytes/tunnel"
    );
    for suite in suite::ALL {
        let limit = ceiling::handshakes(suite)?;
        let mut hall = Hall::new(suite, count, [])?;
        hall.fill()?;
        let (spent, exchanging) = (hall.spent.as_secs_f64(), hall.server.exchanging.as_secs_f64());
        let rate = rate(count, hall.spent);
        let else_us = (spent - exchanging) / f64::from(count) * 1e6;
        let bytes = memory(hall) / usize::try_from(count)?;
        println!(
            "{:12}  {rate:12.0}  {limit:12.0}  {:6.1} %  {:4.1} %  {else_us:12.1}  {bytes:12}",
            suite.name,
            rate / limit * 100.0,
            exchanging / spent * 100.0,
        );
    }
    Ok(())
}

/// Bytes that a full server holds.
fn memory(hall: Hall) -> usize {
    let before = allocated();
    drop(hall.server);
    before.saturating_sub(allocated())
}
