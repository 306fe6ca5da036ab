//! Phase 2: proposals of quick mode (RFC 2407 section 4.4 and 4.5, RFC 2409 section 5.5).

use super::refusal::Sides;
use crate::config::{CheckLevel, Sainfo};
use crate::num::{AuthAlgorithm, EncapsulationMode, Group, Protocol};

/// The terms of a pair of IPsec SAs: as configured, as proposed, or as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase2Terms {
    /// Lifetime in seconds.
    pub lifetime: u32,
    /// Lifetime in kilobytes (1024 bytes); `None` for no limit.
    pub kilobytes: Option<u32>,
    /// Diffie-Hellman group for perfect forward secrecy, if there is one.
    pub group: Option<Group>,
}

/// The result of checking the terms of phase 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase2Agreement {
    /// The terms.
    pub terms: Phase2Terms,
    /// Whether our lifetime is shorter, so that the peer has to be notified by RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1).
    pub claims_lifetime: bool,
}

/// One transform of one protocol: as configured, as proposed, or as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase2Transform {
    /// The protocol.
    pub protocol: Protocol,
    /// Transform identifier within the protocol (RFC 2407 section 4.4.3 to 4.4.5).
    pub id: u8,
    /// Key length in bits, 0 if the transform has only one.
    pub key_length: u16,
    /// Authentication algorithm.
    pub authentication: AuthAlgorithm,
    /// Whether the ICV is truncated to 96 bits. This is configured and not negotiated.
    pub truncated: bool,
    /// Tunnel or transport, perhaps in UDP.
    pub mode: EncapsulationMode,
}

/// A difference between a proposed transform and a configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase2Mismatch {
    /// Another protocol.
    Protocol(Sides<Protocol>),
    /// Another transform of the same protocol.
    Transform {
        /// The protocol.
        protocol: Protocol,
        /// The transform identifiers.
        ids: Sides<u8>,
    },
    /// Another authentication algorithm.
    Authentication(Sides<AuthAlgorithm>),
    /// Tunnel instead of transport mode or vice versa, or UDP encapsulation without a NAT.
    Mode(Sides<EncapsulationMode>),
    /// A key, in bits, that is shorter than ours, or under `exact` of another length.
    KeyLength(Sides<u16>),
    /// A lifetime, in seconds, that is longer than ours, or under `exact` another one.
    Lifetime(Sides<u32>),
    /// A lifetime, in kilobytes, that is longer than ours, or under `exact` another one.
    Kilobytes(Sides<Option<u32>>),
    /// Another group, or none.
    Group(Sides<Option<Group>>),
    /// A group that is not supported.
    UnsupportedGroup(Group),
    /// Extended sequence numbers are proposed although `esn` is off, or not proposed although it is required.
    Esn {
        /// Whether they are proposed.
        proposed: bool,
    },
}

/// Checks the lifetimes and the group that a peer proposes, or answers to an initiator.
///
/// # Errors
/// If `level` does not allow a difference: the first one.
pub fn check_phase2(
    level: CheckLevel,
    offered: &Phase2Terms,
    configured: &Phase2Terms,
) -> Result<Phase2Agreement, Phase2Mismatch> {
    if let Some(mismatch) = terms_mismatches(level, offered, configured).next() {
        return Err(mismatch);
    }
    let as_offered = Phase2Agreement { terms: *offered, claims_lifetime: false };
    if level != CheckLevel::Claim {
        return Ok(as_offered);
    }
    // The shorter lifetime is used, and the initiator is notified of it (RFC 2407 section 4.6.3.1).
    let longer = offered.lifetime > configured.lifetime;
    let larger = limit(offered.kilobytes) > limit(configured.kilobytes);
    let terms = Phase2Terms {
        lifetime: offered.lifetime.min(configured.lifetime),
        kilobytes: if larger { configured.kilobytes } else { offered.kilobytes },
        group: offered.group,
    };
    Ok(Phase2Agreement { terms, claims_lifetime: longer || larger })
}

/// Returns the differences in lifetimes and group that `level` does not allow.
pub(crate) fn terms_mismatches(
    level: CheckLevel,
    offered: &Phase2Terms,
    configured: &Phase2Terms,
) -> impl Iterator<Item = Phase2Mismatch> + use<> {
    let (theirs, ours) = (*offered, *configured);
    let other_group = theirs.group != ours.group;
    let (lifetime, kilobytes, group) = match level {
        CheckLevel::Obey => (false, false, false),
        CheckLevel::Strict => (
            theirs.lifetime > ours.lifetime,
            limit(theirs.kilobytes) > limit(ours.kilobytes),
            // A group where none is configured is safer than what is configured.
            other_group && ours.group.is_some(),
        ),
        // A longer lifetime is not refused: `check_phase2` claims ours.
        CheckLevel::Claim => (false, false, other_group && ours.group.is_some()),
        CheckLevel::Exact => (theirs.lifetime != ours.lifetime, theirs.kilobytes != ours.kilobytes, other_group),
    };
    let lifetime = lifetime.then_some(Phase2Mismatch::Lifetime(Sides(theirs.lifetime, ours.lifetime)));
    let kilobytes = kilobytes.then_some(Phase2Mismatch::Kilobytes(Sides(theirs.kilobytes, ours.kilobytes)));
    let group = group.then_some(Phase2Mismatch::Group(Sides(theirs.group, ours.group)));
    [lifetime, kilobytes, group].into_iter().flatten()
}

