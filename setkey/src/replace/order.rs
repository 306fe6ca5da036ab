//! The order of policies. Among those of one priority the kernel asks the ones that came first, so the order of the
//! statements is part of what they mean where selectors overlap.

use std::collections::{HashMap, HashSet};

use libpfkey::Dialect;

use super::facts::{PolicyFacts, PolicyName};
use super::plan::{PresentPolicy, WantedPolicy};

/// Overlaps are looked for among so many; where there are more they are taken to be there.
const OVERLAPS_MAX: usize = 256;

/// What a wanted policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is there, in its place.
    None,
    /// It is not there.
    Add,
    /// It is there and differs: an SPDUPDATE is enough. `moves`: it becomes the last of its priority.
    Put { old: usize, moves: bool },
    /// It is there, but what has to be asked before it is not.
    Move { old: usize },
}

/// What is to be done about each wanted policy, in the order of the statements.
pub(super) fn changes(
    dialect: Dialect,
    present: &[PresentPolicy],
    wanted: &[WantedPolicy],
    by_name: &HashMap<&PolicyName, usize>,
) -> Vec<Change> {
    // Linux puts what replaces a policy of its priority in that one's place, the others put it last.
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
    // From the end: what has to be asked behind something that comes later in the file.
    for new in wanted.iter().rev() {
        if let Some((_, old)) = old_of(new).filter(|(_, old)| stays(new, old)) {
            classes.entry(class_of(new)).or_default().meet(&new.name, old.rank);
        }
    }
    let mut changes = Vec::with_capacity(wanted.len());
    for new in wanted {
        let class = classes.entry(class_of(new)).or_default();
        let old = old_of(new);
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

/// Policies that compete: those of one direction and priority.
#[derive(Default)]
struct Class<'w> {
    /// Smallest ranks of those that come later in the file.
    smallest: Option<[u64; 2]>,
    /// Those that are asked, or may be, behind one that comes later in the file.
    misplaced: HashSet<&'w PolicyName>,
    /// The same, met on the way through the file and kept.
    kept: Vec<(&'w PolicyName, [u64; 2])>,
    /// Those that become the last of the class.
    last: Vec<&'w PolicyName>,
}

impl<'w> Class<'w> {
    /// Takes note of a policy on the way from the end of the file.
    fn meet(&mut self, name: &'w PolicyName, rank: [u64; 2]) {
        let smallest = self.smallest.get_or_insert(rank);
        if rank.iter().zip(smallest.iter()).any(|(own, later)| own > later) {
            self.misplaced.insert(name);
        }
        smallest.iter_mut().zip(rank).for_each(|(smallest, own)| *smallest = own.min(*smallest));
    }

    /// Whether a policy can stay where it is, behind all that come before it in the file and overlap it.
    fn keep(&mut self, new: &'w WantedPolicy, old: &PresentPolicy) -> bool {
        let behind = |rank: &[u64; 2]| rank.iter().zip(old.rank).all(|(before, own)| *before < own);
        let overlaps = |name: &PolicyName| name.overlaps(&new.name);
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

/// Whether a policy that lets packets pass is replaced, where it is, by one that protects them.
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

/// What has to be removed before the puts: what lets packets pass, does not stay, and overlaps a protecting policy that moves or
/// ceases to protect. It might be asked before what is to protect these packets then.
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
