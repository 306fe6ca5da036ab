//! What a peer without the key of its certificate sends, with real keys: CVE-2004-0155, in every exchange and both roles.

use std::cell::RefCell;
use std::rc::Rc;

use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use super::*;
use crate::certificate::fixture::{alternatives, certificate, name};
use crate::certificate::{check_identity, parse_all, subject};
use crate::config::LocalIdentity;
use crate::credentials::{
    Certificate, Credentials, OwnKey, OwnProblem, PeerProblem, SignRequest, Signed, Trust, VerifiedPeer, VerifyRequest,
};
use crate::crypto::signature;
use crate::identity::{Expected, Identity};
use crate::num::{CertEncoding, IdType};

const EXCHANGES: [ExchangeType; 3] = [ExchangeType::MAIN, ExchangeType::AGGRESSIVE, ExchangeType::BASE];

const METHODS: [AuthMethod; 4] =
    [AuthMethod::RSA_SIGNATURES, AuthMethod::ECDSA_256, AuthMethod::ECDSA_384, AuthMethod::ECDSA_521];

const A_NAME: &str = "a.example";
const B_NAME: &str = "b.example";

/// A key and the certificate with a name.
#[derive(Clone)]
struct Pair {
    key: PKey<Private>,
    certificate: Vec<u8>,
}

impl Pair {
    fn new(method: AuthMethod, dns: &str) -> Self {
        let key = match method {
            AuthMethod::RSA_SIGNATURES => PKey::from_rsa(Rsa::generate(1024).unwrap()),
            AuthMethod::ECDSA_256 => PKey::ec_gen("P-256"),
            AuthMethod::ECDSA_384 => PKey::ec_gen("P-384"),
            _ => PKey::ec_gen("P-521"),
        };
        let key = key.unwrap();
        let names = alternatives(|names| {
            names.dns(dns);
        });
        let subject = name(&[("CN", dns)]).to_der().unwrap();
        let issued = certificate(&subject, &key, |builder| builder.append_extension(names).unwrap());
        Self { certificate: issued.to_der().unwrap(), key }
    }
}

/// Makes the body of a SIG payload from the valid one.
type Forge = dyn Fn(&Pair, &SignRequest, Vec<u8>) -> Vec<u8>;

/// A [`Forge`] with a name.
type Forgery = (&'static str, fn(&Pair, &SignRequest, Vec<u8>) -> Vec<u8>);

/// The credentials of a host. Its authority has issued the certificates in `trusted`.
struct Signer {
    own: Pair,
    trusted: Vec<Vec<u8>>,
    forge: Box<Forge>,
}

impl KeyTable for Signer {
    fn key(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        Err(no_entry())
    }
}

impl Credentials for Signer {
    fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        let valid = signature::sign(request.method, &self.own.key, request.hash.as_bytes()).unwrap();
        let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: self.own.certificate.clone() };
        Ok(Signed { signature: (self.forge)(&self.own, request, valid), certificates: vec![certificate] })
    }

    fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        let certificates = parse_all(&request.certificates)?;
        let certificate = certificates.first().ok_or(PeerProblem::NoCertificate)?;
        let der = certificate.to_der().unwrap();
        assert!(self.trusted.contains(&der));
        check_identity(&request.identity, certificate)?;
        let key = certificate.public_key().unwrap();
        match signature::verify(request.method, &key, request.hash.as_bytes(), &request.signature) {
            Ok(true) => {
                let subject = Some(subject(certificate));
                Ok(VerifiedPeer { certificate: Some(der), subject, warnings: Vec::new() })
            }
            Ok(false) | Err(_) => Err(PeerProblem::Signature),
        }
    }
}

/// Two hosts that sign, and their jobs, which the test performs.
struct Signers {
    world: World,
    a: Signer,
    b: Signer,
}

impl Signers {
    fn new(exchange: ExchangeType, method: AuthMethod, [a, b]: [Pair; 2]) -> Self {
        let fqdn = |name: &str| Identity::named(IdType::FQDN, name.as_bytes());
        let section = |section: &mut Remote, own: &str, peer: &str| {
            section.exchange_modes = vec![exchange];
            section.proposals = vec![Phase1Terms { method, ..TERMS }];
            section.my_identifier = LocalIdentity::Fixed(fqdn(own));
            section.peers_identifiers = vec![Expected::exactly(&fqdn(peer))];
            section.verify_identifier = true;
            let (certificate, key) = (format!("{own}.pem").into(), format!("{own}.key").into());
            section.own_key = Some(Arc::new(OwnKey::X509 { certificate, key }));
            section.trust = Arc::new(Trust { verify_cert: true, ..Trust::default() });
        };
        let mut world =
            World::with(|remote, _| section(remote, A_NAME, B_NAME), |remote, _| section(remote, B_NAME, A_NAME));
        (world.a.slow, world.b.slow) = (true, true);
        let signer = |own: Pair, peer: &Pair| {
            let trusted = vec![peer.certificate.clone()];
            Signer { own, trusted, forge: Box::new(|_, _, valid| valid) }
        };
        Self { world, a: signer(a.clone(), &b), b: signer(b, &a) }
    }

    /// Negotiates until nothing is left to do at once.
    fn negotiate(&mut self) {
        self.world.initiate();
        self.work();
    }

