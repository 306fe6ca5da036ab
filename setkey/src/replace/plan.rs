//! Plans the steps from the present to the wanted state of a kernel: a pure function.
//!
//! Traffic that both states protect stays protected at every step: SAs are added before the policies that need them, a policy is
//! replaced in place, and entries without a statement are removed last, policies before SAs. The way back after a failure is
//! planned by the same function, from the state at that time to the previous one.

use std::collections::{HashMap, HashSet};

use libpfkey::num::POLICY_DISCARD;
use libpfkey::{Dialect, SaState};
use zeroize::Zeroizing;

use super::facts::{PolicyFacts, PolicyName, SaFacts, SaName};
use super::order::{self, Change};

/// An SA in the kernel.
#[derive(Debug)]
pub(super) struct PresentSa {
    pub(super) name: SaName,
    pub(super) facts: SaFacts,
    pub(super) state: SaState,
    /// It is removed if no statement names it.
    pub(super) removable: bool,
    /// The kernel's message about it, which contains keys.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// A policy in the kernel.
#[derive(Debug)]
pub(super) struct PresentPolicy {
    pub(super) name: PolicyName,
    pub(super) facts: PolicyFacts,
    /// Of policies of one priority, the kernel applies those with smaller numbers first. If the two numbers disagree, the order
    /// is not known.
    pub(super) rank: [u64; 2],
    pub(super) removable: bool,
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// A wanted SA.
#[derive(Debug)]
pub(super) struct WantedSa {
    pub(super) name: SaName,
    pub(super) facts: SaFacts,
    pub(super) place: Place,
    /// The message that adds it, except its sequence number.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// A wanted policy.
#[derive(Debug)]
pub(super) struct WantedPolicy {
    pub(super) name: PolicyName,
    pub(super) facts: PolicyFacts,
    pub(super) place: Place,
    /// The message that adds or replaces it, except its sequence number.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// Place of a statement: the index of the file, and the line on which the statement ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: u32,
}

/// The present state of a kernel.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) sas: Vec<PresentSa>,
    pub(super) policies: Vec<PresentPolicy>,
}

/// The wanted state, in the order of the statements.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) sas: Vec<WantedSa>,
    pub(super) policies: Vec<WantedPolicy>,
}

/// A change of the kernel's state. Numbers are indices: `sa` and `policy` into [`Wanted`], `old` into [`Present`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddSa {
        sa: usize,
    },
    /// A different SA has the same name and is deleted first. Packets are dropped in between.
    ReplaceSa {
        sa: usize,
        old: usize,
    },
    /// Only limits or ports of encapsulation differ, and the kernel changes them in place.
    UpdateSa {
        sa: usize,
    },
    /// SPDUPDATE: adds the policy, or replaces the one of its name.
    PutPolicy {
        policy: usize,
    },
    /// SPDUPDATE with the next priority: on a kernel that would keep its place, the policy leaves it, and the following step makes it
    /// the last of its own priority.
    SetAside {
        policy: usize,
    },
    RemovePolicy {
        old: usize,
    },
    RemoveSa {
        old: usize,
    },
}

/// The steps, in groups: each may start when the previous one has succeeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) groups: Vec<Vec<Step>>,
}

/// Plans the steps from the present to the wanted state.
pub(super) fn plan(dialect: Dialect, present: &Present, wanted: &Wanted) -> Plan {
    let by_name: HashMap<&SaName, usize> = first_of(present.sas.iter().map(|sa| &sa.name));
    let policies = Policies::new(dialect, present, wanted);
    let sas = (0..).zip(&wanted.sas).filter_map(|(sa, new)| {
        let Some(&old) = by_name.get(&new.name) else { return Some(Step::AddSa { sa }) };
        let present = present.sas.get(old)?;
        // A dead or larval SA carries no packets, whatever its keys.
        let serves = matches!(present.state, SaState::Mature | SaState::Dying);
        match () {
            () if !serves => Some(Step::ReplaceSa { sa, old }),
            () if present.facts == new.facts => None,
            // Other kernels accept an UPDATE only from the process that reserved the SPI, or without keys.
            () if dialect == Dialect::Linux && present.facts.differs_in_limits(&new.facts) => {
                Some(Step::UpdateSa { sa })
            }
            () => Some(Step::ReplaceSa { sa, old }),
        }
    });
    let named: HashSet<&SaName> = wanted.sas.iter().map(|sa| &sa.name).collect();
    let unnamed = |(_, sa): &(usize, &PresentSa)| sa.removable && !named.contains(&sa.name);
    let old_sas = (0..).zip(&present.sas).filter(unnamed).map(|(old, _)| Step::RemoveSa { old });
    // Policies are between new and old SAs: at each moment, every policy finds the SAs that it needs.
    let groups = [vec![sas.collect()], policies.groups(), vec![old_sas.collect()]].concat();
    Plan { groups: groups.into_iter().filter(|group: &Vec<Step>| !group.is_empty()).collect() }
}

