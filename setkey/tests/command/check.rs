//! `--check`

use std::path::Path;

use expect_test::expect;

use crate::program::{Scratch, fed, setkey};

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
        -:5:1: source and destination are of different address families at `add'
          add 10.0.0.1 ::1 esp 0x1003 -E null;
          ^
        -:6:51: Too few arguments
          spdadd 10.0.0.0/8 10.0.0.0/8 any -P out ipsec esp/tunel//require;
                                                            ^
          a request is PROTOCOL/transport or PROTOCOL/tunnel, then /[SRC-DST]/LEVEL
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
fn a_good_script_is_passed_in_silence() {
    let text = "flush; spdflush; add west.example 10.0.0.2 esp 0x1001 -E null;\n";
    assert_eq!(checked("linux", text), (Some(0), String::new()));
    assert_eq!(checked("linux", ""), (Some(0), String::new()));
}

#[test]
fn what_one_kernel_can_another_cannot() {
    let text = "add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 \"a secret\";\n";
    assert_eq!(checked("freebsd", text), (Some(0), String::new()));
    let (code, stderr) = checked("linux", text);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Not supported: linux PF_KEY has no TCP-MD5 SAs"), "{stderr}");
}

#[test]
fn what_a_message_has_no_place_for() {
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
fn linux_is_judged_by_its_best_door() {
    let (code, stderr) = checked("linux", BEYOND_PF_KEY);
    assert_eq!(code, Some(1));
    expect![[r#"
        -:1:84: Invalid key length: aes-gcm-16 takes 160, 224, 288 bits, not 40 at `aes-gcm-16'
          ...-mark 1/0xff -esn -r 4096 -offload packet eth9 -E aes-gcm-16 ************;
                                                               ^
        -:4:1: replay window 4097 not in 0 to 4096 at `add'
          add 10.0.0.1 10.0.0.2 esp 0x1003 -r 4097 -E null;
          ^
        setkey: -: 2 errors
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn the_other_door_of_linux_when_it_is_asked_for() {
    let ended = fed(&["--backend", "pfkey", "--dialect", "linux", "--check", "-"], BEYOND_PF_KEY.as_bytes());
    assert_eq!(ended.code, Some(1));
    let refused: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("-:")).collect();
    let expected = [
        "-:1:1: Not supported: a PF_KEY message of linux has no place for -esn at `add'",
        "-:2:1: Not supported: a PF_KEY message of linux has no place for -if-id at `add'",
        "-:4:1: replay window 4097 not in 0 to 255 at `add'",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn the_examples_are_good() {
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
fn a_huge_statement_is_one_error() {
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
fn the_file_is_named() {
    let file = Scratch::file("\n  frob;\n");
    let ended = setkey(&["--check", file.as_str()]);
    assert!(ended.stderr.starts_with(&format!("{}:2:3: syntax error", file.as_str())), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(&format!("setkey: {}: 1 error\n", file.as_str())), "{}", ended.stderr);
}
