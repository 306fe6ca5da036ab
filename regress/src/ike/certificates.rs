//! Certificates and identities in all modes, revocation, and certificates that are replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};
use crate::interop::make_certificates;
use crate::pki::{KeyKind, Leaf, Pki, ROOT, subject};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("aggressive mode, pre-shared key, user_fqdn", |env| by_name(env, "aggressive")),
    ("base mode, pre-shared key, user_fqdn", |env| by_name(env, "base")),
    ("main mode, certificates for RSA", |env| signed(env, "main", KeyKind::Rsa)),
    ("aggressive mode, certificates for RSA", |env| signed(env, "aggressive", KeyKind::Rsa)),
    ("base mode, certificates for RSA", |env| signed(env, "base", KeyKind::Rsa)),
    ("main mode, certificates for P-256", |env| signed(env, "main", KeyKind::P256)),
    ("aggressive mode, certificates for P-256", |env| signed(env, "aggressive", KeyKind::P256)),
    ("base mode, certificates for P-256", |env| signed(env, "base", KeyKind::P256)),
    ("main mode, certificates for P-384", |env| signed(env, "main", KeyKind::P384)),
    ("main mode, certificates for P-521", |env| signed(env, "main", KeyKind::P521)),
    ("main mode, plain RSA keys", |env| plain(env, "main")),
    ("aggressive mode, plain RSA keys", |env| plain(env, "aggressive")),
    ("base mode, plain RSA keys", |env| plain(env, "base")),
    ("certificates of intermediate authorities", intermediate),
    ("revocation takes effect at the next phase 1", revoked),
    ("replaced certificates are used after a reload", replaced),
];

/// Returns certificates that no scenario changes.
fn certificates() -> Result<&'static Pki> {
    static CERTIFICATES: OnceLock<Result<Pki, String>> = OnceLock::new();
    let make = || make_certificates(Path::new("/run/pki")).map_err(|error| format!("{error:#}"));
    CERTIFICATES.get_or_init(make).as_ref().map_err(|error| anyhow!("{error}"))
}

/// Returns a folder for a scenario's own certificates.
fn folder(env: &Environment<'_>) -> PathBuf {
    Path::new("/run").join(env.host_name("pki"))
}

/// Returns the settings of a side with the files `certificate`, `key` and `authority`.
fn settings(method: &'static str, certificate: &Path, key: &Path, authority: &Path) -> Settings {
    let [certificate, key, authority] = [certificate, key, authority].map(|path| path.display());
    let credentials = format!(
        "certificate_type x509 \"{certificate}\" \"{key}\"; ca_type x509 \"{authority}\"; my_identifier asn1dn;"
    );
    Settings { method, credentials, ..Settings::default() }
}

/// Both sides expect each other's mail address.
fn by_name(env: &Environment<'_>, exchange: &'static str) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let [alice, bob] = [("alice", "bob@mail.example"), ("bob", "alice@mail.example")].map(|(own, peer)| Settings {
        exchange,
        credentials: format!(
            "my_identifier user_fqdn \"{own}@mail.example\"; peers_identifier user_fqdn \"{peer}\"; verify_identifier on;"
        ),
        key_of: Some(peer),
        ..Settings::default()
    });
    negotiated(&testbed, [&alice, &bob], ["alice@mail.example", "bob@mail.example"])
}

/// Each side accepts the subject of the other's certificate only.
fn signed(env: &Environment<'_>, exchange: &'static str, kind: KeyKind) -> Result<()> {
    let pki = certificates()?;
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let names = Side::BOTH.map(|side| format!("{}-{}", side.name(), kind.name()));
    let [alice, bob] = Side::BOTH.map(|side| {
        let [own, peer] = [side, side.other()].map(|side| format!("{}-{}", side.name(), kind.name()));
        let mut settings =
            settings(kind.method(), &pki.certificate(&own), &pki.private_key(&own), &pki.certificate(ROOT));
        settings.exchange = exchange;
        settings.credentials += &format!("peers_identifier asn1dn \"{}\"; verify_identifier on;", subject(&peer));
        settings
    });
    let [alice_name, bob_name] = names.map(|name| format!("CN={name}.example"));
    negotiated(&testbed, [&alice, &bob], [&alice_name, &bob_name])
}

/// Each side has the public key of the other.
fn plain(env: &Environment<'_>, exchange: &'static str) -> Result<()> {
    let pki = certificates()?;
    let testbed = Testbed::new(env, Topology::Transport)?;
    let [alice, bob] = Side::BOTH.map(|side| {
        let [[own, _], [_, peer]] = [side, side.other()].map(|side| pki.plain_files(&format!("{}-rsa", side.name())));
        let credentials = format!(
            "certificate_type plain_rsa \"{}\"; peers_certfile plain_rsa \"{}\"; \
             my_identifier fqdn \"{}.example\"; peers_identifier fqdn \"{}.example\"; verify_identifier on;",
            own.display(),
            peer.display(),
            side.name(),
            side.other().name()
        );
        Settings { exchange, method: "rsasig", credentials, ..Settings::default() }
    });
    negotiated(&testbed, [&alice, &bob], ["alice.example", "bob.example"])
}

