//! The command line and the exit status.

use std::process::{Command, Stdio};

use libpfkey::Dialect;

use crate::program::{Scratch, command, fed, setkey};
use crate::server::Server;

#[test]
fn version_and_help() {
    let version = format!("setkey @(#) ipsec-tools-rs {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(setkey(&["-V"]).all(), (Some(0), version.as_str(), ""));
    let long = format!("setkey (ipsec-tools-rs) {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(setkey(&["--version"]).all(), (Some(0), long.as_str(), ""));
    let help = setkey(&["-h"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.starts_with(&format!("{version}usage: setkey ")), "{}", help.stdout);
    assert_eq!(setkey(&["--help"]), help);
    assert_eq!(setkey(&["-D", "--help"]), help);
}

#[test]
fn help_explains_every_option_of_the_manual() {
    let help = setkey(&["--help"]).stdout;
    let manual = include_str!("../../../man/setkey.8");
    let body = manual.split(".Sh DESCRIPTION").nth(1).unwrap().split(".Sh IMPLEMENTATION").next().unwrap();
    let options = body.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let mut seen = 0;
    for option in options {
        let name = option.split(' ').next().unwrap();
        let explained = help
            .lines()
            .any(|line| line.starts_with("  ") && line.split([' ', ',']).any(|word| word == format!("-{name}")));
        assert!(explained, "-{name}:\n{help}");
        seen += 1;
    }
    assert!(seen > 20, "{seen} options");
    assert!(help.lines().all(|line| line.chars().count() <= 99), "{help}");
}

#[test]
fn unwritable_output_is_reported() {
    let script = Scratch::file("add 10.0.0.1 10.0.0.2 esp 0x1001 -E null; dump;");
    let name = script.as_str();
    for arguments in [
        &["-h"][..],
        &["--help"],
        &["-V"],
        &["--version"],
        &["--backend", "memory", "--json", "-D"],
        &["--backend", "memory", "--json", "-DP"],
        &["--backend", "memory", "-D"],
        &["--backend", "memory", "-DP"],
        &["--backend", "memory", "-f", name],
        &["--backend", "memory", "-v", "-f", name],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(arguments).stdin(Stdio::null()).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = "setkey: standard output: No space left on device\n";
        assert_eq!((output.status.code(), said.as_str()), (Some(1), expected), "{arguments:?}");
        // A closed pipe is not reported.
        let line = format!("{} {} 2>&3; echo $? >&3", env!("CARGO_BIN_EXE_setkey"), arguments.join(" "));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new("sh").args(["-c", &format!("exec 3>&2; {line}")]).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "1\n", "{arguments:?}");
    }
}

#[test]
fn wrong_command_lines() {
    let help = setkey(&["-h"]).stdout;
    let usage = help.split_inclusive('\n').take_while(|line| *line != "\n").collect::<String>();
    for (arguments, complaint) in [
        (&[][..], ""),
        (&["-v"], ""),
        (&["-?"], ""),
        (&["-d"], ""),
        (&["-Z"], "setkey: invalid option -- 'Z'\n"),
        (&["-f"], "setkey: option requires an argument -- 'f'\n"),
        (&["--frob"], "setkey: unrecognized option '--frob'\n"),
    ] {
        assert_eq!(setkey(arguments).all(), (Some(1), usage.as_str(), complaint), "{arguments:?}");
    }
    let backend = setkey(&["--backend", "frob", "-D"]);
    let text = "setkey: unknown backend `frob': expected auto, pfkey, xfrm, memory or socket:PATH\n";
    assert_eq!(backend.all(), (Some(1), "", text));
    let dialect = setkey(&["--backend", "memory", "--dialect", "plan9", "-D"]);
    assert_eq!((dialect.code, dialect.stdout.as_str()), (Some(1), ""));
    assert!(dialect.stderr.starts_with("setkey: ") && dialect.stderr.contains("plan9"), "{}", dialect.stderr);
}

#[test]
fn environment_selects_the_backend() {
    let output = command(&["-D"]).env("LIBPFKEY_BACKEND", "memory").output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"No SAD entries.\n"[..]));
}

#[test]
fn environment_selects_the_dialect() {
    let server = Server::new(Dialect::NetBsd);
    let [_, backend, _, dialect] = server.options();
    server.load("spdadd 10.0.0.1 10.0.0.2 any -P out none;");
    let dump = |dialect: &str, options: &[&str]| {
        let mut command = command(&["--backend", &backend, "-DP"]);
        let output = command.args(options).env("LIBPFKEY_DIALECT", dialect).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    // The command line takes precedence.
    for (environment, options) in [(dialect.as_str(), &[][..]), ("linux", &["--dialect", &dialect])] {
        let (code, shown, said) = dump(environment, options);
        assert_eq!((code, said.as_str()), (Some(0), ""));
        assert!(shown.starts_with("10.0.0.1[any] 10.0.0.2[any] ") && shown.contains("\tout none\n"), "{shown}");
    }
    let (code, _, said) = dump("openbsd", &[]);
    let expected = "setkey: LIBPFKEY_DIALECT: unknown dialect `openbsd': expected linux, freebsd, netbsd or darwin\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
}

#[test]
fn last_mode_takes_effect() {
    assert_eq!(fed(&["--backend", "memory", "-c", "-D"], b"frob;").stdout, "No SAD entries.\n");
    assert_eq!(fed(&["--backend", "memory", "-D", "-c"], b"spddump;").stdout, "No SPD entries.\n");
}

#[test]
fn closed_pipes_cause_no_panic() {
    for arguments in ["-h", "-V", "-Z", "--backend memory -D", "--backend memory --json -D", "--check /dev/null"] {
        let line = format!("{} {arguments} 2>&3 | :; echo done", env!("CARGO_BIN_EXE_setkey"));
        let output = Command::new("sh").args(["-c", &format!("exec 3>&2; {line}")]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panic"), "{arguments}: {stderr}");
    }
    // Both streams closed.
    for arguments in [&["-Z"][..], &["-h"], &["--backend", "memory", "-f", "/nonexistent"]] {
        let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {code:?}");
    }
}
