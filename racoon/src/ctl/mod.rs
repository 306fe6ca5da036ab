//! `racoonctl`, the client of the daemon's control socket.

mod certificate;
mod cli;
mod show;

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use zeroize::Zeroizing;

use crate::admin::protocol::{HEADER_LENGTH, Phase1Row, ReplyHeader, Request, Table, VERSION};
use crate::output;
use cli::{EarlyExit, Invocation};

/// Initial buffer size of a reply.
const FIRST_ROOM: usize = 4096;

/// How long to wait for the daemon. It answers at once, unless it is stopped or overloaded.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<OsString>>();
    match cli::parse(&arguments) {
        Ok(run) => match certificate::check_output(&run, io::stdout().is_terminal()).and_then(|()| execute(&run)) {
            Ok(text) => print(&text),
            Err(text) => report(&text),
        },
        Err(EarlyExit::Help) => print(cli::USAGE),
        Err(EarlyExit::Version) => print(cli::VERSION_LINE),
        Err(EarlyExit::Usage) => {
            let _ = output::print(cli::USAGE);
            ExitCode::FAILURE
        }
        Err(EarlyExit::Option(text)) => {
            let status = report(&text);
            let _ = output::print(cli::USAGE);
            status
        }
        Err(EarlyExit::InvalidCommand(command)) => {
            let _ = output::print(format!("Invalid command [{command}]\n"));
            ExitCode::FAILURE
        }
        Err(EarlyExit::Error(text)) => report(&text),
    }
}

/// Prints the requested output.
fn print(text: impl AsRef<[u8]>) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::not_printed("racoonctl", &error),
    }
}

fn report(text: &str) -> ExitCode {
    // Ignored: there is nowhere else to report it.
    let _ = io::stderr().write_all(format!("racoonctl: {text}\n").as_bytes());
    ExitCode::FAILURE
}

/// Sends the request. Returns the text to print.
fn execute(run: &Invocation) -> Result<Zeroizing<Vec<u8>>, String> {
    let (header, body) = ask(&run.socket, &run.request, PATIENCE)?;
    if header.errno != 0 {
        // The requested state is reached already.
        match (&run.request, i32::from(header.errno)) {
            (Request::EstablishSa { .. }, libc::EEXIST) => return Ok(Zeroizing::default()),
            (Request::DeleteSa(_), libc::ENOENT) => {
                report("delete-sa: there is no SA between these hosts");
                return Ok(Zeroizing::default());
            }
            _ => {}
        }
        let words = match body.as_slice() {
            [] => libpfkey::errno_text(header.errno.into()),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        return Err(format!("{}: {words}", run.request.name()));
    }
    match run.request {
        Request::ShowSa(Table::Isakmp) => {
            let rows = Phase1Row::parse_all(&body).map_err(|error| format!("invalid reply: {error}"))?;
            Ok(Zeroizing::new(show::phase1(&rows, run.verbosity).into_bytes()))
        }
        Request::ShowSa(_) if body.is_empty() => Ok(Zeroizing::new(b"No SAD entries.\n".to_vec())),
        Request::ShowSa(_) | Request::ShowSaJson { .. } => Ok(body),
        Request::GetCertificate(_) => certificate::output(&body, run.form),
        _ => Ok(Zeroizing::default()),
    }
}

/// Sends a request and reads the reply. Each step may take as long as `patience`.
fn ask(socket: &Path, request: &Request, patience: Duration) -> Result<(ReplyHeader, Zeroizing<Vec<u8>>), String> {
    let shown = socket.display();
    let timed_out =
        || format!("racoon does not answer at {shown}: silent for {} s; it may be stopped", patience.as_secs());
    let mut stream = connect(socket, patience).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => timed_out(),
        kind => {
            let hint = match kind {
                ErrorKind::PermissionDenied => "`adminsock' in racoon.conf names its users",
                _ => "is racoon running?",
            };
            format!("cannot connect to racoon admin socket {shown}: {} ({hint})", output::reason(&error))
        }
    })?;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => "racoon closed the admin connection before sending a reply".to_owned(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => timed_out(),
        _ => format!("admin socket {shown}: {}", output::reason(&error)),
    };
    stream.write_all(&request.encode()).map_err(failed)?;
    let mut head = [0; HEADER_LENGTH];
    stream.read_exact(&mut head).map_err(failed)?;
    let header = ReplyHeader::parse(head).map_err(|error| format!("invalid reply: {error}"))?;
    match header.version {
        None => Err(format!(
            "the daemon at {shown} speaks another control protocol, such as the racoon of ipsec-tools: use the racoonctl \
             that was installed with it"
        )),
        // An error reply says the same.
        Some(version) if version != VERSION && header.errno == 0 => Err(format!(
            "racoonctl speaks version {VERSION} of the control protocol, racoon version {version}; use the racoonctl that \
             was installed with racoon"
        )),
        Some(_) => {
            let body = read_body(stream, header.length - HEADER_LENGTH).map_err(failed)?;
            Ok((header, body))
        }
    }
}

