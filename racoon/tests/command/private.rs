use expect_test::expect;

use crate::Site;

const TEXT: &str = "path pre_shared_key \"DIR/psk.txt\";
remote 192.0.2.1 {
    exchange_mode main;
    proposal {
        encryption_algorithm aes;
        hash_algorithm sha256;
        authentication_method pre_shared_key;
        dh_group 14;
    }
}
";

fn said(mode: u32) -> String {
    let site = Site::new();
    site.write("psk.txt", "192.0.2.1 correct horse battery staple\n").allow("psk.txt", mode);
    site.accepted(TEXT)
}

#[test]
fn key_file_permissions() {
    assert_eq!(said(0o600), "");
    assert_eq!(said(0o640), "");
    expect![[r#"
        racoon.conf:2:1: warning: no pre-shared key will be found
          remote 192.0.2.1 {
          ^
          DIR/psk.txt: mode 0644 is too open: 0600 or 0640 keeps its keys secret
    "#]]
    .assert_eq(&said(0o644));
    expect![[r#"
        racoon.conf:2:1: warning: no pre-shared key will be found
          remote 192.0.2.1 {
          ^
          DIR/psk.txt: mode 0660 is too open: 0600 or 0640 keeps its keys secret
    "#]]
    .assert_eq(&said(0o660));
}

#[test]
fn missing_keys() {
    expect![[r#"
        racoon.conf:2:1: warning: no pre-shared key will be found
          remote 192.0.2.1 {
          ^
          DIR/psk.txt: No such file or directory
    "#]]
    .assert_eq(&Site::new().accepted(TEXT));
}

#[test]
fn keys_are_not_shown() {
    let site = Site::new();
    site.write("psk.txt", "192.0.2.1 short\n192.0.2.2 0xtopsecret\nwithout\n");
    let said = site.accepted(TEXT);
    assert!(!said.contains("topsecret"), "{said}");
    expect![[r#"
        DIR/psk.txt:1:1: warning: a pre-shared key of fewer than 20 characters is weak
          it can be guessed from a recorded negotiation: use at least 20 random characters
        DIR/psk.txt:2:1: warning: 0x must be followed by hex digits, two for each octet
        DIR/psk.txt:3:1: warning: an identifier without a key
    "#]]
    .assert_eq(&said);
}
