//! Connections with identities and certificates, for the daemons of both peers.
//!
//! Certificates are made when the lab has booted. One side has an intermediate authority of its own, which the other
//! side learns from the peer's certificates.

use std::path::Path;

use anyhow::{Context, Result};

use super::algorithm::{GROUPS, HASHES, Peer};
use super::connection::{Authentication, Endpoint, Exchange, Identity, PrivateKey, StartAction};
use super::matrix::{Initiator, Row, rows};
use crate::pki::{KeyKind, Leaf, Pki, ROOT, Validity, subject};

/// Names of the two sides, ours first; certificates, identities and keys are named after them.
const SIDES: [&str; 2] = ["alice", "bob"];

/// The pre-shared key of all rows that have one.
const KEY: &str = "a secret of two identities, long enough";

/// How the sides of a row authenticate.
#[derive(Clone, Copy)]
enum Kind {
    /// With a pre-shared key.
    PreSharedKey,
    /// With certificates for keys of this kind.
    Signature(KeyKind),
    /// With RSA keys that each side has of the other.
    Raw,
    /// With RSA keys whose certificates were signed by an authority below the root.
    Intermediate,
}

/// The type of the identities of a row.
#[derive(Clone, Copy)]
enum IdType {
    Address,
    Fqdn,
    UserFqdn,
    KeyId,
    Subject,
}

/// Mode, authentication, identities, and the peers that support the combination.
type Combination = (Exchange, Kind, IdType, &'static [Peer]);

const BOTH: &[Peer] = &[Peer::Strongswan, Peer::Libreswan];
const STRONGSWAN: &[Peer] = &[Peer::Strongswan];
const LIBRESWAN: &[Peer] = &[Peer::Libreswan];

const COMBINATIONS: &[Combination] = &[
    (Exchange::Aggressive, Kind::PreSharedKey, IdType::UserFqdn, BOTH),
    (Exchange::Aggressive, Kind::PreSharedKey, IdType::Fqdn, BOTH),
    (Exchange::Aggressive, Kind::PreSharedKey, IdType::KeyId, BOTH),
    (Exchange::Aggressive, Kind::PreSharedKey, IdType::Address, BOTH),
    (Exchange::Main, Kind::Signature(KeyKind::Rsa), IdType::Subject, BOTH),
    (Exchange::Main, Kind::Signature(KeyKind::Rsa), IdType::Fqdn, BOTH),
    (Exchange::Main, Kind::Signature(KeyKind::Rsa), IdType::UserFqdn, BOTH),
    // Pluto as responder refuses our signature if the identity is the subject of a certificate made by openssl.
    (Exchange::Aggressive, Kind::Signature(KeyKind::Rsa), IdType::Subject, STRONGSWAN),
    (Exchange::Aggressive, Kind::Signature(KeyKind::Rsa), IdType::Fqdn, STRONGSWAN),
    (Exchange::Main, Kind::Raw, IdType::Fqdn, LIBRESWAN),
    (Exchange::Main, Kind::Intermediate, IdType::Subject, STRONGSWAN),
    (Exchange::Aggressive, Kind::Intermediate, IdType::Subject, STRONGSWAN),
    (Exchange::Main, Kind::Signature(KeyKind::P256), IdType::Subject, STRONGSWAN),
    (Exchange::Main, Kind::Signature(KeyKind::P384), IdType::Subject, STRONGSWAN),
    (Exchange::Main, Kind::Signature(KeyKind::P521), IdType::Subject, STRONGSWAN),
    (Exchange::Aggressive, Kind::Signature(KeyKind::P256), IdType::Fqdn, STRONGSWAN),
];

/// Makes all certificates in a new folder. The keys of one side are of no use to the other, but all daemons of the lab may read them.
pub(crate) fn make_certificates(dir: &Path) -> Result<Pki> {
    let pki = Pki::new(dir)?;
    for side in SIDES {
        let authority = format!("authority-{side}");
        pki.authority(&authority, Some(ROOT), Validity::Current)?;
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::P521] {
            let name = name(side, kind);
            pki.leaf(&Leaf::new(&name, kind, &alternative_names(&name)))?;
        }
        pki.plain_rsa(&name(side, KeyKind::Rsa))?;
        let name = format!("{side}-below");
        pki.leaf(&Leaf { issuer: &authority, ..Leaf::new(&name, KeyKind::Rsa, &alternative_names(&name)) })?;
        pki.chain(&name, &authority)?;
    }
    Ok(pki)
}

