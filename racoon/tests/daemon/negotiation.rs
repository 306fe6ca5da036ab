use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{ANOTHER_PEER, Site, eventually, free_port};

/// Body of a remote section.
pub(crate) const REMOTE: &str = "{
    exchange_mode main;
    my_identifier address;
    initial_contact off;
    proposal {
        encryption_algorithm aes 256;
        hash_algorithm sha256;
        authentication_method pre_shared_key;
        dh_group modp2048;
    }
}";

/// A sainfo.
pub(crate) const SAINFO: &str = "sainfo anonymous {
    encryption_algorithm aes 256;
    authentication_algorithm hmac_sha256;
    compression_algorithm deflate;
}
";

/// Timeouts that even a busy machine meets.
pub(crate) const TIMER: &str = "timer { counter 200; interval 1 sec; phase1 200 sec; phase2 200 sec; }";

/// Configures a peer at another port of this host.
fn peers(site: &Site, other: &Site) {
    peers_with(TIMER, site, other);
}

fn peers_with(timer: &str, site: &Site, other: &Site) {
    site.write("psk.txt", "127.0.0.1 correct horse battery staple\n");
    site.configure(&format!("{timer}\nremote 127.0.0.1 [{}] {REMOTE}\n", other.port));
}

/// Command that establishes a phase 1.
pub(crate) const ESTABLISH: [&str; 5] = ["establish-sa", "isakmp", "inet", "127.0.0.1", "127.0.0.1"];

/// Returns two sites configured for each other.
fn two_sites() -> (Site, Site) {
    let (a, b) = (Site::new(), Site::new());
    peers(&a, &b);
    peers(&b, &a);
    (a, b)
}

#[test]
fn phase_1_between_two_daemons() {
    let (a, b) = two_sites();
    let (mut first, mut second) = (a.start(&["-Z"]), b.start(&["-Z"]));
    let ran = a.ctl(&ESTABLISH);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", a.log());
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");

    let table = a.ctl(&["-l", "show-sa", "isakmp"]);
    let (head, row) = table.stdout.split_once('\n').unwrap();
    assert_eq!(head, "Destination            Cookies                           ST S  V E Created             Phase2");
    assert!(row.starts_with(&format!("127.0.0.1.{}", b.port)), "{row}");
    let words = row.split_whitespace().collect::<Vec<_>>();
    assert_eq!((words[2], words[3], words[4], words[5], words[8]), ("9", "I", "10", "M", "0"));
    // Both ends show the same cookies.
    let other = b.ctl(&["-ll", "show-sa", "isakmp"]).stdout;
    assert!(other.contains(words[1]) && other.contains(" 9 R 10 M "), "{other}");

    for (remote, reason) in [
        ("127.0.0.1", "the peer has proved its identity without a certificate"),
        ("127.0.0.77", "there is no established phase 1 between these hosts"),
    ] {
        let ran = a.ctl(&["get-cert", "inet", "0.0.0.0", remote]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
        assert_eq!(ran.stderr, format!("racoonctl: get-cert: {reason}\n"));
    }

    // The second time it exists already.
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    assert_eq!(a.ctl(&["show-sa", "isakmp"]).stdout.lines().count(), 2);

    // A shutdown informs the peer.
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().code(), Some(0));
    assert!(eventually(|| b.ctl(&["show-sa", "isakmp"]).stdout.lines().count() == 1), "{}", b.log());
    second.signal(Signal::SIGTERM);
    assert_eq!(second.ended().code(), Some(0));
}

#[test]
fn phase_1_is_deleted_on_request() {
    let (a, b) = two_sites();
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
    assert_eq!(b.ctl(&["delete-sa", "isakmp", "inet", "127.0.0.1", "127.0.0.1"]).status, Some(0));
    for site in [&a, &b] {
        assert!(eventually(|| site.ctl(&["show-sa", "isakmp"]).stdout.lines().count() == 1), "{}", site.log());
    }
}

#[test]
fn wrong_key_is_logged() {
    let (a, b) = two_sites();
    peers_with("timer { counter 3; interval 1 sec; }", &a, &b);
    b.write("psk.txt", "127.0.0.1 another key than the other has\n");
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("phase1 negotiation failed");
    assert!(!a.log().contains("ISAKMP-SA established") && !b.log().contains("ISAKMP-SA established"));
}

/// There may be a route for the next retransmission.
#[test]
fn send_error_does_not_end_the_negotiation() {
    let site = Site::new();
    site.configure(&format!("timer {{ counter 2; interval 1 sec; }}\nremote 192.0.2.9 {REMOTE}\n"));
    let _daemon = site.start(&[]);
    assert_eq!(site.ctl(&["establish-sa", "isakmp", "inet", "127.0.0.1", "192.0.2.9"]).status, Some(0));
    site.await_log("phase1 negotiation failed due to time up.");
    let sent = format!(": WARNING: message from 127.0.0.1[{}] not sent: ", site.port);
    let log = site.log();
    let lines = log.lines().filter(|line| line.contains(&sent)).collect::<Vec<_>>();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines.iter().all(|line| line.ends_with(" [192.0.2.9]")), "{lines:?}");
}