/// Connects. A stopped daemon accepts nothing, and once its backlog is full connecting blocks.
fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(&address)?;
    Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
}

/// Reads a body. The buffer at most doubles the bytes received, so a false length allocates nothing. The data may
/// contain keys, of which a vector that grows by itself would leave copies behind.
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::admin::protocol::REPLY_MAX;

    /// Returns the error if the daemon answers with these bytes and closes the connection.
    fn error_for(reply: &'static [u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 12];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(reply).unwrap();
            request
        });
        let error = ask(&path, &Request::FlushSa(Table::Ah), PATIENCE).unwrap_err();
        assert_eq!(daemon.join().unwrap()[2..4], *b"rr");
        error.replace(path.to_str().unwrap(), "SOCKET")
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn other_daemons_are_recognised() {
        let kame = "the daemon at SOCKET speaks another control protocol, such as the racoon of ipsec-tools: use the \
                    racoonctl that was installed with it";
        // The racoon of ipsec-tools does not know the command; the second reply is as if it did.
        assert_eq!(error_for(&[8, 0, b'r', b'r', 95, 0, 0, 0]), kame);
        assert_eq!(error_for(&[8, 0, b'r', b'r', 0, 0, 0, 0]), kame);
        assert_eq!(error_for(&[8, 0, 3, 0, 0, 0, 0, 0]), kame);
        let version = "racoonctl speaks version 1 of the control protocol, racoon version 2; use the racoonctl that was \
                       installed with racoon";
        assert_eq!(error_for(&[8, 0, b'r', b'r', 0, 0, 2, 0]), version);
        assert_eq!(error_for(&[]), "racoon closed the admin connection before sending a reply");
        assert_eq!(error_for(&[8, 0, b'r']), "racoon closed the admin connection before sending a reply");
    }

    /// As with a stopped daemon: the kernel queues connections until the backlog is full.
    #[test]
    fn silent_daemon_times_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let expected = format!("racoon does not answer at {}: silent for 0 s; it may be stopped", path.display());
        let patience = Duration::from_millis(50);
        let mut held = Vec::new();
        for _ in 0..4 {
            assert_eq!(ask(&path, &Request::Reload, patience).unwrap_err(), expected);
            // Keeps its place in the backlog.
            held.extend(connect(&path, patience));
        }
        assert!(held.len() < 4, "the queue was never full");
    }

    #[test]
    fn body_buffer_grows_with_the_data() {
        let sent = (0..100_000).map(|number| (number % 251) as u8).collect::<Vec<u8>>();
        for wanted in [0, 1, FIRST_ROOM, FIRST_ROOM + 1, sent.len()] {
            let body = read_body(sent.as_slice(), wanted).unwrap();
            assert_eq!((body.as_slice(), body.capacity()), (&sent[..wanted], wanted));
        }
        let error = read_body([7; 10_000].as_slice(), REPLY_MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
