//! The interface over an in-memory kernel, in every dialect.

use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libpfkey::backend::{Backend, BackendKind, Memory, SocketServer};
use libpfkey::request;
use libpfkey::{Abi, Connection, Dialect, MessageType, Request, SaId, SaType};
use racoon_proto::config::{Encryption, RemoteSide, Sainfo, Side};
use racoon_proto::crypto::Secret;
use racoon_proto::kernel::{
    Direction, KernelError, KernelEvent, KernelRequest, LeftoverSa, Limit, Mode, Policy, PolicyAction, PolicyName,
    Prefix, RequestId, SaInstallation, SaName, SaTransform, Selector, Template, TemplateLevel, UdpPorts,
};
use racoon_proto::num::{AuthAlgorithm, EspTransform, Protocol};

use super::{aes_sha1, allocation, esp, inbound, ip, outbound, policy_of, submit};
use crate::backup::Backup;
use crate::kernel::{KernelInterface, LogRecord, backend_of};

pub(super) struct Lab {
    pub(super) memory: Memory,
    pub(super) interface: KernelInterface,
    pub(super) records: Arc<Mutex<Vec<LogRecord>>>,
}

impl Lab {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self::on(Memory::new(Abi::of(dialect)).unwrap())
    }

    /// Opens a kernel, which may have SAs and policies of an earlier racoon.
    pub(super) fn on(memory: Memory) -> Self {
        let requests = Box::new(memory.another_handle().unwrap());
        Self::over(memory, requests)
    }

    /// Opens a kernel with this backend for requests.
    pub(super) fn over(memory: Memory, requests: Box<dyn Backend>) -> Self {
        let records = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&records);
        let log = Box::new(move |record| {
            if !matches!(record, LogRecord::Request(_)) {
                log.lock().unwrap().push(record);
            }
        });
        let events = Box::new(memory.another_handle().unwrap());
        let interface = KernelInterface::over(events, requests, 64, log).unwrap();
        let mut lab = Self { memory, interface, records };
        assert!(matches!(&lab.events()[..], [KernelEvent::Policies(_)]));
        lab
    }

    pub(super) fn events(&mut self) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.interface.read_events(&mut |event| events.push(event)).unwrap();
        events
    }

    pub(super) fn ask(&mut self, request: KernelRequest) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.interface.execute(request, &mut |event| events.push(event));
        events
    }

    pub(super) fn add_policy(&mut self, policy: &Policy) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.interface.add_policy(RequestId(1), policy, &mut |event| events.push(event));
        events
    }

    pub(super) fn allocate(&mut self, protocol: Protocol) -> u32 {
        match self.ask(KernelRequest::AllocateSpi(allocation(protocol))).pop() {
            Some(KernelEvent::Spi(RequestId(2), Ok(spi))) => spi,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn install(&mut self, installation: SaInstallation) -> Result<(), KernelError> {
        match self.ask(KernelRequest::Install(Box::new(installation))).pop() {
            Some(KernelEvent::Installed(RequestId(1), result)) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Connects another program.
    pub(super) fn other(&self) -> Connection {
        Connection::new(Box::new(self.memory.another_handle().unwrap()))
    }
}

pub(super) fn policy(direction: Direction) -> Policy {
    let selector = Selector {
        source: Prefix::host(ip("10.0.0.1")),
        destination: Prefix::host(ip("10.0.0.2")),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    };
    let template = Template {
        protocol: Protocol::ESP,
        mode: Mode::Transport,
        level: TemplateLevel::Require,
        reqid: 0,
        endpoints: None,
    };
    Policy { index: 0, direction, selector, action: PolicyAction::Protect(vec![template]), priority: 0 }
}

#[test]
fn quirks_are_logged_once() {
    let mut lab = Lab::new(Dialect::Linux);
    for spi in [0x1001, 0x1002] {
        let key = Secret::from(vec![1; 64]);
        let mut ah = outbound(spi, SaTransform::Ah { authentication: (AuthAlgorithm::HMAC_SHA512.into(), key) });
        ah.name.protocol = Protocol::AH;
        lab.install(ah).unwrap();
    }
    let records = lab.records.lock().unwrap();
    assert!(matches!(&records[..], [LogRecord::Warning(text)] if text.starts_with("AH over IPv4 with")), "{records:?}");
}

/// Adds a policy.
fn add(lab: &mut Lab, policy: Policy) -> Result<Policy, KernelError> {
    match lab.add_policy(&policy).pop() {
        Some(KernelEvent::PolicyAdded(_, added)) => added.map(|policy| policy.expect("a policy")),
        other => panic!("{other:?}"),
    }
}

/// Policies of other programs are neither replaced nor deleted, not even one that was put in the place of ours.
#[test]
fn policies_of_other_programs_stay() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let mut other = Connection::new(Box::new(lab.memory.another_handle().unwrap()));
        let mut bytes = Vec::new();
        let foreign = |action| Policy { action, ..policy(Direction::In) };
        let discard = Request::PolicyAdd(Box::new(policy_of(dialect, &foreign(PolicyAction::Discard))));
        submit(&mut other, &discard);
        let [KernelEvent::Policy(there)] = &lab.events()[..] else { panic!("{dialect}: no policy") };
        assert!(add(&mut lab, policy(Direction::In)).unwrap_err().exists, "{dialect}");
        let dump = |lab: &mut Lab| {
            let mut all = Vec::new();
            lab.interface.resync(&mut |event| {
                if let KernelEvent::Policies(policies) = event {
                    all = policies;
                }
            });
            all
        };
        assert_eq!(dump(&mut lab), std::slice::from_ref(there), "{dialect}");

        // Ours is deleted, and another program adds its own policy.
        request::spddelete2(other.request_header(1), there.index, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        let ours = add(&mut lab, policy(Direction::In)).unwrap();
        request::spddelete2(other.request_header(1), ours.index, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        submit(&mut other, &discard);
        lab.ask(KernelRequest::DeletePolicy(ours.name()));
        let left = dump(&mut lab);
        assert!(matches!(&left[..], [Policy { action: PolicyAction::Discard, .. }]), "{dialect}: {left:?}");

        // Kernels reuse an index.
        let ours = PolicyName { selector: left[0].selector.mirrored(), ..left[0].name() };
        lab.ask(KernelRequest::DeletePolicy(ours));
        assert_eq!(dump(&mut lab), left, "{dialect}");
    }
}

#[test]
fn from_packet_to_sa() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let set = add(&mut lab, policy(Direction::Out)).unwrap();
        assert_ne!(set.index, 0);
        assert_eq!(set, Policy { index: set.index, ..policy(Direction::Out) });
        assert!(matches!(&lab.events()[..], [KernelEvent::Policy(told)] if *told == set), "{dialect}");

        let (from, to) = ("10.0.0.1:9".parse().unwrap(), "10.0.0.2:9".parse().unwrap());
        assert_eq!(lab.memory.packet_out(from, to, 17), 1);
        let events = lab.events();
        let [KernelEvent::Acquire(acquire)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(acquire.policy, Some(set.index));
        assert_eq!((acquire.source, acquire.destination), (ip("10.0.0.1"), ip("10.0.0.2")));

        let spi = lab.allocate(Protocol::ESP);
        let mut sas = [inbound(spi, aes_sha1()), outbound(0x2002, aes_sha1())];
        (sas[0].mode, sas[0].reqid) = (Mode::Tunnel, 5);
        let names = [sas[0].name, sas[1].name];
        for mut sa in sas {
            sa.acquire = acquire.seq;
            lab.install(sa).unwrap();
        }
        assert_eq!(lab.memory.packet_out(from, to, 17), 0, "{dialect}: the SA is there");
        assert!(lab.interface.show(SaType::Esp, 0).is_ok_and(|text| text.matches("mature").count() == 2), "{dialect}");
        assert!(lab.install(outbound(0x2002, aes_sha1())).unwrap_err().exists);
        let missing = lab.install(inbound(0x7777, aes_sha1())).unwrap_err();
        assert!(!missing.exists && missing.operation.starts_with("Update esp 10.0.0.2->10.0.0.1 spi="), "{missing}");
        assert!(lab.events().is_empty());

        for name in names {
            assert!(lab.ask(KernelRequest::Delete(name)).is_empty());
        }
        lab.ask(KernelRequest::DeletePolicy(set.name()));
        let events = lab.events();
        assert!(matches!(&events[..], [KernelEvent::PolicyDeleted(Direction::Out, _)]), "{dialect}: {events:?}");
        assert_eq!(*lab.records.lock().unwrap(), []);
    }
}

#[test]
fn requests_of_other_programs() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let mut other = lab.other();
        let sa = outbound(0x2002, aes_sha1());
        let name = sa.name;
        lab.install(sa).unwrap();
        let mut bytes = Vec::new();
        let pfkey = SaId::new(SaType::Esp, name.source, name.destination, name.spi);
        request::delete(other.request_header(1), &pfkey, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        assert!(matches!(&lab.events()[..], [KernelEvent::Deleted(deleted)] if *deleted == name), "{dialect}");
        // The BSDs report deleteall without an SPI, for all SAs between two addresses.
        if dialect.has_delete_all() {
            lab.install(outbound(0x2002, aes_sha1())).unwrap();
            lab.install(outbound(0x2003, aes_sha1())).unwrap();
            for (sa_type, swapped) in [(SaType::Ah, false), (SaType::Esp, true), (SaType::Esp, false)] {
                let (source, destination) = (name.source.into(), name.destination.into());
                let (from, to) = if swapped { (destination, source) } else { (source, destination) };
                request::delete_all(other.request_header(1), sa_type, from, to, &mut bytes).unwrap();
                other.send(&bytes).unwrap();
            }
            let deleted = |event: &KernelEvent| match event {
                KernelEvent::Deleted(deleted) => (deleted.destination == name.destination).then_some(deleted.spi),
                _ => None,
            };
            let mut deleted: Vec<_> = lab.events().iter().map(deleted).collect();
            deleted.sort_unstable();
            assert_eq!(deleted, [Some(0x2002), Some(0x2003)], "{dialect}");
        }
        lab.install(outbound(0x2002, aes_sha1())).unwrap();
        request::flush(other.request_header(1), SaType::Esp, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        assert!(matches!(&lab.events()[..], [KernelEvent::Flushed(Some(Protocol::ESP))]), "{dialect}");

        // By index, which is all that the BSDs report.
        let set = add(&mut lab, policy(Direction::In)).unwrap();
        lab.events();
        request::spddelete2(other.request_header(1), set.index, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        let events = lab.events();
        let [KernelEvent::PolicyDeleted(Direction::In, gone)] = &events[..] else { panic!("{dialect}: {events:?}") };
        assert_eq!(*gone, set.selector);
    }
}

#[test]
fn expiry_of_sas() {
    let mut lab = Lab::new(Dialect::FreeBsd);
    let sa = outbound(0x2002, aes_sha1());
    let name = sa.name;
    lab.install(sa).unwrap();
    assert!(lab.memory.expire_soft(SaType::Esp, name.source, name.destination, name.spi));
    assert!(lab.memory.expire_hard(SaType::Esp, name.source, name.destination, name.spi));
    let events = lab.events();
    let [KernelEvent::Expire(first, Limit::Soft), KernelEvent::Expire(second, Limit::Hard)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*first, *second), (name, name));
}

#[test]
fn kernel_assigns_unique_reqid() {
    for dialect in [Dialect::Linux, Dialect::NetBsd] {
        let mut lab = Lab::new(dialect);
        let mut unique = policy(Direction::Out);
        if let PolicyAction::Protect(templates) = &mut unique.action {
            templates[0].level = TemplateLevel::Unique;
        }
        let added = add(&mut lab, unique).unwrap();
        let told = lab.events().pop();
        let Some(KernelEvent::Policy(told)) = told else { panic!("{told:?}") };
        for policy in [added, told] {
            let PolicyAction::Protect(templates) = policy.action else { panic!("not protected") };
            assert!(templates[0].reqid >= 0x4000, "{dialect}: {templates:?}");
        }
    }
}

#[test]
fn nat_t_ports_are_part_of_the_name() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let udp = Some(UdpPorts { source: 4500, destination: 14_500 });
    let sa = SaInstallation { udp, ..outbound(0x2002, aes_sha1()) };
    let name = sa.name;
    lab.install(sa).unwrap();
    lab.ask(KernelRequest::Delete(name));
    assert_eq!(*lab.records.lock().unwrap(), []);
    assert!(lab.events().is_empty());
    assert!(lab.interface.show(SaType::Unspec, 0).is_ok_and(|text| text.is_empty()));
}

#[test]
fn missing_reply() {
    let mut lab = Lab::new(Dialect::Linux);
    lab.memory.drop_next_replies(1);
    let error = lab.install(outbound(0x2002, aes_sha1())).unwrap_err();
    assert_eq!(error.to_string(), "Add esp 10.0.0.1->10.0.0.2 spi=8194(0x2002): no answer from the kernel");
    assert!(lab.interface.show(SaType::Esp, 0).is_ok_and(|text| text.is_empty()), "the SA is deleted again");
    lab.memory.fail_next(MessageType::GetSpi, libc::ENOBUFS);
    let refused = lab.ask(KernelRequest::AllocateSpi(allocation(Protocol::ESP))).pop();
    let Some(KernelEvent::Spi(_, Err(error))) = refused else { panic!("{refused:?}") };
    assert_eq!(error.to_string(), "GETSPI esp 10.0.0.2->10.0.0.1: No buffer space available");
    // The next request succeeds.
    assert_ne!(lab.allocate(Protocol::ESP), 0);
}

/// Vanished SAs are noticed although events were dropped, and although NetBSD does not report a hard expiry.
#[test]
fn unreported_changes_are_noticed() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let resync = |lab: &mut Lab| {
            let mut events = Vec::new();
            lab.interface.resync(&mut |event| events.push(event));
            events.retain(|event| !matches!(event, KernelEvent::Policies(_)));
            events
        };
        let sas = [0x2001, 0x2002, 0x2003].map(|spi| outbound(spi, aes_sha1()));
        let names = [&sas[0], &sas[1], &sas[2]].map(|sa| sa.name);
        sas.into_iter().for_each(|sa| lab.install(sa).unwrap());
        assert!(resync(&mut lab).is_empty(), "{dialect}: all are there");
        // 1. An SA expires.
        lab.memory.drop_next_replies(usize::from(dialect != Dialect::NetBsd));
        assert!(lab.memory.expire_hard(SaType::Esp, names[0].source, names[0].destination, 0x2001));
        // 2. Another program deletes an SA.
        let mut other = lab.other();
        let (source, destination) = (names[1].source, names[1].destination);
        let name = SaId::new(SaType::Esp, source, destination, 0x2002);
        let mut buffer = Vec::new();
        request::delete(other.request_header(1), &name, &mut buffer).unwrap();
        lab.memory.drop_next_replies(1);
        other.send(&buffer).unwrap();
        assert!(lab.events().is_empty(), "{dialect}: no event");
        let gone = resync(&mut lab);
        assert_eq!(gone.len(), 2, "{dialect}: {gone:?}");
        for name in &names[..2] {
            let told = gone.iter().any(|event| matches!(event, KernelEvent::Deleted(gone) if gone == name));
            assert!(told, "{dialect}: {name}");
        }
        assert!(resync(&mut lab).is_empty(), "{dialect}: reported once");
        // 3. We delete an SA, and the kernel fails to.
        lab.memory.fail_next(MessageType::Delete, libc::ENOBUFS);
        lab.ask(KernelRequest::Delete(names[2]));
        assert!(lab.interface.show(SaType::Esp, 0).is_ok_and(|text| !text.is_empty()), "{dialect}: it is still there");
        assert!(resync(&mut lab).is_empty(), "{dialect}");
        assert!(lab.interface.show(SaType::Esp, 0).is_ok_and(|text| text.is_empty()), "{dialect}");
        assert!(lab.events().is_empty(), "{dialect}: our own doing is no news");
    }
}

