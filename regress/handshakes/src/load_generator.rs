//! A load on a daemon: initiators over UDP, a few at a time, and the cost for the daemon's process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use racoon_proto::kernel::Policy;
use racoon_proto::output::Transmit;

use crate::keys::Keys;
use crate::meter::Process;
use crate::simulated_host::{SimulatedHost, client, policies};
use crate::suite::Suite;
use crate::udp::MultiAddressSocket;

/// Number of simultaneous negotiations.
const WINDOW: usize = 16;

/// Time to wait for a datagram before timers are handled, and for the daemon to finish.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Time limit for all handshakes.
const LIMIT: Duration = Duration::from_secs(300);

/// Initiators and the daemon that they negotiate with.
struct LoadGenerator {
    socket: MultiAddressSocket,
    initiators: SimulatedHost,
    outbound_policies: Vec<Policy>,
    begun: usize,
}

/// Runs `count` handshakes with the daemon of process `pid`, and prints three figures about their cost.
pub(crate) fn run(pid: i32, target: SocketAddr, count: u32, suite: Suite, keys: Arc<Keys>) -> Result<()> {
    let process = Process::new(pid)?;
    let mut generator = LoadGenerator::new(target, count, suite, keys)?;
    let (processor, resident, begin) = (process.cpu_time()?, process.resident()?, Instant::now());
    generator.bring_up(generator.outbound_policies.len())?;
    let elapsed = begin.elapsed().as_secs_f64();
    // The daemon is still processing the last message.
    thread::sleep(RECEIVE_TIMEOUT);
    let cpu_time = process.cpu_time()?.saturating_sub(processor).as_secs_f64();
    let bytes = process.resident()?.saturating_sub(resident) * 1024 / u64::from(count);
    println!("{cpu_time} {elapsed} {bytes}");
    Ok(())
}

impl LoadGenerator {
    fn new(target: SocketAddr, count: u32, suite: Suite, keys: Arc<Keys>) -> Result<Self> {
        let socket = MultiAddressSocket::new(RECEIVE_TIMEOUT)?;
        let addresses: Vec<SocketAddr> = (0..count).map(|number| client(number, socket.port())).collect();
        let all: Vec<Policy> =
            (0..count).flat_map(|number| policies(number, client(number, 0).ip(), target.ip(), 0)).collect();
        let outbound_policies = all.iter().step_by(2).cloned().collect();
        let settings = suite.settings(&keys, Some(target.ip().into()), target.port());
        Ok(Self {
            socket,
            initiators: SimulatedHost::new(settings, keys, addresses, all)?,
            outbound_policies,
            begun: 0,
        })
    }

    /// Negotiates until `wanted` tunnels are established.
    fn bring_up(&mut self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut buffer = vec![0; 65536];
        while self.initiators.up < wanted {
            // Several negotiations at once keep the daemon busy.
            let room = wanted.min(self.initiators.up + WINDOW);
            while let Some(policy) = self.outbound_policies.get(self.begun).filter(|_| self.begun < room) {
                self.begun += 1;
                let datagrams = self.initiators.acquire(policy);
                self.send(&datagrams)?;
            }
            let datagrams = match self.socket.receive(&mut buffer)? {
                Some((local, remote, length)) => {
                    self.initiators.receive(local, remote, buffer.get(..length).unwrap_or_default())
                }
                None => self.initiators.tick(),
            };
            self.send(&datagrams)?;
            let failure = self.initiators.failures.first();
            ensure!(
                failure.is_none() && Instant::now() < deadline,
                "{} of {wanted} are up: {failure:?}",
                self.initiators.up
            );
        }
        Ok(())
    }

    fn send(&self, datagrams: &[Transmit]) -> Result<()> {
        datagrams.iter().try_for_each(|one| Ok(self.socket.send(one.path.local, one.path.remote, &one.bytes)?))
    }
}
