use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use regress_skipped::skip;

use crate::{Ran, Site, eventually};

/// Returns the lines of the log without date and source location.
fn lines(site: &Site) -> Vec<String> {
    let line = |line: &str| line.split_at("2026-01-31 12:00:00: ".len()).1.to_owned();
    let directory = site.directory.path().to_str().unwrap();
    site.log().replace(directory, "DIR").lines().map(line).collect()
}

#[test]
fn first_lines_of_the_log() {
    let site = Site::new();
    let daemon = site.start(&[]);
    let lines = lines(&site);
    assert!(lines[0].starts_with("INFO: racoon @(#) ipsec-tools-rs "), "{lines:#?}");
    assert!(lines[1].starts_with("INFO: linked with OpenSSL "), "{lines:#?}");
    assert_eq!(lines[2], "INFO: Reading configuration from \"racoon.conf\"");
    let port = format!("INFO: 127.0.0.1[{}] used as isakmp port", site.port);
    assert!(lines.contains(&port), "{lines:#?}");
    let pid = format!("{}\n", daemon.child.id());
    assert!(eventually(|| fs::read_to_string(site.path("racoon.pid")).is_ok_and(|text| text == pid)));
}

#[test]
fn invalid_configuration() {
    let site = Site::new();
    site.write("racoon.conf", "log loud;\n");
    let ran = site.run(&["-F"]);
    // The reason is on standard error, wherever the log goes.
    let (reason, end) = ran.stderr.split_at(ran.stderr.find("racoon: ").unwrap());
    assert!(reason.starts_with("racoon.conf:1:5: syntax error at `loud'"), "{}", ran.stderr);
    assert_eq!((ran.status, end), (Some(1), "racoon: failed to parse configuration file.\n"));
    assert!(ran.stdout.starts_with("Foreground mode.\n"), "{}", ran.stdout);
    assert!(site.log().contains("ERROR: racoon.conf:1:5: syntax error at `loud'"), "{}", site.log());
    assert!(!site.path("racoon.pid").exists());
    // The same in the background. The names are absolute there.
    let stderr = format!("DIR/{}", ran.stderr);
    assert_eq!(site.run(&[]), Ran { status: Some(1), stdout: String::new(), stderr });
    // A missing file.
    fs::remove_file(site.path("racoon.conf")).unwrap();
    let ran = site.run(&[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("racoon.conf") && ran.stderr.contains("No such file or directory"), "{}", ran.stderr);
}

#[test]
fn unsupported_sainfo() {
    let site = Site::new();
    site.configure(
        "sainfo anonymous { encryption_algorithm des_iv32; authentication_algorithm hmac_sha256;\n\
         compression_algorithm deflate; }\n",
    );
    let ran = site.run(&[]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.starts_with("DIR/racoon.conf:8:1: the kernel has no ESP with "), "{}", ran.stderr);
    assert!(site.log().contains("racoon.conf:8:1: the kernel has no ESP with "), "{}", site.log());
}

#[test]
fn saved_sas() {
    let site = Site::new();
    site.configure("");
    let ran = site.run(&["-F", "-B"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "racoon: -B: no `path backupsa' is configured\n"));
    site.write("sa.backup", "what somebody wrote\n");
    site.configure("path backupsa \"DIR/sa.backup\";\n");
    let daemon = site.start(&["-B"]);
    let lines = lines(&site);
    let said = "WARNING: DIR/sa.backup: skipped 1 line in an unknown format";
    assert!(lines.iter().any(|line| line == said), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "INFO: 0 of 0 saved SAs are in the kernel; all are renewed"), "{lines:#?}");
    drop(daemon);
    fs::set_permissions(site.path("sa.backup"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = site.run(&["-F", "-B"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("nobody else can read (mode 0600)"), "{}", ran.stderr);
}

/// The daemon has as many worker threads as `threads` says.
#[cfg(target_os = "linux")]
#[test]
fn configured_threads() {
    let count = |threads: usize| {
        let site = Site::new();
        site.configure(&format!("threads {threads};\n"));
        let daemon = site.start(&[]);
        let running = || fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap().count();
        eventually(|| running() > threads);
        running()
    };
    let (one, four) = (count(1), count(4));
    assert_eq!(four, one + 3);
}

#[test]
fn unimplemented_directives_are_logged_once() {
    let site = Site::new();
    site.configure("timer { natt_keepalive 5 sec; }\nmode_cfg { auth_throttle 2; }\n");
    let _daemon = site.start(&[]);
    let lines = lines(&site);
    let warnings = lines.iter().filter(|line| line.starts_with("WARNING")).map(String::as_str).collect::<Vec<_>>();
    let expected = [
        "WARNING: racoon.conf:8:9: accepted, not yet in effect",
        "WARNING:   natt_keepalive (racoon.conf:8) mode_cfg (racoon.conf:9) auth_throttle (racoon.conf:9)",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn two_daemons_cannot_share_a_port() {
    let (first, second) = (Site::new(), Site::new());
    let daemon = first.start(&[]);
    let second = Site { port: first.port, ..second };
    second.configure("");
    let ran = second.run(&["-F"]);
    let complaint = format!("racoon: 127.0.0.1[{}]: another ", first.port);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.starts_with(&complaint), "{}", ran.stderr);
    if cfg!(target_os = "linux") {
        let owner = format!("process {} (racoon)", daemon.child.id());
        assert!(ran.stderr.contains(&owner), "{}", ran.stderr);
    }
    // The second daemon has left nothing behind and not disturbed the first.
    assert!(!second.path("racoon.sock").exists() && !second.path("racoon.pid").exists());
    assert_eq!(first.ctl(&["show-sa", "isakmp"]).status, Some(0));
}

#[test]
fn two_daemons_cannot_share_a_control_socket() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    let ran = site.run(&["-F"]);
    let expected = "racoon: control socket: DIR/racoon.sock: another daemon listens there\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), expected));
    assert_eq!(site.ctl(&["show-sa", "isakmp"]).status, Some(0));
}

#[test]
fn background() {
    let site = Site::new();
    let ran = site.run(&[]);
    assert_eq!(ran, Ran { status: Some(0), stdout: String::new(), stderr: String::new() });
    let pid = fs::read_to_string(site.path("racoon.pid")).unwrap().trim().parse().unwrap();
    assert_eq!(site.ctl(&["show-sa", "isakmp"]).status, Some(0));
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    site.await_log(&format!("racoon process {pid} shutdown"));
    assert!(eventually(|| !site.path("racoon.pid").exists()));
}

#[test]
fn kernel_requires_root() {
    if geteuid().is_root() {
        return skip("root may open every kernel");
    }
    let site = Site::new();
    site.write("racoon.conf", "backend xfrm;\n");
    let ran = site.run(&["-F"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "racoon: must be invoked by root\n"));
    // The same if only root can read the file.
    fs::set_permissions(site.path("racoon.conf"), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = site.run(&["-F"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "racoon: must be invoked by root\n"));
}
