//! Refused statements: the words of KAME setkey, byte for byte, except where it is wrong.

use super::*;

/// The error in `source`, as KAME setkey prints it, after the line; `!` marks the fatal ones.
fn error(source: &str) -> String {
    match parse(source, 1) {
        Ok(statement) => panic!("{source}: {statement:?}"),
        Err(error) => format!("{}{} {error}", error.line, if error.is_fatal() { "!" } else { "" }),
    }
}

#[test]
fn syntax() {
    for (source, expected) in [
        // Statements.
        (";", "1 syntax error at `;'"),
        ("frobnicate;", "1 syntax error at `frobnicate'"),
        ("\n\nfrobnicate;", "3 syntax error at `frobnicate'"),
        ("DUMP;", "1 syntax error at `DUMP'"),
        ("adds a b esp 256 -E null;", "1 syntax error at `adds'"),
        ("flush foo;", "1 syntax error at `foo'"),
        ("flush\nadd a b esp 256 -E null;", "2 syntax error at `add'"),
        ("dump esp ah;", "1 syntax error at `ah'"),
        ("spdflush esp;", "1 syntax error at `esp'"),
        ("flush; dump;", "1 syntax error at `dump'"),
        ("exit", "1 syntax error at `'"),
        ("exit\n", "2 syntax error at `'"),
        ("add a b esp 256 -E null", "1 syntax error at `'"),
        ("add # a b;", "1 syntax error at `'"),
        // Hosts.
        ("add a esp 256 -E null;", "1 syntax error at `esp'"),
        ("add any b esp 256 -E null;", "1 syntax error at `any'"),
        ("add 1 b esp 256 -E null;", "1 syntax error at `1'"),
        ("add 192.0.2.1/24 b esp 256 -E null;", "1 syntax error at `/'"),
        ("add a[500 b esp 256 -E null;", "1 syntax error at `b'"),
        ("deleteall a[1] b;", "1 syntax error at `['"),
        ("deleteall a b 256;", "1 syntax error at `256'"),
        // SPI, protocol and options.
        ("add a b esp -E null;", "1 syntax error at `-E'"),
        ("add a b esp foo -E null;", "1 syntax error at `foo'"),
        ("add a b esp 1,2 -E null;", "1 syntax error at `1,2'"),
        ("add a b esp 0x -E null;", "1 syntax error at `0x'"),
        ("add a b udp 256 -E null;", "1 syntax error at `udp'"),
        ("add a b esp 256 -r -E null;", "1 syntax error at `-E'"),
        ("add a b esp 256 -r 0x10 -E null;", "1 syntax error at `0x10'"),
        ("add a b esp 256 -m tunel -E null;", "1 syntax error at `tunel'"),
        ("add a b esp 256 -f pad -E null;", "1 syntax error at `pad'"),
        ("add a b esp 256 -ctx 1 1 x -E null;", "1 syntax error at `x'"),
        ("add a b esp 256 -natt a b[1] -E null;", "1 syntax error at `b'"),
        ("add a b esp 256 -offload none eth0 -E null;", "1 syntax error at `none'"),
        // Algorithms and keys.
        ("add a b esp 256;", "1 syntax error at `;'"),
        ("get a b esp 256 -E null;", "1 syntax error at `-E'"),
        ("add a b esp 256 -E null -E null;", "1 syntax error at `-E'"),
        ("add a b esp 256 -A null -E null;", "1 syntax error at `-E'"),
        ("add a b esp 256 -E null 0x11 -A null;", "1 syntax error at the key"),
        ("add a b esp 256 -E aes-cbc -A null;", "1 syntax error at `-A'"),
        ("add a b esp 256 -E aes-gcm \"k\";", "1 syntax error at `aes-gcm'"),
        ("add a b esp 256 -E aes-cbc \"k\" -m tunnel;", "1 syntax error at `-m'"),
        ("add a b ah 256 -A foo \"k\";", "1 syntax error at `foo'"),
        ("add a b ah 256 -A sha1 \"k\";", "1 syntax error at `sha1'"),
        ("add a b ah 256 -A hmac-md5 0x0g;", "1 syntax error at the key"),
        ("add a b ah 256 -A hmac-md5 0x;", "1 syntax error at `0x'"),
        ("add a b ah 256 -A hmac-md5 00112233;", "1 syntax error at the key"),
        ("add a b ah 256 auth hmac-md5 \"k\";", "1 syntax error at `auth'"),
        ("add a b ah 256 -A hmac-md5 \"k\" \"quoted\";", "1 syntax error at the key"),
        ("add a b ipcomp 256 -C gzip;", "1 syntax error at `gzip'"),
        // Policies.
        ("spdadd a[21]/32 b tcp -P out none;", "1 syntax error at `/'"),
        ("spdadd 192.0.2.0/255.255.255.0 b tcp -P out none;", "1 syntax error at `255.255.255.0'"),
        ("spdadd a b -P out none;", "1 syntax error at `-P'"),
        ("spdadd a b ah -P out none;", "1 syntax error at `ah'"),
        ("spdadd a b icmp 8 -P out none;", "1 syntax error at `8'"),
        ("spdadd a b tcp foo -P out none;", "1 syntax error at `foo'"),
        ("spdadd a b udp foo -P out none;", "1 syntax error at `foo'"),
        ("spdadd a b 17 1,2 -P out none;", "1 syntax error at `1,2'"),
        ("spdadd a b any 1,2 -P out none;", "1 syntax error at `1,2'"),
        ("spddelete a b any;", "1 syntax error at `;'"),
        ("spddelete tagged \"x\" -P out;", "1 syntax error at `tagged'"),
        ("spdadd tagged x -P out none;", "1 syntax error at `x'"),
        ("spdadd a b any -P out none, in none;", "1 syntax error at `,'"),
        ("spdadd a b any -P;", "1 syntax error at `;'"),
        ("spdadd a b any -P\nout none", "2 syntax error at `'"),
    ] {
        assert_eq!(error(source), expected, "{source}");
    }
}

