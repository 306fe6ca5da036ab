//! The examples in racoon(8) and racoonctl(8) are valid, and racoon(8) documents the options that `racoon -h` prints.

use std::collections::BTreeSet;
use std::process::Command;

use crate::Site;

const RACOON: &str = include_str!("../../../man/racoon.8");
const RACOONCTL: &str = include_str!("../../../man/racoonctl.8");

/// Returns the words of the commands in a page's EXAMPLES, without the prompt.
fn commands(page: &'static str) -> Vec<Vec<&'static str>> {
    let (_, text) = page.split_once("\n.Sh EXAMPLES\n").unwrap();
    let lines = text.split("\n.Sh ").next().unwrap().lines();
    let lines = lines.map(|line| line.strip_prefix(".Dl ").unwrap_or(line));
    let commands = lines.filter_map(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")));
    commands.map(|command| command.split(' ').collect()).collect()
}

fn run(program: &str, arguments: &[&str], site: &Site) -> (Option<i32>, String) {
    let output = Command::new(program).args(arguments).current_dir(site.path("")).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn example_commands_are_valid() {
    let site = Site::new();
    site.write("racoon.conf.new", "log info;\n").write("racoon.conf", "log debug;\n");
    let mut seen = BTreeSet::new();
    for words in [commands(RACOON), commands(RACOONCTL)].concat() {
        let conf = site.path("racoon.conf").display().to_string();
        let arguments = words[1..].iter().map(|word| if *word == "/etc/racoon/racoon.conf" { &conf } else { *word });
        let arguments: Vec<&str> = arguments.collect();
        match words[0] {
            // `-t` keeps it from becoming a daemon.
            "racoon" => {
                let (code, said) = run(env!("CARGO_BIN_EXE_racoon"), &[&["-t"], arguments.as_slice()].concat(), &site);
                assert_eq!(code, Some(0), "{words:?}: {said}");
            }
            // Valid commands fail only when they connect.
            "racoonctl" => {
                let arguments = [&["-s", "no/socket"], arguments.as_slice()].concat();
                let (code, said) = run(env!("CARGO_BIN_EXE_racoonctl"), &arguments, &site);
                assert_eq!(code, Some(1), "{words:?}: {said}");
                assert!(said.contains("no/socket"), "{words:?}: {said}");
            }
            other => assert!(["setkey", "ping"].contains(&other), "{words:?}"),
        }
        seen.insert(words[0]);
    }
    assert_eq!(seen, BTreeSet::from(["ping", "racoon", "racoonctl", "setkey"]));
}

/// Returns the options at the beginning of usage lines or list entries.
fn options(lines: impl Iterator<Item = String>) -> BTreeSet<String> {
    let options = lines.flat_map(|line| line.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>());
    options.filter(|word| word.starts_with('-') && word.len() > 1).collect()
}

#[test]
fn manual_lists_the_options_of_the_usage() {
    let (_, usage) = run(env!("CARGO_BIN_EXE_racoon"), &["-h"], &Site::new());
    // Options and explanation are two blanks apart.
    let usage = usage.lines().filter_map(|line| Some(line.strip_prefix("  ")?.split("  ").next()?.to_owned()));
    let (_, text) = RACOON.split_once("\n.Ss Options of the daemon\n").unwrap();
    let text = text.split("\n.Ss Start\n").next().unwrap();
    // `.It Fl 4 , 6`, `.It Fl -against Ar old`
    let entries = text.lines().filter_map(|line| line.strip_prefix(".It Fl ")).map(|entry| {
        let words = entry.split(" Ar ").next().unwrap().split(' ').filter(|word| !matches!(*word, "," | "Fl"));
        words.map(|word| format!("-{word}")).collect::<Vec<_>>().join(" ")
    });
    let page = options(entries);
    assert!(page.len() > 10, "{page:?}");
    assert_eq!(options(usage), page);
}
