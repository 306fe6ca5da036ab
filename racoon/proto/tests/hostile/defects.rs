//! Published defects of other daemons: each attack, and the legitimate traffic that a naive fix would break.
//!
//! | defect | here |
//! |---|---|
//! | CVE-2004-0164, CVE-2007-1841 | forged deletes and INITIAL-CONTACT |
//! | CVE-2004-0403, CVE-2005-0398 | lengths and bytes of the header |
//! | CVE-2015-4047 | GSS-API in the first message |
//! | decryption (Orange Labs, 2009) | invalid bodies and padding |
//! | peers' text in the log (2009) | error texts of all lengths |
//! | NAT-D that was not agreed (2005) | NAT-D in every message |
//! | attributes, Vendor IDs (0.9.x #37 to #39) | of all lengths |
//! | phase 1 flushed with phase 2s bound, deleting while enumerating (0.9.x) | flush, INITIAL-CONTACT with many phase 2s |
//!
//! In other files: CVE-2004-0392 and CVE-2005-3732 in `payloads`; CVE-2008-3651, -3652 and CVE-2016-5361 in `flood`. Public values of
//! Diffie-Hellman and the constant-time comparison have unit tests.
//!
//! Not tested, because the features are not implemented: CVE-2004-0155, -0607 (certificates), CVE-2009-1574, CVE-2016-10396 (and other
//! defects of fragments), CVE-2009-1632 (certificates, NAT traversal), XAUTH and mode configuration, aggressive mode (part of
//! CVE-2005-3732). CVE-2018-5389, CVE-2002-1623 and VU#886601 are defects of the protocol.

use std::time::Duration;

use racoon_proto::engine::Control;
use racoon_proto::num::{AuthMethod, ExchangeType, Flags, NotifyType, PayloadType, Phase1Attribute, Protocol};
use racoon_proto::output::EventKind;
use racoon_proto::proposal::{Phase1Terms, offered_phase1, phase1_sa};
use racoon_proto::reason::FailureReason;
use racoon_proto::wire::{self, Attribute, HEADER_LEN, Header, SaBody, VendorId};

use crate::fixture::{Configuration, TERMS};
use crate::scripted_peer::{Draft, Step, deletion, notify};
use crate::session::{Role, Session};

/// Messages that would remove SAs.
fn removals(session: &Session) -> Vec<(PayloadType, Vec<u8>)> {
    let cookies = session.scripted_peer.cookies.to_bytes();
    let spi = session.scripted_peer.spi.to_be_bytes();
    vec![
        (PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies])),
        (PayloadType::DELETE, deletion(Protocol::ESP, &[&spi])),
        (PayloadType::DELETE, deletion(Protocol::ESP, &[&0x1001_u32.to_be_bytes()])),
        notify(&cookies, NotifyType::INITIAL_CONTACT, &[]),
        notify(&cookies, NotifyType::NO_PROPOSAL_CHOSEN, &[]),
    ]
}

/// CVE-2004-0164: a Delete or INITIAL-CONTACT that is not encrypted, or whose hash is wrong.
#[test]
fn cve_2004_0164_forged_deletes_and_initial_contact() {
    for role in Role::BOTH {
        let mut session = Session::up(role);
        for payload in removals(&session) {
            let clear = Header::new(session.scripted_peer.cookies, ExchangeType::INFORMATIONAL, 4711);
            session.fixture.receive(&wire::message(&clear, &[(payload.0, &payload.1)]));
            session.fixture.receive(&wire::message(&Header { message_id: 0, ..clear }, &[(payload.0, &payload.1)]));
            let mut draft = session.scripted_peer.informational(vec![payload.clone()]);
            for spoil in [0, 31] {
                draft.payloads[0].1[spoil] ^= 1;
                let message = session.scripted_peer.seal(&draft);
                session.fixture.receive(&message);
            }
            draft.payloads[0].1.clear();
            let message = session.scripted_peer.seal(&draft);
            session.fixture.receive(&message);
            // The hash of another message.
            let mut other = session.scripted_peer.informational(vec![notify(&[], NotifyType(9999), b"")]);
            other.payloads.push(payload);
            let message = session.scripted_peer.seal(&other);
            session.fixture.receive(&message);
            assert!(session.fixture.is_up(), "{role:?}\n{}", session.fixture.log_text());
        }
        // The peer's own message is obeyed.
        session.say(Step::Informational);
        assert!(session.fixture.sas.is_empty());
        session.finish_anew("after forged deletes");
        let cookies = session.scripted_peer.cookies.to_bytes();
        let delete = (PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies]));
        let draft = session.scripted_peer.informational(vec![delete]);
        session.utter(&draft);
        assert_eq!(session.fixture.phase1_states(), [0; 0], "{}", session.fixture.log_text());
        assert!(session.fixture.events.contains(&EventKind::PeerDeleted));
        session.fixture.wind_up("after the peer's deletes");
    }
}

