//! The samples under `ipsec-conf/examples/racoon`, with all files that they name.

use std::path::Path;
use std::{collections::BTreeMap, fs};

use crate::Site;

/// The samples, and the weaknesses that they are warned of.
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
fn samples_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipsec-conf/examples/racoon");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let expected = SAMPLES.iter().copied().collect::<BTreeMap<_, _>>();
    let mut files = files.collect::<Vec<_>>();
    files.sort_unstable();
    assert_eq!(files, expected.keys().copied().collect::<Vec<_>>());

    let site = Site::new();
    site.write("psk.txt", "* correct horse battery staple\n");
    for name in ["ca.pem", "gateway.pem", "gateway.key", "gw.pem", "gw.key", "joe.pem", "joe.key"] {
        site.write(&format!("certs/{name}"), "PEM");
    }
    for name in ["up.sh", "down.sh"] {
        site.write(&format!("scripts/{name}"), "#!/bin/sh\n").allow(&format!("scripts/{name}"), 0o700);
    }
    for (name, weaknesses) in expected {
        let text = fs::read_to_string(folder.join(name)).unwrap().replace("/etc/racoon", "DIR");
        // An interface that every machine has.
        let text = text.replace("%eth0", "%lo");
        let said = site.accepted(&text);
        let warnings = said.lines().filter_map(|line| line.split_once(" warning: ").map(|(_, text)| text));
        assert_eq!(warnings.collect::<Vec<_>>(), weaknesses, "{name}\n{said}");
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 124), "{name}: lines are short");
    }
}
