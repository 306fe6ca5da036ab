//! SA payloads of phase 1: one proposal of protocol ISAKMP (RFC 2409 section 5 and Appendix A).

use super::values::{Layout, Values};
use super::{AnswerError, AttributeName, SkipReason, Skipped, key_length};
use crate::num::{AuthMethod, Cipher, Group, Hash, KEY_IKE, LifeType, Phase1Attribute as A, Protocol};
use crate::proposal::Phase1Terms;
use crate::wire::{Attribute, Proposal, SaBody, Transform};

/// The attributes of phase 1.
static LAYOUT: Layout = Layout {
    name: |kind| AttributeName::Phase1(A(kind)),
    life_type: A::LIFE_TYPE.0,
    life_duration: A::LIFE_DURATION.0,
    short: &[
        A::ENCRYPTION_ALGORITHM.0,
        A::HASH_ALGORITHM.0,
        A::AUTHENTICATION_METHOD.0,
        A::GROUP_DESCRIPTION.0,
        A::GROUP_TYPE.0,
        A::KEY_LENGTH.0,
    ],
};

/// Group Type of MODP groups.
const MODP: u16 = 1;

/// Group Type of elliptic curves over a prime field.
const ECP: u16 = 2;

/// The proposals of a peer for phase 1, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase1Offer {
    /// The valid transforms.
    pub transforms: Vec<OfferedPhase1>,
    /// The others, for the log.
    pub skipped: Vec<Skipped>,
}

impl Phase1Offer {
    /// Returns the terms of the transforms, for [`accept_phase1`](crate::proposal::accept_phase1).
    pub fn terms(&self) -> Vec<Phase1Terms> {
        self.transforms.iter().map(|one| one.terms).collect()
    }

    /// Removes the transforms of another group than the first one. In aggressive mode the public value is in the same message, so
    /// that the group is not negotiated (RFC 2409 section 5).
    pub fn retain_first_group(&mut self) {
        let group = self.transforms.first().map(|first| first.terms.group);
        self.transforms.retain(|one| Some(one.terms.group) == group);
    }
}

/// A transform that a peer proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedPhase1 {
    /// Proposal number.
    pub proposal: u8,
    /// The terms that it stands for.
    pub terms: Phase1Terms,
    /// The transform as received, because an answer must repeat it unchanged.
    pub transform: Transform,
}

/// Makes an SA payload that proposes `terms`, at most 255 of them, as the transforms, numbered from 1, of one proposal without SPI.
pub fn phase1_sa(terms: &[Phase1Terms]) -> SaBody {
    let transforms = (1..=u8::MAX).zip(terms).map(|(number, terms)| Transform {
        number,
        id: KEY_IKE,
        attributes: attributes(terms),
    });
    sa(1, transforms.collect())
}

/// Reads the proposals of an SA payload.
pub fn offered_phase1(body: &SaBody) -> Phase1Offer {
    let mut offer = Phase1Offer::default();
    // RFC 2409 section 5 allows only one proposal. Of several, each is read as a further alternative. Their SPIs are ignored:
    // the cookies name the SA (RFC 2408 section 3.5).
    for proposal in &body.proposals {
        let skipped = |transform, reason| Skipped { proposal: proposal.number, transform, reason };
        if proposal.protocol != Protocol::ISAKMP {
            offer.skipped.push(skipped(None, SkipReason::Protocol(proposal.protocol)));
            continue;
        }
        for transform in &proposal.transforms {
            match terms(transform) {
                Ok(terms) => {
                    let (proposal, transform) = (proposal.number, transform.clone());
                    offer.transforms.push(OfferedPhase1 { proposal, terms, transform });
                }
                Err(reason) => offer.skipped.push(skipped(Some(transform.number), reason)),
            }
        }
    }
    offer
}

/// Makes the answer that chooses a transform. It repeats the transform unchanged (RFC 2409 section 5).
pub fn phase1_answer(chosen: &OfferedPhase1) -> SaBody {
    sa(chosen.proposal, vec![chosen.transform.clone()])
}

/// Returns the index of the terms, among those that were `sent`, that an answer chooses, and these terms with the lifetime in the
/// answer. Everything else must be as sent. The caller checks the lifetime with [`check_phase1`](crate::proposal::check_phase1).
///
/// # Errors
/// If the answer does not have exactly one transform, or if this was not sent.
pub fn answered_phase1(answer: &SaBody, sent: &[Phase1Terms]) -> Result<(usize, Phase1Terms), AnswerError> {
    let offer = offered_phase1(answer);
    if let Some(skipped) = offer.skipped.first() {
        return Err(AnswerError::Unusable(*skipped));
    }
    // RFC 2409 section 5: the responder answers with a single transform.
    let [chosen] = offer.transforms.as_slice() else { return Err(AnswerError::NotOne) };
    // A responder may change the lifetime, as far as `proposal_check` allows.
    let lifetime = chosen.terms.lifetime;
    sent.iter()
        .map(|ours| Phase1Terms { lifetime, ..*ours })
        .enumerate()
        .find(|(_, ours)| Phase1Terms { method: ours.method.on_the_wire(), ..*ours } == chosen.terms)
        .ok_or(AnswerError::NotProposed { proposal: chosen.proposal, transform: chosen.transform.number })
}

/// Makes a payload with one proposal.
fn sa(number: u8, transforms: Vec<Transform>) -> SaBody {
    SaBody::new(vec![Proposal { number, protocol: Protocol::ISAKMP, spi: Vec::new(), transforms }])
}

/// Encodes terms as attributes.
fn attributes(terms: &Phase1Terms) -> Vec<Attribute> {
    let mut list = vec![Attribute::short(A::ENCRYPTION_ALGORITHM.0, terms.cipher.0)];
    if terms.key_length > 0 {
        list.push(Attribute::short(A::KEY_LENGTH.0, terms.key_length));
    }
    list.push(Attribute::short(A::HASH_ALGORITHM.0, terms.hash.0));
    list.push(Attribute::short(A::GROUP_DESCRIPTION.0, terms.group.0));
    list.push(Attribute::short(A::AUTHENTICATION_METHOD.0, terms.method.on_the_wire().0));
    list.extend(LAYOUT.lifetime(LifeType::SECONDS, terms.lifetime));
    list
}

/// Decodes attributes. A lifetime in kilobytes is ignored: the side that proposes it can end the SA at this limit.
fn terms(transform: &Transform) -> Result<Phase1Terms, SkipReason> {
    if transform.id != KEY_IKE {
        return Err(SkipReason::TransformId(transform.id));
    }
    let values = Values::read(&LAYOUT, &transform.attributes)?;
    let cipher = Cipher(values.required(A::ENCRYPTION_ALGORITHM.0)?);
    let key_length = key_length::phase1(cipher, values.short(A::KEY_LENGTH.0))
        .map_err(|length| values.value(A::KEY_LENGTH.0, length))?;
    let group = Group(values.required(A::GROUP_DESCRIPTION.0)?);
    // The type is redundant beside a group's number, but must not contradict it.
    if let Some(group_type) = values.short(A::GROUP_TYPE.0)
        && group_type != if matches!(group, Group::ECP256 | Group::ECP384 | Group::ECP521) { ECP } else { MODP }
    {
        return Err(values.value(A::GROUP_TYPE.0, group_type));
    }
    Ok(Phase1Terms {
        cipher,
        key_length,
        hash: Hash(values.required(A::HASH_ALGORITHM.0)?),
        group,
        method: AuthMethod(values.required(A::AUTHENTICATION_METHOD.0)?),
        lifetime: values.seconds(),
    })
}

#[cfg(test)]
mod tests;
