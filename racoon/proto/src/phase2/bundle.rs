//! Bundles: the proposal that results from a policy's templates and a sainfo, and the agreement on it.

use super::agreement::{AgreedMember, Agreement};
use super::keys::key_lengths;
use super::traffic::bundle_mode;
use crate::config::{CheckLevel, Esn, Sainfo};
use crate::conversation::record::bounded;
use crate::crypto::is_supported_group;
use crate::kernel::{Mode, Template};
use crate::num::{AuthAlgorithm, EncapsulationMode, Group, Protocol};
use crate::proposal::encoding::{Suite, SuiteProtocol, SuiteTransform, answered_phase2, offered_phase2};
use crate::proposal::{
    Phase2Agreement, Phase2Mismatch, Phase2Terms, Phase2Transform, ProposalRefusal, Sides, check_phase2,
    check_transform, terms_mismatches, transform_mismatches, transforms,
};
use crate::reason::{BadChoice, FailureReason};
use crate::wire::SaBody;

/// The proposal that a policy requires and a sainfo allows.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// One for each template, in the order of the templates.
    pub(crate) members: Vec<BundleMember>,
    /// Lifetime and group.
    pub(crate) terms: Phase2Terms,
    esn: Esn,
    replay_window: u32,
}

/// One protocol of a bundle, for which a pair of SAs is negotiated.
#[derive(Clone, Debug)]
pub(crate) struct BundleMember {
    /// ESP, AH or IPComp.
    pub(crate) protocol: Protocol,
    /// The mode of the SAs, as in the template.
    pub(crate) mode: Mode,
    pub(crate) reqid_in: u32,
    pub(crate) reqid_out: u32,
    /// The transforms in order of preference.
    transforms: Vec<Phase2Transform>,
}

impl Bundle {
    /// The bundle of the templates of an outbound policy. Those of the inbound one have their own reqids.
    ///
    /// # Errors
    /// If the sainfo has no algorithm for one of them, or if two have the same protocol.
    pub(crate) fn new(
        outbound: &[Template],
        inbound: &[Template],
        sainfo: &Sainfo,
        complex_bundle: bool,
        in_udp: bool,
    ) -> Result<Self, FailureReason> {
        let all = bundle_mode(outbound, complex_bundle);
        let is_twice = |one: &Template| outbound.iter().filter(|other| other.protocol == one.protocol).count() > 1;
        if let Some(twice) = outbound.iter().find(|one| is_twice(one)) {
            return Err(FailureReason::RepeatedProtocol(twice.protocol));
        }
        let members = outbound.iter().enumerate().map(|(at, template)| {
            let mode = encapsulation(if complex_bundle { template.mode } else { all }, in_udp);
            let transforms = transforms(sainfo, template.protocol, mode)
                .into_iter()
                .filter(|transform| key_lengths(transform).is_some())
                .collect::<Vec<_>>();
            if transforms.is_empty() {
                return Err(FailureReason::NoProposalChosen(ProposalRefusal::NoAlgorithm(template.protocol)));
            }
            let mirror = inbound.get(at).filter(|mirror| mirror.protocol == template.protocol && mirror.reqid != 0);
            Ok(BundleMember {
                protocol: template.protocol,
                mode: template.mode,
                reqid_in: mirror.map_or(template.reqid, |mirror| mirror.reqid),
                reqid_out: template.reqid,
                transforms,
            })
        });
        let members = members.collect::<Result<_, _>>()?;
        Ok(Self { members, terms: sainfo.terms, esn: sainfo.esn, replay_window: sainfo.replay_window })
    }

    /// The proposal, with SPIs in the order of the members.
    pub(crate) fn suite(&self, spis: &[u32]) -> Suite {
        let protocols = self.members.iter().zip(spis).map(|(member, spi)| SuiteProtocol {
            protocol: member.protocol,
            spi: *spi,
            transforms: self.offers(member),
        });
        Suite { number: 1, protocols: protocols.collect() }
    }

    /// The configured proposal, as text.
    pub(crate) fn in_words(&self) -> Vec<String> {
        in_words(&[self.suite(&vec![0; self.members.len()])])
    }

    /// A responder's choice: the first proposal of the peer, in its order, in which every protocol has a transform that the level
    /// allows, and the first such transform of each.
    ///
    /// # Errors
    /// The smallest difference.
    pub(crate) fn choose(&self, level: CheckLevel, nat: bool, offered: &[Suite]) -> Result<Agreement, FailureReason> {
        let mut closest = ProposalRefusal::NotUnderstood;
        for suite in offered {
            match self.agree(level, nat, suite) {
                Ok(agreement) => return Ok(agreement),
                Err(refusal) if refusal.distance() < closest.distance() => closest = refusal,
                Err(_) => {}
            }
        }
        Err(FailureReason::NoProposalChosen(closest))
    }

