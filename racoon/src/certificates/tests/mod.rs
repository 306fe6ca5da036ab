//! Tests with files and keys that are made for each of them.

mod chains;
mod exchange;
mod files;
mod pki;
mod reloads;

use std::path::Path;
use std::sync::Arc;

use ipsec_conf::racoon::load;
use racoon_proto::credentials::{Certificate, OwnKey, PeerProblem, SignRequest, Trust, VerifiedPeer, VerifyRequest};
use racoon_proto::crypto::{Secret, signature};
use racoon_proto::identity::Identity;
use racoon_proto::num::{AuthMethod, IdType};
use tempfile::TempDir;

use super::{Snapshot, no_report};
use crate::files::Files;
use pki::Pair;

/// A hash of the length that the method wants.
const HASH: [u8; 32] = [7; 32];

/// A directory of files with the configuration that names them.
struct Host {
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Checks a configuration with directives for its only remote section. Returns what is reported, without the name of
    /// the directory.
    fn problems(&self, directives: &str) -> String {
        let loaded = self.load(directives);
        let shown = loaded.problems.iter().map(|one| format!("{one}\n")).collect::<String>();
        shown.replace(&format!("{}/", self.path().display()), "")
    }

    fn load(&self, directives: &str) -> ipsec_conf::racoon::Load {
        let text = format!(
            "path certificate \"{}\";\nremote 192.0.2.1 {{\n{directives}\nexchange_mode main; proposal {{ \
             encryption_algorithm aes 256; hash_algorithm sha256; authentication_method ecdsasig; dh_group ecp256; }} }}",
            self.path().display()
        );
        let file = self.path().join("racoon.conf");
        std::fs::write(&file, text).unwrap();
        load(file.to_str().unwrap(), &Files::default())
    }

    /// Reads the files that directives name.
    fn snapshot(&self, directives: &str) -> Result<Snapshot, Vec<String>> {
        let loaded = self.load(directives);
        let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
        Snapshot::load(&config, &Files::default(), &no_report()).map(|(snapshot, _)| snapshot)
    }
}

/// A peer that signs with a key and sends certificates, believed by the hashed directory.
fn request(key: &Pair, identity: Identity, sent: Vec<Certificate>) -> VerifyRequest {
    VerifyRequest {
        trust: Arc::new(Trust { verify_cert: true, ..Trust::default() }),
        addresses: ([192, 0, 2, 2].into(), [192, 0, 2, 1].into()),
        method: AuthMethod::ECDSA_256,
        identity,
        certificates: sent,
        hash: Secret::from(HASH.to_vec()),
        signature: signature::sign(AuthMethod::ECDSA_256, &key.key, &HASH).unwrap(),
    }
}

/// The request of a peer that is named by the subject of its certificate, and sends certificates behind its own.
fn by_subject(key: &Pair, behind: &[&Pair]) -> VerifyRequest {
    let subject = key.certificate.subject_name().to_der().unwrap();
    let sent = std::iter::once(key).chain(behind.iter().copied()).map(pki::payload).collect();
    request(key, Identity::named(IdType::DER_ASN1_DN, subject), sent)
}

fn with_trust(request: VerifyRequest, change: impl FnOnce(&mut Trust)) -> VerifyRequest {
    let mut trust = (*request.trust).clone();
    change(&mut trust);
    VerifyRequest { trust: Arc::new(trust), ..request }
}
