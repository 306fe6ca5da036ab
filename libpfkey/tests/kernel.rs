//! [`Kernel`] as a program uses it: over the in-process key engine in every dialect, and over the host's own kernel.

use std::net::IpAddr;
use std::time::Duration;

use libpfkey::algorithm::{Authentication, Compression, Encryption};
use libpfkey::backend::{Backend, Memory};
use libpfkey::policy::{Direction, Level};
use libpfkey::request::SpiSpec;
#[cfg(target_os = "linux")]
use libpfkey::wire::XfrmMark;
use libpfkey::{
    Abi, Dialect, Error, Event, Kernel, Lifetimes, Mode, PolicySpec, SaId, SaSpec, SaState, SaType, Selector,
    SpecError, Template,
};

const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A kernel of each dialect, with the engine behind it.
fn kernels() -> impl Iterator<Item = (Dialect, Memory, Kernel)> {
    Dialect::ALL.into_iter().map(|dialect| {
        let engine = Memory::new(Abi::of(dialect)).expect("an engine");
        engine.set_time(1000);
        let kernel = Kernel::with_backend(Box::new(engine.another_handle().expect("a handle")));
        (dialect, engine, kernel)
    })
}

fn esp(spi: u32) -> SaSpec {
    SaSpec::esp(ip(HERE), ip(THERE), spi)
        .encryption(Encryption::AesCbc, b"sixteen byte key")
        .authentication(Authentication::HmacSha1, &[0x5a; 20])
        .lifetimes(Lifetimes::seconds(100))
        .build()
        .expect("an SA")
}

#[test]
fn the_life_of_an_sa() {
    for (dialect, _, mut kernel) in kernels() {
        let sa = esp(0x1001);
        kernel.add(&sa).unwrap();
        let error = kernel.add(&sa).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST), "{dialect}");
        assert_eq!(error.to_string(), "add esp 192.0.2.1 192.0.2.2 0x00001001: File exists");
        let installed = kernel.get(&sa.id).unwrap().expect("the SA");
        assert_eq!((installed.state, installed.current.addtime), (SaState::Mature, 1000));
        assert_eq!(installed.spec, sa, "{dialect}");
        kernel.add(&esp(0x1002)).unwrap();
        let mut spis: Vec<_> = kernel.dump(SaType::Esp).unwrap().iter().map(|sa| sa.spec.id.spi).collect();
        spis.sort_unstable();
        assert_eq!(spis, [0x1001, 0x1002]);
        kernel.delete(&sa.id).unwrap();
        assert_eq!(kernel.get(&sa.id).unwrap(), None);
        kernel.flush(SaType::Unspec).unwrap();
        assert_eq!(kernel.dump(SaType::Unspec).unwrap(), []);
    }
}

#[test]
fn what_a_kernel_reports_can_be_added_again() {
    let hard_only = Lifetimes { soft: Some(libpfkey::wire::Lifetime::default()), ..Lifetimes::seconds(100) };
    let null = SaSpec::esp(ip(HERE), ip(THERE), 0x1001)
        .encryption(Encryption::Null, b"")
        .authentication(Authentication::HmacSha1, &[0x5a; 20]);
    let limited = SaSpec::esp(ip(HERE), ip(THERE), 0x1002)
        .encryption(Encryption::AesCbc, b"sixteen byte key")
        .lifetimes(hard_only);
    let aead = SaSpec::esp(ip(HERE), ip(THERE), 0x1003).encryption(Encryption::AesGcm16, &[7; 20]);
    for (dialect, _, mut kernel) in kernels() {
        let mut sas = vec![null.clone(), limited.clone()];
        // PF_KEY of Linux and macOS have no AEAD.
        if matches!(dialect, Dialect::FreeBsd | Dialect::NetBsd) {
            sas.push(aead.clone());
        }
        for sa in sas {
            let sa = sa.build().unwrap();
            kernel.add(&sa).unwrap();
            let installed = kernel.get(&sa.id).unwrap().expect("the SA");
            kernel.delete(&sa.id).unwrap();
            kernel.add(&installed.spec).unwrap_or_else(|error| panic!("{dialect}: {error}"));
        }
    }
}

