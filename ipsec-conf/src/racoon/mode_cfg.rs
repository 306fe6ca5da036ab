//! What clients receive after their login, and where users are looked up.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::secret::Secret;
use super::word::words;

/// The `mode_cfg` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeCfg {
    /// First address of the pool; 0.0.0.0: none.
    pub network: Ipv4Addr,
    /// Netmask sent to clients.
    pub netmask: Ipv4Addr,
    /// Number of addresses in the pool, and so of clients.
    pub pool_size: u32,
    /// DNS servers, at most [`ModeCfg::MAX_DNS`].
    pub dns: Vec<Ipv4Addr>,
    /// WINS servers, at most [`ModeCfg::MAX_WINS`].
    pub wins: Vec<Ipv4Addr>,
    /// Networks reached through the tunnel, or excluded from it.
    pub split_network: Option<SplitNetwork>,
    /// Domains whose names the tunnel's DNS servers know.
    pub split_dns: Vec<Box<str>>,
    /// Default domain.
    pub default_domain: Box<str>,
    /// A file of at most 64 KiB.
    pub banner: Box<Path>,
    /// Where passwords are checked.
    pub auth_source: AuthSource,
    /// A user must be in one of these groups; empty: no need.
    pub auth_groups: Vec<Box<str>>,
    /// Where groups are looked up.
    pub group_source: GroupSource,
    /// Source of addresses.
    pub conf_source: ConfSource,
    /// Where accounting goes.
    pub accounting: Accounting,
    /// Delay after a failed login, which grows with each; zero: none.
    pub auth_throttle: Duration,
    /// PFS group sent to clients (Unity attribute); 0: none.
    pub pfs_group: u32,
    /// Let clients save passwords (Unity attribute).
    pub save_passwd: bool,
}

impl ModeCfg {
    /// DNS servers at most.
    pub const MAX_DNS: usize = 3;
    /// WINS servers at most.
    pub const MAX_WINS: usize = 4;
}

impl Default for ModeCfg {
    fn default() -> Self {
        Self {
            network: Ipv4Addr::UNSPECIFIED,
            netmask: Ipv4Addr::UNSPECIFIED,
            pool_size: 0,
            dns: Vec::new(),
            wins: Vec::new(),
            split_network: None,
            split_dns: Vec::new(),
            default_domain: "".into(),
            banner: Path::new("/etc/motd").into(),
            auth_source: AuthSource::System,
            auth_groups: Vec::new(),
            group_source: GroupSource::System,
            conf_source: ConfSource::Local,
            accounting: Accounting::None,
            auth_throttle: Duration::from_secs(1),
            pfs_group: 0,
            save_passwd: false,
        }
    }
}

/// `split_network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitNetwork {
    /// Which.
    pub kind: SplitKind,
    /// At least one, each once.
    pub networks: Vec<Ipv4Network>,
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv4Network {
    /// The address, as written.
    pub address: Ipv4Addr,
    /// Bits of the prefix.
    pub prefix: u8,
}

words! {
    /// Meaning of a list of networks.
    SplitKind {
        /// These go through the tunnel.
        Include = "include",
        /// These do not.
        LocalLan = "local_lan",
    }
}

words! {
    /// Where passwords are checked.
    AuthSource {
        /// The password file.
        System = "system",
        /// RADIUS.
        Radius = "radius",
        /// PAM.
        Pam = "pam",
        /// LDAP.
        Ldap = "ldap",
    }
}

words! {
    /// Where groups are looked up.
    GroupSource {
        /// The group file.
        System = "system",
        /// LDAP.
        Ldap = "ldap",
    }
}

words! {
    /// Source of addresses.
    ConfSource {
        /// The pool.
        Local = "local",
        /// RADIUS.
        Radius = "radius",
        /// LDAP.
        Ldap = "ldap",
    }
}

words! {
    /// Where accounting goes.
    Accounting {
        /// Nobody.
        None = "none",
        /// The login records.
        System = "system",
        /// RADIUS.
        Radius = "radius",
        /// PAM.
        Pam = "pam",
    }
}

/// The `ldapcfg` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ldap {
    /// Protocol, 2 or 3.
    pub version: u32,
    /// Debug level of the library.
    pub debug: u32,
    /// `None`: the library's.
    pub timeout: Option<Duration>,
    /// In place of host and port.
    pub uri: Option<Box<str>>,
    /// Server.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Where users and groups are.
    pub base: Option<Box<str>>,
    /// Below `base`, too.
    pub subtree: bool,
    /// Who asks; `None`: anonymous.
    pub bind_dn: Option<Box<str>>,
    /// Password of `bind_dn`.
    pub bind_pw: Option<Secret>,
    /// Attribute with a user's name.
    pub attr_user: Box<str>,
    /// Attribute with a user's address.
    pub attr_addr: Box<str>,
    /// Attribute with a user's mask.
    pub attr_mask: Box<str>,
    /// Attribute with a group's name.
    pub attr_group: Box<str>,
    /// Attribute with a group's members.
    pub attr_member: Box<str>,
}

impl Default for Ldap {
    fn default() -> Self {
        Self {
            version: 3,
            debug: 0,
            timeout: None,
            uri: None,
            host: "localhost".into(),
            port: 389,
            base: None,
            subtree: false,
            bind_dn: None,
            bind_pw: None,
            attr_user: "cn".into(),
            attr_addr: "racoon-address".into(),
            attr_mask: "racoon-netmask".into(),
            attr_group: "cn".into(),
            attr_member: "member".into(),
        }
    }
}

/// The `radiuscfg` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Radius {
    /// Servers that check passwords, at most [`Radius::MAX_SERVERS`]; empty: those of the system's `radius.conf`.
    pub auth: Vec<RadiusServer>,
    /// Servers that keep accounts, at most [`Radius::MAX_SERVERS`].
    pub acct: Vec<RadiusServer>,
    /// Wait for an answer.
    pub timeout: Duration,
    /// Requests to a server at most.
    pub retries: u32,
}

impl Radius {
    /// Servers of a kind at most.
    pub const MAX_SERVERS: usize = 5;
}

impl Default for Radius {
    fn default() -> Self {
        Self { auth: Vec::new(), acct: Vec::new(), timeout: Duration::from_secs(3), retries: 3 }
    }
}

/// A RADIUS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RadiusServer {
    /// Name or address.
    pub host: Box<str>,
    /// UDP port; `None`: the service's.
    pub port: Option<u16>,
    /// Shared secret.
    pub secret: Secret,
}
