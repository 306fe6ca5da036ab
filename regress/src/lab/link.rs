//! A link between hosts: a bridge in a network namespace of its own, where packets can be captured.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use super::host::Host;

/// An Ethernet segment.
pub(crate) struct Link {
    switch: Host,
    name: String,
}

/// A running packet capture.
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<PacketCounts>,
}

/// Number of packets of each kind that crossed a link. The capture sees each packet twice, entering and leaving the
/// bridge; it is counted once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PacketCounts {
    counts: BTreeMap<&'static str, usize>,
}

impl Link {
    /// Creates a segment without interfaces.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let switch = Host::new(name)?;
        switch.must("ip link add bridge type bridge mcast_snooping 0")?;
        switch.must("ip link set bridge up")?;
        Ok(Self { switch, name: name.to_owned() })
    }

    /// Creates `interface` on `host`, connected to this segment, with these addresses and prefix lengths.
    pub(crate) fn plug(&self, host: &Host, interface: &str, addresses: &[&str]) -> Result<()> {
        let port = host.name();
        self.switch
            .must(&format!("ip link add name port-{port} type veth peer name {interface} netns {}", host.id()))?;
        self.switch.must(&format!("ip link set dev port-{port} master bridge up"))?;
        for address in addresses {
            // Duplicate address detection would delay the use of an address by a second or more.
            let nodad = if address.contains(':') { " nodad" } else { "" };
            host.must(&format!("ip address add {address} dev {interface}{nodad}"))?;
        }
        host.must(&format!("ip link set {interface} up"))?;
        // When the lab's clock stands still and then jumps, all probes of a neighbour time out at once, and packets are
        // dropped.
        for table in ["arp_cache", "ndisc_cache"] {
            host.must(&format!("ip ntable change name {table} dev {interface} base_reachable {NEIGHBOUR_MS}"))?;
        }
        Ok(())
    }

    /// Drops IKE messages to UDP port 500 of `host` from now on.
    pub(crate) fn drop_ike(&self, host: &Host) -> Result<()> {
        self.drop_of_ike(host, "")
    }

    /// Drops encrypted IKE messages to `host` from now on.
    pub(crate) fn drop_encrypted_ike(&self, host: &Host) -> Result<()> {
        // Offset of the ISAKMP flags after the IPv4 header (without options) and the UDP header.
        self.drop_of_ike(host, "match u8 0x01 0x01 at 47")
    }

    fn drop_of_ike(&self, host: &Host, which: &str) -> Result<()> {
        let port = format!("port-{}", host.name());
        self.switch.must(&format!("tc qdisc add dev {port} clsact"))?;
        let filter = format!("u32 match ip protocol 17 0xff match ip dport 500 0xffff {which} action drop");
        self.switch.must(&format!("tc filter add dev {port} egress protocol ip {filter}"))?;
        Ok(())
    }

    /// Silently drops packets of more than `bytes` to and from `host` from now on.
    pub(crate) fn drop_larger(&self, host: &Host, bytes: u32) -> Result<()> {
        self.switch.must(&format!("ip link set dev port-{} mtu {bytes}", host.name()))?;
        Ok(())
    }

    /// Starts a packet capture.
    pub(crate) fn watch(&self) -> Result<Capture> {
        let socket = self.switch.enter(open)??;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let reader =
            thread::Builder::new().name(format!("watch {}", self.name)).spawn(move || count(socket, &stopped))?;
        Ok(Capture { stop, reader })
    }
}

impl Capture {
    /// Ends the capture.
    pub(crate) fn end(self) -> Result<PacketCounts> {
        // Packets sent just now are still crossing the bridge.
        thread::sleep(QUIET);
        self.stop.store(true, Ordering::Relaxed);
        self.reader.join().map_err(|_| anyhow!("the capture failed"))
    }
}