/// An SA is deleted and installed again before the echo of the DELETE is read.
#[test]
fn echo_concerns_the_old_sa() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let sa = || outbound(0x2001, aes_sha1());
        lab.install(sa()).unwrap();
        lab.ask(KernelRequest::Delete(sa().name));
        lab.install(sa()).unwrap();
        let events = lab.events();
        assert!(events.is_empty(), "{dialect}: {events:?}");
        lab.ask(KernelRequest::Delete(sa().name));
        lab.install(sa()).unwrap();
        let mut reread = Vec::new();
        lab.interface.resync(&mut |event| reread.push(event));
        assert!(matches!(reread[..], [KernelEvent::Policies(_)]), "{dialect}: {reread:?}");
        assert!(lab.interface.show(SaType::Esp, 0).is_ok_and(|text| !text.is_empty()), "{dialect}: it is alive");
        // Its own end is reported.
        lab.memory.expire_hard(SaType::Esp, sa().name.source, sa().name.destination, 0x2001);
        lab.interface.resync(&mut |event| reread.push(event));
        let told = lab.events().into_iter().chain(reread);
        let is_end =
            |event: &KernelEvent| matches!(event, KernelEvent::Deleted(_) | KernelEvent::Expire(_, Limit::Hard));
        assert!(told.into_iter().any(|event| is_end(&event)), "{dialect}");
    }
}

