//! `--json`: prints the SAD or SPD as a JSON document.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use libpfkey::json::{Database, Keys, Listing};
use libpfkey::{Answer, Connection, Message, Pipeline, SaState, SaType, SendMode, errno_text, request};
use zeroize::Zeroize as _;

use crate::output;

/// Prints a database: the policies of the scopes in `policies`, or the SAs; with dead SAs if `dead`.
///
/// # Errors
/// Returns the line that says what the kernel or the system refused.
pub(crate) fn run(connection: Connection, policies: Option<u8>, keys: Keys, dead: bool) -> Result<ExitCode, String> {
    let mut out = BufWriter::new(io::stdout());
    let database = if policies.is_some() { Database::Policies } else { Database::Sas };
    let mut list = List { listing: Listing::new(&mut out, database, keys), dead, failed: None, unwritten: None };
    list.dump(connection, policies)?;
    let List { listing, failed, mut unwritten, .. } = list;
    if let Err(error) = listing.finish().and_then(|out| out.flush()) {
        // The first error names the cause; later ones only follow from it.
        unwritten.get_or_insert(error);
    }
    // Taken apart, because dropping the buffer would retry a failed write.
    if let (_, Ok(mut buffer)) = out.into_parts() {
        buffer.zeroize();
    }
    // A truncated list must not look complete, so this takes precedence over errors of the kernel.
    match (unwritten, failed) {
        (Some(error), _) => Ok(output::failure(&error)),
        (None, Some(text)) => Err(text),
        (None, None) => Ok(ExitCode::SUCCESS),
    }
}

/// State of a listing.
struct List<'o> {
    listing: Listing<&'o mut BufWriter<io::Stdout>>,
    /// Whether to list dead SAs.
    dead: bool,
    /// Error of the kernel.
    failed: Option<String>,
    /// Error of standard output.
    unwritten: Option<io::Error>,
}

impl List<'_> {
    fn dump(&mut self, connection: Connection, policies: Option<u8>) -> Result<(), String> {
        let abi = connection.abi();
        let mut pipeline = Pipeline::<()>::new(connection, SendMode::Pipelined);
        let mut bytes = Vec::new();
        let header = pipeline.next_request_header();
        match policies {
            Some(scope) => request::spddump_of_scope(header, scope, &mut bytes),
            None => request::dump(header, SaType::Unspec, &mut bytes),
        }
        .map_err(|error| error.to_string())?;
        let dumped = pipeline.dump(&bytes, &(), &mut |(), answer| match answer {
            Answer::Reply(bytes) => match Message::parse(abi, bytes) {
                Ok(message) => self.message(&message),
                Err(error) => self.failed = Some(error.to_string()),
            },
            // ENOENT reports an empty table, and a list of no entries is valid JSON.
            Answer::Errno(libc::ENOENT, ..) | Answer::Confirmed => {}
            Answer::Errno(errno, ..) => self.failed = Some(errno_text(errno)),
            Answer::Lost(error) => self.failed = Some(error.to_string()),
        });
        dumped.map_err(|error| error.to_string())
    }

    fn message(&mut self, message: &Message<'_>) {
        if !self.dead && message.sa().is_some_and(|sa| sa.state == SaState::Dead) {
            return;
        }
        if let Err(error) = self.listing.push(message) {
            self.unwritten.get_or_insert(error);
        }
    }
}
