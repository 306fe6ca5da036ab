//! Failures at each step: afterwards the state is the same as before.

use libpfkey::{Dialect, MessageType};

use super::Kernel;

const OLD: &str = "
    add 10.0.0.1 10.0.0.2 esp 0x1001 -u 1 -lh 900 -ls 800 -E aes-cbc 0x00112233445566778899aabbccddeeff;
    add 10.0.0.2 10.0.0.1 esp 0x1002 -u 1 -E null;
    add 10.0.0.1 10.0.0.3 ah 0x1003 -A hmac-sha1 0x0011223344556677889900112233445566778899;
    add 10.0.0.1 10.0.0.4 ipcomp 0x0104 -C deflate;
    spdadd 10.1.0.0/16 10.2.0.0/16 udp -P out none;
    spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.2/unique:1;
    spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/10.0.0.2-10.0.0.1/require;
    spdadd 10.3.0.0/16 10.1.0.0/16 any -P in discard;
    spdadd 2001:db8::1 2001:db8::2 any -P out ipsec ah/transport//require;\n";

/// Changes of every kind.
const NEW: &str = "flush; spdflush;
    add 10.0.0.1 10.0.0.2 esp 0x1001 -u 1 -lh 1900 -ls 1800 -E aes-cbc 0x00112233445566778899aabbccddeeff;
    add 10.0.0.2 10.0.0.1 esp 0x1002 -u 2 -E null;
    add 10.0.0.1 10.0.0.5 esp 0x1005 -E null;
    spdadd 10.1.7.0/24 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.5/require;
    spdadd 10.1.0.0/16 10.2.0.0/16 udp -P out none;
    spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.5/require;
    spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/10.0.0.5-10.0.0.1/require;\n";

/// Loads the files while the request with this index fails.
fn with_failure(dialect: Dialect, at: usize) -> (Kernel, Result<(), String>, String) {
    let mut kernel = Kernel::new(dialect);
    kernel.run(OLD);
    kernel.watch.lock().unwrap().fails = Some((at, libc::ENOMEM));
    let (loaded, lines) = kernel.load(&[NEW]);
    (kernel, loaded, lines)
}

#[test]
fn linux_restores_everything() {
    let mut kernel = Kernel::new(Dialect::Linux);
    kernel.run(OLD);
    let before = kernel.state();
    kernel.load(&[NEW]).0.unwrap();
    let (requests, after) = (kernel.changes().len(), kernel.state());
    assert_ne!(before, after);
    assert!(requests > 12, "{requests}");
    for at in 0..requests {
        let (mut kernel, loaded, lines) = with_failure(Dialect::Linux, at);
        assert_eq!(loaded, Err("nothing was changed: the previous state was restored".into()), "{at}: {lines}");
        assert_eq!(kernel.state(), before, "request {at}: {lines}");
        let told = lines.lines().filter(|line| line.ends_with(": Cannot allocate memory")).count();
        assert_eq!(told, 1, "{at}: {lines}");
    }
}

/// The BSDs do not report the last state of a deleted SA.
#[test]
fn bsds_do_not_restore_sas_whose_sequence_numbers_would_restart() {
    for dialect in [Dialect::FreeBsd, Dialect::NetBsd] {
        let mut kernel = Kernel::new(dialect);
        kernel.run(OLD);
        let before = kernel.state();
        kernel.load(&[NEW]).0.unwrap();
        let requests = kernel.changes().len();
        let mut left_out = 0;
        for at in 0..requests {
            let (mut kernel, loaded, lines) = with_failure(dialect, at);
            let text = loaded.unwrap_err();
            let state = kernel.state();
            assert_eq!(state.1, before.1, "{dialect} {at}: {lines}");
            let lost = |sa: &&String| !state.0.contains(sa);
            let lost: Vec<_> = before.0.iter().filter(lost).collect();
            assert_eq!(state.0.len() + lost.len(), before.0.len(), "{dialect} {at}: {lines}");
            for sa in &lost {
                let name = sa.split(" [").next().unwrap();
                let line =
                    format!("setkey: the SA {name} is not restored: its sequence numbers would start from 1 again\n");
                assert!(lines.contains(&line), "{lines}");
            }
            left_out += lost.len();
            let said = match lost.len() {
                0 => "nothing was changed: the previous state was restored".into(),
                1 => "the previous state was restored, without 1 SA".into(),
                lost => format!("the previous state was restored, without {lost} SAs"),
            };
            assert_eq!(text, said, "{dialect} {at}: {lines}");
        }
        assert!(left_out > 0);
    }
}

