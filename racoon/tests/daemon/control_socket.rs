//! Access to the control socket, with the capabilities that the systemd unit leaves to root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use regress_skipped::skip;

use crate::{Daemon, Site, spawn};

/// Users and groups of the test.
const OWNER: u32 = 4711;
const GROUP: u32 = 4712;
const STRANGER: u32 = 4713;

/// Capabilities over files that root has by default.
const OVER_FILES: [&str; 5] = ["chown", "dac_override", "dac_read_search", "fowner", "fsetid"];

/// Returns the option of setpriv(1) that drops the capabilities not in the unit.
fn bounding_set() -> String {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("boot/systemd/racoon.service");
    let unit = fs::read_to_string(unit).unwrap().to_lowercase();
    let kept = unit.lines().find_map(|line| line.strip_prefix("capabilityboundingset=")).unwrap();
    let kept: Vec<_> = kept.split(' ').filter_map(|name| name.strip_prefix("cap_")).collect();
    let lost: Vec<_> = OVER_FILES.iter().filter(|name| !kept.contains(name)).map(|name| format!("-{name}")).collect();
    assert!(lost.contains(&"-fowner".to_owned()), "the unit leaves CAP_FOWNER: what is this test for?");
    format!("--bounding-set={}", lost.join(","))
}

/// Returns a command that runs as root without those capabilities.
fn setpriv() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", &bounding_set()]);
    command
}

fn start(site: &Site) -> Daemon<'_> {
    let daemon = site.command(&["-F"]);
    let mut command = setpriv();
    command.arg(daemon.get_program()).args(daemon.get_args()).current_dir(site.directory.path());
    let _ = fs::remove_file(site.path("racoon.log"));
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let daemon = Daemon { site, child };
    site.await_log("used as isakmp port");
    daemon
}

/// Whether a user can use the socket.
fn may(site: &Site, user: u32, group: u32) -> bool {
    let mut command = Command::new(site.path("racoonctl"));
    command.arg("-s").arg(site.path("run/racoon.sock")).args(["show-sa", "isakmp"]);
    command.uid(user).gid(group).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(&mut command).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() || said.contains("Permission denied"), "{said}");
    output.status.success()
}

#[test]
fn only_its_users_reach_it() {
    if !geteuid().is_root() {
        return skip("it takes root to give a socket to others");
    }
    if !setpriv().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skip("there is no setpriv, or it may not take capabilities away");
    }
    let site = Site::new();
    fs::set_permissions(site.directory.path(), Permissions::from_mode(0o755)).unwrap();
    // Other users may not reach the build directory.
    fs::copy(env!("CARGO_BIN_EXE_racoonctl"), site.path("racoonctl")).unwrap();
    for (owner, mode, expected) in [
        // Access of the owner, a group member and a stranger; the mode of the directory.
        (0, "0660", ([false, true, false], 0o710)),
        (OWNER, "0660", ([true, true, false], 0o711)),
        (OWNER, "0600", ([true, false, false], 0o711)),
        (0, "0666", ([true, true, true], 0o711)),
    ] {
        let _ = fs::remove_dir_all(site.path("run"));
        let socket = format!("adminsock \"DIR/run/racoon.sock\" \"{owner}\" \"{GROUP}\" {mode};");
        site.configure("");
        let text = fs::read_to_string(site.path("racoon.conf")).unwrap();
        let own = format!("adminsock \"{}\";", site.path("racoon.sock").display());
        assert!(text.contains(&own), "{text}");
        site.write("racoon.conf", &text.replace(&own, &socket));
        // The second start finds the socket of a killed daemon, which does not belong to root.
        for _ in 0..2 {
            let mut daemon = start(&site);
            let users = [(OWNER, OWNER), (STRANGER, GROUP), (STRANGER, STRANGER)];
            let seen = users.map(|(user, group)| may(&site, user, group));
            let directory = fs::metadata(site.path("run")).unwrap();
            assert_eq!((seen, directory.mode() & 0o7777), expected, "{owner} {mode}");
            assert_eq!((directory.uid(), directory.gid()), (0, GROUP));
            let file = fs::metadata(site.path("run/racoon.sock")).unwrap();
            assert_eq!((file.uid(), file.gid(), format!("{:04o}", file.mode() & 0o7777)), (owner, GROUP, mode.into()));
            // Permission to pass is no permission to list.
            let list = Command::new("ls").arg(site.path("run")).uid(STRANGER).gid(GROUP).output().unwrap();
            assert!(!list.status.success(), "{list:?}");
            assert!(!site.log().contains("adminsock: group"), "{}", site.log());
            daemon.signal(Signal::SIGKILL);
            daemon.ended();
        }
    }
}

#[test]
fn unsearchable_directory_is_logged() {
    if !geteuid().is_root() {
        return skip("it takes root to give a socket to others");
    }
    let site = Site::new();
    fs::create_dir(site.path("closed")).unwrap();
    fs::set_permissions(site.path("closed"), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(site.directory.path(), Permissions::from_mode(0o755)).unwrap();
    let socket = site.path("closed/racoon.sock");
    site.configure("");
    let text = fs::read_to_string(site.path("racoon.conf")).unwrap();
    let text = text.replace(
        &format!("adminsock \"{}\";", site.path("racoon.sock").display()),
        &format!("adminsock \"{}\" \"0\" \"{GROUP}\" 0660;", socket.display()),
    );
    site.write("racoon.conf", &text);
    let _daemon = site.start(&[]);
    let expected = format!(
        "WARNING: adminsock: group {GROUP} cannot reach {}: it has no permission to search {}",
        socket.display(),
        site.path("closed").display()
    );
    assert!(site.log().contains(&expected), "{}", site.log());
    assert_eq!(fs::metadata(site.path("closed")).unwrap().mode() & 0o7777, 0o700);
}
