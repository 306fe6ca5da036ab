//! The examples of ipsec.conf(5) and setkey(8) are correct.

use std::path::Path;
use std::process::Command;

use crate::program::{Scratch, fed, masked, script};

const LANGUAGE: &str = include_str!("../../../man/ipsec.conf.5");
const COMMAND: &str = include_str!("../../../man/setkey.8");

/// The literal displays of a page, as the reader sees them.
fn displays(page: &str) -> Vec<String> {
    let mut displays = Vec::new();
    let mut lines = page.lines();
    while lines.by_ref().any(|line| line.starts_with(".Bd -literal")) {
        let body = lines.by_ref().take_while(|line| *line != ".Ed");
        displays.push(body.map(|line| unescape(line) + "\n").collect());
    }
    displays
}

fn unescape(line: &str) -> String {
    assert!(!line.starts_with(['.', '\'']), "a macro in an example: {line}");
    let text = line.replace("\\(dq", "\"").replace("\\-", "-").replace("\\&", "");
    assert!(!text.contains('\\'), "an escape in an example: {line}");
    text
}

#[test]
fn scripts_of_the_language_are_good() {
    let scripts = displays(LANGUAGE);
    assert!(scripts.len() >= 6, "{scripts:?}");
    for script in scripts {
        // Only the BSDs have TCP-MD5.
        let dialects = if script.contains("tcp-md5") { &["freebsd", "netbsd"][..] } else { &["linux"] };
        for dialect in dialects {
            let ended = fed(&["--dialect", dialect, "--check", "-"], script.as_bytes());
            assert_eq!(ended.all(), (Some(0), "", ""), "{dialect}:\n{script}");
            let ended = crate::program::script(dialect, &script);
            assert_eq!(ended.all(), (Some(0), "", ""), "{dialect}:\n{script}");
        }
    }
}

/// The commands of a page's section EXAMPLES: lines that a shell's prompt begins, with their continuations.
fn commands(page: &str) -> Vec<String> {
    let (_, text) = page.split_once("\n.Sh EXAMPLES\n").unwrap();
    let lines = text.split("\n.Sh ").next().unwrap().lines();
    let mut commands: Vec<String> = Vec::new();
    for line in lines {
        let line = line.strip_prefix(".Dl ").unwrap_or(line);
        if let Some(command) = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")) {
            commands.push(unescape(command));
        } else if let Some(rest) = line.strip_prefix("        ") {
            *commands.last_mut().unwrap() += &format!(" {}", unescape(rest));
        }
    }
    commands
}

#[test]
fn commands_run() {
    let text = "add 192.0.2.1 192.0.2.2 esp 0x1001 -E null; spdadd 192.0.2.1 192.0.2.2 any -P out none;\n";
    let file = Scratch::file(text);
    let mut seen = Vec::new();
    for command in commands(COMMAND) {
        // `-x` never ends, and not every machine has jq.
        let line = command.replace("/etc/ipsec.conf", file.as_str()).replace("jq length", "grep -c version");
        let line = line.replace("setkey -x", "setkey -x -h");
        let program = Path::new(env!("CARGO_BIN_EXE_setkey")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("sh")
            .args(["-c", &line])
            .envs([("PATH", path.as_str()), ("LIBPFKEY_BACKEND", "memory"), ("LC_ALL", "C")])
            .env_remove("LIBPFKEY_DIALECT")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // The in-process key engine has no SA to delete.
        let expected = if command.contains("delete") { 1 } else { 0 };
        assert_eq!((output.status.code(), said.as_str()), (Some(expected), ""), "{command}");
        seen.push(command);
    }
    assert!(seen.len() >= 9, "{seen:?}");
}

/// The lines of a dump with one space between words, and without dates, process ids and counters.
fn shape(dump: &str) -> Vec<String> {
    let word = |word: &str| match word.split_once("(bytes)").or(word.split_once("spid=")) {
        Some(_) => String::from("N"),
        None => word.to_owned(),
    };
    let line = |line: &str| match ["last:", "allocated:"].into_iter().find(|start| line.trim().starts_with(start)) {
        Some(start) => start.to_owned(),
        None => line.split_whitespace().map(word).collect::<Vec<_>>().join(" "),
    };
    masked(&dump.replace("        ", "\t")).lines().map(line).collect()
}

#[test]
fn dumps_look_as_they_are_shown() {
    let shown = displays(COMMAND);
    let sad = "add 192.0.2.1 192.0.2.2 esp 0x1001 -m transport -E aes-cbc 0x000102030405060708090a0b0c0d0e0f \
               -A hmac-sha256 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f; dump;";
    let spd = "spdadd 192.0.2.1 192.0.2.2 any -P out ipsec esp/transport//require; spddump;";
    for (text, start) in [(sad, "192.0.2.1 192.0.2.2\n"), (spd, "192.0.2.1[any] 192.0.2.2[any] 255\n")] {
        let page = shown.iter().find(|display| display.starts_with(start)).unwrap();
        // The page shows the beginning of a long key.
        let rest = " 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f";
        assert_eq!(shape(&page.replace(" ...", rest)), shape(&script("linux", text).stdout));
    }
}
