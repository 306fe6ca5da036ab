//! The policy that is needed for some traffic, and the most similar one.

use super::Spd;
use crate::kernel::{Direction, Mode, Policy, PolicyAction, Selector, Template, TemplateLevel};
use crate::num::Protocol;
use crate::phase2::traffic::Endpoints;
use crate::reason::{FailureReason, MissingPolicy, PolicyProblem};

/// Maximum number of policies that are compared to find the most similar one.
const COMPARED_MAX: usize = 256;

/// Returns the reason why no policy matches an outbound selector, with the policy that is needed for SAs of these protocols
/// between `endpoints`, and the nearest.
pub(crate) fn missing_policy(
    spd: &Spd,
    direction: Direction,
    outbound: &Selector,
    protocols: &[(Protocol, Mode)],
    endpoints: Endpoints,
) -> FailureReason {
    let is_out = direction == Direction::Out;
    let selector = if is_out { *outbound } else { outbound.mirrored() };
    let endpoints = if is_out { (endpoints.local, endpoints.remote) } else { (endpoints.remote, endpoints.local) };
    let template = |(protocol, mode): &(Protocol, Mode)| Template {
        protocol: *protocol,
        mode: *mode,
        level: TemplateLevel::Require,
        reqid: 0,
        endpoints: (*mode == Mode::Tunnel).then_some(endpoints),
    };
    let action = PolicyAction::Protect(protocols.iter().map(template).collect());
    let needed = Policy { index: 0, direction, selector, action, priority: 0 };
    let candidates = spd.at_remote_side(outbound.destination).take(COMPARED_MAX);
    let nearest = candidates
        .map(|policy| (nearness(&needed, outbound, policy), policy))
        // The index makes the choice independent of the order of a hash map.
        .max_by_key(|(nearness, policy)| (*nearness, std::cmp::Reverse(policy.index)));
    let nearest = nearest.map(|(_, policy)| policy.clone().into());
    let problem = PolicyProblem::Missing { needed: needed.into(), nearest };
    FailureReason::NoPolicy(MissingPolicy { traffic: *outbound, problem }.into())
}

/// Scores the similarity of a policy to the one that is needed. The addresses count most.
fn nearness(needed: &Policy, outbound: &Selector, policy: &Policy) -> u32 {
    let own = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
    let side = |one, other| match () {
        () if one == other => 16,
        () if crate::kernel::Prefix::overlaps(one, other) => 8,
        () => 0,
    };
    let points = |holds: bool, points| if holds { points } else { 0 };
    side(own.source, outbound.source)
        + side(own.destination, outbound.destination)
        + points(own.protocol == outbound.protocol, 4)
        + points(own.source_port == outbound.source_port && own.destination_port == outbound.destination_port, 2)
        + points(policy.direction == needed.direction, 1)
}