/// There are few CPIs: the kernel reuses one although the end of its SA was not reported.
#[test]
fn reused_spi_is_not_deleted() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let name = |spi| SaName { protocol: Protocol::IPCOMP, spi, ..inbound(1, aes_sha1()).name };
        lab.interface.expected_deletes.extend((0..=0xffff).map(name));
        let cpi = lab.allocate(Protocol::IPCOMP);
        lab.interface.resync(&mut |_| ());
        let shown = lab.interface.show(SaType::IpComp, 0).unwrap();
        assert!(shown.contains(&format!("spi={cpi}(")), "{dialect}: {}", *shown);
    }
}

/// Messages of a dump get lost too. Only an SA that a GET does not find is gone.
#[test]
fn sa_missing_in_a_dump_is_not_gone() {
    let mut lab = Lab::new(Dialect::FreeBsd);
    lab.install(outbound(0x2001, aes_sha1())).unwrap();
    lab.install(outbound(0x2002, aes_sha1())).unwrap();
    let mut events = Vec::new();
    for lost in 1..=4 {
        lab.memory.drop_next_replies(lost);
        lab.interface.resync(&mut |event| events.push(event));
    }
    assert!(!events.iter().any(|event| matches!(event, KernelEvent::Deleted(_))), "{events:?}");
}

