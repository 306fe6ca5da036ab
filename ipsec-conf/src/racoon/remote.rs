//! Parameters of phase 1.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::algorithm::{AuthenticationMethod, DhGroup, Encryption, Hash};
use super::identifier::{Address, Identifier};
use super::place::Place;
use super::word::words;

/// A `remote` section, including what it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: RemoteName,
    /// Where its section begins.
    pub place: Place,
    /// Address of the peer; `None` for any ("anonymous").
    pub address: Option<RemoteAddress>,
    /// UDP port of the peer; if `None`, 500 when initiating and any when matching.
    pub port: Option<u16>,
    /// At least one; as initiator racoon uses the first, as responder it accepts any.
    pub exchange_modes: Vec<ExchangeMode>,
    /// Own identity.
    pub my_identifier: Identifier,
    /// Identities that the peer may have; empty for any.
    pub peers_identifiers: Vec<Identifier>,
    /// Refuse a peer whose identity is none of `peers_identifiers`.
    pub verify_identifier: bool,
    /// Login as a client of XAUTH; its password is in the file of pre-shared keys.
    pub xauth_login: Option<Box<str>>,
    /// Own certificate or key.
    pub certificate: Option<OwnCertificate>,
    /// The peer's certificate or keys, in place of what it sends.
    pub peers_certificate: Option<PeersCertificate>,
    /// Certification authorities besides those in the directory `path certificate`.
    pub trust: Trust,
    /// What to do when a certification authority's revocation list is missing.
    pub crl_policy: CrlPolicy,
    /// As a client: ask for an address after the login.
    pub mode_cfg: bool,
    /// Accept unencrypted delete payloads.
    pub weak_phase1_check: bool,
    /// Programs to run.
    pub scripts: Scripts,
    /// Send the own certificate.
    pub send_cert: bool,
    /// Ask for the peer's certificate.
    pub send_cr: bool,
    /// Match a certificate request that names no issuer.
    pub match_empty_cr: bool,
    /// Check the peer's certificate, and its identity against it.
    pub verify_cert: bool,
    /// IKE fragmentation.
    pub ike_frag: Ternary,
    /// Size, in octets, above which ESP in UDP is fragmented before encryption.
    pub esp_frag: u16,
    /// Send INITIAL-CONTACT.
    pub initial_contact: bool,
    /// Never initiate on an acquire.
    pub passive: bool,
    /// How different values of the peer are treated.
    pub proposal_check: ProposalCheck,
    /// Always use the phase 2 identities as the endpoints of an SA.
    pub support_proxy: bool,
    /// Generate policies for peers as a responder.
    pub generate_policy: GeneratePolicy,
    /// Limit generated policies to one host or subnet that no other peer has, where no sainfo names the peer's side.
    pub generate_policy_bounds: bool,
    /// NAT traversal.
    pub nat_traversal: Ternary,
    /// Announce and answer dead peer detection.
    pub dpd: bool,
    /// Time between probes; `None` for no probes.
    pub dpd_delay: Option<Duration>,
    /// Time until an unanswered probe is repeated.
    pub dpd_retry: Duration,
    /// Number of unanswered probes after which the peer is dead.
    pub dpd_maxfail: u32,
    /// When to probe.
    pub dpd_mode: DpdMode,
    /// Renewal of phase 1.
    pub rekey: Ternary,
    /// Length of a nonce in octets.
    pub nonce_size: u16,
    /// Value that a sainfo's `remoteid` must equal.
    pub ph1id: u32,
    /// Lifetime of a phase 1 whose proposal has none.
    pub lifetime: Duration,
    /// At least one, the preferred first.
    pub proposals: Vec<Proposal>,
}

/// The name of a `remote` section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteName {
    /// `remote "name"`.
    Quoted(Box<str>),
    /// `remote ADDRESS [port]`.
    Address(Address, Option<u16>),
    /// `remote anonymous [port]`.
    Anonymous(Option<u16>),
}

