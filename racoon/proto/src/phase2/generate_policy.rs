//! Policies that are generated for peers without one (`generate_policy`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::authorization::{Grant, Holder, Peer};
use crate::config::GeneratePolicy;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase2Id};
use crate::kernel::{
    Direction, KernelError, KernelRequest, Mode, Policy, RequestId, Selector, Template, TemplateLevel,
};
use crate::num::EncapsulationMode;
use crate::output::Level;
use crate::phase2::TrafficKey;
use crate::proposal::encoding::Suite;
use crate::reason::{FailureReason, MissingPolicy, NegotiationResult, PolicyProblem};
use crate::spd::{Spd, missing_policy};

/// The largest reqid that every kernel accepts; some replace a larger one by their own, a different one for each policy. Ours
/// count down from here, because those of scripts are small.
const REQID_MAX: u32 = 16_383;

const ALL_DIRECTIONS: [Direction; 3] = [Direction::In, Direction::Forward, Direction::Out];

/// Generated policies, by their outbound selector.
#[derive(Debug, Default)]
pub(crate) struct GeneratedPolicies {
    sets: HashMap<Selector, PolicySet>,
    /// Unanswered requests, with the outbound selector of their set.
    asked: HashMap<RequestId, (Selector, Direction)>,
    /// The reqid chosen last; 0 for none.
    last_reqid: u32,
}

/// The policies of one outbound selector.
#[derive(Debug)]
struct PolicySet {
    /// The peer for which they were generated.
    holder: Holder,
    /// The phase 2s that use them.
    users: BTreeSet<Phase2Id>,
    /// Those that our requests created, as the kernel reports them. No others are ever deleted.
    created: BTreeMap<Direction, Policy>,
}

impl GeneratedPolicies {
    /// Adds a phase 2 to the users of the policies with this outbound selector. Returns false if there are none of ours.
    pub(crate) fn share(&mut self, outbound: &Selector, id: Phase2Id) -> bool {
        let set = self.sets.get_mut(outbound);
        set.map(|set| set.users.insert(id)).is_some()
    }

    /// Returns a reqid that no policy has, or `None` if all are taken.
    fn reqid(&mut self, spd: &Spd) -> Option<u32> {
        let mut candidates = (1..self.last_reqid).rev().chain((self.last_reqid.max(1)..=REQID_MAX).rev());
        let free = candidates.find(|reqid| !spd.has_reqid(*reqid))?;
        self.last_reqid = free;
        Some(free)
    }

    /// Returns the policy that a request of ours has created for this direction and selector.
    fn created_mut(&mut self, direction: Direction, selector: &Selector) -> Option<(&mut PolicySet, u32)> {
        let outbound = if direction == Direction::Out { *selector } else { selector.mirrored() };
        let set = self.sets.get_mut(&outbound)?;
        let index = set.created.get(&direction)?.index;
        Some((set, index))
    }

    /// Returns the number of unanswered requests.
    pub(crate) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// Returns the peer for which we have created, or are creating, a policy; `None` if another program has set it.
    pub(crate) fn holder_of(&self, policy: &Policy) -> Option<&Holder> {
        let outbound = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
        let set = self.sets.get(&outbound)?;
        let created = || set.created.get(&policy.direction).is_some_and(|ours| ours.index == policy.index);
        (policy.index == 0 || created()).then_some(&set.holder)
    }

