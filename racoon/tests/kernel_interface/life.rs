//! SAs from the ACQUIRE to their end.

use std::time::Duration;

use libpfkey::SaType;
use libpfkey::num::{DIR_OUT, LEVEL_USE};
use libpfkey::request;
use libpfkey::wire::IpsecRequest;
use racoon_proto::kernel::{KernelEvent, KernelRequest, Limit, Policy, Way};
use racoon_proto::num::Protocol;

use crate::lab::{Lab, PEER, US, aes_sha1, ip, sa, send, spd, step, transport_pair};
use crate::{with_all_backend_pairs, with_each_backend};

#[test]
fn packet_causes_acquire() {
    with_all_backend_pairs(|lab| {
        let policies = with_policies(lab);
        send(PEER);
        let acquire = lab.acquire();
        assert_eq!(acquire.policy, Some(policies[0].index), "both backends tell the policy's index");
        assert_eq!((acquire.source, acquire.destination), (ip(US), ip(PEER)));
        assert_eq!(acquire.protocol, Protocol::ESP);
        assert_ne!(acquire.seq, 0);
        assert_eq!(acquire.selector, None, "neither shows it");
        send(PEER);
        assert!(lab.events().is_empty(), "one acquire for one pair of ends");

        // Packets that waited for the SA are gone with it. After its deletion the next packet causes an ACQUIRE at
        // once.
        let spi = lab.allocate(Protocol::ESP, acquire.seq);
        let mut inbound = sa(Way::Inbound, spi, aes_sha1(), 3600);
        let mut outbound = sa(Way::Outbound, 0x1234, aes_sha1(), 3600);
        (inbound.acquire, outbound.acquire) = (acquire.seq, acquire.seq);
        let names = [inbound.name, outbound.name];
        lab.install(inbound).unwrap();
        lab.install(outbound).unwrap();
        send(PEER);
        assert!(lab.events().is_empty(), "there is an SA, and what we do is not told to us");
        for name in names {
            assert!(lab.ask(KernelRequest::Delete(name)).is_empty());
        }
        assert!(lab.events().is_empty(), "what we delete is not told to us");
        send(PEER);
        let again = lab.acquire();
        assert_ne!(again.seq, acquire.seq);
        assert!(lab.ask(KernelRequest::AcquireFailed(again)).is_empty());
        assert_eq!(*lab.records.lock().unwrap(), []);
    });
}

