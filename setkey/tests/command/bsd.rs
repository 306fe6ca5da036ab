//! Differences of the kernels and the `setkey` of FreeBSD and NetBSD.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use expect_test::expect;
use libpfkey::Dialect;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::program::{Scratch, command, fed, masked, script};
use crate::server::Server;

#[test]
fn freebsd_policies_without_priority_come_first() {
    let text = "spdadd 10.20.0.1 10.20.0.2 any -P in none;\n\
                spdadd 10.1.0.0/24 10.2.0.0/24 any -P out ipsec esp/tunnel/198.51.100.2-203.0.113.9/unique:1;\n\
                spddump;";
    let ended = script("freebsd", text);
    expect![[r"
        10.20.0.1[any] 10.20.0.2[any] any
        	in none
        	spid=1 seq=1 pid=PID scope=global
        	refcnt=1
        10.1.0.0/24[any] 10.2.0.0/24[any] any
        	out ipsec
        	esp/tunnel/198.51.100.2-203.0.113.9/unique:1
        	spid=2 seq=0 pid=PID scope=global
        	refcnt=1
    "]]
    .assert_eq(&masked(&ended.stdout));
    let verbose = fed(&["--backend", "memory", "--dialect", "freebsd", "-v", "-f", "-"], text.as_bytes());
    let sent = "sadb_x_policy{ type=1 dir=1 id=0 scope=0 priority=0 }\n";
    assert!(verbose.stdout.contains(sent), "{}", verbose.stdout);
}

#[test]
fn netbsd_protocols_have_number_and_name() {
    let text = "spdadd 192.0.2.45 192.0.2.23 4 -P out ipsec esp/transport//unique:8194;\n\
                spdadd 192.0.2.45 192.0.2.23 any -P in ipsec esp/transport//require;\n\
                spddump;";
    expect![[r"
        192.0.2.45[any] 192.0.2.23[any] 255(reserved)
        	in ipsec
        	esp/transport//require
        	spid=2 seq=1 pid=PID
        	refcnt=1
        192.0.2.45[any] 192.0.2.23[any] 4(ipv4)
        	out ipsec
        	esp/transport//unique:8194
        	spid=1 seq=0 pid=PID
        	refcnt=1
    "]]
    .assert_eq(&masked(&script("netbsd", text).stdout));
}

#[test]
fn scopes_of_freebsd_policies() {
    let server = Server::new(Dialect::FreeBsd);
    server.load("spdadd 10.0.0.1 10.0.0.2 any -P out none;");
    let dump = |letters: &str| server.setkey(&[letters]).stdout;
    let all = dump("-DP");
    assert!(all.contains(" scope=global\n"), "{all}");
    assert_eq!(masked(&dump("-DPg")), masked(&all));
    assert_eq!(masked(&dump("-DPgt")), masked(&all));
    assert_eq!(dump("-DPt"), "No SPD entries.\n");
    assert_eq!(server.setkey(&["-DPt", "--json"]).stdout, "{\"version\":1,\"policies\":[]}\n");
}

#[test]
fn tcp_md5_of_many_peers_of_freebsd() {
    let text = "add 192.0.2.20 192.0.2.21 tcp 0x1000 -A tcp-md5 \"secret of this peer\";\n\
                add 192.0.2.21 192.0.2.20 tcp 0x1000 -A tcp-md5 \"secret of this peer\";\n\
                add 192.0.2.20 192.0.2.30 tcp 0x1000 -A tcp-md5 \"another\";\n\
                dump tcp;";
    for dialect in ["freebsd", "netbsd"] {
        let ended = script(dialect, text);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{dialect}");
        assert_eq!(ended.stdout.matches("\ttcp mode=any spi=4096(0x00001000)").count(), 3, "{dialect}");
    }
}

#[test]
fn netbsd_reqid_has_16_bits() {
    let statement = |reqid: &str| format!("add 10.0.0.1 10.0.0.2 esp 0x1001 -u {reqid} -E null;\n");
    let text = "reqid 65541 not in 0 to 65535: NetBSD has 16 bits for it";
    let ended = script("netbsd", &statement("65541"));
    assert!(ended.code == Some(1) && ended.stderr.contains(text), "{ended:?}");
    let ended = fed(&["--dialect", "netbsd", "--check", "-"], statement("65541").as_bytes());
    assert!(ended.code == Some(1) && ended.stderr.contains(text), "{ended:?}");
    assert!(ended.stderr.starts_with("-:1:34: "), "{ended:?}");
    for (policy, part, text) in [
        (
            "ipsec esp/transport//unique:70000",
            "unique",
            "reqid 70000 not in 0 to 65535: policies of netbsd have 16 bits for it",
        ),
        ("prio 5 none", "prio", "Policy priority not compiled in"),
    ] {
        let statement = format!("spdadd 10.0.0.1 10.0.0.2 any -P out {policy};\n");
        let ended = fed(&["--dialect", "netbsd", "--check", "-"], statement.as_bytes());
        let column = statement.find(part).unwrap() + 1;
        assert!(ended.stderr.starts_with(&format!("-:1:{column}: {text} at `")), "{ended:?}");
    }
    assert_eq!(script("netbsd", &statement("65535")).all(), (Some(0), "", ""));
    assert_eq!(script("freebsd", &statement("65541")).all(), (Some(0), "", ""));
}

#[test]
fn deleteall_without_a_protocol_deletes_tcp_too() {
    let text = "add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 \"key\";\n\
                add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;\n\
                add 10.0.0.2 10.0.0.1 esp 0x1002 -E null;\n\
                deleteall 10.0.0.1 10.0.0.2;\ndump;";
    for dialect in ["freebsd", "netbsd"] {
        let ended = script(dialect, text);
        let left: Vec<_> = ended.stdout.lines().filter(|line| line.contains("spi=")).collect();
        assert!(matches!(left[..], [line] if line.starts_with("\tesp mode=any spi=4098")), "{dialect}: {ended:?}");
    }
}

/// A kernel of the BSDs, seen over a socket: it counts the header of X_PROMISC twice.
#[test]
fn broadcasts_of_a_bsd_kernel() {
    let path = Scratch::path();
    let listener = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    listener.bind(&SockAddr::unix(path.as_path()).unwrap()).unwrap();
    listener.listen(1).unwrap();
    let backend = format!("socket:{}", path.as_str());
    let mut setkey = command(&["--backend", &backend, "--dialect", "freebsd", "-hx"]);
    let mut child = setkey.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut kernel, _) = listener.accept().unwrap();
    let mut request = [0; 64];
    let length = kernel.read(&mut request).unwrap();
    assert_eq!((length, &request[..5]), (16, &[2, 11, 0, 1, 2][..]), "X_PROMISC on");
    let flush = [2, 9, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0];
    // 32 bytes with a length field of 48.
    let wrapped = [&[2, 11, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &flush].concat();
    for _ in 0..2 {
        kernel.send(&wrapped).unwrap();
    }
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().take(12).map(|line| line.unwrap()).collect();
    assert_eq!(
        lines[1..6],
        [
            "00000000: 02 0b 00 00 06 00 00 00 00 00 00 00 00 00 00 00 ",
            "00000010: 02 09 00 03 02 00 00 00 00 00 00 00 4d 00 00 00 ",
            "sadb_msg{ version=2 type=9 errno=0 satype=3",
            "  len=2 reserved=0 seq=0 pid=77",
            "",
        ],
        "{lines:#?}"
    );
    assert_eq!(lines[7..12], lines[1..6], "it goes on");
    drop(kernel);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "setkey: recv: Connection reset by peer\n");
}