#[test]
fn a_flush_of_its_own_is_no_event() {
    for (dialect, _, mut kernel) in kernels() {
        kernel.add(&esp(0x1001)).unwrap();
        kernel.flush(SaType::Unspec).unwrap();
        assert_eq!(kernel.next_event(Some(Duration::ZERO)).unwrap(), None, "{dialect}");
    }
}

#[test]
fn a_reqid_that_the_kernel_would_cut_is_refused() {
    let mut sa = esp(0x1001);
    sa.reqid = 70_000;
    for (dialect, _, mut kernel) in kernels() {
        match (dialect, kernel.add(&sa)) {
            (Dialect::NetBsd, Err(Error::Spec(SpecError::WideReqid(70_000)))) => {}
            (Dialect::NetBsd, other) => panic!("{other:?}"),
            (_, added) => added.unwrap(),
        }
    }
}

#[test]
fn an_allocated_spi_is_completed() {
    for (dialect, _, mut kernel) in kernels() {
        let range = Some(0x4000..=0x4fff);
        let spi = kernel.allocate_spi(&SpiSpec { range, ..SpiSpec::new(SaType::Esp, ip(HERE), ip(THERE)) }).unwrap();
        assert!((0x4000..=0x4fff).contains(&spi), "{dialect}: {spi:#x}");
        kernel.update(&esp(spi)).unwrap();
        let id = SaId::new(SaType::Esp, ip(HERE), ip(THERE), spi);
        assert_eq!(kernel.get(&id).unwrap().map(|sa| sa.state), Some(SaState::Mature), "{dialect}");
    }
}

#[test]
fn the_life_of_a_policy() {
    for (dialect, _, mut kernel) in kernels() {
        let selector = Selector::networks((ip("10.1.0.0"), 16), (ip("10.2.0.0"), 16)).unwrap().protocol(6);
        let policy = PolicySpec::ipsec(selector, Direction::Out)
            .template(Template::tunnel(SaType::Esp, ip(HERE), ip(THERE), Level::Unique(7)))
            .build()
            .unwrap();
        kernel.policy_add(&policy).unwrap();
        assert_eq!(kernel.policy_add(&policy).unwrap_err().errno(), Some(libc::EEXIST), "{dialect}");
        kernel.policy_update(&policy).unwrap();
        let [installed] = &kernel.policy_dump().unwrap()[..] else { panic!("{dialect}: one policy") };
        assert_eq!((&installed.spec.id, &installed.spec.templates), (&policy.id, &policy.templates), "{dialect}");
        assert_eq!(kernel.policy_get(installed.index).unwrap().map(|policy| policy.index), Some(installed.index));
        kernel.policy_delete(&policy.id).unwrap();
        assert_eq!(kernel.policy_get(installed.index).unwrap(), None);
        kernel.policy_add(&policy).unwrap();
        kernel.policy_flush().unwrap();
        assert_eq!(kernel.policy_dump().unwrap(), []);
    }
}

#[test]
fn other_protocols() {
    for (dialect, _, mut kernel) in kernels() {
        let ah = SaSpec::ah(ip(HERE), ip(THERE), 0x1001)
            .authentication(Authentication::HmacSha256, &[1; 32])
            .mode(Mode::Tunnel)
            .build()
            .unwrap();
        kernel.add(&ah).unwrap();
        let ipcomp = SaSpec::ipcomp(ip(HERE), ip(THERE), 0x1234).compression(Compression::Deflate).build().unwrap();
        kernel.add(&ipcomp).unwrap();
        let tcp = SaSpec::tcp_md5(ip(HERE), ip(THERE), b"secret of both").build().unwrap();
        match (dialect, kernel.add(&tcp)) {
            (Dialect::Linux, Err(Error::Spec(error))) => {
                assert_eq!(error, SpecError::TcpMd5OnLinux);
                assert!(error.to_string().contains("TCP_MD5SIG"), "{error}");
            }
            // macOS has no number for them either.
            (Dialect::Darwin, Err(Error::NotInDialect { .. })) | (Dialect::FreeBsd | Dialect::NetBsd, Ok(())) => {}
            (_, other) => panic!("{dialect}: {other:?}"),
        }
        assert_eq!(kernel.dump(SaType::Ah).unwrap()[0].spec, ah, "{dialect}");
    }
}

