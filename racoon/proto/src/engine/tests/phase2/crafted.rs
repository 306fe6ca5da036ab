//! Messages that no engine sends, by a peer that has the keys; and by somebody who has not.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::conversation::Record;
use crate::identity::Identity;
use crate::num::{Doi, Flags, Group, IdType, NotifyType, PayloadType};
use crate::path::Path;
use crate::phase2::bundle::Bundle;
use crate::phase2::message::{Proof, seal};
use crate::proposal::encoding::phase2_sa;
use crate::wire::{Cookie, CookiePair, Delete, Header, Notify, chain};

use crate::engine::Phase2Id;
use crate::phase2::TrafficKey;
use crate::phase2::entry::Phase2;
use crate::phase2::quick_responder::{AT_ONCE_MAX, WITH_PEER_MAX};
use crate::phase2::traffic::Endpoints;
use crate::reason::{PayloadProblem, Role};

pub(super) type Payloads = Vec<(PayloadType, Vec<u8>)>;

/// Two hosts with a phase 1.
fn with_phase1() -> Net {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net
}

/// The payloads of a message 1 that is accepted.
pub(super) fn first_payloads(sainfo: &Sainfo) -> Payloads {
    let suite = Bundle::new(&transport(), &[], sainfo, true, false).unwrap().suite(&[0x4711]);
    vec![(PayloadType::SA, phase2_sa(&[suite]).encode()), (PayloadType::NONCE, vec![7; 16])]
}

/// What `a` would send under its phase 1.
pub(super) fn craft(net: &mut Net, message_id: u32, payloads: &Payloads) -> Vec<u8> {
    let sa = net.world.a.engine.phase1s.sa(net.world.a.only()).unwrap();
    let mut iv = sa.iv(message_id).unwrap();
    let codec = crate::message::codec::MessageCodec::default();
    seal(sa, message_id, payloads, &mut iv, Proof::First, (&codec, net.world.b.address), &mut SeededRandom::new(9))
        .unwrap()
}

/// `b` gets a message 1; how it failed, if it did.
fn sent_to_b(payloads: &Payloads) -> (Net, Option<FailureReason>) {
    let mut net = with_phase1();
    let message = craft(&mut net, 0x1234, payloads);
    net.world.b.forget_outputs();
    net.world.forge_to_b(&message);
    net.settle();
    let reason = net.world.b.failures().pop();
    (net, reason)
}

#[test]
fn what_is_crafted_is_accepted_as_it_is() {
    let (net, reason) = sent_to_b(&first_payloads(&sainfo()));
    assert_eq!(reason, None);
    assert_eq!(net.kernels[1].names(Way::Inbound).len(), 1);
}

#[test]
fn each_payload_missing_or_double() {
    let good = first_payloads(&sainfo());
    for at in 0..good.len() {
        let mut less = good.clone();
        let (kind, body) = less.remove(at);
        let reason = sent_to_b(&less).1;
        let problem = PayloadProblem::Missing;
        let expected = FailureReason::Payload { payload: kind, problem, message: 1, exchange: ExchangeType::QUICK };
        assert_eq!(reason, Some(expected));
        let mut more = good.clone();
        more.push((kind, body));
        let problem = PayloadProblem::Repeated;
        let expected = FailureReason::Payload { payload: kind, problem, message: 1, exchange: ExchangeType::QUICK };
        assert_eq!(sent_to_b(&more).1, Some(expected));
    }
}

#[test]
fn payloads_that_are_malformed() {
    for (kind, body) in [
        (PayloadType::SA, vec![]),
        (PayloadType::SA, vec![0, 0, 0, 1, 0, 0, 0, 1]),
        (PayloadType::NONCE, vec![1; 7]),
        (PayloadType::NONCE, vec![1; 257]),
    ] {
        let mut payloads = first_payloads(&sainfo());
        payloads.iter_mut().filter(|(one, _)| *one == kind).for_each(|one| one.1.clone_from(&body));
        let (mut net, reason) = sent_to_b(&payloads);
        assert!(matches!(reason, Some(FailureReason::Malformed(_))), "{reason:?}");
        net.settle();
        net.assert_empty();
    }
}

