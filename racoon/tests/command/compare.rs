use expect_test::expect;

use crate::{remote, site};

const ALGORITHMS: &str =
    "encryption_algorithm aes; authentication_algorithm hmac_sha256; compression_algorithm deflate;";

#[test]
fn what_a_reload_would_change() {
    let site = site();
    let head = "path certificate \"DIR\";\n";
    let [a, b, c] = ["a", "b", "c"].map(|name| remote(&format!("\"{name}\""), ""));
    let changed = remote("\"b\"", "dpd_delay 5;");
    let old = format!("{head}{a}{b}sainfo anonymous {{ {ALGORITHMS} }}\n");
    let new = format!(
        "{head}log debug;\n{changed}{c}sainfo anonymous {{ {ALGORITHMS} pfs_group 14; }}\n\
         sainfo address 10.0.0.0/8 any clientaddr {{ remoteid 7; {ALGORITHMS} }}\n"
    );
    site.write("old.conf", &old).write("new.conf", &new);
    let ran = site.run(&["-t", "-f", "new.conf", "--against", "old.conf"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    expect![[r#"
        different: log
        new:       remote "c" (new.conf:14)
        gone:      remote "a" (old.conf:2)
        different: remote "b" (new.conf:3)
        new:       sainfo subnet 10.0.0.0/8[any] any clientaddr, remoteid 7 (new.conf:26)
        different: sainfo anonymous (new.conf:25)
        racoon: configuration file "new.conf" syntax is ok
        racoon: configuration file "new.conf" test is successful
    "#]]
    .assert_eq(&ran.stdout);
}

#[test]
fn invalid_old_configuration() {
    let site = site();
    let ran = site.write("new.conf", "").run(&["-t", "-f", "new.conf", "--against", "old.conf"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    expect![[r#"
        old.conf: cannot be read: No such file or directory
        racoon: cannot compare with "old.conf": it has errors
    "#]]
    .assert_eq(&ran.stderr);
}