#[test]
fn key_file_is_read_again() {
    let (a, b) = two_sites();
    b.write("psk.txt", "192.0.2.1 of somebody else, and long enough\n");
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    b.write("psk.txt", "127.0.0.1 correct horse battery staple\n");
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
}

/// A reload switches to another key file.
#[test]
fn reload_switches_the_key_file() {
    let (a, b) = two_sites();
    b.write("psk.txt", "127.0.0.1 another key than the other has\n");
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    b.write("other.txt", "127.0.0.1 correct horse battery staple\n");
    let text = fs::read_to_string(b.path("racoon.conf")).unwrap();
    b.write("racoon.conf", &text.replace("psk.txt", "other.txt"));
    assert_eq!(b.ctl(&["reload-config"]).status, Some(0));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    b.await_log("ISAKMP-SA established");
}

/// Relative names refer to the directory where the daemon was started, which it leaves.
#[test]
fn relative_names_use_the_start_directory() {
    let (a, b) = two_sites();
    let text = fs::read_to_string(a.path("racoon.conf")).unwrap();
    let text = text.replace(&format!("{}/", a.path("").to_str().unwrap().trim_end_matches('/')), "");
    let text = text.replace("racoon.pid", a.path("racoon.pid").to_str().unwrap());
    let (head, remote) = text.split_once("timer").unwrap();
    a.write("racoon.conf", &format!("{head}include \"remote[s].conf\";\n"));
    a.write("remotes.conf", &format!("timer{remote}"));
    let ran = a.run(&["-Z"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    let _daemon = b.start(&["-Z"]);
    for round in 1..=2 {
        assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
        assert!(eventually(|| a.log().matches("ISAKMP-SA established").count() == round), "{}", a.log());
        assert_eq!(a.ctl(&["flush-sa", "isakmp"]).status, Some(0));
        assert_eq!(a.ctl(&["reload-config"]).status, Some(0), "{}", a.log());
    }
    let pid = fs::read_to_string(a.path("racoon.pid")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    a.await_log(&format!("racoon process {pid} shutdown"));
    assert!(!a.path("racoon.sock").exists());
}

#[test]
fn unconfigured_peer_is_refused() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    let ran = site.ctl(&ESTABLISH);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.starts_with("racoonctl: establish-sa: no configuration for it"), "{}", ran.stderr);
    let ran = site.ctl(&["establish-sa", "esp", "inet", "127.0.0.1/32", "127.0.0.2/32", "any"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
}

#[test]
fn kernel_sas_are_shown() {
    let site = Site::new();
    let _daemon = site.start(&[]);
    for table in ["esp", "ah", "ipsec"] {
        let ran = site.ctl(&["show-sa", table]);
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "No SAD entries.\n", ""));
    }
    assert_eq!(site.ctl(&["flush-sa", "ipsec"]).status, Some(0));
    assert_eq!(site.ctl(&["flush-sa", "isakmp"]).status, Some(0));
}

#[test]
fn reload_keeps_configured_phase1() {
    let (a, b) = two_sites();
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
    let cookies = || {
        let table = a.ctl(&["show-sa", "isakmp"]).stdout;
        let rows = table.lines().skip(1);
        rows.filter_map(|row| row.split_whitespace().nth(1)).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = cookies();
    assert_eq!(before.len(), 1);
    assert_eq!(a.ctl(&["reload-config"]).status, Some(0));
    assert_eq!(cookies(), before);
    // Without its remote section the phase 1 is deleted, and the peer informed.
    a.configure(ANOTHER_PEER);
    assert_eq!(a.ctl(&["reload-config"]).status, Some(0));
    for site in [&a, &b] {
        assert!(eventually(|| site.ctl(&["show-sa", "isakmp"]).stdout.lines().count() == 1), "{}", site.log());
    }
}

#[test]
fn delete_is_sent_from_the_old_address() {
    let (a, b, port) = (Site::new(), Site::new(), free_port());
    peers(&a, &b);
    peers(&b, &a);
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
    a.configure(ANOTHER_PEER);
    let text = fs::read_to_string(a.path("racoon.conf")).unwrap();
    a.write("racoon.conf", &text.replace(&format!("[{}]", a.port), &format!("[{port}]")));
    assert_eq!(a.ctl(&["reload-config"]).status, Some(0));
    a.await_log(&format!("127.0.0.1[{port}] used as isakmp port"));
    assert!(eventually(|| b.ctl(&["show-sa", "isakmp"]).stdout.lines().count() == 1), "{}", b.log());
    assert!(!a.log().contains("cannot send"), "{}", a.log());
}
