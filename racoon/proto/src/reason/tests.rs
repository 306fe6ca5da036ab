//! Every failure reason, with its text, its notify and its events; and the journal.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::CheckLevel;
use crate::credentials::{OwnProblem, PeerProblem};
use crate::crypto::{CryptoError, PeerValueError};
use crate::identity::{self, Expected};
use crate::kernel::{KernelError, Prefix, SaName};
use crate::num::{Cipher, Group, IdType, PayloadType, Protocol};
use crate::output::EventKind;
use crate::proposal::{Phase1Mismatch, ProposalRefusal, Sides};
use crate::psk::{KeyFileProblem, NearestLine, NoKey};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn traffic() -> Selector {
    let (source, destination) = (Prefix::host([192, 0, 2, 1].into()), Prefix::host(PEER));
    Selector { source, destination, protocol: 6, source_port: 0, destination_port: 80 }
}

fn sa_name() -> SaName {
    SaName { protocol: Protocol::ESP, source: [192, 0, 2, 1].into(), destination: PEER, spi: 0x1001 }
}

fn unanswered() -> Unanswered {
    let (exchange, role) = (ExchangeType::MAIN, Role::Initiator);
    Unanswered { exchange, role, message: 1, bytes: 104, sent: 1, repeated: 0, unreadable: 0 }
}

fn kernel_error() -> KernelError {
    KernelError {
        operation: "UPDATE esp".into(),
        errno: Some(38),
        message: "Function not implemented".into(),
        explanation: Some("Requested CRYPT algorithm not found".into()),
        missing: Some("camellia-cbc (module camellia_generic?)".into()),
        exists: false,
    }
}

