//! SA payloads of phase 2: suites of protocols (RFC 2408 section 4.2, RFC 2407 sections 4.4 and 4.5).
//!
//! Proposals with the same number form a suite, of which all or none are accepted. Those with different numbers are alternatives.

use super::values::{Layout, Values};
use super::{AnswerError, AttributeName, ProposalError, SkipReason, Skipped, key_length};
use crate::num::{AuthAlgorithm, EncapsulationMode, EspTransform, Group, LifeType, Phase2Attribute as A, Protocol};
use crate::proposal::{Phase2Terms, Phase2Transform};
use crate::wire;
use crate::wire::{Attribute, Proposal, SaBody};

/// The attributes of phase 2.
static LAYOUT: Layout = Layout {
    name: |kind| AttributeName::Phase2(A(kind)),
    life_type: A::LIFE_TYPE.0,
    life_duration: A::LIFE_DURATION.0,
    short: &[
        A::GROUP_DESCRIPTION.0,
        A::ENCAPSULATION_MODE.0,
        A::AUTHENTICATION_ALGORITHM.0,
        A::KEY_LENGTH.0,
        A::EXTENDED_SEQUENCE_NUMBER.0,
    ],
};

/// Extended Sequence Number: 64 bits (RFC 4304 section 2).
const ESN_64: u16 = 1;

/// The smallest SPI of AH and ESP that is not reserved (RFC 4302 section 2.4, RFC 4303 section 2.1).
const SPI_MIN: u32 = 256;

/// One of the alternatives: the protocols that together protect the same packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Proposal number.
    pub number: u8,
    /// The protocols in order, each once.
    pub protocols: Vec<SuiteProtocol>,
}

/// A protocol of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteProtocol {
    /// AH, ESP or IPComp.
    pub protocol: Protocol,
    /// The SPI that the sender of the payload has chosen; for IPComp the CPI.
    pub spi: u32,
    /// The alternative transforms, in order of preference.
    pub transforms: Vec<SuiteTransform>,
}

/// A transform of a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteTransform {
    /// Algorithms and mode.
    pub transform: Phase2Transform,
    /// Lifetimes and group.
    pub terms: Phase2Terms,
    /// Extended sequence numbers.
    pub esn: bool,
    /// The transform as in the payload, because an answer must repeat it unchanged.
    wire: wire::Transform,
}

impl SuiteTransform {
    /// Makes a transform to propose.
    pub fn new(number: u8, transform: Phase2Transform, terms: Phase2Terms, esn: bool) -> Self {
        let attributes = attributes(&transform, &terms, esn);
        Self { transform, terms, esn, wire: wire::Transform { number, id: transform.id, attributes } }
    }

    /// Transform number.
    pub fn number(&self) -> u8 {
        self.wire.number
    }

    /// The transform as in the payload.
    pub fn wire(&self) -> &wire::Transform {
        &self.wire
    }

    fn names_lifetime(&self) -> bool {
        self.wire.attributes.iter().any(|attribute| attribute.kind == LAYOUT.life_type)
    }

    /// Whether both differ only in lifetimes, and in what is not transmitted.
    fn agrees_with(&self, other: &Self) -> bool {
        let truncated = self.transform.truncated;
        self.transform == Phase2Transform { truncated, ..other.transform }
            && self.terms.group == other.terms.group
            && self.esn == other.esn
    }
}

/// The proposals of a peer for phase 2, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase2Offer {
    /// The suites that have a valid transform for every protocol.
    pub suites: Vec<Suite>,
    /// The other transforms and proposals, for the log.
    pub skipped: Vec<Skipped>,
}

/// The choice for one protocol of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index of the transform.
    pub transform: usize,
    /// Our SPI; for IPComp the CPI.
    pub spi: u32,
}

/// Makes an SA payload that proposes `suites`.
pub fn phase2_sa(suites: &[Suite]) -> SaBody {
    let proposals = suites.iter().flat_map(|suite| {
        suite.protocols.iter().map(|one| {
            let transforms = one.transforms.iter().map(|transform| transform.wire.clone()).collect();
            proposal(suite.number, one.protocol, one.spi, transforms)
        })
    });
    SaBody::new(proposals.collect())
}

