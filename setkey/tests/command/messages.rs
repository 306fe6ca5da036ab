//! `-x`, files of messages, and `-l`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use libpfkey::backend::Memory;
use libpfkey::{Abi, Connection, Dialect, SaType, request};

use crate::program::{Scratch, command, fed, masked, setkey};
use crate::server::Server;

const SAS: &str = "\
add 10.0.0.1 10.0.0.2 esp 0x1001 -m transport -E aes-cbc 0x00112233445566778899aabbccddeeff;
add 10.0.0.2 10.0.0.1 ah 0x1002 -lh 600 -ls 480 -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213;
";

/// The answers of an engine to a DUMP, concatenated.
fn dumped(engine: &Memory) -> Vec<u8> {
    let mut connection = Connection::new(Box::new(engine.another_handle().unwrap()));
    let mut bytes = Vec::new();
    request::dump(connection.request_header(0), SaType::Unspec, &mut bytes).unwrap();
    connection.send(&bytes).unwrap();
    bytes.clear();
    while let Some(message) = connection.recv(Some(Duration::ZERO)).unwrap() {
        bytes.extend_from_slice(message);
    }
    bytes
}

#[test]
fn files_are_printed_like_a_dump() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load(SAS);
        let file = Scratch::file(dumped(&server.engine));
        let shown = setkey(&["--dialect", &dialect.to_string(), file.as_str(), file.as_str()]);
        let once = masked(&server.setkey(&["-D"]).stdout);
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{dialect}");
        assert_eq!(masked(&shown.stdout), once.repeat(2), "{dialect}");
    }
}

#[test]
fn files_without_messages_are_refused() {
    let missing = setkey(&["/nonexistent"]);
    assert_eq!(missing.all(), (Some(1), "", "setkey: /nonexistent: No such file or directory\n"));
    let engine = Memory::new(Abi::HOST).unwrap();
    let mut whole = dumped(&engine);
    assert_eq!(whole.len(), 16, "the errno of an empty SAD");
    whole.extend_from_within(..);
    // A header that claims one word, then none: shorter than itself.
    let (mut short, mut none) = (whole.clone(), whole.clone());
    (short[20], none[20]) = (1, 0);
    let (cut, long) = (whole[..31].to_vec(), [&whole[..20], &[0xff; 12]].concat());
    for bytes in [vec![], b"spddump;\n".to_vec(), short, none, cut, long] {
        let file = Scratch::file(bytes);
        let ended = setkey(&["--dialect", "linux", file.as_str()]);
        let stderr = format!("setkey: {}: Invalid argument\n", file.as_str());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), stderr.as_str()));
    }
}

#[test]
fn monitor_prints_the_time_of_each_message() {
    for (option, separators) in [("-x", 2), ("-xx", 0)] {
        let mut child = command(&["--backend", "memory", "--dialect", "linux", "-H", option])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let [stamp, hex] = [(); 2].map(|()| lines.next().unwrap().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        let (clock, micros) = stamp.strip_suffix(' ').unwrap().split_once('.').unwrap();
        assert!(micros.len() == 6 && clock.matches(':').count() == separators, "{stamp}");
        assert!(hex.starts_with("00000000: 02 0b 00 01 02 00 "), "{hex}");
    }
}

#[test]
fn short_list_repeats() {
    let server = Server::new(Dialect::Linux);
    server.load(SAS);
    let options = server.options();
    let all: Vec<&str> = options.iter().map(String::as_str).chain(["-l", "-D"]).collect();
    let mut child = command(&all).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let round: Vec<_> = lines.by_ref().take(4).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(round[0], "time p   s spi      ltime   src -> dst");
    assert!(round[1..3].iter().any(|line| line.contains("esp M 00001001 ")), "{round:?}");
    assert!(round[1..3].iter().any(|line| line.contains("ah  M 00001002 ") && line.contains("/600 ")), "{round:?}");
    assert_eq!(round[3], round[0], "the next round");
}

#[test]
fn verbose_prints_sent_and_received_messages() {
    let ended = fed(&["--backend", "memory", "--dialect", "linux", "-v", "-f", "-"], b"flush esp;");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let message = "sadb_msg{ version=2 type=9 errno=0 satype=3\n  len=2 reserved=0 seq=0 pid=PID\n\n";
    assert_eq!(masked(&ended.stdout), message.repeat(2));
}