/// Adds the other program's transport policies. Returns them as reported.
fn with_policies(lab: &mut Lab) -> Vec<Policy> {
    let mut told = Vec::new();
    for policy in transport_pair() {
        lab.other(|origin, buffer| request::spdadd(origin, &policy, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        told.push(policy);
    }
    told
}

#[test]
fn acquire_names_tunnel_endpoints() {
    with_all_backend_pairs(|lab| {
        let bundle = vec![step(108, Some((US, PEER))), step(50, None)];
        let policy = spd(DIR_OUT, (US, 32), ("10.0.2.0", 24), bundle);
        lab.other(|origin, buffer| request::spdadd(origin, &policy, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        send("10.0.2.9");
        let asked = acquired(lab, &policy);
        assert_eq!(asked, [Protocol::IPCOMP], "the first one that is missing and required: it stands for all");
    });
}

#[test]
fn acquire_for_level_use() {
    with_all_backend_pairs(|lab| {
        let ipcomp = IpsecRequest { level: LEVEL_USE, ..step(108, None) };
        let policy = spd(DIR_OUT, (US, 32), (PEER, 32), vec![ipcomp, step(50, None)]);
        lab.other(|origin, buffer| request::spdadd(origin, &policy, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        send(PEER);
        assert_eq!(acquired(lab, &policy), [Protocol::IPCOMP, Protocol::ESP]);
    });
}

/// Returns the protocols of the ACQUIREs that a policy caused.
fn acquired(lab: &mut Lab, policy: &Policy) -> Vec<Protocol> {
    let protocol = |event| {
        let KernelEvent::Acquire(acquire) = event else { panic!("{event:?}") };
        assert_eq!(acquire.policy, Some(policy.index));
        assert_eq!((acquire.source, acquire.destination), (ip(US), ip(PEER)));
        acquire.protocol
    };
    lab.events().into_iter().map(protocol).collect()
}

#[test]
fn ipv6() {
    with_each_backend(|lab| {
        let (us, peer) = ("2001:db8::1", "2001:db8::2");
        let policy = spd(DIR_OUT, (us, 128), ("2001:db8::", 64), vec![step(51, None)]);
        lab.other(|origin, buffer| request::spdadd(origin, &policy, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        // Neighbour discovery causes ACQUIREs too, for other addresses.
        send(peer);
        let asked = lab.events();
        let ours = asked.iter().find_map(|event| match event {
            KernelEvent::Acquire(acquire) if acquire.destination == ip(peer) => Some(acquire),
            _ => None,
        });
        let acquire = ours.unwrap_or_else(|| panic!("{asked:?}"));
        assert_eq!((acquire.policy, acquire.source), (Some(policy.index), ip(us)));
        assert_eq!(acquire.protocol, Protocol::AH);
    });
}

#[test]
fn sas_expire() {
    with_each_backend(|lab| {
        let name = sa(Way::Outbound, 0x1234, aes_sha1(), 2).name;
        // If the machine stands still in between, only the hard EXPIRE arrives.
        loop {
            lab.install(sa(Way::Outbound, 0x1234, aes_sha1(), 2)).unwrap();
            match lab.event() {
                KernelEvent::Expire(soft, Limit::Soft) if soft == name => break,
                KernelEvent::Expire(hard, Limit::Hard) if hard == name => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(lab.event(), KernelEvent::Expire(hard, Limit::Hard) if hard == name));
        std::thread::sleep(Duration::from_millis(100));
        assert!(lab.events().is_empty());
    });
}

#[test]
fn other_program_deletes_sas() {
    with_all_backend_pairs(|lab| {
        let install = |lab: &mut Lab| {
            let outbound = sa(Way::Outbound, 0x1234, aes_sha1(), 3600);
            let name = outbound.name;
            lab.install(outbound).unwrap();
            name
        };
        let name = install(lab);
        lab.other_deletes(&name);
        assert!(matches!(lab.event(), KernelEvent::Deleted(deleted) if deleted == name));
        install(lab);
        lab.other(|origin, buffer| request::flush(origin, SaType::Esp, buffer));
        assert!(matches!(lab.event(), KernelEvent::Flushed(Some(Protocol::ESP))));
        install(lab);
        lab.other(|origin, buffer| request::flush(origin, SaType::Unspec, buffer));
        assert!(matches!(lab.event(), KernelEvent::Flushed(None)));
        // Installing an existing SA fails, deleting a missing one does not.
        install(lab);
        let error = lab.install(sa(Way::Outbound, 0x1234, aes_sha1(), 3600)).unwrap_err();
        assert!(error.exists, "{error}");
        let error = lab.install(sa(Way::Inbound, 0x9999, aes_sha1(), 3600)).unwrap_err();
        assert!(!error.exists, "{error}");
        lab.ask(KernelRequest::Delete(sa(Way::Inbound, 0x9999, aes_sha1(), 0).name));
        assert!(lab.events().is_empty());
    });
}

/// Events may be lost.
#[test]
fn vanished_sas_are_noticed() {
    with_all_backend_pairs(|lab| {
        let sas = [0x1234, 0x1235].map(|spi| sa(Way::Outbound, spi, aes_sha1(), 3600));
        let names = [sas[0].name, sas[1].name];
        sas.into_iter().for_each(|sa| lab.install(sa).unwrap());
        lab.other_deletes(&names[0]);
        assert_eq!(lab.gone(), names[..1]);
        assert_eq!(lab.gone(), [], "it is told once");
        assert!(lab.events().len() <= 1, "and once more by who was asked to");
        lab.ask(KernelRequest::Delete(names[1]));
        assert_eq!(lab.gone(), []);
    });
}

#[test]
fn reserved_spi_is_released() {
    with_each_backend(|lab| {
        for protocol in [Protocol::ESP, Protocol::AH, Protocol::IPCOMP] {
            let spi = lab.allocate(protocol, 0);
            assert!(spi >= 0x100 && (protocol != Protocol::IPCOMP || spi <= 0xffff), "{protocol} {spi:#x}");
            let mut name = sa(Way::Inbound, spi, aes_sha1(), 0).name;
            name.protocol = protocol;
            lab.ask(KernelRequest::Delete(name));
            assert!(lab.events().is_empty());
            assert_eq!(*lab.records.lock().unwrap(), []);
        }
    });
}