#[test]
fn unsupported_algorithms() {
    let lab = Lab::new(Dialect::FreeBsd);
    let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
    let encryption = |transform| Encryption { transform, key_length: 0 };
    sainfo.encryption = vec![encryption(EspTransform::AES), encryption(EspTransform::BLOWFISH)];
    let missing = lab.interface.capabilities().missing(&sainfo);
    assert_eq!(missing, ["algorithm blowfish not supported by the kernel (missing module?)"]);
}

#[test]
fn open_memory_backend() {
    let choice = backend_of(&ipsec_conf::racoon::Backend::Memory).unwrap();
    assert_eq!(choice, BackendKind::Memory);
    let mut interface = KernelInterface::open(&choice, Some(Dialect::NetBsd), 0, Box::new(|_| ())).unwrap();
    let mut events = Vec::new();
    interface.add_policy(RequestId(1), &policy(Direction::Out), &mut |event| events.push(event));
    interface.read_events(&mut |event| events.push(event)).unwrap();
    // The reply, the initial policies, and the event.
    let [KernelEvent::PolicyAdded(_, Ok(_)), KernelEvent::Policies(_), KernelEvent::Policy(_)] = &events[..] else {
        panic!("{events:?}")
    };
}

#[test]
fn kernel_without_ipsec() {
    let memory = Memory::new(Abi::of(Dialect::Linux)).unwrap();
    let open = |failures| {
        let another = || Box::new(memory.another_handle().unwrap());
        for _ in 0..failures {
            memory.fail_next(MessageType::Register, libc::EPROTONOSUPPORT);
        }
        KernelInterface::over(another(), another(), 0, Box::new(|_| ()))
    };
    assert!(open(2).is_ok(), "one of three is enough");
    assert_eq!(open(3).unwrap_err().to_string(), "Protocol not supported");
}

