//! Signal handlers and children, which belong to the whole process.

use nix::sys::signal::{Signal as Number, raise};
use racoon::signals::{Signal, Signals};

use crate::{alone, role};

#[test]
#[ignore = "2026-11-22: the other test runs it in a process of its own"]
fn the_process() {
    if role().is_none() {
        return;
    }
    let signals = Signals::watch().unwrap();
    assert_eq!(signals.take(), []);
    for number in [Number::SIGUSR1, Number::SIGHUP, Number::SIGPIPE, Number::SIGTERM, Number::SIGINT] {
        raise(number).unwrap();
    }
    let number = |number: Number| u8::try_from(number as i32).unwrap();
    let stops = [Signal::Stop(number(Number::SIGINT)), Signal::Stop(number(Number::SIGTERM))];
    assert_eq!(signals.take(), [Signal::Reload, stops[0], stops[1], Signal::User(number(Number::SIGUSR1))]);
    // More signals than the pipe holds neither block nor hide others.
    (0..100_000).for_each(|_| raise(Number::SIGUSR2).unwrap());
    raise(Number::SIGTERM).unwrap();
    assert_eq!(signals.take(), [stops[1], Signal::User(number(Number::SIGUSR2))]);
    assert_eq!(signals.take(), []);
    assert!(std::process::Command::new("true").status().unwrap().success());
    assert_eq!(signals.take(), [Signal::Child]);
}

#[test]
fn each_signal_once() {
    let output = alone("signals::the_process", "signals");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
