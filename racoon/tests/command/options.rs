use std::fs::OpenOptions;
use std::process::{Command, Output};

use regress_skipped::skip;

use crate::Site;

const PROGRAMS: [(&str, &str); 2] =
    [("racoon", env!("CARGO_BIN_EXE_racoon")), ("racoonctl", env!("CARGO_BIN_EXE_racoonctl"))];

#[test]
fn version() {
    let ran = Site::new().run(&["-V"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("racoon @(#) ipsec-tools-rs "), "{}", ran.stdout);
    let features = "\n\nCompiled with:\n- IPv6 support\n- Dead Peer Detection\n- Monotonic clock\n";
    assert!(ran.stdout.ends_with(features), "{}", ran.stdout);
}

#[test]
fn usage() {
    let asked = Site::new().run(&["-h"]);
    assert_eq!((asked.status, asked.stderr.as_str()), (Some(0), ""));
    let wrong = Site::new().run(&["-x"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(1), ""));
    assert_eq!(wrong.stderr, format!("racoon: invalid option -- 'x'\n{}", asked.stdout));
    assert_eq!(Site::new().run(&["racoon.conf"]).status, Some(1));
}

#[test]
fn long_options_for_help_and_version() {
    for (name, program) in PROGRAMS {
        let run = |option: &str| {
            let Output { status, stdout, stderr } = Command::new(program).arg(option).output().unwrap();
            (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
        };
        let version = format!("{name} (ipsec-tools-rs) {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run("--version"), (Some(0), version, String::new()));
        let help = run("--help");
        assert!(help.1.contains(&format!("{name} --help | --version")) || help.1.contains("-h | --help"), "{help:?}");
        assert_eq!(help, run("-h"));
        assert_eq!((help.0, help.2.as_str()), (Some(0), ""));
    }
}

/// A script must not continue with half a dump.
#[test]
fn unwritable_output_fails() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        return skip("there is no /dev/full");
    };
    let site = Site::new();
    site.write("racoon.conf", "");
    let file = site.path("racoon.conf");
    let file = file.to_str().unwrap();
    let [(_, racoon), (_, racoonctl)] = PROGRAMS;
    let runs: [(&str, &str, &[&str]); 7] = [
        ("racoon", racoon, &["-C", "-f", file]),
        ("racoon", racoon, &["-t", "-f", file]),
        ("racoon", racoon, &["-t", "--against", file, "-f", file]),
        ("racoon", racoon, &["-V"]),
        ("racoon", racoon, &["--help"]),
        ("racoonctl", racoonctl, &["--help"]),
        ("racoonctl", racoonctl, &["--version"]),
    ];
    for (name, program, arguments) in runs {
        let output = Command::new(program).args(arguments).stdout(full.try_clone().unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!("{name}: standard output: No space left on device\n");
        assert!(output.status.code() == Some(1) && said.ends_with(&expected), "{arguments:?} {said}");
    }
}
