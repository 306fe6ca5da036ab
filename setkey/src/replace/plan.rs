//! From what a kernel has and what it is to have to the steps between: a pure function.
//!
//! What both states protect stays protected at every step: SAs come before the policies that want them, a policy is replaced
//! in place, and what nobody names goes last, policies before SAs. The way back after a failure is planned by the same
//! function, from what the kernel has by then to what it had.

use std::collections::{HashMap, HashSet};

use libpfkey::num::POLICY_DISCARD;
use libpfkey::{Dialect, SaState};
use zeroize::Zeroizing;

use super::facts::{PolicyFacts, PolicyName, SaFacts, SaName};
use super::order::{self, Change};

/// An SA that the kernel has.
#[derive(Debug)]
pub(super) struct PresentSa {
    pub(super) name: SaName,
    pub(super) facts: SaFacts,
    pub(super) state: SaState,
    /// It goes if nobody names it.
    pub(super) removable: bool,
    /// The kernel's message about it. It holds keys.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// A policy that the kernel has.
#[derive(Debug)]
pub(super) struct PresentPolicy {
    pub(super) name: PolicyName,
    pub(super) facts: PolicyFacts,
    /// Among policies of one priority those with smaller numbers are asked first. Where the two numbers disagree it is not
    /// known which is asked first.
    pub(super) rank: [u64; 2],
    pub(super) removable: bool,
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// An SA that the kernel is to have.
#[derive(Debug)]
pub(super) struct WantedSa {
    pub(super) name: SaName,
    pub(super) facts: SaFacts,
    pub(super) place: Place,
    /// The message to add it, but for its number.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// A policy that the kernel is to have.
#[derive(Debug)]
pub(super) struct WantedPolicy {
    pub(super) name: PolicyName,
    pub(super) facts: PolicyFacts,
    pub(super) place: Place,
    /// The message to add or replace it, but for its number.
    pub(super) message: Zeroizing<Vec<u8>>,
}

/// Where something was written: the number of the file, and the line of the statement's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: u32,
}

/// All that a kernel has.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) sas: Vec<PresentSa>,
    pub(super) policies: Vec<PresentPolicy>,
}

/// All that it is to have, in the order of the statements.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) sas: Vec<WantedSa>,
    pub(super) policies: Vec<WantedPolicy>,
}

/// A change of the kernel's state. Numbers are indices: `sa`, `policy` of [`Wanted`], `old` of [`Present`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddSa {
        sa: usize,
    },
    /// The name is taken by an SA that differs: that one goes first. Packets are dropped meanwhile.
    ReplaceSa {
        sa: usize,
        old: usize,
    },
    /// Limits or ports of encapsulation differ, and the kernel changes them in place.
    UpdateSa {
        sa: usize,
    },
    /// SPDUPDATE: adds the policy, or puts it in the place of the one of its name.
    PutPolicy {
        policy: usize,
    },
    /// SPDUPDATE with the next priority: the policy leaves its place, on a kernel that would leave it there, and becomes the
    /// last of its own priority with the step behind.
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

/// The steps, in groups: each may begin when the one before has succeeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) groups: Vec<Vec<Step>>,
}

/// Plans the way from what there is to what is to be.
pub(super) fn plan(dialect: Dialect, present: &Present, wanted: &Wanted) -> Plan {
    let by_name: HashMap<&SaName, usize> = first_of(present.sas.iter().map(|sa| &sa.name));
    let policies = Policies::new(dialect, present, wanted);
    let sas = (0..).zip(&wanted.sas).filter_map(|(sa, new)| {
        let Some(&old) = by_name.get(&new.name) else { return Some(Step::AddSa { sa }) };
        let present = present.sas.get(old)?;
        let serves = matches!(present.state, SaState::Mature | SaState::Dying);
        match () {
            () if !serves => Some(Step::ReplaceSa { sa, old }),
            () if present.facts == new.facts => None,
            // Other kernels ask for the process that made it, or for no keys.
            () if dialect == Dialect::Linux && present.facts.differs_in_limits(&new.facts) => {
                Some(Step::UpdateSa { sa })
            }
            () => Some(Step::ReplaceSa { sa, old }),
        }
    });
    let named: HashSet<&SaName> = wanted.sas.iter().map(|sa| &sa.name).collect();
    let unnamed = |(_, sa): &(usize, &PresentSa)| sa.removable && !named.contains(&sa.name);
    let old_sas = (0..).zip(&present.sas).filter(unnamed).map(|(old, _)| Step::RemoveSa { old });
    let groups = [vec![sas.collect()], policies.groups(), vec![old_sas.collect()]].concat();
    Plan { groups: groups.into_iter().filter(|group: &Vec<Step>| !group.is_empty()).collect() }
}

