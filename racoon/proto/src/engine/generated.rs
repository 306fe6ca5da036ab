//! Policies that are made for peers which have none here: `generate_policy`.

use std::collections::HashMap;

use super::Engine;
use crate::config::GeneratePolicy;
use crate::kernel::{Action, Direction, KernelRequest, Level, Mode, Policy, Selector, Template};
use crate::num::EncapsulationMode;
use crate::outcome::Cause;
use crate::phase2::Bond;
use crate::proposal::encoding::Suite;
use crate::spd::Spd;

/// The largest reqid that every kernel takes as it is told: a larger one it replaces by one of its own, for each policy
/// another. Ours begin here and go down: those of scripts are small.
const REQID_MAX: u32 = 16_383;

/// The priority of a policy for which none is given, where there are priorities.
const PRIORITY: u32 = 0x8000_0000;

/// Policies that were made, by their outbound selector.
#[derive(Debug, Default)]
pub(super) struct Generated {
    policies: HashMap<Selector, Users>,
    /// 0: there was none.
    last_reqid: u32,
}

/// The phase 2s that a set of policies is for, and its directions.
#[derive(Debug)]
struct Users {
    count: usize,
    directions: &'static [Direction],
}

impl Generated {
    /// One more phase 2 uses the policies with this outbound selector. False: there are none of ours.
    pub(super) fn share(&mut self, outbound: &Selector) -> bool {
        let users = self.policies.get_mut(outbound);
        users.map(|users| users.count += 1).is_some()
    }

    /// A reqid that no policy has; none if all are taken.
    fn reqid(&mut self, spd: &Spd) -> Option<u32> {
        let mut candidates = (1..self.last_reqid).rev().chain((self.last_reqid.max(1)..=REQID_MAX).rev());
        let free = candidates.find(|reqid| !spd.has_reqid(*reqid))?;
        self.last_reqid = free;
        Some(free)
    }
}

impl Engine {
    /// The level and the reqid of what is made now.
    ///
    /// # Errors
    /// If no policies are to be made, or none can be told from the others.
    pub(super) fn level_for(&mut self, bond: &Bond, how: GeneratePolicy) -> Result<(Level, u32), Cause> {
        match how {
            GeneratePolicy::Off => Err(Cause::NoPolicy(bond.to_string())),
            GeneratePolicy::Require => Ok((Level::Require, 0)),
            GeneratePolicy::Unique => match self.generated.reqid(&self.spd) {
                Some(reqid) => Ok((Level::Unique, reqid)),
                None => Err(Cause::NoPolicy(format!("{bond}: all reqids for unique policies are taken"))),
            },
        }
    }

    /// The templates that a proposal asks for.
    pub(super) fn templates_for(suite: &Suite, bond: &Bond, (level, reqid): (Level, u32)) -> Vec<Template> {
        let template = |protocol, mode| {
            let ends = (mode == Mode::Tunnel).then_some((bond.ends.local, bond.ends.remote));
            Template { protocol, mode, level, reqid, ends }
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

    /// Sets the policies for `templates`, which are as an outbound policy has them.
    pub(super) fn generate_policies(&mut self, outbound: Selector, templates: &[Template]) {
        let tunnel = templates.iter().any(|template| template.mode == Mode::Tunnel);
        let directions: &[Direction] = if tunnel {
            &[Direction::In, Direction::Forward, Direction::Out]
        } else {
            &[Direction::In, Direction::Out]
        };
        for direction in directions {
            let (selector, templates) = match direction {
                Direction::Out => (outbound, templates.to_vec()),
                Direction::In | Direction::Forward => {
                    let turned = |one: &Template| Template { ends: one.ends.map(|(a, b)| (b, a)), ..*one };
                    (outbound.mirrored(), templates.iter().map(turned).collect())
                }
            };
            let action = Action::Protect(templates);
            let policy = Policy { index: 0, direction: *direction, selector, action, priority: PRIORITY };
            self.spd.insert(policy.clone());
            self.tell_kernel(KernelRequest::SetPolicy(policy));
        }
        let users = self.generated.policies.entry(outbound).or_insert(Users { count: 0, directions });
        users.count += 1;
    }

    /// A phase 2 uses the policies no more; with the last one they go.
    pub(super) fn release_policies(&mut self, outbound: Selector) {
        let Some(users) = self.generated.policies.get_mut(&outbound) else { return };
        users.count = users.count.saturating_sub(1);
        if users.count > 0 {
            return;
        }
        let directions = users.directions;
        self.generated.policies.remove(&outbound);
        for direction in directions {
            let selector = if *direction == Direction::Out { outbound } else { outbound.mirrored() };
            self.spd.remove(*direction, &selector);
            self.tell_kernel(KernelRequest::DeletePolicy(*direction, selector));
        }
    }
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
        let template =
            Template { protocol: Protocol::ESP, mode: Mode::Transport, level: Level::Unique, reqid, ends: None };
        let action = Action::Protect(vec![template]);
        Policy { index: reqid, direction: Direction::Out, selector, action, priority: 0 }
    }

    #[test]
    fn reqids_go_down_past_those_of_policies_and_begin_again() {
        let (mut generated, mut spd) = (Generated::default(), Spd::default());
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
