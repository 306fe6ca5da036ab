//! Prints libpfkey's numbers for a dialect as static assertions in C: `regress-headers linux|freebsd|netbsd|darwin`.
//! `cargo regress headers` compiles them with the headers of that system.

use std::process::ExitCode;

use libpfkey::Dialect;
use libpfkey::algorithm::{Authentication, Compression, Encryption};
use libpfkey::num::{self, NumberRow, SaFlags, Tables};

fn main() -> ExitCode {
    match std::env::args().nth(1).map(|name| name.parse::<Dialect>()) {
        Some(Ok(dialect)) => {
            print!("{}", assertions(dialect));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: regress-headers linux|freebsd|netbsd|darwin");
            ExitCode::FAILURE
        }
    }
}

/// Returns all assertions for `dialect`.
fn assertions(dialect: Dialect) -> String {
    let tables = Tables::of(dialect);
    let mut text = String::new();
    text.push_str(&rows(tables.messages));
    text.push_str(&rows(tables.extensions));
    text.push_str(&rows(tables.sa_types));
    Authentication::constants(dialect).for_each(|(number, _, name)| text.push_str(&constant(name, number)));
    Encryption::constants(dialect).for_each(|(number, _, name)| text.push_str(&constant(name, number)));
    Compression::constants(dialect).for_each(|(number, _, name)| text.push_str(&constant(name, number)));
    text.push_str(&equal("PF_KEY_V2", num::PF_KEY_V2));
    text.push_str(&equal("AF_INET6", dialect.inet6()));
    text.push_str(&equal("PF_KEY", dialect.domain()));
    text.push_str(&equal("sizeof(struct sadb_x_ipsecrequest)", dialect.request_len()));
    flags(dialect).iter().for_each(|(name, flag)| text.push_str(&equal(name, flag.bits())));
    // The header with policy constants is not part of macOS.
    if dialect != Dialect::Darwin {
        policy(dialect).iter().for_each(|(name, number)| text.push_str(&equal(name, number)));
    }
    text
}

fn rows<T>(rows: &[NumberRow<T>]) -> String {
    rows.iter().map(|NumberRow(number, _, name)| constant(name, *number)).collect()
}

/// The assertion of a number, if the header has a name for it.
fn constant(name: &str, number: u8) -> String {
    if name.is_empty() { String::new() } else { equal(name, number) }
}

fn equal(name: &str, number: impl std::fmt::Display) -> String {
    format!("_Static_assert({name} == {number}u, \"{name} is not {number}\");\n")
}

/// Returns the names and values of `sadb_sa_flags` in the dialect.
fn flags(dialect: Dialect) -> Vec<(&'static str, SaFlags)> {
    let kame = [
        ("SADB_X_EXT_OLD", SaFlags::OLD),
        ("SADB_X_EXT_IV4B", SaFlags::IV4B),
        ("SADB_X_EXT_DERIV", SaFlags::DERIV),
        ("SADB_X_EXT_CYCSEQ", SaFlags::CYCSEQ),
        ("SADB_X_EXT_RAWCPI", SaFlags::RAWCPI),
        ("SADB_X_EXT_PRAND", SaFlags::PRAND),
        ("SADB_X_EXT_PZERO", SaFlags::PZERO),
    ];
    match dialect {
        Dialect::Linux => vec![
            ("SADB_SAFLAGS_PFS", SaFlags::OLD),
            ("SADB_SAFLAGS_NOPMTUDISC", SaFlags::NOPMTUDISC),
            ("SADB_SAFLAGS_DECAP_DSCP", SaFlags::DECAP_DSCP),
            ("SADB_SAFLAGS_NOECN", SaFlags::NOECN),
        ],
        Dialect::FreeBsd => [&kame[..], &[("SADB_X_SAFLAGS_ESN", SaFlags::FREEBSD_ESN)]].concat(),
        Dialect::NetBsd => kame.to_vec(),
        Dialect::Darwin => [&kame[..], &[("SADB_X_EXT_ESN", SaFlags::DARWIN_ESN)]].concat(),
    }
}

/// Returns the constants of policies: types, directions, levels and modes.
fn policy(dialect: Dialect) -> Vec<(&'static str, u32)> {
    let mut all = vec![
        ("IPSEC_POLICY_DISCARD", num::POLICY_DISCARD.into()),
        ("IPSEC_POLICY_NONE", num::POLICY_NONE.into()),
        ("IPSEC_POLICY_IPSEC", num::POLICY_IPSEC.into()),
        ("IPSEC_POLICY_ENTRUST", num::POLICY_ENTRUST.into()),
        ("IPSEC_POLICY_BYPASS", num::POLICY_BYPASS.into()),
        ("IPSEC_DIR_INBOUND", num::DIR_IN.into()),
        ("IPSEC_DIR_OUTBOUND", num::DIR_OUT.into()),
        ("IPSEC_LEVEL_DEFAULT", num::LEVEL_DEFAULT.into()),
        ("IPSEC_LEVEL_USE", num::LEVEL_USE.into()),
        ("IPSEC_LEVEL_REQUIRE", num::LEVEL_REQUIRE.into()),
        ("IPSEC_LEVEL_UNIQUE", num::LEVEL_UNIQUE.into()),
        ("IPSEC_MODE_ANY", num::MODE_ANY.into()),
        ("IPSEC_MODE_TRANSPORT", num::MODE_TRANSPORT.into()),
        ("IPSEC_MODE_TUNNEL", num::MODE_TUNNEL.into()),
        ("IPSEC_ULPROTO_ANY", num::ULPROTO_ANY.into()),
        ("IPSEC_MANUAL_REQID_MAX", num::MANUAL_REQID_MAX),
    ];
    if dialect.has_forward() {
        all.push(("IPSEC_DIR_FWD", num::DIR_FWD.into()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_many_assertions() {
        for dialect in Dialect::ALL {
            assert!(assertions(dialect).lines().count() > 80, "{dialect}");
        }
        assert!(assertions(Dialect::Linux).contains("_Static_assert(SADB_X_MIGRATE == 24u, "));
    }
}