#[test]
fn both_identities_or_none_and_of_addresses() {
    let host = |host| Identity::address(ip(host)).encode();
    let name = Identity::named(IdType::FQDN, "a.example").encode();
    let udp = Identity::address(ip(A)).with_protocol(17, 0).encode();
    let tcp = Identity::address(ip(B)).with_protocol(6, 0).encode();
    for ids in [vec![host(A)], vec![name, host(B)], vec![vec![1], host(B)], vec![udp, tcp]] {
        let mut payloads = first_payloads(&sainfo());
        payloads.extend(ids.into_iter().map(|id| (PayloadType::ID, id)));
        let (net, reason) = sent_to_b(&payloads);
        assert!(matches!(reason, Some(FailureReason::Phase2Identity(_))), "{reason:?}");
        assert!(net.world.a.has_logged(Level::Warning, "INVALID-ID-INFORMATION"));
    }
    let mut payloads = first_payloads(&sainfo());
    payloads.extend([host(A), host(B)].map(|id| (PayloadType::ID, id)));
    assert_eq!(sent_to_b(&payloads).1, None);
}

#[test]
fn forward_secrecy_has_a_public_value_and_nothing_else_has() {
    let mut with_pfs = sainfo();
    with_pfs.terms.group = Some(Group::X25519);
    let mut payloads = first_payloads(&sainfo());
    payloads.push((PayloadType::KEY_EXCHANGE, vec![9; 32]));
    let problem = |payloads: &Payloads| match sent_to_b(payloads).1 {
        Some(FailureReason::Payload { payload: PayloadType::KEY_EXCHANGE, problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(&payloads), PayloadProblem::Unexpected);
    assert_eq!(problem(&first_payloads(&with_pfs)), PayloadProblem::Missing);
    for value in [vec![0; 32], vec![9; 31]] {
        let mut payloads = first_payloads(&with_pfs);
        payloads.push((PayloadType::KEY_EXCHANGE, value));
        let (net, reason) = sent_to_b(&payloads);
        assert!(matches!(reason, Some(FailureReason::KeyExchange { .. })), "{reason:?}");
        net.assert_empty();
    }
}

#[test]
fn a_group_that_nobody_has_is_no_group() {
    let mut strange = sainfo();
    strange.terms.group = Some(Group(22));
    let (_, reason) = sent_to_b(&first_payloads(&strange));
    let expected = "no suitable proposal found: esp: pfs_group 22 proposed, which is not supported";
    assert_eq!(reason.map(|reason| reason.to_string()), Some(expected.into()));
}

/// `a` gets a message 2 that `b` has changed; how it failed, if it did.
fn changed_by_b(sainfo: &Sainfo, change: impl FnOnce(&mut Payloads)) -> (Net, Option<FailureReason>) {
    changed_by_b_in(Net::new(hosts(), &transport(), sainfo), change)
}

pub(super) fn changed_by_b_in(mut net: Net, change: impl FnOnce(&mut Payloads)) -> (Net, Option<FailureReason>) {
    net.world.initiate();
    net.settle();
    net.acquire();
    let mut messages = Vec::new();
    net.settle_with(|transmit| {
        messages.push(transmit.bytes.clone());
        if messages.len() == 1 { Fate::Deliver } else { Fate::Drop }
    });
    let sa = net.world.b.engine.phase1s.sa(net.world.b.only()).unwrap();
    let codec = crate::message::codec::MessageCodec::default();
    let (header, body) = Header::parse(&messages[0]).unwrap();
    let opened = sa.open(&sa.iv(header.message_id).unwrap(), &header, body).unwrap();
    let nonce = crate::message::rules::find(&opened.payloads(&codec, net.world.a.address).unwrap(), PayloadType::NONCE)
        .unwrap()
        .to_vec();
    let mut iv = opened.next_iv;
    let (header, body) = Header::parse(&messages[1]).unwrap();
    let opened = sa.open(&iv, &header, body).unwrap();
    let payloads = opened.payloads(&codec, net.world.a.address).unwrap();
    let mut payloads: Payloads = payloads[1..].iter().map(|one| (one.kind, one.body.to_vec())).collect();
    change(&mut payloads);
    let random = &mut SeededRandom::new(9);
    let message =
        seal(sa, header.message_id, &payloads, &mut iv, Proof::Second(&nonce), (&codec, net.world.a.address), random)
            .unwrap();
    net.world.forge_to_a(&message);
    net.settle();
    let reason = net.world.a.failures().pop();
    (net, reason)
}

/// What was sent has to be returned as it is.
#[test]
fn an_initiator_gets_its_identities_back() {
    for keep in [0, 1, 2] {
        let (_, reason) =
            changed_by_b_in(Net::new(networks(), &[template(Protocol::ESP, Mode::Tunnel)], &sainfo()), |all| {
                let mut ids = 0;
                all.retain(|one| {
                    one.0 != PayloadType::ID || {
                        ids += 1;
                        ids <= keep
                    }
                });
                if keep == 2 {
                    all.last_mut().unwrap().1[1] = 6;
                }
            });
        assert!(matches!(reason, Some(FailureReason::Phase2Identity(_))), "{reason:?}");
    }
}

/// A change that only the peer can make ends the negotiation, and nothing is left of it.
#[test]
fn an_initiator_does_not_take_everything() {
    let mut with_pfs = sainfo();
    with_pfs.terms.group = Some(Group::X25519);
    let (net, reason) = changed_by_b(&with_pfs, |_| {});
    assert_eq!((reason, net.kernels[0].sas.len()), (None, 2));
    let remove = |kind| move |all: &mut Payloads| all.retain(|one| one.0 != kind);
    let other = |reason: Option<FailureReason>| match reason {
        Some(FailureReason::Payload { payload, problem, message: 2, .. }) => format!("{payload} {problem}"),
        Some(reason) => reason.to_string(),
        None => "accepted".into(),
    };
    let id = |host| (PayloadType::ID, Identity::address(ip(host)).encode());
    assert_eq!(other(changed_by_b(&with_pfs, remove(PayloadType::KEY_EXCHANGE)).1), "KE is missing");
    assert_eq!(other(changed_by_b(&with_pfs, remove(PayloadType::SA)).1), "SA is missing");
    assert_eq!(other(changed_by_b(&with_pfs, remove(PayloadType::NONCE)).1), "NONCE is missing");
    let with_key = |all: &mut Payloads| all.push((PayloadType::KEY_EXCHANGE, vec![9; 32]));
    assert_eq!(other(changed_by_b(&sainfo(), with_key).1), "KE is not allowed");
    let with_ids = |initiator, responder| {
        move |all: &mut Payloads| {
            all.retain(|one| one.0 != PayloadType::ID);
            all.extend([id(initiator), id(responder)]);
        }
    };
    let expected = "phase 2 identities cannot be used: the peer returns other ones than were sent";
    assert_eq!(other(changed_by_b(&sainfo(), with_ids(B, A)).1), expected);
    assert_eq!(other(changed_by_b(&sainfo(), with_ids(A, B)).1), "accepted");
    let stronger = |all: &mut Payloads| {
        let mut other = sainfo();
        other.encryption[0].key_length = 256;
        all[0].1 = first_payloads(&other)[0].1.clone();
    };
    let (mut net, reason) = changed_by_b(&sainfo(), stronger);
    assert!(matches!(reason, Some(FailureReason::BadChoice(_))), "{reason:?}");
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
    net.settle();
    assert!(net.kernels[0].sas.is_empty() && net.kernels[0].larval.is_empty());
}

/// A lifetime that the responder changes is subject to `proposal_check`.
#[test]
fn an_initiator_takes_a_shorter_lifetime_only() {
    let with_lifetime = |lifetime| {
        move |all: &mut Payloads| {
            let mut other = sainfo();
            other.terms.lifetime = lifetime;
            all[0].1 = first_payloads(&other)[0].1.clone();
        }
    };
    let (net, reason) = changed_by_b(&sainfo(), with_lifetime(500));
    assert_eq!((reason, net.kernels[0].sas[0].hard.seconds), (None, 500));
    let (_, reason) = changed_by_b(&sainfo(), with_lifetime(5000));
    let text =
        "the peer chose what was not offered: esp: lifetime 5000 s proposed, 1000 s configured (proposal_check strict)";
    assert_eq!(reason.unwrap().to_string(), text);
}

/// What it takes of another lifetime in message 2, and of one that the responder claims, at each level.
#[test]
fn an_initiators_level_says_which_lifetime_it_takes() {
    use CheckLevel::{Claim, Exact, Obey, Strict};
    let other = |lifetime| {
        let mut other = sainfo();
        other.terms.lifetime = lifetime;
        other
    };
    let net = |level| {
        let level = |remote: &mut Remote, _: &mut Settings| remote.proposal_check = level;
        Net::with(hosts(), &transport(), [sainfo(), sainfo()], level, |_, _| {})
    };
    for (level, lifetime, answered, claimed) in [
        (Obey, 5000, Some(5000), 5000),
        (Obey, 500, Some(500), 500),
        (Strict, 5000, None, 1000),
        (Strict, 500, Some(500), 500),
        (Claim, 5000, Some(1000), 1000),
        (Claim, 500, Some(500), 500),
        (Exact, 5000, None, 1000),
        (Exact, 500, None, 1000),
    ] {
        let life = |net: Net| net.kernels[0].sas.first().map(|sa| sa.hard.seconds);
        let (one, _) = changed_by_b_in(net(level), |all| all[0].1 = first_payloads(&other(lifetime))[0].1.clone());
        assert_eq!(life(one), answered, "{level:?} {lifetime} in message 2");
        let claim = crate::phase2::lifetime::responder_lifetime(&other(lifetime).terms, Protocol::ESP, 0x4711);
        let (one, _) = changed_by_b_in(net(level), |all| all.push((PayloadType::NOTIFY, claim.encode())));
        assert_eq!(life(one), Some(claimed), "{level:?} {lifetime} claimed");
    }
}

#[test]
fn a_longer_lifetime_that_is_claimed_is_ignored_with_a_warning() {
    let longer = crate::proposal::Phase2Terms { lifetime: 5000, ..sainfo().terms };
    let claim = crate::phase2::lifetime::responder_lifetime(&longer, Protocol::ESP, 0x4711);
    let (net, reason) = changed_by_b(&sainfo(), |all| all.push((PayloadType::NOTIFY, claim.encode())));
    assert_eq!((reason, net.kernels[0].sas[0].hard.seconds), (None, 1000));
    assert!(net.world.a.has_logged(Level::Warning, "RESPONDER-LIFETIME is ignored"));
    assert_eq!(net.world.a.outcomes.last().unwrap().peer_said, [NotifyType::RESPONDER_LIFETIME]);
}

#[test]
fn a_message_id_is_used_once() {
    let mut net = with_phase1();
    let payloads = first_payloads(&sainfo());
    for (id, expected) in [(0x1234, 1), (0x1234, 1), (0, 1), (0x1235, 2)] {
        let message = craft(&mut net, id, &payloads);
        // Another packet, so that it is no duplicate.
        let other = craft(&mut net, id, &[payloads.clone(), vec![(PayloadType::VENDOR_ID, vec![1; 16])]].concat());
        net.world.forge_to_b(&message);
        net.world.forge_to_b(&other);
        net.settle();
        assert_eq!(net.world.b.engine.phase2s().count(), expected, "{id:#x}");
    }
}

#[test]
fn initial_contact_in_quick_mode_is_heard() {
    let notify = |kind| {
        let (doi, protocol) = (Doi::IPSEC, Protocol::ISAKMP);
        (PayloadType::NOTIFY, Notify { doi, protocol, spi: vec![0; 16], kind, data: vec![] }.encode())
    };
    let mut payloads = first_payloads(&sainfo());
    payloads.push(notify(NotifyType::INITIAL_CONTACT));
    payloads.push(notify(NotifyType::REPLAY_STATUS));
    let (net, reason) = sent_to_b(&payloads);
    assert_eq!(reason, None);
    assert!(net.world.b.has_logged(Level::Info, "INITIAL-CONTACT"));
}

#[test]
fn a_connected_that_nobody_waits_for_does_no_harm() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let id = net.world.b.engine.phase2s().next().unwrap().message_id;
    let connected =
        Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi: vec![0; 4], kind: NotifyType::CONNECTED, data: vec![] };
    let message = craft(&mut net, id, &vec![(PayloadType::NOTIFY, connected.encode())]);
    net.world.forge_to_b(&message);
    net.world.forge_to_a(&message);
    net.settle();
    net.assert_pairs(1);
    assert!(net.world.a.failures().is_empty() && net.world.b.failures().is_empty());
}