/// Reads the proposals of an SA payload. `unspecified` is the mode of transforms without one, which RFC 2407 section 4.5 leaves to
/// the host.
///
/// # Errors
/// If proposal numbers decrease.
pub fn offered_phase2(body: &SaBody, unspecified: EncapsulationMode) -> Result<Phase2Offer, ProposalError> {
    let mut offer = Phase2Offer::default();
    let mut before = 0;
    // Only adjacent proposals form a suite: the numbers must increase (RFC 2408 section 4.2).
    for proposals in body.proposals.chunk_by(|one, next| one.number == next.number) {
        let Some(Proposal { number, .. }) = proposals.first() else { continue };
        if *number < before {
            return Err(ProposalError::Order { before, number: *number });
        }
        before = *number;
        match suite(proposals, unspecified, &mut offer.skipped) {
            Ok(protocols) => offer.suites.push(Suite { number: *number, protocols }),
            Err(reason) => offer.skipped.push(Skipped { proposal: *number, transform: None, reason }),
        }
    }
    Ok(offer)
}

/// Makes the answer that chooses a transform of each protocol of `suite`, in its order, and repeats it unchanged (RFC 2408
/// section 4.2). Returns `None` if there is not one choice for each protocol, or if a chosen transform does not exist.
pub fn phase2_answer(suite: &Suite, choices: &[Choice]) -> Option<SaBody> {
    if suite.protocols.len() != choices.len() {
        return None;
    }
    let proposals = suite.protocols.iter().zip(choices).map(|(one, choice)| {
        let transform = one.transforms.get(choice.transform)?.wire.clone();
        Some(proposal(suite.number, one.protocol, choice.spi, vec![transform]))
    });
    Some(SaBody::new(proposals.collect::<Option<_>>()?))
}

/// Returns the suite, among those that were `sent`, that an answer chooses: in the order in which it was sent, with the peer's SPIs
/// and one transform for each protocol. The lifetimes are the peer's, and the caller checks them with
/// [`check_phase2`](crate::proposal::check_phase2); everything else must be as sent. An omitted lifetime is 8 hours (RFC 2407
/// section 4.5), or the one that was sent if that is shorter.
///
/// Proposals with a number that was not sent are ignored: when strongSwan chooses ESP with IPComp, it adds a proposal of the same
/// ESP alone.
///
/// # Errors
/// If the answer does not have exactly one suite with one transform for each protocol, or if this was not sent.
pub fn answered_phase2(answer: &SaBody, sent: &[Suite]) -> Result<Suite, AnswerError> {
    let transforms = || sent.iter().flat_map(|suite| &suite.protocols).flat_map(|one| &one.transforms);
    let unspecified = transforms().next().map_or(EncapsulationMode::TRANSPORT, |one| one.transform.mode);
    let mut offer = offered_phase2(answer, unspecified)?;
    let was_sent = |number| sent.iter().any(|suite| suite.number == number);
    if offer.suites.iter().any(|suite| was_sent(suite.number)) {
        offer.suites.retain(|suite| was_sent(suite.number));
        offer.skipped.retain(|skipped| was_sent(skipped.proposal));
    }
    if let Some(skipped) = offer.skipped.first() {
        return Err(AnswerError::Unusable(*skipped));
    }
    let [chosen] = offer.suites.as_slice() else { return Err(AnswerError::NotOne) };
    if chosen.protocols.iter().any(|one| one.transforms.len() != 1) {
        return Err(AnswerError::NotOne);
    }
    sent.iter().find_map(|suite| as_sent(suite, chosen)).ok_or_else(|| {
        let transform = chosen.protocols.iter().flat_map(|one| &one.transforms).next();
        let transform = transform.map_or(0, SuiteTransform::number);
        AnswerError::NotProposed { proposal: chosen.number, transform }
    })
}