/// Over a server that rewrites process ids, our own requests look like another program's on the event connection.
#[test]
fn over_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel");
    let memory = Memory::new(Abi::of(Dialect::NetBsd)).unwrap();
    let mut server = SocketServer::bind(&path, Box::new(memory.another_handle().unwrap())).unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let serving = std::thread::spawn(move || {
        while ended.try_recv() != Err(TryRecvError::Disconnected) {
            server.turn(Some(Duration::from_millis(5))).unwrap();
        }
    });
    let mut interface =
        KernelInterface::open(&BackendKind::Socket(path), Some(Dialect::NetBsd), 64, Box::new(|_| ())).unwrap();
    let mut events = Vec::new();
    interface.execute(KernelRequest::AllocateSpi(allocation(Protocol::ESP)), &mut |event| events.push(event));
    interface.add_policy(RequestId(1), &policy(Direction::Out), &mut |event| events.push(event));
    let mut ask = |request| interface.execute(request, &mut |event| events.push(event));
    let sa = outbound(0x2002, aes_sha1());
    let name = sa.name;
    ask(KernelRequest::Install(Box::new(sa)));
    ask(KernelRequest::Delete(name));
    // With its reply, all earlier events have arrived.
    ask(KernelRequest::AllocateSpi(allocation(Protocol::ESP)));
    let events = std::mem::take(&mut events);
    let [
        KernelEvent::Spi(_, Ok(_)),
        KernelEvent::PolicyAdded(_, Ok(_)),
        KernelEvent::Installed(_, Ok(())),
        KernelEvent::Spi(_, Ok(_)),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    let mut told = Vec::new();
    interface.read_events(&mut |event| told.push(event)).unwrap();
    assert!(matches!(&told[..], [KernelEvent::Policies(_), KernelEvent::Policy(_)]), "{told:?}");
    drop(end);
    serving.join().unwrap();
    assert!(interface.read_events(&mut |_| ()).is_err(), "the server is gone");
}