#[test]
fn characters_of_no_token() {
    for (source, expected) in [
        ("dump !;", "1! Syntax error at `!'"),
        ("dump +;", "1! Syntax error at `+'"),
        ("dump\u{c};", "1! Syntax error at `\u{c}'"),
        ("dump\r\n;", "1! Syntax error at `\r'"),
        ("dump \u{e9};", "1! Syntax error at `\u{e9}'"),
        ("dump \\ \n;", "1! Syntax error at `\\'"),
        ("add a b esp 256 -z 5 -E null;", "1! Syntax error at `-'"),
        ("add a b esp -1 -E null;", "1! Syntax error at `-'"),
        ("spdadd $A b any -P out none;", "1! Syntax error at `$'"),
        ("spdadd a b any -P out none # x\n;", "1! Syntax error at `#'"),
        ("\nadd a b ah 256 -A hmac-md5 \"k;\ndump;\n", "2! Syntax error at `\"'"),
    ] {
        assert_eq!(error(source), expected, "{source}");
    }
}

#[test]
fn values() {
    for (source, expected) in [
        ("add a b esp-old 256 -r 8 -E null;", "replay prevention cannot be used with ah/esp-old at `8'"),
        ("add a b ah-old 256 -r 8 -A null;", "replay prevention cannot be used with ah/esp-old at `8'"),
        ("add a b esp 256 -E des-32iv \"12345678\";", "algorithm mismatched at the key"),
        ("add a b esp-old 256 -E des-deriv \"12345678\";", "algorithm mismatched at the key"),
        ("add a b esp 4294967296 -E null;", "SPI too big at `4294967296'"),
        ("add a b esp 0x100000000 -E null;", "SPI too big at `0x100000000'"),
        ("add a b esp 256 -u 4294967296 -E null;", "number not in 0 to 4294967295 at `4294967296'"),
        ("add a b esp 256 -r 4294967296 -E null;", "number not in 0 to 4294967295 at `4294967296'"),
        (
            "add a b esp 256 -lh 18446744073709551616 -E null;",
            "number not in 0 to 18446744073709551615 at `18446744073709551616'",
        ),
        ("add a b esp 256 -ph 4294967296 -E null;", "number not in 0 to 4294967295 at `4294967296'"),
        ("add a b esp 256 -ctx 1 256 \"x\" -E null;", "number not in 0 to 255 at `256'"),
        ("add a b esp 256 -mark 0x100000000 -E null;", "number not in 0 to 4294967295 at `0x100000000'"),
        ("add a[65536] b esp-udp 256 -E null;", "invalid port, not in 0 to 65535 at `65536'"),
        ("spdadd a[65536] b tcp -P out none;", "invalid port, not in 0 to 65535 at `65536'"),
        ("spdadd a/256 b tcp -P out none;", "number not in 0 to 255 at `256'"),
        ("spdadd a b gre x -P out none;", "invalid an upper layer protocol spec at ` out none;'"),
        ("spdadd a b icmp x -P out none;", "invalid an upper layer protocol spec at ` out none;'"),
        ("spdadd a b icmp6 1, -P out none;", "invalid an upper layer protocol spec at ` out none;'"),
    ] {
        assert_eq!(error(source), format!("1 {expected}"), "{source}");
    }
}

