use super::*;

fn load_files(files: &[(&str, &str)]) -> Load {
    let files = files.iter().fold(Files::default(), |files, (name, text)| files.with(name, text));
    load("/etc/a.conf", &files)
}

fn journal(load: &Load) -> Option<u32> {
    load.config.as_ref().map(|config| config.journal)
}

#[test]
fn patterns_and_directories() {
    let load = load_files(&[
        ("/etc/a.conf", "path include \"/etc/more\"; include \"x*.conf\"; include \"/etc/last.conf\"; log debug;"),
        ("/etc/more/x1.conf", "journal 1; log error;"),
        ("/etc/more/x2.conf", "journal 2;"),
        ("/etc/more/y.conf", "journal 3;"),
        ("/etc/last.conf", "pfkey_buffer 7;"),
    ]);
    assert_eq!(show(&load), "");
    assert_eq!(journal(&load), Some(2));
    let config = load.config.unwrap();
    assert_eq!((config.pfkey_buffer, config.log), (7, LogLevel::Debug));
}

#[test]
fn failed_includes() {
    let load = load_files(&[
        ("/etc/a.conf", "include \"/none*\";\ninclude \"/none\";\ninclude \"/etc/b.conf\";\ninclude here;"),
        ("/etc/b.conf", "include \"/etc/a.conf\"; jurnal 2;"),
    ]);
    let expected = [
        "/etc/a.conf:1:9: no file matches /none*",
        "/etc/a.conf:2:9: cannot include /none: no such file",
        "/etc/a.conf:4:9: syntax error at `here'",
        "/etc/b.conf:1:9: /etc/a.conf includes itself",
        "/etc/b.conf:1:24: syntax error at `jurnal'",
    ];
    assert_eq!(messages(&load), expected);
    assert_eq!(load.errors, 5);
    assert!(load.config.is_none());
    assert!(show(&load).contains("expected a file name, in quotes"));
}

#[test]
fn ten_files_deep() {
    let names: Vec<String> =
        (0..=10).map(|n| format!("/etc/{}.conf", ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"][n])).collect();
    let deep = |count: usize| {
        let mut files = Files::default();
        for n in 0..count {
            let next = if n + 1 < count { format!("include \"{}\";", names[n + 1]) } else { "journal 5;".to_owned() };
            files = files.with(&names[n], next);
        }
        load(&names[0], &files)
    };
    assert_eq!(journal(&deep(10)), Some(5));
    assert_eq!(messages(&deep(11)), ["/etc/j.conf:1:9: too many files include each other"]);
}

#[test]
fn number_of_files_is_limited() {
    // Each includes all the others: without a limit 10! loads.
    let all = "include \"/d/*\"; ".repeat(3);
    let files = (0..12).fold(Files::default(), |files, n| files.with(&format!("/d/{n}"), &all));
    let load = load("/d/0", &files);
    assert!(load.errors > 0 && load.problems.len() < 500);
}

#[test]
fn missing_file() {
    let load = load("/etc/none.conf", &Files::default());
    assert_eq!(show(&load), "/etc/none.conf: cannot be read: no such file\n");
    assert!(load.config.is_none());
    assert_eq!(messages(&super::load("/etc/none*", &Files::default())), ["/etc/none*: no such file"]);
}

#[test]
fn binary_file() {
    let mut text = REMOTE.replace("fqdn \"a\"", "keyid tag \"k@\"").into_bytes();
    text.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xe9);
    let load = load("a.conf", &Files::default().with("a.conf", &text));
    assert_eq!(messages(&load), ["a.conf: warning: not UTF-8: read as ISO 8859-1"]);
    let Identifier::KeyId(Some(key_id)) = &load.config.unwrap().remotes[0].my_identifier else { panic!("a key id") };
    assert_eq!(*key_id.bytes, *b"k\xe9");
}

#[test]
fn key_id_from_a_file() {
    let text = REMOTE.replace("fqdn \"a\"", "keyid \"/id\"");
    let load = load("a.conf", &Files::default().with("a.conf", &text).with("/id", b"\x00\xff\n"));
    let Identifier::KeyId(Some(key_id)) = &load.config.unwrap().remotes[0].my_identifier else { panic!("a key id") };
    assert_eq!(*key_id.bytes, *b"\x00\xff\n");
    assert_eq!(messages(&load_text(&text)), ["a.conf:1:60: failed to read keyid file: no such file"]);
}

#[test]
fn changes_between_two_loads() {
    let second = REMOTE.replace("192.0.2.1", "192.0.2.2");
    let old = config(&format!("log info;{REMOTE}{second}sainfo anonymous {SAINFO}"));
    let third = REMOTE.replace("192.0.2.1", "192.0.2.3");
    let new = config(&format!(
        "log debug;\n\n{third}{}sainfo anonymous {SAINFO}sainfo anonymous clientaddr {SAINFO}",
        REMOTE.replace("exchange_mode main", "exchange_mode base")
    ));
    let changes = Changes::between(&old, &new);
    let names = |list: &[&Remote]| list.iter().map(|remote| remote.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&changes.remotes.added), ["192.0.2.3"]);
    assert_eq!(names(&changes.remotes.removed), ["192.0.2.2"]);
    assert_eq!(changes.remotes.changed.len(), 1);
    assert_eq!(changes.remotes.changed[0].1.exchange_modes, [ExchangeMode::Base]);
    assert_eq!(changes.sainfos.added.len(), 1);
    assert!(changes.sainfos.removed.is_empty() && changes.sainfos.changed.is_empty());
    assert_eq!(changes.globals, ["log"]);
    assert!(!changes.reordered && !changes.is_empty());

    let swapped = config(&format!("log info;{second}{REMOTE}sainfo anonymous {SAINFO}"));
    let changes = Changes::between(&old, &swapped);
    assert!(changes.reordered && changes.remotes.is_empty() && changes.globals.is_empty());
    assert!(Changes::between(&old, &old).is_empty());
}