/// A reason with its text, its notify, and its events of phase 1 and 2.
type Row = (FailureReason, &'static str, Option<NotifyType>, [Option<EventKind>; 2]);

/// A row for each variant.
fn table() -> Vec<Row> {
    use FailureReason::*;
    let mismatches = vec![Phase1Mismatch::Cipher(Sides(Cipher::AES, Cipher::TRIPLE_DES))];
    let named = |name: &str| identity::Identity::named(IdType::FQDN, name.as_bytes());
    let expected = ExpectedIdentity { remote: "gw".into(), identifiers: vec![Expected::exactly(&named("b.example"))] };
    let no_proposal = [Some(EventKind::Phase1NoProposal), None];
    let not_authenticated = [Some(EventKind::Phase1AuthFailed), None];
    let no_phase1 = [None, Some(EventKind::Phase2NoPhase1)];
    let silent = [None; 2];
    let policy = MissingPolicy { traffic: traffic(), problem: PolicyProblem::NoReqid };
    let sainfo =
        MissingSainfo { traffic: traffic(), peer: None, ph1id: 0, present: Named { first: Vec::new(), more: 0 } };
    let denied = Denied { traffic: traffic(), problem: DenialReason::Everything };
    let payload = PayloadType::KEY_EXCHANGE;
    let problem = PeerValueError::ZeroSecret(Group::X25519);
    vec![
        (
            NoAnswer(unanswered()),
            "no answer to message 1 of main mode (104 bytes) after 1 transmission",
            None,
            [Some(EventKind::Phase1NoResponse), Some(EventKind::Phase2NoResponse)],
        ),
        (OtherVersion { major: 2, minor: 0 }, "the peer speaks IKEv2, this host only IKEv1", None, silent),
        (
            NoRemote(MissingRemote::Address { peer: PEER, present: Named::default() }),
            "no remote section matches 192.0.2.2; there is none at all",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            silent,
        ),
        (
            NoProposalChosen(ProposalRefusal::Phase1 { mismatches, level: CheckLevel::Obey }),
            "no suitable proposal found: encryption_algorithm aes proposed, 3des configured",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            no_proposal,
        ),
        (
            BadChoice(super::BadChoice::Incomplete),
            "the peer chose what was not offered: there is not one choice for each protocol",
            Some(NotifyType::BAD_PROPOSAL_SYNTAX),
            no_proposal,
        ),
        (
            NoPreSharedKey { peer: PEER, why: NoKey::NoFile },
            "no pre-shared key for 192.0.2.2: `path pre_shared_key' is not set",
            Some(NotifyType::AUTHENTICATION_FAILED),
            not_authenticated,
        ),
        (
            Authentication(AuthenticationFailure::Hash),
            "authentication failed: the hash is wrong",
            Some(NotifyType::AUTHENTICATION_FAILED),
            not_authenticated,
        ),
        (
            Identity { claimed: named("a.example"), expected: vec![expected] },
            "identity FQDN a.example is not the expected FQDN b.example (peers_identifier of remote section gw)",
            Some(NotifyType::INVALID_ID_INFORMATION),
            not_authenticated,
        ),
        (
            Phase2Identity(Phase2IdentityError::Traffic(TrafficError::Families)),
            "phase 2 identities cannot be used: one identity is IPv4, the other one IPv6",
            Some(NotifyType::INVALID_ID_INFORMATION),
            silent,
        ),
        (
            NoPolicy(policy.into()),
            "no policy is generated for 192.0.2.1/32 -> 192.0.2.2/32[80] tcp: all reqids for unique policies are taken",
            Some(NotifyType::INVALID_ID_INFORMATION),
            silent,
        ),
        (
            NotAuthorized(denied.into()),
            "not authorized: 192.0.2.1/32 -> 192.0.2.2/32[80] tcp: the peer's side is everything; name it in a sainfo if the \
             peer may have it",
            Some(NotifyType::INVALID_ID_INFORMATION),
            silent,
        ),
        (
            NoSainfo(sainfo.into()),
            "no sainfo matches 192.0.2.1/32 -> 192.0.2.2/32[80] tcp; there is none at all",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            silent,
        ),
        (TooMany(64), "there are 64 phase 2s with this peer already", Some(NotifyType::NO_PROPOSAL_CHOSEN), silent),
        (
            NoPhase1(super::NoPhase1::Failed(Arc::new(NoAnswer(unanswered())))),
            "no phase 1: no answer to message 1 of main mode (104 bytes) after 1 transmission",
            None,
            no_phase1,
        ),
        (Phase1Late(Duration::from_secs(30)), "time up waiting for phase1: none came up within 30 s", None, no_phase1),
        (
            Payload { payload, problem: PayloadProblem::Missing, message: 3, exchange: ExchangeType::MAIN },
            "KE payload is missing in message 3 of main mode",
            Some(NotifyType::PAYLOAD_MALFORMED),
            silent,
        ),
        (
            Malformed(super::Malformed::Encryption { encrypted: false, message: 1, exchange: ExchangeType::QUICK }),
            "malformed: message 1 of quick mode is not encrypted",
            Some(NotifyType::PAYLOAD_MALFORMED),
            silent,
        ),
        (
            KeyExchange { group: Group::X25519, problem },
            "key exchange in group x25519: the public value of the peer makes the secret of x25519 zero",
            Some(NotifyType::INVALID_KEY_INFORMATION),
            silent,
        ),
        (Refused(NotifyType::NO_PROPOSAL_CHOSEN), "the peer says NO-PROPOSAL-CHOSEN", None, no_proposal),
        (Deleted(Protocol::ESP), "the peer deleted its esp SA", None, silent),
        (
            Kernel(KernelFailure::NameInUse(sa_name())),
            "kernel: esp 192.0.2.1->192.0.2.2 spi=4097(0x1001) is in use by another negotiation",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            silent,
        ),
        (
            KernelTimeout(Duration::from_secs(30)),
            "the kernel did not answer within 30 s",
            None,
            [None, Some(EventKind::Phase2NoResponse)],
        ),
        (
            Crypto(CryptoFailure::Library(CryptoError::WeakKey(Cipher::DES))),
            "cryptography: the key is one of the weak keys of des",
            None,
            silent,
        ),
        (
            UnsupportedExchange(ExchangeType::AGGRESSIVE),
            "aggressive mode is not supported",
            Some(NotifyType::UNSUPPORTED_EXCHANGE_TYPE),
            silent,
        ),
        (
            NoAuthMethod { remote: "gw".into() },
            "no authentication method of remote section gw is supported",
            None,
            silent,
        ),
        (
            NoCertificate,
            "my_identifier asn1dn without a name needs a certificate, and none is configured with certificate_type",
            Some(NotifyType::CERTIFICATE_UNAVAILABLE),
            silent,
        ),
        (
            UnsupportedTransform { protocol: Protocol::ESP, id: 12 },
            "esp with aes is not supported",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            silent,
        ),
        (
            RepeatedProtocol(Protocol::ESP),
            "a policy with esp twice is not supported",
            Some(NotifyType::NO_PROPOSAL_CHOSEN),
            silent,
        ),
        (
            Signature(PeerProblem::Signature.into()),
            "the peer is not authenticated: its signature was not made with its key",
            Some(NotifyType::INVALID_SIGNATURE),
            not_authenticated,
        ),
        (
            OwnKey(OwnProblem::KeyKind("P-256".into()).into()),
            "our signature cannot be made: the private key is of type P-256, not that of the agreed method",
            Some(NotifyType::CERTIFICATE_UNAVAILABLE),
            not_authenticated,
        ),
    ]
}

/// The place of a reason in [`table`]. A new variant does not compile without one.
fn place(reason: &FailureReason) -> usize {
    match reason {
        FailureReason::NoAnswer(_) => 0,
        FailureReason::OtherVersion { .. } => 1,
        FailureReason::NoRemote(_) => 2,
        FailureReason::NoProposalChosen(_) => 3,
        FailureReason::BadChoice(_) => 4,
        FailureReason::NoPreSharedKey { .. } => 5,
        FailureReason::Authentication(_) => 6,
        FailureReason::Identity { .. } => 7,
        FailureReason::Phase2Identity(_) => 8,
        FailureReason::NoPolicy(_) => 9,
        FailureReason::NotAuthorized(_) => 10,
        FailureReason::NoSainfo(_) => 11,
        FailureReason::TooMany(_) => 12,
        FailureReason::NoPhase1(_) => 13,
        FailureReason::Phase1Late(_) => 14,
        FailureReason::Payload { .. } => 15,
        FailureReason::Malformed(_) => 16,
        FailureReason::KeyExchange { .. } => 17,
        FailureReason::Refused(_) => 18,
        FailureReason::Deleted(_) => 19,
        FailureReason::Kernel(_) => 20,
        FailureReason::KernelTimeout(_) => 21,
        FailureReason::Crypto(_) => 22,
        FailureReason::UnsupportedExchange(_) => 23,
        FailureReason::NoAuthMethod { .. } => 24,
        FailureReason::NoCertificate => 25,
        FailureReason::UnsupportedTransform { .. } => 26,
        FailureReason::RepeatedProtocol(_) => 27,
        FailureReason::Signature(_) => 28,
        FailureReason::OwnKey(_) => 29,
    }
}

#[test]
fn every_reason_has_a_text_a_notify_and_events() {
    let table = table();
    let places = table.iter().map(|(reason, ..)| place(reason)).collect::<Vec<_>>();
    assert_eq!(places, (0..30).collect::<Vec<_>>(), "each variant once");
    for (reason, text, notify, events) in table {
        assert_eq!(reason.to_string(), text);
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        assert!(text.chars().next().is_some_and(|first| !first.is_uppercase() || text.starts_with("KE ")), "{text}");
        assert_eq!(reason.notify(), notify, "{text}");
        assert_eq!([reason.phase1_event(), reason.phase2_event()], events, "{text}");
    }
}

#[test]
fn a_kernel_error_names_what_the_kernel_lacks_first() {
    let refused = |error: KernelError| FailureReason::from(error).to_string();
    let rest = "UPDATE esp: Function not implemented: Requested CRYPT algorithm not found";
    let expected = format!("kernel has no camellia-cbc (module camellia_generic?): {rest}");
    assert_eq!(refused(kernel_error()), expected);
    assert_eq!(refused(KernelError { missing: None, ..kernel_error() }), format!("kernel: {rest}"));
    assert_eq!(refused(KernelError::new("no such algorithm")), "kernel: no such algorithm");
}

/// With another key, what is decrypted is random: where it is wrong says nothing.
#[test]
fn a_wrong_key_has_no_offset() {
    let random = Unreadable::Payloads(crate::wire::WireError::Flags { found: 7 });
    let text = FailureReason::Authentication(AuthenticationFailure::Unreadable(random)).to_string();
    assert_eq!(text, "authentication failed: the message cannot be decrypted, wrong pre-shared key?");
}

/// The hint to the peer's log is left out where the peer's own words are in the line.
#[test]
fn an_explained_refusal_has_no_hint() {
    let line = |peer_text| {
        let result = NegotiationResult::Failed(FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN));
        let negotiation = phase2(None);
        Outcome { negotiation, peer_text, result, ..outcome(1) }.failure_line().unwrap().to_string()
    };
    let refused =
        "phase2 negotiation failed due to the peer says NO-PROPOSAL-CHOSEN: 192.0.2.1/32 -> 192.0.2.2/32[80] tcp";
    assert_eq!(line(None), format!("{refused}; the peer's log names the difference"));
    assert_eq!(line(Some("no sainfo".into())), format!("{refused}; in its words: no sainfo"));
}

