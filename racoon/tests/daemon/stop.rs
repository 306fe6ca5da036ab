use nix::sys::signal::Signal;

use crate::Site;

#[test]
fn terminating_signals() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let site = Site::new();
        let mut daemon = site.start(&[]);
        assert!(site.path("racoon.sock").exists());
        daemon.signal(Signal::SIGUSR1);
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0));
        site.await_log(&format!("INFO: caught signal {}: nothing to do\n", Signal::SIGUSR1 as i32));
        site.await_log(&format!("INFO: caught signal {}\n", signal as i32));
        let last = format!("INFO: racoon process {} shutdown\n", daemon.child.id());
        assert!(site.log().ends_with(&last), "{}", site.log());
        assert!(!site.path("racoon.sock").exists() && !site.path("racoon.pid").exists());
    }
}
