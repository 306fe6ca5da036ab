//! `-c`

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use libpfkey::Dialect;

use crate::program::{command, fed};
use crate::server::Server;

const MEMORY: [&str; 5] = ["--backend", "memory", "--dialect", "linux", "-c"];

#[test]
fn errors_go_to_standard_output_and_reading_continues() {
    let ended = fed(&MEMORY, b"frob;\ndump;\nspddump;\n");
    assert_eq!(ended.all(), (Some(0), "syntax error at `frob'No SAD entries.\nNo SPD entries.\n", ""));
    let strict = [&MEMORY[..], &["-e"]].concat();
    assert_eq!(fed(&strict, b"frob;\n").code, Some(1));
    assert_eq!(fed(&strict, b"flush;\n").code, Some(0));
}

#[test]
fn exit_and_end_of_input_end_the_run() {
    for word in ["exit", "quit", "bye"] {
        assert_eq!(fed(&MEMORY, format!("dump;{word};dump;").as_bytes()).all(), (Some(0), "No SAD entries.\n", ""));
    }
    assert_eq!(fed(&MEMORY, b"").all(), (Some(0), "", ""));
}

#[test]
fn last_statement_without_semicolon_is_reported() {
    let strict = [&MEMORY[..], &["-e"]].concat();
    let said = |line: u32| format!("setkey: stdin,{line}: the last statement lacks its `;', so it was not run\n");
    for (text, line) in [("dump", 1), ("dump\n", 1), ("dump;\n\n# a comment\ndump\n# another\n", 4)] {
        let ended = fed(&strict, text.as_bytes());
        let dumps = text.matches(';').count();
        assert_eq!(ended.all(), (Some(1), "No SAD entries.\n".repeat(dumps).as_str(), said(line).as_str()), "{text:?}");
        let passed = fed(&MEMORY, text.as_bytes());
        assert_eq!((passed.code, passed.stderr), (Some(0), ended.stderr), "{text:?}");
    }
    let key = fed(&strict, b"add 10.0.0.1 10.0.0.2 esp 0x1001 -E aes-cbc \"0123456789abcdef\"\n");
    assert_eq!(key.all(), (Some(1), "", said(1).as_str()));
    for complete in ["", "\n", "# nothing", "flush; # the last", "flush;exit;", "exit; dump"] {
        let ended = fed(&strict, complete.as_bytes());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{complete:?}");
    }
}

#[test]
fn standard_input_closed() {
    for mode in ["-c", "-f -"] {
        let line = format!("exec {} --backend memory {mode} <&-", env!("CARGO_BIN_EXE_setkey"));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(0), &b""[..], &b""[..]));
    }
}

#[test]
fn statements_and_lines_are_independent() {
    let text = b"add 10.0.0.1\n10.0.0.2 esp # here\n\n0x1001 -E null; get 10.0.0.1 10.0.0.2 esp 0x1001; dump ah;\n";
    let ended = fed(&MEMORY, text);
    assert!(ended.stdout.contains("spi=4097("), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("No SAD entries.\n"), "{}", ended.stdout);
}

#[test]
fn each_line_is_answered_before_the_next() {
    let mut child = command(&MEMORY).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(stdout).lines();
    for (statement, answer) in [("dump;\n", "No SAD entries."), ("spddump;\n", "No SPD entries.")] {
        stdin.write_all(statement.as_bytes()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), answer);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn requests_are_sent_one_by_one_at_a_terminal() {
    let server = Server::new(Dialect::Linux);
    let terminal = nix::pty::openpty(None, None).unwrap();
    let options = server.options();
    let mut all: Vec<&str> = options.iter().map(String::as_str).collect();
    all.push("-c");
    let mut child = command(&all).stdin(terminal.slave).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut master = std::fs::File::from(terminal.master);
    master.write_all(b"flush; spdflush;\nexit;\n").unwrap();
    assert!(child.wait().unwrap().success());
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|header| header.seq == 0), "{requests:?}");
    server.fed(&["-c"], "flush;\n");
    assert!(server.requests().last().unwrap().seq >= 1 << 31, "through a pipe they are pipelined");
}