/// CVE-2007-1841: unencrypted errors in every state of an exchange. They do not end what is established, even with
/// `weak_phase1_check`.
#[test]
fn cve_2007_1841_informational_in_clear() {
    for role in Role::BOTH {
        for step in role.steps() {
            let mut session = Session::up_to(role, *step);
            let before = session.fixture.snapshot();
            let cookies =
                session.fixture.engine.phase1s().next().map_or(session.scripted_peer.cookies, |one| one.cookies);
            let header = Header::new(cookies, ExchangeType::INFORMATIONAL, 1);
            for (kind, body) in removals(&session) {
                session.fixture.receive(&wire::message(&header, &[(kind, &body)]));
            }
            for kind in 1..=30 {
                let (kind, body) = notify(&[], NotifyType(kind), b"go away");
                session.fixture.receive(&wire::message(&header, &[(kind, &body)]));
            }
            assert_eq!(session.fixture.snapshot(), before, "{step:?}\n{}", session.fixture.log_text());
            session.finish(*step, "after clear notifies");
            session.fixture.wind_up("after clear notifies");
        }
    }
    let mut configuration = Configuration::default();
    configuration.remote.weak_phase1_check = true;
    let mut session = Session::new(Role::Initiator, configuration).then_up_to(Step::Informational);
    let before = session.fixture.snapshot();
    let clear = Header::new(session.scripted_peer.cookies, ExchangeType::INFORMATIONAL, 4711);
    for (kind, body) in removals(&session) {
        session.fixture.receive(&wire::message(&clear, &[(kind, &body)]));
    }
    assert_eq!(session.fixture.snapshot(), before, "{}", session.fixture.log_text());
    session.finish(Step::Informational, "weak_phase1_check");
    session.fixture.wind_up("weak_phase1_check");
}

/// CVE-2004-0403: lengths in the header that differ from the datagram's.
#[test]
fn cve_2004_0403_lengths_in_the_header() {
    for role in Role::BOTH {
        for step in role.steps() {
            let mut session = Session::up_to(role, *step);
            let before = session.fixture.snapshot();
            let draft = session.scripted_peer.draft(*step);
            let message = session.scripted_peer.seal(&draft);
            let own = u32::try_from(message.len()).expect("a short message");
            let lengths = [0, 1, 27, 28, own + 1, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];
            for length in lengths {
                let mut message = message.clone();
                message[24..28].copy_from_slice(&length.to_be_bytes());
                session.fixture.receive(&message);
                assert_eq!(session.fixture.snapshot(), before, "{step:?}, {length}\n{}", session.fixture.log_text());
            }
            // Bytes after the message are ignored.
            session.fixture.sent.clear();
            session.scripted_peer.has_said(&draft, &message);
            session.fixture.receive(&[message.as_slice(), &[0xaa; 100]].concat());
            session.listen();
            assert_ne!(session.fixture.snapshot(), before, "{step:?}: trailing bytes are cut off");
            if let Some(next) = role.steps().iter().find(|next| *next > step) {
                session.finish(*next, "after lengths");
            }
            session.fixture.wind_up("after lengths");
        }
    }
}

