//! Payloads that all exchanges read and write.

use super::{ExchangeContext, Features};
use crate::config::{LocalIdentity, Remote};
use crate::crypto::CryptoError;
use crate::identity::Identity;
use crate::message::rules::{self, MessageRules};
use crate::num::{AuthMethod, CertEncoding, IdType, NotifyType, PayloadType};
use crate::output::Level;
use crate::phase1::auth::{self, OwnProof};
use crate::proposal::{Phase1Terms, ProposalRefusal, accept_phase1, answered_phase1, closest_phase1};
use crate::reason::{BadChoice, FailureReason};
use crate::wire::{self, CertificateRequest, Header, Notify, RawPayload, SaBody, Tail, VendorId, chain};

/// The protocol number of UDP. RFC 2407 section 4.6.2 requires an identity in phase 1 to name UDP port 500, or neither protocol
/// nor port.
const UDP: u8 = 17;

/// The UDP port of ISAKMP.
const ISAKMP_PORT: u16 = 500;

/// Number of Certificate Request payloads that are sent and read in a message.
const REQUESTS_MAX: usize = 16;

/// Returns the payloads of an unencrypted message that complies with `rules`. Some peers pad their messages to a multiple of 4
/// bytes.
pub(super) fn in_clear<'a>(
    rules: &MessageRules,
    header: &Header,
    body: &'a [u8],
) -> Result<Vec<RawPayload<'a>>, FailureReason> {
    rules.check_encryption(header)?;
    let payloads = chain::walk(header.next_payload, body, Tail::Padding).map_err(FailureReason::from)?;
    rules.check(&payloads)?;
    Ok(payloads)
}

