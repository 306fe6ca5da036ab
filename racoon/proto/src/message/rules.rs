//! The rules of each message: its payloads, whether it is encrypted, and what its HASH covers.
//!
//! They are data, so that each message is checked in one place before its handler runs, and the handler can rely on its payloads.

use crate::num::{ExchangeType, Flags, PayloadType};
use crate::reason::{FailureReason, Malformed, PayloadProblem};
use crate::wire::{Header, RawPayload};

/// The limit of a payload that may occur any number of times.
const MANY: u8 = u8::MAX;

/// The number of times that a payload may occur in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence {
    payload: PayloadType,
    least: u8,
    most: u8,
}

const fn one(payload: PayloadType) -> Occurrence {
    Occurrence { payload, least: 1, most: 1 }
}

const fn at_most(most: u8, payload: PayloadType) -> Occurrence {
    Occurrence { payload, least: 0, most }
}

const fn any(payload: PayloadType) -> Occurrence {
    at_most(MANY, payload)
}

/// What the HASH payload of a message covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// There is no HASH payload.
    Nothing,
    /// The values of phase 1 and the sender's identity: HASH_I or HASH_R.
    Phase1,
    /// The payloads that follow it, and in message 2 the initiator's nonce: HASH(1), HASH(2). It is the first payload.
    Following,
    /// Both nonces: HASH(3). It is the first payload.
    Nonces,
}

/// The treatment of payloads that are not in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// The message is refused.
    Refused,
    /// They are skipped.
    Ignored,
}

/// Whether a message is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// It must not be.
    No,
    /// It must be.
    Yes,
    /// The sender decides.
    Optional,
}

/// The rules of a message.
#[derive(Debug)]
pub(crate) struct MessageRules {
    exchange: ExchangeType,
    /// The number of the message in the exchange, counted from 1.
    message: u8,
    encryption: Encryption,
    hash: Coverage,
    payloads: &'static [Occurrence],
    others: Others,
}

/// Main mode (RFC 2409 sections 5.1 and 5.4). Messages 5 and 6 need HASH or SIG besides, depending on the method (see
/// [`MessageRules::require`]). Certificates, requests for them, and NAT-D payloads are accepted in any case, because they do no harm.
pub(crate) const MAIN: [MessageRules; 6] = {
    const fn rules(message: u8, encrypted: bool, payloads: &'static [Occurrence]) -> MessageRules {
        let hash = if encrypted { Coverage::Phase1 } else { Coverage::Nothing };
        let encryption = if encrypted { Encryption::Yes } else { Encryption::No };
        MessageRules { exchange: ExchangeType::MAIN, message, encryption, hash, payloads, others: Others::Refused }
    }
    const PROPOSAL: &[Occurrence] =
        &[one(PayloadType::SA), any(PayloadType::VENDOR_ID), any(PayloadType::NOTIFY), any(PayloadType::CERT_REQUEST)];
    const KEY_EXCHANGE: &[Occurrence] = &[
        one(PayloadType::KEY_EXCHANGE),
        one(PayloadType::NONCE),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
        // The drafts of NAT traversal use other types than RFC 3947.
        any(PayloadType::NAT_D),
        any(PayloadType::NAT_D_BAD),
        any(PayloadType::NAT_D_DRAFT),
    ];
    const IDENTITY: &[Occurrence] = &[
        one(PayloadType::ID),
        at_most(1, PayloadType::HASH),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
        at_most(1, PayloadType::SIGNATURE),
    ];
    [
        rules(1, false, PROPOSAL),
        rules(2, false, PROPOSAL),
        rules(3, false, KEY_EXCHANGE),
        rules(4, false, KEY_EXCHANGE),
        rules(5, true, IDENTITY),
        rules(6, true, IDENTITY),
    ]
};

/// The rules of an unencrypted message of phase 1.
const fn in_clear(
    exchange: ExchangeType,
    message: u8,
    hash: Coverage,
    payloads: &'static [Occurrence],
) -> MessageRules {
    let encryption = Encryption::No;
    MessageRules { exchange, message, encryption, hash, payloads, others: Others::Refused }
}

