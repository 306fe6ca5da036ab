//! The list of what racoon has in the kernel: the format of its state file.
//!
//! racoon writes it so that its next start, and `setkey --replace`, can tell racoon's policies and SAs from those of others.
//! The file holds no keys. It is text, one record a line; records are only appended, and a later one supersedes an earlier one
//! about the same policy or SA:
//!
//! ```text
//! racoon-kernel-state 1 boot=BOOT namespace=NAMESPACE
//! policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 2147483648 1764444444 protect esp,tunnel,require,0,192.0.2.1,192.0.2.2
//! policy present out 10.0.0.0/24 10.1.0.0/24 any 0 0 4321 1764444444
//! policy gone out 10.0.0.0/24 10.1.0.0/24 any 0 0
//! sa request esp 192.0.2.1 192.0.2.2 0x01234567 tunnel 0 1764444444
//! sa present esp 192.0.2.1 192.0.2.2 0x01234567 1764444445
//! sa gone esp 192.0.2.1 192.0.2.2 0x01234567
//! ```
//!
//! `request` is written before the kernel is asked, `present` after it has confirmed, and `gone` after it has confirmed a
//! removal, or refused the request. So an entry without `present` may be in the kernel or not, and what looks like it there may
//! be somebody else's: [`PolicyEntry::is`] and [`SaEntry::is`] then also compare the age. Times are seconds since 1970.
//!
//! A selector is source and destination prefix, upper-layer protocol (`any` or a number), source and destination port (0: any);
//! behind it come the policy's priority, the time, and its action: `discard`, `pass`, or `protect` with a template for each SA,
//! the innermost first. A template is protocol, mode, level and reqid, in tunnel mode also the two tunnel endpoints. What is
//! listed for another boot or network namespace than the kernel's is void.

mod text;

use std::collections::HashMap;
use std::net::IpAddr;

pub use text::{FormatError, SKIPPED_MAX, SkippedLine, StateFile};

/// Version of the format, in the first line.
pub const VERSION: u32 = 1;

/// Largest length of a line in bytes, newline included.
pub const LINE_MAX: usize = 2048;

/// Largest number of templates of a policy.
pub const TEMPLATES_MAX: usize = 8;

/// Seconds by which a kernel's clock of ages may differ from the clock of the records: both are read in whole seconds, and the
/// kernel's coarse clock lags.
const CLOCK_TOLERANCE: u64 = 2;

/// What a list is valid for. Either text has no blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelId {
    /// Identifies the boot: all SAs and policies are lost when it ends.
    pub boot: String,
    /// Identifies the network namespace, `-` where there are none.
    pub namespace: String,
}

/// IPsec protocol of an SA or template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Authentication header.
    Ah,
    /// Encapsulating security payload.
    Esp,
    /// IP payload compression.
    Ipcomp,
}

/// Mode of an SA or template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Transport mode.
    Transport,
    /// Tunnel mode.
    Tunnel,
}

/// Direction of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// Forwarded by this host (Linux).
    Forward,
}

/// Level of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The system's default.
    Default,
    /// Use an SA if there is one.
    Use,
    /// An SA is required.
    Require,
    /// An SA that serves no other policy is required.
    Unique,
}

/// Address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Its address; the bits behind the prefix are zero in what racoon writes.
    pub address: IpAddr,
    /// Its length in bits.
    pub length: u8,
}

/// Packets that a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Source addresses.
    pub source: Prefix,
    /// Destination addresses.
    pub destination: Prefix,
    /// Upper-layer protocol, 0 for any.
    pub protocol: u8,
    /// Source port or ICMP type, 0 for any.
    pub source_port: u16,
    /// Destination port or ICMP code, 0 for any.
    pub destination_port: u16,
}

/// SA that a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its mode.
    pub mode: Mode,
    /// Its level.
    pub level: Level,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// Source and destination of the SA; only in tunnel mode.
    pub endpoints: Option<(IpAddr, IpAddr)>,
}

/// What a policy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drops packets.
    Discard,
    /// Lets packets pass unprotected.
    Pass,
    /// Protects packets by these SAs, the innermost first.
    Protect(Vec<Template>),
}

/// What identifies a policy in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyKey {
    /// Its direction.
    pub direction: Direction,
    /// Its selector.
    pub selector: Selector,
}

/// Listed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    /// What identifies it.
    pub key: PolicyKey,
    /// What it does.
    pub action: Action,
    /// Its priority; 0 where the kernel has none.
    pub priority: u32,
    /// When it was about to be requested, in seconds since 1970.
    pub requested: u64,
    /// How the kernel confirmed it; `None` as long as it has not.
    pub confirmed: Option<Confirmation>,
}

/// The kernel's confirmation of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The policy's index, 0 if the kernel told none.
    pub index: u32,
    /// When it came, in seconds since 1970.
    pub time: u64,
}

/// Policy as a kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInKernel {
    /// What identifies it.
    pub key: PolicyKey,
    /// What it does.
    pub action: Action,
    /// Its priority; 0 where the kernel has none.
    pub priority: u32,
    /// Its index.
    pub index: u32,
    /// When it was added, in seconds since 1970, where the kernel tells that.
    pub added: Option<u64>,
}