#[test]
fn a_missing_key_says_what_to_do() {
    let file = || PathBuf::from("/etc/psk.txt");
    let unusable = |problem| NoKey::UnusableFile { file: file(), problem };
    let nearest = NearestLine { line: 2, problem: "differs in upper and lower case".into() };
    for (why, text) in [
        (NoKey::NoFile, "`path pre_shared_key' is not set"),
        (unusable(KeyFileProblem::Unreadable("Permission denied".into())), "/etc/psk.txt: Permission denied"),
        (unusable(KeyFileProblem::NotRegular), "/etc/psk.txt: not a regular file"),
        (unusable(KeyFileProblem::Owner { owner: 7, uid: 0 }), "/etc/psk.txt: owned by user 7, not by 0"),
        (
            unusable(KeyFileProblem::Mode(0o644)),
            "/etc/psk.txt: mode 0644 is too open: 0600 or 0640 keeps its keys secret",
        ),
        (NoKey::NoEntry { file: file(), nearest: None }, "add a line to /etc/psk.txt"),
        (
            NoKey::NoEntry { file: file(), nearest: Some(nearest) },
            "add a line to /etc/psk.txt; its line 2 differs in upper and lower case",
        ),
        (NoKey::Empty, "the key is empty"),
        (NoKey::NoName, "there is no name to look for"),
    ] {
        assert_eq!(why.to_string(), text);
    }
}