#[test]
fn policies() {
    let all = |text: &str| {
        let error = parse(text, 1).unwrap_err();
        (error.line, error.to_string(), error.library_line, error.offset)
    };
    assert_eq!(
        all("spdadd a b any -P out ipsec esp/any//require;"),
        (1, "Too few arguments at ` out ipsec esp/any//require'".to_owned(), None, 32)
    );
    let line = Some("libipsec: syntax error while parsing \"foo\"".to_owned());
    assert_eq!(
        all("spdadd a b any -P out ipsec\n foo/transport//require\n;"),
        (3, "Invalid argument at ` out ipsec\n foo/transport//require\n'".to_owned(), line, 29)
    );
    let line = Some("libipsec: syntax error while parsing \"\"".to_owned());
    assert_eq!(all("spdadd a b any -P ;"), (1, "Invalid argument at ` '".to_owned(), line, 18));
    let line = Some("libipsec: invalid IP address while parsing \"-\"".to_owned());
    assert_eq!(
        all("spdadd a b any -P in ipsec esp/tunnel/a-b/use;"),
        (1, "Name or service not known at ` in ipsec esp/tunnel/a-b/use'".to_owned(), line, 38)
    );
    let kind = parse("spdadd a b any -P in ipsec esp/transport/me-any/use;", 1).unwrap_err().kind;
    assert_eq!(kind, ErrorKind::Policy(policy::ErrorKind::Direction));
}

#[test]
fn hints() {
    for (source, expected) in [
        ("spadd a b any -P out none;", "did you mean `spdadd`?"),
        ("add a b eps 256 -E null;", "did you mean `esp`?"),
        (
            "add a b esp 256 -E aes-gcm 0x00;",
            "did you mean `aes-gcm-16`? 16 is the length of its ICV: there are 12 and 8, too",
        ),
        ("add a b esp 256 -E null -A sha1 0x00;", "did you mean `hmac-sha1`?"),
        (
            "flush\nadd a b esp 256 -E null;",
            "`add` begins a statement: the one before it is cut short or lacks its `;`",
        ),
        ("flush", "the `;` that ends the statement is missing"),
        ("add a b ah 256 auth hmac-md5 0x00;", "the authentication algorithm follows -A"),
        ("add a b esp 256 -A null -E null;", "-E goes before -A"),
        ("add a b esp 256 -E null -u 5;", "-u goes before -E and -A"),
        ("add a b ah 256 -A hmac-md5 0011aaff;", "hex digits need 0x before them"),
        ("add a b ah 256 -A hmac-md5 0x00key;", "character 3 after 0x is no hex digit"),
        ("add a b ah 256 -A hmac-md5 \"open;", "this quote is not closed"),
        ("add $A b ah 256 -A null;", "an unexpanded variable? setkey itself expands none"),
        ("dump\r\n;", "the file has CR LF line ends: remove the CRs"),
        ("spdadd a b icmp 8 -P out none;", "type and code are two numbers with a comma: 8,0 for an echo request"),
        ("spdadd a b any none;", "a policy follows -P: -P in, -P out or -P fwd, then what to do"),
        (
            "spdadd a b any -P out ipsec esp/tunnel//use;",
            "tunnel mode needs the addresses of both ends: esp/tunnel/SRC-DST/require",
        ),
    ] {
        assert_eq!(parse(source, 1).unwrap_err().hint.as_deref(), Some(expected), "{source}");
    }
}