/// CVE-2005-0398: the first message truncated at every byte, and with every value in every byte of its header.
#[test]
fn cve_2005_0398_headers_of_the_first_packet() {
    let mut session = Session::new(Role::Initiator, Configuration::default());
    let draft = session.scripted_peer.draft(Step::Main1);
    let message = session.scripted_peer.seal(&draft);
    for length in 0..message.len() {
        session.fixture.receive(&message[..length]);
    }
    assert_eq!(session.fixture.engine.load().phase1s, 0);
    assert!(session.fixture.sent.is_empty(), "nobody is answered");
    for at in 16..HEADER_LEN {
        for value in (0..=u8::MAX).filter(|value| *value != message[at]) {
            let mut message = message.clone();
            message[at] = value;
            session.fixture.receive(&message);
        }
    }
    // Any minor version is accepted (RFC 2408 section 3.1).
    let load = session.fixture.engine.load();
    assert!(load.phase1s <= 1, "{load:?}\n{}", session.fixture.log_text());
    session.fixture.sent.clear();
    session.pass(60);
    assert_eq!(session.fixture.engine.load().phase1s, 0);
    session.finish(Step::Main1, "after headers");
    session.fixture.wind_up("after headers");
}

/// CVE-2015-4047: GSS-API in the first message. A transform with it is skipped if there are others.
#[test]
fn cve_2015_4047_gss_api_in_the_first_message() {
    let gss = Phase1Terms { method: AuthMethod(65_001 - 1), ..TERMS };
    let mut session = Session::new(Role::Initiator, Configuration::default());
    let mut sa = phase1_sa(&[gss]);
    sa.proposals[0].transforms[0].attributes.push(Attribute::long(16_384, vec![0xff; 300]));
    let gss_only = sa.encode();
    let mut draft = session.scripted_peer.draft(Step::Main1);
    draft.payloads[0].1.clone_from(&gss_only);
    let message = session.scripted_peer.seal(&draft);
    session.fixture.receive(&message);
    // A GSS payload (129) at each position.
    draft.payloads.insert(0, (PayloadType(129), vec![0; 64]));
    let message = session.scripted_peer.seal(&draft);
    session.fixture.receive(&message);
    assert_eq!(session.fixture.engine.load().phase1s, 0);
    assert!(
        matches!(session.fixture.failures()[0], FailureReason::NoProposalChosen(_)),
        "{:?}",
        session.fixture.failures()
    );
    assert!(session.fixture.events.contains(&EventKind::Phase1NoProposal));
    session.fixture.sent.clear();
    let mut sa = SaBody::parse(&gss_only).expect("it is well formed");
    let mut good = phase1_sa(&[TERMS]).proposals[0].transforms[0].clone();
    good.number = 2;
    sa.proposals[0].transforms.push(good);
    let mut draft = session.scripted_peer.draft(Step::Main1);
    draft.payloads[0].1 = sa.encode();
    let message = session.scripted_peer.seal(&draft);
    session.fixture.receive(&message);
    assert_eq!(session.fixture.phase1_states(), [3], "{}", session.fixture.log_text());
    session.fixture.wind_up("after GSS-API");
}

/// A configured method that is not supported is not chosen, because the exchange could not be completed with it.
#[test]
fn a_method_that_is_configured_only() {
    let signed = Phase1Terms { method: AuthMethod::RSA_SIGNATURES, ..TERMS };
    let first_message = |offered: &[Phase1Terms]| {
        let mut configuration = Configuration::default();
        configuration.remote.proposals = vec![signed, TERMS];
        let mut session = Session::new(Role::Initiator, configuration);
        let mut draft = session.scripted_peer.draft(Step::Main1);
        draft.payloads[0].1 = phase1_sa(offered).encode();
        let message = session.scripted_peer.seal(&draft);
        session.fixture.receive(&message);
        session
    };
    let mut session = first_message(&[signed]);
    assert!(
        matches!(session.fixture.failures()[..], [FailureReason::NoProposalChosen(_)]),
        "{:?}",
        session.fixture.failures()
    );
    session.fixture.wind_up("after a signature");
    let mut session = first_message(&[signed, TERMS]);
    let answer = session.fixture.sent.pop_front().expect("message 2");
    let (header, body) = Header::parse(&answer.bytes).expect("a header");
    let payloads = wire::chain::walk(header.next_payload, body, wire::Tail::Exact).expect("payloads");
    let chosen = SaBody::parse(payloads[0].body).expect("an SA payload");
    assert_eq!(offered_phase1(&chosen).transforms[0].terms.method, AuthMethod::PRE_SHARED_KEY);
    session.fixture.wind_up("after a choice");
}

