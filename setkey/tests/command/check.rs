//! `--check`

use std::path::Path;

use expect_test::expect;

use crate::program::{Scratch, fed, script, setkey};

fn checked(dialect: &str, text: &str) -> (Option<i32>, String) {
    let ended = fed(&["--dialect", dialect, "--check", "-"], text.as_bytes());
    assert_eq!(ended.stdout, "");
    (ended.code, ended.stderr)
}

#[test]
fn every_error_is_listed() {
    let text = "\
flush;
frob;
add 10.0.0.1 10.0.0.2 esp 0x1001 -E des-cbc \"much too long\";
add 10.0.0.1 10.0.0.2 esp 0x1002 -E aes-cbc 0x00112233445566778899aabbccddeeff;
add 10.0.0.1 ::1 esp 0x1003 -E null;
spdadd 10.0.0.0/8 10.0.0.0/8 any -P out ipsec esp/tunel//require;
add 10.0.0.1 10.0.0.2 esp 0x1004 -E des-cbc 0x0123456789abcd";
    let (code, stderr) = checked("linux", text);
    assert_eq!(code, Some(1));
    expect![[r#"
        -:2:1: syntax error at `frob'
          frob;
          ^
          expected a statement
        -:3:37: Invalid key length: des-cbc takes 64 bits, not 104 at `des-cbc'
          add 10.0.0.1 10.0.0.2 esp 0x1001 -E des-cbc ***************;
                                              ^
        -:5:14: source and destination are of different address families at `::1'
          add 10.0.0.1 ::1 esp 0x1003 -E null;
                       ^
        -:6:51: Too few arguments
          spdadd 10.0.0.0/8 10.0.0.0/8 any -P out ipsec esp/tunel//require;
                                                            ^
          did you mean `tunnel`?
        -:7:61: syntax error at the end
          add 10.0.0.1 10.0.0.2 esp 0x1004 -E des-cbc ****************
                                                                      ^
          the `;` that ends the statement is missing
        setkey: -: 5 errors
    "#]]
    .assert_eq(&stderr);
    for secret in ["much", "0011", "0123"] {
        assert!(!stderr.contains(secret), "{secret}: {stderr}");
    }
}

#[test]
fn good_script_prints_nothing() {
    let text = "flush; spdflush; add west.example 10.0.0.2 esp 0x1001 -E null;\n";
    assert_eq!(checked("linux", text), (Some(0), String::new()));
    assert_eq!(checked("linux", ""), (Some(0), String::new()));
}

#[test]
fn algorithms_depend_on_the_dialect() {
    let text = "add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 \"a secret\";\n";
    assert_eq!(checked("freebsd", text), (Some(0), String::new()));
    let (code, stderr) = checked("linux", text);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Not supported: linux PF_KEY has no TCP-MD5 SAs"), "{stderr}");
}

#[test]
fn options_that_a_dialect_cannot_express() {
    let text = "flush;\n  add 10.0.0.1 10.0.0.2 esp-udp 0x1001 -E null;\n";
    assert_eq!(checked("linux", text), (Some(0), String::new()));
    let (code, stderr) = checked("darwin", text);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("-:2:3: Not supported: darwin PF_KEY has no "), "{stderr}");
}

const BEYOND_PF_KEY: &str = "\
add 10.0.0.1 10.0.0.2 esp 0x1001 -mark 1/0xff -esn -r 4096 -offload packet eth9 -E aes-gcm-16 0x0011223344;
add 10.0.0.1 10.0.0.2 esp 0x1002 -if-id 7 -E aes-cbc 0x00112233445566778899aabbccddeeff
    -A hmac-sha2-256-128 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff;
add 10.0.0.1 10.0.0.2 esp 0x1003 -r 4097 -E null;
";

#[test]
fn linux_is_checked_against_its_best_backend() {
    let (code, stderr) = checked("linux", BEYOND_PF_KEY);
    assert_eq!(code, Some(1));
    expect![[r#"
        -:1:84: Invalid key length: aes-gcm-16 takes 160, 224, 288 bits, not 40 at `aes-gcm-16'
          ...-mark 1/0xff -esn -r 4096 -offload packet eth9 -E aes-gcm-16 ************;
                                                               ^
        -:4:34: replay window 4097 not in 0 to 4096 at `-r'
          add 10.0.0.1 10.0.0.2 esp 0x1003 -r 4097 -E null;
                                           ^
        setkey: -: 2 errors
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn backend_option_selects_the_rules() {
    let ended = fed(&["--backend", "pfkey", "--dialect", "linux", "--check", "-"], BEYOND_PF_KEY.as_bytes());
    assert_eq!(ended.code, Some(1));
    let refused: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("-:")).collect();
    let expected = [
        "-:1:47: Not supported: a PF_KEY message of linux has no place for -esn at `-esn'",
        "-:2:34: Not supported: a PF_KEY message of linux has no place for -if-id at `-if-id'",
        "-:4:34: replay window 4097 not in 0 to 255 at `-r'",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipsec-conf/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        let name = path.to_str().unwrap();
        let dialects =
            if name.contains("tcp-md5") { &["freebsd", "netbsd"][..] } else { &["linux", "freebsd", "netbsd"] };
        for dialect in dialects {
            let ended = setkey(&["--dialect", dialect, "--check", name]);
            assert_eq!(ended.all(), (Some(0), "", ""), "{name} for {dialect}");
        }
        seen += 1;
    }
    assert!(seen >= 7, "{seen} examples");
}

#[test]
fn huge_statement_is_one_error() {
    let (code, stderr) =
        checked("linux", &format!("frob;\nadd 10.0.0.1 10.0.0.2 esp 1 -E null \"{}", "A".repeat(300_000)));
    assert_eq!(code, Some(1));
    assert!(stderr.ends_with("setkey: -: 2 errors\n"), "{}", stderr.len());
    assert!(!stderr.contains("AAAA") && stderr.len() < 4000, "{} bytes", stderr.len());
}

#[test]
fn files_that_cannot_be_read() {
    let missing = setkey(&["--check", "/nonexistent/x"]);
    assert_eq!(missing.all(), (Some(1), "", "setkey: Can't open `/nonexistent/x': No such file or directory\n"));
    assert_eq!(setkey(&["--check", "/"]).all(), (Some(1), "", "setkey: /: Is a directory\n"));
}

#[test]
fn errors_name_the_file() {
    let file = Scratch::file("\n  frob;\n");
    let ended = setkey(&["--check", file.as_str()]);
    assert!(ended.stderr.starts_with(&format!("{}:2:3: syntax error", file.as_str())), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(&format!("setkey: {}: 1 error\n", file.as_str())), "{}", ended.stderr);
}

const KEYED: &str = "add 192.0.2.1 192.0.2.2 esp 0x1001";
const ALL: &[&str] = &["linux", "freebsd", "netbsd", "darwin"];
const LINUX: &[&str] = &["linux"];

/// Statements, their errors, and the dialects that report them.
fn refused() -> Vec<(String, &'static str, &'static [&'static str])> {
    let policy = |text: &str| format!("spdadd 192.0.2.1 192.0.2.2 any -P {text};");
    let steps = |count: usize| policy(&format!("out ipsec {}", "esp/transport//use ".repeat(count)));
    vec![
        ("spdadd 10.0.0.0/33 10.0.0.0/8 any -P out none;".into(), "prefix length 33 not in 0 to 32 at `33'", ALL),
        ("spdadd ::/0 ::/129 any -P out none;".into(), "prefix length 129 not in 0 to 128 at `129'", ALL),
        ("spddelete 10.0.0.0/8 10.0.0.0/33 any -P out;".into(), "prefix length 33 not in 0 to 32", ALL),
        (format!("{KEYED} -lh 3600 -E null;"), "hard and soft limits go together", ALL),
        (format!("{KEYED} -bs 3600 -E null;"), "hard and soft limits go together", ALL),
        (
            format!("{KEYED} -E aes-cbc \"0123456789abcdefg\";"),
            "Invalid key length: aes-cbc takes 128, 192, 256 bits, not 136 at `aes-cbc'",
            ALL,
        ),
        (
            format!("{KEYED} -E rijndael-cbc \"0123456789abcdef012345\";"),
            "Invalid key length: aes-cbc takes 128, 192, 256 bits, not 176 at `rijndael-cbc'",
            ALL,
        ),
        (
            format!("{KEYED} -E aes-ctr \"0123456789abcdefghijk\";"),
            "Invalid key length: aes-ctr takes 160, 224, 288 bits, not 168",
            &["linux", "freebsd", "netbsd"],
        ),
        (
            format!("{KEYED} -E camellia-cbc \"0123456789abcdefg\";"),
            "Invalid key length: camellia-cbc takes ",
            &["linux", "netbsd"],
        ),
        (
            format!("{KEYED} -A hmac-sha1 \"01234567890123456789\";"),
            "esp needs a cipher: write `-E null' for authentication alone",
            ALL,
        ),
        (format!("{KEYED} -C deflate;"), "esp needs a cipher", ALL),
        (
            "add 192.0.2.1 192.0.2.2 ah 0x1001 -E aes-cbc \"0123456789abcdef\";".into(),
            "ah needs an authentication algorithm: -A at `aes-cbc'",
            ALL,
        ),
        (
            "add 192.0.2.1 192.0.2.2 ipcomp 0x1001 -E aes-cbc \"0123456789abcdef\";".into(),
            "ipcomp needs a compression algorithm",
            ALL,
        ),
        ("add 192.0.2.1 192.0.2.2 0x1001 -E null;".into(), "the protocol is missing", ALL),
        ("delete 192.0.2.1 192.0.2.2 0x1001;".into(), "the protocol is missing", ALL),
        (policy("out bypass"), "bypass is for the policies of sockets: write none, discard or ipsec at `out'", ALL),
        (policy("in entrust"), "entrust is for the policies of sockets", ALL),
        (steps(7), "a policy of linux has at most 6 steps, not 7", LINUX),
        (steps(5), "a policy of freebsd has at most 4 steps, not 5", &["freebsd"]),
        (policy("out ipsec"), "ipsec needs a step", &["freebsd", "darwin"]),
        ("spdadd tagged \"x\" -P out none;".into(), "a policy needs its addresses", ALL),
        ("add 192.0.2.1 192.0.2.2 ah 0x1001 -A null;".into(), "ah needs an authentication that has a key", LINUX),
        ("add 192.0.2.1 192.0.2.2 ipcomp 0x10001 -C deflate;".into(), "the CPI of ipcomp has 16 bits", LINUX),
        ("getspi 192.0.2.1 192.0.2.2 ipcomp 0x10000;".into(), "the CPI of ipcomp has 16 bits", LINUX),
        ("getspi 192.0.2.1 192.0.2.2 ipcomp 0;".into(), "the CPI of ipcomp has 16 bits", LINUX),
        (
            "getspi 192.0.2.1 192.0.2.2 esp 256; getspi 192.0.2.1 192.0.2.2 esp 256;".into(),
            "an earlier statement",
            &["linux", "freebsd", "darwin"],
        ),
        ("getspi ::1 ::1 esp 256; getspi ::1 ::1 esp 256;".into(), "an earlier statement", ALL),
        (format!("{KEYED} -u 5 -E null; {KEYED} -u 5 -E null;"), "an earlier statement has this SA", &["netbsd"]),
        (format!("{KEYED} -u 5 -E null; {KEYED} -E null;"), "an earlier statement has this SA", &["netbsd"]),
        (policy("out ipsec"), "ipsec needs a step", &["netbsd"]),
        ("add 192.0.2.1 192.0.2.2 esp 255 -E null;".into(), "SPIs up to 255 are reserved", &["freebsd", "netbsd"]),
        (
            "add 192.0.2.1 192.0.2.2 tcp 0x1001 -A tcp-md5 \"key\";".into(),
            "the SPI of tcp is 0x1000",
            &["freebsd", "netbsd"],
        ),
        (
            "add 192.0.2.1 192.0.2.2 ah 256 -E null -A hmac-sha1 \"twenty octets of key\";".into(),
            "ah takes no -E at `null'",
            &["freebsd", "netbsd", "darwin"],
        ),
        (
            "add 192.0.2.1 192.0.2.2 ipcomp 0x1_0000 -C deflate;".replace('_', ""),
            "the CPI of ipcomp has 16 bits",
            &["freebsd", "netbsd", "darwin"],
        ),
        (format!("{KEYED} -E null; {KEYED} -E null;"), "an earlier statement has ", ALL),
        (
            format!("{KEYED} -E null; add 192.0.2.3 192.0.2.2 esp 0x1001 -E null;"),
            "an earlier statement has an SA with this destination, protocol and SPI at `add'",
            LINUX,
        ),
        (
            policy("out none").repeat(2),
            "an earlier statement has a policy with this selector and direction at `spdadd'",
            ALL,
        ),
    ]
}

#[test]
fn refused_by_every_kernel() {
    for (text, expected, dialects) in refused() {
        for dialect in dialects {
            let (code, stderr) = checked(dialect, &text);
            assert_eq!(code, Some(1), "{dialect}: {text}");
            assert!(stderr.contains(expected) && stderr.ends_with(" 1 error\n"), "{dialect}: {text}\n{stderr}");
            // The in-process key engine applies the same rules.
            let memory = ["--backend", "memory", "--dialect", dialect, "-e", "-f", "-"];
            let loaded = fed(&memory, text.as_bytes());
            // PF_KEY itself accepts such a CPI.
            assert_eq!(loaded.code, Some(i32::from(!text.contains("0x10001"))), "{dialect}: {text}\n{}", loaded.stderr);
        }
    }
}

#[test]
fn accepted_by_kernels() {
    let policies = |first: &str, second: &str| {
        format!("spdadd 192.0.2.1 192.0.2.2 any -P {first}; {second} spdadd 192.0.2.1 192.0.2.2 any -P out none;")
    };
    for text in [
        format!("{KEYED} -lh 3600 -ls 3000 -E null;"),
        format!("{KEYED} -bh 3600 -ls 3000 -E aes-cbc \"0123456789abcdef01234567\";"),
        "spdadd 10.0.0.0/32 10.0.0.0/0 any -P out none;".into(),
        // What was deleted may be added again.
        format!("{KEYED} -E null; flush; {KEYED} -E null;"),
        format!("{KEYED} -E null; flush esp; {KEYED} -E null;"),
        format!("{KEYED} -E null; delete 192.0.2.1 192.0.2.2 esp 0x1001; {KEYED} -E null;"),
        format!("{KEYED} -E null; delete west.example 192.0.2.2 esp 0x1001; {KEYED} -E null;"),
        format!("{KEYED} -E null; deleteall 192.0.2.1 192.0.2.2; {KEYED} -E null;"),
        format!("{KEYED} -E null; add 192.0.2.1 192.0.2.3 esp 0x1002 -E null;"),
        policies("out none", "spdflush;"),
        policies("out none", "spddelete 192.0.2.1 192.0.2.2 any -P out;"),
        policies("in none", ""),
        format!("spdadd 192.0.2.1 192.0.2.2 any -P out none; {}", "spdupdate 192.0.2.1 192.0.2.2 any -P out none;"),
        // Names may stand for different addresses, of any family.
        "add a.example 192.0.2.2 esp 256 -E null; add a.example ::1 esp 256 -E null;".into(),
        "spdadd a.example b.example any -P out none; spdadd c.example d.example any -P out none;".into(),
        // Text after the end of the script.
        "exit; frob;".into(),
    ] {
        for dialect in ALL {
            assert_eq!(checked(dialect, &text), (Some(0), String::new()), "{dialect}: {text}");
        }
    }
    let ah = "add 10.0.0.1 10.0.0.2 ah 10000 -A null; add 10.0.0.1 10.0.0.2 esp 10001 -E null -A null;";
    assert_eq!(checked("netbsd", ah), (Some(0), String::new()));
    assert_eq!(script("netbsd", ah).all(), (Some(0), "", ""));
    let mark = format!("{KEYED} -mark 1 -E null; {KEYED} -mark 2 -E null;");
    assert_eq!(checked("linux", &mark), (Some(0), String::new()));
    let label = "spdadd ::1 ::1 any -ctx 1 1 \"a\" -P out none; spdadd ::1 ::1 any -ctx 1 1 \"b\" -P out none;";
    assert_eq!(checked("linux", label), (Some(0), String::new()));
}

#[test]
fn bgp_peers_share_an_spi() {
    let text = "add 192.0.2.20 192.0.2.21 tcp 0x1000 -A tcp-md5 \"a secret\";
        add 192.0.2.20 192.0.2.30 tcp 0x1000 -A tcp-md5 \"another one\";";
    for dialect in ["freebsd", "netbsd"] {
        assert_eq!(checked(dialect, text), (Some(0), String::new()), "{dialect}");
        assert_eq!(script(dialect, text).all(), (Some(0), "", ""), "{dialect}");
    }
}

#[test]
fn refused_by_some_versions_is_a_warning() {
    let text = "spdadd 10.1.0.0/24 10.2.0.0/24 any -P out ipsec esp/tunnel/192.0.2.1-192.0.2.9/use;
spdadd 10.2.0.0/24 10.1.0.0/24 any -P in ipsec esp/tunnel/192.0.2.9-192.0.2.1/use;
";
    let (code, stderr) = checked("linux", text);
    assert_eq!(code, Some(0));
    expect![[r#"
        -:1:49: WARNING: an outbound tunnel cannot be optional: write require or unique instead of use (Linux since 6.2 and its stable kernels refuse it) at `esp'
          spdadd 10.1.0.0/24 10.2.0.0/24 any -P out ipsec esp/tunnel/192.0.2.1-192.0.2.9/use;
                                                          ^
    "#]]
    .assert_eq(&stderr);
    for dialect in ["freebsd", "netbsd", "darwin"] {
        assert_eq!(checked(dialect, text), (Some(0), String::new()));
    }
    let copy = "spdadd ::1 ::2 any -P in discard; spdadd ::1 ::2 any -P fwd none;";
    let (code, stderr) = checked("linux", copy);
    assert!(code == Some(0) && stderr.contains("WARNING: an in policy has already added a fwd policy"), "{stderr}");
    let ended = fed(&["--dialect", "linux", "-k", "--check", "-"], copy.as_bytes());
    assert_eq!(ended.all(), (Some(0), "", ""));
    let ended = fed(
        &["--dialect", "linux", "--backend", "pfkey", "--check", "-"],
        b"add 192.0.2.1 192.0.2.2 ipcomp 0x10001 -C deflate;",
    );
    assert!(ended.code == Some(0) && ended.stderr.contains("(NETLINK_XFRM refuses it)"), "{}", ended.stderr);
}

/// The column of the first error of a script, its message, and its hint.
fn first_error(dialect: &str, text: &str) -> (usize, String, String) {
    let (code, stderr) = checked(dialect, text);
    assert_eq!(code, Some(1), "{text}: {stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let (place, message) = lines[0].split_once(": ").unwrap();
    assert_eq!(lines[2].trim_start(), "^", "{text}");
    let column: usize = place.rsplit(':').next().unwrap().parse().unwrap();
    let hint = lines[3].strip_prefix("  ").unwrap_or_default();
    (column, message.to_owned(), hint.to_owned())
}

#[test]
fn caret_is_at_the_error() {
    let service = "port names are looked up as UDP services, also for TCP: write the number";
    let range = "a port is one number, one name or `any`: no range";
    for (dialect, text, culprit, message, hint) in [
        ("linux", "spdadd 192.0.2.1[bgp] 192.0.2.2[any] tcp -P out none;", "bgp", "Servname not supported", service),
        ("linux", "spdadd 192.0.2.1 192.0.2.2[nosuch] tcp -P out none;", "nosuch", "Servname not supported", service),
        ("linux", "spdadd 192.0.2.1[1:65535] 192.0.2.2 tcp -P out none;", "1:65535", "Servname not supported", range),
        (
            "linux",
            "spdadd 192.0.2.1:80 192.0.2.2 tcp -P out none;",
            "192.0.2.1:80",
            "Name or service not known at `192.0.2.1:80'",
            "a port stands in brackets behind its address: ADDRESS[PORT]",
        ),
        ("linux", "add 192.0.2.1 192.0.2.2[nosuch] esp-udp 256 -E null;", "nosuch", "Servname not supported", service),
        (
            "linux",
            "add 192.0.2.300[4500] 192.0.2.2 esp-udp 256 -E null;",
            "192.0.2.300",
            "Name or service",
            "not an IPv4 address: write four numbers from 0 to 255",
        ),
        (
            "linux",
            "add 192.0.2.1 192.0.2.2 tcp 0x1000 -A tcp-md5 \"a secret\";",
            "tcp",
            "Not supported: linux PF_KEY has no TCP-MD5 SAs at `tcp'",
            "",
        ),
        (
            "linux",
            "spdadd 192.0.2.0/24 192.0.3.0/33 any -P out none;",
            "33",
            "prefix length 33 not in 0 to 32 at `33'",
            "",
        ),
        (
            "linux",
            "spdadd 192.0.2.1 2001:db8::1 any -P out none;",
            "2001:db8::1",
            "source and destination are of different address families at `2001:db8::1'",
            "",
        ),
        ("linux", "add 192.0.2.1 192.0.2.2 esp 256 -lh 3600 -E null;", "-lh", "hard and soft limits go together", ""),
        ("linux", "add 192.0.2.1 192.0.2.2 ipcomp 0x10001 -C deflate;", "0x10001", "the CPI of ipcomp has 16 bits", ""),
        (
            "freebsd",
            "add 192.0.2.1 192.0.2.2 esp 256 -mark 1 -E null;",
            "-mark",
            "Not supported: a PF_KEY message of freebsd has no place for -mark at `-mark'",
            "",
        ),
        (
            "linux",
            "spdadd ::1 ::2 any -P out ipsec esp/tunnel/192.0.2.1-2001:db8::2/require;",
            "2001:db8::2",
            "Family mismatch",
            "the two ends of a tunnel are both IPv4 or both IPv6",
        ),
        (
            "linux",
            "spdadd ::1 ::2 icmpv6 -P out none;",
            "icmpv6",
            "invalid upper layer protocol",
            "did you mean `icmp6`?",
        ),
    ] {
        let (column, said, hinted) = first_error(dialect, text);
        assert_eq!(column, text.find(culprit).unwrap() + 1, "{text}: {said}");
        assert!(said.starts_with(message), "{text}: {said}");
        let no_hint = if hint.is_empty() { "setkey: -: 1 error" } else { hint };
        assert!(hinted == hint || no_hint.ends_with(&hinted), "{text}: {hinted}");
    }
}

#[test]
fn byte_order_mark_does_not_hide_a_statement() {
    let (code, stderr) = checked("linux", "\u{feff}flush;\n");
    assert_eq!(code, Some(1));
    expect![[r#"
        -:1:1: Syntax error at `\xef'
          \xef\xbb\xbfflush;
          ^
          the file begins with a byte order mark (U+FEFF): save it as UTF-8 without one
        setkey: -: 1 error
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn utf_16_file_is_one_error() {
    let script: Vec<u8> = "\u{feff}flush;\nspdflush;\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let ended = fed(&["--check", "-"], &script);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.matches("Syntax error").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("the file is in UTF-16: save it as UTF-8"), "{}", ended.stderr);
}

#[test]
fn endless_input_is_refused() {
    let ended = fed(&["--check", "/dev/zero"], b"");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.ends_with("setkey: /dev/zero: 1 error\n"), "{}", ended.stderr);
}

/// NetBSD accepts an SPI once for each reqid, and reserves that of another host twice.
#[test]
fn netbsd_accepts_some_duplicates() {
    for text in [
        format!("{KEYED} -u 5 -E null; {KEYED} -u 6 -E null;"),
        format!("{KEYED} -E null; {KEYED} -u 6 -E null;"),
        "getspi 192.0.2.1 192.0.2.2 esp 256; getspi 192.0.2.1 192.0.2.2 esp 256;".into(),
        format!("{KEYED} -E null; getspi 192.0.2.1 192.0.2.2 esp 0x1001;"),
    ] {
        assert_eq!(checked("netbsd", &text), (Some(0), String::new()), "{text}");
        let loaded = fed(&["--backend", "memory", "--dialect", "netbsd", "-e", "-f", "-"], text.as_bytes());
        assert_eq!(loaded.all(), (Some(0), "", ""), "{text}");
    }
}

#[test]
fn entries_of_deleteall_can_be_added_again() {
    let text = "add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;\n\
                add 10.0.0.1 10.0.0.2 ipcomp 0x102 -C deflate;\n\
                add 10.0.0.1 10.0.0.3 esp 0x1002 -E null;\n\
                deleteall 10.0.0.1 10.0.0.2 esp;\n\
                add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;\n\
                add 10.0.0.1 10.0.0.3 esp 0x1002 -E null;\n\
                add 10.0.0.1 10.0.0.2 ipcomp 0x102 -C deflate;\n\
                deleteall 10.0.0.1 10.0.0.2;\n\
                add 10.0.0.1 10.0.0.2 ipcomp 0x102 -C deflate;\n";
    for dialect in ["linux", "freebsd", "netbsd", "darwin"] {
        let (code, stderr) = checked(dialect, text);
        let places: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("-:")?.split(": ").next()).collect();
        assert_eq!((code, places), (Some(1), vec!["6:1", "7:1"]), "{dialect}: {stderr}");
    }
}
