//! `racoonctl` with a running daemon.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use regress_skipped::skip;

use crate::Site;

/// Scripts under `set -e` delete what may not exist.
#[test]
fn deleting_a_missing_sa_succeeds() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    let ran = site.ctl(&["delete-sa", "isakmp", "inet", "127.0.0.1", "192.0.2.77"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "racoonctl: delete-sa: there is no SA between these hosts\n");
    for table in ["isakmp", "esp", "ah", "ipsec"] {
        assert_eq!(site.ctl(&["flush-sa", table]).status, Some(0));
    }
    // A negotiation that cannot start is an error.
    let ran = site.ctl(&["establish-sa", "esp", "inet", "127.0.0.1/32/0", "192.0.2.77/32/0", "any"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
}

#[test]
fn unwritable_table_fails() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        return skip("there is no /dev/full");
    };
    let site = Site::new();
    let _daemon = site.start(&[]);
    for table in ["isakmp", "ipsec"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_racoonctl"));
        command.arg("-s").arg(site.path("racoon.sock")).args(["show-sa", table]);
        let output = command.stdout(full.try_clone().unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "racoonctl: standard output: No space left on device\n");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// ipsec-tools' racoonctl asks to flush all SAs.
#[test]
#[cfg(target_endian = "little")]
fn client_of_another_protocol_is_refused() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    let mut client = UnixStream::connect(site.path("racoon.sock")).unwrap();
    client.write_all(&[8, 0, 0x02, 0x01, 0, 0, 0xff, 0x02]).unwrap();
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).unwrap();
    assert_eq!((reply.len(), &reply[..4], &reply[6..]), (8, &[8, 0, 0x02, 0x01][..], &[0xff, 0x02][..]));
    assert_ne!(reply[4..6], [0, 0]);
    site.await_log(
        "ERROR: control socket: flush-sa refused: the client speaks another protocol, such as the racoonctl of ipsec-tools\n",
    );
}