#[test]
fn the_commit_bit_is_tolerated() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.acquire();
    net.settle_with(|transmit| {
        let mut bytes = transmit.bytes.clone();
        if bytes[18] == ExchangeType::QUICK.0 {
            bytes[19] |= Flags::COMMIT.bits();
        }
        Fate::Change(bytes)
    });
    net.assert_pairs(1);
}

/// CVE-2004-0164: a delete of somebody who has not the keys changes nothing.
#[test]
fn a_forged_delete_changes_nothing() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let cookies = net.world.a.engine.phase1s().next().unwrap().cookies;
    let spi = net.kernels[1].names(Way::Outbound)[0].spi;
    let delete = Delete { doi: Doi::IPSEC, protocol: Protocol::ESP, spis: vec![spi.to_be_bytes().to_vec()] };
    let payloads = [(PayloadType::DELETE, delete.encode())];
    let payloads = payloads.each_ref().map(|(kind, body)| (*kind, body.as_slice()));
    for id in [0, 0x77] {
        let header = Header::new(cookies, ExchangeType::INFORMATIONAL, id);
        let mut clear = chain::message(&header, &payloads);
        net.world.forge_to_b(&clear);
        clear[19] |= Flags::ENCRYPTED.bits();
        net.world.forge_to_b(&clear);
        net.settle();
        net.assert_pairs(1);
    }
}

