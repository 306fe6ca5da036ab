use expect_test::expect;

use super::*;
use crate::dump::{SHORT_HEADER, short_entry};

fn row(sa_type: SaType, state: SaState, age: Option<(u64, u64)>, ends: [Address; 2]) -> String {
    let [source, destination] = ends;
    let mut extensions = vec![
        Extension::Sa(Sa { state, ..Sa::named(0x0abc_def0) }),
        Extension::Address(T::AddressSrc, source),
        Extension::Address(T::AddressDst, destination),
    ];
    if let Some((addtime, hard)) = age {
        let limit = |addtime| Lifetime { addtime, ..Lifetime::default() };
        extensions.push(Extension::Lifetime(T::LifetimeCurrent, limit(addtime)));
        extensions.push(Extension::Lifetime(T::LifetimeHard, limit(hard)));
    }
    let mut out = String::new();
    let mut message = message(MessageType::Dump, sa_type, extensions);
    message.abi = FREEBSD;
    // 1,750,000,000 s are 6 min 40 s past an hour.
    short_entry(&mut out, &message, &Options { ports: false, now: i64::try_from(THEN).unwrap() });
    out
}

#[test]
fn rows() {
    let ends = [Address::host(socket("10.0.0.1:0")), Address::host(socket("10.0.0.2:4500"))];
    let tcp = [Address { proto: 6, ..ends[0] }, Address { proto: 200, ..Address::host(socket("[::1]:0")) }];
    let mut out = String::from(SHORT_HEADER);
    out += &row(SaType::Esp, SaState::Mature, Some((THEN - 7, 3600)), ends);
    out += &row(SaType::Ah, SaState::Larval, Some((THEN - 999, 30)), ends);
    out += &row(SaType::IpComp, SaState::Dying, Some((THEN - 1000, 999)), ends);
    out += &row(SaType::TcpSignature, SaState::Dead, None, tcp);
    expect![[r#"
        time p   s spi      ltime   src -> dst
        0640 esp M 0abcdef0   7/big 10.0.0.1 -> 10.0.0.2[4500]
        0640 ah  L 0abcdef0 999/30  10.0.0.1 -> 10.0.0.2[4500]
        0640 #9  D 0abcdef0 big/999 10.0.0.1 -> 10.0.0.2[4500]
        0640 #11 d 0abcdef0 ???/??? tcp 10.0.0.1 -> #200 ::1
    "#]]
    .assert_eq(&out);
}

#[test]
fn what_is_missing_is_said() {
    let mut out = String::new();
    short_entry(&mut out, &message(MessageType::Dump, SaType::Esp, vec![]), &Options::default());
    assert_eq!(out, "no SA or address extension.\n");
}