/// Aggressive mode (RFC 2409 sections 5.1 and 5.4). Messages 2 and 3 need HASH or SIG besides. The payloads of a message come in any
/// order: other daemons send HASH last.
pub(crate) const AGGRESSIVE: [MessageRules; 3] = {
    const OFFER: &[Occurrence] = &[
        one(PayloadType::SA),
        one(PayloadType::KEY_EXCHANGE),
        one(PayloadType::NONCE),
        one(PayloadType::ID),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
    ];
    const ANSWER: &[Occurrence] = &[
        one(PayloadType::SA),
        one(PayloadType::KEY_EXCHANGE),
        one(PayloadType::NONCE),
        one(PayloadType::ID),
        at_most(1, PayloadType::HASH),
        at_most(1, PayloadType::SIGNATURE),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
        any(PayloadType::NAT_D),
        any(PayloadType::NAT_D_BAD),
        any(PayloadType::NAT_D_DRAFT),
    ];
    const PROOF: &[Occurrence] = &[
        at_most(1, PayloadType::HASH),
        at_most(1, PayloadType::SIGNATURE),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
        any(PayloadType::NAT_D),
        any(PayloadType::NAT_D_BAD),
        any(PayloadType::NAT_D_DRAFT),
    ];
    let proof = in_clear(ExchangeType::AGGRESSIVE, 3, Coverage::Phase1, PROOF);
    [
        in_clear(ExchangeType::AGGRESSIVE, 1, Coverage::Nothing, OFFER),
        in_clear(ExchangeType::AGGRESSIVE, 2, Coverage::Phase1, ANSWER),
        // RFC 2409 section 5: it need not be encrypted.
        MessageRules { encryption: Encryption::Optional, ..proof },
    ]
};

/// Base mode (draft-ietf-ipsec-ike-base-mode). Messages 3 and 4 need HASH or SIG besides.
pub(crate) const BASE: [MessageRules; 4] = {
    const IDENTITY: &[Occurrence] = &[
        one(PayloadType::SA),
        one(PayloadType::ID),
        one(PayloadType::NONCE),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
    ];
    const PROOF: &[Occurrence] = &[
        one(PayloadType::KEY_EXCHANGE),
        at_most(1, PayloadType::HASH),
        at_most(1, PayloadType::SIGNATURE),
        any(PayloadType::VENDOR_ID),
        any(PayloadType::NOTIFY),
        any(PayloadType::CERT_REQUEST),
        any(PayloadType::CERT),
        any(PayloadType::NAT_D),
        any(PayloadType::NAT_D_BAD),
        any(PayloadType::NAT_D_DRAFT),
    ];
    [
        in_clear(ExchangeType::BASE, 1, Coverage::Nothing, IDENTITY),
        in_clear(ExchangeType::BASE, 2, Coverage::Nothing, IDENTITY),
        in_clear(ExchangeType::BASE, 3, Coverage::Phase1, PROOF),
        in_clear(ExchangeType::BASE, 4, Coverage::Phase1, PROOF),
    ]
};

/// Quick mode (RFC 2409 section 5.5). The fourth message is the answer to the commit bit.
pub(crate) const QUICK: [MessageRules; 4] = {
    const fn rules(message: u8, hash: Coverage, payloads: &'static [Occurrence]) -> MessageRules {
        MessageRules {
            exchange: ExchangeType::QUICK,
            message,
            encryption: Encryption::Yes,
            hash,
            payloads,
            others: Others::Refused,
        }
    }
    const NEGOTIATION: &[Occurrence] = &[
        one(PayloadType::HASH),
        one(PayloadType::SA),
        one(PayloadType::NONCE),
        at_most(1, PayloadType::KEY_EXCHANGE),
        // IDci and IDcr (RFC 2409 section 5.5).
        at_most(2, PayloadType::ID),
        // The original addresses of both sides (RFC 3947 section 5.2).
        at_most(2, PayloadType::NAT_OA),
        at_most(2, PayloadType::NAT_OA_BAD),
        at_most(2, PayloadType::NAT_OA_DRAFT),
        any(PayloadType::NOTIFY),
        any(PayloadType::VENDOR_ID),
    ];
    const CONFIRMATION: &[Occurrence] =
        &[one(PayloadType::HASH), any(PayloadType::NOTIFY), any(PayloadType::VENDOR_ID)];
    const CONNECTED: &[Occurrence] = &[one(PayloadType::HASH), any(PayloadType::NOTIFY)];
    [
        rules(1, Coverage::Following, NEGOTIATION),
        rules(2, Coverage::Following, NEGOTIATION),
        rules(3, Coverage::Nonces, CONFIRMATION),
        rules(4, Coverage::Following, CONNECTED),
    ]
};

