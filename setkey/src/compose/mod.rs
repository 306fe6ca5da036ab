//! Statements to PF_KEY messages, in the order of extensions that KAME setkey sends.

mod keys;
mod sa;
mod spd;
mod xfrm;

use std::net::SocketAddr;

use ipsec_conf::setkey::{AddressOptions, Endpoint, ParseError, Protocol, SecurityContext, Statement, Word, narrow};
use libpfkey::algorithm::Supported;
use libpfkey::request::{Encoding, Order};
use libpfkey::{Abi, Dialect, SaType, SecurityLabel};

use crate::resolve::{Names, Unresolved, addresses};

pub(crate) use sa::{SaPlan, plan_sa};
pub(crate) use spd::{SpdPlan, plan_spd, start_of_policy};

/// What statements are composed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'k> {
    /// The layout of messages.
    pub(crate) abi: Abi,
    /// The kernel's algorithms.
    pub(crate) supported: &'k Supported,
    /// Whether the backend understands libpfkey's extensions for NETLINK_XFRM.
    pub(crate) has_xfrm: bool,
    /// How names are resolved.
    pub(crate) names: Names,
}

impl Target<'_> {
    pub(crate) fn dialect(&self) -> Dialect {
        self.abi.dialect
    }

    /// The form of messages: KAME setkey's order of extensions.
    pub(crate) fn encoding(&self) -> Encoding {
        Encoding { xfrm_extensions: self.has_xfrm, order: Order::Setkey }
    }
}

/// Why a statement is not sent.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What is wrong, and where.
    Error(Box<ParseError>),
    /// Source and destination have no family in common: KAME setkey has no message for it.
    Families,
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Error(Box::new(error))
    }
}

/// The SA type of a protocol word, for listing and flushing; `None` where the dialect has no such SAs.
pub(crate) fn sa_type_of(protocol: Option<Protocol>, dialect: Dialect) -> Option<SaType> {
    let sa_type = match protocol {
        None => SaType::Unspec,
        Some(Protocol::Ah | Protocol::AhOld) => SaType::Ah,
        Some(Protocol::Esp | Protocol::EspOld | Protocol::EspUdp) => SaType::Esp,
        Some(Protocol::IpComp) => SaType::IpComp,
        Some(Protocol::Tcp) => SaType::TcpSignature,
    };
    sa_type.number(dialect).map(|_| sa_type)
}

/// The addresses of one end of an SA. KAME setkey resolves it when it has read the next token.
fn resolve_end(
    statement: &Statement<'_>,
    end: &Endpoint<'_>,
    options: AddressOptions,
    names: Names,
) -> Result<Vec<SocketAddr>, Refusal> {
    let last = end.port.unwrap_or(end.host);
    addresses(end.host, end.port, options, names).map_err(|unresolved| {
        let error = statement.error_after(last.offset, unresolved.text.clone());
        at_culprit(error, end.host, end.port, &unresolved).into()
    })
}

/// Moves an error about a host or its port to the one that is wrong.
fn at_culprit(error: ParseError, host: Word<'_>, port: Option<Word<'_>>, unresolved: &Unresolved) -> ParseError {
    let culprit = port.filter(|_| unresolved.is_port).unwrap_or(host);
    ParseError { offset: culprit.offset, hint: unresolved.hint.map(Into::into), ..error }
}

/// Every pair of one family.
fn pairs(sources: &[SocketAddr], destinations: &[SocketAddr]) -> Result<Vec<(SocketAddr, SocketAddr)>, Refusal> {
    let pairs: Vec<_> = sources
        .iter()
        .flat_map(|source| destinations.iter().map(move |destination| (*source, *destination)))
        .filter(|(source, destination)| source.is_ipv4() == destination.is_ipv4())
        .collect();
    if pairs.is_empty() { Err(Refusal::Families) } else { Ok(pairs) }
}

/// The pairs of hosts of a `deleteall`.
pub(crate) fn host_pairs(
    statement: &Statement<'_>,
    source: Word<'_>,
    destination: Word<'_>,
    options: AddressOptions,
    names: Names,
) -> Result<Vec<(SocketAddr, SocketAddr)>, Refusal> {
    let resolve = |host| resolve_end(statement, &Endpoint { host, port: None }, options, names);
    pairs(&resolve(source)?, &resolve(destination)?)
}

/// A security label as it is sent, with its terminating NUL.
fn label(context: &SecurityContext<'_>) -> SecurityLabel {
    let mut text = narrow(context.label.text);
    text.push(0);
    SecurityLabel { algorithm: context.algorithm, doi: context.doi, text }
}