/// After a crash, SAs that the kernel still has are restored, except those in counter mode. Others are removed from the
/// file.
#[test]
fn saved_sas_are_restored() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sa.backup");
        let mut before = Lab::new(dialect);
        before.interface.set_backup(Backup::open(&path).unwrap());
        let spi = before.allocate(Protocol::ESP);
        before.install(inbound(spi, aes_sha1())).unwrap();
        before.install(outbound(0x1001, aes_sha1())).unwrap();
        let counting = esp((EspTransform::AES_CTR, 20), Some((AuthAlgorithm::HMAC_SHA1.into(), 20)));
        before.install(outbound(0x1002, counting)).unwrap();
        let name = outbound(0x1001, aes_sha1()).name;
        let taken = |lab: &mut Lab| {
            let mut backup = Backup::open(&path).unwrap();
            let (saved, skipped) = backup.restore().unwrap();
            assert_eq!(skipped, 0, "{dialect}");
            lab.interface.set_backup(backup);
            lab.interface.restore_saved(&saved).unwrap()
        };

        let mut after = Lab::on(before.memory.another_handle().unwrap());
        let sas = taken(&mut after);
        assert_eq!(sas.len(), 2, "{dialect}");
        assert!(sas.contains(&LeftoverSa { name, reqid: 0, in_kernel: true }), "{dialect}: {sas:?}");
        // They count as ours: their end is reported.
        after.ask(KernelRequest::Delete(sas[0].name));
        after.memory.drop_next_replies(1);
        let mut other = after.other();
        let mut bytes = Vec::new();
        let (source, destination) = (sas[1].name.source, sas[1].name.destination);
        let deleted = SaId::new(SaType::Esp, source, destination, sas[1].name.spi);
        request::delete(other.request_header(1), &deleted, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        let mut events = Vec::new();
        after.interface.resync(&mut |event| events.push(event));
        let told = |event: &KernelEvent| matches!(event, KernelEvent::Deleted(name) if *name == sas[1].name);
        assert!(events.iter().any(told), "{dialect}: {events:?}");
    }
}

/// SAs that the kernel has lost are renegotiated, and removed from the file.
#[test]
fn saved_sas_that_are_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    let mut before = Lab::new(Dialect::Linux);
    before.interface.set_backup(Backup::open(&path).unwrap());
    before.install(outbound(0x1001, aes_sha1())).unwrap();
    let mut after = Lab::new(Dialect::Linux);
    let mut backup = Backup::open(&path).unwrap();
    let (saved, _) = backup.restore().unwrap();
    after.interface.set_backup(backup);
    let name = outbound(0x1001, aes_sha1()).name;
    let lost = LeftoverSa { name, reqid: 0, in_kernel: false };
    assert_eq!(after.interface.restore_saved(&saved).unwrap(), [lost]);
    after.interface.clear_backup();
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}

/// Deleted by the daemon or by another program.
#[test]
fn removed_sas_leave_the_backup_file() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sa.backup");
        let lines = || std::fs::read_to_string(&path).unwrap().lines().count();
        let mut lab = Lab::new(dialect);
        lab.interface.set_backup(Backup::open(&path).unwrap());
        for spi in 0x1001..0x1101 {
            let installation = outbound(spi, aes_sha1());
            let name = installation.name;
            lab.install(installation).unwrap();
            assert!(lab.ask(KernelRequest::Delete(name)).is_empty());
        }
        assert_eq!(lines(), 0, "{dialect}");

        (0x2001..0x2101).for_each(|spi| lab.install(outbound(spi, aes_sha1())).unwrap());
        assert_eq!(lines(), 256, "{dialect}");
        let (mut other, mut bytes) = (lab.other(), Vec::new());
        request::flush(other.request_header(1), SaType::Esp, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        lab.events();
        assert_eq!(lines(), 0, "{dialect}");
    }
}
