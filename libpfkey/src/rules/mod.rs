//! Rules about requests that a kernel refuses whatever its databases contain. A rule gives the reason, where the kernel gives only
//! an errno.
//!
//! The in-process engine ([`Memory`](crate::backend::Memory)) applies these rules and answers with their errno;
//! `setkey --check` prints the reasons. [`DuplicateDetector`] finds the requests of a script that create an entry twice.
//!
//! ```
//! use libpfkey::algorithm::Encryption;
//! use libpfkey::request::{Encoding, Request, RequestHeader};
//! use libpfkey::{Abi, Dialect, Message, SaSpec, rules};
//!
//! // FreeBSD no longer has this cipher.
//! let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001).encryption(Encryption::DesCbc, &[1; 8]);
//! let header = RequestHeader { abi: Abi::of(Dialect::FreeBsd), pid: 1, seq: 2 };
//! let mut bytes = Vec::new();
//! Request::Add(Box::new(sa.build()?)).encode(header, Encoding::default(), &mut bytes)?;
//! let refused = rules::check(&Message::parse(header.abi, &bytes)?, false).unwrap_err();
//! assert_eq!(refused.to_string(), "Not supported: freebsd has no such algorithm for this protocol");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod algorithms;
pub(crate) mod lookup;

use std::borrow::Cow;
use std::net::IpAddr;

use nix::errno::Errno;

use crate::dialect::Dialect;
use crate::num::{
    DIR_OUT, ExtensionType, IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP, LEVEL_UNIQUE, LEVEL_USE, MODE_ANY, MODE_TUNNEL,
    MessageType, POLICY_BYPASS, POLICY_IPSEC, SaFlags, SaType,
};
use crate::wire::{Address, Extension, Header, IpsecRequest, Message, Policy, Sa, SockAddr};

pub use lookup::{DuplicateDetector, PolicyKey, SaEndpoints, SaKey, without_port};

/// Largest CPI: it has 16 bits (RFC 3173 section 2.1).
const CPI_MAX: u32 = 0xffff;
const WIDE_CPI: &str = "the CPI of ipcomp has 16 bits: no packet can carry this one";

/// Largest of the reserved SPIs (RFC 4302 and 4303 section 2).
const SPI_RESERVED_MAX: u32 = 255;

/// The SPI of every TCP-MD5 SA of the BSDs.
const TCP_SPI: u32 = 0x1000;

/// A request that a kernel refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The part that the kernel refuses.
    pub part: RequestPart,
    /// The reason, in the words of the setkey language.
    pub reason: Cow<'static, str>,
    /// The kernel versions that refuse it; `None` is all of them.
    pub versions: Option<&'static str>,
    errno: Errno,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPart {
    /// The protocol of an SA.
    Protocol,
    /// The SPI, or CPI, of an SA.
    Spi,
    /// The cipher of an SA or its key.
    Encryption,
    /// The authentication algorithm of an SA or its key.
    Authentication,
    /// The compression algorithm.
    Compression,
    /// The limits of an SA.
    Lifetimes,
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The policy itself.
    Policy,
    /// One step of a policy, counted from 0.
    Step(usize),
}

impl Refused {
    fn new(errno: Errno, part: RequestPart, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { part, reason: reason.into(), versions: None, errno }
    }

    /// The errno that the kernel answers with, in the host's numbering.
    pub fn errno(&self) -> i32 {
        self.errno as i32
    }
}

impl From<Refused> for Errno {
    fn from(refused: Refused) -> Self {
        refused.errno
    }
}

