//! Identity and equality of SAs and policies in a kernel.
//!
//! A request and the resulting entry of the kernel have the same facts: fields that a kernel does not store, or fills in, are
//! removed from both.

use std::fmt;
use std::net::SocketAddr;

use libpfkey::algorithm::Encryption;
use libpfkey::num::{
    DIR_FWD, DIR_IN, DIR_OUT, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MANUAL_REQID_MAX, MODE_ANY, MODE_TRANSPORT,
    MODE_TUNNEL, POLICY_BYPASS, POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE, ULPROTO_ANY,
};
use libpfkey::protocol::ipsec_protocol_name;
use libpfkey::rules::{self, PolicyKey, without_port};
use libpfkey::wire::{IpsecRequest, Lifetime, Policy, SecurityContext, SockAddr, XfrmMark, XfrmOffload, XfrmReplay};
use libpfkey::{Dialect, ExtensionType, Message, SaFlags, SaType};
use zeroize::Zeroizing;

/// Largest replay window, in packets, that the SA extension of Linux can express.
const LINUX_WINDOW_MAX: u8 = 32;

/// Key by which a kernel finds an SA; over NETLINK_XFRM it includes the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SaName {
    name: rules::SaKey,
    mark: XfrmMark,
}

/// Properties of an SA.
#[derive(PartialEq, Eq)]
pub(super) struct SaFacts {
    pub(super) sa_type: SaType,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) spi: u32,
    /// Properties that an UPDATE cannot change.
    fixed: Fixed,
    /// Properties that it can change: limits and the ports of UDP encapsulation.
    variable: Variable,
}

#[derive(PartialEq, Eq)]
struct Fixed {
    mode: u8,
    reqid: u32,
    /// Size in packets, and whether sequence numbers are extended.
    window: (u32, bool),
    flags: SaFlags,
    auth: (u8, Option<u32>),
    encrypt: u8,
    auth_key: Zeroizing<Vec<u8>>,
    encrypt_key: Zeroizing<Vec<u8>>,
    encapsulation: Option<u8>,
    label: Option<Label>,
    /// Source of its selector, unless it is any.
    inner_source: Option<(SockAddr, u8)>,
    output_mark: Option<XfrmMark>,
    if_id: Option<u32>,
    offload: Option<XfrmOffload>,
}

#[derive(PartialEq, Eq)]
struct Variable {
    limits: [Lifetime; 2],
    ports: (u16, u16),
}

/// A security label: algorithm, domain of interpretation, text.
type Label = (u8, u8, Vec<u8>);

/// Key by which a kernel finds a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PolicyName {
    pub(super) direction: u8,
    pub(super) source: (SocketAddr, u8),
    pub(super) destination: (SocketAddr, u8),
    pub(super) proto: u8,
    /// Mark and interface id, which only NETLINK_XFRM reports.
    mark: XfrmMark,
    if_id: u32,
    label: Option<Label>,
}

/// Properties of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyFacts {
    pub(super) kind: u16,
    /// 0 if the dialect has no priorities.
    pub(super) priority: u32,
    requests: Vec<IpsecRequest>,
    /// Lifetime in seconds, and lifetime when unused.
    lives: (u64, u64),
}

/// Returns the name and facts of the SA in a message; `None` if it lacks a required field.
pub(super) fn of_sa(message: &Message<'_>) -> Option<(SaName, SaFacts)> {
    let dialect = message.abi.dialect;
    let linux = dialect == Dialect::Linux;
    let sa = message.sa()?;
    let sa2 = message.sa2().copied().unwrap_or_default();
    let sa_type = message.header.sa_type;
    let key = |kind| message.key(kind).filter(|key| key.bits != 0).map_or_else(Vec::new, |key| key.bytes.to_vec());
    let kept = if linux {
        SaFlags::NOECN | SaFlags::DECAP_DSCP | SaFlags::NOPMTUDISC
    } else {
        SaFlags::from_bits_retain(0xfff)
    };
    let is_aead = sa_type == SaType::Esp && Encryption::from_number(dialect, sa.encrypt).is_aead();
    let encapsulation = message.natt_type().filter(|kind| *kind != 0);
    let port = |kind| encapsulation.and_then(|_| message.natt_port(kind)).unwrap_or(0);
    let proxy = message.address(ExtensionType::AddressProxy).filter(|proxy| proxy.prefix != 0);
    let xfrm = message.xfrm();
    let facts = SaFacts {
        sa_type,
        source: without_port(dialect, &message.source()?.sockaddr)?,
        destination: without_port(dialect, &message.destination()?.sockaddr)?,
        spi: sa.spi,
        fixed: Fixed {
            // Linux has no mode any.
            mode: if linux && sa2.mode == MODE_ANY { MODE_TRANSPORT } else { sa2.mode },
            reqid: sa2.reqid,
            window: window(message),
            flags: sa.flags & kept,
            // The BSDs add an authentication algorithm of their own to an AEAD.
            auth: (if is_aead && !linux { 0 } else { sa.auth }, xfrm.auth_trunc.map(|auth_trunc| auth_trunc.icv_bits)),
            encrypt: sa.encrypt,
            auth_key: key(ExtensionType::KeyAuth).into(),
            encrypt_key: key(ExtensionType::KeyEncrypt).into(),
            encapsulation,
            label: label(message),
            inner_source: proxy.map(|proxy| (proxy.sockaddr, proxy.prefix)),
            output_mark: xfrm.output_mark,
            if_id: xfrm.if_id,
            offload: xfrm.offload,
        },
        variable: Variable {
            limits: [ExtensionType::LifetimeHard, ExtensionType::LifetimeSoft]
                .map(|kind| message.lifetime(kind).copied().unwrap_or_default()),
            ports: (port(ExtensionType::NatTSport), port(ExtensionType::NatTDport)),
        },
    };
    let mark = xfrm.mark.unwrap_or_default();
    let name = rules::SaKey::new(dialect, (facts.sa_type, facts.source, facts.destination), facts.spi);
    Some((SaName { name, mark }, facts))
}

