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
//! removal, or refused the request. So the kernel may or may not have an entry without `present`, and what equals it there may
//! be another program's: [`ListedPolicy::is`] and [`ListedSa::is`] then also compare the age. Times are seconds since 1970.
//!
//! A selector is source and destination prefix, upper-layer protocol (`any` or a number), source and destination port (0: any).
//! The policy's priority, the time, and its action follow: `discard`, `pass`, or `protect` with a template for each SA, the
//! innermost first. A template is protocol, mode, level and reqid, in tunnel mode also the two tunnel endpoints. A file of
//! another boot or network namespace than the kernel's lists nothing that still exists.

mod text;

use std::collections::HashMap;
use std::net::SocketAddr;

pub use text::{FormatError, SKIPPED_MAX, SkippedLine, StateFile};

use crate::policy::Action;
use crate::sa::{InstalledSa, Mode, SaId};
use crate::security_policy::{InstalledPolicy, PolicyId, PolicySpec, Template};
use crate::selector::{Selector, SelectorAddress};

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

/// Listed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPolicy {
    /// The policy, in the form of [`listed_policy`].
    pub spec: PolicySpec,
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

/// Listed SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSa {
    /// Its name, in the form of [`listed_sa`].
    pub id: SaId,
    /// Its mode.
    pub mode: Mode,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// When it was about to be requested, in seconds since 1970.
    pub requested: u64,
    /// When the kernel had confirmed it, in seconds since 1970; `None` as long as it has not.
    pub confirmed: Option<u64>,
}

/// Returns a policy in the form of the file: no lifetimes, no zones of addresses, and of the templates in tunnel mode the
/// addresses without ports. Policies in the kernel are compared in this form. Mark, label and interface stay as in the kernel:
/// no record has them, so an entry with a mark, label or interface is never racoon's.
pub fn listed_policy(spec: &PolicySpec) -> PolicySpec {
    let (action, templates) = match spec.action {
        Some(Action::Ipsec) => (Action::Ipsec, spec.templates.iter().map(listed_template).collect()),
        // Templates of another action have no effect.
        Some(Action::Discard) | None => (Action::Discard, Vec::new()),
        Some(Action::None | Action::Bypass | Action::Entrust) => (Action::None, Vec::new()),
    };
    PolicySpec {
        id: listed_id(&spec.id),
        action: Some(action),
        // Where the kernel has no priorities, the file has 0.
        priority: Some(spec.priority.unwrap_or(0)),
        templates,
        lifetime: 0,
        idle_lifetime: 0,
    }
}

/// Returns the name under which a policy is listed: without the zones of its addresses; mark, label and interface as in the
/// kernel.
pub fn listed_id(id: &PolicyId) -> PolicyId {
    let end = |end: SelectorAddress| SelectorAddress {
        address: SocketAddr::new(end.address.ip(), end.address.port()),
        prefix_len: end.prefix_len,
    };
    let Selector { source, destination, protocol } = id.selector;
    PolicyId { selector: Selector { source: end(source), destination: end(destination), protocol }, ..id.clone() }
}

/// Returns the name under which an SA is listed: without zones, and without the ports of UDP encapsulation; the mark as in
/// the kernel.
pub fn listed_sa(id: &SaId) -> SaId {
    SaId { mark: id.mark, ..SaId::new(id.sa_type, id.source.ip(), id.destination.ip(), id.spi) }
}

fn listed_template(template: &Template) -> Template {
    let Template { sa_type, level, .. } = *template;
    let mode = listed_mode(template.mode);
    // In transport mode kernels show no endpoints, or those of the packet.
    match template.endpoints.filter(|_| mode == Mode::Tunnel) {
        Some((source, destination)) => Template::tunnel(sa_type, source.ip(), destination.ip(), level),
        None => Template { sa_type, mode, level, endpoints: None },
    }
}

fn listed_mode(mode: Mode) -> Mode {
    if mode == Mode::Tunnel { Mode::Tunnel } else { Mode::Transport }
}

/// One line behind the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The kernel is about to be asked for a policy. Its [`ListedPolicy::confirmed`] is not part of the record.
    PolicyRequest(ListedPolicy),
    /// The kernel has confirmed the policy.
    PolicyPresent(PolicyId, Confirmation),
    /// The kernel has removed the policy, or refused to add it.
    PolicyGone(PolicyId),
    /// The kernel is about to be asked for an SA. Its [`ListedSa::confirmed`] is not part of the record.
    SaRequest(ListedSa),
    /// The kernel has confirmed the SA, at this time.
    SaPresent(SaId, u64),
    /// The kernel has removed the SA, or refused to add it.
    SaGone(SaId),
}

