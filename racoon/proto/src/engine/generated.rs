//! Policies that are made for peers which have none here: `generate_policy`.

use std::collections::HashMap;

use super::Engine;
use crate::config::GeneratePolicy;
use crate::kernel::{Action, Direction, KernelRequest, Level, Mode, Policy, Selector, Template};
use crate::num::EncapsulationMode;
use crate::phase2::Bond;
use crate::proposal::encoding::Suite;

/// The least reqid of ours; below are those of scripts.
const REQID_MIN: u32 = 16_384;

/// The priority of a policy for which none is given, where there are priorities.
const PRIORITY: u32 = 0x8000_0000;

/// Policies that were made, by their outbound selector.
#[derive(Debug, Default)]
pub(super) struct Generated {
    policies: HashMap<Selector, Users>,
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

    /// A reqid that no script uses.
    pub(super) fn reqid(&mut self) -> u32 {
        self.last_reqid = self.last_reqid.checked_add(1).unwrap_or(REQID_MIN).max(REQID_MIN);
        self.last_reqid
    }
}

impl Engine {
    /// The templates that a proposal asks for.
    pub(super) fn templates_for(&mut self, suite: &Suite, bond: &Bond, how: GeneratePolicy) -> Vec<Template> {
        let (level, reqid) = match how {
            GeneratePolicy::Unique => (Level::Unique, self.generated.reqid()),
            GeneratePolicy::Off | GeneratePolicy::Require => (Level::Require, 0),
        };
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
