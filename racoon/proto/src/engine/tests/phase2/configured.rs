//! Values of the configuration that are not their defaults, and what comes of each.

use super::*;
use crate::config::{Esn, LocalIdentity};
use crate::identity::{Expected, Identity};
use crate::kernel::Lifetime;
use crate::num::IdType;
use crate::settings::Retransmission;

fn nothing(_: &mut Remote, _: &mut Settings) {}

fn both(sainfo: &Sainfo) -> [Sainfo; 2] {
    [sainfo.clone(), sainfo.clone()]
}

/// When each datagram of `a` was sent, while nothing arrives.
fn sent_at(net: &mut Net, seconds_in_all: u64) -> Vec<u64> {
    let mut at = Vec::new();
    for second in 0..seconds_in_all {
        let before = net.world.a.sent.len();
        net.pass_with(if second == 0 { Duration::ZERO } else { seconds(1) }, |_| Fate::Drop);
        net.settle_with(|_| Fate::Drop);
        at.extend((before..net.world.a.sent.len()).map(|_| second));
    }
    at
}

/// `counter`, `interval` and `persend` of `timer`, in both phases.
#[test]
fn messages_are_repeated_as_configured() {
    let timer = |_: &mut Remote, settings: &mut Settings| {
        settings.retransmission = Retransmission { count: 3, interval: seconds(4), copies: 2 };
    };
    let expected = [0, 0, 4, 4, 8, 8];
    let mut net = Net::with(hosts(), &transport(), both(&sainfo()), timer, nothing);
    net.world.initiate();
    net.world.link.clear();
    assert_eq!(net.world.a.sent.len(), 2);
    net.world.a.sent.clear();
    assert_eq!(sent_at(&mut net, 20), expected[2..]);
    assert_eq!(net.world.a.unanswered(), [(1, 3)]);

    let no_probes = |remote: &mut Remote, _: &mut Settings| remote.dpd = None;
    let mut net = Net::with(hosts(), &transport(), both(&sainfo()), timer, no_probes);
    net.world.initiate();
    net.settle();
    net.world.a.sent.clear();
    net.acquire();
    assert_eq!(sent_at(&mut net, 12), expected);
    net.pass_with(seconds(1), |_| Fate::Drop);
    assert_eq!(net.world.a.unanswered(), [(1, 3)]);
}

/// `phase1` of `timer`: so long a phase 2 waits for its phase 1, which goes on trying.
#[test]
fn a_phase_2_waits_for_its_phase_1_as_configured() {
    let timer = |_: &mut Remote, settings: &mut Settings| settings.phase1_wait = seconds(7);
    let mut net = Net::with(hosts(), &transport(), both(&sainfo()), timer, nothing);
    net.acquire();
    net.pass_with(seconds(6), |_| Fate::Drop);
    assert_eq!((net.world.a.failures(), net.kernels[0].failed.len()), (vec![], 0));
    net.pass_with(seconds(1), |_| Fate::Drop);
    assert_eq!(net.world.a.failures(), [FailureReason::Phase1Late(seconds(7))]);
    assert_eq!((net.kernels[0].failed.as_slice(), net.world.a.states()), (&[acquire(1)][..], vec![3]));
}

/// `phase2` of `timer`: so long it waits for the kernel.
#[test]
fn a_phase_2_waits_for_the_kernel_as_configured() {
    let timer = |_: &mut Remote, settings: &mut Settings| settings.phase2_wait = seconds(7);
    let mut net = Net::with(hosts(), &transport(), both(&sainfo()), timer, nothing);
    net.kernels[0].silent = true;
    net.acquire();
    net.settle();
    net.pass(seconds(6));
    assert_eq!(net.world.a.failures(), []);
    net.pass(seconds(1));
    assert_eq!(net.world.a.failures(), [FailureReason::KernelTimeout(seconds(7))]);
}