/// Orange Labs 2009: encrypted bodies with invalid padding. The length in the padding is not relied upon. With `strict_check`, invalid
/// padding is refused and valid padding is accepted.
#[test]
fn padding_that_is_none() {
    for strict in [false, true] {
        for (role, step) in
            [(Role::Initiator, Step::Main5), (Role::Responder, Step::Main6), (Role::Responder, Step::Quick2)]
        {
            let mut configuration = Configuration::default();
            configuration.settings.padding.strict_check = strict;
            let mut session = Session::new(role, configuration).then_up_to(step);
            let before = session.fixture.snapshot();
            let draft = session.scripted_peer.draft(step);
            let mut plain = crate::scripted_peer::encode(&draft.payloads);
            plain.resize(plain.len().next_multiple_of(16) + 32, 0);
            for told in [0xff, 0xfe, 0x80, 0x40] {
                *plain.last_mut().expect("bytes") = told;
                let mut body = plain.clone();
                session.scripted_peer.encrypt(&draft, &mut body);
                let message = session.scripted_peer.packet(&draft, draft.payloads[0].0, &body);
                if strict {
                    session.fixture.receive(&message);
                    assert_eq!(session.fixture.snapshot(), before, "{step:?}\n{}", session.fixture.log_text());
                    assert!(
                        session.fixture.has_logged("bytes of padding where there is room"),
                        "{}",
                        session.fixture.log_text()
                    );
                }
            }
            session.finish(step, "after padding");
            session.fixture.wind_up("after padding");
        }
    }
    // Without `strict_check`, padding without a length is accepted.
    let mut session = Session::up_to(Role::Initiator, Step::Main5);
    let draft = session.scripted_peer.draft(Step::Main5);
    let mut body = crate::scripted_peer::encode(&draft.payloads);
    body.resize(body.len().next_multiple_of(16) + 16, 0xff);
    session.scripted_peer.encrypt(&draft, &mut body);
    let message = session.scripted_peer.packet(&draft, draft.payloads[0].0, &body);
    session.scripted_peer.has_said(&draft, &message);
    session.fixture.receive(&message);
    session.listen();
    session.finish(Step::Quick1, "after free padding");
    session.fixture.wind_up("after free padding");
}

/// Error texts of all lengths from peers cannot forge lines of the log.
#[test]
fn text_of_peers_in_the_log() {
    let mut session = Session::up(Role::Initiator);
    for length in 0..300 {
        for fill in [b"\x1b[2J\n".as_slice(), b"\0", b"\xff\xfe", b"%s%n", "\u{202e}\u{7f}".as_bytes(), b"plain "] {
            let data: Vec<u8> = fill.iter().copied().cycle().take(length).collect();
            let cookies = session.scripted_peer.cookies.to_bytes();
            let notify = notify(&cookies, NotifyType::PAYLOAD_MALFORMED, &data);
            let clear = Header::new(session.scripted_peer.cookies, ExchangeType::INFORMATIONAL, 3);
            session.fixture.receive(&wire::message(&clear, &[(notify.0, &notify.1)]));
            let draft = session.scripted_peer.informational(vec![notify]);
            session.utter(&draft);
        }
    }
    let is_clean = |line: &&racoon_proto::output::LogLine| line.text.chars().all(|c| !c.is_control());
    let dirty: Vec<_> = session.fixture.log.iter().filter(|line| !is_clean(line)).collect();
    assert!(dirty.is_empty(), "{dirty:?}");
    assert!(
        session.fixture.has_logged("the peer says PAYLOAD-MALFORMED: plain plain"),
        "{}",
        session.fixture.log_text()
    );
    assert!(session.fixture.is_up());
    session.fixture.wind_up("after texts");
}