/// What identifies an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SaKey {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its SPI, in host byte order.
    pub spi: u32,
}

/// Listed SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaEntry {
    /// What identifies it.
    pub key: SaKey,
    /// Its mode.
    pub mode: Mode,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// When it was about to be requested, in seconds since 1970.
    pub requested: u64,
    /// When the kernel had confirmed it, in seconds since 1970; `None` as long as it has not.
    pub confirmed: Option<u64>,
}

/// SA as a kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaInKernel {
    /// What identifies it.
    pub key: SaKey,
    /// Its mode.
    pub mode: Mode,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// When it was added, in seconds since 1970.
    pub added: u64,
}

/// One line behind the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The kernel is about to be asked for a policy. Its [`PolicyEntry::confirmed`] is not part of the record.
    PolicyRequest(PolicyEntry),
    /// The kernel has confirmed the policy.
    PolicyPresent(PolicyKey, Confirmation),
    /// The kernel has removed the policy, or refused to add it.
    PolicyGone(PolicyKey),
    /// The kernel is about to be asked for an SA. Its [`SaEntry::confirmed`] is not part of the record.
    SaRequest(SaEntry),
    /// The kernel has confirmed the SA, at this time.
    SaPresent(SaKey, u64),
    /// The kernel has removed the SA, or refused to add it.
    SaGone(SaKey),
}

/// What the records of a file amount to: policies and SAs that the kernel has, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// Policies by what identifies them.
    pub policies: HashMap<PolicyKey, PolicyEntry>,
    /// SAs by what identifies them.
    pub sas: HashMap<SaKey, SaEntry>,
}

impl KernelState {
    /// Takes a record into account. False: it is about something that is not listed, and changes nothing.
    pub fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::PolicyRequest(entry) => {
                self.policies.insert(entry.key, PolicyEntry { confirmed: None, ..entry });
                true
            }
            Record::PolicyPresent(key, confirmation) => {
                self.policies.get_mut(&key).map(|entry| entry.confirmed = Some(confirmation)).is_some()
            }
            Record::PolicyGone(key) => self.policies.remove(&key).is_some(),
            Record::SaRequest(entry) => {
                self.sas.insert(entry.key, SaEntry { confirmed: None, ..entry });
                true
            }
            Record::SaPresent(key, time) => self.sas.get_mut(&key).map(|entry| entry.confirmed = Some(time)).is_some(),
            Record::SaGone(key) => self.sas.remove(&key).is_some(),
        }
    }

    /// The records of a new file with the same meaning.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let policies = self.policies.values().flat_map(|entry| {
            let present = entry.confirmed.map(|confirmation| Record::PolicyPresent(entry.key, confirmation));
            [Record::PolicyRequest(entry.clone())].into_iter().chain(present)
        });
        let sas = self.sas.values().flat_map(|entry| {
            let present = entry.confirmed.map(|time| Record::SaPresent(entry.key, time));
            [Record::SaRequest(entry.clone())].into_iter().chain(present)
        });
        policies.chain(sas)
    }

    /// Whether a policy in the kernel is a listed one.
    pub fn has_policy(&self, policy: &PolicyInKernel) -> bool {
        self.policies.get(&policy.key).is_some_and(|entry| entry.is(policy))
    }

    /// Whether an SA in the kernel is a listed one.
    pub fn has_sa(&self, sa: &SaInKernel) -> bool {
        self.sas.get(&sa.key).is_some_and(|entry| entry.is(sa))
    }
}

impl PolicyEntry {
    /// Whether the kernel's policy is this one. Besides all that the policy says, its index must be the confirmed one, and its
    /// age must fit: a kernel may keep the index of a policy that somebody replaced. As long as the request is not confirmed,
    /// a policy that equals it but is older, or of unknown age, is somebody else's, for which the kernel refused ours.
    pub fn is(&self, policy: &PolicyInKernel) -> bool {
        let equal = self.key == policy.key && self.action == policy.action && self.priority == policy.priority;
        let begun = |added: u64| self.requested <= added.saturating_add(CLOCK_TOLERANCE);
        let same = match self.confirmed {
            None => policy.added.is_some_and(begun),
            Some(Confirmation { index, time }) => {
                let ended = |added| added <= time.saturating_add(CLOCK_TOLERANCE);
                [0, policy.index].contains(&index) && policy.added.is_none_or(|added| begun(added) && ended(added))
            }
        };
        equal && same
    }
}

impl SaEntry {
    /// Whether the kernel's SA is this one: it was not added before it was requested, nor after it was confirmed.
    pub fn is(&self, sa: &SaInKernel) -> bool {
        let begun = self.requested <= sa.added.saturating_add(CLOCK_TOLERANCE);
        let ended = self.confirmed.is_none_or(|time| sa.added <= time.saturating_add(CLOCK_TOLERANCE));
        self.key == sa.key && self.mode == sa.mode && self.reqid == sa.reqid && begun && ended
    }
}

#[cfg(test)]
mod tests;
