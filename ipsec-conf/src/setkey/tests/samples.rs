//! Accepted statements and what they mean.

use super::*;
use libpfkey::policy::{Action, Direction, Level, RequestText};

fn sa(source: &str) -> Sa<'_> {
    match command(source) {
        Command::Add(sa) | Command::Update(sa) | Command::Delete(sa) | Command::Get(sa) | Command::GetSpi(sa) => sa,
        other => panic!("{other:?}"),
    }
}

fn spd(source: &str) -> Spd<'_> {
    match command(source) {
        Command::SpdAdd(spd) | Command::SpdUpdate(spd) | Command::SpdDelete(spd) => spd,
        other => panic!("{other:?}"),
    }
}

/// Source, destination, upper-layer protocol and what follows it.
fn ranges<'s>(spd: &Spd<'s>) -> (Range<'s>, Range<'s>, Upper<'s>, Option<Word<'s>>) {
    match spd.selector {
        Selector::Ranges { source, destination, upper, misc, .. } => (source, destination, upper, misc),
        Selector::Tagged(_) => panic!("{spd:?}"),
    }
}

fn cipher<'s>(source: &'s str, algorithm: EncryptionWord, name: &str, key: Option<Key<'s>>) -> Algorithms<'s> {
    Algorithms { encryption: Some(Keyed { algorithm, name: word(source, name), key }), ..Algorithms::default() }
}

#[test]
fn statements_without_operands() {
    for (source, expected) in [
        ("flush;", Command::Flush(None)),
        ("flush ;", Command::Flush(None)),
        ("flush esp ;", Command::Flush(Some(Protocol::Esp))),
        ("dump;", Command::Dump(None)),
        ("dump esp-udp;", Command::Dump(Some(Protocol::EspUdp))),
        ("dump tcp;", Command::Dump(Some(Protocol::Tcp))),
        ("dump ipcomp;", Command::Dump(Some(Protocol::IpComp))),
        ("spdflush;", Command::SpdFlush),
        ("spddump;", Command::SpdDump),
        ("exit;", Command::Quit),
        ("quit;", Command::Quit),
        (" bye\t\n# over\n;", Command::Quit),
    ] {
        assert_eq!(command(source), expected, "{source}");
    }
}

#[test]
fn add() {
    let source = "add 2001:db8:a::1 2001:db8:b::1 esp 70001 -E des-cbc 0x0123456789abcdef ;";
    let key = Key::Hex(word(source, "0123456789abcdef"));
    let expected = Sa {
        source: host(source, "2001:db8:a::1"),
        destination: host(source, "2001:db8:b::1"),
        protocol: Some(Protocol::Esp),
        spi: 70001,
        algorithms: cipher(source, EncryptionWord::from_name("des-cbc").unwrap(), "des-cbc", Some(key)),
        ..Sa::default()
    };
    assert_eq!(command(source), Command::Add(expected));

    let source = "add -6 west.example east.example ah 70002 -A hmac-sha1 \"twenty octets of key\" ;";
    let expected = Sa {
        options: AddressOptions { family: Some(Family::V6), numeric: false },
        source: host(source, "west.example"),
        destination: host(source, "east.example"),
        protocol: Some(Protocol::Ah),
        spi: 70002,
        algorithms: Algorithms {
            authentication: Some(Keyed {
                algorithm: AuthenticationWord::from_name("hmac-sha1").unwrap(),
                name: word(source, "hmac-sha1"),
                key: Some(Key::Quoted(word(source, "twenty octets of key"))),
            }),
            ..Algorithms::default()
        },
        ..Sa::default()
    };
    assert_eq!(command(source), Command::Add(expected));

    let source = "add 2001:db8::8 2001:db8::9 ipcomp 2001 -C deflate -R ;";
    let expected =
        Algorithms { compression: CompressionWord::from_name("deflate"), raw_cpi: true, ..Algorithms::default() };
    assert_eq!(sa(source).algorithms, expected);

    let source = "add 192.0.2.1[4500] 192.0.2.2[31000] esp-udp 0x5001 -m tunnel \
                  -E aes-cbc 0x00112233445566778899aabbccddeeff \
                  -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213 ;";
    let nat = sa(source);
    assert_eq!(nat.source.port, Some(word(source, "4500")));
    assert_eq!(nat.destination.port, Some(word(source, "31000")));
    assert_eq!((nat.protocol, nat.spi, nat.mode), (Some(Protocol::EspUdp), 0x5001, Mode::Tunnel));
    assert_eq!(nat.algorithms.encryption.unwrap().key.unwrap().bytes().len(), 16);
    assert_eq!(nat.algorithms.authentication.unwrap().key.unwrap().bytes().len(), 20);
    let source = "add a b[any] esp-udp 192.0.2.77 0x5001 -E null;";
    assert_eq!(sa(source).original_address, Some(word(source, "192.0.2.77")));
    assert_eq!(sa(source).destination.port, None);

    let source = "add 192.0.2.20 192.0.2.21 tcp 0x3001 -A tcp-md5 \"a secret for one BGP peer\" ;";
    assert_eq!(
        sa(source).algorithms.authentication.unwrap().algorithm,
        AuthenticationWord::from_name("tcp-md5").unwrap()
    );
}

