//! The samples under `ipsec-conf/examples/racoon`, with all files that they name.

use std::path::Path;
use std::{collections::BTreeMap, fs};

use crate::Site;
use crate::pki::Authority;

/// The samples, and the weaknesses that racoon warns of.
const SAMPLES: &[(&str, &[&str])] = &[
    ("certificates.conf", &[]),
    ("ipv6.conf", &[]),
    ("nat-traversal.conf", &["aggressive mode with a pre-shared key is weak"]),
    ("roadwarrior-client.conf", &[]),
    ("roadwarrior-server.conf", &[]),
    ("site-to-site.conf", &[]),
    ("transport-psk.conf", &[]),
];

#[test]
fn samples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipsec-conf/examples/racoon");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let expected = SAMPLES.iter().copied().collect::<BTreeMap<_, _>>();
    let mut files = files.collect::<Vec<_>>();
    files.sort_unstable();
    assert_eq!(files, expected.keys().copied().collect::<Vec<_>>());

    let site = Site::new();
    site.write("psk.txt", "* correct horse battery staple\n");
    let authority = Authority::new();
    site.write("certs/ca.pem", &authority.pem());
    for name in ["gateway", "gw", "joe"] {
        let own = authority.issue_rsa(name, 2, 300);
        site.write(&format!("certs/{name}.pem"), &own.certificate).write(&format!("certs/{name}.key"), &own.key);
    }
    for name in ["up.sh", "down.sh"] {
        site.write(&format!("scripts/{name}"), "#!/bin/sh\n").allow(&format!("scripts/{name}"), 0o700);
    }
    for (name, weaknesses) in expected {
        let text = fs::read_to_string(folder.join(name)).unwrap().replace("/etc/racoon", "DIR");
        // An interface of every machine.
        let text = text.replace("%eth0", "%lo");
        let said = site.accepted(&text);
        let warnings = said.lines().filter_map(|line| line.split_once(" warning: ").map(|(_, text)| text));
        assert_eq!(warnings.collect::<Vec<_>>(), weaknesses, "{name}\n{said}");
        assert_eq!(warnings_of(&site, "racoon.conf"), printed_warnings(&site), "{name}");
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 124), "{name}: lines are short");
    }
}

/// Returns the first line of each warning without its place, and the names of unimplemented directives.
fn warnings_of(site: &Site, file: &str) -> Vec<String> {
    let said = site.run_fully(&["-t", "-f", file]).stderr;
    let mut lines = said.lines().skip_while(|line| !line.contains("not yet in effect"));
    let waiting = lines.nth(1).unwrap_or_default().split(' ').filter(|word| !word.starts_with('('));
    let mut waiting = waiting.map(str::to_owned).collect::<Vec<_>>();
    waiting.sort_unstable();
    let warnings = said.lines().filter_map(|line| line.split_once(" warning: ")).map(|(_, text)| text.to_owned());
    warnings.chain([waiting.join(" ")]).collect()
}

/// Returns the warnings about the configuration that `-C` prints.
fn printed_warnings(site: &Site) -> Vec<String> {
    let printed = site.run(&["-C", "-f", "racoon.conf"]).stdout;
    warnings_of(site.write("printed.conf", &printed), "printed.conf")
}
