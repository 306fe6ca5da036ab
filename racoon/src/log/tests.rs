//! Tests of the log as the daemon uses it.

use std::fs;

use super::*;

#[test]
fn level_of_file_and_command_line() {
    let log = Log::to(Sink::Memory(Vec::new()), &LogOptions { raise: 1, ..LogOptions::default() });
    log.debug("-d is one more than info");
    log.write(Level::Debug2, None, "and not two");
    log.set_level(Level::Error);
    log.warning("one more than error");
    log.notify("not two");
    assert!(log.enabled(Level::Warning) && !log.enabled(Level::Notify));
    assert_eq!(log.written(), ["DEBUG: -d is one more than info", "WARNING: one more than error"]);
}

#[test]
fn dump_lines() {
    let log = Log::in_memory();
    log.lines(Level::Debug, Some("2001:db8::1".parse().unwrap()), ["one", "two\nINFO: forged"]);
    assert_eq!(log.written(), ["DEBUG: one [2001:db8::1]", r"DEBUG: two\nINFO: forged [2001:db8::1]"]);
}

#[test]
fn log_file_option() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("racoon.log");
    let options = LogOptions { file: Some(path.clone()), location: true, ..LogOptions::default() };
    let log = Log::open(&options).unwrap();
    log.clone().info("hello");
    let line = line!() - 1;
    log.reopen().unwrap();
    log.debug("unheard");
    let text = fs::read_to_string(&path).unwrap();
    let (date, rest) = text.split_at("2026-01-31 12:00:00".len());
    assert!(date.chars().zip("dddd-dd-dd dd:dd:dd".chars()).all(|(is, be)| match be {
        'd' => is.is_ascii_digit(),
        _ => is == be,
    }));
    assert_eq!(rest, format!(": INFO: log/tests.rs:{line}: hello\n"));

    let nowhere = LogOptions { file: Some(directory.path().join("no/log")), ..LogOptions::default() };
    assert_eq!(Log::open(&nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn panics_are_logged() {
    let log = Log::in_memory();
    log.log_panics();
    std::thread::spawn(|| panic!("this panic is part of a test of the log")).join().unwrap_err();
    let lines = log.written();
    let told = |line: &String| {
        line.starts_with("ERROR: ")
            && line.contains("log/tests.rs")
            && line.ends_with(" this panic is part of a test of the log")
    };
    assert!(lines.iter().any(told), "{lines:?}");
}