    /// Performs jobs until none is left.
    fn work(&mut self) {
        self.world.run();
        while !self.world.a.jobs.is_empty() || !self.world.b.jobs.is_empty() {
            let now = self.world.now;
            for (host, signer) in [(&mut self.world.a, &self.a), (&mut self.world.b, &self.b)] {
                for (id, job) in std::mem::take(&mut host.jobs) {
                    host.engine.handle_crypto(now, id, job.perform(signer));
                }
            }
            self.world.run();
        }
    }

    /// Checks that a host has not accepted the other one, and why.
    fn assert_refused(mut self, is_initiator: bool, what: &str) {
        self.negotiate();
        for _ in 0..200 {
            self.world.pass(seconds(1));
            self.work();
        }
        let victim = if is_initiator { &self.world.a } else { &self.world.b };
        assert!(!victim.event_kinds().contains(&EventKind::Phase1Up), "{what}");
        let failure = victim.failures().into_iter().next();
        let is_reason = |reason: &FailureReason| match reason {
            FailureReason::Signature(_) => true,
            // There is no SIG payload without data.
            FailureReason::Malformed(_) => what.contains("no data"),
            _ => false,
        };
        assert!(failure.as_ref().is_some_and(is_reason), "{what}: {failure:?} {:?}", victim.log);
    }
}

const FORGERIES: [Forgery; 9] = [
    ("other bytes", |_, _, valid| valid.iter().map(|byte| byte.wrapping_mul(151) ^ 0x3c).collect()),
    ("no data", |_, _, _| Vec::new()),
    ("zero", |_, _, valid| vec![0; valid.len()]),
    ("one", |_, _, valid| (1..valid.len()).map(|_| 0).chain([1]).collect()),
    ("ones", |_, _, valid| vec![0xff; valid.len()]),
    ("a byte less", |_, _, valid| valid[1..].to_vec()),
    ("a byte more", |_, _, valid| [&[0], valid.as_slice()].concat()),
    ("a bit changed", |_, _, mut valid| {
        valid[7] ^= 1;
        valid
    }),
    ("another hash", |own, request, _| {
        let hash = request.hash.as_bytes().iter().map(|byte| !byte).collect::<Vec<_>>();
        signature::sign(request.method, &own.key, &hash).unwrap()
    }),
];

#[test]
fn cve_2004_0155_signatures_that_are_none() {
    for method in METHODS {
        let pairs = [Pair::new(method, A_NAME), Pair::new(method, B_NAME)];
        for exchange in EXCHANGES {
            let signers = || Signers::new(exchange, method, pairs.clone());
            let mut honest = signers();
            honest.negotiate();
            honest.world.assert_up();
            for (name, forge) in FORGERIES {
                let mut forged = signers();
                forged.a.forge = Box::new(forge);
                forged.assert_refused(false, &format!("{exchange} {method} {name} of the initiator"));
                let mut forged = signers();
                forged.b.forge = Box::new(forge);
                forged.assert_refused(true, &format!("{exchange} {method} {name} of the responder"));
            }
        }
    }
}

/// The certificate of another one, and a signature by one's own key: whoever has seen a certificate has it.
#[test]
fn cve_2004_0155_certificate_without_its_key() {
    for method in METHODS {
        let pairs = [Pair::new(method, A_NAME), Pair::new(method, B_NAME)];
        let thief = Pair::new(method, "thief.example");
        for exchange in EXCHANGES {
            let signers = || Signers::new(exchange, method, pairs.clone());
            let mut forged = signers();
            forged.a.own.key = thief.key.clone();
            forged.assert_refused(false, &format!("{exchange} {method} by the initiator"));
            let mut forged = signers();
            forged.b.own.key = thief.key.clone();
            forged.assert_refused(true, &format!("{exchange} {method} by the responder"));
        }
    }
}

/// A valid signature and certificate prove no other name than that in the certificate.
#[test]
fn the_certificate_of_another_name() {
    let method = AuthMethod::ECDSA_256;
    let pairs = [Pair::new(method, A_NAME), Pair::new(method, B_NAME)];
    let other = Pair::new(method, "other.example");
    for exchange in EXCHANGES {
        for is_initiator in [true, false] {
            let mut signers = Signers::new(exchange, method, pairs.clone());
            let (claimant, victim) =
                if is_initiator { (&mut signers.b, &mut signers.a) } else { (&mut signers.a, &mut signers.b) };
            claimant.own = other.clone();
            // It is of the same authority.
            victim.trusted.push(other.certificate.clone());
            signers.assert_refused(is_initiator, &format!("{exchange}, to the initiator: {is_initiator}"));
        }
    }
}

/// A signature covers cookies, nonces and public values, so that of an earlier negotiation is worth nothing.
#[test]
fn signatures_are_not_reusable() {
    let method = AuthMethod::ECDSA_256;
    let pairs = [Pair::new(method, A_NAME), Pair::new(method, B_NAME)];
    for exchange in EXCHANGES {
        let mut signers = Signers::new(exchange, method, pairs.clone());
        let earlier = Rc::new(RefCell::new(Vec::new()));
        let made = Rc::clone(&earlier);
        signers.b.forge = Box::new(move |_, _, valid| {
            made.replace(valid.clone());
            valid
        });
        signers.negotiate();
        signers.world.assert_up();
        signers.world.a.engine.handle_control(signers.world.now, Control::FlushPhase1).unwrap();
        signers.world.run();
        signers.world.a.forget_outputs();
        signers.b.forge = Box::new(move |_, _, _| earlier.take());
        signers.assert_refused(true, &exchange.to_string());
    }
}
