//! SA payloads of phase 2: suites of protocols (RFC 2408 section 4.2, RFC 2407 sections 4.4 and 4.5).
//!
//! Proposals with the same number belong together: all of them, or none. Those with different numbers are alternatives.

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

/// The least SPI of AH and ESP that is not reserved (RFC 4302 section 2.4, RFC 4303 section 2.1).
const SPI_MIN: u32 = 256;

/// Protocols that protect the same packets: one of the alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Proposal number.
    pub number: u8,
    /// Its protocols, each once, in order.
    pub protocols: Vec<SuiteProtocol>,
}

/// A protocol of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteProtocol {
    /// AH, ESP or IPComp.
    pub protocol: Protocol,
    /// The SPI at the side that sends the payload; of IPComp the CPI.
    pub spi: u32,
    /// The transforms to choose one of, in order of preference.
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
    /// How it stands in the payload: an answer has to repeat it as it is.
    wire: wire::Transform,
}

impl SuiteTransform {
    /// A transform to propose.
    pub fn new(number: u8, transform: Phase2Transform, terms: Phase2Terms, esn: bool) -> Self {
        let attributes = attributes(&transform, &terms, esn);
        Self { transform, terms, esn, wire: wire::Transform { number, id: transform.id, attributes } }
    }

    /// Transform number.
    pub fn number(&self) -> u8 {
        self.wire.number
    }

    /// How it stands in the payload.
    pub fn wire(&self) -> &wire::Transform {
        &self.wire
    }

    fn names_lifetime(&self) -> bool {
        self.wire.attributes.iter().any(|attribute| attribute.kind == LAYOUT.life_type)
    }

    /// The same but for lifetimes and for what is not on the wire.
    fn agrees_with(&self, other: &Self) -> bool {
        let truncated = self.transform.truncated;
        self.transform == Phase2Transform { truncated, ..other.transform }
            && self.terms.group == other.terms.group
            && self.esn == other.esn
    }
}

/// What a peer proposes for phase 2, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase2Offer {
    /// The suites of which every protocol is understood.
    pub suites: Vec<Suite>,
    /// The transforms and proposals that are not, for the log.
    pub skipped: Vec<Skipped>,
}

/// What is chosen of one protocol of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which of its transforms, from 0.
    pub transform: usize,
    /// Our SPI, of IPComp the CPI.
    pub spi: u32,
}

/// An SA payload that proposes `suites`.
pub fn phase2_sa(suites: &[Suite]) -> SaBody {
    let proposals = suites.iter().flat_map(|suite| {
        suite.protocols.iter().map(|one| {
            let transforms = one.transforms.iter().map(|transform| transform.wire.clone()).collect();
            proposal(suite.number, one.protocol, one.spi, transforms)
        })
    });
    SaBody::new(proposals.collect())
}

/// What an SA payload proposes. A transform that names no mode has the mode `unspecified` (RFC 2407 section 4.5 leaves
/// it to the host).
///
/// # Errors
/// Proposal numbers that go down.
pub fn offered_phase2(body: &SaBody, unspecified: EncapsulationMode) -> Result<Phase2Offer, ProposalError> {
    let mut offer = Phase2Offer::default();
    let mut before = 0;
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

/// The answer that chooses from `suite` a transform of each protocol, in the suite's order, and repeats it unchanged
/// (RFC 2408 section 4.2). None if there is not one choice for each, or one that does not exist.
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

/// What an answer chooses of the suites that were `sent`: the suite in the order in which it was sent, with the peer's
/// SPIs and one transform for each protocol. Its lifetimes are the peer's, whether they will do is for
/// [`check_phase2`](crate::proposal::check_phase2); all the rest has to be as sent. A lifetime that is left out is 8 hours
/// (RFC 2407 section 4.5), or what was sent if that is shorter.
///
/// A proposal under a number that was not sent chooses nothing and is passed over. strongSwan, asked for ESP with IPComp,
/// puts one beside its choice: the same ESP alone.
///
/// # Errors
/// Not exactly one suite with one transform for each protocol, or one that was not sent.
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

/// `chosen`, which has one transform for each protocol, if it is of the suite `sent`.
fn as_sent(sent: &Suite, chosen: &Suite) -> Option<Suite> {
    if sent.number != chosen.number || sent.protocols.len() != chosen.protocols.len() {
        return None;
    }
    let protocols = sent.protocols.iter().map(|ours| {
        let theirs = chosen.protocols.iter().find(|one| one.protocol == ours.protocol)?;
        let mut transform = theirs.transforms.first()?.clone();
        let proposed = ours.transforms.iter().find(|one| transform.agrees_with(one))?;
        transform.transform.truncated = proposed.transform.truncated;
        if !transform.names_lifetime() {
            transform.terms.lifetime = transform.terms.lifetime.min(proposed.terms.lifetime);
            transform.terms.kilobytes = proposed.terms.kilobytes;
        }
        Some(SuiteProtocol { transforms: vec![transform], ..*theirs })
    });
    Some(Suite { number: sent.number, protocols: protocols.collect::<Option<_>>()? })
}

/// A proposal; a CPI takes 2 bytes (RFC 3173 section 4.1).
fn proposal(number: u8, protocol: Protocol, spi: u32, transforms: Vec<wire::Transform>) -> Proposal {
    let spi = match (protocol, u16::try_from(spi)) {
        (Protocol::IPCOMP, Ok(cpi)) => cpi.to_be_bytes().to_vec(),
        _ => spi.to_be_bytes().to_vec(),
    };
    Proposal { number, protocol, spi, transforms }
}

/// The protocols of proposals with one number. Transforms that are passed over are added to `skipped`.
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
        if transforms.is_empty() {
            return Err(SkipReason::NoTransform(protocol));
        }
        protocols.push(SuiteProtocol { protocol, spi, transforms });
    }
    give_group_to_ipcomp(&mut protocols);
    Ok(protocols)
}

/// A suite has one group. IPComp has no keys, and some peers name the group beside what has keys only.
fn give_group_to_ipcomp(protocols: &mut [SuiteProtocol]) {
    let keyed = protocols.iter().filter(|one| one.protocol != Protocol::IPCOMP);
    let group = keyed.flat_map(|one| &one.transforms).find_map(|one| one.terms.group);
    for one in protocols.iter_mut().filter(|one| one.protocol == Protocol::IPCOMP) {
        one.transforms.iter_mut().for_each(|one| one.terms.group = one.terms.group.or(group));
    }
}

/// An SPI that may be one.
fn spi(protocol: Protocol, bytes: &[u8]) -> Option<u32> {
    let number = match *bytes {
        [high, low] if protocol == Protocol::IPCOMP => u16::from_be_bytes([high, low]).into(),
        _ => u32::from_be_bytes(bytes.try_into().ok()?),
    };
    let possible = match protocol {
        Protocol::IPCOMP => 1..=u32::from(u16::MAX),
        _ => SPI_MIN..=u32::MAX,
    };
    possible.contains(&number).then_some(number)
}

/// A transform as attributes.
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

/// Attributes as a transform.
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

/// Key length and authentication algorithm of the transform `id` of a protocol.
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
            // AH names its algorithm twice, and both have to fit (RFC 2407 section 4.4.3).
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
