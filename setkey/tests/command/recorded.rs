//! Compares `--check` with the answers of Linux in the cases that were recorded in the lab.

use std::collections::BTreeMap;
use std::path::Path;

use crate::program::fed;

/// Cases that depend on the machine: its names, interfaces and devices.
const OF_THE_MACHINE: [&str; 14] = [
    "add-6-of-name-4",
    "add-esp-udp-original-bad",
    "add-name-pairs",
    "add-name-pairs-both",
    "add-name-underscore",
    "add-name-unknown",
    "add-name-unknown-to",
    "delete-name-several",
    "spdadd-name-two-addresses",
    "spdadd-name-unknown",
    "spdadd-scope-unknown",
    "spddelete-name-two-addresses",
    "xfrm-offload-no-device",
    "xfrm-offload-update-no-device",
];
/// A device that cannot offload.
const OF_A_DEVICE: [&str; 1] = ["xfrm-offload-packet"];
/// Answers that depend on existing entries.
const OF_THE_STATE: [&str; 4] = ["No such process", "No entry", "No SAD entries", "No SPD entries"];
/// Warnings: only some kernel versions refuse these, or they are harmless.
const WARNINGS: [&str; 3] = ["spdadd-tunnel-use", "spdadd-fwd-then-in", "add-c-cpi-17"];

/// A recorded case that loads a script.
struct Case {
    name: String,
    script: String,
    /// Lines of standard error over each backend.
    stderr: BTreeMap<&'static str, Vec<String>>,
}

/// The cases of a file that have no arguments and nothing escaped.
fn cases(text: &str) -> Vec<Case> {
    text.split("\n=== ").skip(1).filter_map(case).collect()
}

fn case(text: &str) -> Option<Case> {
    let (head, body) = text.split_once("\n--- ")?;
    let mut sections = BTreeMap::new();
    for section in body.split("\n--- ") {
        let (title, lines) = section.split_once('\n').unwrap_or((section, ""));
        sections.insert(title, lines);
    }
    let script = sections.get("script").filter(|script| !script.contains('\\') && script.is_ascii())?;
    let has = |header: &str| head.lines().any(|line| line.starts_with(header));
    if has("args:") || sections.contains_key("setup") || has("before:") {
        return None;
    }
    let only = head.lines().find_map(|line| line.strip_prefix("only: "));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let plain = sections.get("stderr").copied().unwrap_or_default();
    let mut stderr = BTreeMap::new();
    for (backend, title) in [("pfkey", "stderr [pfkey]"), ("xfrm", "stderr [xfrm]")] {
        if only.is_none_or(|only| only.contains(backend)) {
            stderr.insert(backend, lines(sections.get(title).copied().unwrap_or(plain)));
        }
    }
    let name = head.lines().next().unwrap_or_default().to_owned();
    Some(Case { name, script: format!("{script}\n"), stderr })
}

/// The numbers and texts of lines `BEFORE LINE AFTER TEXT`.
fn numbered(lines: &[String], before: &str, after: char) -> Vec<(u32, String)> {
    let parse = |line: &String| {
        let (number, text) = line.strip_prefix(before)?.split_once(after)?;
        Some((
            number.parse().ok()?,
            text.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim().to_owned(),
        ))
    };
    lines.iter().filter_map(parse).collect()
}

#[test]
fn check_finds_what_the_kernel_refuses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regress/compliance");
    let mut compared = 0;
    let mut refused = 0;
    let mut wrong = Vec::new();
    for group in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(group).unwrap().map(|entry| entry.unwrap().path()) {
            for case in cases(&String::from_utf8_lossy(&std::fs::read(file).unwrap())) {
                if OF_THE_MACHINE.contains(&&*case.name) || OF_A_DEVICE.contains(&&*case.name) {
                    continue;
                }
                for (backend, stderr) in &case.stderr {
                    compared += 1;
                    let said = numbered(stderr, "setkey: script,", ':');
                    let is_refusal =
                        |text: &String| !OF_THE_STATE.contains(&text.as_str()) && !text.contains("WARNING");
                    let expected = said.iter().any(|(_, text)| is_refusal(text));
                    refused += usize::from(expected);
                    let checked =
                        fed(&["--backend", backend, "--dialect", "linux", "--check", "-"], case.script.as_bytes());
                    let warned = WARNINGS.contains(&&*case.name) && checked.stderr.contains("WARNING");
                    if (checked.code == Some(1)) != expected && !warned {
                        wrong.push(format!("{backend} {}: {said:?}\n{}", case.name, checked.stderr));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 800 && refused > 200, "{compared} cases, {refused} with refusals");
}