/// NAT-D and NAT-OA without an agreement on NAT traversal: NAT-D is ignored in main mode, and both are refused elsewhere.
#[test]
fn nat_d_that_was_not_agreed() {
    let kinds = [PayloadType::NAT_D, PayloadType::NAT_D_BAD, PayloadType::NAT_D_DRAFT];
    for role in Role::BOTH {
        let mut session = Session::new(role, Configuration::default());
        for step in role.steps() {
            let mut draft = session.scripted_peer.draft(*step);
            let before = session.fixture.snapshot();
            for kind in kinds {
                for length in [0, 1, 20, 64] {
                    let mut more = draft.clone();
                    more.payloads.push((kind, vec![1; length]));
                    match *step {
                        Step::Main3 | Step::Main4 => draft = more,
                        _ if step.is_main() => {
                            let message = session.scripted_peer.seal(&more);
                            session.fixture.receive(&message);
                            assert_eq!(session.fixture.snapshot(), before, "{step:?}\n{}", session.fixture.log_text());
                        }
                        _ => {}
                    }
                }
            }
            session.fixture.sent.clear();
            session.utter(&draft);
        }
        assert!(session.fixture.is_up(), "{}", session.fixture.log_text());
        session.fixture.wind_up("after NAT-D");
    }
}

/// 0.9.x #37: attributes of both forms, truncated at every byte, in both phases.
#[test]
fn attributes_that_are_cut() {
    let long = Attribute::long(Phase1Attribute::LIFE_DURATION.0, vec![0, 0, 14, 16]);
    let mut sa = phase1_sa(&[TERMS]);
    sa.proposals[0].transforms[0].attributes.retain(|attribute| attribute.kind != long.kind);
    sa.proposals[0].transforms[0].attributes.push(long);
    let bytes = sa.encode();
    // DOI, situation, proposal, and the transform's header before the attributes.
    let begin = 8 + 8 + 8;
    let mut session = Session::new(Role::Initiator, Configuration::default());
    for length in begin..bytes.len() {
        let mut cut = bytes[..length].to_vec();
        // Only the attributes are truncated; the lengths of proposal and transform are right.
        cut[10..12].copy_from_slice(&u16::try_from(length - 8).expect("short").to_be_bytes());
        cut[18..20].copy_from_slice(&u16::try_from(length - 16).expect("short").to_be_bytes());
        let mut draft = session.scripted_peer.draft(Step::Main1);
        draft.payloads[0].1 = cut;
        let message = session.scripted_peer.seal(&draft);
        session.fixture.receive(&message);
        // The lifetime may be missing, because it has a default.
        for state in session.fixture.phase1_states() {
            assert_eq!(state, 3, "{length}");
        }
    }
    session.pass(60);
    session.fixture.sent.clear();
    let mut draft = session.scripted_peer.draft(Step::Main1);
    draft.payloads[0].1 = bytes;
    let message = session.scripted_peer.seal(&draft);
    session.fixture.receive(&message);
    assert_eq!(session.fixture.phase1_states(), [3], "the whole of it is accepted\n{}", session.fixture.log_text());
    session.fixture.wind_up("after attributes");
}

/// 0.9.x #38, #39: Vendor IDs of all lengths, including known ones that are truncated or extended.
#[test]
fn vendor_ids_of_all_lengths() {
    let known = [VendorId::Dpd, VendorId::Fragmentation(0), VendorId::OwnIpsecTools, VendorId::Kame];
    for role in Role::BOTH {
        let mut session = Session::new(role, Configuration::default());
        for step in role.steps() {
            let mut draft = session.scripted_peer.draft(*step);
            for id in known.map(VendorId::encode) {
                for length in (0..=24).step_by(if draft.payloads.len() > 30 { 24 } else { 5 }) {
                    let body: Vec<u8> = id.iter().copied().chain([0; 24]).take(length).collect();
                    draft.payloads.push((PayloadType::VENDOR_ID, body));
                }
            }
            session.scripted_peer.prove(&mut draft);
            session.utter(&draft);
        }
        assert!(session.fixture.is_up(), "{}", session.fixture.log_text());
        session.fixture.wind_up("after Vendor IDs");
    }
}