/// A peer deletes its own SAs, whatever the protocol, and nobody else's.
#[test]
fn a_peer_deletes_what_is_its_own() {
    let chain = [template(Protocol::IPCOMP, Mode::Transport), template(Protocol::ESP, Mode::Transport)];
    for (protocol, width, own) in [
        (Protocol::IPCOMP, 2, true),
        (Protocol::IPCOMP, 4, true),
        (Protocol::ESP, 4, true),
        (Protocol::AH, 4, false),
        (Protocol::ESP, 4, false),
    ] {
        let mut net = Net::up(hosts(), &chain, &sainfo());
        let names = net.kernels[0].names(Way::Inbound);
        let spi = names.iter().find(|name| name.protocol == protocol).map_or(7, |name| name.spi);
        let spi = if own { spi } else { spi + 1000 };
        let spis = vec![vec![0xff; width], spi.to_be_bytes()[4 - width..].to_vec()];
        let delete = Delete { doi: Doi::IPSEC, protocol, spis };
        let phase1 = net.world.a.only();
        let engine = &mut net.world.a.engine;
        let sender = engine.phase1s.get_mut(phase1).unwrap();
        sender.send_informational(&mut engine.core, &[(PayloadType::DELETE, delete.encode())]);
        net.settle();
        assert_eq!(net.kernels[1].sas.is_empty(), own, "{protocol}");
        assert_eq!(net.world.b.engine.phase2s().count(), usize::from(!own));
        assert_eq!(net.world.b.event_kinds().contains(&EventKind::Phase2Down), own);
    }
}

