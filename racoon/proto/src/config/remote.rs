//! A remote section: how to negotiate phase 1 with a peer.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::credentials::{OwnKey, Trust};
use crate::identity::{Expected, Identity, Name};
use crate::num::{AuthMethod, CertEncoding, ExchangeType};
use crate::proposal::Phase1Terms;

/// The address of a peer without its port: a key by which remote sections are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface index of a link-local IPv6 address; 0 if none is given, and for all other addresses.
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

/// Whether an address is link-local, so that it means another host on each link.
fn is_link_local(address: &Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// The `remote_address` of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// A fixed address.
    At(PeerAddress),
    /// A host name that was not resolved: the section matches no peer.
    Unresolved,
}

/// A remote section.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The name; in the old style the text of the address, or `anonymous`.
    pub name: String,
    /// The peer's address; a section without one is anonymous and matches every peer.
    pub address: Option<RemoteAddress>,
    /// The peer's port; 0 if none is given, which means 500. Among sections that match a peer equally well, the one with its port is
    /// selected.
    pub port: u16,
    /// The accepted exchanges, at least one. We begin the first of them.
    pub exchange_modes: Vec<ExchangeType>,
    /// The proposals in order of preference, at least one.
    pub proposals: Vec<Phase1Terms>,
    /// How far a peer's proposal may differ from the configured ones.
    pub proposal_check: CheckLevel,
    /// Our identity.
    pub my_identifier: LocalIdentity,
    /// The identities that the peer may have.
    pub peers_identifiers: Vec<Expected>,
    /// Whether a peer with another identity is refused.
    pub verify_identifier: bool,
    /// Our private key. Methods with signatures are neither offered nor accepted without one.
    pub own_key: Option<Arc<OwnKey>>,
    /// Our certificate, for signatures.
    pub certificate: Option<OwnCertificate>,
    /// Whose word is taken for the peer's public key.
    pub trust: Arc<Trust>,
    /// DER of the names of the authorities whose certificates are requested from the peer; without one, none is requested.
    pub authorities: Vec<Vec<u8>>,
    /// Whether our certificate is sent.
    pub send_cert: bool,
    /// Whether the peer's certificate is requested.
    pub send_cr: bool,
    /// Whether the section matches certificate requests without an issuer.
    pub match_empty_cr: bool,
    /// Whether a configuration is requested, or as a server provided (XAUTH and mode configuration).
    pub mode_cfg: bool,
    /// The login for XAUTH as a client.
    pub xauth_login: Option<String>,
    /// Whether unencrypted deletes are obeyed.
    pub weak_phase1_check: bool,
    /// IKE fragmentation.
    pub ike_frag: IkeFrag,
    /// The size of the largest ESP fragment in UDP, in bytes, if the kernel supports it.
    pub esp_frag: u16,
    /// Whether INITIAL-CONTACT is sent (RFC 2407 section 4.6.3.3).
    pub initial_contact: bool,
    /// Whether this host only responds: no acquire begins an exchange.
    pub passive: bool,
    /// Whether the identities of phase 2 may be the endpoints of the SAs.
    pub support_proxy: bool,
    /// Whether, and how, policies are generated for peers that have none.
    pub generate_policy: GeneratePolicy,
    /// Whether generated policies are limited to one host or subnet that no other peer has, unless a sainfo names the peer's side.
    pub generate_policy_bounds: bool,
    /// NAT traversal (RFC 3947).
    pub nat_traversal: NatTraversal,
    /// Dead peer detection (RFC 3706); without it we do not announce support for it.
    pub dpd: Option<Dpd>,
    /// Whether phase 1 is renewed before it ends.
    pub rekey: Rekey,
    /// Length of our nonces in bytes, 8 to 256 (RFC 2409 section 5).
    pub nonce_size: u16,
    /// The `remoteid` that a sainfo must have; 0 by default.
    pub ph1id: u32,
}

impl Remote {
    /// A section with a name, an address (or none: anonymous) and the defaults of racoon.conf for everything else, without exchanges
    /// and proposals.
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
            own_key: None,
            certificate: None,
            trust: Arc::new(Trust { verify_cert: true, ..Trust::default() }),
            authorities: Vec::new(),
            send_cert: true,
            send_cr: true,
            match_empty_cr: false,
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

    /// Whether a method can be used with this peer: signatures need a private key.
    pub fn can_use(&self, method: AuthMethod) -> bool {
        !method.is_signature() || self.own_key.is_some()
    }
}

/// Our identity: `my_identifier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalIdentity {
    /// Our address in the exchange.
    Address,
    /// The subject of our certificate.
    CertificateSubject,
    /// An X.501 name.
    Name(Name),
    /// A fixed identity.
    Fixed(Identity),
}

/// Our certificate: what the selection of a section depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// Its encoding in a CERT payload (RFC 2408 section 3.9).
    pub encoding: CertEncoding,
    /// Its issuer; `None` if the certificate has not been read, so that it matches no request with an issuer.
    pub issuer: Option<Name>,
    /// DER of its subject; `None` if the certificate has not been read.
    pub subject: Option<Vec<u8>>,
}

/// `proposal_check`: how far a peer's proposal may differ from the configured ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckLevel {
    /// `obey`: the values of the initiator are used.
    Obey,
    /// `strict`: the initiator's values may be safer than the configured ones.
    Strict,
    /// `claim`: like strict, but a longer lifetime in phase 2 is reduced to ours, and the initiator is notified.
    Claim,
    /// `exact`: the initiator's values must be the configured ones.
    Exact,
}

impl fmt::Display for CheckLevel {
    /// The name in racoon.conf(5).
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
    /// Neither announced nor used.
    Off,
    /// Used if the peer announces it.
    On,
    /// Used by an initiator even before the peer announces it.
    Force,
}

/// `generate_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratePolicy {
    /// No policies are generated.
    Off,
    /// Policies of level `require`.
    Require,
    /// Policies of level `unique`.
    Unique,
}

/// `nat_traversal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatTraversal {
    /// Neither announced nor used.
    Off,
    /// Used if there is a NAT.
    On,
    /// Used as if there were a NAT.
    Force,
}

/// Dead peer detection (RFC 3706).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dpd {
    /// Seconds between probes; 0: no probes, only answers.
    pub delay: u32,
    /// Seconds until an unanswered probe is repeated.
    pub retry: u32,
    /// Unanswered probes after which the peer counts as dead.
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
    /// When packets are sent and none are received (RFC 3706 section 5.5).
    Traffic,
    /// When nothing was received during the delay.
    Idle,
}

/// `rekey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekey {
    /// Phase 1 ends with its lifetime.
    Off,
    /// It is renewed while it is in use.
    On,
    /// It is always renewed.
    Force,
}