    /// Checks what a responder has chosen from `offered`, the only proposal.
    ///
    /// # Errors
    /// [`FailureReason::BadChoice`] if it was not offered, or if its lifetime is not allowed.
    pub(crate) fn confirm(
        &self,
        level: CheckLevel,
        nat: bool,
        offered: &Suite,
        answer: &SaBody,
    ) -> Result<Agreement, FailureReason> {
        let chosen = answered_phase2(answer, std::slice::from_ref(offered))
            .map_err(|error| FailureReason::BadChoice(BadChoice::Answer(error)))?;
        self.agree(level, nat, &chosen).map_err(|refusal| FailureReason::BadChoice(BadChoice::Changed(refusal)))
    }

    /// Checks a proposal.
    ///
    /// # Errors
    /// The smallest difference.
    fn agree(&self, level: CheckLevel, nat: bool, suite: &Suite) -> Result<Agreement, ProposalRefusal> {
        let other_protocols = || {
            let theirs = suite.protocols.iter().map(|one| one.protocol);
            let ours = self.members.iter().map(|member| member.protocol);
            ProposalRefusal::Protocols(Sides(theirs.collect(), ours.collect()))
        };
        if suite.protocols.len() != self.members.len() {
            return Err(other_protocols());
        }
        let mut free = self.members.iter().collect::<Vec<_>>();
        let mut members = Vec::new();
        let mut agreed: Option<Phase2Agreement> = None;
        for protocol in &suite.protocols {
            let at = free.iter().position(|member| member.protocol == protocol.protocol).ok_or_else(other_protocols)?;
            // Each member is taken once: a proposal may not name a protocol twice.
            let member = free.remove(at);
            let (member, agreement) = self.agree_on(level, nat, member, protocol, agreed.map(|one| one.terms.group))?;
            members.push(member);
            agreed = Some(agreed.map_or(agreement, |before| shorter(before, agreement)));
        }
        let agreed = agreed.ok_or(ProposalRefusal::NotUnderstood)?;
        Ok(Agreement {
            suite: suite.clone(),
            members,
            terms: agreed.terms,
            claims_lifetime: agreed.claims_lifetime,
            replay_window: self.replay_window,
        })
    }

    /// The first transform of a protocol that is acceptable. All protocols of a proposal have one group.
    fn agree_on(
        &self,
        level: CheckLevel,
        nat: bool,
        member: &BundleMember,
        protocol: &SuiteProtocol,
        group: Option<Option<Group>>,
    ) -> Result<(AgreedMember, Phase2Agreement), ProposalRefusal> {
        let mut closest = ProposalRefusal::NoTransform(protocol.protocol);
        for (at, offer) in protocol.transforms.iter().enumerate() {
            // The SAs of a bundle share one key exchange, and a transform without known keys cannot be installed.
            if group.is_some_and(|group| group != offer.terms.group) || key_lengths(&offer.transform).is_none() {
                continue;
            }
            for own in &member.transforms {
                match self.accept(level, nat, offer, own) {
                    Ok((transform, agreement)) => {
                        let member = member.clone();
                        let agreed = AgreedMember { member, at, transform, esn: offer.esn, spi_out: protocol.spi };
                        return Ok((agreed, agreement));
                    }
                    Err(mismatches) if mismatches.len() < closest.distance() => {
                        closest = ProposalRefusal::Phase2 { protocol: protocol.protocol, mismatches, level };
                    }
                    Err(_) => {}
                }
            }
        }
        Err(closest)
    }

    /// Checks that a transform of the peer is one of ours.
    ///
    /// # Errors
    /// All differences.
    fn accept(
        &self,
        level: CheckLevel,
        nat: bool,
        offer: &SuiteTransform,
        own: &Phase2Transform,
    ) -> Result<(Phase2Transform, Phase2Agreement), Vec<Phase2Mismatch>> {
        let esn = self.check_esn(own.protocol, offer.esn);
        let unsupported = offer.terms.group.filter(|group| !is_supported_group(*group));
        if esn.is_none()
            && unsupported.is_none()
            && let Ok(transform) = check_transform(level, nat, &offer.transform, own)
            && let Ok(agreement) = check_phase2(level, &offer.terms, &self.terms)
        {
            return Ok((transform, agreement));
        }
        let terms = terms_mismatches(level, &offer.terms, &self.terms);
        let all = transform_mismatches(level, nat, &offer.transform, own).chain(terms).chain(esn);
        Err(all.chain(unsupported.map(Phase2Mismatch::UnsupportedGroup)).collect())
    }