/// A message with too many payloads is refused, and one with a few is not.
#[test]
fn payloads_without_end() {
    let mut session = Session::up_to(Role::Initiator, Step::Main3);
    let before = session.fixture.snapshot();
    let draft = session.scripted_peer.draft(Step::Main3);
    let mut many = draft.clone();
    many.payloads.extend(std::iter::repeat_n((PayloadType::VENDOR_ID, Vec::new()), 16_000));
    let message = session.scripted_peer.seal(&many);
    session.fixture.receive(&message);
    assert_eq!(session.fixture.snapshot(), before);
    assert!(session.fixture.has_logged("is ignored: malformed"), "{}", session.fixture.log_text());
    session.listen();
    session.finish(Step::Main3, "after many payloads");
    session.fixture.wind_up("after many payloads");
}

/// 0.9.x: phase 1 is flushed while phase 2s are established or being negotiated under it; then everything is purged.
#[test]
fn phase_1_is_flushed_with_phase_2s_bound() {
    for role in Role::BOTH {
        let mut session = Session::up(role);
        if role == Role::Initiator {
            session.scripted_peer.new_quick_mode();
            session.say(Step::Quick1);
            assert_eq!(session.fixture.engine.phase2s().count(), 2);
        }
        session.fixture.control(Control::FlushPhase1);
        assert_eq!(session.fixture.phase1_states(), [0; 0]);
        assert!(session.fixture.sas.is_empty(), "what is established goes along");
        assert!(session.fixture.larval.is_empty(), "and what was on its way");
        // The peer continues under the phase 1 that is gone.
        for step in [Step::Quick3, Step::Informational] {
            let draft = session.scripted_peer.draft(step);
            let message = session.scripted_peer.seal(&draft);
            session.fixture.receive(&message);
        }
        assert!(session.fixture.sas.is_empty());
        session.fixture.control(Control::FlushPhase2(None));
        session.fixture.control(Control::FlushPhase1);
        session.fixture.wind_up("after a flush");
    }
}

/// 0.9.x: many phase 2s are deleted during an enumeration, by INITIAL-CONTACT of a new phase 1 and by one Delete.
#[test]
fn many_phase_2s_go_at_once() {
    let many = || {
        let mut session = Session::up(Role::Initiator);
        for _ in 0..20 {
            session.scripted_peer.new_quick_mode();
            session.say(Step::Quick1);
            session.say(Step::Quick3);
        }
        assert_eq!(session.fixture.sas.len(), 42);
        session
    };
    let mut session = many();
    let first = session.scripted_peer.spi - 20;
    let spis: Vec<[u8; 4]> = (first..first + 21).chain([first, 1, 0]).map(u32::to_be_bytes).collect();
    let spis: Vec<&[u8]> = spis.iter().map(<[u8; 4]>::as_slice).collect();
    let draft = session.scripted_peer.informational(vec![(PayloadType::DELETE, deletion(Protocol::ESP, &spis))]);
    session.utter(&draft);
    assert!(session.fixture.sas.is_empty(), "{}", session.fixture.log_text());
    assert_eq!(session.fixture.phase1_states(), [9]);
    session.fixture.wind_up("after one delete");

    let mut session = many();
    session.fixture.pass(Duration::from_secs(1));
    // The peer was restarted.
    session.scripted_peer =
        crate::scripted_peer::ScriptedPeer::new(session.fixture.peer, session.fixture.address, true, 99);
    session.said.clear();
    for step in [Step::Main1, Step::Main3] {
        session.say(step);
    }
    let contact = session.scripted_peer.notify(NotifyType::INITIAL_CONTACT, &[]);
    let draft = session.scripted_peer.draft(Step::Main5);
    let draft = Draft { payloads: [draft.payloads, vec![contact]].concat(), ..draft };
    assert_eq!(draft.header.flags, Flags::ENCRYPTED);
    session.utter(&draft);
    assert!(session.fixture.sas.is_empty(), "{}", session.fixture.log_text());
    session.finish(Step::Quick1, "after INITIAL-CONTACT");
    session.fixture.wind_up("after INITIAL-CONTACT");
}