/// Of the many messages that claim to be of an exchange, only the first ones are worth a line.
#[test]
fn forgeries_do_not_fill_the_log() {
    let mut net = with_phase1();
    let cookies = net.world.a.engine.phase1s().next().unwrap().cookies;
    net.world.b.forget_outputs();
    for id in 1..200 {
        let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies, ExchangeType::QUICK, id) };
        net.world.forge_to_b(&chain::message(&header, &[(PayloadType::HASH, &[0; 28])]));
    }
    assert_eq!(net.world.b.lines(Level::Error).len() + net.world.b.lines(Level::Warning).len(), 10);
    let unknown = CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) };
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(unknown, ExchangeType::QUICK, 1) };
    net.world.forge_to_b(&chain::message(&header, &[(PayloadType::HASH, &[0; 28])]));
    assert!(net.world.b.engine.phase2s.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer that has the keys puts into message 1, nothing breaks, and nothing is left of it.
    #[test]
    fn any_payloads_do_no_harm(
        good in vec(any::<bool>(), 2),
        others in vec((select(KINDS.to_vec()), vec(any::<u8>(), 0..60)), 0..5),
        at in any::<Index>(),
    ) {
        let kept = first_payloads(&sainfo()).into_iter().zip(good).filter(|(_, keep)| *keep);
        let mut payloads: Payloads = kept.map(|(payload, _)| payload).collect();
        for (kind, body) in others {
            payloads.insert(at.index(payloads.len() + 1), (kind, body));
        }
        let (mut net, _) = sent_to_b(&payloads);
        net.pass(seconds(200));
        net.assert_empty();
    }

    /// The same with one byte changed in what would be accepted.
    #[test]
    fn a_changed_byte_does_no_harm(payload in any::<Index>(), byte in any::<Index>(), bits in 1_u8..) {
        let mut payloads = first_payloads(&sainfo());
        let body = &mut payload.get_mut(&mut payloads).1;
        *byte.get_mut(body) ^= bits;
        let (mut net, _) = sent_to_b(&payloads);
        net.pass(seconds(200));
        net.assert_empty();
    }
}

