//! The order of policies. Among policies of one priority, the kernel applies the one that was added first. The order of the
//! statements is therefore part of their meaning if selectors overlap.

use std::collections::{HashMap, HashSet};

use libpfkey::Dialect;

use super::facts::{PolicyFacts, PolicyName};
use super::plan::{PresentPolicy, WantedPolicy};

/// Number of policies among which overlaps are searched. If there are more, they are assumed to overlap.
const OVERLAPS_MAX: usize = 256;

/// What has to be done for a wanted policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It exists, in its place.
    None,
    /// It does not exist.
    Add,
    /// It exists and differs: an SPDUPDATE suffices. `moves`: it becomes the last of its priority.
    Put { old: usize, moves: bool },
    /// It exists, but a policy that must precede it does not.
    Move { old: usize },
}

/// Returns what has to be done for each wanted policy, in the order of the statements.
pub(super) fn changes(
    dialect: Dialect,
    present: &[PresentPolicy],
    wanted: &[WantedPolicy],
    by_name: &HashMap<&PolicyName, usize>,
) -> Vec<Change> {
    // On Linux a replaced policy of the same priority keeps its place; on other kernels it becomes the last.
    let keeps_place = dialect == Dialect::Linux;
    let old_of = |new: &WantedPolicy| {
        let old = by_name.get(&new.name).copied();
        old.and_then(|old| present.get(old).map(|policy| (old, policy)))
    };
    let stays = |new: &WantedPolicy, old: &PresentPolicy| match keeps_place {
        true => old.facts.priority == new.facts.priority,
        false => old.facts.fulfils(&new.facts),
    };
    let mut classes: HashMap<(u8, u32), Class<'_>> = HashMap::new();
    let class_of = |new: &WantedPolicy| (new.name.direction, new.facts.priority);
    // From the end: policies that the kernel applies after one that comes later in the file.
    for new in wanted.iter().rev() {
        if let Some((_, old)) = old_of(new).filter(|(_, old)| stays(new, old)) {
            classes.entry(class_of(new)).or_default().meet(&new.name, old.rank);
        }
    }
    let mut changes = Vec::with_capacity(wanted.len());
    for new in wanted {
        let class = classes.entry(class_of(new)).or_default();
        let old = old_of(new);
        // A policy that cannot keep its place becomes the last, which later ones that overlap it must follow.
        let kept = old.filter(|(_, policy)| stays(new, policy) && class.keep(new, policy));
        if kept.is_none() {
            class.last.push(&new.name);
        }
        changes.push(match (old, kept) {
            (None, _) => Change::Add,
            (_, Some((_, policy))) if policy.facts.fulfils(&new.facts) => Change::None,
            (_, Some((old, _))) => Change::Put { old, moves: false },
            (Some((old, policy)), None) if keeps_place && policy.facts.priority == new.facts.priority => {
                Change::Move { old }
            }
            (Some((old, _)), None) => Change::Put { old, moves: true },
        });
    }
    changes
}

/// Policies of one direction and priority.
#[derive(Default)]
struct Class<'w> {
    /// Smallest ranks of the policies that come later in the file.
    smallest: Option<[u64; 2]>,
    /// Policies that the kernel applies, or may apply, after one that comes later in the file.
    misplaced: HashSet<&'w PolicyName>,
    /// The same, collected on the way through the file.
    kept: Vec<(&'w PolicyName, [u64; 2])>,
    /// Policies that become the last of the class.
    last: Vec<&'w PolicyName>,
}

impl<'w> Class<'w> {
    /// Records a policy on the way from the end of the file.
    fn meet(&mut self, name: &'w PolicyName, rank: [u64; 2]) {
        let smallest = self.smallest.get_or_insert(rank);
        if rank.iter().zip(smallest.iter()).any(|(own, later)| own > later) {
            self.misplaced.insert(name);
        }
        smallest.iter_mut().zip(rank).for_each(|(smallest, own)| *smallest = own.min(*smallest));
    }

    /// Returns whether a policy can keep its place: after all overlapping policies that precede it in the file.
    fn keep(&mut self, new: &'w WantedPolicy, old: &PresentPolicy) -> bool {
        // The two numbers of a rank may disagree, so both must be smaller.
        let behind = |rank: &[u64; 2]| rank.iter().zip(old.rank).all(|(before, own)| *before < own);
        let overlaps = |name: &PolicyName| name.overlaps(&new.name);
        // Comparing all pairs would take quadratic time for large files.
        let too_many = self.last.len() > OVERLAPS_MAX || self.kept.len() > OVERLAPS_MAX;
        let disturbed = too_many
            || self.last.iter().any(|name| overlaps(name))
            || self.kept.iter().any(|(name, rank)| !behind(rank) && overlaps(name));
        if !disturbed && self.misplaced.contains(&new.name) {
            self.kept.push((&new.name, old.rank));
        }
        !disturbed
    }
}

/// Returns whether a policy that lets packets pass is replaced, in its place, by one that protects them.
pub(super) fn begins_to_protect(
    present: &[PresentPolicy],
    wanted: &[WantedPolicy],
    changes: &[Change],
    policy: usize,
) -> bool {
    let Some(Change::Put { old, moves: false }) = changes.get(policy) else { return false };
    let protects = |facts: Option<&PolicyFacts>| facts.is_some_and(PolicyFacts::protects);
    !protects(present.get(*old).map(|old| &old.facts)) && protects(wanted.get(policy).map(|new| &new.facts))
}

/// Returns the policies that must be removed first: those that let packets pass, do not stay, and overlap a protecting policy that
/// moves or ceases to protect. The kernel might otherwise apply them before the policy that protects these packets.
pub(super) fn early(
    present: &[PresentPolicy],
    wanted: &[WantedPolicy],
    changes: &[Change],
    unnamed: &[usize],
) -> HashSet<usize> {
    let moved = |change: &Change| match *change {
        Change::Put { old, moves: true } | Change::Move { old } => Some(old),
        _ => None,
    };
    let yields = |(new, change): (&WantedPolicy, &Change)| match *change {
        Change::Put { old, moves: false } if !new.facts.protects() => present.get(old),
        _ => moved(change).and_then(|old| present.get(old)),
    };
    let yielding = wanted.iter().zip(changes).filter_map(yields).filter(|old| old.facts.protects());
    let yielding: Vec<&PolicyName> = yielding.map(|old| &old.name).collect();
    let overtakes = |old: &usize| {
        let Some(policy) = present.get(*old).filter(|policy| !policy.facts.protects()) else { return false };
        yielding.len() > OVERLAPS_MAX || yielding.iter().any(|name| name.overlaps(&policy.name))
    };
    changes.iter().filter_map(moved).chain(unnamed.iter().copied()).filter(overtakes).collect()
}