/// Returns the bodies of the KE and Nonce payloads.
pub(super) fn key_and_nonce(payloads: &[RawPayload<'_>]) -> Result<(Vec<u8>, Vec<u8>), FailureReason> {
    let key = rules::find(payloads, PayloadType::KEY_EXCHANGE).unwrap_or_default();
    Ok((key.to_vec(), received_nonce(payloads)?))
}

/// Returns the body of the Nonce payload.
pub(super) fn received_nonce(payloads: &[RawPayload<'_>]) -> Result<Vec<u8>, FailureReason> {
    let nonce = rules::find(payloads, PayloadType::NONCE).unwrap_or_default();
    Ok(wire::nonce(nonce)?.to_vec())
}

/// Returns the proposals of a section whose authentication method is supported, and for which the section has what it needs.
pub(super) fn usable_proposals(section: &Remote) -> impl Iterator<Item = &Phase1Terms> {
    let can_use = |terms: &&Phase1Terms| auth::is_supported(terms.method) && section.can_use(terms.method);
    section.proposals.iter().filter(can_use)
}

/// Returns the terms that the SA payload of message 2 chooses from those that we have offered.
pub(super) fn chosen_terms(
    cx: &ExchangeContext<'_>,
    payloads: &[RawPayload<'_>],
    offered: &[Phase1Terms],
) -> Result<Phase1Terms, FailureReason> {
    let sa = rules::find(payloads, PayloadType::SA).unwrap_or_default();
    let answer = SaBody::parse(sa).map_err(FailureReason::from)?;
    let (_, chosen) =
        answered_phase1(&answer, offered).map_err(|error| FailureReason::BadChoice(BadChoice::Answer(error)))?;
    // Only the lifetime may differ from what was offered, as far as proposal_check allows it.
    let level = cx.remote_section()?.proposal_check;
    let accepted = accept_phase1(level, &[chosen], offered).ok_or_else(|| {
        let mismatches = closest_phase1(level, &[chosen], offered).unwrap_or_default();
        FailureReason::BadChoice(BadChoice::Changed(ProposalRefusal::Phase1 { mismatches, level }))
    })?;
    Ok(accepted.terms)
}

/// Returns what the peer supports by the Vendor IDs of this message and earlier ones.
pub(super) fn features(cx: &mut ExchangeContext<'_>, payloads: &[RawPayload<'_>], before: Features) -> Features {
    let mut features = before;
    // A message may have thousands of them: known ones are logged once, unknown ones are counted.
    let (mut named, mut unknown) = (Vec::new(), 0_u32);
    for body in rules::all(payloads, PayloadType::VENDOR_ID) {
        let id = VendorId::recognise(body);
        features.dpd |= id == VendorId::Dpd;
        match id {
            VendorId::Unknown => unknown += 1,
            _ if named.contains(&id.name()) => {}
            _ => {
                named.push(id.name());
                let what = if id.is_shorter_than(body) { "broken Microsoft ID" } else { "Vendor ID" };
                cx.note(Level::Info, || format!("received {what}: {}", id.name()));
            }
        }
    }
    if unknown > 0 {
        let ids = if unknown == 1 { "ID" } else { "IDs" };
        cx.note(Level::Debug, || format!("received {unknown} unknown Vendor {ids}"));
    }
    features
}

/// Whether INITIAL-CONTACT is among the payloads.
pub(super) fn has_initial_contact(payloads: &[RawPayload<'_>]) -> bool {
    // The message is authenticated by its hash, so a notify that cannot be parsed is ignored like an unknown one.
    rules::all(payloads, PayloadType::NOTIFY)
        .filter_map(|body| Notify::parse(body).ok())
        .any(|notify| notify.kind == NotifyType::INITIAL_CONTACT)
}

/// Returns the bodies of the Certificate Request payloads with which these sections ask for a peer's certificate.
pub(super) fn certificate_requests<'a>(
    method: AuthMethod,
    sections: impl IntoIterator<Item = &'a Remote>,
) -> Vec<Vec<u8>> {
    let asking = sections.into_iter().filter(|section| method.is_signature() && section.send_cr);
    let mut requests = Vec::new();
    for authority in asking.flat_map(|section| &section.authorities) {
        let request =
            CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, authority: authority.clone() }.encode();
        // Sections often share their authorities.
        if requests.len() < REQUESTS_MAX && !requests.contains(&request) {
            requests.push(request);
        }
    }
    requests
}

/// Returns the Certificate Request payloads of a message; what cannot be parsed asks for nothing.
pub(super) fn received_requests(payloads: &[RawPayload<'_>]) -> Vec<CertificateRequest> {
    let bodies = rules::all(payloads, PayloadType::CERT_REQUEST).take(REQUESTS_MAX);
    bodies.filter_map(|body| CertificateRequest::parse(body).ok()).collect()
}

/// Returns our identity as configured.
///
/// # Errors
/// If it is that of a certificate, and there is none.
pub(super) fn own_identity(cx: &ExchangeContext<'_>) -> Result<Identity, FailureReason> {
    match &cx.remote_section()?.my_identifier {
        LocalIdentity::Address => Ok(Identity::address(cx.path.local.ip()).with_protocol(UDP, ISAKMP_PORT)),
        LocalIdentity::Fixed(identity) if identity.single_address().is_some() => {
            Ok(identity.clone().with_protocol(UDP, ISAKMP_PORT))
        }
        LocalIdentity::Fixed(identity) => Ok(identity.clone()),
        LocalIdentity::Name(name) => {
            let der = name.to_der().map_err(|error| CryptoError::Library(error.to_string()))?;
            Ok(Identity::named(IdType::DER_ASN1_DN, der))
        }
        LocalIdentity::CertificateSubject => {
            let certificate = cx.remote_section()?.certificate.as_ref();
            let subject = certificate.and_then(|own| own.subject.clone()).ok_or(FailureReason::NoCertificate)?;
            Ok(Identity::named(IdType::DER_ASN1_DN, subject))
        }
    }
}

/// Draws a nonce of the configured length.
pub(super) fn draw_nonce(cx: &mut ExchangeContext<'_>) -> Result<Vec<u8>, FailureReason> {
    // RFC 2409 section 5 limits nonces to these lengths, whatever is configured.
    let length = usize::from(cx.remote_section()?.nonce_size).clamp(wire::NONCE_MIN, wire::NONCE_MAX);
    let mut nonce = vec![0; length];
    cx.random.fill(&mut nonce);
    Ok(nonce)
}

/// Encodes a message with a public value, a nonce and Certificate Request payloads.
pub(super) fn key_message(cx: &ExchangeContext<'_>, public: &[u8], nonce: &[u8], requests: &[Vec<u8>]) -> Vec<u8> {
    // ipsec-tools, too, identifies itself in messages 3 and 4.
    let own = VendorId::OwnIpsecTools.encode();
    let mut payloads = vec![
        (PayloadType::KEY_EXCHANGE, public),
        (PayloadType::NONCE, nonce),
        (PayloadType::VENDOR_ID, own.as_slice()),
    ];
    payloads.extend(requests.iter().map(|body| (PayloadType::CERT_REQUEST, body.as_slice())));
    wire::message(&cx.header(), &payloads)
}

/// Encodes message 3 or 4 of base mode, with a public value and the proof of our identity.
pub(super) fn proof_message(cx: &ExchangeContext<'_>, method: AuthMethod, public: &[u8], proof: &OwnProof) -> Vec<u8> {
    // ipsec-tools identifies itself only with a pre-shared key.
    let own = (!method.is_signature()).then(|| VendorId::OwnIpsecTools.encode());
    let mut payloads = vec![(PayloadType::KEY_EXCHANGE, public)];
    payloads.extend(proof.payloads());
    payloads.extend(own.as_deref().map(|own| (PayloadType::VENDOR_ID, own)));
    wire::message(&cx.header(), &payloads)
}

/// Encodes a message with an SA payload, and with the Vendor ID of dead peer detection if `dpd`.
pub(super) fn proposal_message(cx: &ExchangeContext<'_>, sa: &[u8], dpd: bool) -> Vec<u8> {
    let dpd_id = VendorId::Dpd.encode();
    let mut payloads = vec![(PayloadType::SA, sa)];
    if dpd {
        payloads.push((PayloadType::VENDOR_ID, &dpd_id));
    }
    wire::message(&cx.header(), &payloads)
}