/// Returns `chosen`, which has one transform for each protocol, in the order of the suite `sent`; `None` if it is not of this suite.
fn as_sent(sent: &Suite, chosen: &Suite) -> Option<Suite> {
    if sent.number != chosen.number || sent.protocols.len() != chosen.protocols.len() {
        return None;
    }
    let protocols = sent.protocols.iter().map(|ours| {
        let theirs = chosen.protocols.iter().find(|one| one.protocol == ours.protocol)?;
        let mut transform = theirs.transforms.first()?.clone();
        let proposed = ours.transforms.iter().find(|one| transform.agrees_with(one))?;
        // This is not negotiated, so the answer does not have it.
        transform.transform.truncated = proposed.transform.truncated;
        if !transform.names_lifetime() {
            transform.terms.lifetime = transform.terms.lifetime.min(proposed.terms.lifetime);
            transform.terms.kilobytes = proposed.terms.kilobytes;
        }
        Some(SuiteProtocol { transforms: vec![transform], ..*theirs })
    });
    Some(Suite { number: sent.number, protocols: protocols.collect::<Option<_>>()? })
}

/// Makes a proposal. A CPI is sent in 2 bytes (RFC 3173 section 4.1).
fn proposal(number: u8, protocol: Protocol, spi: u32, transforms: Vec<wire::Transform>) -> Proposal {
    let spi = match (protocol, u16::try_from(spi)) {
        (Protocol::IPCOMP, Ok(cpi)) => cpi.to_be_bytes().to_vec(),
        _ => spi.to_be_bytes().to_vec(),
    };
    Proposal { number, protocol, spi, transforms }
}