/// A peer's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteAddress {
    /// A numeric one.
    Numeric(Address),
    /// A name to resolve.
    Host(Box<str>),
}

/// A `proposal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Where it begins.
    pub place: Place,
    /// Cipher.
    pub encryption: Encryption,
    /// Hash.
    pub hash: Hash,
    /// Authentication.
    pub method: AuthenticationMethod,
    /// Diffie-Hellman group.
    pub dh_group: DhGroup,
    /// Lifetime of the phase 1, the proposal's own or else the remote's.
    pub lifetime: Duration,
}

/// `certificate_type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnCertificate {
    /// Files in PEM, DER or PKCS#12.
    X509 {
        /// The certificate, perhaps followed by those of intermediate authorities.
        certificate: Box<Path>,
        /// The private key; the same file in case of PKCS#12.
        key: Box<Path>,
        /// The file of the passphrase, if it is encrypted.
        passphrase: Option<Passphrase>,
    },
    /// A file with a private key, see [`crate::plainrsa`].
    PlainRsa(Box<Path>),
}

/// Where a passphrase is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passphrase {
    /// `passphrase "FILE"`.
    File(Box<Path>),
    /// `passphrase credential "NAME"`: a credential of systemd, see systemd.exec(5).
    Credential(Box<str>),
}

impl Passphrase {
    /// Returns the path of its file, given the directory of credentials; `None` without one.
    pub fn path(&self, credentials: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.to_path_buf()),
            Self::Credential(name) => credentials.map(|directory| directory.join(&**name)),
        }
    }
}

/// `peers_certfile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeersCertificate {
    /// A PEM file.
    X509(Box<Path>),
    /// A file with public keys, see [`crate::plainrsa`].
    PlainRsa(Box<Path>),
}

/// `ca_type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// A PEM file with certificates of authorities.
    pub file: Option<Box<Path>>,
    /// Whether the system's certificates are trusted too.
    pub system: bool,
}

/// Programs to run at events of phase 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// `phase1_up`.
    pub up: Option<Box<Path>>,
    /// `phase1_down`.
    pub down: Option<Box<Path>>,
    /// `phase1_dead`.
    pub dead: Option<Box<Path>>,
}

words! {
    /// An exchange of phase 1.
    ExchangeMode {
        /// Identity protection.
        Main = "main",
        /// Three messages, identities in clear.
        Aggressive = "aggressive",
        /// Four messages, identities in clear.
        Base = "base",
    }
}

words! {
    /// A switch with a third position.
    Ternary {
        /// Off.
        Off = "off",
        /// On, if the peer supports it.
        On = "on",
        /// On, regardless of the peer.
        Force = "force",
    }
}

words! {
    /// How different lifetimes, key lengths and PFS groups of the peer are treated.
    ProposalCheck {
        /// The peer's values are accepted.
        Obey = "obey",
        /// Values at least as strict as our own are accepted.
        Strict = "strict",
        /// As `strict`, but a longer lifetime is shortened and the peer is notified.
        Claim = "claim",
        /// Only equal values are accepted.
        Exact = "exact",
    }
}

words! {
    /// Whether and with which level policies are generated for peers.
    GeneratePolicy {
        /// None.
        Off = "off",
        /// Level require.
        Require = "require" | "on",
        /// Level unique.
        Unique = "unique",
    }
}

words! {
    /// When a peer is probed.
    DpdMode {
        /// Every `dpd_delay`.
        Always = "always",
        /// When packets go out and none come in (RFC 3706, section 5.5).
        Traffic = "traffic",
        /// When nothing came in for `dpd_delay`.
        Idle = "idle",
    }
}

words! {
    /// What to do without a revocation list.
    CrlPolicy {
        /// Accept the certificate.
        Optional = "optional",
        /// Refuse it.
        Require = "require",
    }
}
