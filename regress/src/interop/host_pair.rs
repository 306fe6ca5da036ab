//! Two hosts on a link, with the addresses and routes that connections need.

use std::fmt::Write;
use std::net::IpAddr;

use anyhow::{Result, ensure};

use super::connection::{Connection, Endpoint};
use crate::lab::{Host, Link, Program, Stdin, TIMEOUT, wait_until};

/// Two hosts on a link.
pub(crate) struct HostPair {
    pub(super) link: Link,
    pub(super) alice: Host,
    pub(super) bob: Host,
}

impl HostPair {
    /// Creates the hosts with all addresses and routes for `connections`, which are given from Alice's side.
    pub(super) fn new(connections: &[Connection]) -> Result<Self> {
        let link = Link::new("link")?;
        let (alice, bob) = (Host::new("alice")?, Host::new("bob")?);
        for (host, number) in [(&alice, 1), (&bob, 2)] {
            link.plug(host, "eth0", &[&format!("fe80::{number}/64")])?;
        }
        address(&alice, 2, connections.iter().map(|c| (&c.local, &c.remote)))?;
        address(&bob, 1, connections.iter().map(|c| (&c.remote, &c.local)))?;
        Ok(Self { link, alice, bob })
    }
}

/// Gives `host` the addresses of its endpoints, and routes to the others by way of the link-local address `fe80::next`.
fn address<'a>(host: &Host, next: u8, ends: impl Iterator<Item = (&'a Endpoint, &'a Endpoint)>) -> Result<()> {
    let (mut addresses, mut routes) = (String::new(), String::new());
    for (local_end, remote_end) in ends {
        // Writing to a string cannot fail.
        let _ = match local_end.address {
            IpAddr::V4(local) => writeln!(addresses, "address add {local}/24 dev eth0"),
            // Neighbour discovery between addresses that a policy covers would itself need the SA, so they are not
            // on-link.
            IpAddr::V6(local) => {
                let _ = writeln!(routes, "route add {}/128 via fe80::{next} dev eth0", remote_end.address);
                writeln!(addresses, "address add {local}/128 dev eth0 nodad")
            }
        };
        if let (Some(local_end), Some(remote_end)) = (&local_end.subnet, &remote_end.subnet) {
            let bits = if local_end.address.is_ipv4() { 32 } else { 128 };
            let _ = writeln!(addresses, "address add {}/{bits} dev lo", local_end.address);
            let _ = writeln!(routes, "route add {} dev eth0 src {}", remote_end.network, local_end.address);
        }
    }
    batch(host, addresses)?;
    // Even without duplicate address detection an IPv6 address is tentative for a moment, and is refused as the source
    // of a route until then.
    let is_usable = || host.must("ip -6 address show tentative").is_ok_and(|done| done.text().trim().is_empty());
    ensure!(wait_until(TIMEOUT, is_usable, || Ok(()))?, "{}: an address stays tentative", host.name());
    batch(host, routes)
}

/// Runs lines of ip(8).
fn batch(host: &Host, lines: String) -> Result<()> {
    let done = host.run(Program::new("ip", &["-batch", "-"]).stdin(Stdin::Bytes(lines.into_bytes())))?;
    ensure!(done.success(), "{}: {}", host.name(), done.text());
    Ok(())
}