/// The informational exchange under an ISAKMP SA (RFC 2409 section 5.7).
pub(crate) const INFORMATIONAL: MessageRules = MessageRules {
    exchange: ExchangeType::INFORMATIONAL,
    message: 1,
    encryption: Encryption::Yes,
    hash: Coverage::Following,
    payloads: &[one(PayloadType::HASH), any(PayloadType::NOTIFY), any(PayloadType::DELETE)],
    others: Others::Ignored,
};

/// The informational exchange without an ISAKMP SA. Its messages are not authenticated.
pub(crate) const INFORMATIONAL_IN_CLEAR: MessageRules = MessageRules {
    exchange: ExchangeType::INFORMATIONAL,
    message: 1,
    encryption: Encryption::No,
    hash: Coverage::Nothing,
    payloads: &[any(PayloadType::NOTIFY), any(PayloadType::DELETE)],
    others: Others::Ignored,
};

impl MessageRules {
    /// Checks that a message is encrypted if it must be, and not if it must not.
    pub(crate) fn check_encryption(&self, header: &Header) -> Result<(), FailureReason> {
        let Self { message, exchange, encryption, .. } = *self;
        let encrypted = header.flags.contains(Flags::ENCRYPTED);
        match (encryption, encrypted) {
            (Encryption::Optional, _) | (Encryption::Yes, true) | (Encryption::No, false) => Ok(()),
            _ => Err(FailureReason::Malformed(Malformed::Encryption { encrypted, message, exchange })),
        }
    }

    /// Checks that a message has the required payloads and no others.
    pub(crate) fn check(&self, payloads: &[RawPayload<'_>]) -> Result<(), FailureReason> {
        for rule in self.payloads {
            let count = payloads.iter().filter(|payload| payload.kind == rule.payload).count();
            if count < rule.least.into() {
                return Err(self.problem(rule.payload, PayloadProblem::Missing));
            }
            if rule.most != MANY && count > rule.most.into() {
                return Err(self.problem(rule.payload, PayloadProblem::Repeated));
            }
        }
        // RFC 2409 sections 5.5 and 5.7: HASH is the first payload, and covers what follows it.
        let hash_first = matches!(self.hash, Coverage::Following | Coverage::Nonces);
        if hash_first && payloads.first().map(|first| first.kind) != Some(PayloadType::HASH) {
            return Err(self.problem(PayloadType::HASH, PayloadProblem::NotFirst));
        }
        let listed = |payload: &&RawPayload<'_>| self.payloads.iter().any(|rule| rule.payload == payload.kind);
        match payloads.iter().find(|payload| !listed(payload)) {
            Some(other) if self.others == Others::Refused => Err(self.problem(other.kind, PayloadProblem::Unexpected)),
            _ => Ok(()),
        }
    }

    /// Checks that a message has a payload that the authentication method requires.
    pub(crate) fn require(&self, payloads: &[RawPayload<'_>], kind: PayloadType) -> Result<(), FailureReason> {
        find(payloads, kind).map(|_| ()).ok_or_else(|| self.problem(kind, PayloadProblem::Missing))
    }

    fn problem(&self, payload: PayloadType, problem: PayloadProblem) -> FailureReason {
        FailureReason::Payload { payload, problem, message: self.message, exchange: self.exchange }
    }
}

/// Returns the body of the first payload of a type.
pub(crate) fn find<'a>(payloads: &[RawPayload<'a>], kind: PayloadType) -> Option<&'a [u8]> {
    all(payloads, kind).next()
}