/// Returns the index of the first entry of each name.
fn first_of<N: Eq + std::hash::Hash>(names: impl Iterator<Item = N>) -> HashMap<N, usize> {
    let mut found = HashMap::new();
    for (index, name) in (0..).zip(names) {
        found.entry(name).or_insert(index);
    }
    found
}

/// Planned changes of policies.
struct Policies<'p> {
    present: &'p [PresentPolicy],
    wanted: &'p [WantedPolicy],
    changes: Vec<Change>,
    /// No statement names them.
    unnamed: Vec<usize>,
    /// Policies that let packets pass in clear, and that the kernel would apply first while a protecting policy is moved.
    early: HashSet<usize>,
}

impl<'p> Policies<'p> {
    fn new(dialect: Dialect, present: &'p Present, wanted: &'p Wanted) -> Self {
        let (present, wanted) = (&present.policies[..], &wanted.policies[..]);
        let by_name = first_of(present.iter().map(|policy| &policy.name));
        let changes = order::changes(dialect, present, wanted, &by_name);
        let named: HashSet<&PolicyName> = wanted.iter().map(|policy| &policy.name).collect();
        let unnamed = |(_, policy): &(usize, &PresentPolicy)| policy.removable && !named.contains(&policy.name);
        let unnamed: Vec<usize> = (0..).zip(present).filter(unnamed).map(|(old, _)| old).collect();
        let early = order::early(present, wanted, &changes, &unnamed);
        Self { present, wanted, changes, unnamed, early }
    }

    /// Returns the steps in an order in which traffic that both states protect stays protected at each of them, even if an earlier
    /// step of the same group has failed.
    fn groups(&self) -> Vec<Vec<Step>> {
        let mut groups = vec![self.protecting_in_place(), self.removed_early()];
        groups.extend(self.puts());
        groups.extend(self.removed_late());
        groups
    }

    /// Returns the steps for policies that begin to protect in their place. They come first.
    fn protecting_in_place(&self) -> Vec<Step> {
        let begins = |policy: &usize| order::begins_to_protect(self.present, self.wanted, &self.changes, *policy);
        (0..self.changes.len()).filter(begins).map(|policy| Step::PutPolicy { policy }).collect()
    }

    fn removed_early(&self) -> Vec<Step> {
        let mut early: Vec<_> = self.early.iter().copied().collect();
        // A set has no order, but a plan must be reproducible.
        early.sort_unstable();
        early.into_iter().map(|old| Step::RemovePolicy { old }).collect()
    }

    /// Returns the policies that are added, replaced or moved, in the order in which the kernel applies them. Those that let packets
    /// pass wait for the preceding ones that protect them.
    fn puts(&self) -> Vec<Vec<Step>> {
        let begins = |policy| order::begins_to_protect(self.present, self.wanted, &self.changes, policy);
        let priority = |policy| self.facts(policy).map_or(0, |facts| facts.priority);
        // Whether it is set aside first, which needs a priority after its own.
        let sets_aside = |policy: usize, change: &Change| match *change {
            Change::None => None,
            Change::Put { moves: false, .. } if begins(policy) => None,
            Change::Move { old } => Some(!self.early.contains(&old) && priority(policy) != u32::MAX),
            Change::Add | Change::Put { .. } => Some(false),
        };
        let steps = (0..).zip(&self.changes).filter_map(|(policy, change)| Some((policy, sets_aside(policy, change)?)));
        let mut steps: Vec<(usize, bool)> = steps.collect();
        // The sort is stable, so policies of one priority stay in the order of the file.
        steps.sort_by_key(|(policy, _)| priority(*policy));
        let mut groups = vec![Vec::new()];
        let mut add = |step, waits: bool| {
            if waits {
                groups.push(Vec::new());
            }
            groups.last_mut().into_iter().for_each(|group| group.push(step));
        };
        let mut waits = false;
        for (policy, aside) in steps {
            let protects = self.facts(policy).is_some_and(PolicyFacts::protects);
            if aside {
                add(Step::SetAside { policy }, waits && !protects);
                // If that failed, a policy that lets packets pass would replace one that protects them.
                waits = true;
            }
            add(Step::PutPolicy { policy }, waits && !protects);
            waits = protects;
        }
        groups
    }

    fn facts(&self, policy: usize) -> Option<&PolicyFacts> {
        self.wanted.get(policy).map(|policy| &policy.facts)
    }

    /// Removes policies that let packets pass first, and those that block them last.
    fn removed_late(&self) -> Vec<Vec<Step>> {
        let mut groups = vec![Vec::new(); 3];
        for &old in self.unnamed.iter().filter(|old| !self.early.contains(old)) {
            let Some(PresentPolicy { facts, .. }) = self.present.get(old) else { continue };
            // 0 lets packets pass, 1 protects them, 2 discards them.
            let weight = usize::from(facts.protects()) + usize::from(facts.kind == POLICY_DISCARD);
            groups.get_mut(weight).into_iter().for_each(|group| group.push(Step::RemovePolicy { old }));
        }
        groups
    }
}