#[test]
fn options_of_an_sa() {
    let source = "add 192.0.2.30 192.0.2.31 esp 0x4001 -ctx 1 2 \"user:role:type:s0\" -E des-cbc 0x0123456789abcdef ;";
    let label = word(source, "user:role:type:s0");
    assert_eq!(sa(source).context, Some(SecurityContext { doi: 1, algorithm: 2, label }));

    let source = "add 2001:db8::8 2001:db8::9 esp 50001 -m tunnel -f zero-pad -r 16 -lh 600 -ls 480 -E null ;";
    let expected = Sa {
        source: host(source, "2001:db8::8"),
        destination: host(source, "2001:db8::9"),
        protocol: Some(Protocol::Esp),
        spi: 50001,
        mode: Mode::Tunnel,
        padding: PaddingFlags { zero: true, ..PaddingFlags::default() },
        replay: 16,
        hard: Lifetime { seconds: 600, ..Lifetime::default() },
        soft: Lifetime { seconds: 480, ..Lifetime::default() },
        algorithms: cipher(source, EncryptionWord::from_name("null").unwrap(), "null", None),
        ..Sa::default()
    };
    assert_eq!(command(source), Command::Add(expected));

    let source = "add a b esp 50002 -f random-pad -f nocyclic-seq -f seq-pad -bh 9 -bs 8 -u 7 -m any -E null -A null ;";
    let expected = sa(source);
    assert_eq!(expected.padding, PaddingFlags { random: true, zero: false, sequential: true });
    assert!(expected.no_cyclic_sequence);
    assert_eq!((expected.hard.bytes, expected.soft.bytes, expected.reqid, expected.mode), (9, 8, 7, Mode::Any));
    assert_eq!(expected.algorithms.authentication.unwrap().key, None);

    let source = "add a b esp 50004 -ph 4294967295 -ps 7 -E null ;";
    assert_eq!(sa(source).hard, Lifetime { packets: u32::MAX, ..Lifetime::default() });
    assert_eq!(sa(source).soft, Lifetime { packets: 7, ..Lifetime::default() });

    let source = "add 2001:db8::8 2001:db8::9 esp-old 50003 -m transport -E des-32iv \"eight by\" ;";
    assert_eq!((sa(source).protocol, sa(source).mode), (Some(Protocol::EspOld), Mode::Transport));
    assert_eq!(sa(source).algorithms.encryption.unwrap().algorithm, EncryptionWord::from_name("des-32iv").unwrap());
}

#[test]
fn newer_options_of_an_sa() {
    let source = "update a b esp 256 -esn -r 4096 -mark 0x1/0xff -output-mark 7 -if-id 42 -offload packet eth_0 \
                  -natt 192.0.2.1[4500] 192.0.2.2 [501] -E chacha20-poly1305 0x00;";
    let sa = sa(source);
    assert!(matches!(command(source), Command::Update(_)));
    assert!(sa.esn);
    assert_eq!(sa.replay, 4096);
    assert_eq!(sa.mark, Some(Mark { value: 1, mask: 0xff }));
    assert_eq!(sa.output_mark, Some(Mark { value: 7, mask: u32::MAX }));
    assert_eq!(sa.if_id, Some(42));
    assert_eq!(sa.offload, Some(Offload { packet: true, device: word(source, "eth_0") }));
    let natt = (
        Endpoint { host: word(source, "192.0.2.1"), port: Some(word(source, "4500")) },
        Endpoint { host: word(source, "192.0.2.2"), port: Some(word(source, "501")) },
    );
    assert_eq!(sa.natt, Some(natt));
}

