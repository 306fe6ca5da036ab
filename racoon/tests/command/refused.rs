use expect_test::expect;

use crate::{Site, remote, site};

#[test]
fn all_errors_with_their_places() {
    let said = Site::new().refused(
        "log verbose;\ntimer {\n    counter many;\n    intervall 10 sec;\n}\nremote 192.0.2.256 {\n    exchange_mode main\n}\n",
    );
    expect![[r#"
        racoon.conf:1:5: syntax error at `verbose'
          log verbose;
              ^
          write `debug2`
        racoon.conf:3:13: syntax error at `many'
              counter many;
                      ^
          expected a number
        racoon.conf:4:5: syntax error at `intervall'
              intervall 10 sec;
              ^
          did you mean `interval`?
        racoon.conf:6:8: syntax error at `192.0.2.256'
          remote 192.0.2.256 {
                 ^
          `192.0.2.256` is not an IPv4 or IPv6 address
        racoon.conf:7:23: a `;` is missing
              exchange_mode main
                                ^
          the section ends after it
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&said);
}

#[test]
fn errors_in_included_files() {
    let site = Site::new();
    site.write("more.conf", "log info;\n\nlog loud;\n");
    expect![[r#"
        racoon.conf:2:5: syntax error at `quiet'
          log quiet;
              ^
          write `error`
        more.conf:3:5: syntax error at `loud'
          log loud;
              ^
          expected error, warning, notify, info, debug or debug2
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&site.refused("include \"more.conf\";\nlog quiet;\n"));
    expect![[r#"
        racoon.conf:1:9: no file matches nothing/*.conf
          include "nothing/*.conf";
                  ^
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&site.refused("include \"nothing/*.conf\";\n"));
}

#[test]
fn file_that_includes_itself() {
    expect![[r#"
        racoon.conf:1:9: racoon.conf includes itself
          include "racoon.conf";
                  ^
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&Site::new().refused("include \"racoon.conf\";\n"));
}

#[test]
fn missing_file() {
    let ran = Site::new().run(&["-t", "-f", "nowhere.conf"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    expect![[r#"
        nowhere.conf: cannot be read: No such file or directory
        racoon: configuration file "nowhere.conf" test failed
    "#]]
    .assert_eq(&ran.stderr);
    let ran = Site::new().run(&["-C", "-f", "nowhere.conf"]);
    expect![[r#"
        nowhere.conf: cannot be read: No such file or directory
        racoon: failed to parse configuration file.
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn missing_certificates() {
    let site = site();
    std::fs::remove_file(site.path("gw.key")).unwrap();
    let text = format!("path certificate \"DIR\";\n{}", remote("anonymous", "ca_type x509 \"none.pem\";"));
    expect![[r#"
        racoon.conf:4:18: failed to load certificate "none.pem"
              ca_type x509 "none.pem";
                           ^
          DIR/none.pem: No such file or directory
        racoon.conf:11:36: failed to load private key "gw.key"
              certificate_type x509 "gw.pem" "gw.key";
                                             ^
          DIR/gw.key: No such file or directory
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&site.refused(&text));
}

#[test]
fn unknown_name_attributes() {
    let text = format!("path certificate \"DIR\";\n{}", remote("anonymous", "peers_identifier asn1dn \"XYZ=a\";"));
    expect![[r#"
        racoon.conf:2:1: unknown attribute `XYZ` in a distinguished name
        racoon: configuration file "racoon.conf" test failed
    "#]]
    .assert_eq(&site().refused(&text));
}

#[test]
fn binary_file() {
    let site = Site::new();
    std::fs::write(site.path("racoon.conf"), b"\xff\xfd\0 {;\"\n").unwrap();
    let ran = site.run(&["-t", "-f", "racoon.conf"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("\nracoon.conf:1:1: "), "{}", ran.stderr);
}
