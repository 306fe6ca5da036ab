use expect_test::expect;

use crate::{Site, remote, site};

#[test]
fn empty_file_is_valid() {
    for text in ["", "# nothing\n"] {
        assert_eq!(Site::new().accepted(text), "");
        // There is a warning, though.
        let ran = Site::new().write("racoon.conf", text).run_fully(&["-t", "-f", "racoon.conf"]);
        let expected = "racoon.conf: warning: no remote section: racoon negotiates with nobody, and a running racoon \
            with tunnels refuses to reload such a file\n";
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), expected));
    }
    let ran = site().write("racoon.conf", &remote("anonymous", "")).run_fully(&["-t", "-f", "racoon.conf"]);
    assert!(!ran.stderr.contains("no remote section"), "{}", ran.stderr);
}

#[test]
fn included_files() {
    let site = site();
    site.write("remotes/b.conf", &remote("\"b\"", "remote_address 192.0.2.2;"))
        .write("remotes/a.conf", &remote("\"a\"", "remote_address 192.0.2.1;"))
        .write("remotes/c.txt", "junk");
    let head = "path certificate \"DIR\";\npath include \"DIR\";\n";
    assert_eq!(site.accepted(&format!("{head}include \"remotes/*.conf\";\n")), "");
    let text = site.run(&["-C", "-f", "racoon.conf"]).stdout;
    let names = text.lines().filter(|line| line.starts_with("remote ")).collect::<Vec<_>>();
    assert_eq!(names, ["remote \"a\" {", "remote \"b\" {"]);
}

#[test]
fn inherited_remotes() {
    let parent = remote("\"parent\"", "remote_address 192.0.2.1; nat_traversal force;");
    let heir = "remote \"heir\" inherit \"parent\" { remote_address 192.0.2.2; dpd_delay 7; }\n";
    let site = site();
    assert_eq!(site.accepted(&format!("path certificate \"DIR\";\n{parent}{heir}")), "");
    let text = site.run(&["-C", "-f", "racoon.conf"]).stdout;
    let heir = text.split("remote \"heir\"").nth(1).unwrap();
    for line in ["remote_address 192.0.2.2;", "nat_traversal force;", "dpd_delay 7;", "dh_group modp2048;"] {
        assert!(heir.contains(line), "{line}\n{text}");
    }
}

#[test]
fn printed_configuration_reads_back() {
    let site = site();
    let text = format!("path certificate \"DIR\";\n{}", remote("anonymous", "my_identifier asn1dn;"));
    site.write("racoon.conf", &text);
    let printed = site.run(&["-C", "-f", "racoon.conf"]);
    assert_eq!((printed.status, printed.stderr.as_str()), (Some(0), ""));
    site.write("printed.conf", &printed.stdout);
    let again = site.run(&["-tCf", "printed.conf"]);
    assert_eq!((again.status, again.stdout), (Some(0), printed.stdout));
    let fully = |file: &str| site.run_fully(&["-t", "-f", file]).stderr;
    assert_eq!(
        fully("printed.conf").lines().count(),
        fully("racoon.conf").lines().count(),
        "{}",
        fully("printed.conf")
    );
    let same = site.run(&["-t", "-f", "printed.conf", "--against", "racoon.conf"]);
    assert!(same.stdout.starts_with("racoon: configuration file"), "{}", same.stdout);
}

#[test]
fn warnings_are_no_errors() {
    let text = format!("path certificate \"DIR\";\n{}", remote("anonymous", "verify_cert off;"));
    expect![[r#"
        racoon.conf:2:1: warning: verify_cert off is weak
          remote anonymous {
          ^
          anyone can impersonate the peer
    "#]]
    .assert_eq(&site().accepted(&text));
}

#[test]
fn unimplemented_directives_are_listed_with_places() {
    let site = site();
    site.write("racoon.conf", "log info;\ntimer {\n    natt_keepalive 3 sec;\n}\nmode_cfg { dns4 192.0.2.53; }\n");
    let ran = site.run_fully(&["-t", "-f", "racoon.conf"]);
    let expected = "racoon.conf:3:5: warning: accepted, not yet in effect\n  \
        natt_keepalive (racoon.conf:3) mode_cfg (racoon.conf:5) dns4 (racoon.conf:5)\n";
    assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
}
