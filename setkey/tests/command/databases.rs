//! `-D`, `-DP`, `-F`, `-FP` and scripts, over several runs.

use std::io::Read as _;
use std::process::Stdio;

use expect_test::expect;
use libpfkey::{Dialect, MessageType};

use crate::program::{command, masked};
use crate::server::Server;

const SAS: &str = "\
add 10.0.0.1 10.0.0.2 esp 0x1001 -m transport -u 7 -E aes-cbc 0x00112233445566778899aabbccddeeff;
add 10.0.0.2 10.0.0.1 ah 0x1002 -lh 600 -ls 480 -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213;
add 2001:db8::1 2001:db8::2 esp 0x1003 -E null -A hmac-sha256 \"abcdefghijklmnopqrstuvwxyz012345\";
";

const POLICIES: &str = "\
spdadd 10.1.0.0/16 10.2.0.0/16[80] tcp -P out ipsec esp/tunnel/192.0.2.1-192.0.2.2/require;
spdadd 10.1.0.0/16 10.3.0.0/16 any -P out none;
";

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn tables_persist_between_runs() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        assert_eq!(server.setkey(&["-D"]).all(), (Some(0), "No SAD entries.\n", ""));
        assert_eq!(server.setkey(&["-DP"]).all(), (Some(0), "No SPD entries.\n", ""));
        assert_eq!(server.setkey(&["-e", "-D"]).code, Some(1));
        server.load(SAS);
        server.load(POLICIES);
        let (sas, policies) = (server.setkey(&["-D"]), server.setkey(&["-DP"]));
        assert_eq!((sas.code, sas.stderr.as_str(), count(&sas.stdout, "spi=")), (Some(0), "", 3), "{dialect}");
        assert_eq!((policies.code, policies.stderr.as_str()), (Some(0), ""), "{dialect}");
        assert_eq!(count(&policies.stdout, "spid="), 2, "{dialect}");
        assert_eq!(server.setkey(&["-FP"]).all(), (Some(0), "", ""));
        assert_eq!(server.setkey(&["-DP"]).stdout, "No SPD entries.\n");
        assert_eq!(count(&server.setkey(&["-D"]).stdout, "spi="), 3, "policies only");
        assert_eq!(server.setkey(&["-F"]).all(), (Some(0), "", ""));
        assert_eq!(server.setkey(&["-D"]).stdout, "No SAD entries.\n");
    }
}

