//! Configurations in the README.

use std::path::Path;

use ipsec_conf::racoon::Section;
use ipsec_conf::setkey::parse;

use crate::Site;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// Returns the file after a line that begins with `before`.
fn block(readme: &str, before: &str) -> String {
    let lines =
        readme.lines().skip_while(|line| !line.starts_with(before)).skip_while(|line| *line != "```conf").skip(1);
    lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

/// The quick start's files are valid.
#[test]
fn quick_start() {
    let readme = readme();
    let site = Site::new();
    site.write("psk.txt", &block(&readme, "`/etc/racoon/psk.txt`"));
    let configuration = block(&readme, "`/etc/racoon/racoon.conf`");
    assert!(configuration.contains("remote 192.0.2.2 {"), "{configuration}");
    assert_eq!(site.accepted(&configuration.replace("/etc/racoon", "DIR")), "");
    let policies = block(&readme, "`/etc/ipsec.conf`");
    let statements = policies.split_inclusive(';').map(str::trim).filter(|text| !text.is_empty());
    let statements = statements.map(|text| parse(text, 1).unwrap()).collect::<Vec<_>>();
    assert_eq!(statements.len(), 4, "{policies}");
}

/// The table of accepted directives without effect lists exactly those.
#[test]
fn unimplemented_directives() {
    let readme = readme();
    let (_, rest) = readme.split_once("Accepted, not yet in effect").unwrap();
    let rows =
        rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let expected = Section::ALL.into_iter().filter_map(|section| {
        let title =
            if section.name().is_empty() { "outside of sections".into() } else { format!("`{}`", section.name()) };
        let waiting = section.directives().iter().filter(|directive| !directive.in_effect);
        let names = waiting.map(|directive| format!("`{}`", directive.name)).collect::<Vec<_>>();
        (!names.is_empty()).then(|| format!("| {title} | {} |", names.join(", ")))
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
