//! The cost of lookups: the time from an acquire to its message must not grow with the number of tunnels.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::engine_bench::EngineBench;
use crate::keys::Keys;
use crate::meter::cpu_time;
use crate::simulated_host::{client, policies};
use crate::suite::X25519;

const TUNNELS: [u32; 3] = [1, 1000, 10_000];

/// Number of measured acquires of each kind.
const ACQUIRES: u16 = 500;

/// Indexes of policies, apart from those of the clients.
const INDEX_KNOWN: u32 = 1_000_000;
const INDEX_NEW: u32 = 2_000_000;

/// Prints a line for each number of tunnels.
pub(crate) fn run() -> Result<()> {
    println!("\nFrom an acquire to its message, us of processor time, by number of tunnels (x25519):");
    println!("{:>8}  {:>22}  {:>22}", "tunnels", "quick mode, message 1", "main mode, message 1");
    let server = SocketAddr::from(([127, 0, 0, 1], 500)).ip();
    for tunnels in TUNNELS {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for number in 0..ACQUIRES {
            let peer = client(u32::from(number) % tunnels, 500).ip();
            known.extend(policies(INDEX_KNOWN + u32::from(number), server, peer, 1000 + number));
            let unknown_peer = client(100_000 + u32::from(number), 500).ip();
            new.extend(policies(INDEX_NEW + u32::from(number), server, unknown_peer, 0));
        }
        let mut bench = EngineBench::new(X25519, &Keys::pre_shared(), tunnels, known.iter().chain(&new).cloned())?;
        bench.fill()?;
        let mut times = Vec::new();
        for outbound_policies in [known, new] {
            let (begin, mut sent) = (cpu_time(), 0);
            for policy in outbound_policies.iter().step_by(2) {
                sent += bench.server.acquire(policy).len();
            }
            let took = cpu_time().saturating_sub(begin);
            ensure!(sent == usize::from(ACQUIRES), "{sent} messages: {:?}", bench.server.failures.first());
            times.push(took.as_secs_f64() * 1e6 / f64::from(ACQUIRES));
        }
        let [quick, main] = times[..] else { continue };
        println!("{tunnels:8}  {quick:22.1}  {main:22.1}");
    }
    Ok(())
}