#[test]
fn dump_sas() {
    let server = Server::new(Dialect::NetBsd);
    server.load(SAS);
    expect![[r#"
        2001:db8::1 2001:db8::2 
        	esp mode=any spi=4099(0x00001003) reqid=0(0x00000000)
        	E: null 
        	A: hmac-sha256  61626364 65666768 696a6b6c 6d6e6f70 71727374 75767778 797a3031 32333435
        	seq=0x00000000 replay=0 flags=0x00000040 state=mature 
        	created:
        	diff:
        	last:
        	current: 0(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 0	hard: 0	soft: 0
        	sadb_seq=2 pid=PID refcnt=1
        10.0.0.2 10.0.0.1 
        	ah mode=any spi=4098(0x00001002) reqid=0(0x00000000)
        	A: hmac-sha1  00010203 04050607 08090a0b 0c0d0e0f 10111213
        	seq=0x00000000 replay=0 flags=0x00000040 state=mature 
        	created:
        	diff:
        	last:
        	current: 0(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 0	hard: 0	soft: 0
        	sadb_seq=1 pid=PID refcnt=1
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=7(0x00000007)
        	E: aes-cbc  00112233 44556677 8899aabb ccddeeff
        	seq=0x00000000 replay=0 flags=0x00000040 state=mature 
        	created:
        	diff:
        	last:
        	current: 0(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 0	hard: 0	soft: 0
        	sadb_seq=0 pid=PID refcnt=1
    "#]]
    .assert_eq(&masked(&server.setkey(&["-D"]).stdout));
    let ports = server.setkey(&["-pD"]).stdout;
    assert!(ports.contains("10.0.0.1[0] 10.0.0.2[0] \n"), "{ports}");
}

#[test]
fn dump_policies() {
    let server = Server::new(Dialect::Linux);
    server.load(POLICIES);
    expect![[r#"
        10.1.0.0/16[any] 10.3.0.0/16[any] 255
        	out prio def none
        	created:
        	lifetime: 0(s) validtime: 0(s)
        	spid=9 seq=1 pid=PID
        	refcnt=1
        10.1.0.0/16[any] 10.2.0.0/16[80] tcp
        	out prio def ipsec
        	esp/tunnel/192.0.2.1-192.0.2.2/require
        	created:
        	lifetime: 0(s) validtime: 0(s)
        	spid=1 seq=0 pid=PID
        	refcnt=1
    "#]]
    .assert_eq(&masked(&server.setkey(&["-DP"]).stdout));
}

#[test]
fn deleteall_deletes_sas_between_two_hosts() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load(SAS);
        server.load("add 10.0.0.1 10.0.0.2 ah 0x1005 -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213;");
        server.load("deleteall 10.0.0.1 10.0.0.2 ah;");
        let left = server.setkey(&["-D"]).stdout;
        assert!(!left.contains("spi=4101(") && left.contains("spi=4097("), "{dialect}: {left}");
        server.load("deleteall 10.0.0.1 10.0.0.2;");
        let left = server.setkey(&["-D"]).stdout;
        assert!(!left.contains("spi=4097(") && count(&left, "spi=") == 2, "{dialect}: {left}");
        let nothing = server.fed(&["-f", "-"], "deleteall 10.9.9.9 10.0.0.2;");
        assert_eq!(nothing.all(), (Some(0), "", ""), "{dialect}");
    }
}

#[test]
fn getspi_and_update_of_a_larval_sa_in_one_run() {
    let update = "update 10.0.0.1 10.0.0.2 esp 0x2001 -E aes-cbc 0x00112233445566778899aabbccddeeff;";
    let text = format!("getspi 10.0.0.1 10.0.0.2 esp 0x2001; {update} get 10.0.0.1 10.0.0.2 esp 0x2001;");
    for dialect in Dialect::ALL {
        let ended = Server::new(dialect).fed(&["-f", "-"], &text);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{dialect}");
        assert!(ended.stdout.contains("state=mature"), "{dialect}: {}", ended.stdout);
    }
}

#[test]
fn policies_are_deleted_by_selector_and_direction() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load(POLICIES);
        server.load("spddelete 10.1.0.0/16 10.3.0.0/16 any -P out;");
        let left = server.setkey(&["-DP"]).stdout;
        assert!(count(&left, "spid=") == 1 && left.contains("10.2.0.0/16[80]"), "{dialect}: {left}");
        let again = server.fed(&["-f", "-"], "spddelete 10.1.0.0/16 10.3.0.0/16 any -P out;");
        assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""), "{dialect}");
        let text = if dialect == Dialect::Linux { "No entry" } else { "Invalid argument" };
        assert_eq!(again.stderr, format!("setkey: -,1: {text}\n"), "{dialect}");
    }
}

#[test]
fn temporary_errors_of_the_kernel_are_reported() {
    let server = Server::new(Dialect::Linux);
    server.engine.fail_next(MessageType::Flush, libc::ENOMEM);
    assert_eq!(server.setkey(&["-F"]).all(), (Some(0), "Cannot allocate memory.\n", ""));
    server.engine.fail_next(MessageType::Dump, libc::EBUSY);
    assert_eq!(
        server.setkey(&["--json", "-D"]).all(),
        (Some(1), "{\"version\":1,\"sas\":[]}\n", "setkey: Device or resource busy\n")
    );
}

#[test]
fn closed_pipe_is_not_reported() {
    let server = Server::new(Dialect::Linux);
    let many: String = (0x1000..0x1800)
        .map(|spi| format!("add 10.0.0.1 10.0.0.2 esp {spi} -E aes-cbc 0x00112233445566778899aabbccddeeff;\n"))
        .collect();
    server.load(&many);
    let options = server.options();
    for modes in [&["-D"][..], &["--json", "-D"], &["-l", "-D"]] {
        let all: Vec<&str> = options.iter().map(String::as_str).chain(modes.iter().copied()).collect();
        let mut child = command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut begin = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut begin).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{modes:?}: {stderr}");
        assert!(!stderr.contains("panic"), "{modes:?}: {stderr}");
    }
}
