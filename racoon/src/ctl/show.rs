//! Output of `show-sa isakmp`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::admin::protocol::Phase1Row;
use crate::log::local_time;

/// Width of an address.
const SHORT: usize = 22;
/// Width of an address with `-ll`.
const LONG: usize = 45;

/// Formats the table of phase 1s. `-l` adds columns, `-ll` shows the local address too.
pub(super) fn phase1(rows: &[Phase1Row], verbosity: usize) -> String {
    let width = if verbosity > 1 { LONG } else { SHORT };
    let mut out = String::new();
    if verbosity > 1 {
        let _ = write!(out, "{:<width$} ", "Source");
    }
    let _ = write!(out, "{:<width$} {:<33} ", "Destination", "Cookies");
    if verbosity > 0 {
        out.push_str("ST S  V E ");
    }
    out.push_str(if verbosity > 0 { "Created             Phase2\n" } else { "Created\n" });
    for row in rows {
        if verbosity > 1 {
            let _ = write!(out, "{:<width$} ", address(row.local));
        }
        let _ = write!(out, "{:<width$} {} ", address(row.remote), cookies(&row.cookies));
        if verbosity > 0 {
            let side = if row.initiator { 'I' } else { 'R' };
            let _ = write!(out, "{:2} {side} {:2x} {} ", row.state, row.version, exchange(row.exchange));
        }
        let _ = write!(out, "{:<19} ", created(row.created));
        if verbosity > 0 {
            let _ = write!(out, "{:6} ", row.phase2_count);
        }
        out.push('\n');
    }
    out
}

fn address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}.{}", v6.ip(), v6.scope_id(), v6.port()),
        other => format!("{}.{}", other.ip(), other.port()),
    }
}

fn cookies(cookies: &[u8; 16]) -> String {
    let hex = |half: &[u8]| half.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (initiator, responder) = cookies.split_at(8);
    format!("{}:{}", hex(initiator), hex(responder))
}

/// Returns the letter of an exchange type (RFC 2408 section 3.1).
fn exchange(number: u8) -> char {
    match number {
        1 => 'B',
        2 => 'M',
        3 => 'U',
        4 => 'A',
        5 => 'I',
        _ => '?',
    }
}

/// Formats the time of establishment; blank if there is none.
fn created(seconds: i64) -> String {
    if seconds == 0 { String::new() } else { local_time(seconds).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn rows() -> Vec<Phase1Row> {
        let row = Phase1Row {
            cookies: [0xb5, 0x81, 0xc8, 0x09, 0xda, 0xbc, 0x8b, 0x64, 0x01, 0xd0, 4, 0x10, 0xb2, 0x10, 0x15, 0x7c],
            state: 9,
            initiator: true,
            version: 0x10,
            exchange: 2,
            local: "10.99.0.1:500".parse().unwrap(),
            remote: "10.99.0.2:500".parse().unwrap(),
            created: 0,
            phase2_count: 1,
        };
        let other = Phase1Row {
            initiator: false,
            state: 10,
            exchange: 4,
            remote: "[fe80::1%3]:4500".parse().unwrap(),
            ..row.clone()
        };
        vec![row, other]
    }

    /// Marks the ends of lines, which have trailing blanks.
    fn shown(verbosity: usize) -> String {
        phase1(&rows(), verbosity).replace('\n', "|\n")
    }

    #[test]
    fn plain() {
        expect![[r#"
            Destination            Cookies                           Created|
            10.99.0.2.500          b581c809dabc8b64:01d00410b210157c                     |
            fe80::1%3.4500         b581c809dabc8b64:01d00410b210157c                     |
        "#]]
        .assert_eq(&shown(0));
    }

    #[test]
    fn more() {
        expect![[r#"
            Destination            Cookies                           ST S  V E Created             Phase2|
            10.99.0.2.500          b581c809dabc8b64:01d00410b210157c  9 I 10 M                          1 |
            fe80::1%3.4500         b581c809dabc8b64:01d00410b210157c 10 R 10 A                          1 |
        "#]]
        .assert_eq(&shown(1));
    }

    #[test]
    fn both_ends() {
        expect![[r#"
            Source                                        Destination                                   Cookies                           ST S  V E Created             Phase2|
            10.99.0.1.500                                 10.99.0.2.500                                 b581c809dabc8b64:01d00410b210157c  9 I 10 M                          1 |
            10.99.0.1.500                                 fe80::1%3.4500                                b581c809dabc8b64:01d00410b210157c 10 R 10 A                          1 |
        "#]]
        .assert_eq(&shown(2));
    }

    #[test]
    fn times_are_local() {
        let mut rows = rows();
        rows.truncate(1);
        rows[0].created = 1_790_000_000;
        let line = phase1(&rows, 0).lines().last().unwrap().to_owned();
        let (_, time) = line.split_at(SHORT + 1 + 33 + 1);
        assert!(time.starts_with("2026-09-2") && time.len() == 20, "{time}");
    }
}
