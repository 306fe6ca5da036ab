//! What the README promises of the configuration.

use std::path::Path;

use ipsec_conf::racoon::Section;

/// The table of what is accepted and not yet in effect names each such directive, and no other one.
#[test]
fn what_is_not_yet_in_effect() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
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
