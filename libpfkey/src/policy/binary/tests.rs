//! Policy text to binary and back, in every dialect.

use proptest::prelude::*;

use super::*;
use crate::dialect::ByteOrder;

fn parse(words: &str) -> text::PolicyText {
    text::parse(words).unwrap_or_else(|error| panic!("{words}: {error}"))
}

fn lowered(words: &str, dialect: Dialect) -> Policy {
    Policy::from_text(&parse(words), dialect).unwrap()
}

fn code(words: &str, dialect: Dialect) -> Code {
    Policy::from_text(&parse(words), dialect).unwrap_err().code()
}

/// Through text, typed value, binary and back to text.
fn there_and_back(words: &str, dialect: Dialect) -> String {
    let policy = lowered(words, dialect);
    for byte_order in [ByteOrder::Big, ByteOrder::Little] {
        let abi = Abi { dialect, byte_order };
        assert_eq!(Policy::from_blob(abi, &policy.to_blob(abi).unwrap()).unwrap(), policy);
    }
    policy.to_text(dialect, " ", false).unwrap()
}

#[test]
fn text_survives_in_every_dialect() {
    for words in [
        "in ipsec esp/transport//require",
        "out ipsec ah/transport//unique",
        "out ipsec esp/tunnel/192.0.2.1-192.0.2.2/use",
        "in ipsec ipcomp/transport//use ah/transport//default",
        "out ipsec esp/tunnel/2001:db8::1-2001:db8::2/unique:77",
        "out discard",
        "in none",
        "in entrust",
        "out bypass",
    ] {
        for dialect in [Dialect::Darwin, Dialect::FreeBsd, Dialect::NetBsd] {
            assert_eq!(lowered(words, dialect).priority, 0, "FreeBSD's kernel asks 0 first");
            assert_eq!(there_and_back(words, dialect), words);
        }
        let (direction, rest) = words.split_once(' ').unwrap();
        assert_eq!(there_and_back(words, Dialect::Linux), format!("{direction} prio def {rest}"));
    }
}

#[test]
fn priorities() {
    let text = |words| there_and_back(words, Dialect::Linux);
    assert_eq!(text("out prio high ipsec esp/transport//use"), "out prio high ipsec esp/transport//use");
    assert_eq!(text("out priority low + 7 none"), "out prio low + 7 none");
    assert_eq!(text("out prio 100 none"), "out prio def + 100 none");
    assert_eq!(text("out prio -100 none"), "out prio def - 100 none");
    assert_eq!(lowered("out prio high + 40 none", Dialect::FreeBsd).priority, 0x4000_0000 - 40);
    assert_eq!(there_and_back("out prio high + 40 none", Dialect::FreeBsd), "out none");
    // Where there is no field for it, only the default can be asked for.
    for dialect in [Dialect::Darwin, Dialect::NetBsd] {
        assert_eq!(lowered("out prio def none", dialect).priority, 0);
        assert_eq!(code("out prio high none", dialect), Code::PriorityNotSupported);
    }
}

#[test]
fn forward_is_in_where_there_is_none() {
    assert_eq!(lowered("fwd none", Dialect::Linux).direction, DIR_FWD);
    for dialect in [Dialect::Darwin, Dialect::FreeBsd, Dialect::NetBsd] {
        assert_eq!(lowered("fwd none", dialect).direction, DIR_IN);
    }
}

