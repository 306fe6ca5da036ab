//! Phase 1 between two hosts with files of their own, from the configuration to the SA.

use std::collections::VecDeque;
use std::net::SocketAddr;

use ipsec_conf::racoon::load;
use racoon_proto::crypto::SeededRandom;
use racoon_proto::engine::{Control, Engine};
use racoon_proto::output::{Output, Transmit};
use racoon_proto::settings::Settings;
use racoon_proto::time::Time;

use super::pki::{DAY, Template, list, publish, root, trust, write};
use super::*;
use crate::certificates::CredentialStore;
use crate::config;
use crate::psk_file::PskFile;

/// An engine with the files of its host.
struct Daemon {
    host: Host,
    address: SocketAddr,
    engine: Engine,
    store: CredentialStore,
    log: Vec<String>,
}

impl Daemon {
    /// A host whose key is that of `pair`, sent with the certificates `behind` it, and which trusts `authority`.
    fn new((address, peer): (&str, &str), pair: &Pair, behind: &[&Pair], authority: &Pair) -> Self {
        let host = Host::new();
        let chain = std::iter::once(&pair).chain(behind).map(|one| one.certificate.to_pem().unwrap());
        write(host.path(), "own.pem", chain.collect::<Vec<_>>().concat(), 0o644);
        write(host.path(), "own.key", pair.key.private_key_to_pem_pkcs8().unwrap(), 0o600);
        write(host.path(), "ca.pem", authority.certificate.to_pem().unwrap(), 0o644);
        trust(host.path(), authority);
        let text = format!(
            "path certificate \"{}\";\nremote {peer} {{ exchange_mode main; my_identifier asn1dn; \
             certificate_type x509 \"own.pem\" \"own.key\"; ca_type x509 \"ca.pem\"; proposal {{ \
             encryption_algorithm aes 256; hash_algorithm sha1; authentication_method ecdsasig; dh_group ecp256; }} }}",
            host.path().display()
        );
        let file = write(host.path(), "racoon.conf", text, 0o644);
        let loaded = load(file.to_str().unwrap(), &Files::default());
        let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
        let (snapshot, _) = Snapshot::load(&config, &Files::default(), &no_report()).unwrap();
        let remotes = config::translate(&config, &snapshot).unwrap().remotes;
        let settings = Settings { remotes, ..Settings::default() };
        let address = SocketAddr::new(address.parse().unwrap(), 500);
        let mut engine = Engine::new(settings, Box::new(SeededRandom::new(address.port().into())), Time::default());
        engine.handle_control(Time::default(), Control::Addresses([address].into())).unwrap();
        let store = CredentialStore::new(PskFile::of(Files::default()), snapshot);
        Self { host, address, engine, store, log: Vec::new() }
    }

    /// Performs the jobs, and returns what is to be sent.
    fn drain(&mut self) -> Vec<Transmit> {
        let mut sent = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit),
                Output::Job(id, _, job) => {
                    let result = job.perform(&self.store);
                    self.engine.handle_crypto(Time::default(), id, result);
                }
                Output::Log(line) => self.log.push(line.text),
                _ => {}
            }
        }
        sent
    }

    fn has_logged(&self, part: &str) -> bool {
        self.log.iter().any(|line| line.contains(part))
    }
}

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

/// Lets the first host begin, and delivers what both send.
fn negotiate(a: &mut Daemon, b: &mut Daemon) {
    let control = Control::EstablishPhase1 { local: a.address.ip(), remote: b.address.ip(), remote_section: None };
    a.engine.handle_control(Time::default(), control).unwrap();
    let mut link = VecDeque::from(a.drain());
    while let Some(Transmit { path, bytes, .. }) = link.pop_front() {
        let to = if path.remote == a.address { &mut *a } else { &mut *b };
        to.engine.handle_datagram(Time::default(), path.reversed(), &bytes);
        link.extend(to.drain());
    }
}

fn states(daemon: &Daemon) -> Vec<u8> {
    daemon.engine.phase1s().map(|view| view.state).collect()
}

#[test]
fn two_hosts_authenticate_each_other_by_chains() {
    let ca = root("CA");
    let below = Template { subject: "Office CA", authority: true, ..Template::default() }.issued_by(&ca);
    let of_a = Template { subject: "a", serial: 2, ..Template::default() }.issued_by(&below);
    let of_b = Template { subject: "b", serial: 3, ..Template::default() }.issued_by(&ca);
    let mut a = Daemon::new((A, B), &of_a, &[&below], &ca);
    let mut b = Daemon::new((B, A), &of_b, &[], &ca);
    negotiate(&mut a, &mut b);
    assert_eq!((states(&a), states(&b)), (vec![9], vec![9]), "{:?} {:?}", a.log, b.log);
    assert!(a.has_logged("the peer's certificate is that of O=Test, CN=b"), "{:?}", a.log);
    assert!(b.has_logged("the peer's certificate is that of O=Test, CN=a"), "{:?}", b.log);
    let view = b.engine.phase1s().next().unwrap();
    assert_eq!(view.certificate.map(|der| der.to_vec()), Some(of_a.certificate.to_der().unwrap()));
}

#[test]
fn a_revoked_peer_is_refused_in_both_roles() {
    let ca = root("CA");
    let of_a = Template { subject: "a", serial: 2, ..Template::default() }.issued_by(&ca);
    let of_b = Template { subject: "b", serial: 3, ..Template::default() }.issued_by(&ca);
    for revoked_begins in [true, false] {
        let mut a = Daemon::new((A, B), &of_a, &[], &ca);
        let mut b = Daemon::new((B, A), &of_b, &[], &ca);
        // The file changes while the daemon runs.
        publish(b.host.path(), &ca, &list(&ca, &[2], (-DAY, DAY)));
        if revoked_begins {
            negotiate(&mut a, &mut b)
        } else {
            negotiate(&mut b, &mut a)
        }
        assert_eq!((states(&a), states(&b)), (vec![], vec![]), "{:?} {:?}", a.log, b.log);
        assert!(b.has_logged("certificate O=Test, CN=a was revoked at 2000-03-01 00:00:00 UTC"), "{:?}", b.log);
        assert!(a.has_logged("the peer says INVALID-CERT-AUTHORITY"), "{:?}", a.log);
    }
}
