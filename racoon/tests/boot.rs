//! Boot scripts and the systemd unit.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use racoon::cli::{self, Mode};
use regress_skipped::skip;

fn boot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("boot").join(name)
}

fn mode(words: &str) -> Mode {
    cli::parse(&words.split_whitespace().map(OsString::from).collect::<Vec<_>>()).unwrap().mode
}

#[test]
fn scripts_are_valid_shell() {
    for name in ["freebsd/racoon", "netbsd/racoon"] {
        let output = Command::new("sh").arg("-n").arg(boot(name)).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        let text = fs::read_to_string(boot(name)).unwrap();
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\n# PROVIDE: racoon\n"), "{name}");
        assert!(text.contains("pidfile=\"/var/run/racoon.pid\""), "{name}");
    }
}

#[test]
fn unit_options_exist() {
    let unit = fs::read_to_string(boot("systemd/racoon.service")).unwrap();
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let arguments = |key: &str| line(key).strip_prefix("/usr/sbin/racoon ").unwrap();
    let Mode::Daemon(options) = mode(arguments("ExecStart=")) else { panic!("no daemon") };
    assert!(options.foreground, "with Type=notify the main process is the daemon");
    assert!(matches!(mode(arguments("ExecReload=")), Mode::Check { test: true, .. }));
    assert_eq!(line("Type="), "notify");
    // The state file in it has to survive a crash.
    assert_eq!((line("RuntimeDirectory="), line("RuntimeDirectoryPreserve=")), ("racoon", "yes"));
}

/// systemd-analyze accepts the unit, where it is installed.
#[test]
fn unit_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(boot("systemd/racoon.service")).unwrap();
    let own = unit.lines().filter(|line| !line.starts_with("Documentation="));
    let own = own.map(|line| format!("{line}\n")).collect::<String>().replace("/usr/sbin/racoon", "/bin/true");
    let path = directory.path().join("racoon.service");
    fs::write(&path, own).unwrap();
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        return skip("there is no systemd-analyze");
    };
    // It checks other units of the system too.
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    let faults = faults.lines().filter(|line| line.contains("racoon")).collect::<Vec<_>>();
    assert_eq!(faults, [""; 0]);
}