impl SaFacts {
    /// Returns whether an UPDATE, which on this kernel changes only limits and ports, turns one SA into the other.
    pub(super) fn differs_in_limits(&self, other: &Self) -> bool {
        let ends = |facts: &Self| (facts.sa_type, facts.source, facts.destination);
        ends(self) == ends(other) && self.fixed == other.fixed && self.variable != other.variable
    }
}

impl fmt::Debug for SaFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SaFacts {
    /// `esp 192.0.2.1 192.0.2.2 0x00001001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = ipsec_protocol_name(self.sa_type);
        write!(f, "{protocol} {} {} 0x{:08x}", self.source.ip(), self.destination.ip(), self.spi)
    }
}

/// Describes the SA or policy that conflicts with a request, by the fields that the kernel compares; `None` if the request
/// names none.
pub(crate) fn in_the_way(request: &Message<'_>) -> Option<String> {
    if let Some((name, _)) = of_policy(request) {
        return Some(format!("the kernel has a policy {name}"));
    }
    let dialect = request.abi.dialect;
    let end = |address: &SockAddr| without_port(dialect, address).map(|address| address.ip());
    let (source, destination) = (end(&request.source()?.sockaddr)?, end(&request.destination()?.sockaddr)?);
    let (protocol, spi) = (ipsec_protocol_name(request.header.sa_type), request.sa()?.spi);
    let ends = match dialect {
        // The source may differ.
        Dialect::Linux => format!("to {destination}"),
        _ => format!("from {source} to {destination}"),
    };
    let article = if request.header.sa_type == SaType::TcpSignature { "a" } else { "an" };
    Some(format!("the kernel has {article} {protocol} SA {ends} with SPI 0x{spi:08x}"))
}

/// Returns the name and facts of the policy in a message; `None` for one without a selector, such as those of sockets.
pub(super) fn of_policy(message: &Message<'_>) -> Option<(PolicyName, PolicyFacts)> {
    let dialect = message.abi.dialect;
    let policy = message.policy()?;
    let (source, destination) = (message.source()?, message.destination()?);
    let selector = PolicyKey::new(dialect, policy.direction, source, destination)?;
    let xfrm = message.xfrm();
    let name = PolicyName {
        direction: selector.direction,
        source: selector.source,
        destination: selector.destination,
        proto: selector.proto,
        mark: xfrm.mark.unwrap_or_default(),
        if_id: xfrm.if_id.unwrap_or_default(),
        label: label(message),
    };
    let lives = message.lifetime(ExtensionType::LifetimeHard).map_or((0, 0), |hard| (hard.addtime, hard.usetime));
    Some((name, PolicyFacts::new(policy, lives, dialect)))
}

impl PolicyFacts {
    fn new(policy: &Policy, lives: (u64, u64), dialect: Dialect) -> Self {
        let linux = dialect == Dialect::Linux;
        let requests: Vec<_> = match policy.kind {
            POLICY_IPSEC => policy.requests.iter().map(|request| kept(request, linux)).collect(),
            _ => Vec::new(),
        };
        // Linux does not distinguish `ipsec` without steps from `none`.
        let kind = if linux && policy.kind == POLICY_IPSEC && requests.is_empty() { POLICY_NONE } else { policy.kind };
        Self { kind, priority: if dialect.has_priority() { policy.priority } else { 0 }, requests, lives }
    }