/// Reads the proposals with one number. Invalid transforms are added to `skipped`.
fn suite(
    proposals: &[Proposal],
    unspecified: EncapsulationMode,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<SuiteProtocol>, SkipReason> {
    let mut protocols: Vec<SuiteProtocol> = Vec::new();
    for proposal in proposals {
        let protocol = proposal.protocol;
        if !matches!(protocol, Protocol::AH | Protocol::ESP | Protocol::IPCOMP) {
            return Err(SkipReason::Protocol(protocol));
        }
        if protocols.iter().any(|one| one.protocol == protocol) {
            return Err(SkipReason::ProtocolTwice(protocol));
        }
        let spi = spi(protocol, &proposal.spi).ok_or(SkipReason::Spi(protocol))?;
        let mut transforms = Vec::new();
        for wire in &proposal.transforms {
            match transform(protocol, wire, unspecified) {
                Ok(one) => transforms.push(one),
                Err(reason) => {
                    skipped.push(Skipped { proposal: proposal.number, transform: Some(wire.number), reason });
                }
            }
        }
        // Without one of its protocols, a suite would protect less than its sender proposed.
        if transforms.is_empty() {
            return Err(SkipReason::NoTransform(protocol));
        }
        protocols.push(SuiteProtocol { protocol, spi, transforms });
    }
    give_group_to_ipcomp(&mut protocols);
    Ok(protocols)
}

/// Copies the group of ESP or AH to IPComp: a suite has one group, but some peers propose it only with the protocols that have keys.
fn give_group_to_ipcomp(protocols: &mut [SuiteProtocol]) {
    let keyed = protocols.iter().filter(|one| one.protocol != Protocol::IPCOMP);
    let group = keyed.flat_map(|one| &one.transforms).find_map(|one| one.terms.group);
    for one in protocols.iter_mut().filter(|one| one.protocol == Protocol::IPCOMP) {
        one.transforms.iter_mut().for_each(|one| one.terms.group = one.terms.group.or(group));
    }
}

/// Returns an SPI as a number, unless its length or value is invalid.
fn spi(protocol: Protocol, bytes: &[u8]) -> Option<u32> {
    let number = match *bytes {
        // A CPI has 2 bytes, or is the low half of 4 (RFC 3173 section 4.1).
        [high, low] if protocol == Protocol::IPCOMP => u16::from_be_bytes([high, low]).into(),
        _ => u32::from_be_bytes(bytes.try_into().ok()?),
    };
    let possible = match protocol {
        Protocol::IPCOMP => 1..=u32::from(u16::MAX),
        _ => SPI_MIN..=u32::MAX,
    };
    possible.contains(&number).then_some(number)
}

/// Encodes a transform as attributes.
fn attributes(transform: &Phase2Transform, terms: &Phase2Terms, esn: bool) -> Vec<Attribute> {
    let mut list = LAYOUT.lifetime(LifeType::SECONDS, terms.lifetime).to_vec();
    if let Some(kilobytes) = terms.kilobytes {
        list.extend(LAYOUT.lifetime(LifeType::KILOBYTES, kilobytes));
    }
    list.push(Attribute::short(A::ENCAPSULATION_MODE.0, transform.mode.0));
    if transform.key_length > 0 {
        list.push(Attribute::short(A::KEY_LENGTH.0, transform.key_length));
    }
    if transform.authentication != AuthAlgorithm::NONE {
        list.push(Attribute::short(A::AUTHENTICATION_ALGORITHM.0, transform.authentication.0));
    }
    if let Some(group) = terms.group {
        list.push(Attribute::short(A::GROUP_DESCRIPTION.0, group.0));
    }
    if esn {
        list.push(Attribute::short(A::EXTENDED_SEQUENCE_NUMBER.0, ESN_64));
    }
    list
}

/// Decodes the attributes of a transform.
fn transform(
    protocol: Protocol,
    wire: &wire::Transform,
    unspecified: EncapsulationMode,
) -> Result<SuiteTransform, SkipReason> {
    let values = Values::read(&LAYOUT, &wire.attributes)?;
    let (key_length, authentication) = algorithms(protocol, wire.id, &values)?;
    let esn = match values.short(A::EXTENDED_SEQUENCE_NUMBER.0) {
        None | Some(0) => false,
        Some(ESN_64) if protocol != Protocol::IPCOMP => true,
        Some(other) => return Err(values.value(A::EXTENDED_SEQUENCE_NUMBER.0, other)),
    };
    // An unknown mode stays as it is, and then matches no configured one.
    let mode = values.short(A::ENCAPSULATION_MODE.0).map_or(unspecified, EncapsulationMode);
    Ok(SuiteTransform {
        transform: Phase2Transform { protocol, id: wire.id, key_length, authentication, truncated: false, mode },
        terms: Phase2Terms {
            lifetime: values.seconds(),
            kilobytes: values.kilobytes(),
            group: values.short(A::GROUP_DESCRIPTION.0).map(Group),
        },
        esn,
        wire: wire.clone(),
    })
}

/// Returns key length and authentication algorithm of the transform `id` of a protocol.
fn algorithms(protocol: Protocol, id: u8, values: &Values) -> Result<(u16, AuthAlgorithm), SkipReason> {
    let key_length = values.short(A::KEY_LENGTH.0);
    let authentication = values.short(A::AUTHENTICATION_ALGORITHM.0);
    match (protocol, key_length) {
        (Protocol::ESP, key_length) => {
            let key_length = key_length::esp(EspTransform(id), key_length)
                .map_err(|length| values.value(A::KEY_LENGTH.0, length))?;
            Ok((key_length, authentication.map_or(AuthAlgorithm::NONE, AuthAlgorithm)))
        }
        (_, Some(length)) => Err(values.value(A::KEY_LENGTH.0, length)),
        (Protocol::AH, None) => {
            let algorithm = AuthAlgorithm(values.required(A::AUTHENTICATION_ALGORITHM.0)?);
            // The transform identifier and the attribute of AH must name the same algorithm (RFC 2407 section 4.4.3).
            match algorithm.ah_transform() {
                Some(transform) if transform.0 != id => Err(values.value(A::AUTHENTICATION_ALGORITHM.0, algorithm.0)),
                _ => Ok((0, algorithm)),
            }
        }
        (_, None) => match authentication {
            Some(algorithm) => Err(values.value(A::AUTHENTICATION_ALGORITHM.0, algorithm)),
            None => Ok((0, AuthAlgorithm::NONE)),
        },
    }
}

#[cfg(test)]
mod tests;
