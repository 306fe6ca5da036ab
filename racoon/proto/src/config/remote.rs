//! A remote block: how to speak phase 1 with a peer.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::identity::{Expected, Identity, Name};
use crate::num::{CertEncoding, ExchangeType};
use crate::proposal::Phase1Terms;

/// Where a peer is, without its port: a key by which remote blocks are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// The address.
    pub ip: IpAddr,
    /// Index of the interface of a link-local IPv6 address; 0 if none is given, and for all other addresses.
    pub zone: u32,
}

impl From<IpAddr> for PeerAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, zone: 0 }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V6(v6) if is_link_local(v6.ip()) => Self { ip: address.ip(), zone: v6.scope_id() },
            _ => Self::from(address.ip()),
        }
    }
}

/// An address that means another host on each link.
fn is_link_local(address: &Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// `remote_address` of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// This one.
    At(PeerAddress),
    /// A name stands for it that is not resolved: the block fits no peer.
    Unresolved,
}

/// A remote block.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name; of a block in the old style the text of the address, or `anonymous`.
    pub name: String,
    /// The peer's address; a block without one is anonymous and fits every peer.
    pub address: Option<RemoteAddress>,
    /// The peer's port, 0 if none is given. It is where an exchange is begun to (else port 500); of blocks that fit a peer
    /// equally well the one with the peer's port is preferred.
    pub port: u16,
    /// Exchanges that are accepted; the first one is begun with. At least one.
    pub exchange_modes: Vec<ExchangeType>,
    /// Proposals, in order of preference. At least one.
    pub proposals: Vec<Phase1Terms>,
    /// How far what a peer proposes may be from what is configured.
    pub proposal_check: CheckLevel,
    /// What we say we are.
    pub my_identifier: LocalIdentity,
    /// What the peer may say it is.
    pub peers_identifiers: Vec<Expected>,
    /// Refuse a peer that says it is something else.
    pub verify_identifier: bool,
    /// Our certificate, for signatures.
    pub certificate: Option<Certificate>,
    /// Send our certificate.
    pub send_cert: bool,
    /// Ask for the peer's certificate.
    pub send_cr: bool,
    /// This block answers certificate requests that name no issuer.
    pub match_empty_cr: bool,
    /// Check the peer's certificate.
    pub verify_cert: bool,
    /// Ask for a configuration, or as a server give one (XAUTH and mode configuration).
    pub mode_cfg: bool,
    /// Login for XAUTH as a client.
    pub xauth_login: Option<String>,
    /// Act on deletes that are not encrypted.
    pub weak_phase1_check: bool,
    /// IKE fragmentation.
    pub ike_frag: IkeFrag,
    /// Largest ESP fragment in UDP, in bytes, where the kernel can be told.
    pub esp_frag: u16,
    /// Send INITIAL-CONTACT (RFC 2407 section 4.6.3.3).
    pub initial_contact: bool,
    /// Never begin an exchange because of a packet.
    pub passive: bool,
    /// Use the identities of phase 2 as the SA's ends.
    pub support_proxy: bool,
    /// Make policies for peers that have none.
    pub generate_policy: GeneratePolicy,
    /// Where no sainfo names the peer's side, such policies are for one host or subnet that is nobody else's.
    pub generate_policy_bounds: bool,
    /// NAT traversal (RFC 3947).
    pub nat_traversal: NatTraversal,
    /// Dead peer detection (RFC 3706); without it the peer is not told that we can.
    pub dpd: Option<Dpd>,
    /// Renew phase 1 before it ends.
    pub rekey: Rekey,
    /// Length of our nonces in bytes, 8 to 256 (RFC 2409 section 5).
    pub nonce_size: u16,
    /// What a sainfo's `remoteid` has to be; 0 by default.
    pub ph1id: u32,
}

impl Remote {
    /// A block with a name, an address (or none: anonymous) and the defaults of racoon.conf for all the rest: it has yet no
    /// exchange and no proposal.
    pub fn new(name: impl Into<String>, address: Option<RemoteAddress>) -> Self {
        Self {
            name: name.into(),
            address,
            port: 0,
            exchange_modes: Vec::new(),
            proposals: Vec::new(),
            proposal_check: CheckLevel::Strict,
            my_identifier: LocalIdentity::Address,
            peers_identifiers: Vec::new(),
            verify_identifier: false,
            certificate: None,
            send_cert: true,
            send_cr: true,
            match_empty_cr: false,
            verify_cert: true,
            mode_cfg: false,
            xauth_login: None,
            weak_phase1_check: false,
            ike_frag: IkeFrag::Off,
            esp_frag: u16::MAX,
            initial_contact: true,
            passive: false,
            support_proxy: false,
            generate_policy: GeneratePolicy::Off,
            generate_policy_bounds: true,
            nat_traversal: NatTraversal::Off,
            dpd: Some(Dpd::default()),
            rekey: Rekey::On,
            nonce_size: 16,
            ph1id: 0,
        }
    }
}

/// What we say we are: `my_identifier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalIdentity {
    /// The address that the exchange has at our end.
    Address,
    /// The subject of our certificate.
    CertificateSubject,
    /// This X.501 name.
    Name(Name),
    /// This.
    Fixed(Identity),
}

/// What the choice of a block needs to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// How it is encoded in a CERT payload (RFC 2408 section 3.9).
    pub encoding: CertEncoding,
    /// Who issued it; none if the certificate has not been read: such a one answers no request that names an issuer.
    pub issuer: Option<Name>,
}

/// `proposal_check`: how far what a peer proposes may be from what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckLevel {
    /// The initiator is right.
    Obey,
    /// What the initiator proposes may be safer than configured.
    Strict,
    /// As strict; but a longer lifetime in phase 2 is cut to ours, and the initiator told so.
    Claim,
    /// What the initiator proposes is what is configured.
    Exact,
}

impl fmt::Display for CheckLevel {
    /// As racoon.conf(5) names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Obey => "obey",
            Self::Strict => "strict",
            Self::Claim => "claim",
            Self::Exact => "exact",
        })
    }
}

/// `ike_frag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IkeFrag {
    /// Neither said nor done.
    Off,
    /// Done when the peer says that it can.
    On,
    /// As an initiator done before the peer says so.
    Force,
}

/// `generate_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratePolicy {
    /// No policies are made.
    Off,
    /// Policies of level `require`.
    Require,
    /// Policies of level `unique`.
    Unique,
}

/// `nat_traversal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatTraversal {
    /// Neither said nor done.
    Off,
    /// Done when there is a NAT.
    On,
    /// Done as if there were one.
    Force,
}

/// Dead peer detection (RFC 3706).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dpd {
    /// Seconds between probes; 0: no probes, only answers.
    pub delay: u32,
    /// Seconds until an unanswered probe is sent again.
    pub retry: u32,
    /// Unanswered probes after which the peer is dead.
    pub max_fail: u32,
    /// When to probe.
    pub mode: DpdMode,
}

impl Default for Dpd {
    fn default() -> Self {
        Self { delay: 0, retry: 5, max_fail: 5, mode: DpdMode::Always }
    }
}

/// `dpd_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpdMode {
    /// After each delay.
    Always,
    /// When packets go out and none come in (RFC 3706 section 5.5).
    Traffic,
    /// When nothing came in for the delay.
    Idle,
}

/// `rekey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekey {
    /// Phase 1 ends with its lifetime.
    Off,
    /// It is renewed while it is of use.
    On,
    /// It is renewed always.
    Force,
}
