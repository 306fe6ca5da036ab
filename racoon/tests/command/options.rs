use crate::Site;

#[test]
fn version() {
    let ran = Site::new().run(&["-V"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("racoon @(#) ipsec-tools-rs "), "{}", ran.stdout);
    let features = "\n\nCompiled with:\n- IPv6 support\n- Dead Peer Detection\n- Monotonic clock\n";
    assert!(ran.stdout.ends_with(features), "{}", ran.stdout);
}

#[test]
fn usage() {
    let asked = Site::new().run(&["-h"]);
    assert_eq!((asked.status, asked.stderr.as_str()), (Some(0), ""));
    let wrong = Site::new().run(&["-x"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(1), ""));
    assert_eq!(wrong.stderr, format!("racoon: invalid option -- 'x'\n{}", asked.stdout));
    assert_eq!(Site::new().run(&["racoon.conf"]).status, Some(1));
}