#[test]
fn new_words_stay_hosts() {
    let source = "add update crypto esp 256 -E null;";
    assert_eq!(sa(source).source, host(source, "update"));
    assert_eq!(sa(source).destination, host(source, "crypto"));
    // -n and a host.
    let source = "add -natt b esp 256 -E null;";
    assert_eq!((sa(source).options.numeric, sa(source).source), (true, host(source, "att")));
    for name in ["null", "simple", "aes-cbc", "setkey", "in", "out", "udp", "packet", "espresso", "add-1", "a_b", "::"]
    {
        let source = format!("add {name} 192.0.2.1 esp 256 -E null;");
        assert_eq!(sa(&source).source, host(&source, name));
    }
}

#[test]
fn statements_about_one_sa() {
    let source = "get 192.0.2.1 192.0.2.9 ah 70002 ;";
    let expected = Sa {
        source: host(source, "192.0.2.1"),
        destination: host(source, "192.0.2.9"),
        protocol: Some(Protocol::Ah),
        spi: 70002,
        ..Sa::default()
    };
    assert_eq!(command(source), Command::Get(expected));
    assert!(matches!(command("delete a b 256;"), Command::Delete(Sa { protocol: None, spi: 256, .. })));
    assert!(matches!(command("getspi a b esp 0 -m tunnel;"), Command::GetSpi(Sa { spi: 0, mode: Mode::Tunnel, .. })));
    let source = "deleteall -4n one.example two.example esp;";
    let expected = Command::DeleteAll {
        options: AddressOptions { family: Some(Family::V4), numeric: true },
        source: word(source, "one.example"),
        destination: word(source, "two.example"),
        protocol: Some(Protocol::Esp),
    };
    assert_eq!(command(source), expected);
    assert!(matches!(command("deleteall a b;"), Command::DeleteAll { protocol: None, .. }));
}

#[test]
fn selectors() {
    let source = "spdadd 198.51.100.7/32[25] 198.51.100.9/32[any] any \
                  -P out ipsec esp/tunnel/203.0.113.1-203.0.113.2/require ;";
    let text = " out ipsec esp/tunnel/203.0.113.1-203.0.113.2/require ";
    let expected = Spd {
        options: AddressOptions::default(),
        selector: Selector::Ranges {
            source: Range { host: word(source, "198.51.100.7"), prefix: Some(32), port: Some(word(source, "25")) },
            destination: Range { host: word(source, "198.51.100.9"), prefix: Some(32), port: None },
            upper: Upper::Any,
            misc: None,
            context: None,
        },
        policy_text: word(source, text),
        policy: policy::parse(text).unwrap(),
    };
    assert_eq!(command(source), Command::SpdAdd(expected));

    let source = "spdadd ::/0 ::/0 icmp6 136,0 -P in none ;";
    let any = Range { host: word(source, "::"), prefix: Some(0), port: None };
    let other = Range { host: Word { text: "::", offset: 12 }, ..any };
    let upper = Upper::Named(word(source, "icmp6"));
    assert_eq!(ranges(&spd(source)), (any, other, upper, Some(word(source, "136,0"))));

    let source = "spdadd 0.0.0.0/0 0.0.0.0/0 gre 9.8.7.6 -P out ipsec esp/transport//require ;";
    assert_eq!(ranges(&spd(source)).3, Some(word(source, "9.8.7.6")));
    for source in ["spdadd a b gre 70000 -P out none;", "spdadd a b 47 70000 -P out none;"] {
        assert_eq!(ranges(&spd(source)).3, Some(word(source, "70000")));
    }

    let source = "spdadd 2001:db8::5[any] 2001:db8::6[993] tcp -P out ipsec esp/transport//use ;";
    let (from, to, upper, _) = ranges(&spd(source));
    assert_eq!((from.port, to.port), (None, Some(word(source, "993"))));
    assert_eq!(upper, Upper::Named(word(source, "tcp")));

    let source = "spdadd -4 -n 192.0.2.4/24 192.0.2.5 [domain] nosuch 1,2 -P out none;";
    let (from, to, upper, misc) = ranges(&spd(source));
    assert_eq!((from.prefix, to.port), (Some(24), Some(word(source, "domain"))));
    assert_eq!((upper, misc), (Upper::Named(word(source, "nosuch")), Some(word(source, "1,2"))));
    assert_eq!(spd(source).options, AddressOptions { family: Some(Family::V4), numeric: true });

    let source = "spdupdate a/33 b/129 any -ctx 1 1 \"label\" -P in discard;";
    let Selector::Ranges { context, source: from, .. } = spd(source).selector else { panic!() };
    assert_eq!((context.unwrap().label, from.prefix), (word(source, "label"), Some(33)));
    let source = "spdadd tagged \"a tag\" -P in none;";
    assert_eq!(spd(source).selector, Selector::Tagged(word(source, "a tag")));
}