/// `nonce_size`, of all nonces: a message of main mode and one of quick mode are so much longer, and the peer's are not.
#[test]
fn nonces_are_as_long_as_configured() {
    let sizes = |a: u16, b: u16| {
        let of = |size| move |remote: &mut Remote, _: &mut Settings| remote.nonce_size = size;
        let mut net = Net::with(hosts(), &transport(), both(&sainfo()), of(a), of(b));
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        [&net.world.a, &net.world.b].map(|host| host.sent.iter().map(|sent| sent.bytes.len()).collect::<Vec<_>>())
    };
    let [initiator, responder] = sizes(16, 16);
    let longer = |one: &[usize], than: &[usize]| one.iter().zip(than).map(|(one, than)| one - than).collect::<Vec<_>>();
    let [long, still] = sizes(48, 16);
    assert_eq!(longer(&long, &initiator), [0, 32, 0, 32, 0], "main mode 1, 3, 5, quick mode 1, 3");
    assert_eq!(still, responder);
    let [still, long] = sizes(16, 48);
    assert_eq!(longer(&long, &responder), [0, 32, 0, 0, 32], "main mode 2, 4, 6, INITIAL-CONTACT, quick mode 2");
    assert_eq!(still, initiator);
}

/// `ph1id` of a remote is what `remoteid` of a sainfo has to be, for both roles.
#[test]
fn a_remoteid_ties_a_sainfo_to_its_remotes() {
    let of = |remoteid, lifetime| {
        let mut sainfo = sainfo();
        (sainfo.remoteid, sainfo.terms.lifetime) = (remoteid, lifetime);
        sainfo
    };
    let host = |ph1id| {
        move |remote: &mut Remote, settings: &mut Settings| {
            remote.ph1id = ph1id;
            settings.sainfos = Sainfos::new(vec![of(0, 100), of(7, 700)]);
        }
    };
    for (ph1id, expected) in [(0, Some(100)), (7, Some(700)), (8, None)] {
        let mut net = Net::with(hosts(), &transport(), both(&sainfo()), host(ph1id), host(7));
        net.tell_b(KernelEvent::Policies(policies(hosts(), &transport(), false)));
        net.acquire();
        net.settle();
        let life = net.kernels[0].sas.first().map(|sa| sa.hard.seconds);
        assert_eq!(life, expected, "{:?}", net.world.a.lines(Level::Error));
        if expected.is_none() {
            assert!(matches!(net.world.a.failures().as_slice(), [FailureReason::NoSainfo(_)]));
        }
    }
    // As a responder: of the two, the one with the number of its remote, whose lifetime is shorter than what is asked for.
    let mut net = Net::with(hosts(), &transport(), both(&of(0, 500)), |_, _| {}, host(0));
    net.acquire();
    net.settle();
    assert!(matches!(net.world.b.failures().as_slice(), [FailureReason::NoProposalChosen(_)]));
}

/// A sainfo with `from` is for peers with that identity of phase 1, and comes before one for anybody.
#[test]
fn a_sainfo_is_for_who_the_peer_is() {
    let name = |name: &str| Identity::named(IdType::FQDN, name.as_bytes());
    let address = Identity::address(ip(A));
    for (identity, from, expected) in [
        (LocalIdentity::Fixed(name("a.example")), name("a.example"), 200),
        (LocalIdentity::Fixed(name("a.example.org")), name("a.example"), 900),
        (LocalIdentity::Address, address, 200),
    ] {
        let sainfos = |_: &mut Remote, settings: &mut Settings| {
            let (mut special, mut general) = (sainfo(), sainfo());
            special.from = Some(Expected::exactly(&from));
            (special.terms.lifetime, general.terms.lifetime) = (200, 900);
            settings.sainfos = Sainfos::new(vec![general, special]);
        };
        let claim = |remote: &mut Remote, settings: &mut Settings| {
            remote.proposal_check = CheckLevel::Claim;
            sainfos(remote, settings);
        };
        let called = |remote: &mut Remote, _: &mut Settings| remote.my_identifier = identity;
        let mut net = Net::with(hosts(), &transport(), both(&sainfo()), called, claim);
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        assert_eq!(net.kernels[1].sas[0].hard.seconds, expected);
    }
}

