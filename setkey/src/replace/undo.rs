//! The way back: determines the state to restore after a failure.

use std::collections::{HashMap, HashSet};

use libpfkey::request::RequestHeader;
use libpfkey::{Dialect, ExtensionType, Message};
use zeroize::Zeroizing;

use super::execute::Outcome;
use super::facts::{PolicyName, SaName};
use super::message;
use super::plan::{Place, Plan, Present, PresentPolicy, PresentSa, Step, Wanted, WantedPolicy, WantedSa};
use super::wanted::Request;
use crate::session::Session;

/// The state to restore.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub(super) wanted: Wanted,
    /// SAs that are not restored: if their sequence numbers started again, the peer would drop their packets as replays, or the same
    /// numbers would be used twice with one key.
    pub(super) lost: Vec<String>,
}

/// SAs that a plan changes.
struct Touched<'p> {
    /// Indices of those that it removes or replaces.
    gone: HashSet<usize>,
    updated: HashSet<&'p SaName>,
}

/// Returns the previous state of everything that a failed plan may have changed.
pub(super) fn wanted(
    session: &Session,
    before: Present,
    request: &Request,
    plan: &Plan,
    outcome: Outcome,
    now: &Present,
) -> Back {
    let header = RequestHeader { abi: session.abi(), pid: 0, seq: 0 };
    let mut back = Back::default();
    back.want_sas(before.sas, &Touched::by(plan, request), outcome, now, header);
    let named: HashSet<&PolicyName> = request.wanted.policies.iter().map(|policy| &policy.name).collect();
    let mut policies = before.policies;
    policies.retain(|policy| policy.removable || named.contains(&policy.name));
    back.want_policies(policies, header);
    back
}

impl<'p> Touched<'p> {
    fn by(plan: &Plan, request: &'p Request) -> Self {
        let mut touched = Self { gone: HashSet::new(), updated: HashSet::new() };
        for step in plan.groups.iter().flatten() {
            match *step {
                Step::ReplaceSa { old, .. } | Step::RemoveSa { old } => touched.gone.extend([old]),
                Step::UpdateSa { sa } => touched.updated.extend(request.wanted.sas.get(sa).map(|sa| &sa.name)),
                _ => {}
            }
        }
        touched
    }
}

impl Back {
    /// Adds the SAs that were touched, in the state in which they were deleted.
    fn want_sas(
        &mut self,
        before: Vec<PresentSa>,
        touched: &Touched<'_>,
        mut outcome: Outcome,
        now: &Present,
        header: RequestHeader,
    ) {
        let still: HashMap<&SaName, &PresentSa> = now.sas.iter().map(|sa| (&sa.name, sa)).collect();
        for (index, sa) in (0..).zip(before) {
            let is_there = still.get(&sa.name).is_some_and(|now| now.facts == sa.facts);
            let is_updated = touched.updated.contains(&sa.name);
            let shown = match outcome.deleted.remove(&index) {
                _ if is_there || is_updated => sa.message,
                Some(last) if can_go_on(header, &last) => last,
                Some(_) => {
                    self.lost.push(format!("the SA {}", sa.facts));
                    continue;
                }
                // It was not touched, or was already gone.
                None => continue,
            };
            if !(is_updated || touched.gone.contains(&index)) {
                continue;
            }
            let mut message = Zeroizing::new(Vec::new());
            match message::add(&shown, header, &mut message) {
                Ok(()) => {
                    let (name, facts) = (sa.name, sa.facts);
                    self.wanted.sas.push(WantedSa { name, facts, place: Place::default(), message });
                }
                Err(_) => self.lost.push(format!("the SA {}", sa.facts)),
            }
        }
    }

    fn want_policies(&mut self, mut policies: Vec<PresentPolicy>, header: RequestHeader) {
        // Policies of one priority apply in the order in which they are added.
        policies.sort_by_key(|policy| policy.rank);
        for policy in policies {
            let mut message = Zeroizing::new(Vec::new());
            // A dumped policy has all parts.
            if message::put(&policy.message, header, &mut message).is_ok() {
                let (name, facts) = (policy.name, policy.facts);
                self.wanted.policies.push(WantedPolicy { name, facts, place: Place::default(), message });
            }
        }
    }
}

/// Returns whether a deleted SA can be restored: its sequence numbers are known, or it was never used.
fn can_go_on(header: RequestHeader, last: &[u8]) -> bool {
    let Ok(message) = Message::parse(header.abi, last) else { return false };
    let has_numbers = message.extensions.iter().any(|extension| extension.kind() == ExtensionType::XfrmReplayState);
    // The answers of the BSDs do not tell.
    let unused = message.lifetime(ExtensionType::LifetimeCurrent).is_some_and(|current| {
        header.abi.dialect == Dialect::Linux && current.bytes == 0 && current.allocations == 0 && current.usetime == 0
    });
    has_numbers || unused
}

/// Marks the entries that the failed plan has added as removable, and no others.
pub(super) fn mark_removable(now: &mut Present, request: &Request, plan: &Plan, back: &Wanted) {
    let (mut sas, mut policies) = (HashSet::<&SaName>::new(), HashSet::<&PolicyName>::new());
    for step in plan.groups.iter().flatten() {
        match *step {
            Step::AddSa { sa } | Step::ReplaceSa { sa, .. } => {
                sas.extend(request.wanted.sas.get(sa).map(|sa| &sa.name))
            }
            Step::PutPolicy { policy } | Step::SetAside { policy } => {
                policies.extend(request.wanted.policies.get(policy).map(|policy| &policy.name));
            }
            Step::UpdateSa { .. } | Step::RemoveSa { .. } | Step::RemovePolicy { .. } => {}
        }
    }
    for sa in &back.sas {
        sas.remove(&sa.name);
    }
    for policy in &back.policies {
        policies.remove(&policy.name);
    }
    now.sas.iter_mut().for_each(|sa| sa.removable = sas.contains(&sa.name));
    now.policies.iter_mut().for_each(|policy| policy.removable = policies.contains(&policy.name));
}
