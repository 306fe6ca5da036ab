//! Lifetimes of SAs that the peer rekeys, on kernels that check a hard limit only after a soft one.

use libpfkey::wire::Lifetime;
use libpfkey::{Dialect, SaType};
use racoon_proto::kernel::{self, KernelEvent, Limit, SaInstallation};

use super::memory::Lab;
use super::{aes_sha1, outbound};
use crate::kernel::compose::complete_soft;

fn limits(bytes: u64, addtime: u64) -> Lifetime {
    Lifetime { bytes, addtime, ..Lifetime::default() }
}

#[test]
fn soft_limit_is_just_below_hard() {
    for dialect in [Dialect::FreeBsd, Dialect::NetBsd, Dialect::Darwin] {
        let soft = |hard, soft| complete_soft(dialect, hard, soft);
        assert_eq!(soft(limits(10_240, 3600), Lifetime::default()), limits(10_239, 3599), "{dialect}");
        assert_eq!(soft(limits(0, 3600), Lifetime::default()), limits(0, 3599), "{dialect}");
        assert_eq!(soft(limits(0, 1), Lifetime::default()), limits(0, 1), "{dialect}");
        assert_eq!(soft(limits(0, 0), Lifetime::default()), limits(0, 0), "{dialect}");
        assert_eq!(soft(limits(10_240, 3600), limits(8192, 2880)), limits(8192, 2880), "who renews has its own");
    }
    assert_eq!(complete_soft(Dialect::Linux, limits(10_240, 3600), Lifetime::default()), Lifetime::default());
}

/// A responder's SAs expire even if racoon has been killed.
#[test]
fn responder_sas_expire() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let start = crate::clock::since_1970();
        lab.memory.set_time(start);
        let limits = kernel::Lifetime { seconds: 1000, kilobytes: Some(10) };
        let sa = SaInstallation { hard: limits, soft: kernel::Lifetime::default(), ..outbound(0x1001, aes_sha1()) };
        lab.install(sa).unwrap();
        let is_there = |lab: &mut Lab| !lab.interface.show(SaType::Esp, 0).unwrap().is_empty();
        lab.memory.set_time(start + 998);
        assert!(is_there(&mut lab), "{dialect}");
        lab.memory.set_time(start + 1000);
        assert!(!is_there(&mut lab), "{dialect}");
    }
}

/// The soft EXPIRE is reported; a responder's engine ignores it.
#[test]
fn soft_expire_is_reported() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let sa = SaInstallation { soft: kernel::Lifetime::default(), ..outbound(0x1001, aes_sha1()) };
    let name = sa.name;
    lab.install(sa).unwrap();
    assert!(lab.memory.expire_soft(SaType::Esp, name.source, name.destination, name.spi));
    let events = lab.events();
    assert!(matches!(&events[..], [KernelEvent::Expire(of, Limit::Soft)] if *of == name), "{events:?}");
}