/// The index of the first of each name.
fn first_of<N: Eq + std::hash::Hash>(names: impl Iterator<Item = N>) -> HashMap<N, usize> {
    let mut found = HashMap::new();
    for (index, name) in (0..).zip(names) {
        found.entry(name).or_insert(index);
    }
    found
}

/// What becomes of policies.
struct Policies<'p> {
    present: &'p [PresentPolicy],
    wanted: &'p [WantedPolicy],
    changes: Vec<Change>,
    /// Nobody names them.
    unnamed: Vec<usize>,
    /// What lets packets pass in clear and would be asked first while a protecting policy is moved.
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

    /// The steps, so that at each of them what both states protect is protected, even if the one before has failed within its
    /// group.
    fn groups(&self) -> Vec<Vec<Step>> {
        let mut groups = vec![self.protecting_in_place(), self.removed_early()];
        groups.extend(self.puts());
        groups.extend(self.removed_late());
        groups
    }

    /// Policies that begin to protect where they are: the sooner the better.
    fn protecting_in_place(&self) -> Vec<Step> {
        let begins = |policy: &usize| order::begins_to_protect(self.present, self.wanted, &self.changes, *policy);
        (0..self.changes.len()).filter(begins).map(|policy| Step::PutPolicy { policy }).collect()
    }

    fn removed_early(&self) -> Vec<Step> {
        let mut early: Vec<_> = self.early.iter().copied().collect();
        early.sort_unstable();
        early.into_iter().map(|old| Step::RemovePolicy { old }).collect()
    }

    /// What is added, replaced or moved, in the order in which it is asked. What lets packets pass waits for what protects
    /// them before.
    fn puts(&self) -> Vec<Vec<Step>> {
        let begins = |policy| order::begins_to_protect(self.present, self.wanted, &self.changes, policy);
        let priority = |policy| self.facts(policy).map_or(0, |facts| facts.priority);
        // Whether it is set aside first. Without a priority behind its own it cannot be.
        let sets_aside = |policy: usize, change: &Change| match *change {
            Change::None => None,
            Change::Put { moves: false, .. } if begins(policy) => None,
            Change::Move { old } => Some(!self.early.contains(&old) && priority(policy) != u32::MAX),
            Change::Add | Change::Put { .. } => Some(false),
        };
        let steps = (0..).zip(&self.changes).filter_map(|(policy, change)| Some((policy, sets_aside(policy, change)?)));
        let mut steps: Vec<(usize, bool)> = steps.collect();
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
                // Had that failed, what lets packets pass would be put where what protects them was.
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

    /// What lets packets pass goes first, what blocks them last.
    fn removed_late(&self) -> Vec<Vec<Step>> {
        let mut groups = vec![Vec::new(); 3];
        for &old in self.unnamed.iter().filter(|old| !self.early.contains(old)) {
            let Some(PresentPolicy { facts, .. }) = self.present.get(old) else { continue };
            let weight = usize::from(facts.protects()) + usize::from(facts.kind == POLICY_DISCARD);
            groups.get_mut(weight).into_iter().for_each(|group| group.push(Step::RemovePolicy { old }));
        }
        groups
    }
}
