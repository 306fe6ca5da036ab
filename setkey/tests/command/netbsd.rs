//! Scripts with the observed answers of a NetBSD kernel, which the in-process key engine gives as well.

use std::fmt::Write as _;

use expect_test::expect;

use crate::program::script;

/// `add` of ESP with an SPI, options before the algorithms.
fn esp(spi: &str, options: &str) -> String {
    change("add", spi, options)
}

fn change(verb: &str, spi: &str, options: &str) -> String {
    let aes = "-E aes-cbc 0x000102030405060708090a0b0c0d0e0f";
    format!("{verb} 10.1.0.1 10.1.0.2 esp {spi} {options} {aes} -A hmac-sha1 {SHA1};\n")
}

const SHA1: &str = "0x000102030405060708090a0b0c0d0e0f00010203";

/// One line per SA of a dump: addresses, SPI and reqid, algorithms and state; then the text on standard error.
fn seen(title: &str, text: &str) -> String {
    let ended = script("netbsd", text);
    let mut seen = format!("# {title}\n");
    for line in ended.stdout.lines() {
        let word = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        match line.trim_start() {
            text if !line.starts_with('\t') => seen.push_str(text.trim_end()),
            text if text.contains(" spi=") => drop(write!(seen, " {text}")),
            text if text.starts_with("A:") || text.starts_with("E:") => drop(write!(seen, " {}", word(text))),
            text if text.contains(" state=larval") => seen.push_str(" larval"),
            text if text.starts_with("last:") => assert!(text.contains(" 20"), "the time of the boot: {text}"),
            text if text.starts_with("sadb_seq=") => seen.push('\n'),
            _ => {}
        }
    }
    for line in ended.stderr.lines().filter(|line| !line.contains("WARNING")) {
        let _ = writeln!(seen, "{}", line.rsplit(": ").next().unwrap_or_default());
    }
    seen
}

#[test]
fn what_is_refused() {
    let mut all = String::new();
    let mut check = |title, statement: &str| all.push_str(&seen(title, &format!("{statement}\ndump;\nspddump;")));
    let aes = "-E aes-cbc 0x000102030405060708090a0b0c0d0e0f";
    check("AH with a cipher", &format!("add 10.1.0.1 10.1.0.2 ah 0x3000 {aes} -A hmac-sha1 {SHA1};"));
    check("Camellia with 64 bits", "add 10.1.0.1 10.1.0.2 esp 0x3000 -E camellia-cbc 0x0001020304050607;");
    check("a CPI of 17 bits", "add 10.1.0.1 10.1.0.2 ipcomp 65536 -C deflate;");
    check("SPI 0", &esp("0", ""));
    check("SPI 255", &esp("255", ""));
    check("SPI of TCP-MD5", "add 10.1.0.1 10.1.0.2 tcp 0x1001 -A tcp-md5 \"secretkey\";");
    check("policy without steps", "spdadd 10.1.0.1 10.1.0.2 any -P out ipsec;");
    expect![[r"
        # AH with a cipher
        Invalid argument
        No SAD entries
        No SPD entries
        # Camellia with 64 bits
        Invalid argument
        No SAD entries
        No SPD entries
        # a CPI of 17 bits
        Invalid argument
        No SAD entries
        No SPD entries
        # SPI 0
        Invalid argument
        No SAD entries
        No SPD entries
        # SPI 255
        Invalid argument
        No SAD entries
        No SPD entries
        # SPI of TCP-MD5
        Invalid argument
        No SAD entries
        No SPD entries
        # policy without steps
        Invalid argument
        No SAD entries
        No SPD entries
    "]]
    .assert_eq(&all);
}

#[test]
fn what_is_loaded() {
    let mut all = String::new();
    let mut dump = |title, statements: &str| all.push_str(&seen(title, &format!("{statements}dump;")));
    let gcm = format!("add 10.1.0.1 10.1.0.2 esp 0x3000 -E aes-gcm-16 {SHA1} -A hmac-sha1 {SHA1};\n");
    dump("GCM with a hash", &gcm);
    dump("an SPI that is taken", &(esp("0x3000", "") + "getspi 10.1.0.1 10.1.0.2 esp 0x3000;\n"));
    dump("one group", &(esp("0x3000", "-m tunnel -u 5") + &esp("0x3001", "")));
    let natt = |port: &str, spi: &str| {
        esp(spi, "").replace("10.1.0.1 10.1.0.2 esp", &format!("10.1.0.1[4500] 10.1.0.2[{port}] esp-udp"))
    };
    dump("ports of a group", &(natt("4501", "0x3000") + &natt("4777", "0x3001")));
    let ah = format!("add 10.1.0.1 10.1.0.2 ah 0x3001 -A hmac-sha1 {SHA1};\n");
    dump("order", &(esp("0x3000", "") + &ah + &esp("0x3002", "")));
    dump("UPDATE of the mode", &(esp("0x3000", "-m transport") + &change("update", "0x3000", "-m tunnel")));
    dump("UPDATE of the reqid", &(esp("0x3000", "-u 5") + &change("update", "0x3000", "-u 6")));
    expect![[r"
        # GCM with a hash
        10.1.0.1 10.1.0.2 esp mode=any spi=12288(0x00003000) reqid=0(0x00000000) E: aes-gcm-16 A: aes-gmac-128
        # an SPI that is taken
        10.1.0.1 10.1.0.2 esp mode=any spi=12288(0x00003000) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        10.1.0.1 10.1.0.2 esp mode=any spi=12288(0x00003000) reqid=0(0x00000000) larval
        # one group
        10.1.0.1 10.1.0.2 esp mode=tunnel spi=12289(0x00003001) reqid=5(0x00000005) E: aes-cbc A: hmac-sha1
        10.1.0.1 10.1.0.2 esp mode=tunnel spi=12288(0x00003000) reqid=5(0x00000005) E: aes-cbc A: hmac-sha1
        # ports of a group
        10.1.0.1[4500] 10.1.0.2[4777] esp-udp mode=any spi=12289(0x00003001) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        10.1.0.1[4500] 10.1.0.2[4777] esp-udp mode=any spi=12288(0x00003000) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        # order
        10.1.0.1 10.1.0.2 ah mode=any spi=12289(0x00003001) reqid=0(0x00000000) A: hmac-sha1
        10.1.0.1 10.1.0.2 esp mode=any spi=12290(0x00003002) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        10.1.0.1 10.1.0.2 esp mode=any spi=12288(0x00003000) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        # UPDATE of the mode
        10.1.0.1 10.1.0.2 esp mode=transport spi=12288(0x00003000) reqid=0(0x00000000) E: aes-cbc A: hmac-sha1
        # UPDATE of the reqid
        10.1.0.1 10.1.0.2 esp mode=any spi=12288(0x00003000) reqid=5(0x00000005) E: aes-cbc A: hmac-sha1
        No such file or directory
    "]]
    .assert_eq(&all);
}
