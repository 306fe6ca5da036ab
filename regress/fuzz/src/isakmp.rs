//! Body of the fuzz target `isakmp`. Tests of racoon-proto run it with the seeds on the stable compiler.

use racoon_proto::identity::Identity;
use racoon_proto::num::{EncapsulationMode, Flags, PayloadType};
use racoon_proto::proposal::encoding::{offered_phase1, offered_phase2, phase1_answer, phase2_sa};
use racoon_proto::wire::{
    Attributes, Certificate, CertificateRequest, Delete, Fragment, HEADER_LEN, Header, MESSAGE_MAX, NatOa, Notify,
    RawPayload, SaBody, Tail, VendorId, WireError, chain, describe, message, nonce,
};

/// Parses a datagram, describes it, writes it, and parses the result.
pub fn isakmp(bytes: &[u8]) {
    datagram(bytes);
    datagram(&repaired(bytes));
}

/// Returns the bytes with a valid cookie, version, flags and length, which mutation seldom finds together.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len().min(MESSAGE_MAX)].to_vec();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if let Some(header) = bytes.get_mut(..HEADER_LEN) {
        header[0] |= 1;
        header[17] = 0x10;
        header[19] &= Flags::all().bits();
        header[24..].copy_from_slice(&length.to_be_bytes());
    }
    bytes
}

fn datagram(bytes: &[u8]) {
    let (header, body) = match Header::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return drop(error.to_string()),
    };
    for tail in [Tail::Exact, Tail::Padding] {
        let Ok(payloads) = chain::walk(header.next_payload, body, tail) else { continue };
        let _ = describe::message(&header, &payloads);
        for payload in &payloads {
            one_payload(payload);
        }
        written(&header, &payloads);
    }
}

/// Written payloads must parse as the same payloads.
fn written(header: &Header, payloads: &[RawPayload<'_>]) {
    let bodies: Vec<_> = payloads.iter().map(|one| (one.kind, one.body)).collect();
    let datagram = message(header, &bodies);
    let (again, body) = Header::parse(&datagram).expect("what was written is a message");
    assert_eq!((again.cookies, again.flags, again.message_id), (header.cookies, header.flags, header.message_id));
    let payloads = chain::walk(again.next_payload, body, Tail::Exact).expect("what was written is a chain");
    assert_eq!(payloads.iter().map(|one| (one.kind, one.body)).collect::<Vec<_>>(), bodies);
}

fn one_payload(payload: &RawPayload<'_>) {
    let body = payload.body;
    match payload.kind {
        PayloadType::SA => sa(body),
        PayloadType::ID => twice(body, Identity::parse, Identity::encode),
        PayloadType::CERT => twice(body, Certificate::parse, Certificate::encode),
        PayloadType::CERT_REQUEST => twice(body, CertificateRequest::parse, CertificateRequest::encode),
        PayloadType::NONCE => drop(nonce(body)),
        PayloadType::NOTIFY => twice(body, Notify::parse, Notify::encode),
        PayloadType::DELETE => twice(body, Delete::parse, Delete::encode),
        PayloadType::VENDOR_ID => {
            let id = VendorId::recognise(body);
            assert_eq!(VendorId::recognise(&id.encode()), id);
        }
        PayloadType::ATTRIBUTES => twice(body, Attributes::parse, Attributes::encode),
        PayloadType::FRAGMENT => twice(body, Fragment::parse, Fragment::encode),
        kind if kind.is_nat_oa() => twice(body, NatOa::parse, NatOa::encode),
        _ => {}
    }
}

/// A payload body that parses must be written as one that parses equally.
fn twice<T>(body: &[u8], parse: fn(&[u8]) -> Result<T, WireError>, encode: fn(&T) -> Vec<u8>)
where
    T: PartialEq + std::fmt::Debug,
{
    if let Ok(first) = parse(body) {
        assert_eq!(parse(&encode(&first)), Ok(first));
    }
}

/// An SA payload, and what both phases read from it: answers must repeat transforms unchanged.
fn sa(body: &[u8]) {
    let Ok(sa) = SaBody::parse(body) else { return };
    assert_eq!(SaBody::parse(&sa.encode()).as_ref(), Ok(&sa));
    let received = |proposal: u8| sa.proposals.iter().filter(move |one| one.number == proposal);
    for one in offered_phase1(&sa).transforms {
        let answer = phase1_answer(&one);
        let chosen = &answer.proposals[0].transforms[0];
        assert!(received(one.proposal).any(|proposal| proposal.transforms.contains(chosen)));
    }
    let Ok(offer) = offered_phase2(&sa, EncapsulationMode::TUNNEL) else { return };
    for suite in &offer.suites {
        let answer = phase2_sa(std::slice::from_ref(suite));
        assert_eq!(answer.proposals.len(), received(suite.number).count());
        for (ours, theirs) in answer.proposals.iter().zip(received(suite.number)) {
            assert_eq!(ours.protocol, theirs.protocol);
            assert!(ours.transforms.iter().all(|transform| theirs.transforms.contains(transform)));
        }
    }
}