/// Checks a request against the kernel of its dialect. `netlink` is for a request over NETLINK_XFRM.
///
/// # Errors
/// The first part that the kernel refuses.
pub fn check(request: &Message<'_>, netlink: bool) -> Result<(), Refused> {
    use MessageType as M;
    let dialect = request.abi.dialect;
    sa_type(dialect, &request.header)?;
    match request.header.message_type {
        M::Add | M::Update => {
            association(request, netlink)?;
            cpi(request, netlink)
        }
        M::SpdAdd | M::SpdUpdate | M::SpdSetIdx => {
            selector(request)?;
            let Some(asked) = request.policy() else { return Ok(()) };
            policy(dialect, request.header.message_type, asked)?;
            match request.source().and_then(|source| source.sockaddr.ip()) {
                Some(source) if !netlink => family_change(dialect, source, asked),
                _ => Ok(()),
            }
        }
        M::SpdDelete => selector(request),
        M::GetSpi => spi_range(request),
        _ => Ok(()),
    }
}

/// Checks the SA type of a message.
pub(crate) fn sa_type(dialect: Dialect, header: &Header) -> Result<(), Refused> {
    use MessageType as M;
    let linux = dialect == Dialect::Linux;
    let kind = header.message_type;
    let names_sa = matches!(kind, M::GetSpi | M::Add | M::Update | M::Delete | M::Get);
    let of_policy = matches!(
        kind,
        M::SpdAdd | M::SpdUpdate | M::SpdSetIdx | M::SpdDelete | M::SpdDelete2 | M::SpdGet | M::SpdDump | M::SpdFlush
    );
    let errno = match header.sa_type {
        SaType::Unspec if names_sa && linux && matches!(kind, M::Add | M::Update) => Errno::EPROTONOSUPPORT,
        SaType::Unspec if names_sa => Errno::EINVAL,
        SaType::Unspec => return Ok(()),
        _ if of_policy && linux => return Ok(()),
        // FreeBSD's scope mask.
        _ if kind == M::SpdDump && dialect == Dialect::FreeBsd => return Ok(()),
        // Its value "on".
        SaType::Other(1) if kind == M::Promisc => return Ok(()),
        SaType::Rsvp | SaType::OspfV2 | SaType::RipV2 | SaType::Mip if linux => match kind {
            M::Register => return Ok(()),
            _ => Errno::EINVAL,
        },
        SaType::Rsvp | SaType::OspfV2 | SaType::RipV2 | SaType::Mip => Errno::EOPNOTSUPP,
        SaType::Policy | SaType::Other(_) => Errno::EINVAL,
        _ if of_policy => Errno::EINVAL,
        _ => return Ok(()),
    };
    let reason = match header.sa_type {
        SaType::Unspec => "the protocol is missing: ah, esp or ipcomp stands before the SPI",
        _ => "no such SAs",
    };
    Err(Refused::new(errno, RequestPart::Protocol, reason))
}

/// Checks the limits, algorithms and keys of an ADD or UPDATE.
pub(crate) fn association(request: &Message<'_>, netlink: bool) -> Result<(), Refused> {
    let dialect = request.abi.dialect;
    let Some(sa) = request.sa() else {
        return Err(Refused::new(Errno::EINVAL, RequestPart::Spi, "the SPI is missing"));
    };
    let has = |kind| request.lifetime(kind).is_some();
    if has(ExtensionType::LifetimeHard) != has(ExtensionType::LifetimeSoft) {
        let reason = "hard and soft limits go together: give both, as -lh and -ls, or none";
        return Err(Refused::new(Errno::EINVAL, RequestPart::Lifetimes, reason));
    }
    // FreeBSD's UPDATE of limits carries no keys.
    let has_key = request.key(ExtensionType::KeyEncrypt).or(request.key(ExtensionType::KeyAuth)).is_some();
    if dialect == Dialect::FreeBsd && request.header.message_type == MessageType::Update && !has_key {
        return Ok(());
    }
    if dialect != Dialect::Linux {
        bsd_spi(request.header.sa_type, sa)?;
    }
    algorithms::check(request, sa, netlink)
}