#[test]
fn events() {
    for (dialect, engine, mut kernel) in kernels() {
        kernel.register(SaType::Esp).unwrap();
        let mut other = Kernel::with_backend(Box::new(engine.another_handle().unwrap()));
        other.add(&esp(0x1001)).unwrap();
        // A request in between keeps the event.
        assert_eq!(kernel.dump(SaType::Esp).unwrap().len(), 1);
        let now = Some(Duration::ZERO);
        let Some(Event::SaAdded(added)) = kernel.next_event(now).unwrap() else { panic!("{dialect}: added") };
        assert_eq!(added.spec.id, esp(0x1001).id);
        assert!(engine.expire_soft(SaType::Esp, ip(HERE), ip(THERE), 0x1001));
        let Some(Event::Expire { sa, hard: false }) = kernel.next_event(now).unwrap() else { panic!("{dialect}") };
        assert_eq!(sa.spec.id.spi, 0x1001);
        other.delete(&esp(0x1001).id).unwrap();
        let deleted = kernel.next_event(now).unwrap();
        assert_eq!(deleted, Some(Event::SaDeleted(esp(0x1001).id)), "{dialect}");
        let policy = PolicySpec::ipsec(Selector::hosts(ip(HERE), ip(THERE)), Direction::Out)
            .template(Template::transport(SaType::Esp, Level::Require))
            .build()
            .unwrap();
        other.policy_add(&policy).unwrap();
        assert!(matches!(kernel.next_event(now).unwrap(), Some(Event::PolicyInstalled(_))));
        engine.packet_out((ip(HERE), 0).into(), (ip(THERE), 0).into(), 17);
        let Some(Event::Acquire(acquire)) = kernel.events().next().transpose().unwrap() else { panic!("{dialect}") };
        assert_eq!((acquire.sa_type, acquire.destination.ip()), (SaType::Esp, ip(THERE)));
        assert_eq!(kernel.next_event(now).unwrap(), None);
        assert!(!kernel.has_lost_events());
    }
}

#[test]
fn a_list_that_loses_entries_is_asked_for_again() {
    let (_, engine, mut kernel) = kernels().next().unwrap();
    (0x1001..0x1009).for_each(|spi| kernel.add(&esp(spi)).unwrap());
    engine.drop_next_replies(8);
    assert_eq!(kernel.dump(SaType::Esp).unwrap().len(), 8);
}

/// Linux numbers the entries from 1, so the numbers show that the first ones are missing.
#[test]
fn a_list_that_loses_its_first_entries_is_asked_for_again() {
    let (_, engine, mut kernel) = kernels().find(|(dialect, ..)| *dialect == Dialect::Linux).unwrap();
    (0x1001..0x1009).for_each(|spi| kernel.add(&esp(spi)).unwrap());
    engine.drop_next_replies(3);
    assert_eq!(kernel.dump(SaType::Esp).unwrap().len(), 8);
}