/// Returns the rows for `peer`, each with both initiators.
pub(crate) fn credential_rows(peer: Peer, pki: &Pki) -> Result<Vec<Row>> {
    let templates = rows(peer).into_iter().filter(|row| row.connection.local.address.is_ipv4());
    let combinations = COMBINATIONS.iter().filter(|(_, _, _, peers)| peers.contains(&peer));
    let both = combinations.flat_map(|one| [(one, Initiator::Ours), (one, Initiator::Theirs)]);
    let rows = (1..).zip(both.zip(templates));
    rows.map(|(number, ((combination, initiator), row))| fill(row, number, combination, initiator, pki)).collect()
}

/// Sets mode, identities and keys of a connection.
fn fill(mut row: Row, number: usize, combination: &Combination, initiator: Initiator, pki: &Pki) -> Result<Row> {
    let (exchange, kind, id_type, _) = *combination;
    let c = &mut row.connection;
    c.exchange = exchange;
    c.start = StartAction::Respond;
    // Aggressive mode and ECDSA with the hash of the row are tested below; the group is one that all peers have.
    c.phase1.group = GROUPS.first().context("a group")?;
    c.phase1.hash = HASHES.first().context("a hash")?;
    for (side, end) in SIDES.into_iter().zip([&mut c.local, &mut c.remote]) {
        end.key = key(kind, side, pki);
        end.identity = identity(id_type, end, side);
    }
    c.authentication = match kind {
        // Rows have the same identities, so they have the same key.
        Kind::PreSharedKey => Authentication::PreSharedKey(KEY.to_owned()),
        Kind::Raw => Authentication::RawKeys,
        Kind::Signature(_) | Kind::Intermediate => Authentication::Certificates(pki.certificate(ROOT)),
    };
    c.name = format!("c{number}");
    row.initiator = initiator;
    Ok(row)
}

fn key(kind: Kind, side: &str, pki: &Pki) -> Option<PrivateKey> {
    let (name, kind, is_below) = match kind {
        Kind::PreSharedKey => return None,
        Kind::Signature(kind) => (name(side, kind), kind, false),
        Kind::Raw => (name(side, KeyKind::Rsa), KeyKind::Rsa, false),
        Kind::Intermediate => (format!("{side}-below"), KeyKind::Rsa, true),
    };
    Some(PrivateKey {
        file: pki.private_key(&name),
        certificate: if is_below { pki.chain_file(&name) } else { pki.certificate(&name) },
        authority: is_below.then(|| pki.certificate(&format!("authority-{side}"))),
        plain: (kind == KeyKind::Rsa).then(|| pki.plain_files(&name)),
        name,
        kind,
    })
}

fn identity(id_type: IdType, end: &Endpoint, side: &str) -> Identity {
    // The certificate's names contain the name of its file.
    let name = end.key.as_ref().map_or(side, |key| &key.name);
    match id_type {
        IdType::Address => Identity::Address,
        IdType::Fqdn => Identity::Fqdn(format!("{name}.example")),
        IdType::UserFqdn => Identity::UserFqdn(format!("{name}@mail.example")),
        IdType::KeyId => Identity::KeyId(format!("{name}-group")),
        IdType::Subject => Identity::Subject(subject(name)),
    }
}

fn name(side: &str, kind: KeyKind) -> String {
    format!("{side}-{}", kind.name())
}

fn alternative_names(name: &str) -> String {
    format!("DNS:other.example,DNS:{name}.example,email:{name}@mail.example")
}