impl PacketCounts {
    /// Returns the number of packets of a kind: `ESP`, `AH`, `IPComp`, `ICMP`, `ICMPv6 echo`, `TCP`, `UDP`, `other`.
    pub(crate) fn of(&self, kind: &str) -> usize {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    fn add(&mut self, frame: &[u8]) {
        if let Some(kind) = kind(frame) {
            *self.counts.entry(kind).or_default() += 1;
        }
    }
}

impl fmt::Display for PacketCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return f.write_str("nothing");
        }
        let parts: Vec<_> = self.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Time for which a neighbour's address is used without a probe, in milliseconds: longer than any test.
const NEIGHBOUR_MS: u32 = 7_200_000;

/// How long a capture waits for late packets, and at most for each packet.
const QUIET: Duration = Duration::from_millis(200);

/// ETH_P_ALL: packets of every protocol, in both directions.
const EVERY_PROTOCOL: u16 = 3;

fn open() -> Result<Socket> {
    let protocol = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(QUIET))?;
    // The reader may not run for a while on a busy machine, and a lost packet would fail the test.
    socket.set_recv_buffer_size(4 << 20)?;
    Ok(socket)
}

fn count(mut socket: Socket, stop: &AtomicBool) -> PacketCounts {
    let mut seen = PacketCounts::default();
    while !stop.load(Ordering::Relaxed) {
        // A timeout only leads to the next check of `stop`.
        read_frame(&mut socket, &mut seen);
    }
    // Packets may still be queued. Traffic may continue, so the capture must not wait for silence.
    if socket.set_nonblocking(true).is_ok() {
        while read_frame(&mut socket, &mut seen) {}
    }
    for count in seen.counts.values_mut() {
        *count = count.div_ceil(2);
    }
    seen
}

/// Counts the next packet. Returns false if none arrived in time.
fn read_frame(socket: &mut Socket, seen: &mut PacketCounts) -> bool {
    let mut frame = [0; 2048];
    let Ok(length) = socket.read(&mut frame) else { return false };
    seen.add(frame.get(..length).unwrap_or_default());
    true
}

/// Returns the kind of an Ethernet frame's contents, or `None` for ARP and neighbour discovery.
fn kind(frame: &[u8]) -> Option<&'static str> {
    let ethertype = u16::from_be_bytes([*frame.get(12)?, *frame.get(13)?]);
    let packet = frame.get(14..)?;
    let (protocol, payload) = match ethertype {
        0x0800 => (*packet.get(9)?, packet.get(usize::from(packet.first()? & 15) * 4..)?),
        0x86dd => (*packet.get(6)?, packet.get(40..)?),
        _ => return None,
    };
    Some(match protocol {
        1 => "ICMP",
        6 => "TCP",
        17 => "UDP",
        50 => "ESP",
        51 => "AH",
        108 => "IPComp",
        58 if matches!(payload.first(), Some(128 | 129)) => "ICMPv6 echo",
        // 0 is the hop-by-hop header of multicast listener reports.
        58 | 0 => return None,
        _ => "other",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(&[8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, protocol]);
        frame.resize(14 + 20, 0);
        frame
    }

    #[test]
    fn packet_kinds_are_distinguished() {
        let mut ipv6 = vec![0; 14 + 40];
        ipv6[12..14].copy_from_slice(&[0x86, 0xdd]);
        ipv6[20] = 58;
        ipv6.push(128);
        assert_eq!(kind(&ipv4(50)), Some("ESP"));
        assert_eq!(kind(&ipv4(1)), Some("ICMP"));
        assert_eq!(kind(&ipv6), Some("ICMPv6 echo"));
        *ipv6.last_mut().expect("type") = 135;
        assert_eq!(kind(&ipv6), None, "neighbour discovery");
    }

    #[test]
    fn short_frames_are_ignored() {
        for length in 0..ipv4(50).len() {
            assert_eq!(kind(&ipv4(50)[..length]).filter(|_| length < 24), None);
        }
    }
}
