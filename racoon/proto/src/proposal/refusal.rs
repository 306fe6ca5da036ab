//! The reason why no proposal is accepted, and its text.

use std::fmt;

use super::{Phase1Mismatch, Phase2Mismatch};
use crate::config::CheckLevel;
use crate::num::{AuthMethod, Group, Protocol};

/// A value of the peer and the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides<T>(pub T, pub T);

/// The reason why no proposal is accepted: the smallest difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalRefusal {
    /// Nothing was compared, because the line will not be logged.
    NotCompared,
    /// Every proposal has an unknown attribute or value.
    NotUnderstood,
    /// An authentication method of phase 1 that is not supported.
    Method(AuthMethod),
    /// Differences between two transforms of phase 1.
    Phase1 {
        /// The differences.
        mismatches: Vec<Phase1Mismatch>,
        /// The level of the comparison.
        level: CheckLevel,
    },
    /// A proposal of phase 2 has other protocols than the policy.
    Protocols(Sides<Vec<Protocol>>),
    /// No transform for a protocol has supported algorithms.
    NoTransform(Protocol),
    /// Differences between two transforms of phase 2.
    Phase2 {
        /// The protocol.
        protocol: Protocol,
        /// The differences.
        mismatches: Vec<Phase2Mismatch>,
        /// The level of the comparison.
        level: CheckLevel,
    },
    /// The sainfo has no algorithm for a protocol of the policy.
    NoAlgorithm(Protocol),
}

impl ProposalRefusal {
    /// Whether the policies differ, rather than algorithms or lifetimes.
    pub(crate) fn is_of_policies(&self) -> bool {
        match self {
            Self::Protocols(_) => true,
            Self::Phase2 { mismatches, .. } => {
                mismatches.iter().all(|one| matches!(one, Phase2Mismatch::Protocol(_) | Phase2Mismatch::Mode(_)))
            }
            _ => false,
        }
    }

    /// Returns a measure of the difference. Of several refusals, the one with the smallest is reported.
    pub(crate) fn distance(&self) -> usize {
        match self {
            Self::Phase1 { mismatches, .. } => mismatches.len(),
            Self::Phase2 { mismatches, .. } => mismatches.len(),
            // More than any number of differences: what follows has no transform to compare.
            Self::NoTransform(_) => usize::MAX - 2,
            Self::Protocols(_) => usize::MAX - 1,
            Self::NotCompared | Self::NotUnderstood | Self::Method(_) | Self::NoAlgorithm(_) => usize::MAX,
        }
    }
}

impl fmt::Display for ProposalRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCompared => f.write_str("not compared"),
            Self::NotUnderstood => f.write_str("none is understood"),
            Self::Method(method) => write!(f, "authentication_method {method} is not supported"),
            Self::Phase1 { mismatches, level } => {
                write_all(f, mismatches)?;
                write_level(f, mismatches.iter().any(|one| one.is_by_level()), *level)
            }
            Self::Protocols(Sides(offered, configured)) => {
                write!(f, "{} proposed, {} configured", names(offered), names(configured))
            }
            Self::NoTransform(protocol) => write!(f, "{protocol}: no transform is supported"),
            Self::Phase2 { protocol, mismatches, level } => {
                write!(f, "{protocol}: ")?;
                write_all(f, mismatches)?;
                write_level(f, mismatches.iter().any(|one| one.is_by_level()), *level)
            }
            Self::NoAlgorithm(protocol) => write!(f, "the sainfo has no algorithm for {protocol}"),
        }
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, mismatches: &[impl fmt::Display]) -> fmt::Result {
    for (at, mismatch) in mismatches.iter().enumerate() {
        let before = if at == 0 { "" } else { " and " };
        write!(f, "{before}{mismatch}")?;
    }
    Ok(())
}

/// Writes the level, if another one could allow the difference.
fn write_level(f: &mut fmt::Formatter<'_>, is_by_level: bool, level: CheckLevel) -> fmt::Result {
    if is_by_level { write!(f, " (proposal_check {level})") } else { Ok(()) }
}

fn names(protocols: &[Protocol]) -> String {
    protocols.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}

impl Phase1Mismatch {
    /// Whether another level of `proposal_check` could allow it.
    fn is_by_level(&self) -> bool {
        matches!(self, Self::KeyLength(_) | Self::Lifetime(_))
    }
}

impl fmt::Display for Phase1Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cipher(sides) => write!(f, "encryption_algorithm {sides}"),
            Self::Hash(sides) => write!(f, "hash_algorithm {sides}"),
            Self::Group(sides) => write!(f, "dh_group {sides}"),
            Self::Method(sides) => write!(f, "authentication_method {sides}"),
            Self::KeyLength(Sides(offered, configured)) => {
                write!(f, "key of {offered} bits proposed, {configured} bits configured")
            }
            Self::Lifetime(Sides(offered, configured)) => {
                write!(f, "lifetime {offered} s proposed, {configured} s configured")
            }
        }
    }
}

impl<T: fmt::Display> fmt::Display for Sides<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} proposed, {} configured", self.0, self.1)
    }
}

impl Phase2Mismatch {
    /// Whether another level of `proposal_check` could allow it.
    fn is_by_level(&self) -> bool {
        matches!(self, Self::KeyLength(_) | Self::Lifetime(_) | Self::Kilobytes(_) | Self::Group(_))
    }
}

impl fmt::Display for Phase2Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(sides) => sides.fmt(f),
            Self::Transform { protocol, ids: Sides(offered, configured) } => {
                Sides(protocol.transform_name(*offered), protocol.transform_name(*configured)).fmt(f)
            }
            Self::Authentication(sides) => sides.fmt(f),
            Self::Mode(Sides(offered, configured)) => {
                write!(f, "{offered} mode proposed, {configured} mode configured")
            }
            Self::KeyLength(Sides(offered, configured)) => {
                write!(f, "key of {offered} bits proposed, {configured} bits configured")
            }
            Self::Lifetime(Sides(offered, configured)) => {
                write!(f, "lifetime {offered} s proposed, {configured} s configured")
            }
            Self::Kilobytes(Sides(offered, configured)) => {
                write!(f, "lifetime in bytes {}", Sides(kilobytes(*offered), kilobytes(*configured)))
            }
            Self::Group(Sides(offered, configured)) => {
                write!(f, "pfs_group {}", Sides(group(*offered), group(*configured)))
            }
            Self::UnsupportedGroup(group) => write!(f, "pfs_group {group} proposed, which is not supported"),
            Self::Esn { proposed: true } => f.write_str("extended sequence numbers proposed, esn off configured"),
            Self::Esn { proposed: false } => {
                f.write_str("no extended sequence numbers proposed, esn require configured")
            }
        }
    }
}

fn kilobytes(limit: Option<u32>) -> String {
    limit.map_or_else(|| String::from("unlimited"), |limit| format!("{limit} KB"))
}

fn group(group: Option<Group>) -> String {
    group.map_or_else(|| String::from("none"), |group| group.to_string())
}