/// Number `number` of many.
fn outcome(number: u64) -> Outcome {
    let end = SocketAddr::from(([192, 0, 2, 1], 500));
    Outcome {
        negotiation: Negotiation::Phase1 {
            exchange: ExchangeType::MAIN,
            role: Role::Initiator,
            cookies: CookiePair::default(),
        },
        local: end,
        remote: end,
        remote_section: None,
        began: Time::from_secs(number),
        ended: Time::from_secs(number),
        steps: Vec::new(),
        offered: Vec::new(),
        configured: Vec::new(),
        peer_said: Vec::new(),
        peer_text: None,
        undelivered: Vec::new(),
        timed_out: false,
        result: NegotiationResult::Abandoned,
    }
}

/// A quick mode that we began under a phase 1, or that did not get so far.
fn phase2(cookies: Option<CookiePair>) -> Negotiation {
    Negotiation::Phase2 { role: Role::Initiator, cookies, message_id: 0x1234, traffic: traffic() }
}

#[test]
fn a_line_has_what_is_known_besides_the_reason() {
    let cookies = CookiePair::default();
    let zero = "0000000000000000:0000000000000000";
    let failed = NegotiationResult::Failed;
    let line = |outcome: Outcome| outcome.failure_line().unwrap().to_string();
    let undelivered = vec![DeliveryError::Local("Network is unreachable".into())];
    let silent = Outcome { result: failed(FailureReason::NoAnswer(unanswered())), undelivered, ..outcome(1) };
    let no_answer = "no answer to message 1 of main mode (104 bytes) after 1 transmission; \
                     this host cannot send: Network is unreachable; check that an IKEv1 daemon runs there, \
                     that it is configured for this host, and that UDP port 500 is open";
    let timed_out = Outcome { timed_out: true, ..silent.clone() };
    assert_eq!(line(timed_out), format!("phase1 negotiation failed due to time up. {zero}: {no_answer}"));
    assert_eq!(line(silent), format!("phase1 negotiation failed: {zero}: {no_answer}"));
    let late = failed(FailureReason::KernelTimeout(Duration::from_secs(30)));
    assert_eq!(
        line(Outcome { negotiation: phase2(Some(cookies)), result: late, ..outcome(1) }),
        format!(
            "phase2 negotiation failed due to the kernel did not answer within 30 s: \
             192.0.2.1/32 -> 192.0.2.2/32[80] tcp {zero}:00001234"
        )
    );
    let denied = Denied { traffic: traffic(), problem: DenialReason::GeneratedForAnother };
    let (offered, denied) = (vec!["esp".into()], failed(FailureReason::NotAuthorized(denied.into())));
    assert_eq!(
        line(Outcome { negotiation: phase2(Some(cookies)), offered, result: denied, ..outcome(1) }),
        format!(
            "phase2 negotiation failed due to not authorized: 192.0.2.1/32 -> 192.0.2.2/32[80] tcp: its policies were \
             generated for another peer: {zero}:00001234; offered: [esp]"
        )
    );
    assert!(outcome(1).failure_line().is_none(), "it was abandoned");
}

#[test]
fn a_journal_keeps_the_last_ones() {
    let kept = |journal: &Journal| journal.iter().map(|one| one.began).collect::<Vec<_>>();
    let last = |numbers: [u64; 3]| numbers.map(Time::from_secs);
    let mut journal = Journal::new(3);
    (1..=100).for_each(|number| journal.add(outcome(number).into()));
    assert_eq!(kept(&journal), last([98, 99, 100]));
    journal.set_limit(5);
    assert_eq!(kept(&journal), last([98, 99, 100]));
    journal.set_limit(2);
    assert_eq!(kept(&journal), last([98, 99, 100])[1..]);
    journal.set_limit(0);
    journal.add(outcome(101).into());
    assert_eq!(kept(&journal), []);
}
