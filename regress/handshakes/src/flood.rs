//! Forged first messages at a given rate, honest handshakes at the same time, and what the kernel drops of both.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use racoon_proto::num::{ExchangeType, PayloadType};
use racoon_proto::output::Transmit;
use racoon_proto::proposal::phase1_sa;
use racoon_proto::wire::{self, Cookie, CookiePair, Header};

use crate::keys::Keys;
use crate::meter::Process;
use crate::simulated_host::{SimulatedHost, client, policies};
use crate::suite::Suite;
use crate::udp::MultiAddressSocket;

/// Retransmission interval of an honest initiator.
const INTERVAL: Duration = Duration::from_millis(500);

/// Time to wait for a datagram.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(20);

/// Interval between honest handshakes, if the previous one has finished.
const HANDSHAKE_INTERVAL: Duration = Duration::from_millis(10);

/// Time for which the daemon is stopped.
const STOP_TIME: Duration = Duration::from_millis(100);

/// Interval between bursts of forged messages. A burst contains all messages that are due.
const BURST_INTERVAL: Duration = Duration::from_millis(10);

/// Results of the honest handshakes.
#[derive(Default)]
struct Honest {
    up: usize,
    failed: usize,
    retransmissions: usize,
    longest: Duration,
}

/// Runs the flood and prints seven figures.
pub(crate) fn run(pid: i32, target: SocketAddr, rate: u32, seconds: u64, suite: Suite) -> Result<()> {
    let process = Process::new(pid)?;
    let (processor, dropped) = (process.cpu_time()?, drops(target)?);
    let over = AtomicBool::new(false);
    let (sent, honest) = thread::scope(|scope| -> Result<_> {
        let flood = scope.spawn(|| flood(target, rate, suite, &over));
        let pauses = scope.spawn(|| pause(pid, &over));
        let honest = handshakes(target, Duration::from_secs(seconds), suite);
        over.store(true, Ordering::Relaxed);
        pauses.join().map_err(|_| anyhow::anyhow!("the pauses panicked"))??;
        let sent = flood.join().map_err(|_| anyhow::anyhow!("the flood panicked"))??;
        Ok((sent, honest?))
    })?;
    let cpu_time = process.cpu_time()?.saturating_sub(processor).as_secs_f64();
    let dropped = drops(target)?.saturating_sub(dropped);
    let Honest { up, failed, retransmissions, longest } = honest;
    println!("{sent} {dropped} {up} {failed} {retransmissions} {} {cpu_time}", longest.as_millis());
    Ok(())
}

/// Sends forged messages until `over` is set, and returns their number.
fn flood(target: SocketAddr, rate: u32, suite: Suite, over: &AtomicBool) -> Result<u64> {
    let socket = MultiAddressSocket::new(RECEIVE_TIMEOUT)?;
    let settings = suite.settings(&Keys::pre_shared(), None, target.port());
    let (_, remote) = settings.remotes.iter().next().context("a remote")?;
    let sa = phase1_sa(&remote.proposals).encode();
    let cookies = CookiePair { initiator: Cookie([1; 8]), responder: Cookie::ZERO };
    let mut message = wire::message(&Header::new(cookies, ExchangeType::MAIN, 0), &[(PayloadType::SA, &sa)]);
    let begin = Instant::now();
    let mut sent = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let due = begin.elapsed().as_millis() * u128::from(rate) / 1000;
        while u128::from(sent) < due {
            sent += 1;
            // Another initiator cookie makes each message a new negotiation.
            for (to, from) in message.iter_mut().zip(sent.to_be_bytes()) {
                *to = from;
            }
            let number = u32::try_from(sent % 4_000_000).unwrap_or_default();
            // A full queue is what the benchmark measures.
            let _ = socket.send(client(1 << 20 | number, socket.port()), target, &message);
        }
        thread::sleep(BURST_INTERVAL);
    }
    Ok(sent)
}

/// Stops the daemon for a tenth of each second until `over` is set, as if a request to the kernel took long or other
/// programs ran. Datagrams then wait in the kernel.
fn pause(pid: i32, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        for (signal, time) in [(Signal::SIGSTOP, STOP_TIME), (Signal::SIGCONT, STOP_TIME * 9)] {
            kill(Pid::from_raw(pid), signal)?;
            thread::sleep(time);
        }
    }
    Ok(())
}

/// Runs honest handshakes one after the other, at an even rate as long as each is fast.
fn handshakes(target: SocketAddr, time: Duration, suite: Suite) -> Result<Honest> {
    let socket = MultiAddressSocket::new(RECEIVE_TIMEOUT)?;
    let count = u32::try_from(time.as_millis() / HANDSHAKE_INTERVAL.as_millis())?;
    let addresses = (0..count).map(|number| client(number, socket.port())).collect();
    let all: Vec<_> = (0..count).flat_map(|number| policies(number, client(number, 0).ip(), target.ip(), 0)).collect();
    let outbound_policies: Vec<_> = all.iter().step_by(2).cloned().collect();
    let mut settings = suite.settings(&Keys::pre_shared(), Some(target.ip().into()), target.port());
    settings.retransmission.interval = INTERVAL;
    let mut initiators = SimulatedHost::new(settings, Keys::pre_shared(), addresses, all)?;
    let send = |datagrams: &[Transmit]| -> Result<()> {
        datagrams.iter().try_for_each(|one| Ok(socket.send(one.path.local, one.path.remote, &one.bytes)?))
    };
    let (mut honest, mut buffer, end) = (Honest::default(), vec![0; 65536], Instant::now() + time);
    for policy in &outbound_policies {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        send(&initiators.acquire(policy))?;
        while initiators.up == honest.up && initiators.failures.is_empty() {
            let datagrams = match socket.receive(&mut buffer)? {
                Some((local, remote, length)) => {
                    initiators.receive(local, remote, buffer.get(..length).unwrap_or_default())
                }
                None => Vec::new(),
            };
            send(&datagrams)?;
            let repeated = initiators.tick();
            honest.retransmissions += repeated.len();
            send(&repeated)?;
        }
        honest.failed += usize::from(initiators.up == honest.up);
        initiators.failures.clear();
        honest.up = initiators.up;
        honest.longest = honest.longest.max(begin.elapsed());
        thread::sleep(HANDSHAKE_INTERVAL.saturating_sub(begin.elapsed()));
    }
    Ok(honest)
}

/// Returns how many datagrams to a socket of this host were dropped because its queue was full.
fn drops(target: SocketAddr) -> Result<u64> {
    let port = format!(":{:04X}", target.port());
    let table = fs::read_to_string("/proc/net/udp")?;
    let of_target = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut of_target = of_target.filter(|line| line.get(1).is_some_and(|local| local.ends_with(&port)));
    let line = of_target.next().context("no socket is bound to the port")?;
    line.last().and_then(|drops| drops.parse().ok()).context("/proc/net/udp")
}