/// Returns a limit in kilobytes as a number that can be compared.
fn limit(kilobytes: Option<u32>) -> u64 {
    kilobytes.map_or(u64::MAX, u64::from)
}

/// Checks that a transform that a peer proposes or answers is one of ours. UDP encapsulation is accepted only if there is a NAT
/// (RFC 3947 section 5.1).
///
/// # Errors
/// If `level` does not allow a difference: the first one.
pub fn check_transform(
    level: CheckLevel,
    nat: bool,
    offered: &Phase2Transform,
    configured: &Phase2Transform,
) -> Result<Phase2Transform, Phase2Mismatch> {
    if let Some(mismatch) = transform_mismatches(level, nat, offered, configured).next() {
        return Err(mismatch);
    }
    Ok(Phase2Transform { truncated: configured.truncated, ..*offered })
}

/// Returns the differences in algorithms, key length and mode that `level` does not allow.
pub(crate) fn transform_mismatches(
    level: CheckLevel,
    nat: bool,
    offered: &Phase2Transform,
    configured: &Phase2Transform,
) -> impl Iterator<Item = Phase2Mismatch> + use<> {
    let (theirs, ours) = (*offered, *configured);
    let other_protocol = theirs.protocol != ours.protocol;
    let protocol = other_protocol.then_some(Phase2Mismatch::Protocol(Sides(theirs.protocol, ours.protocol)));
    let other_id = theirs.id != ours.id && !other_protocol;
    let ids = Phase2Mismatch::Transform { protocol: ours.protocol, ids: Sides(theirs.id, ours.id) };
    let authentication = (theirs.authentication != ours.authentication)
        .then_some(Phase2Mismatch::Authentication(Sides(theirs.authentication, ours.authentication)));
    let other_mode = theirs.mode.plain() != ours.mode.plain() || (theirs.mode.in_udp() && !nat);
    let mode = other_mode.then_some(Phase2Mismatch::Mode(Sides(theirs.mode, ours.mode)));
    let enough = match level {
        CheckLevel::Obey => true,
        CheckLevel::Strict | CheckLevel::Claim => theirs.key_length >= ours.key_length,
        CheckLevel::Exact => theirs.key_length == ours.key_length,
    };
    // Key lengths of different ciphers cannot be compared.
    let other_length = !enough && !other_protocol && !other_id;
    let length = other_length.then_some(Phase2Mismatch::KeyLength(Sides(theirs.key_length, ours.key_length)));
    [protocol, other_id.then_some(ids), authentication, mode, length].into_iter().flatten()
}

/// Returns the first of the peer's transforms of a protocol, in the peer's order, that is one of ours: its index, and what is
/// agreed on.
pub fn accept_transform(
    level: CheckLevel,
    nat: bool,
    offered: &[Phase2Transform],
    configured: &[Phase2Transform],
) -> Option<(usize, Phase2Transform)> {
    // The order of the initiator is that of its preference (RFC 2408 section 4.2).
    offered.iter().enumerate().find_map(|(at, theirs)| {
        configured.iter().find_map(|ours| Some((at, check_transform(level, nat, theirs, ours).ok()?)))
    })
}

/// Returns the transforms of a protocol that a sainfo allows, in the order in which they are proposed: for ESP each encryption with each
/// authentication algorithm, for AH each authentication algorithm, for IPComp each compression algorithm.
pub fn transforms(sainfo: &Sainfo, protocol: Protocol, mode: EncapsulationMode) -> Vec<Phase2Transform> {
    let one = |id, key_length| Phase2Transform {
        protocol,
        id,
        key_length,
        authentication: AuthAlgorithm::NONE,
        truncated: false,
        mode,
    };
    let mut list = Vec::new();
    match protocol {
        Protocol::ESP => {
            for encryption in &sainfo.encryption {
                let alone = one(encryption.transform.0, encryption.key_length);
                // An AEAD also authenticates, so it is proposed without an authentication algorithm.
                if encryption.transform.is_aead() {
                    list.push(alone);
                    continue;
                }
                list.extend(sainfo.authentication.iter().map(|authentication| Phase2Transform {
                    authentication: authentication.algorithm,
                    truncated: authentication.truncated,
                    ..alone
                }));
            }
        }
        Protocol::AH => {
            list.extend(sainfo.authentication.iter().filter_map(|authentication| {
                Some(Phase2Transform {
                    authentication: authentication.algorithm,
                    truncated: authentication.truncated,
                    ..one(authentication.algorithm.ah_transform()?.0, 0)
                })
            }));
        }
        Protocol::IPCOMP => list.extend(sainfo.compression.iter().map(|compression| one(compression.0, 0))),
        _ => {}
    }
    list
}

/// Returns the lifetime that an initiator uses after a RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1), or `None` if the notify is
/// ignored with a warning. `own` is the sainfo's lifetime, `notified` the responder's, in the same unit.
pub fn heed_responder_lifetime(level: CheckLevel, own: u32, notified: u32) -> Option<u32> {
    let heed = match level {
        CheckLevel::Obey => true,
        CheckLevel::Strict | CheckLevel::Claim => notified < own,
        CheckLevel::Exact => notified == own,
    };
    heed.then_some(notified)
}

#[cfg(test)]
mod tests;
