//! Phase 2: proposals of Quick Mode (RFC 2407 section 4.4 and 4.5, RFC 2409 section 5.5).

use thiserror::Error;

use crate::config::{CheckLevel, Sainfo};
use crate::num::{AuthAlgorithm, EncapsulationMode, Group, Protocol};

/// The terms of a pair of IPsec SAs: as configured, as proposed, or as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase2Terms {
    /// Lifetime in seconds.
    pub lifetime: u32,
    /// Lifetime in kilobytes; none: unlimited.
    pub kilobytes: Option<u32>,
    /// Diffie-Hellman group for perfect forward secrecy, if there is one.
    pub group: Option<Group>,
}

/// What is agreed in phase 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase2Agreement {
    /// The terms.
    pub terms: Phase2Terms,
    /// Our lifetime is the shorter one, and the peer has to be told by RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1).
    pub claims_lifetime: bool,
}

/// One transform of one protocol: as configured, as proposed, or as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform {
    /// The protocol.
    pub protocol: Protocol,
    /// Transform identifier within the protocol (RFC 2407 section 4.4.3 to 4.4.5).
    pub id: u8,
    /// Key length in bits, 0 if the transform has only one.
    pub key_length: u16,
    /// Authentication algorithm.
    pub authentication: AuthAlgorithm,
    /// The authentication is cut to 96 bits. Only of a configured one; it is not on the wire.
    pub truncated: bool,
    /// Tunnel or transport, perhaps in UDP.
    pub mode: EncapsulationMode,
}

/// Why a proposal is not what is configured: the first difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Phase2Mismatch {
    /// Another protocol.
    #[error("{offered} is proposed, {configured} is configured")]
    Protocol {
        /// The peer's.
        offered: Protocol,
        /// Ours.
        configured: Protocol,
    },
    /// Another transform of the same protocol.
    #[error("transform {offered} is proposed, {configured} is configured")]
    Transform {
        /// The peer's.
        offered: u8,
        /// Ours.
        configured: u8,
    },
    /// Another authentication algorithm.
    #[error("authentication algorithm {offered} is proposed, {configured} is configured")]
    Authentication {
        /// The peer's.
        offered: AuthAlgorithm,
        /// Ours.
        configured: AuthAlgorithm,
    },
    /// Tunnel instead of transport or the other way round, or UDP where no NAT is.
    #[error("mode {offered} is proposed, {configured} is configured")]
    Mode {
        /// The peer's.
        offered: EncapsulationMode,
        /// Ours.
        configured: EncapsulationMode,
    },
    /// A key that is too short, or under `exact` not as long as ours.
    #[error("a key of {offered} bits is proposed, {configured} are configured")]
    KeyLength {
        /// The peer's, in bits.
        offered: u16,
        /// Ours, in bits.
        configured: u16,
    },
    /// A lifetime that is too long, or under `exact` not as long as ours.
    #[error("a lifetime of {offered} s is proposed, {configured} s are configured")]
    Lifetime {
        /// The peer's, in seconds.
        offered: u32,
        /// Ours, in seconds.
        configured: u32,
    },
    /// The same in kilobytes.
    #[error("a lifetime of {} is proposed, {} is configured", kilobytes(*offered), kilobytes(*configured))]
    Kilobytes {
        /// The peer's.
        offered: Option<u32>,
        /// Ours.
        configured: Option<u32>,
    },
    /// Another group, or none.
    #[error("pfs_group {} is proposed, {} is configured", group(*offered), group(*configured))]
    Group {
        /// The peer's.
        offered: Option<Group>,
        /// Ours.
        configured: Option<Group>,
    },
}

fn kilobytes(limit: Option<u32>) -> String {
    limit.map_or_else(|| "unlimited bytes".into(), |limit| format!("{limit} KB"))
}

fn group(group: Option<Group>) -> String {
    group.map_or_else(|| "none".into(), |group| group.to_string())
}