/// What the records of a file amount to: policies and SAs that the kernel has, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// Policies by their names, in the form of [`listed_id`].
    pub policies: HashMap<PolicyId, ListedPolicy>,
    /// SAs by their names, in the form of [`listed_sa`].
    pub sas: HashMap<SaId, ListedSa>,
}

impl KernelState {
    /// Applies a record. Returns `false` if it concerns an entry that is not listed, and changes nothing then.
    pub fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::PolicyRequest(entry) => {
                self.policies.insert(entry.spec.id.clone(), ListedPolicy { confirmed: None, ..entry });
                true
            }
            Record::PolicyPresent(id, confirmation) => {
                self.policies.get_mut(&id).map(|entry| entry.confirmed = Some(confirmation)).is_some()
            }
            Record::PolicyGone(id) => self.policies.remove(&id).is_some(),
            Record::SaRequest(entry) => {
                self.sas.insert(entry.id, ListedSa { confirmed: None, ..entry });
                true
            }
            Record::SaPresent(id, time) => self.sas.get_mut(&id).map(|entry| entry.confirmed = Some(time)).is_some(),
            Record::SaGone(id) => self.sas.remove(&id).is_some(),
        }
    }

    /// Returns the records of a new file with the same meaning.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let policies = self.policies.values().flat_map(|entry| {
            let present =
                entry.confirmed.map(|confirmation| Record::PolicyPresent(entry.spec.id.clone(), confirmation));
            [Record::PolicyRequest(entry.clone())].into_iter().chain(present)
        });
        let sas = self.sas.values().flat_map(|entry| {
            let present = entry.confirmed.map(|time| Record::SaPresent(entry.id, time));
            [Record::SaRequest(entry.clone())].into_iter().chain(present)
        });
        policies.chain(sas)
    }

    /// Returns whether a policy in the kernel is a listed one.
    pub fn has_policy(&self, policy: &InstalledPolicy) -> bool {
        self.policies.get(&listed_id(&policy.spec.id)).is_some_and(|entry| entry.is(policy))
    }

    /// Returns whether an SA in the kernel is a listed one.
    pub fn has_sa(&self, sa: &InstalledSa) -> bool {
        self.sas.get(&listed_sa(&sa.spec.id)).is_some_and(|entry| entry.is(sa))
    }
}

impl ListedPolicy {
    /// A policy that is about to be requested at a time in seconds since 1970.
    pub fn new(spec: &PolicySpec, requested: u64) -> Self {
        Self { spec: listed_policy(spec), requested, confirmed: None }
    }

    /// Returns whether the kernel's policy is this one. Besides all that the policy says, its index must be the confirmed one,
    /// and its age must fit: a kernel may keep the index of a policy that another program replaced. As long as the request is
    /// not confirmed, a policy that equals it but is older, or of unknown age, is another program's, for which the kernel
    /// refused ours.
    pub fn is(&self, policy: &InstalledPolicy) -> bool {
        // The BSDs do not show the age of a policy: it is 0 there.
        let added = Some(policy.current.addtime).filter(|added| *added != 0);
        let begun = |added: u64| self.requested <= added.saturating_add(CLOCK_TOLERANCE);
        let same = match self.confirmed {
            None => added.is_some_and(begun),
            // An index of 0 was recorded where the kernel told none: any is right then.
            Some(Confirmation { index, time }) => {
                let ended = |added| added <= time.saturating_add(CLOCK_TOLERANCE);
                [0, policy.index].contains(&index) && added.is_none_or(|added| begun(added) && ended(added))
            }
        };
        same && self.spec == listed_policy(&policy.spec)
    }

    /// Returns whether a policy does the same to its packets as this one, whatever its priority.
    pub fn has_action_of(&self, policy: &InstalledPolicy) -> bool {
        let other = listed_policy(&policy.spec);
        (self.spec.action, &self.spec.templates) == (other.action, &other.templates)
    }
}

impl ListedSa {
    /// Returns whether the kernel's SA is this one: it was not added before it was requested, nor after it was confirmed.
    pub fn is(&self, sa: &InstalledSa) -> bool {
        let added = sa.current.addtime;
        let begun = self.requested <= added.saturating_add(CLOCK_TOLERANCE);
        let ended = self.confirmed.is_none_or(|time| added <= time.saturating_add(CLOCK_TOLERANCE));
        let InstalledSa { spec, .. } = sa;
        let same = (self.id, self.mode, self.reqid) == (listed_sa(&spec.id), listed_mode(spec.mode), spec.reqid);
        same && begun && ended
    }
}

#[cfg(test)]
mod tests;
