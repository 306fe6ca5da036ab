//! `-f`

use std::os::unix::fs::PermissionsExt;

use expect_test::expect;
use libpfkey::{Dialect, MessageType};

use crate::program::{Scratch, fed, masked, script, setkey};
use crate::server::Server;

const ADD: &str = "add 10.0.0.1 10.0.0.2 esp 0x1001 -m transport -E aes-cbc 0x00112233445566778899aabbccddeeff;\n";
const TUNNEL: &str = "spdadd 10.1.0.0/16 10.2.0.0/16 any -P in ipsec esp/tunnel/192.0.2.1-192.0.2.2/require;\n";

#[test]
fn an_sa_and_a_tunnel_in_every_dialect() {
    let text = format!("{ADD}{TUNNEL}dump;\nspddump;\n");
    let linux = script("linux", &text);
    expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	E: aes-cbc  00112233 44556677 8899aabb ccddeeff
        	seq=0x00000000 replay=0 flags=0x00000000 state=mature 
        	created:
        	diff:
        	last:
        	current: 0(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 0	hard: 0	soft: 0
        	sadb_seq=0 pid=PID refcnt=0
        10.1.0.0/16[any] 10.2.0.0/16[any] 255
        	fwd prio def ipsec
        	esp/tunnel/192.0.2.1-192.0.2.2/require
        	created:
        	lifetime: 0(s) validtime: 0(s)
        	spid=10 seq=1 pid=PID
        	refcnt=1
        10.1.0.0/16[any] 10.2.0.0/16[any] 255
        	in prio def ipsec
        	esp/tunnel/192.0.2.1-192.0.2.2/require
        	created:
        	lifetime: 0(s) validtime: 0(s)
        	spid=8 seq=0 pid=PID
        	refcnt=1
    "#]]
    .assert_eq(&masked(&linux.stdout));
    assert_eq!((linux.code, linux.stderr.as_str()), (Some(0), ""));
    let netbsd = script("netbsd", &text);
    expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	E: aes-cbc  00112233 44556677 8899aabb ccddeeff
        	seq=0x00000000 replay=0 flags=0x00000040 state=mature 
        	created:
        	diff:
        	last:
        	current: 0(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 0	hard: 0	soft: 0
        	sadb_seq=0 pid=PID refcnt=1
        10.1.0.0/16[any] 10.2.0.0/16[any] 255(reserved)
        	in ipsec
        	esp/tunnel/192.0.2.1-192.0.2.2/require
        	spid=1 seq=0 pid=PID
        	refcnt=1
    "#]]
    .assert_eq(&masked(&netbsd.stdout));
    assert_eq!((netbsd.code, netbsd.stderr.as_str()), (Some(0), ""));
    assert_eq!(masked(&script("darwin", &text).stdout), masked(&netbsd.stdout).replace("255(reserved)", "255"));
    let freebsd = masked(&netbsd.stdout)
        .replace("255(reserved)", "any")
        .replace("pid=PID\n\trefcnt", "pid=PID scope=global\n\trefcnt");
    assert_eq!(masked(&script("freebsd", &text).stdout), freebsd);
}

#[test]
fn limits_in_packets_in_every_dialect() {
    for dialect in ["linux", "freebsd", "netbsd", "darwin"] {
        let shown = script(dialect, "add 10.0.0.1 10.0.0.2 esp 0x1001 -ph 4294967295 -ps 7 -E null;\ndump;\n");
        assert!(shown.stdout.contains("\tallocated: 0\thard: 4294967295\tsoft: 7\n"), "{dialect}: {}", shown.stdout);
    }
}

#[test]
fn verbose_messages_of_netbsd() {
    let ended = fed(&["--backend", "memory", "--dialect", "netbsd", "-v", "-f", "-"], TUNNEL.as_bytes());
    expect![[r#"
        sadb_msg{ version=2 type=14 errno=0 satype=0
          len=15 reserved=0 seq=0 pid=PID
        sadb_ext{ len=7 type=18 }
        sadb_x_policy{ type=2 dir=1 flags=0x00 id=0 }
         { len=40 proto=50 mode=2 level=2 reqid=0
        sockaddr{ len=16 family=2 port=0
         c0000201  }
        sockaddr{ len=16 family=2 port=0
         c0000202  }
         }
        sadb_ext{ len=3 type=5 }
        sadb_address{ proto=255 prefixlen=16 reserved=0x0000 }
        sockaddr{ len=16 family=2 port=0
         0a010000  }
        sadb_ext{ len=3 type=6 }
        sadb_address{ proto=255 prefixlen=16 reserved=0x0000 }
        sockaddr{ len=16 family=2 port=0
         0a020000  }

        sadb_msg{ version=2 type=14 errno=0 satype=0
          len=15 reserved=0 seq=0 pid=PID
        sadb_ext{ len=7 type=18 }
        sadb_x_policy{ type=2 dir=1 flags=0x00 id=1 }
         { len=40 proto=50 mode=2 level=2 reqid=0
        sockaddr{ len=16 family=2 port=0
         c0000201  }
        sockaddr{ len=16 family=2 port=0
         c0000202  }
         }
        sadb_ext{ len=3 type=5 }
        sadb_address{ proto=255 prefixlen=16 reserved=0x0000 }
        sockaddr{ len=16 family=2 port=0
         0a010000  }
        sadb_ext{ len=3 type=6 }
        sadb_address{ proto=255 prefixlen=16 reserved=0x0000 }
        sockaddr{ len=16 family=2 port=0
         0a020000  }

    "#]]
    .assert_eq(&masked(&ended.stdout));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn sent_messages_in_hexadecimal() {
    let ended = fed(&["--backend", "memory", "--dialect", "netbsd", "-H", "-f", "-"], b"flush esp;");
    let pid = ended.stdout.lines().next().unwrap().split_once(": ").unwrap().1.split(' ').collect::<Vec<_>>();
    assert_eq!(pid[..12], ["02", "09", "00", "03", "02", "00", "00", "00", "00", "00", "00", "00"]);
}

#[test]
fn first_error_ends_the_run_after_earlier_statements() {
    let server = Server::new(Dialect::Linux);
    let file = Scratch::file(format!("{ADD}\nfrob;\nadd 10.0.0.1 10.0.0.2 esp 0x1002 -E null;\n"));
    let name = file.as_str();
    let ended = server.setkey(&["-f", name]);
    let stderr = format!("setkey: {name},3: syntax error at `frob'\nsetkey: {name},3: parse failed\n");
    assert_eq!(ended.all(), (Some(1), "", stderr.as_str()));
    let dumped = server.setkey(&["-D"]).stdout;
    assert!(dumped.contains("spi=4097(") && !dumped.contains("spi=4098("), "{dumped}");
}

#[test]
fn refusals_are_reported_and_do_not_end_the_run() {
    let text = format!("{ADD}{ADD}delete 10.0.0.1 10.0.0.2 esp 0x1009;\n\nflush esp;\ndump;\n");
    for (dialect, delete) in [("linux", "No such process"), ("netbsd", "No entry"), ("freebsd", "No such process")] {
        let ended = script(dialect, &text);
        let stderr = format!("setkey: -,2: File exists\nsetkey: -,3: {delete}\nsetkey: -,6: No SAD entries\n");
        assert_eq!(ended.all(), (Some(0), "", stderr.as_str()), "{dialect}");
        let strict = fed(&["--backend", "memory", "--dialect", dialect, "-e", "-f", "-"], text.as_bytes());
        assert_eq!(strict.code, Some(1), "{dialect}");
    }
}

#[test]
fn messages_follow_the_output_of_earlier_statements() {
    // Both streams in one pipe, as in a log.
    let file = Scratch::file(format!("{ADD}dump;\ndelete 10.0.0.1 10.0.0.2 esp 0x1009;\ndump;\nfrob;\n"));
    let line = format!("exec {} --backend memory -f {} 2>&1", env!("CARGO_BIN_EXE_setkey"), file.as_str());
    let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let places: Vec<_> =
        ["sadb_seq=0", ",3: ", "sadb_seq=0", ",5: syntax"].iter().map(|piece| text.find(piece).unwrap()).collect();
    assert!(places[0] < places[1] && places[1] < places[3], "{text}");
    assert_eq!(text.matches("sadb_seq=0").count(), 2, "{text}");
}

#[test]
fn addresses_of_two_families() {
    let ended = script("linux", "flush;\nadd 10.0.0.1 ::1 esp 0x1001 -E null;\n");
    assert_eq!(ended.all(), (Some(1), "", "setkey: -,2: parse failed\n"));
}

#[test]
fn continued_lines_and_comments() {
    let text = "# keys\nadd 10.0.0.1 10.0.0.2 esp \\\n 0x1001\n -E null; # one\nget 10.0.0.1 10.0.0.2 esp 0x1001;";
    let ended = script("linux", text);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("spi=4097("), "{}", ended.stdout);
}

#[test]
fn carriage_returns_are_refused() {
    let ended = script("linux", "flush;\r\ndump;\r\n");
    assert_eq!(ended.all(), (Some(1), "", "setkey: -,1: Syntax error at `\r'\n"));
}

#[test]
fn quit_ends_the_file() {
    assert_eq!(script("linux", "flush; quit; this is not read").all(), (Some(0), "", ""));
}

#[test]
fn statement_without_semicolon() {
    let ended = script("linux", "flush;\ndump");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.ends_with("setkey: -,2: parse failed\n"), "{}", ended.stderr);
    assert_eq!(script("linux", "").all(), (Some(0), "", ""));
    assert_eq!(script("linux", "# nothing\n\n").all(), (Some(0), "", ""));
}

#[test]
fn huge_statement() {
    for rest in [format!("\"{}", "A".repeat(200_000)), "x ".repeat(100_000), " ".repeat(100_000)] {
        let ended = script("linux", &format!("{ADD}add 10.0.0.1 10.0.0.2 esp 0x1002 -E aes-cbc {rest}"));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.starts_with("setkey: -,2: "), "{}", &ended.stderr[..ended.stderr.len().min(200)]);
        assert!(ended.stderr.len() < 1000 && !ended.stderr.contains("AAAA"), "{} bytes", ended.stderr.len());
    }
}

#[test]
fn errors_do_not_contain_keys() {
    for key in ["\"Geheim0\"", "0x47656865696d30"] {
        let ended = script("linux", &format!("add 10.0.0.1 10.0.0.2 esp 0x1001 -E aes-cbc {key};"));
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("Invalid key length: aes-cbc takes"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("Geheim") && !ended.stderr.contains("4765"), "{}", ended.stderr);
    }
}

#[test]
fn files_that_cannot_be_read() {
    let missing = setkey(&["--backend", "memory", "-f", "/nonexistent/x"]);
    assert_eq!(missing.all(), (Some(1), "", "setkey: Can't open `/nonexistent/x': No such file or directory\n"));
    let directory = setkey(&["--backend", "memory", "-f", "/"]);
    assert_eq!(directory.all(), (Some(1), "", "setkey: /: Is a directory\n"));
    let file = Scratch::file("flush;");
    std::fs::set_permissions(file.as_path(), PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read(file.as_path()).is_err() {
        let refused = setkey(&["--backend", "memory", "-f", file.as_str()]);
        let stderr = format!("setkey: Can't open `{}': Permission denied\n", file.as_str());
        assert_eq!(refused.all(), (Some(1), "", stderr.as_str()));
    }
}

#[test]
fn without_action_nothing_is_sent() {
    let server = Server::new(Dialect::Linux);
    let text = format!("{ADD}{TUNNEL}flush; spdflush; dump; deleteall 10.0.0.1 10.0.0.2;\n");
    assert_eq!(server.fed(&["-n", "-f", "-"], &text).all(), (Some(0), "", ""));
    let types: Vec<_> = server.requests().iter().map(|header| header.message_type).collect();
    assert_eq!(types, [MessageType::Register]);
    let wrong = server.fed(&["-n", "-f", "-"], "flush;\nfrob;\n");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.starts_with("setkey: -,2: syntax error"), "{}", wrong.stderr);
}

#[test]
fn requests_are_pipelined_unless_watched() {
    let server = Server::new(Dialect::Linux);
    server.load(&format!("{ADD}{TUNNEL}"));
    let seqs: Vec<_> = server.requests().iter().skip(1).map(|header| header.seq).collect();
    assert_eq!(seqs.len(), 3, "the policy for forwarded packets, too");
    assert!(seqs.iter().all(|seq| *seq >= 1 << 31), "{seqs:x?}");
    for option in ["-v", "-H"] {
        server.fed(&[option, "-f", "-"], "flush; spdflush;");
        assert!(server.requests().iter().all(|header| header.seq == 0), "{option}");
    }
}

#[test]
fn inbound_policies_get_a_forward_copy_on_linux() {
    let text = format!("{TUNNEL}spddump;");
    assert!(script("linux", &text).stdout.contains("\tfwd prio def ipsec\n"));
    let kernel = fed(&["--backend", "memory", "--dialect", "linux", "-k", "-f", "-"], text.as_bytes());
    assert!(!kernel.stdout.contains("\tfwd ") && kernel.stdout.contains("\tin prio def ipsec\n"), "{}", kernel.stdout);
    let netbsd = fed(&["--backend", "memory", "--dialect", "netbsd", "-k", "-f", "-"], TUNNEL.as_bytes());
    let warning = "warning: -r and -k options are not supported in this environment\n";
    assert_eq!(netbsd.all(), (Some(0), warning, ""));
}

#[test]
fn socket_without_a_peer_is_reported() {
    let path = Scratch::path();
    let backend = format!("socket:{}", path.as_str());
    let ended = fed(&["--backend", &backend, "-f", "-"], b"flush;");
    assert_eq!(ended.all(), (Some(1), "", "setkey: connect: No such file or directory\n"));
}