#[test]
fn failed_step_is_named() {
    let (_, _, lines) = with_failure(Dialect::Linux, 0);
    assert_eq!(lines.lines().last(), Some("setkey: a.conf,2: Cannot allocate memory"), "{lines}");
    let mut kernel = Kernel::new(Dialect::Linux);
    kernel.run(OLD);
    kernel.engine.fail_next(MessageType::SpdDelete2, libc::ENOMEM);
    let (_, lines) = kernel.load(&["spdflush;"]);
    assert_eq!(lines, "setkey: cannot remove the policy out 10.1.0.0/16 10.2.0.0/16 17: Cannot allocate memory\n");
}

#[test]
fn used_sa_is_not_restored() {
    // Here the kernel itself refuses a request.
    let old = "add 10.0.0.1 10.0.0.2 esp 0x1001 -E null; add 10.0.0.1 10.0.0.3 esp 0x1002 -E null;";
    let mut kernel = Kernel::new(Dialect::NetBsd);
    kernel.run(old);
    kernel.engine.fail_next(MessageType::Add, libc::ENOMEM);
    let (loaded, lines) = kernel.load(&["add 10.0.0.1 10.0.0.2 esp 0x1001 -u 5 -E null;"]);
    assert_eq!(loaded, Err("the previous state was restored, without 1 SA".into()));
    let expected = "\
setkey: a.conf,1: warning: esp 10.0.0.1 10.0.0.2 0x00001001 changes under its SPI: packets are dropped until both ends have \
the new one; a new SPI avoids that
setkey: a.conf,1: Cannot allocate memory
setkey: the SA esp 10.0.0.1 10.0.0.2 0x00001001 is not restored: its sequence numbers would start from 1 again\n";
    assert_eq!(lines, expected);
    assert_eq!(kernel.state().0.len(), 1);
}

#[test]
fn entry_that_is_already_gone_is_no_failure() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let mut kernel = Kernel::new(dialect);
        kernel.run("add 10.0.0.1 10.0.0.2 esp 0x1001 -E null; spdadd 10.0.0.1 10.0.0.2 any -P out discard;");
        // Both are already gone when they are to be removed.
        let mut other = Kernel::over(kernel.engine.another_handle().unwrap(), false);
        let after = move || other.run("flush; spdflush;");
        kernel.watch.lock().unwrap().after = Some(Box::new(after));
        kernel.replace("flush; spdflush; add 10.0.0.1 10.0.0.9 esp 0x1009 -E null;");
    }
}

/// A kernel without buffer space drops an answer. That the SA is gone can be determined, but not its last state.
#[test]
fn sa_with_unknown_last_state_is_not_restored() {
    let mut kernel = Kernel::new(Dialect::Linux);
    kernel.run("add 10.0.0.1 10.0.0.2 esp 0x1001 -E null; add 10.0.0.1 10.0.0.3 esp 0x1002 -E null;");
    {
        let mut watch = kernel.watch.lock().unwrap();
        (watch.loses, watch.fails) = (Some(0), Some((1, libc::ENOMEM)));
    }
    let (loaded, lines) = kernel.load(&["add 10.0.0.1 10.0.0.2 esp 0x1001 -u 5 -E null;"]);
    assert_eq!(loaded, Err("the previous state was restored, without 1 SA".into()), "{lines}");
    assert!(lines.contains("the SA esp 10.0.0.1 10.0.0.2 0x00001001 is not restored"), "{lines}");
    assert_eq!(kernel.state().0.len(), 1);
}
