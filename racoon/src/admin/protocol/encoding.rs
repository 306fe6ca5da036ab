//! Encoding of addresses and flows in host byte order.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{Flow, Malformed};

/// Length of an address: family, port, zone, address.
pub(super) const ADDRESS_LENGTH: usize = 1 + 2 + 4 + 16;

pub(super) fn put_flow(out: &mut Vec<u8>, flow: &Flow) {
    out.extend([flow.source_prefix, flow.destination_prefix, flow.protocol]);
    put_address(out, flow.source);
    put_address(out, flow.destination);
}

pub(super) fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    let (family, zone, digits) = match address {
        SocketAddr::V4(v4) => (4, 0, v4.ip().to_ipv6_mapped()),
        SocketAddr::V6(v6) => (6, v6.scope_id(), *v6.ip()),
    };
    out.push(family);
    out.extend(address.port().to_ne_bytes());
    out.extend(zone.to_ne_bytes());
    out.extend(digits.octets());
}

/// Unread part of a body.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Malformed::Body)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let [family] = self.array()?;
        let port = u16::from_ne_bytes(self.array()?);
        let zone = u32::from_ne_bytes(self.array()?);
        let digits = Ipv6Addr::from(self.array::<16>()?);
        match family {
            4 => {
                let v4 = digits.to_ipv4_mapped().ok_or(Malformed::Body)?;
                Ok(SocketAddr::new(IpAddr::V4(v4), port))
            }
            6 => Ok(SocketAddrV6::new(digits, port, 0, zone).into()),
            _ => Err(Malformed::Body),
        }
    }

    /// Reads a flow. Both addresses have to be of one family, and the prefixes no longer than an address.
    pub(super) fn flow(&mut self) -> Result<Flow, Malformed> {
        let [source_prefix, destination_prefix, protocol] = self.array()?;
        let (source, destination) = (self.address()?, self.address()?);
        let longest = if source.is_ipv4() { 32 } else { 128 };
        if source.is_ipv4() != destination.is_ipv4() || source_prefix.max(destination_prefix) > longest {
            return Err(Malformed::Body);
        }
        Ok(Flow { source, source_prefix, destination, destination_prefix, protocol })
    }
}