/// Returns the bodies of all payloads of a type.
pub(crate) fn all<'a>(payloads: &[RawPayload<'a>], kind: PayloadType) -> impl Iterator<Item = &'a [u8]> {
    payloads.iter().filter(move |payload| payload.kind == kind).map(|payload| payload.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CookiePair;

    fn check(rules: &MessageRules, kinds: &[PayloadType]) -> Result<(), String> {
        let payloads: Vec<_> =
            kinds.iter().map(|kind| RawPayload { kind: *kind, body: &[], offset: 0, whole: &[] }).collect();
        rules.check(&payloads).map_err(|reason| reason.to_string())
    }

    /// All rules, each with the payloads that are required.
    fn least() -> Vec<(&'static MessageRules, Vec<PayloadType>)> {
        let all =
            MAIN.iter().chain(&AGGRESSIVE).chain(&BASE).chain(&QUICK).chain([&INFORMATIONAL, &INFORMATIONAL_IN_CLEAR]);
        all.map(|rules| {
            let needed = rules.payloads.iter().filter(|rule| rule.least > 0).map(|rule| rule.payload);
            (rules, needed.collect())
        })
        .collect()
    }

    #[test]
    fn the_required_payloads_are_sufficient() {
        for (rules, needed) in least() {
            assert_eq!(check(rules, &needed), Ok(()), "{rules:?}");
        }
    }

    #[test]
    fn a_missing_or_repeated_payload_is_refused() {
        for (rules, needed) in least() {
            for at in 0..needed.len() {
                let mut less = needed.clone();
                let payload = less.remove(at);
                let error = check(rules, &less).unwrap_err();
                assert!(error.starts_with(&format!("{payload} payload is missing in message")), "{error}");
                let mut more = needed.clone();
                more.push(payload);
                let error = check(rules, &more).unwrap_err();
                assert!(error.starts_with(&format!("{payload} payload occurs too often in message")), "{error}");
            }
        }
    }

    #[test]
    fn an_unexpected_payload_is_refused() {
        for (rules, needed) in least() {
            for other in [PayloadType::TRANSFORM, PayloadType::FRAGMENT, PayloadType(200)] {
                let with_other = [needed.clone(), vec![other]].concat();
                assert_eq!(check(rules, &with_other).is_err(), rules.others == Others::Refused, "{rules:?}");
            }
        }
    }

    #[test]
    fn a_hash_over_the_following_payloads_is_first() {
        use PayloadType as P;
        assert!(check(&QUICK[0], &[P::HASH, P::SA, P::NONCE, P::ID, P::ID]).is_ok());
        let error = check(&QUICK[0], &[P::SA, P::HASH, P::NONCE]).unwrap_err();
        assert_eq!(error, "HASH payload is not the first in message 1 of quick mode");
        assert!(check(&INFORMATIONAL, &[P::NOTIFY, P::HASH]).is_err());
        assert!(check(&MAIN[4], &[P::HASH, P::ID]).is_ok());
    }

    #[test]
    fn harmless_payloads_are_accepted() {
        use PayloadType as P;
        assert!(check(&MAIN[2], &[P::KEY_EXCHANGE, P::NONCE, P::CERT_REQUEST, P::NAT_D, P::NAT_D]).is_ok());
        assert!(check(&MAIN[4], &[P::ID, P::CERT, P::CERT, P::HASH, P::SIGNATURE, P::NOTIFY]).is_ok());
        assert!(check(&MAIN[0], &[P::SA, P::VENDOR_ID, P::VENDOR_ID, P::VENDOR_ID]).is_ok());
    }

    #[test]
    fn missing_and_premature_encryption_are_refused() {
        let clear = Header::new(CookiePair::default(), ExchangeType::MAIN, 0);
        let encrypted = Header { flags: Flags::ENCRYPTED, ..clear };
        for (rules, _) in least() {
            assert_eq!(rules.check_encryption(&clear).is_ok(), rules.encryption != Encryption::Yes);
            assert_eq!(rules.check_encryption(&encrypted).is_ok(), rules.encryption != Encryption::No);
        }
    }
}