/// The hint for the error in a script's first statement.
fn hint(source: &str) -> String {
    parse(source, 1).expect_err(source).hint.unwrap_or_default().into_owned()
}

/// A script as bytes, each widened.
fn widened(source: &str) -> String {
    source.bytes().map(char::from).collect()
}

#[test]
fn hints_for_what_is_copied_from_elsewhere() {
    for (source, expected) in [
        ("\u{feff}flush;", "the file begins with a byte order mark (U+FEFF): save it as UTF-8 without one"),
        ("flush\u{a0};", "a no-break space (U+00A0): write a plain blank"),
        ("add a b esp 256 \u{2013}E null;", "a typographic dash (U+2013): write a plain -"),
        (
            "add a b esp 256 -E aes-cbc \u{201c}0123456789abcdef\u{201d};",
            "a typographic quote (U+201C): write a plain \"",
        ),
        ("add a b esp 256 -E aes-cbc '0123456789abcdef';", "not a quote in this language: write a plain \""),
        ("add a b esp 256 -E aes-cbc `cat key`;", "not a quote in this language: write a plain \""),
        ("spdadd a b any -P out\u{a0}none;", "a no-break space (U+00A0): write a plain blank"),
        ("spdadd a b any \u{2014}P out none;", "a typographic dash (U+2014): write a plain -"),
        (
            "spdadd a b any -P out ipsec esp/tunnel/192.0.2.1\u{2013}192.0.2.2/require;",
            "a typographic dash (U+2013): write a plain -",
        ),
        ("spd\u{200b}flush;", "it is followed by a zero-width space (U+200B): remove it"),
        (
            "add a b esp 256 -E aes-cbc \"0123456789abcdef\u{201d};\n",
            "this quote is not closed: U+201D behind it is a typographic one",
        ),
        ("dump\u{200b};", "a zero-width space (U+200B): remove it"),
        ("dump\u{ff1b}", "a full-width character (U+FF1B): write a plain ;"),
        ("\r\nspdflush;", "the file has CR LF line ends: remove the CRs"),
        ("add a b esp 256 \\\r\n -E null;", "the file has CR LF line ends: remove the CRs"),
        ("f\0l\0u\0s\0h\0;", "the file has NUL bytes: if it is in UTF-16, save it as UTF-8"),
        ("// all\nflush;", "comments begin with `#`"),
        ("/* all */ flush;", "comments begin with `#`"),
        ("-- all\nflush;", "comments begin with `#`"),
        (
            "spdadd a b any -P out ipsec # x\n esp/transport//use;",
            "no comment can stand in a policy, between -P and `;`",
        ),
        ("spdadd a b any -P out none // x\n;", "no comment can stand in a policy, between -P and `;`"),
        ("spdadd a b any -P \"out none\";", "the policy behind -P stands without quotes"),
        ("add \"192.0.2.1\" b esp 256 -E null;", "hosts stand without quotes"),
        ("rem all;", "comments begin with `#`"),
    ] {
        assert_eq!(hint(&widened(source)), expected, "{source:?}");
    }
    let second = parse(&widened("\u{feff}flush;"), 2).unwrap_err();
    assert_eq!(second.hint.as_deref(), Some("a byte order mark (U+FEFF): remove it"));
}

