//! Description of the differences between two configurations.

use std::fmt::Write as _;

use ipsec_conf::racoon::{Changes, Difference, Place, Remote, Sainfo, SainfoId};

/// Returns a line per difference: global directives, then remotes, then sainfos. Empty if there is none.
pub fn describe(changes: &Changes<'_>) -> String {
    let mut text = String::new();
    for name in &changes.globals {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "different: {name}");
    }
    sections(&mut text, &changes.remotes, remote_title, |remote| &remote.place);
    sections(&mut text, &changes.sainfos, sainfo_title, |sainfo| &sainfo.place);
    if changes.reordered {
        text.push_str("different: the order of sections\n");
    }
    text
}

/// Lists the sections of one kind, each with its place: in the new configuration, or in the old one if it is gone.
fn sections<T>(text: &mut String, difference: &Difference<'_, T>, title: fn(&T) -> String, place: fn(&T) -> &Place) {
    let changed = difference.changed.iter().map(|(_, new)| *new);
    let lists = [
        ("new:      ", difference.added.clone()),
        ("gone:     ", difference.removed.clone()),
        ("different:", changed.collect()),
    ];
    for (kind, list) in lists {
        for section in list {
            let Place { file, line, .. } = place(section);
            let _ = writeln!(text, "{kind} {} ({file}:{line})", title(section));
        }
    }
}

fn remote_title(remote: &Remote) -> String {
    format!("remote {}", remote.name)
}

/// Returns the text before the braces, and the `remoteid`.
fn sainfo_title(sainfo: &Sainfo) -> String {
    let mut title = match (&sainfo.local, &sainfo.remote) {
        (SainfoId::Anonymous, SainfoId::Anonymous) => "sainfo anonymous".to_owned(),
        (local, remote) => format!("sainfo {local} {remote}"),
    };
    if let Some(from) = &sainfo.from {
        let _ = write!(title, " from {from}");
    }
    if let Some(group) = &sainfo.group {
        let _ = write!(title, " group \"{group}\"");
    }
    if sainfo.remoteid != 0 {
        let _ = write!(title, ", remoteid {}", sainfo.remoteid);
    }
    title
}