#[test]
fn protocol_numbers_are_cut_to_8_bits() {
    for (number, expected) in [("0", 0), ("89", 89), ("255", 255), ("256", 0), ("302", 46), ("4294967297", 1)] {
        let source = format!("spdadd a b {number} -P out none;");
        assert_eq!(ranges(&spd(&source)).2, Upper::Number(expected), "{number}");
    }
}

#[test]
fn policies() {
    let source = "spdadd 192.0.2.4 192.0.2.5[5060] udp -P out ipsec esp/transport//unique:12 ;";
    assert_eq!(spd(source).policy.requests[0].level, Level::Unique(12));
    let source = "spdadd 10.20.0.0/16 10.30.0.0/16 any -P out prio high + 40 ipsec \
                  esp/tunnel/203.0.113.1-203.0.113.2/unique ah/transport//require ;";
    let policy = spd(source).policy;
    assert_eq!((policy.priority, policy.action, policy.requests.len()), (Some(0x3fff_ffd8), Some(Action::Ipsec), 2));
    assert!(matches!(policy.requests[1], RequestText { level: Level::Require, endpoints: None, .. }));
    let source = "spddelete 2001:db8:1::/48 2001:db8:2::/48 any -P out ;";
    assert!(matches!(command(source), Command::SpdDelete(_)));
    assert_eq!((spd(source).policy.action, spd(source).policy.direction), (None, Direction::Out));
    for policy in ["priority def+1 none", "prio 100 none", "none\n\t", "ipsec\\\n esp/transport//use"] {
        command(&format!("spdadd 0.0.0.0/0 [l2tp] 0.0.0.0/0 [0] udp -P in {policy};"));
    }
}

#[test]
fn places() {
    let statement = parse("\n\nadd \\\n a b # c\n esp 256 -E null\n;", 7).unwrap();
    assert_eq!(statement.line, 12);
    let Command::Add(sa) = &statement.command else { panic!() };
    assert_eq!(statement.line_at(sa.source.host.offset), 10);
    assert_eq!(statement.line_at(0), 7);
    assert_eq!(statement.line_at(usize::MAX), 12);
}

/// Comments and blanks of one length, so that the words of both texts have the same offsets.
#[test]
fn comments_between_words_are_blanks() {
    for words in [
        "add 192.0.2.1 [ 500 ] 192.0.2.2 esp-udp west 0x1001 -r 4 -m tunnel -mark 1 / 2 -esn -if-id 3 -E null -A null ;",
        "add -4 a b 7 -ctx 1 2 \"label\" -natt a [ 1 ] b [ 2 ] -offload crypto eth0 -E aes-cbc 0x00 -A hmac-md5 \"key\" ;",
        "update a b ipcomp 0x10 -f zero-pad -C deflate -R ;",
        "get -46n a b ah-old 7 -u 5 ;",
        "deleteall -n a b esp ;",
        "flush ah ;",
        "spddump ;",
        "spdadd -6 ::1 / 64 [ 7 ] ::2 [ any ] icmp6 135,0 -ctx 1 2 \"label\" -P in none;",
        "spdupdate tagged \"tag\" -P out discard;",
    ] {
        let (words, policy) = words.split_once("-P").unwrap_or((words, ""));
        let policy = if policy.is_empty() { String::new() } else { format!("-P{policy}") };
        let with = |blank: &str| format!("{blank}{}{policy}", words.replace(' ', blank));
        let (plain, commented) = (with("       "), with("\t#a;\"\n "));
        let [plain, commented] = [&plain, &commented].map(|text| parse(text, 1).unwrap().command);
        assert_eq!(plain, commented, "{words}");
    }
}