#[test]
fn hints_for_the_words_of_other_programs() {
    for (source, expected) in [
        ("add a b esp 256 -E aes256 0x00;", "did you mean `aes-cbc`? For 256 bits give it a key of 32 bytes"),
        ("add a b esp 256 -E 3des 0x00;", "did you mean `3des-cbc`?"),
        ("add a b esp 256 -E cbc(aes) 0x00;", "did you mean `aes-cbc`?"),
        ("add a b esp 256 -E null -A md5 0x00;", "did you mean `hmac-md5`?"),
        ("add a b esp 256 -E hmac-sha1 0x00;", "hmac-sha1 is an authentication algorithm: it follows -A"),
        ("add a b udp 256 -E null;", "did you mean `esp-udp`? An SA is of ah, esp, esp-udp or ipcomp"),
        ("add a b comp 256 -C deflate;", "did you mean `ipcomp`?"),
        ("add a b ESP 256 -E null;", "did you mean `esp`?"),
        ("add a b ipcomp 256 -C zlib;", "did you mean `deflate`?"),
        ("add a b esp 256 -e null;", "options are case-sensitive: the encryption algorithm follows -E"),
        ("add a b esp 256 --esn -E null;", "did you mean `-esn`?"),
        ("add src a dst b proto esp spi 256;", "the two addresses stand without a word before them"),
        ("add a b proto esp 256;", "the protocol stands without a word before it: SRC DST PROTOCOL SPI"),
        ("add a b esp spi 256;", "the SPI stands without a word before it: SRC DST PROTOCOL SPI"),
        ("add a b esp 256 mode tunnel -E null;", "the mode follows -m"),
        ("add a b esp 256 reqid 5 -E null;", "the reqid follows -u"),
        ("add a b 50 256 -E null;", "the protocol is a word: esp, ah or ipcomp"),
        (
            "ip xfrm state add src a dst b;",
            "a command of iproute2? Here an SA is `add SRC DST PROTOCOL SPI ...;` and a policy `spdadd SRC DST UPPER -P ...;`",
        ),
        ("conn east;", "a file of strongSwan or libreswan? This is another language"),
        ("esp from a to b spi 256;", "a rule of OpenBSD's ipsec.conf? Here an SA is `add SRC DST PROTOCOL SPI ...;`"),
        ("path include \"x\";", "a directive of racoon.conf, which is for racoon"),
        ("add 192.0.2.1 esp 0x301 -E null;", "the destination is missing: SRC DST PROTOCOL SPI"),
        (
            "spdadd 192.0.2.0/24 any -P out none;",
            "the destination is missing; any address is written 0.0.0.0/0, or ::/0",
        ),
        ("add 192.0.2.1-192.0.2.2 esp 256 -E null;", "source and destination have a blank between them, and no `-`"),
        ("add 192.0.2.1, 192.0.2.2 esp 256 -E null;", "words have blanks between them, and no commas"),
        ("add 192.0.2.1 192.0.2.2 256 esp -E null;", "the protocol goes before the SPI: SRC DST PROTOCOL SPI"),
        ("add a b esp 256 aes-cbc \"key\";", "the option is missing: -E aes-cbc"),
        ("add a b esp 256 -E null hmac-sha1 \"key\";", "the option is missing: -A hmac-sha1"),
        ("add a b esp 256 -lh 1h -E null;", "a limit of time is a decimal number of seconds"),
        ("add a b esp 256 -r 0x20 -E null;", "-r takes a decimal number"),
        ("spdadd a b tcp/80 -P out none;", "a port stands in brackets behind its address: ADDRESS[PORT]"),
        ("spdadd a b icmp 8 0 -P out none;", "type and code are two numbers with a comma: 8,0 for an echo request"),
        ("flush policies;", "for policies there is `spdflush`"),
        (";", "a `;` without a statement before it"),
        ("dump all;", "without a protocol it is for all of them"),
        ("show;", "did you mean `dump` or `spddump`?"),
        ("add 192.0.2.1/32 b esp 256 -E null;", "SAs are between two hosts: no prefix length goes with them"),
        ("spdadd 192.0.2.0/255.255.255.0 b any -P out none;", "a netmask is written as the length of the prefix: /24"),
        ("spdadd 192.0.2.1[80]/32 b tcp -P out none;", "the prefix length goes before the port: ADDRESS/LENGTH[PORT]"),
        ("spdadd any b any -P out none;", "any address is written 0.0.0.0/0, or ::/0 for IPv6"),
        ("spdadd 0/0 b any -P out none;", "any address is written 0.0.0.0/0, or ::/0 for IPv6"),
        ("spdadd %any b any -P out none;", "any address is written 0.0.0.0/0, or ::/0 for IPv6"),
        ("spdadd [2001:db8::1] b any -P out none;", "an IPv6 address stands without brackets: those hold a port"),
        ("spdadd a[80,443] b tcp -P out none;", "a port is one number, one name or `any`: no range"),
        ("spdadd a[*] b tcp -P out none;", "any port is written `any`"),
        ("spdadd a b udp 500 -P out none;", "a port stands in brackets behind its address: ADDRESS[PORT]"),
        (
            "spdadd a b udp isakmp -P out none;",
            "ports stand in brackets after the addresses; only icmp, icmp6, gre and mh have anything after their names",
        ),
        ("spdadd a b esp -P out none;", "as an upper-layer protocol esp is written by its number, 50"),
        ("spdadd a b any out none;", "a policy follows -P: -P in, -P out or -P fwd, then what to do"),
        ("spdadd a b any dir out none;", "what to do with the packets follows -P: -P out ipsec ..."),
        ("spdadd a b icmp echo -P out none;", "type and code are two numbers with a comma: 8,0 for an echo request"),
        (
            "spdadd a b any -P out none\nspdadd b a any -P in none;",
            "`spdadd` begins a statement: the one before it is cut short or lacks its `;`",
        ),
    ] {
        assert_eq!(hint(source), expected, "{source}");
    }
}