/// Whether the lifetimes and the group that a peer proposes (or, to an initiator, answers) may be agreed upon.
///
/// # Errors
/// The first difference that `level` does not allow.
pub fn check_phase2(
    level: CheckLevel,
    offered: &Phase2Terms,
    configured: &Phase2Terms,
) -> Result<Phase2Agreement, Phase2Mismatch> {
    let lifetime = Phase2Mismatch::Lifetime { offered: offered.lifetime, configured: configured.lifetime };
    let kilobytes = Phase2Mismatch::Kilobytes { offered: offered.kilobytes, configured: configured.kilobytes };
    let group = Phase2Mismatch::Group { offered: offered.group, configured: configured.group };
    let longer = offered.lifetime > configured.lifetime;
    let larger = limit(offered.kilobytes) > limit(configured.kilobytes);
    let as_offered = Phase2Agreement { terms: *offered, claims_lifetime: false };
    match level {
        CheckLevel::Obey => return Ok(as_offered),
        CheckLevel::Strict if longer => return Err(lifetime),
        CheckLevel::Strict if larger => return Err(kilobytes),
        CheckLevel::Exact if offered.lifetime != configured.lifetime => return Err(lifetime),
        CheckLevel::Exact if offered.kilobytes != configured.kilobytes => return Err(kilobytes),
        CheckLevel::Exact if offered.group != configured.group => return Err(group),
        CheckLevel::Strict | CheckLevel::Claim | CheckLevel::Exact => {}
    }
    if configured.group.is_some() && offered.group != configured.group {
        return Err(group);
    }
    if level != CheckLevel::Claim {
        return Ok(as_offered);
    }
    let terms = Phase2Terms {
        lifetime: offered.lifetime.min(configured.lifetime),
        kilobytes: if larger { configured.kilobytes } else { offered.kilobytes },
        group: offered.group,
    };
    Ok(Phase2Agreement { terms, claims_lifetime: longer || larger })
}

/// A limit in kilobytes as a number to compare.
fn limit(kilobytes: Option<u32>) -> u64 {
    kilobytes.map_or(u64::MAX, u64::from)
}

/// Whether a transform that a peer proposes (or answers) is one of ours. In UDP it may only be where there is a NAT
/// (RFC 3947 section 5.1).
///
/// # Errors
/// The first difference that `level` does not allow.
pub fn check_transform(
    level: CheckLevel,
    nat: bool,
    offered: &Transform,
    configured: &Transform,
) -> Result<Transform, Phase2Mismatch> {
    if offered.protocol != configured.protocol {
        return Err(Phase2Mismatch::Protocol { offered: offered.protocol, configured: configured.protocol });
    }
    if offered.id != configured.id {
        return Err(Phase2Mismatch::Transform { offered: offered.id, configured: configured.id });
    }
    if offered.authentication != configured.authentication {
        return Err(Phase2Mismatch::Authentication {
            offered: offered.authentication,
            configured: configured.authentication,
        });
    }
    if offered.mode.plain() != configured.mode.plain() || (offered.mode.in_udp() && !nat) {
        return Err(Phase2Mismatch::Mode { offered: offered.mode, configured: configured.mode });
    }
    let enough = match level {
        CheckLevel::Obey => true,
        CheckLevel::Strict | CheckLevel::Claim => offered.key_length >= configured.key_length,
        CheckLevel::Exact => offered.key_length == configured.key_length,
    };
    if !enough {
        return Err(Phase2Mismatch::KeyLength { offered: offered.key_length, configured: configured.key_length });
    }
    Ok(Transform { truncated: configured.truncated, ..*offered })
}

/// The first of the peer's transforms of a protocol, in the peer's order, that is one of ours; its number from 0, and what
/// is agreed.
pub fn accept_transform(
    level: CheckLevel,
    nat: bool,
    offered: &[Transform],
    configured: &[Transform],
) -> Option<(usize, Transform)> {
    offered.iter().enumerate().find_map(|(at, theirs)| {
        configured.iter().find_map(|ours| Some((at, check_transform(level, nat, theirs, ours).ok()?)))
    })
}

/// The transforms of a protocol that a sainfo allows, in the order in which they are proposed: ESP each encryption with each
/// authentication, AH each authentication, IPComp each compression.
pub fn transforms(sainfo: &Sainfo, protocol: Protocol, mode: EncapsulationMode) -> Vec<Transform> {
    let one = |id, key_length| Transform {
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
                if encryption.transform.is_aead() {
                    list.push(alone);
                    continue;
                }
                list.extend(sainfo.authentication.iter().map(|authentication| Transform {
                    authentication: authentication.algorithm,
                    truncated: authentication.truncated,
                    ..alone
                }));
            }
        }
        Protocol::AH => {
            list.extend(sainfo.authentication.iter().filter_map(|authentication| {
                Some(Transform {
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

/// What an initiator does with a RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1): the lifetime to go on with, or none if the
/// notify is to be ignored (and a warning written). `own` is the sainfo's, `notified` what the responder says, in the same
/// unit.
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