/// Each side has the root only, and learns the authority below it from the peer.
fn intermediate(env: &Environment<'_>) -> Result<()> {
    let pki = certificates()?;
    let testbed = Testbed::new(env, Topology::Transport)?;
    let [alice, bob] = ["alice-below", "bob-below"]
        .map(|name| settings("rsasig", &pki.chain_file(name), &pki.private_key(name), &pki.certificate(ROOT)));
    negotiated(&testbed, [&alice, &bob], ["CN=alice-below.example", "CN=bob-below.example"])
}

/// Alice initiates, packets are protected, and the log of each side names the other one.
fn negotiated(testbed: &Testbed, settings: [&Settings; 2], names: [&str; 2]) -> Result<()> {
    let ([of_alice, of_bob], [alice_name, bob_name]) = (settings, names);
    let (alice, bob) = (testbed.start(Side::Alice, of_alice)?, testbed.start(Side::Bob, of_bob)?);
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    for (racoon, name) in [(&alice, bob_name), (&bob, alice_name)] {
        let log = racoon.log()?;
        let established = log.lines().filter(|line| line.contains("ISAKMP-SA established"));
        ensure!(established.clone().count() == 1, "phase 1 was not negotiated once:\n{log}");
        ensure!(log.contains(name), "no {name} in the log:\n{log}");
    }
    alice.stop()?;
    bob.stop()
}

/// The tunnel of a peer whose certificate is revoked remains, but its next phase 1 is refused, without a reload.
fn revoked(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let pki = two_leaves(&folder(env))?;
    let lists = folder(env).join("lists");
    pki.hashed(&lists, &[pki.revocation_list(ROOT)?])?;
    let of_alice = settings("ecdsasig", &pki.certificate("alice"), &pki.private_key("alice"), &pki.certificate(ROOT));
    let mut of_bob = settings("ecdsasig", &pki.certificate("bob"), &pki.private_key("bob"), &pki.certificate(ROOT));
    of_bob.head = format!("path certificate \"{}\";\n", lists.display());
    of_bob.credentials += "crl_policy require;";
    let (alice, bob) = (testbed.start(Side::Alice, &of_alice)?, testbed.start(Side::Bob, &of_bob)?);
    testbed.bring_up(Side::Alice)?;

    pki.revoke(ROOT, "alice")?;
    pki.hashed(&lists, &[pki.revocation_list(ROOT)?])?;
    testbed.check_protected("ESP").context("after the revocation")?;
    alice.stop()?;
    let alice = testbed.start(Side::Alice, &of_alice)?;
    let pings = testbed.ping(Side::Alice, &["-c", "3", "-W", "1"])?;
    ensure!(pings.received == 0, "the revoked certificate is accepted: {pings:?}");
    bob.wait_for_log("CN=alice.example was revoked at ")?;
    alice.wait_for_log("INVALID-CERT-AUTHORITY")?;
    alice.stop()?;
    bob.stop()
}

/// A reload replaces Alice's certificate without an effect on the tunnel. The next phase 1 uses it. A file with an error
/// is not loaded.
fn replaced(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let pki = two_leaves(&folder(env))?;
    pki.leaf(&Leaf::new("alice-next", KeyKind::P256, "DNS:alice-next.example"))?;
    let own = ["pem", "key"].map(|kind| folder(env).join(format!("own.{kind}")));
    let install = |name: &str| -> Result<()> {
        for (from, to) in [pki.certificate(name), pki.private_key(name)].iter().zip(&own) {
            fs::copy(from, to).with_context(|| from.display().to_string())?;
        }
        Ok(())
    };
    install("alice")?;
    let [certificate, key] = &own;
    let of_alice = settings("ecdsasig", certificate, key, &pki.certificate(ROOT));
    let of_bob = settings("ecdsasig", &pki.certificate("bob"), &pki.private_key("bob"), &pki.certificate(ROOT));
    let (alice, bob) = (testbed.start(Side::Alice, &of_alice)?, testbed.start(Side::Bob, &of_bob)?);
    testbed.bring_up(Side::Alice)?;
    let before = testbed.sas(Side::Bob)?.matches("spi=").count();
    ensure!(bob.log()?.contains("CN=alice.example"), "the log does not name the first certificate");

    install("alice-next")?;
    alice.reload()?;
    testbed.check_protected("ESP").context("after the first reload")?;
    fs::write(certificate, "not a certificate\n")?;
    alice.reload()?;
    testbed.check_protected("ESP").context("after a reload with a broken file")?;
    alice.wait_for_log("own.pem")?;
    ensure!(testbed.sas(Side::Bob)?.matches("spi=").count() == before, "the reload changed the SAs");

    bob.stop()?;
    let bob = testbed.start(Side::Bob, &of_bob)?;
    testbed.bring_up(Side::Alice)?;
    bob.wait_for_log("CN=alice-next.example")?;
    alice.stop()?;
    bob.stop()
}

/// Makes certificates for Alice and Bob.
fn two_leaves(dir: &Path) -> Result<Pki> {
    let pki = Pki::new(dir)?;
    for name in ["alice", "bob"] {
        pki.leaf(&Leaf::new(name, KeyKind::P256, &format!("DNS:{name}.example")))?;
    }
    Ok(pki)
}