/// Checks the SPI of an SA, of which Linux accepts any.
fn bsd_spi(sa_type: SaType, sa: &Sa) -> Result<(), Refused> {
    let refused = |reason| Err(Refused::new(Errno::EINVAL, RequestPart::Spi, reason));
    match sa_type {
        SaType::Ah | SaType::Esp if sa.spi <= SPI_RESERVED_MAX => {
            refused("SPIs up to 255 are reserved (RFC 4303): write 256 or more")
        }
        SaType::TcpSignature if sa.spi != TCP_SPI => refused("the SPI of tcp is 0x1000, whatever the addresses"),
        SaType::IpComp if sa.spi > CPI_MAX && !sa.flags.contains(SaFlags::RAWCPI) => refused(WIDE_CPI),
        _ => Ok(()),
    }
}

/// Checks the CPI of an SA on Linux: NETLINK_XFRM refuses one of more than 16 bits, PF_KEY creates an SA that no packet can match.
fn cpi(request: &Message<'_>, netlink: bool) -> Result<(), Refused> {
    let is_wide = request.header.sa_type == SaType::IpComp && request.sa().is_some_and(|sa| sa.spi > CPI_MAX);
    if request.abi.dialect != Dialect::Linux || !is_wide {
        return Ok(());
    }
    let refused = Refused::new(Errno::EINVAL, RequestPart::Spi, WIDE_CPI);
    Err(if netlink { refused } else { Refused { versions: Some("NETLINK_XFRM refuses it"), ..refused } })
}

/// Checks the range of a GETSPI. Linux refuses a range, or the default one up to 0x0fffffff, that exceeds the 16 bits of a CPI; the
/// BSDs truncate it.
pub(crate) fn spi_range(request: &Message<'_>) -> Result<(), Refused> {
    let range = request.extensions.iter().find_map(|extension| match extension {
        Extension::SpiRange(range) => Some(*range),
        _ => None,
    });
    let is_cpi = request.header.sa_type == SaType::IpComp;
    if request.abi.dialect == Dialect::Linux && is_cpi && range.is_none_or(|range| range.max > CPI_MAX) {
        let reason = "the CPI of ipcomp has 16 bits: ask for one that has";
        return Err(Refused::new(Errno::EINVAL, RequestPart::Spi, reason));
    }
    Ok(())
}

/// Checks the addresses of a policy's selector.
pub(crate) fn selector(request: &Message<'_>) -> Result<(), Refused> {
    let (Some(source), Some(destination)) = (request.source(), request.destination()) else {
        let reason = "a policy needs its addresses: no kernel takes the name of a tag from PF_KEY";
        return Err(Refused::new(Errno::EINVAL, RequestPart::Policy, reason));
    };
    prefix(source, RequestPart::Source)?;
    prefix(destination, RequestPart::Destination)?;
    if source.sockaddr.same_family(&destination.sockaddr) {
        return Ok(());
    }
    Err(Refused::new(
        Errno::EINVAL,
        RequestPart::Destination,
        "source and destination are of different address families",
    ))
}

fn prefix(address: &Address, part: RequestPart) -> Result<(), Refused> {
    if is_valid(address) {
        return Ok(());
    }
    let (prefix, full) = (address.prefix, address.sockaddr.full_prefix());
    Err(Refused::new(Errno::EINVAL, part, format!("prefix length {prefix} not in 0 to {full}")))
}

/// Whether an address is IPv4 or IPv6 and its prefix length is in range.
pub(crate) fn is_valid(address: &Address) -> bool {
    address.prefix <= address.sockaddr.full_prefix() && matches!(address.sockaddr, SockAddr::Inet(_))
}

