//! Contents of files, and several files.

use libpfkey::{Dialect, MessageType};

use super::super::read_statements;
use super::Kernel;

#[test]
fn endless_input_is_not_read_far() {
    let zeros = read_statements(&mut std::io::repeat(0)).unwrap();
    assert!(zeros.len() < 1 << 18, "{}", zeros.len());
    let script = "spdflush; # a comment\n".repeat(20_000);
    assert_eq!(*read_statements(&mut script.as_bytes()).unwrap(), script.as_bytes());
}

#[test]
fn statements_not_permitted_with_replace_are_refused() {
    let names = "10.0.0.1 10.0.0.2 esp 0x1001";
    let policy = "10.0.0.1 10.0.0.2 any -P out";
    let mut kernel = Kernel::new(Dialect::Linux);
    kernel.run("add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;");
    for (statement, word, advice) in [
        (format!("delete {names};"), "delete", "leave out the SA"),
        ("deleteall 10.0.0.1 10.0.0.2 esp;".into(), "deleteall", "leave out the SAs"),
        (format!("spddelete {policy} none;"), "spddelete", "leave out the policy"),
        (format!("get {names};"), "get", "use setkey -c"),
        (format!("getspi {names};"), "getspi", "use setkey -c"),
        ("dump esp;".into(), "dump", "use setkey -D"),
        ("spddump;".into(), "spddump", "use setkey -DP"),
    ] {
        let (loaded, lines) = kernel.load(&[&format!("flush;\n{statement}")]);
        assert_eq!(loaded, Err("1 error; nothing was changed".into()));
        let text = format!("setkey: a.conf,2: `{word}' is not permitted with --replace: {advice} at `{word}'\n");
        assert_eq!(lines, format!("{text}setkey: a.conf,2: parse failed\n"));
    }
    assert_eq!(kernel.changes(), []);
}

#[test]
fn all_errors_are_reported_and_nothing_changes() {
    let mut kernel = Kernel::new(Dialect::Linux);
    let text = "flush;\nfrob;\nadd 10.0.0.1 ::1 esp 0x1001 -E null;\nadd 10.0.0.1 10.0.0.2 esp 0x1001 -E null;\nspdflush;\n\
        add 10.0.0.1 10.0.0.2 esp 0x1001 -E null";
    let (loaded, lines) = kernel.load(&["spdflush;", text]);
    assert_eq!(loaded, Err("4 errors; nothing was changed".into()), "{lines}");
    let at = |line: u32| lines.lines().filter(|text| text.starts_with(&format!("setkey: b.conf,{line}: "))).count();
    assert_eq!([2, 3, 5, 6].map(at), [2; 4], "{lines}");
    assert_eq!(lines.lines().count(), 8, "{lines}");
    assert_eq!(kernel.changes(), []);
}

#[test]
fn duplicates_are_errors() {
    let mut kernel = Kernel::new(Dialect::Linux);
    let text = "add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;\nspdadd 10.0.0.1 10.0.0.2 any -P out none;\n";
    let (loaded, lines) = kernel.load(&[text, text]);
    assert_eq!(loaded, Err("2 errors; nothing was changed".into()));
    assert!(lines.starts_with("setkey: b.conf,1: the SA exists already (a.conf,1) at `add'\n"), "{lines}");
    assert!(lines.contains("setkey: b.conf,2: the policy exists already (a.conf,2) at `spdadd'\n"), "{lines}");
    // `update` and `spdupdate` may replace an earlier statement.
    let changes =
        "update 10.0.0.1 10.0.0.2 esp 0x1001 -u 3 -E null;\nspdupdate 10.0.0.1 10.0.0.2 any -P out discard;\n";
    assert_eq!(kernel.load(&[text, changes]), (Ok(()), String::new()));
    assert_eq!(kernel.changes(), [MessageType::Add, MessageType::SpdUpdate]);
    assert_eq!(kernel.state().1[0].1.kind, libpfkey::num::POLICY_DISCARD);
}

#[test]
fn several_files_describe_one_state() {
    let mut kernel = Kernel::new(Dialect::FreeBsd);
    kernel.run("add 10.0.0.1 10.0.0.9 esp 0x1009 -E null;");
    let files = [
        "flush; spdflush; add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;",
        "flush; add 10.0.0.1 10.0.0.2 esp 0x1002 -E null; quit; what comes here is not looked at;",
        "spdadd 10.0.0.1 10.0.0.2 any -P out ipsec esp/transport//require;",
    ];
    assert_eq!(kernel.load(&files), (Ok(()), String::new()));
    let (sas, policies) = kernel.state();
    assert_eq!((sas.len(), policies.len()), (2, 1), "{sas:?}");
}

#[test]
fn an_empty_file_changes_nothing() {
    let mut kernel = Kernel::new(Dialect::NetBsd);
    kernel.run("add 10.0.0.1 10.0.0.9 esp 0x1009 -E null; spdadd 10.0.0.1 10.0.0.2 any -P out none;");
    kernel.replace("# nothing\n");
    assert_eq!(kernel.changes(), []);
    kernel.replace("flush; spdflush;");
    assert_eq!(kernel.state(), (vec![], vec![]));
}

#[test]
fn many_entries() {
    let line = |n: u32| {
        let (a, b) = (n >> 8 & 0xff, n & 0xff);
        format!(
            "add 10.0.{a}.{b} 10.1.{a}.{b} esp {} -E null;\nspdadd 10.0.{a}.{b} 10.1.{a}.{b} any -P out ipsec esp/transport//require;\n",
            0x1000 + n
        )
    };
    let text = |numbers: std::ops::Range<u32>| "flush; spdflush;".to_owned() + &numbers.map(line).collect::<String>();
    for dialect in [Dialect::Linux, Dialect::FreeBsd] {
        let mut kernel = Kernel::new(dialect);
        kernel.replace(&text(0..1_000));
        assert_eq!(kernel.changes().len(), 2_000);
        kernel.replace(&text(0..1_000));
        assert_eq!(kernel.changes().len(), 0);
        kernel.replace(&text(500..1_500));
        assert_eq!(kernel.changes().len(), 2_000);
        assert_eq!(kernel.state().0.len(), 1_000);
    }
}
