//! Finding the process that uses a UDP port. Linux shows it in `/proc`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that uses a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// Process id.
    pub pid: u32,
    /// Command name.
    pub name: String,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} ({})", self.pid, self.name.escape_debug())
    }
}

/// Returns the process whose socket prevents binding an address.
pub(super) fn find(address: SocketAddr) -> Option<PortOwner> {
    // A wildcard IPv6 socket may take the IPv4 port as well, so its table is always searched.
    let tables = [("/proc/net/udp", address.is_ipv4()), ("/proc/net/udp6", true)];
    let inodes = tables.iter().filter(|(_, relevant)| *relevant).flat_map(|(table, _)| {
        let text = fs::read_to_string(table).unwrap_or_default();
        text.lines().filter_map(Entry::parse).collect::<Vec<_>>()
    });
    inodes.filter(|entry| entry.conflicts_with(address)).find_map(|entry| process_with_socket(entry.inode))
}

/// A line of `/proc/net/udp` or `udp6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    inode: u64,
}

impl Entry {
    /// Parses `sl local_address rem_address st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode …`. Addresses are in
    /// words of host byte order.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (address, port) = words.nth(1)?.split_once(':')?;
        let ip = match address.len() {
            8 => IpAddr::from(Ipv4Addr::from(word(address)?)),
            32 => {
                let mut bytes = [0; 16];
                for (at, to) in bytes.chunks_exact_mut(4).enumerate() {
                    to.copy_from_slice(&word(address.get(8 * at..8 * at + 8)?)?);
                }
                Ipv6Addr::from(bytes).into()
            }
            _ => return None,
        };
        let local = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
        Some(Self { local, inode: words.nth(7)?.parse().ok()? })
    }

    fn conflicts_with(self, address: SocketAddr) -> bool {
        let (own, other) = (self.local.ip(), address.ip());
        let any = own.is_unspecified() || other.is_unspecified() && own.is_ipv4() == other.is_ipv4();
        self.local.port() == address.port() && (own == other || any)
    }
}

/// Parses a hexadecimal word into its bytes in memory.
fn word(text: &str) -> Option<[u8; 4]> {
    Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
}

/// Returns the process that has a socket open.
fn process_with_socket(inode: u64) -> Option<PortOwner> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    // Without root, only processes of the same user can be read; others are passed over.
    let pid = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == Path::new(&link)))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(PortOwner { pid, name: name.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn table_lines() {
        let parsed = |line| Entry::parse(line).map(|entry| (entry.local.to_string(), entry.inode));
        let v4 =
            "  123: 0100007F:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0";
        assert_eq!(parsed(v4), Some(("127.0.0.1:500".into(), 4711)));
        let v6 = "9: B80D0120000000000000000001000000:1194 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 12 2";
        assert_eq!(parsed(v6), Some(("[2001:db8::1]:4500".into(), 12)));
        let heading =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref";
        assert_eq!(parsed(heading), None);
        for hostile in
            ["", "1: é0000000:1 x", "1: 0100007F", "1: 0100007F:01F4", "1: ééééééééééééééééé:1 0 0 0 0 0 0 0 0"]
        {
            assert_eq!(parsed(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn conflicting_addresses() {
        let conflicts_with = |held: &str, wanted: &str| {
            Entry { local: held.parse().unwrap(), inode: 0 }.conflicts_with(wanted.parse().unwrap())
        };
        assert!(conflicts_with("192.0.2.1:500", "192.0.2.1:500"));
        assert!(conflicts_with("0.0.0.0:500", "192.0.2.1:500"));
        assert!(conflicts_with("[::]:500", "192.0.2.1:500"));
        assert!(conflicts_with("192.0.2.1:500", "0.0.0.0:500"));
        assert!(!conflicts_with("192.0.2.1:500", "[::]:500"));
        assert!(!conflicts_with("192.0.2.1:500", "192.0.2.2:500"));
        assert!(!conflicts_with("192.0.2.1:500", "192.0.2.1:4500"));
    }
}