/// `clientaddr` is the address that the peer speaks from, as long as it is given no other one; who begins has no client.
#[test]
fn a_client_is_where_it_speaks_from() {
    let for_clients = || Sainfo { remote: RemoteSide::ClientAddress, ..sainfo() };
    let begun = |selector, templates: &[Template], sainfos| {
        let mut net = Net::with(selector, templates, sainfos, nothing, nothing);
        net.acquire();
        net.settle();
        (net.kernels[1].sas.len(), net.world.a.failures(), net.world.b.failures())
    };
    assert_eq!(begun(hosts(), &transport(), [sainfo(), for_clients()]), (2, vec![], vec![]));
    let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
    let to_network = Selector { destination: networks().destination, ..hosts() };
    assert_eq!(begun(to_network, &tunnel, [sainfo(), for_clients()]).0, 2);
    let (_, _, refusals) = begun(networks(), &tunnel, [sainfo(), for_clients()]);
    assert!(matches!(refusals.as_slice(), [FailureReason::NoSainfo(_)]), "{refusals:?}");
    let (_, refusals, _) = begun(hosts(), &transport(), [for_clients(), sainfo()]);
    assert!(matches!(refusals.as_slice(), [FailureReason::NoSainfo(_)]), "{refusals:?}");
}

/// `complex_bundle off`: all protocols are proposed as tunnels if one is; the SAs are what the policy says.
#[test]
fn a_bundle_is_of_one_mode_or_of_many() {
    let mixed = [template(Protocol::IPCOMP, Mode::Tunnel), template(Protocol::ESP, Mode::Transport)];
    let bundle = |complex| move |_: &mut Remote, settings: &mut Settings| settings.complex_bundle = complex;
    for (complex, modes) in [(true, ["ipcomp tunnel", "esp transport"]), (false, ["ipcomp tunnel", "esp tunnel"])] {
        let mut net = Net::with(networks(), &mixed, both(&sainfo()), bundle(complex), bundle(complex));
        net.acquire();
        net.settle();
        net.assert_pairs(2);
        let offered = &net.world.b.outcomes.last().unwrap().offered;
        for (line, mode) in offered.iter().zip(modes) {
            assert!(line.starts_with(&format!("1 {mode} ")), "{offered:?}");
        }
        let esp = net.kernels[0].sas.iter().find(|sa| sa.name.protocol == Protocol::ESP).unwrap();
        assert_eq!(esp.mode, Mode::Transport);
    }
    let mut net = Net::with(networks(), &mixed, both(&sainfo()), bundle(false), bundle(true));
    net.acquire();
    net.settle();
    let expected = "no suitable proposal found: esp: tunnel mode proposed, transport mode configured";
    assert_eq!(net.world.b.failures()[0].to_string(), expected);
    assert!(net.world.b.lines(Level::Error)[0].ends_with("; compare the policies of both hosts"));
}

/// `replay_window` and `lifetime byte` are in the SAs.
#[test]
fn windows_and_limits_are_in_the_sas() {
    let mut sainfo = sainfo();
    sainfo.replay_window = 256;
    sainfo.terms.kilobytes = Some(5000);
    let net = Net::up(hosts(), &transport(), &sainfo);
    for sa in net.kernels.iter().flat_map(|kernel| &kernel.sas) {
        assert_eq!((sa.replay_window, sa.hard), (256, Lifetime { seconds: 1000, kilobytes: Some(5000) }));
    }
}

/// `esn`: `on` is content without, `require` is not.
#[test]
fn extended_sequence_numbers_as_configured() {
    let with = |esn| Sainfo { esn, ..sainfo() };
    use Esn::{Off, On, Require};
    for (a, b, expected) in [
        (Off, Off, Some(false)),
        (On, Off, Some(false)),
        (Off, On, Some(false)),
        (On, On, Some(true)),
        (Require, On, Some(true)),
        (On, Require, Some(true)),
        (Require, Off, None),
        (Off, Require, None),
    ] {
        let mut net = Net::with(hosts(), &transport(), [with(a), with(b)], nothing, nothing);
        net.acquire();
        net.settle();
        assert_eq!(net.kernels[0].sas.first().map(|sa| sa.esn), expected, "{a:?} {b:?}");
    }
}