#[test]
fn hints_and_places_in_policies() {
    let both = "a tunnel needs the addresses of both ends; any-me and me-any are for transport mode";
    for (policy, at, expected) in [
        ("incoming none", "incoming", "did you mean `in`?"),
        ("ipsec esp/transport//use", "ipsec", "the direction goes first: in, out or fwd"),
        ("out drop", "drop", "did you mean `discard`?"),
        ("out permit", "permit", "did you mean `none`?"),
        ("out esp/transport//use", "esp", "`ipsec` goes between the direction and the steps: out ipsec esp/..."),
        ("out ipsec esp/transport//required", "required", "did you mean `require`?"),
        ("out ipsec esp/transport//optional", "optional", "did you mean `use`?"),
        ("out ipsec esp/tunel//use", "tunel", "did you mean `tunnel`?"),
        ("in ipsec esp/tunnel/any-192.0.2.1/require", "any", both),
        ("in ipsec esp/tunnel/me - 192.0.2.1/require", "me ", both),
        (
            "in ipsec esp/tunnel/192.0.2.1/192.0.2.2/require",
            "/192.0.2.2",
            "a tunnel needs the addresses of both ends, with a `-` between them",
        ),
        (
            "in ipsec esp/transport/require",
            "require",
            "the level follows a second slash where there are no addresses: esp/transport//require",
        ),
        ("in ipsec transport/esp//use", "transport", "the protocol goes before the mode: esp/transport//require"),
        ("in none prio 5", "prio", "the priority goes between the direction and the action: out prio 5 ipsec ..."),
        ("in ipsec esp/tunnel/192.0.2.1-any/require", "any", both),
        ("in ipsec esp/tunnel/%any-192.0.2.1/require", "%", both),
        (
            "in ipsec esp/tunnel/192.0.2.0/24-192.0.3.0/24/require",
            "/24-",
            "the ends of a tunnel are single addresses, without the length of a prefix",
        ),
        (
            "in ipsec esp/tunnel/192.0.2.1/require",
            "/require",
            "a tunnel needs the addresses of both ends, with a `-` between them",
        ),
        ("in ipsec esp/tunnel/192.0.2.1-::1/use", "::1", "the two ends of a tunnel are both IPv4 or both IPv6"),
        (
            "in ipsec esp/tunnel//use",
            "tunnel",
            "tunnel mode needs the addresses of both ends: esp/tunnel/SRC-DST/require",
        ),
        ("in ipsec udp/transport//use", "udp", "a step is of esp, ah or ipcomp: ESP in UDP is esp, too"),
        ("out ipsec esp/transport//unique:x", "unique:x", "a decimal number follows `unique:`"),
        ("out ipsec esp/transport//unique=5", "=", "the number of `unique` follows a colon: `unique:N`"),
        (
            "out ipsec esp/transport//require, ah/transport//require",
            ", ah",
            "the steps of a policy have blanks between them, and no commas",
        ),
        (
            "out ipsec esp/tunnel/192.0.2.1,192.0.2.2/use",
            ",192",
            "the two addresses of a tunnel have a `-` between them",
        ),
        ("out ipsec \"esp/transport//require\"", "\"esp", "the policy behind -P stands without quotes"),
        ("out ipsec esp/transport//unique#5", "#", "the `unique#N` of a listing is written `unique:N`"),
    ] {
        let source = format!("spdadd a b any -P {policy};");
        let error = parse(&source, 1).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(expected), "{policy}");
        assert_eq!(error.offset, source.rfind(at).unwrap(), "{policy}");
    }
}
