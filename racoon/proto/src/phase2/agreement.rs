//! What both sides have agreed on for a bundle, and the SAs that follow.

use super::bundle::BundleMember;
use super::keys::sa_transform;
use super::traffic::Endpoints;
use crate::crypto::{Phase1Keys, Phase2Seed};
use crate::kernel::{Lifetime, Mode, RequestId, SaInstallation, SaName, UdpPorts, Way};
use crate::num::Protocol;
use crate::proposal::encoding::{Choice, Suite, phase2_answer};
use crate::proposal::{Phase2Terms, Phase2Transform};
use crate::reason::{BadChoice, FailureReason, Role};
use crate::wire::SaBody;

/// Percentage of an SA's lifetime after which its initiator renews it.
const SOFT_PERCENT: u64 = 80;

/// The result of a negotiation.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    /// The proposal as the initiator made it, or for an initiator as the responder chose it.
    pub(super) suite: Suite,
    /// In the order of the proposal.
    pub(crate) members: Vec<AgreedMember>,
    /// Lifetime and group.
    pub(crate) terms: Phase2Terms,
    /// Whether the peer has to be notified of a shorter lifetime.
    pub(crate) claims_lifetime: bool,
    pub(super) replay_window: u32,
}

/// The result of a negotiation for one protocol.
#[derive(Clone, Debug)]
pub(crate) struct AgreedMember {
    pub(crate) member: BundleMember,
    /// The index of the transform.
    pub(super) at: usize,
    pub(crate) transform: Phase2Transform,
    pub(super) esn: bool,
    /// The SPI of the SA to the peer.
    pub(crate) spi_out: u32,
}

/// A pair of SAs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) inbound: SaName,
    pub(crate) outbound: SaName,
    pub(crate) mode: Mode,
    pub(crate) reqid_in: u32,
    pub(crate) reqid_out: u32,
    pub(crate) transform: Phase2Transform,
}

/// The SAs of a bundle with their keys, in the order of its members. The numbers of their requests and acquires are set later.
#[derive(Debug)]
pub(crate) struct Installations {
    pub(crate) inbound: Vec<SaInstallation>,
    pub(crate) outbound: Vec<SaInstallation>,
    pub(crate) pairs: Vec<Pair>,
}

/// The values that all SAs of a bundle share.
pub(crate) struct Common<'a> {
    pub(crate) keys: &'a Phase1Keys,
    pub(crate) seed: Phase2Seed<'a>,
    pub(crate) sa: Endpoints,
    pub(crate) role: Role,
    /// The UDP ports of encapsulated ESP, ours and the peer's.
    pub(crate) udp: Option<(u16, u16)>,
}

impl Agreement {
    /// The answer of a responder: its choice, as it was proposed, with SPIs in the order of the members.
    ///
    /// # Errors
    /// If there is not one SPI for each member.
    pub(crate) fn answer(&self, spis: &[u32]) -> Result<SaBody, FailureReason> {
        let choices = self.members.iter().zip(spis).map(|(member, spi)| Choice { transform: member.at, spi: *spi });
        phase2_answer(&self.suite, &choices.collect::<Vec<_>>()).ok_or(FailureReason::BadChoice(BadChoice::Incomplete))
    }

    /// The SAs. `spis` are ours, in the order of the members.
    ///
    /// # Errors
    /// If their keys cannot be derived.
    pub(crate) fn installations(&self, spis: &[u32], common: &Common<'_>) -> Result<Installations, FailureReason> {
        let mut all = Installations { inbound: Vec::new(), outbound: Vec::new(), pairs: Vec::new() };
        for (agreed, spi_in) in self.members.iter().zip(spis) {
            let inbound = self.installation(agreed, Way::Inbound, *spi_in, common)?;
            let outbound = self.installation(agreed, Way::Outbound, agreed.spi_out, common)?;
            all.pairs.push(Pair {
                inbound: inbound.name,
                outbound: outbound.name,
                mode: agreed.member.mode,
                reqid_in: inbound.reqid,
                reqid_out: outbound.reqid,
                transform: agreed.transform,
            });
            all.inbound.push(inbound);
            all.outbound.push(outbound);
        }
        Ok(all)
    }

    fn installation(
        &self,
        agreed: &AgreedMember,
        way: Way,
        spi: u32,
        common: &Common<'_>,
    ) -> Result<SaInstallation, FailureReason> {
        let Endpoints { local, remote } = common.sa;
        let (source, destination, reqid) = match way {
            Way::Inbound => (remote, local, agreed.member.reqid_in),
            Way::Outbound => (local, remote, agreed.member.reqid_out),
        };
        let udp = common.udp.filter(|_| agreed.member.protocol == Protocol::ESP).map(|(ours, theirs)| match way {
            Way::Inbound => UdpPorts { source: theirs, destination: ours },
            Way::Outbound => UdpPorts { source: ours, destination: theirs },
        });
        let hard = Lifetime { seconds: self.terms.lifetime.into(), kilobytes: self.terms.kilobytes };
        let compresses = agreed.member.protocol == Protocol::IPCOMP;
        Ok(SaInstallation {
            id: RequestId(0),
            way,
            name: SaName { protocol: agreed.member.protocol, source, destination, spi },
            mode: agreed.member.mode,
            crosses_families: false,
            reqid,
            transform: sa_transform(common.keys, &common.seed, &agreed.transform, spi)?,
            hard,
            // The responder of a renewal waits for the initiator, so only one side gets a soft limit.
            soft: if common.role == Role::Initiator { soft(hard) } else { Lifetime::default() },
            // IPComp has no sequence numbers, so there is nothing to protect against replay.
            replay_window: if compresses { 0 } else { self.replay_window },
            esn: agreed.esn,
            udp,
            acquire: 0,
        })
    }
}

/// The limits at which an SA is renewed: 80 % of its lifetime.
pub(crate) fn soft(hard: Lifetime) -> Lifetime {
    let member = |limit: u64| limit.saturating_mul(SOFT_PERCENT) / 100;
    let kilobytes = hard.kilobytes.map(|limit| u32::try_from(member(limit.into())).unwrap_or(limit));
    Lifetime { seconds: member(hard.seconds), kilobytes }
}