/// Checks the action and steps of a policy.
pub(crate) fn policy(dialect: Dialect, message_type: MessageType, policy: &Policy) -> Result<(), Refused> {
    let refused = |errno, reason: Cow<'static, str>| Err(Refused::new(errno, RequestPart::Policy, reason));
    if policy.kind > POLICY_IPSEC {
        let word = if policy.kind == POLICY_BYPASS { "bypass" } else { "entrust" };
        let reason = format!("{word} is for the policies of sockets: write none, discard or ipsec");
        return refused(Errno::EINVAL, reason.into());
    }
    if policy.kind != POLICY_IPSEC {
        return Ok(());
    }
    let may_be_empty = match dialect {
        // It takes the policy for `none`.
        Dialect::Linux => true,
        Dialect::NetBsd => message_type == MessageType::SpdSetIdx,
        Dialect::FreeBsd | Dialect::Darwin => false,
    };
    if policy.requests.is_empty() && !may_be_empty {
        return refused(Errno::EINVAL, "ipsec needs a step, as esp/transport//require".into());
    }
    let (most, errno) = match dialect {
        // XFRM_MAX_DEPTH.
        Dialect::Linux => (6, Errno::ELOOP),
        Dialect::FreeBsd => (4, Errno::EINVAL),
        Dialect::NetBsd | Dialect::Darwin => (usize::MAX, Errno::EINVAL),
    };
    let steps = policy.requests.len();
    if steps > most {
        return refused(errno, format!("a policy of {dialect} has at most {most} steps, not {steps}").into());
    }
    let check = |(index, request)| step(dialect, policy.direction, request, RequestPart::Step(index));
    policy.requests.iter().enumerate().try_for_each(check)
}

fn step(dialect: Dialect, direction: u8, request: &IpsecRequest, part: RequestPart) -> Result<(), Refused> {
    let linux = dialect == Dialect::Linux;
    let known = matches!(request.proto, IPPROTO_AH | IPPROTO_ESP | IPPROTO_IPCOMP) && request.level <= LEVEL_UNIQUE;
    let mode = if linux { request.mode != MODE_ANY && request.mode <= 3 } else { request.mode <= MODE_TUNNEL };
    let ends_are_ip = request.endpoints.is_none_or(|(a, b)| a.ip().is_some() && b.ip().is_some());
    if !(known && mode && ends_are_ip) {
        return Err(Refused::new(Errno::EINVAL, part, "no such step"));
    }
    // NetBSD does not require the addresses of a tunnel.
    if request.mode == MODE_TUNNEL && request.endpoints.is_none() && dialect != Dialect::NetBsd {
        return Err(Refused::new(Errno::EINVAL, part, "a tunnel needs the addresses of both ends"));
    }
    if linux && request.mode >= MODE_TUNNEL && request.level == LEVEL_USE && direction == DIR_OUT {
        let reason = "an outbound tunnel cannot be optional: write require or unique instead of use";
        let versions = Some("Linux since 6.2 and its stable kernels refuse it");
        return Err(Refused { versions, ..Refused::new(Errno::EINVAL, part, reason) });
    }
    Ok(())
}

/// Checks the address families of a policy's steps, for PF_KEY; `source` is an address of its selector.
///
/// Linux' `af_key` assigns the selector's family to a transport step even behind a tunnel of the other family. The kernel then
/// finds no SA for that step, and reports a wrong length when it lists the policy. NETLINK_XFRM carries the family.
///
/// # Errors
/// The first such step.
pub fn family_change(dialect: Dialect, source: IpAddr, policy: &Policy) -> Result<(), Refused> {
    if dialect != Dialect::Linux || policy.kind != POLICY_IPSEC {
        return Ok(());
    }
    // The family of the packets as they reach each step, from the inside out.
    let mut is_ipv4 = source.is_ipv4();
    for (index, request) in policy.requests.iter().enumerate() {
        match request.endpoints.and_then(|(end, _)| end.ip()).filter(|_| request.mode == MODE_TUNNEL) {
            Some(end) => is_ipv4 = end.is_ipv4(),
            None if is_ipv4 != source.is_ipv4() => {
                let (inner, outer) = if is_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
                let reason = format!(
                    "PF_KEY of Linux cannot carry a transport step after an {outer} tunnel for {inner} packets: \
                     backend xfrm can"
                );
                return Err(Refused::new(Errno::EINVAL, RequestPart::Step(index), reason));
            }
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
