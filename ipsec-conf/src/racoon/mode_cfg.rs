//! Settings that clients receive after their login, and sources of users.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::secret::Secret;
use super::word::words;

/// The `mode_cfg` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeCfg {
    /// First address of the pool; 0.0.0.0 for none.
    pub network: Ipv4Addr,
    /// Netmask sent to clients.
    pub netmask: Ipv4Addr,
    /// Number of addresses in the pool, which limits the number of clients.
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
    /// File with the text that clients show after the login, at most 64 KiB.
    pub banner: Box<Path>,
    /// Where passwords are checked.
    pub auth_source: AuthSource,
    /// Groups of which a user must be in one; empty for no restriction.
    pub auth_groups: Vec<Box<str>>,
    /// Where groups are looked up.
    pub group_source: GroupSource,
    /// Source of addresses.
    pub conf_source: ConfSource,
    /// Where accounting goes.
    pub accounting: Accounting,
    /// Delay after a failed login, which grows with each failure; 0 for none.
    pub auth_throttle: Duration,
    /// PFS group sent to clients (Unity attribute); 0 for none.
    pub pfs_group: u32,
    /// Let clients save passwords (Unity attribute).
    pub save_passwd: bool,
}

impl ModeCfg {
    /// Maximum number of DNS servers.
    pub const MAX_DNS: usize = 3;
    /// Maximum number of WINS servers.
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
    /// Whether they are reached through the tunnel.
    pub kind: SplitKind,
    /// The networks, at least one and each once.
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
        /// Only these networks are reached through the tunnel.
        Include = "include",
        /// These networks are not reached through the tunnel.
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
        /// No accounting.
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
    /// Timeout; `None` for the library's.
    pub timeout: Option<Duration>,
    /// URI, which replaces host and port.
    pub uri: Option<Box<str>>,
    /// Name or address of the server.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Entry below which users and groups are searched.
    pub base: Option<Box<str>>,
    /// Whether the whole tree below `base` is searched.
    pub subtree: bool,
    /// Name to bind as; `None` for anonymous.
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
    /// Servers that check passwords, at most [`Radius::MAX_SERVERS`]; if empty, those of the system's `radius.conf`.
    pub auth: Vec<RadiusServer>,
    /// Servers that keep accounts, at most [`Radius::MAX_SERVERS`].
    pub acct: Vec<RadiusServer>,
    /// Time to wait for a reply.
    pub timeout: Duration,
    /// Maximum number of requests to a server.
    pub retries: u32,
}

impl Radius {
    /// Maximum number of servers of each kind.
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
    /// UDP port; `None` for the service's default.
    pub port: Option<u16>,
    /// Shared secret.
    pub secret: Secret,
}
