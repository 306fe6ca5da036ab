//! Requests about many SAs: DUMP and FLUSH.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::engine::{Engine, Outcome, To};
use super::reply;
use super::sad::Association;
use crate::dialect::Dialect;
use crate::num::SaType;
use crate::wire::{Extension, Filter, Message};

impl Engine {
    pub(super) fn dump(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let dialect = self.abi.dialect;
        let filter = request.extensions.iter().find_map(|extension| match extension {
            Extension::Filter(filter) => Some(filter),
            _ => None,
        });
        if filter.is_some_and(|filter| filter.source_prefix > 128 || filter.destination_prefix > 128) {
            return Err(Errno::EINVAL);
        }
        let wanted = |sa: &Association| filter.is_none_or(|filter| passes(filter, sa));
        let all = self.sad.dump(request.header.sa_type);
        let ages: Vec<u64> = all.into_iter().filter(|(_, sa)| wanted(sa)).map(|(age, _)| age).collect();
        if ages.is_empty() {
            return Err(Errno::ENOENT);
        }
        for (index, age) in ages.iter().enumerate() {
            let Some(sa) = self.sad.get(*age) else { continue };
            let mut header = request.header;
            header.sa_type = sa.sa_type;
            header.seq = dump_seq(dialect, index, ages.len());
            header.reserved = u16::from(!self.is_linux());
            let message = self.compose(&header, &reply::association(dialect, sa))?;
            self.deliver(&message, To::Quietly(from));
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let ages: Vec<u64> = self.sad.dump(request.header.sa_type).into_iter().map(|(age, _)| age).collect();
        let any = !ages.is_empty();
        for age in ages {
            self.sad.remove(age);
        }
        let sa_type = request.header.sa_type;
        self.acquires.retain(|pair, _| sa_type != SaType::Unspec && pair.0 != sa_type);
        self.answer_flush(from, request, any)
    }

    /// Linux answers the requester, and then everybody if there was anything to flush.
    pub(super) fn answer_flush(&mut self, from: u64, request: &Message<'_>, any: bool) -> Outcome {
        if self.is_linux() {
            self.answer(&request.header, 0, &[], To::One(from))?;
            return if any { self.answer(&request.header, 0, &[], To::All) } else { Ok(()) };
        }
        self.answer(&request.header, 0, &[], To::All)
    }
}

/// The number that a message of a dump has: Linux counts up and ends with 0, the BSDs count down to it.
pub(super) fn dump_seq(dialect: Dialect, index: usize, count: usize) -> u32 {
    let left = count.saturating_sub(index + 1);
    let seq = if dialect == Dialect::Linux && left > 0 { index + 1 } else { left };
    u32::try_from(seq).unwrap_or(u32::MAX)
}

/// Whether an SA lies between the prefixes of Linux' filter.
fn passes(filter: &Filter, sa: &Association) -> bool {
    let family = if sa.source.is_ipv4() { 2 } else { u16::from(Dialect::Linux.inet6()) };
    if filter.family != 0 && filter.family != family {
        return false;
    }
    let inside = |network: &[u8; 16], prefix: u8, address: SocketAddr| {
        let address = match address {
            SocketAddr::V4(v4) => u128::from(v4.ip().to_bits()) << 96,
            SocketAddr::V6(v6) => v6.ip().to_bits(),
        };
        // The network is sixteen bytes for either family, which `ipnet` has no type for.
        (u128::from_be_bytes(*network) ^ address).leading_zeros() >= u32::from(prefix).min(128)
    };
    inside(&filter.source, filter.source_prefix, sa.source)
        && inside(&filter.destination, filter.destination_prefix, sa.destination)
}
