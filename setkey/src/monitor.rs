//! `-x`: prints the messages of the kernel as they arrive.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use libpfkey::wire::{HEADER_LEN, peek_header};
use libpfkey::{Abi, Connection, MessageType, dump, request};
use zeroize::Zeroizing;

use crate::output;

/// Listens until the backend closes. `hex`: `-H`; `epoch`: `-xx`.
///
/// # Errors
/// Returns the line that says why it ended.
pub(crate) fn run(mut connection: Connection, hex: bool, epoch: bool) -> Result<ExitCode, String> {
    let mut bytes = Vec::new();
    request::promisc(connection.request_header(0), true, &mut bytes).map_err(|error| error.to_string())?;
    connection.send(&bytes).map_err(|error| error.to_string())?;
    let abi = connection.abi();
    let mut text = Zeroizing::new(String::new());
    loop {
        let message = match connection.recv(None) {
            Ok(Some(message)) => message,
            // An interrupted wait is no event.
            Ok(None) => continue,
            Err(error) => return Err(error.to_string()),
        };
        text.clear();
        stamp(&mut text, epoch);
        if hex {
            dump::hex_lines(&mut text, message);
        }
        show(&mut text, abi, message);
        let mut out = io::stdout().lock();
        // Each message is flushed, because a reader may wait for it.
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            return Ok(output::failure(&error));
        }
    }
}

/// Prints a message, or the one that it wraps.
fn show(text: &mut String, abi: Abi, message: &[u8]) {
    let wraps = peek_header(abi, message).is_ok_and(|header| header.message_type == MessageType::Promisc);
    let shown = if wraps { message.get(HEADER_LEN..).unwrap_or_default() } else { message };
    if !shown.is_empty() {
        dump::structure(text, abi, shown);
        text.push('\n');
    }
}

/// Prints the time, a blank and a newline.
fn stamp(text: &mut String, epoch: bool) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    if epoch {
        text.push_str(&format!("{seconds}.{micros:06} \n"));
        return;
    }
    let mut calendar = String::new();
    dump::calendar(&mut calendar, i64::try_from(seconds).unwrap_or(0));
    // "Nov 21 22:05:49 2026": the clock is the third word.
    let clock = calendar.split_whitespace().nth(2).unwrap_or_default();
    text.push_str(&format!("{clock}.{micros:06} \n"));
}