/// The identities of two hosts are sent even where they say no more than the addresses do, with `support_proxy` or without.
#[test]
fn identities_are_sent_in_transport_mode() {
    for supported in [false, true] {
        let proxy = |remote: &mut Remote, _: &mut Settings| remote.support_proxy = supported;
        let mut net = Net::with(hosts(), &transport(), both(&sainfo()), proxy, nothing);
        net.world.initiate();
        net.settle();
        net.world.b.forget_outputs();
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        // What message 1 says, and message 2 repeats.
        let ids =
            net.world.b.lines(Level::Debug2).into_iter().filter(|line| line.trim_start().starts_with("ID")).count();
        assert_eq!(ids, 4, "{:?}", net.world.b.lines(Level::Debug2));
    }
}

/// An address as `my_identifier` is sent as it is, with the port of ISAKMP.
#[test]
fn an_address_of_somebody_else_as_identity() {
    let address = Identity::address("198.51.100.7".parse().unwrap());
    let world = World::established_with(
        |remote, _| remote.my_identifier = LocalIdentity::Fixed(address.clone()),
        |remote, _| {
            remote.peers_identifiers = vec![Expected::exactly(&address)];
            remote.verify_identifier = true;
        },
    );
    assert_eq!(world.b.engine.phase1s.sa(world.b.only()).unwrap().peer.id, address.with_protocol(17, 500));
}

/// A reload's values count from then on, for what is on its way, too.
#[test]
fn a_reload_brings_its_values() {
    let mut net = Net::with(hosts(), &transport(), both(&sainfo()), nothing, |remote, _| remote.dpd = None);
    net.world.initiate();
    net.settle();
    net.world.a.sent.clear();
    net.acquire();
    net.settle_with(|_| Fate::Drop);
    let mut sainfo = sainfo();
    sainfo.terms.lifetime = 700;
    let retransmission = Retransmission { count: 2, interval: seconds(3), copies: 1 };
    let new = Settings { sainfos: Sainfos::new(vec![sainfo]), retransmission, ..settings(B, nothing) };
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Reload(Box::new(new))).unwrap();
    net.pass_with(seconds(10), |_| Fate::Drop);
    assert_eq!((net.world.a.sent.len(), net.world.a.failures()), (2, vec![]));
    net.pass_with(seconds(3), |_| Fate::Drop);
    // The third is message 1 of another phase 1.
    assert_eq!((net.world.a.sent.len(), net.world.a.unanswered()), (3, vec![(1, 2)]));
    net.settle();
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    assert_eq!(net.kernels[0].sas[0].hard.seconds, 700);
}

/// `padding`: the last byte as both see it, and more blocks than are needed.
#[test]
fn messages_are_padded_as_configured() {
    let strict = |exclusive_tail| {
        move |_: &mut Remote, settings: &mut Settings| {
            (settings.padding.strict_check, settings.padding.exclusive_tail) = (true, exclusive_tail);
        }
    };
    World::established_with(strict(true), strict(true));
    World::established_with(strict(false), strict(false));
    // A last byte that counts itself is one too many for who does not count it.
    let mut world = World::with(strict(false), strict(true));
    world.initiate();
    world.run();
    assert_eq!(world.b.states(), [5]);
    assert!(world.b.has_logged(Level::Warning, "of padding where there is room for"), "{:?}", world.b.log);
    let length = |randomize_length| {
        let world = World::established_with(
            |_, settings| {
                settings.padding.randomize_length = randomize_length;
                settings.padding.maximum_length = 0;
            },
            nothing,
        );
        world.a.sent[2].bytes.len()
    };
    assert_eq!(length(true), length(false) + 16, "one block");
}
