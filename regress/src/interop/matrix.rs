//! The test matrix: connections in which any two algorithms and circumstances occur together at least once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::algorithm::{
    AUTHENTICATIONS, Algorithm, GROUPS, HASHES, PFS_GROUPS, PHASE1_CIPHERS, PROTECTIONS, Peer, Protection,
};
use super::connection::{
    Authentication, Connection, Endpoint, Exchange, Identity, Phase1, Phase2, StartAction, Subnet,
};
use super::pairwise::pairwise;

/// A row of the matrix.
pub(crate) struct Row {
    /// The connection as our host sees it.
    pub(crate) connection: Connection,
    pub(crate) initiator: Initiator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initiator {
    Ours,
    /// The peer's daemon initiates by command.
    Theirs,
    /// The peer's daemon initiates with the first packet.
    TheirTraffic,
}

const INITIATORS: [Initiator; 3] = [Initiator::Ours, Initiator::Theirs, Initiator::TheirTraffic];

/// The encapsulation of packets.
#[derive(Debug, Clone, Copy)]
struct Encapsulation {
    tunnel: bool,
    /// Whether the outer addresses are IPv6.
    ipv6: bool,
    /// Whether the inner addresses of a tunnel are of the other family.
    mixed: bool,
}

impl Row {
    /// Returns the connection as the peer's host sees it.
    pub(crate) fn theirs(&self) -> Connection {
        let on_traffic = self.initiator == Initiator::TheirTraffic;
        self.connection.mirrored(if on_traffic { StartAction::OnTraffic } else { StartAction::Respond })
    }
}

/// Returns all rows for `peer`. Each has addresses of its own, so that one daemon per host serves all of them.
pub(crate) fn rows(peer: Peer) -> Vec<Row> {
    let (phase1, phase2) = (phase1(peer), phase2(peer));
    let rows = phase1.len().max(phase2.len());
    // The number of a row is one byte of its addresses.
    let numbers = 1_u8..=u8::try_from(rows).unwrap_or(u8::MAX);
    // The shorter list repeats, so that each row has both phases.
    let both = phase1.iter().cycle().zip(phase2.iter().cycle());
    numbers
        .zip(both)
        .map(|(number, (phase1, (phase2, encapsulation, initiator)))| Row {
            connection: connection(number, phase1.clone(), phase2.clone(), *encapsulation),
            initiator: *initiator,
        })
        .collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connection { name, local, remote, exchange, phase1, phase2, .. } = &self.connection;
        write!(f, "{name:4} ")?;
        if *exchange == Exchange::Aggressive {
            f.write_str("aggressive mode, ")?;
        }
        if let Some(key) = &local.key {
            write!(f, "certificate {}, ", key.name)?;
        }
        if remote.identity != Identity::Address {
            write!(f, "{:?}, ", remote.identity)?;
        }
        write!(f, "{}/{}/{}", phase1.encryption.racoon, phase1.hash.racoon, phase1.group.racoon)?;
        match phase2.protection {
            Protection::Esp(cipher) => write!(f, ", esp {}/{}", cipher.racoon, phase2.authentication.racoon)?,
            Protection::Aead(cipher) => write!(f, ", esp {}", cipher.racoon)?,
            Protection::Ah => write!(f, ", ah {}", phase2.authentication.racoon)?,
        }
        if let Some(group) = phase2.pfs {
            write!(f, ", pfs {}", group.racoon)?;
        }
        match &local.subnet {
            Some(subnet) => write!(f, ", {} in {}", family(subnet.address), family(local.address))?,
            None => write!(f, ", {} transport", family(local.address))?,
        }
        f.write_str(match self.initiator {
            Initiator::Ours => ", we initiate",
            Initiator::Theirs => ", they initiate",
            Initiator::TheirTraffic => ", their traffic initiates",
        })
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Long enough that nothing is renewed while the matrix runs, in seconds.
const DAY: u32 = 86_400;

fn phase1(peer: Peer) -> Vec<Phase1> {
    let known = |words: &'static [Algorithm]| words.iter().filter(|word| word.name(peer).is_some()).collect::<Vec<_>>();
    let (ciphers, hashes, groups) = (known(PHASE1_CIPHERS), known(HASHES), known(GROUPS));
    let rows = pairwise(&[ciphers.len(), hashes.len(), groups.len()], |_, _| false);
    let row = |row: &Vec<usize>| match row[..] {
        [cipher, hash, group] => {
            let (encryption, hash, group) = (*ciphers.get(cipher)?, *hashes.get(hash)?, *groups.get(group)?);
            Some(Phase1 { encryption, hash, group, lifetime: DAY })
        }
        _ => None,
    };
    rows.iter().filter_map(row).collect()
}

fn phase2(peer: Peer) -> Vec<(Phase2, Encapsulation, Initiator)> {
    let protections: Vec<_> = PROTECTIONS.iter().filter(|protection| protection.name(peer).is_some()).collect();
    let authentications: Vec<_> = AUTHENTICATIONS.iter().filter(|word| word.name(peer).is_some()).collect();
    let groups = PFS_GROUPS.iter().filter(|word| word.name(peer).is_some()).map(Some);
    let groups: Vec<_> = std::iter::once(None).chain(groups).collect();
    // An AEAD cipher is not combined with an authentication algorithm.
    let aead = |number: usize| matches!(protections.get(number), Some(Protection::Aead(_)));
    let sizes = [protections.len(), authentications.len(), groups.len(), 2, 2, 2, INITIATORS.len()];
    let rows = pairwise(&sizes, |one, other| (one.0, other.0) == (0, 1) && aead(one.1));
    let row = |row: &Vec<usize>| match row[..] {
        [protection, authentication, group, tunnel, ipv6, mixed, initiator] => {
            let phase2 = Phase2 {
                protection: protections.get(protection)?,
                authentication: authentications.get(authentication)?,
                pfs: *groups.get(group)?,
                lifetime: DAY / 2,
                sha256_96: false,
                compressed: false,
                esn: false,
            };
            let encapsulation = Encapsulation { tunnel: tunnel == 1, ipv6: ipv6 == 1, mixed: mixed == 1 };
            Some((phase2, encapsulation, *INITIATORS.get(initiator)?))
        }
        _ => None,
    };
    rows.iter().filter_map(row).collect()
}

fn connection(number: u8, phase1: Phase1, phase2: Phase2, encapsulation: Encapsulation) -> Connection {
    Connection {
        name: format!("s{number}"),
        local: end(number, 1, encapsulation),
        remote: end(number, 2, encapsulation),
        exchange: Exchange::Main,
        authentication: Authentication::PreSharedKey(format!("a secret of row {number}, long enough")),
        phase1,
        phase2,
        start: StartAction::Respond,
    }
}

/// Returns the endpoint of host 1 or 2.
fn end(number: u8, host: u8, encapsulation: Encapsulation) -> Endpoint {
    let row = u16::from(number);
    let outside: IpAddr = match encapsulation.ipv6 {
        true => Ipv6Addr::new(0xfd18, row, 0, 0, 0, 0, 0, u16::from(host)).into(),
        false => Ipv4Addr::new(198, 18, number, host).into(),
    };
    let inside = match encapsulation.ipv6 != encapsulation.mixed {
        true => {
            let at = |last| Ipv6Addr::new(0xfd00 + u16::from(host), row, 0, 0, 0, 0, 0, last);
            Subnet { network: format!("{}/64", at(0)), address: at(1).into() }
        }
        false => {
            let at = |last| Ipv4Addr::new(10, host, number, last);
            Subnet { network: format!("{}/24", at(0)), address: at(1).into() }
        }
    };
    Endpoint {
        address: outside,
        subnet: encapsulation.tunnel.then_some(inside),
        identity: Identity::Address,
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_fit_their_addresses() {
        for peer in [Peer::Strongswan, Peer::Libreswan] {
            let table = rows(peer);
            assert!((40..120).contains(&table.len()), "{peer:?}: {} rows", table.len());
            let tunnels = table.iter().filter(|row| row.connection.is_tunnel()).count();
            assert!(tunnels > table.len() / 4 && tunnels < table.len() * 3 / 4, "{peer:?}: {tunnels} tunnels");
        }
    }

    #[test]
    fn a_row_names_its_algorithms() {
        let shown = rows(Peer::Strongswan)[0].to_string();
        assert!(shown.starts_with("s1   aes 128/sha256/modp2048, esp aes 128/hmac_sha256"), "{shown}");
    }
}