    /// Returns the phase 2s that use the policies with this outbound selector.
    pub(crate) fn users(&self, outbound: &Selector) -> Vec<Phase2Id> {
        self.sets.get(outbound).map(|set| set.users.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether policies with this outbound selector, if there are any, were generated for this peer.
    pub(crate) fn are_of(&self, outbound: &Selector, peer: &Peer<'_>) -> bool {
        self.sets.get(outbound).is_none_or(|set| set.holder.is_same_peer(peer))
    }

    /// Processes a policy that the kernel reports. If it differs from ours with the same index, another program has replaced ours:
    /// Linux keeps the index.
    pub(crate) fn heard(&mut self, policy: &Policy) {
        if let Some((set, index)) = self.created_mut(policy.direction, &policy.selector)
            && index == policy.index
            && set.created.get(&policy.direction) != Some(policy)
        {
            set.created.remove(&policy.direction);
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.asked.is_empty()
    }
}

impl Engine {
    /// Requests the policies that a peer is granted. Those that the same peer had at another address of ours are replaced.
    pub(crate) fn generate_policies(&mut self, id: Phase2Id, grant: &Grant, templates: &[Template]) {
        for user in grant.replaces().iter().flat_map(|outbound| self.generated.users(outbound)).collect::<Vec<_>>() {
            if self.phase2s.is_established(user) {
                self.purge_phase2(user, true);
            } else {
                self.end_phase2(user, NegotiationResult::Superseded);
            }
        }
        self.generated.generate(&mut self.core, id, grant, templates);
    }

    /// Processes the kernel's answer. If it refused a policy, all phase 2s that need the policy fail.
    pub(crate) fn policy_added(&mut self, request: RequestId, answer: Result<Option<Policy>, KernelError>) {
        // It was added, or nobody needs it any longer.
        let Some((users, direction, error)) = self.generated.answered(&mut self.core, request, answer) else { return };
        for id in users {
            // It may have ended together with another one.
            let Some(phase2) = self.phase2s.get(id) else { continue };
            let reason = refusal(phase2.traffic_key.selector, direction, &error);
            if phase2.established().is_some() {
                self.core.log(Level::Error, Some(phase2.path.remote), || reason.to_string());
                self.purge_phase2(id, true);
            } else {
                self.fail_phase2(id, reason);
            }
        }
    }
}

impl GeneratedPolicies {
    /// Requests the policies for `templates`, those of an outbound policy. If a policy exists already, the kernel refuses, and the
    /// phase 2 fails.
    fn generate(&mut self, core: &mut Core, id: Phase2Id, grant: &Grant, templates: &[Template]) {
        let outbound = grant.outbound();
        let new = || PolicySet { holder: grant.holder().clone(), users: BTreeSet::new(), created: BTreeMap::new() };
        let set = self.sets.entry(outbound).or_insert_with(new);
        set.users.insert(id);
        // Another program has deleted one of them. Those that are left may not match the new ones.
        for left in std::mem::take(&mut set.created).into_values() {
            core.send_to_kernel(KernelRequest::DeletePolicy(left.name()));
        }
        for granted in grant.policies(templates) {
            let policy = granted.policy().clone();
            let request = RequestId(core.fresh_id());
            self.asked.insert(request, (outbound, policy.direction));
            core.spd.insert(policy);
            core.send_to_kernel(KernelRequest::AddPolicy(request, granted));
        }
    }

    /// Processes the kernel's answer. Returns the phase 2s that need the policy if it was refused.
    fn answered(
        &mut self,
        core: &mut Core,
        request: RequestId,
        answer: Result<Option<Policy>, KernelError>,
    ) -> Option<(BTreeSet<Phase2Id>, Direction, KernelError)> {
        let asked = self.asked.remove(&request);
        let set = asked.and_then(|(outbound, direction)| Some((outbound, direction, self.sets.get_mut(&outbound)?)));
        match (set, answer) {
            (Some((_, direction, set)), Ok(Some(policy))) => {
                set.created.insert(direction, policy.clone());
                core.spd.insert(policy);
            }
            (Some((outbound, direction, _)), Ok(None)) => core.spd.forget_unconfirmed(outbound, direction),
            (Some((outbound, direction, set)), Err(error)) => {
                core.spd.forget_unconfirmed(outbound, direction);
                return Some((set.users.clone(), direction, error));
            }
            // Its users have ended in the meantime.
            (None, Ok(Some(policy))) => core.send_to_kernel(KernelRequest::DeletePolicy(policy.name())),
            (None, _) => {}
        }
        None
    }

    /// Removes a phase 2 from the users of policies. After the last one, the policies that we created are deleted, and no others.
    pub(crate) fn release(&mut self, core: &mut Core, outbound: Selector, id: Phase2Id) {
        // Another phase 2 or a flush has removed the policies.
        let Entry::Occupied(mut set) = self.sets.entry(outbound) else { return };
        set.get_mut().users.remove(&id);
        if !set.get().users.is_empty() {
            return;
        }
        let set = set.remove();
        self.asked.retain(|_, (asked, _)| *asked != outbound);
        ALL_DIRECTIONS.into_iter().for_each(|direction| core.spd.forget_unconfirmed(outbound, direction));
        for (direction, policy) in set.created {
            if core.spd.exact(direction, &policy.selector).is_some_and(|there| there.index == policy.index) {
                core.spd.remove(direction, &policy.selector);
            }
            core.send_to_kernel(KernelRequest::DeletePolicy(policy.name()));
        }
    }

    /// Returns the level and the reqid of policies that are generated now.
    ///
    /// # Errors
    /// If none may be generated, or no reqid is free.
    pub(crate) fn level_for(
        &mut self,
        spd: &Spd,
        traffic_key: &TrafficKey,
        how: GeneratePolicy,
    ) -> Result<(TemplateLevel, u32), FailureReason> {
        match how {
            GeneratePolicy::Off => {
                Err(missing_policy(spd, Direction::In, &traffic_key.selector, &[], traffic_key.endpoints))
            }
            GeneratePolicy::Require => Ok((TemplateLevel::Require, 0)),
            GeneratePolicy::Unique => match self.reqid(spd) {
                Some(reqid) => Ok((TemplateLevel::Unique, reqid)),
                None => {
                    let (traffic, problem) = (traffic_key.selector, PolicyProblem::NoReqid);
                    Err(FailureReason::NoPolicy(MissingPolicy { traffic, problem }.into()))
                }
            },
        }
    }
}

impl Spd {
    /// Removes a requested policy that was not created. One that the kernel has reported in the meantime stays.
    fn forget_unconfirmed(&mut self, outbound: Selector, direction: Direction) {
        let selector = if direction == Direction::Out { outbound } else { outbound.mirrored() };
        if self.exact(direction, &selector).is_some_and(|policy| policy.index == 0) {
            self.remove(direction, &selector);
        }
    }
}

/// Returns the templates that a proposal requires.
pub(crate) fn templates_for(
    suite: &Suite,
    traffic_key: &TrafficKey,
    (level, reqid): (TemplateLevel, u32),
) -> Vec<Template> {
    let template = |protocol, mode| {
        let endpoints = (mode == Mode::Tunnel).then_some((traffic_key.endpoints.local, traffic_key.endpoints.remote));
        Template { protocol, mode, level, reqid, endpoints }
    };
    let protocols = suite.protocols.iter().filter_map(|one| {
        let mode = match one.transforms.first()?.transform.mode.plain() {
            EncapsulationMode::TUNNEL => Mode::Tunnel,
            _ => Mode::Transport,
        };
        Some(template(one.protocol, mode))
    });
    protocols.collect()
}

/// The reason why a phase 2 fails or ends whose policy the kernel has refused.
fn refusal(traffic: Selector, direction: Direction, error: &KernelError) -> FailureReason {
    let problem =
        if error.exists { PolicyProblem::Foreign(direction) } else { PolicyProblem::Kernel(error.clone().into()) };
    FailureReason::NoPolicy(MissingPolicy { traffic, problem }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Prefix;
    use crate::num::Protocol;

    fn with_reqid(reqid: u32) -> Policy {
        let [high, low] = u16::try_from(reqid).unwrap().to_be_bytes();
        let host = Prefix::host([10, 0, high, low].into());
        let selector = Selector { source: host, destination: host, protocol: 0, source_port: 0, destination_port: 0 };
        let template = Template {
            protocol: Protocol::ESP,
            mode: Mode::Transport,
            level: TemplateLevel::Unique,
            reqid,
            endpoints: None,
        };
        let action = crate::kernel::PolicyAction::Protect(vec![template]);
        Policy { index: reqid, direction: Direction::Out, selector, action, priority: 0 }
    }

    #[test]
    fn reqids_go_down_past_those_of_policies_and_begin_again() {
        let (mut generated, mut spd) = (GeneratedPolicies::default(), Spd::default());
        spd.insert(with_reqid(16_382));
        assert_eq!(generated.reqid(&spd), Some(16_383));
        assert_eq!(generated.reqid(&spd), Some(16_381));
        (1..=16_380).for_each(|reqid| spd.insert(with_reqid(reqid)));
        assert_eq!(generated.reqid(&spd), Some(16_383), "it was not used");
        spd.insert(with_reqid(16_383));
        assert_eq!(generated.reqid(&spd), Some(16_381));
        spd.insert(with_reqid(16_381));
        assert_eq!(generated.reqid(&spd), None);
        spd.remove(Direction::Out, &with_reqid(7).selector);
        assert_eq!(generated.reqid(&spd), Some(7));
        spd.clear();
        assert_eq!(generated.reqid(&spd), Some(6));
    }
}
