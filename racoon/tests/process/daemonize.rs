//! Running in the background.

use std::process;

use racoon::daemonize::enter;

use crate::{alone, role};

#[test]
#[ignore = "2026-11-22: the other test runs it, each time in a process of its own"]
fn the_daemon() {
    let Some(role) = role() else { return };
    let starting = enter().unwrap();
    match role.as_str() {
        "ready" => {
            starting.ready().unwrap();
            eprintln!("nobody hears this");
            let directory = std::env::current_dir().unwrap();
            process::exit(if directory.as_os_str() == "/" { 0 } else { 7 });
        }
        "failed" => starting.failed("racoon: no kernel\n"),
        "dies" => process::abort(),
        _ => {}
    }
    process::exit(3);
}

#[test]
fn parent_reports_the_outcome() {
    let said = |role| {
        let output = alone("daemonize::the_daemon", role);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let unsaid = "racoon: the daemon exited during startup\n".to_owned();
    assert_eq!(said("ready"), (Some(0), String::new()));
    assert_eq!(said("failed"), (Some(1), "racoon: no kernel\n".into()));
    assert_eq!(said("dies"), (Some(1), unsaid.clone()));
    assert_eq!(said("dropped"), (Some(1), unsaid));
}