    /// Checks the use of extended sequence numbers, which only ESP and AH have.
    fn check_esn(&self, protocol: Protocol, proposed: bool) -> Option<Phase2Mismatch> {
        let is_wrong = match self.esn {
            Esn::Off => proposed,
            Esn::On => false,
            Esn::Require => !proposed && protocol != Protocol::IPCOMP,
        };
        is_wrong.then_some(Phase2Mismatch::Esn { proposed })
    }

    /// The transforms of a member, with all their attributes.
    fn offers(&self, member: &BundleMember) -> Vec<SuiteTransform> {
        let esn: &[bool] = match self.esn {
            _ if member.protocol == Protocol::IPCOMP => &[false],
            Esn::Off => &[false],
            Esn::On => &[true, false],
            Esn::Require => &[true],
        };
        let all = esn.iter().flat_map(|esn| member.transforms.iter().map(move |transform| (*esn, *transform)));
        let numbered = (1_u8..=u8::MAX).zip(all);
        numbered.map(|(number, (esn, transform))| SuiteTransform::new(number, transform, self.terms, esn)).collect()
    }
}

/// The proposals of an SA payload. A transform that names no mode has the mode `unspecified`.
///
/// # Errors
/// If the proposals cannot be distinguished.
pub(crate) fn proposed(body: &SaBody, unspecified: Mode) -> Result<Vec<Suite>, FailureReason> {
    let offer = offered_phase2(body, encapsulation(unspecified, false));
    offer.map(|offer| offer.suites).map_err(|error| FailureReason::BadChoice(BadChoice::Proposals(error)))
}

/// Whether a proposal has a transform in this mode.
pub(crate) fn proposes(suites: &[Suite], mode: Mode) -> bool {
    let protocols = suites.iter().flat_map(|suite| &suite.protocols);
    let mut transforms = protocols.flat_map(|protocol| &protocol.transforms);
    transforms.any(|one| one.transform.mode.plain() == encapsulation(mode, false))
}

/// Describes proposals, with a line for each transform.
pub(crate) fn in_words(suites: &[Suite]) -> Vec<String> {
    let protocols = suites.iter().flat_map(|suite| suite.protocols.iter().map(|protocol| (suite.number, protocol)));
    let lines = protocols.flat_map(|(number, protocol)| {
        protocol.transforms.iter().map(move |one| format!("{number} {}", transform_in_words(one)))
    });
    bounded(lines)
}

fn transform_in_words(one: &SuiteTransform) -> String {
    let Phase2Transform { protocol, id, key_length, authentication, mode, .. } = one.transform;
    let mut words = format!("{protocol} {mode} {}", protocol.transform_name(id));
    if key_length != 0 {
        words.push_str(&format!(" {key_length}"));
    }
    if authentication != AuthAlgorithm::NONE {
        words.push_str(&format!(" {authentication}"));
    }
    if let Some(group) = one.terms.group {
        words.push_str(&format!(" pfs_group {group}"));
    }
    words.push_str(&format!(" {} s", one.terms.lifetime));
    if let Some(kilobytes) = one.terms.kilobytes {
        words.push_str(&format!(" {kilobytes} KB"));
    }
    if one.esn {
        words.push_str(" esn");
    }
    words
}

/// The mode as a proposal encodes it.
fn encapsulation(mode: Mode, in_udp: bool) -> EncapsulationMode {
    match (mode, in_udp) {
        (Mode::Tunnel, false) => EncapsulationMode::TUNNEL,
        (Mode::Transport, false) => EncapsulationMode::TRANSPORT,
        (Mode::Tunnel, true) => EncapsulationMode::UDP_TUNNEL,
        (Mode::Transport, true) => EncapsulationMode::UDP_TRANSPORT,
    }
}

/// The lifetime of SAs that end together: the shorter one.
fn shorter(one: Phase2Agreement, other: Phase2Agreement) -> Phase2Agreement {
    let kilobytes = match (one.terms.kilobytes, other.terms.kilobytes) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let lifetime = one.terms.lifetime.min(other.terms.lifetime);
    Phase2Agreement {
        terms: Phase2Terms { lifetime, kilobytes, group: one.terms.group },
        claims_lifetime: one.claims_lifetime || other.claims_lifetime,
    }
}

#[cfg(test)]
mod tests;
