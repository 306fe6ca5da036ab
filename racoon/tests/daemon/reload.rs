use std::fs;

use nix::sys::signal::Signal;

use crate::{ANOTHER_PEER, Site, eventually};

#[test]
fn bad_file_keeps_the_old_configuration() {
    let site = Site::new();
    let daemon = site.start(&[]);
    site.configure("log verbose;\n");
    daemon.signal(Signal::SIGHUP);
    site.await_log("ERROR: the configuration cannot be used: the old one stays in effect");
    assert!(site.log().contains("ERROR: racoon.conf:8:5: syntax error at `verbose'"), "{}", site.log());
    let ran = site.ctl(&["reload-config"]);
    let expected = "racoonctl: reload-config: the configuration cannot be used: the old one stays in effect\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), expected));
    assert_eq!(site.ctl(&["show-sa", "isakmp"]).status, Some(0));

    site.configure("log debug;\n");
    assert_eq!(site.ctl(&["rc"]).status, Some(0));
    site.ctl(&["show-sa", "isakmp"]);
    site.await_log("DEBUG: control socket: show-sa");
}

/// A file without any remote section would delete all tunnels.
#[test]
fn file_without_remotes_does_not_replace_remotes() {
    let site = Site::new();
    site.configure(ANOTHER_PEER);
    let daemon = site.start(&[]);
    site.configure("log debug;\n");
    daemon.signal(Signal::SIGHUP);
    site.await_log("ERROR: the configuration cannot be used: the old one stays in effect");
    let reason =
        "ERROR: racoon.conf: no remote section: a reload would delete all tunnels; to delete them, stop racoon";
    assert!(site.log().contains(reason), "{}", site.log());
    let ran = site.ctl(&["reload-config"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    // A file with remotes is accepted, and so is one without where there were none.
    site.configure(&format!("log debug;\n{ANOTHER_PEER}"));
    assert_eq!(site.ctl(&["reload-config"]).status, Some(0));
    let site = Site::new();
    let _daemon = site.start(&[]);
    assert_eq!(site.ctl(&["reload-config"]).status, Some(0));
}

#[test]
fn sockets_follow_the_configuration() {
    let mut site = Site::new();
    let port = Site::new().port;
    {
        let _daemon = site.start(&[]);
        let old = site.port;
        let moved = Site { port, directory: tempfile::tempdir().unwrap() };
        moved.configure("");
        let text = fs::read_to_string(moved.path("racoon.conf")).unwrap();
        let text = text.replace(moved.directory.path().to_str().unwrap(), "DIR");
        site.write("racoon.conf", &text);
        assert_eq!(site.ctl(&["reload-config"]).status, Some(0));
        site.await_log(&format!("127.0.0.1[{old}] closed"));
        site.await_log(&format!("127.0.0.1[{port}] used as isakmp port"));
    }
    site.port = port;
}

#[test]
fn log_file_is_reopened() {
    let site = Site::new();
    let daemon = site.start(&[]);
    fs::rename(site.path("racoon.log"), site.path("racoon.log.1")).unwrap();
    daemon.signal(Signal::SIGHUP);
    site.await_log("Reading configuration from");
    assert!(eventually(|| site.path("racoon.log.1").exists()));
}

#[test]
fn changes_that_need_a_restart() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    site.configure("threads 3;\npfkey_buffer 7;\npath backupsa \"DIR/sa.backup\";\npath pidfile \"DIR/pid\";\n");
    assert_eq!(site.ctl(&["reload-config"]).status, Some(0));
    for what in ["threads", "pfkey_buffer", "path backupsa", "path pidfile"] {
        let warning = "changed; restart racoon to apply it";
        site.await_log(&format!("WARNING: {what} {warning}"));
    }
    site.configure_on("pfkey", "");
    let text = fs::read_to_string(site.path("racoon.conf")).unwrap();
    site.write("racoon.conf", &text.replace("racoon.sock\"", "other.sock\""));
    assert_eq!(site.ctl(&["reload-config"]).status, Some(0));
    for what in ["backend", "adminsock"] {
        site.await_log(&format!("WARNING: {what} changed"));
    }
}