    /// Returns whether this entry of the kernel is the result of a request.
    pub(super) fn fulfils(&self, wanted: &Self) -> bool {
        (self.kind, self.priority, self.lives) == (wanted.kind, wanted.priority, wanted.lives)
            && self.requests.len() == wanted.requests.len()
            && self.requests.iter().zip(&wanted.requests).all(|(present, wanted)| fulfils(present, wanted))
    }

    /// Returns whether packets that match it cannot pass in clear.
    pub(super) fn protects(&self) -> bool {
        !matches!(self.kind, POLICY_NONE | POLICY_BYPASS | POLICY_ENTRUST)
    }
}

/// Returns a processing step as the kernel stores it.
fn kept(request: &IpsecRequest, linux: bool) -> IpsecRequest {
    let mut kept = *request;
    if linux {
        let bare = |end: &SockAddr| without_port(Dialect::Linux, end).map_or(*end, SockAddr::Inet);
        kept.endpoints = request.endpoints.filter(|_| request.mode == MODE_TUNNEL).map(|(a, b)| (bare(&a), bare(&b)));
        kept.level = if matches!(request.level, LEVEL_USE | LEVEL_UNIQUE) { request.level } else { LEVEL_REQUIRE };
    }
    if request.level != LEVEL_UNIQUE {
        kept.reqid = 0;
    }
    kept
}

fn fulfils(present: &IpsecRequest, wanted: &IpsecRequest) -> bool {
    // The kernel chooses a reqid if none is given.
    let chosen = wanted.level == LEVEL_UNIQUE && (wanted.reqid == 0 || wanted.reqid > MANUAL_REQID_MAX);
    match chosen {
        true => present.reqid > MANUAL_REQID_MAX && IpsecRequest { reqid: wanted.reqid, ..*present } == *wanted,
        false => present == wanted,
    }
}

impl PolicyName {
    /// Returns whether some packet matches both selectors.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let any = |proto: u8| proto == ULPROTO_ANY || proto == 0;
        self.direction == other.direction
            && (any(self.proto) || any(other.proto) || self.proto == other.proto)
            && ends_overlap(self.source, other.source)
            && ends_overlap(self.destination, other.destination)
    }
}

/// Whether two ends have an address and a port in common. The crate `ipnet` would refuse prefix lengths that a kernel may report, and
/// knows no ports.
fn ends_overlap((one, one_prefix): (SocketAddr, u8), (other, other_prefix): (SocketAddr, u8)) -> bool {
    let bits = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => u128::from(v4.ip().to_bits()) << 96,
        SocketAddr::V6(v6) => v6.ip().to_bits(),
    };
    let common = u32::from(one_prefix.min(other_prefix));
    let differing = bits(one) ^ bits(other);
    let ports = one.port() == 0 || other.port() == 0 || one.port() == other.port();
    one.is_ipv4() == other.is_ipv4() && ports && differing.checked_shr(128 - common.min(128)).unwrap_or(0) == 0
}

impl fmt::Display for PolicyName {
    /// `out 10.0.0.0/8[0] 10.1.0.0/16[0] 255`, numeric as in scripts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            DIR_IN => "in",
            DIR_OUT => "out",
            DIR_FWD => "fwd",
            _ => "any",
        })?;
        for (address, prefix) in [self.source, self.destination] {
            write!(f, " {}/{prefix}", address.ip())?;
            if address.port() != 0 {
                write!(f, "[{}]", address.port())?;
            }
        }
        match self.proto {
            ULPROTO_ANY => f.write_str(" any"),
            proto => write!(f, " {proto}"),
        }
    }
}

/// Returns the size of the replay window in packets, and whether sequence numbers are extended.
fn window(message: &Message<'_>) -> (u32, bool) {
    let field = message.sa().map_or(0, |sa| sa.replay);
    if message.abi.dialect == Dialect::Linux {
        return match message.xfrm().replay {
            Some(XfrmReplay { window, esn }) => (window, esn),
            None => (field.min(LINUX_WINDOW_MAX).into(), false),
        };
    }
    let large = message.extensions.iter().find_map(|extension| match extension {
        libpfkey::Extension::SaReplay(packets) => Some(*packets),
        _ => None,
    });
    // The field is the size of the bitmap in bytes; extended sequence numbers are a flag.
    (large.unwrap_or(u32::from(field) * 8), false)
}

fn label(message: &Message<'_>) -> Option<Label> {
    message.security_context().map(|SecurityContext { algorithm, doi, label }| (*algorithm, *doi, label.to_vec()))
}