/// Over PF_KEY Linux would install a window of 32 packets instead.
#[test]
fn a_replay_window_that_the_kernel_would_cut_is_refused() {
    let mut sa = esp(0x1001);
    for (dialect, _, mut kernel) in kernels() {
        for window in [33, 255] {
            sa.replay.window = window;
            match (dialect, kernel.add(&sa)) {
                (Dialect::Linux, Err(error @ Error::Spec(SpecError::NotExpressible { .. }))) => assert_eq!(
                    error.to_string(),
                    "PF_KEY of linux cannot express a replay window above 32 packets: use the backend xfrm"
                ),
                (Dialect::Linux, other) => panic!("{other:?}"),
                (_, added) => added.unwrap(),
            }
            sa.id.spi += 1;
        }
    }
}

#[test]
fn a_refusal_names_the_request() {
    let (_, engine, mut kernel) = kernels().next().unwrap();
    engine.fail_next(libpfkey::MessageType::SpdFlush, libc::EPERM);
    assert_eq!(kernel.policy_flush().unwrap_err().to_string(), "spdflush: Operation not permitted");
    let backend: Box<dyn Backend> = Box::new(engine);
    assert_eq!(Kernel::with_backend(backend).dialect(), Dialect::Darwin);
}

/// NETLINK_XFRM of the host, in a network namespace: an SPI and a policy need no ESP.
#[cfg(target_os = "linux")]
#[test]
fn the_hosts_own_kernel() {
    use nix::sched::{CloneFlags, unshare};
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| format!("no network namespace: {errno}"))?;
        let backend = libpfkey::backend::Xfrm::open().map_err(|error| error.to_string())?;
        let mut kernel = Kernel::with_backend(Box::new(backend));
        let range = Some(0x4000..=0x4000);
        let spec = SpiSpec { range, ..SpiSpec::new(SaType::Esp, ip(HERE), ip(THERE)) };
        assert_eq!(kernel.allocate_spi(&spec).unwrap(), 0x4000);
        assert_eq!(kernel.dump(SaType::Esp).unwrap()[0].state, SaState::Larval);
        let policy = PolicySpec::ipsec(Selector::hosts(ip(HERE), ip(THERE)), Direction::Out)
            .template(Template::tunnel(SaType::Esp, ip(HERE), ip(THERE), Level::Require))
            .build()
            .unwrap();
        kernel.policy_add(&policy).unwrap();
        assert_eq!(kernel.policy_dump().unwrap()[0].spec.templates, policy.templates);
        let error = kernel.policy_add(&policy).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST));
        kernel.policy_delete(&policy.id).unwrap();
        policies_with_marks(&mut kernel, policy);
        let sa = esp(0x1001);
        match kernel.add(&sa) {
            Ok(()) => assert_eq!(kernel.get(&sa.id).unwrap().unwrap().spec.encryption, sa.encryption),
            // A kernel without ESP.
            Err(error) => assert_eq!(error.errno(), Some(libc::EPROTONOSUPPORT), "{error}"),
        }
        Ok::<_, String>(())
    });
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => regress_skipped::skip(reason),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The kernel finds a policy with a mark or an XFRM interface by its index only if the request has them, too.
#[cfg(target_os = "linux")]
fn policies_with_marks(kernel: &mut Kernel, mut policy: PolicySpec) {
    kernel.policy_add(&policy).expect("a policy");
    policy.id.mark = Some(XfrmMark { value: 7, mask: 0xff });
    kernel.policy_add(&policy).expect("a policy");
    policy.id.if_id = Some(9);
    kernel.policy_add(&policy).expect("a policy");
    let installed = kernel.policy_dump().expect("a list");
    assert_eq!(installed.len(), 3);
    for one in &installed {
        assert_eq!(kernel.policy_get(one.index).expect("an answer").as_ref(), Some(one));
    }
    for one in &installed {
        kernel.policy_delete_index(one.index).expect("a removal");
        assert_eq!(kernel.policy_get(one.index).expect("an answer"), None);
        assert_eq!(kernel.policy_delete_index(one.index).expect_err("no such policy").errno(), Some(libc::ENOENT));
    }
    assert_eq!(kernel.policy_dump().expect("a list"), []);
}
