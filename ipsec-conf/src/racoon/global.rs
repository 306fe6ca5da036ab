//! Global settings of the daemon.

use std::path::Path;
use std::time::Duration;

use super::identifier::Address;
use super::place::Place;
use super::word::words;

/// The `path` directives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Directory that relative names in `include` start from.
    pub include: Option<Box<Path>>,
    /// File of pre-shared keys; without it, no key is found.
    pub pre_shared_key: Option<Box<Path>>,
    /// Directory of certificates and keys.
    pub certificate: Option<Box<Path>>,
    /// Directory of scripts.
    pub script: Option<Box<Path>>,
    /// File in which SAs are saved; `None` to save none.
    pub backupsa: Option<Box<Path>>,
    /// File of the process id, relative to the run directory; `None` for `racoon.pid`.
    pub pidfile: Option<Box<Path>>,
}

words! {
    /// Log level. Each one includes those before it.
    LogLevel {
        /// Errors.
        Error = "error",
        /// Warnings.
        Warning = "warning",
        /// Unusual events.
        Notify = "notify",
        /// Normal events.
        Info = "info",
        /// Details.
        Debug = "debug",
        /// Everything but keys.
        Debug2 = "debug2",
    }
}

/// Interface to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// NETLINK_XFRM if the kernel has it, otherwise PF_KEY.
    Auto,
    /// NETLINK_XFRM.
    Xfrm,
    /// PF_KEY.
    PfKey,
    /// An in-process key engine.
    Memory,
    /// PF_KEY messages over a UNIX socket.
    Socket(Box<Path>),
}

impl Backend {
    /// The words, each with itself as value. A path follows `socket`.
    pub(super) const WORDS: &[(&str, &str)] =
        &[("auto", "auto"), ("xfrm", "xfrm"), ("pfkey", "pfkey"), ("memory", "memory"), ("socket", "socket")];
}

/// The `padding` section: padding of encrypted ISAKMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Pad with random octets instead of zeros.
    pub randomize: bool,
    /// Add a random number of blocks.
    pub randomize_length: bool,
    /// Maximum number of such blocks, minus one.
    pub maximum_length: u8,
    /// Refuse a message whose last octet does not match its padding.
    pub strict_check: bool,
    /// The last octet, which has the length of the padding, does not count itself.
    pub exclusive_tail: bool,
}

impl Default for Padding {
    fn default() -> Self {
        Self { randomize: true, randomize_length: false, maximum_length: 20, strict_check: false, exclusive_tail: true }
    }
}

/// The `timer` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Number of transmissions of a message.
    pub counter: u32,
    /// Time between transmissions.
    pub interval: Duration,
    /// Copies of each datagram.
    pub persend: u32,
    /// Time that a phase 2 waits for its phase 1.
    pub phase1: Duration,
    /// Time that a phase 2 waits for the kernel.
    pub phase2: Duration,
    /// Time between NAT keepalives; `None` to send none.
    pub natt_keepalive: Option<Duration>,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            counter: 5,
            interval: Duration::from_secs(10),
            persend: 1,
            phase1: Duration::from_secs(30),
            phase2: Duration::from_secs(30),
            natt_keepalive: Some(Duration::from_secs(20)),
        }
    }
}

/// The `listen` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Configured sockets; if empty, every local address on ports 500 and 4500.
    pub sockets: Vec<ListenSocket>,
    /// All addresses must be present at the start, and changes are not followed.
    pub strict_address: bool,
    /// The control socket.
    pub adminsock: AdminSocket,
}

/// `isakmp` or `isakmp_natt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSocket {
    /// Where it is written.
    pub place: Place,
    /// Local address.
    pub address: Address,
    /// UDP port.
    pub port: u16,
    /// Whether it also receives ESP in UDP.
    pub natt: bool,
}

/// `adminsock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminSocket {
    /// The default path, for root only (mode 0600).
    #[default]
    Default,
    /// `disabled`.
    Disabled,
    /// A configured path.
    Path {
        /// Where it is written.
        place: Place,
        /// Name of the socket.
        path: Box<Path>,
        /// Owner, group and mode; `None` for root only (mode 0600).
        access: Option<SocketAccess>,
    },
}

/// Who may open the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    /// Owner.
    pub owner: Account,
    /// Group.
    pub group: Account,
    /// Permission bits.
    pub mode: u16,
}

/// A user or a group; names are looked up by the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By name.
    Name(Box<str>),
    /// By number.
    Id(u32),
}

/// The `privsep` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privsep {
    /// Where it begins.
    pub place: Place,
    /// User of the unprivileged process; 0 for no separation.
    pub user: Account,
    /// Its group.
    pub group: Account,
    /// Its root directory.
    pub chroot: Option<Box<Path>>,
}

/// `half_open_limit`: limits of half-open negotiations with unknown peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpenLimit {
    /// Limit for all sources together.
    pub total: u32,
    /// Limit per source address.
    pub per_source: u32,
}

impl Default for HalfOpenLimit {
    fn default() -> Self {
        Self { total: 1024, per_source: 16 }
    }
}
