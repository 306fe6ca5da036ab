//! `-c` at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::openpty;

use crate::program::command;

/// Text that the editor writes when it waits for a line.
const WAITS: &str = "\u{1b}[?2004h";
/// Timeout for a test that hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// setkey at a terminal.
struct Session {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    text: String,
    /// Length of the text that has been checked.
    seen: usize,
    home: tempfile::TempDir,
}

impl Session {
    fn new(term: &str) -> Self {
        let terminal = openpty(None, None).unwrap();
        let home = tempfile::tempdir().unwrap();
        // A shell that runs the tests in the background makes its children ignore SIGINT.
        let mut command = with_default_interrupt(command(&["--backend", "memory", "--dialect", "linux", "-c"]));
        command.env("TERM", term).env("HOME", home.path()).current_dir(home.path());
        let output = terminal.slave.try_clone().unwrap();
        let child = command.stdin(terminal.slave).stdout(output).stderr(Stdio::null()).spawn().unwrap();
        // The terminal ends with its last descriptor.
        drop(command);
        let keys = File::from(terminal.master);
        let mut screen = keys.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                let _ = sender.send(buffer[..length].to_vec());
            }
        });
        Self { child, keys, shown, text: String::new(), seen: 0, home }
    }

    /// Waits until a text is printed, after the one that was awaited before.
    fn wait_for(&mut self, expected: &str) {
        loop {
            if let Some(at) = self.text[self.seen..].find(expected) {
                self.seen += at + expected.len();
                return;
            }
            match self.shown.recv_timeout(LIMIT) {
                Ok(bytes) => self.text += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("{expected:?}: {error}: {:?}", self.text),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn type_line(&mut self, keys: &str) {
        self.wait_for(WAITS);
        self.press(keys);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command, for which SIGINT is not ignored.
fn with_default_interrupt(command: Command) -> Command {
    let mut outer = Command::new("env");
    outer.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

#[test]
fn lines_are_edited_and_recalled() {
    let mut session = Session::new("xterm");
    // Move the cursor left and insert the missing letter.
    session.type_line("dum;\u{1b}[Dp\r");
    session.wait_for("No SAD entries.\r\n");
    session.type_line("add 192.0.2.1\t192.0.2.2 esp 0x1001 -E\tnull;\r");
    session.type_line("frob;\r");
    session.wait_for("syntax error at `frob'\r\n  expected a statement\r\n");
    // Up and down the history: frob, add, dump, add, frob, and dump again.
    session.type_line("\u{1b}[A\u{1b}[A\u{1b}[A\u{1b}[B\u{1b}[B\u{1b}[A\u{1b}[A\r");
    session.wait_for("192.0.2.1 192.0.2.2 \r\n\tesp mode=transport spi=4097(0x00001001)");
    session.type_line("get 192.0.2.1 ::1 esp 256;\r");
    session.wait_for("source and destination are of different address families at `::1'\r\n");
    session.type_line("\u{4}");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    let files = std::fs::read_dir(session.home.path()).unwrap().count();
    assert_eq!(files, 0, "no history of keys is kept");
}

#[test]
fn statement_over_several_lines() {
    let mut session = Session::new("xterm-256color");
    session.type_line("dump\r");
    session.type_line("ah\r");
    session.type_line("; spddump;\r");
    session.wait_for("No SAD entries.\r\nNo SPD entries.\r\n");
    session.type_line("exit;\r");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
}

#[test]
fn interrupt_key_ends_the_program() {
    use std::os::unix::process::ExitStatusExt as _;
    let mut session = Session::new("xterm");
    session.type_line("dump\u{3}");
    assert_eq!(session.child.wait().unwrap().signal(), Some(libc::SIGINT));
}

#[test]
fn dumb_terminal_gets_no_line_editing() {
    let mut session = Session::new("dumb");
    session.press("frob; dump;\n");
    session.wait_for("frob; dump;\r\n");
    session.wait_for("syntax error at `frob'No SAD entries.\r\n");
    session.press("exit;\n");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    assert!(!session.text.contains('\u{1b}'), "{:?}", session.text);
}