/// Payloads that may be in messages of quick mode, and some that may not.
const KINDS: [PayloadType; 8] = [
    PayloadType::SA,
    PayloadType::NONCE,
    PayloadType::KEY_EXCHANGE,
    PayloadType::ID,
    PayloadType::NOTIFY,
    PayloadType::HASH,
    PayloadType::NAT_OA,
    PayloadType(99),
];

/// The number of unfinished quick modes of a peer is limited; a further one is accepted when others have ended.
#[test]
fn a_peer_has_so_many_quick_modes_at_once() {
    let mut net = with_phase1();
    net.kernels[1].silent = true;
    let begin = |net: &mut Net, message_id| {
        let message = craft(net, message_id, &first_payloads(&sainfo()));
        net.world.forge_to_b(&message);
        net.settle();
        net.world.b.engine.load().phase2s
    };
    let most = u32::try_from(AT_ONCE_MAX).unwrap();
    for number in 1..=most {
        begin(&mut net, number);
    }
    assert_eq!(begin(&mut net, most + 1), AT_ONCE_MAX);
    assert_eq!(begin(&mut net, most + 1), AT_ONCE_MAX);
    assert!(net.world.b.has_logged(Level::Error, "ignored a quick mode: 64 are in progress"));
    // Those fail, as the kernel does not answer; and then there is room for the repeated message.
    net.pass(seconds(31));
    assert_eq!(net.world.b.engine.load().phase2s, 0);
    net.kernels[1].silent = false;
    assert_eq!(begin(&mut net, most + 1), 1);
}

#[test]
fn a_peer_has_so_many_phase_2s() {
    let mut net = with_phase1();
    let traffic_key = TrafficKey { selector: hosts().mirrored(), endpoints: Endpoints { local: ip(B), remote: ip(A) } };
    let path = Path::new(net.world.b.address, net.world.a.address);
    for _ in 0..WITH_PEER_MAX {
        let id = Phase2Id(net.world.b.engine.core.fresh_id());
        let phase2 = Phase2::new(id, Role::Responder, traffic_key, path, Record::new(net.world.now));
        net.world.b.engine.phase2s.insert(phase2);
    }
    let message = craft(&mut net, 1, &first_payloads(&sainfo()));
    net.world.forge_to_b(&message);
    net.settle();
    assert_eq!(net.world.b.failures(), [FailureReason::TooMany(WITH_PEER_MAX)]);
    assert!(net.world.a.has_logged(Level::Warning, "NO-PROPOSAL-CHOSEN"));
    assert_eq!(net.world.b.engine.load().phase2s, WITH_PEER_MAX);
}
