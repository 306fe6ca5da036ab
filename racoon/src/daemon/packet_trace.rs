//! Log records of messages on the wire: decoded at level debug2, and with `-v` as a hex dump at level debug. Encrypted
//! messages are not decoded here; the engine, which has the keys, logs their contents at level debug2.

use std::net::SocketAddr;

use racoon_proto::num::Flags;
use racoon_proto::wire::{Header, Tail, chain, describe};

use crate::log::{Level, Log};
use crate::net::DisplayAddr;

/// Direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// Logs a message if its level is enabled.
pub(super) fn log_message(
    log: &Log,
    verbose: bool,
    way: Direction,
    (local, remote): (SocketAddr, SocketAddr),
    bytes: &[u8],
) {
    let (hex, words) = (verbose && log.enabled(Level::Debug), log.enabled(Level::Debug2));
    if !hex && !words {
        return;
    }
    let (verb, from, to) = match way {
        Direction::In => ("received", remote, local),
        Direction::Out => ("sent", local, remote),
    };
    let title = format!("{verb} {} bytes {} -> {}", bytes.len(), DisplayAddr(from), DisplayAddr(to));
    let mut lines = vec![title];
    if words {
        lines.extend(described(bytes));
    }
    if hex {
        let mut dump = String::new();
        libpfkey::dump::hex_lines(&mut dump, bytes);
        lines.extend(dump.lines().map(|line| line.trim_end().to_owned()));
    }
    let level = if hex { Level::Debug } else { Level::Debug2 };
    log.lines(level, Some(remote.ip()), lines.iter().map(String::as_str));
}

/// Returns a line for the header and one for each payload that can be parsed.
fn described(bytes: &[u8]) -> Vec<String> {
    let (header, body) = match Header::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("  malformed message: {error}")],
    };
    let lines = if header.flags.contains(Flags::ENCRYPTED) {
        vec![describe::header(&header)]
    } else {
        // A trace shows what it can; whether padding is allowed here is the engine's decision.
        match chain::walk(header.next_payload, body, Tail::Padding) {
            Ok(payloads) => describe::message(&header, &payloads),
            Err(error) => vec![describe::header(&header), error.to_string()],
        }
    };
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: (&str, &str) = ("192.0.2.1:500", "192.0.2.2:500");

    fn traced(verbose: bool, bytes: &[u8]) -> Vec<String> {
        let log = Log::in_memory();
        log_message(&log, verbose, Direction::In, (ENDS.0.parse().unwrap(), ENDS.1.parse().unwrap()), bytes);
        log.written()
    }

    /// An unencrypted informational message with a notify.
    fn message() -> Vec<u8> {
        let header = [[7; 8], [8; 8]].concat();
        let rest = [11, 0x10, 5, 0, 0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 14];
        [header, rest.to_vec()].concat()
    }

    #[test]
    fn decoded() {
        let lines = traced(false, &message());
        assert_eq!(lines[0], "DEBUG2: received 40 bytes 192.0.2.2[500] -> 192.0.2.1[500]");
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[1].contains("0707070707070707:0808080808080808"), "{lines:#?}");
        assert!(lines[2].contains("NO-PROPOSAL-CHOSEN"), "{lines:#?}");
    }

    #[test]
    fn hex_dump() {
        let lines = traced(true, b"none");
        assert!(lines[1].contains("malformed message"), "{lines:#?}");
        assert_eq!(lines[2], "DEBUG: 00000000: 6e 6f 6e 65 [192.0.2.2]");
    }

    #[test]
    fn encrypted_messages_are_not_decoded() {
        let mut bytes = message();
        bytes[19] = 1;
        let lines = traced(false, &bytes);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[1].contains("encrypted"), "{lines:#?}");
    }
}