#[test]
fn direction_alone() {
    let policy = lowered("out", Dialect::Linux);
    assert_eq!(policy, Policy { direction: DIR_OUT, ..Policy::named(0) });
    let blob = policy.to_blob(Abi { dialect: Dialect::Linux, byte_order: ByteOrder::Little }).unwrap();
    assert_eq!(blob, [2, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn numbers_for_unique() {
    for dialect in Dialect::ALL {
        assert!(there_and_back("out ipsec esp/transport//unique:16383", dialect).ends_with("/unique:16383"));
        assert!(there_and_back("out ipsec esp/transport//unique:40000", dialect).ends_with("/unique#40000"));
    }
    assert_eq!(lowered("out ipsec esp/transport//unique:70000", Dialect::Linux).requests[0].reqid, 70000);
    assert_eq!(code("out ipsec esp/transport//unique:70000", Dialect::NetBsd), Code::InvalidLevel);
}

#[test]
fn me_and_any_store_no_addresses() {
    let policy = lowered("out ipsec esp/transport/me-any/require", Dialect::FreeBsd);
    assert_eq!(policy.requests[0].endpoints, None);
    assert_eq!(policy.to_text(Dialect::FreeBsd, "\n\t", true).unwrap(), "out ipsec\n\tesp/transport//require");
}

#[test]
fn ports_of_endpoints() {
    let policy = lowered("out ipsec esp/tunnel/10.0.0.1[4500]-10.0.0.2[30000]/require", Dialect::Linux);
    let text = |ports| policy.to_text(Dialect::Linux, " ", ports).unwrap();
    assert_eq!(text(true), "out prio def ipsec esp/tunnel/10.0.0.1[4500]-10.0.0.2[30000]/require");
    assert_eq!(text(false), "out prio def ipsec esp/tunnel/10.0.0.1-10.0.0.2/require");
}

#[test]
fn zones_are_interfaces_or_numbers() {
    let with = |zone: &str| {
        let words = format!("out ipsec esp/tunnel/fe80::1%{zone}-fe80::2%{zone}/require");
        Policy::from_text(&parse(&words), Dialect::Linux)
    };
    // No machine has this many interfaces, so the number stays a number.
    let text = with("4000000000").unwrap().to_text(Dialect::Linux, " ", false).unwrap();
    assert!(text.ends_with("esp/tunnel/fe80::1%4000000000-fe80::2%4000000000/require"), "{text}");
    assert_eq!(with("nosuchif0").unwrap_err().code(), Code::InvalidAddress);
}

#[test]
fn blobs_are_those_of_the_socket_option() {
    let words = "in ipsec esp/tunnel/10.0.0.1-10.0.0.2/unique:5 ah/transport//require";
    let blob = |dialect, byte_order| {
        let blob = lowered(words, dialect).to_blob(Abi { dialect, byte_order }).unwrap();
        blob.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(
        blob(Dialect::Linux, ByteOrder::Little),
        "0a001200020001000000000000000080\
         30003200020300000500000000000000\
         020000000a0000010000000000000000020000000a0000020000000000000000\
         10003300010200000000000000000000"
    );
    assert_eq!(
        blob(Dialect::NetBsd, ByteOrder::Big),
        "00080012000201000000000000000000\
         0028003202030005\
         100200000a0000010000000000000000100200000a0000020000000000000000\
         0008003301020000"
    );
}

#[test]
fn blobs_that_are_none() {
    let abi = Abi { dialect: Dialect::Linux, byte_order: ByteOrder::Little };
    let good = lowered("out none", Dialect::Linux).to_blob(abi).unwrap();
    let refused = |blob: &[u8]| Policy::from_blob(abi, blob).unwrap_err().code();
    assert_eq!(refused(&[]), Code::InvalidMessage);
    assert_eq!(refused(&good[..8]), Code::InvalidPolicy);
    assert_eq!(refused(&[&good[..], &[0; 8]].concat()), Code::InvalidPolicy);
    let mut other = good;
    other[2] = 19;
    assert_eq!(refused(&other), Code::InvalidPolicy);
}

fn address(v6: bool) -> BoxedStrategy<std::net::IpAddr> {
    if v6 {
        any::<std::net::Ipv6Addr>().prop_map(std::net::IpAddr::V6).boxed()
    } else {
        any::<Ipv4Addr>().prop_map(std::net::IpAddr::V4).boxed()
    }
}

fn request() -> impl Strategy<Value = text::RequestText> {
    let endpoint = |(address, port)| text::Endpoint { address, scope: None, port: Some(port) };
    let pair = any::<(bool, u16, u16)>().prop_flat_map(move |(v6, from, to)| {
        (address(v6), address(v6))
            .prop_map(move |(source, target)| text::Endpoints::Pair(endpoint((source, from)), endpoint((target, to))))
    });
    let protocol = prop::sample::select(vec![text::Protocol::Ah, text::Protocol::Esp, text::Protocol::IpComp]);
    let level = prop_oneof![
        prop::sample::select(vec![text::Level::Default, text::Level::Require, text::Level::Use]),
        (0u32..=MANUAL_REQID_MAX).prop_map(text::Level::Unique),
    ];
    (protocol, level, prop::option::of(pair)).prop_map(|(protocol, level, endpoints)| text::RequestText {
        protocol,
        mode: if endpoints.is_some() { crate::Mode::Tunnel } else { crate::Mode::Transport },
        endpoints,
        level,
    })
}

fn policy() -> impl Strategy<Value = text::PolicyText> {
    use text::{Action, Direction};
    let direction = prop::sample::select(vec![Direction::Forward, Direction::In, Direction::Out]);
    let action = prop::sample::select(vec![Action::Discard, Action::None, Action::Ipsec]);
    (direction, 1u32.., action, prop::collection::vec(request(), 1..4)).prop_map(
        |(direction, priority, action, requests)| text::PolicyText {
            direction,
            priority: Some(priority),
            action: Some(action),
            requests: if action == Action::Ipsec { requests } else { Vec::new() },
        },
    )
}

proptest! {
    /// What is dumped can be written into a script again, and means the same.
    #[test]
    fn dumped_text_means_the_same(typed in policy()) {
        let binary = Policy::from_text(&typed, Dialect::Linux).unwrap();
        let words = binary.to_text(Dialect::Linux, "\n\t", true).unwrap();
        let again = text::parse(&words);
        prop_assert!(again.is_ok(), "{words}: {again:?}");
        prop_assert_eq!(Policy::from_text(&again.unwrap(), Dialect::Linux).unwrap(), binary);
    }
}
