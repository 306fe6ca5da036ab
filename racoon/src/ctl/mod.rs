//! `racoonctl`: asks the daemon over its control socket.

mod cli;
mod show;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::admin::protocol::{HEADER_LENGTH, Header, Phase1Row, REPLY_MAX, Request, Table};
use cli::{Invocation, Refused};

/// Bytes of a reply that there is room for at first.
const FIRST_ROOM: usize = 4096;

/// The program.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<OsString>>();
    match cli::parse(&arguments) {
        Ok(run) => match execute(&run) {
            Ok(text) => {
                say(io::stdout(), &text);
                ExitCode::SUCCESS
            }
            Err(text) => complain(&text),
        },
        Err(Refused::Usage) => {
            say(io::stdout(), cli::USAGE);
            ExitCode::FAILURE
        }
        Err(Refused::InvalidCommand(command)) => {
            say(io::stdout(), format!("Invalid command [{command}]\n"));
            ExitCode::FAILURE
        }
        Err(Refused::Because(text)) => complain(&text),
    }
}

fn complain(text: &str) -> ExitCode {
    say(io::stderr(), format!("racoonctl: {text}\n"));
    ExitCode::FAILURE
}

/// What to print.
fn execute(run: &Invocation) -> Result<Zeroizing<Vec<u8>>, String> {
    let (header, body) = ask(&run.socket, &run.request)?;
    if header.errno != 0 {
        // It is there: what was asked for is so.
        if i32::from(header.errno) == libc::EEXIST && matches!(run.request, Request::EstablishSa { .. }) {
            return Ok(Zeroizing::default());
        }
        let words = match body.as_slice() {
            [] => libpfkey::errno_text(header.errno.into()),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        return Err(format!("{}: {words}", run.request.name()));
    }
    match run.request {
        Request::ShowSa(Table::Isakmp) => {
            let rows = Phase1Row::parse_all(&body).map_err(|error| format!("the reply is {error}"))?;
            Ok(Zeroizing::new(show::phase1(&rows, run.verbosity).into_bytes()))
        }
        Request::ShowSa(_) if body.is_empty() => Ok(Zeroizing::new(b"No SAD entries.\n".to_vec())),
        Request::ShowSa(_) => Ok(body),
        _ => Ok(Zeroizing::default()),
    }
}

/// Sends a request and reads the reply to it.
fn ask(socket: &Path, request: &Request) -> Result<(Header, Zeroizing<Vec<u8>>), String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| {
        // A path may be too long to be asked for.
        let error = error.raw_os_error().map_or_else(|| error.to_string(), libpfkey::errno_text);
        format!("cannot connect to racoon admin socket {}: {error} (is racoon running?)", socket.display())
    })?;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => "racoon closed the admin connection before sending a reply".to_owned(),
        _ => format!("admin socket {}: {error}", socket.display()),
    };
    stream.write_all(&request.encode()).map_err(failed)?;
    let mut head = [0; HEADER_LENGTH];
    stream.read_exact(&mut head).map_err(failed)?;
    let header = Header::parse(head, REPLY_MAX).map_err(|error| format!("the reply is {error}"))?;
    let wanted = header.length - HEADER_LENGTH;
    let body = read_body(stream, wanted).map_err(failed)?;
    Ok((header, body))
}

/// Reads so many bytes, and has room for as many again as have come, not for what is only promised. They may hold keys: a
/// vector that grows by itself would leave copies of them behind.
fn read_body(mut from: impl Read, wanted: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::<Vec<u8>>::default();
    while body.len() < wanted {
        let mut larger = Zeroizing::new(vec![0; (body.len() * 2).max(FIRST_ROOM).min(wanted)]);
        let (old, new) = larger.split_at_mut(body.len());
        old.copy_from_slice(&body);
        from.read_exact(new)?;
        body = larger;
    }
    Ok(body)
}

/// Prints what nothing can be done about if nobody reads it.
fn say(mut to: impl Write, text: impl AsRef<[u8]>) {
    let _ = to.write_all(text.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_room_for_what_has_come() {
        let sent = (0..100_000).map(|number| (number % 251) as u8).collect::<Vec<u8>>();
        for wanted in [0, 1, FIRST_ROOM, FIRST_ROOM + 1, sent.len()] {
            let body = read_body(sent.as_slice(), wanted).unwrap();
            assert_eq!((body.as_slice(), body.capacity()), (&sent[..wanted], wanted));
        }
        let error = read_body([7; 10_000].as_slice(), REPLY_MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
