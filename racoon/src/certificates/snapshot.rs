//! The contents of the files that a configuration names, as of one moment.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipsec_conf::racoon as conf;
use ipsec_conf::racoon::Loader as _;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::x509::X509;
use racoon_proto::credentials::{OwnKey, OwnProblem, PeerProblem, SignRequest, Signed};
use racoon_proto::crypto::signature::{self, SignatureError};
use racoon_proto::identity::Name;
use racoon_proto::num::AuthMethod;

use super::authorities::{Authorities, Sources};
use super::own::{OwnCertificate, OwnFiles};
use super::{Report, file, validity};
use crate::config::{CertificateFacts, Environment};
use crate::files::Files;
use crate::plain_rsa::PlainKeys;

/// The contents of the files that a configuration names.
#[derive(Default)]
pub struct Snapshot {
    own: HashMap<OwnKey, OwnSecret>,
    pinned: HashMap<PathBuf, Vec<X509>>,
    plain_rsa: HashMap<PathBuf, PlainKeys<PKey<Public>>>,
    /// By the file of `ca_type x509` and whether the system's authorities are trusted.
    authorities: HashMap<(Option<PathBuf>, bool), Authorities>,
}

/// A private key of ours.
enum OwnSecret {
    X509(OwnCertificate),
    PlainRsa(PlainKeys<PKey<Private>>),
}

impl Snapshot {
    /// Reads the files of all remote sections. Returns warnings, too.
    ///
    /// # Errors
    /// The faults of all files that cannot be used.
    pub fn load(config: &conf::Config, files: &Files, report: &Report) -> Result<(Self, Vec<String>), Vec<String>> {
        let mut snapshot = Self::default();
        let (mut warnings, mut errors) = (Vec::new(), Vec::new());
        for remote in &config.remotes {
            snapshot.add_own(remote, files, &mut errors);
            snapshot.add_peers(remote, files, &mut errors);
            warnings.extend(snapshot.unusable_methods(remote));
            let is_verified = remote.verify_cert && remote.proposals.iter().any(|one| one.method.verifies());
            if is_verified {
                snapshot.add_authorities(config, remote, files, report, (&mut warnings, &mut errors));
            }
        }
        if errors.is_empty() { Ok((snapshot, warnings)) } else { Err(errors) }
    }

    fn add_own(&mut self, remote: &conf::Remote, files: &Files, errors: &mut Vec<String>) {
        let Some(configured) = &remote.certificate else { return };
        let name = own_key(configured);
        if self.own.contains_key(&name) {
            return;
        }
        let loaded = match configured {
            conf::OwnCertificate::X509 { certificate, key, passphrase } => {
                let passphrase = passphrase.as_ref().and_then(|one| one.path(files.credentials_directory().as_deref()));
                let from = OwnFiles { certificate, key, passphrase: passphrase.as_deref() };
                // The warnings are those of the configuration's check.
                OwnCertificate::load(from, files).map(|(one, _)| OwnSecret::X509(one)).map_err(|faults| {
                    errors.extend(
                        faults.into_iter().filter(|one| one.severity == conf::Severity::Error).map(|one| one.why),
                    );
                })
            }
            conf::OwnCertificate::PlainRsa(file) => {
                PlainKeys::load_private(file, files).map(OwnSecret::PlainRsa).map_err(|error| errors.push(error))
            }
        };
        if let Ok(secret) = loaded {
            self.own.insert(name, secret);
        }
    }

    /// Returns a warning about each proposal whose method needs another kind of key than the section has.
    fn unusable_methods(&self, remote: &conf::Remote) -> Vec<String> {
        let name = remote.certificate.as_ref().map(own_key);
        let Some(OwnSecret::X509(own)) = name.and_then(|name| self.own.get(&name)) else { return Vec::new() };
        let has_rsa_key = signature::signature_method(&own.key) == Some(AuthMethod::RSA_SIGNATURES);
        let is_unusable = |method| match method {
            conf::AuthenticationMethod::EcdsaSig => has_rsa_key,
            conf::AuthenticationMethod::RsaSig => !has_rsa_key,
            _ => false,
        };
        let unusable = remote.proposals.iter().filter(|one| is_unusable(one.method));
        let kind = signature::key_kind(&own.key);
        unusable.map(|one| format!("{}: {} cannot be used: our key is {kind}", one.place, one.method)).collect()
    }

    fn add_peers(&mut self, remote: &conf::Remote, files: &Files, errors: &mut Vec<String>) {
        match &remote.peers_certificate {
            Some(conf::PeersCertificate::X509(path)) if !self.pinned.contains_key(&**path) => {
                match file::read(path, files).and_then(|bytes| file::certificates(path, &bytes)) {
                    Ok(certificates) => drop(self.pinned.insert(path.to_path_buf(), certificates)),
                    Err(error) => errors.push(error.to_string()),
                }
            }
            Some(conf::PeersCertificate::PlainRsa(path)) if !self.plain_rsa.contains_key(&**path) => {
                match PlainKeys::load_public(path, files) {
                    Ok(keys) => drop(self.plain_rsa.insert(path.to_path_buf(), keys)),
                    Err(error) => errors.push(error),
                }
            }
            _ => {}
        }
    }

    fn add_authorities(
        &mut self,
        config: &conf::Config,
        remote: &conf::Remote,
        files: &Files,
        report: &Report,
        (warnings, errors): (&mut Vec<String>, &mut Vec<String>),
    ) {
        let file = remote.trust.file.as_deref().map(Path::to_path_buf);
        let name = (file.clone(), remote.trust.system);
        if self.authorities.contains_key(&name) {
            return;
        }
        let directory = config.paths.certificate.as_deref().map(Path::to_path_buf);
        match Authorities::load(Sources { file, directory, system: remote.trust.system }, files, report) {
            Ok((loaded, faults)) => {
                // Several stores share the hashed directory.
                let faults = faults.iter().map(file::FileError::to_string);
                faults.for_each(|fault| {
                    if !warnings.contains(&fault) {
                        warnings.push(fault)
                    }
                });
                self.authorities.insert(name, loaded);
            }
            Err(error) => errors.push(error.to_string()),
        }
    }

    /// Signs a hash, see [`racoon_proto::credentials::Credentials::sign`].
    pub(super) fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        let secret = self.own.get(&*request.key).ok_or(OwnProblem::NotConfigured)?;
        let sign = |key: &PKeyRef<Private>| {
            signature::sign(request.method, key, request.hash.as_bytes()).map_err(|error| match error {
                SignatureError::KeyKind(_, kind) => OwnProblem::KeyKind(kind),
                error => OwnProblem::Signing(error.to_string()),
            })
        };
        match (secret, &*request.key) {
            (OwnSecret::X509(own), _) => Ok(Signed { signature: sign(&own.key)?, certificates: own.payloads.clone() }),
            (OwnSecret::PlainRsa(keys), OwnKey::PlainRsa(file)) => {
                let (local, remote) = request.addresses;
                let keys = keys.lookup(local, remote);
                let key = keys.first().ok_or_else(|| OwnProblem::NoPlainKey(file.clone()))?;
                Ok(Signed { signature: sign(key)?, certificates: Vec::new() })
            }
            (OwnSecret::PlainRsa(_), OwnKey::X509 { .. }) => Err(OwnProblem::NotConfigured),
        }
    }

    /// Returns the names of our keys.
    #[cfg(test)]
    pub(super) fn own_names(&self) -> impl Iterator<Item = &OwnKey> {
        self.own.keys()
    }

    /// Returns the certificates of a file of `peers_certfile x509`.
    pub(super) fn pinned(&self, file: &Path) -> Result<Vec<X509>, PeerProblem> {
        self.pinned.get(file).cloned().ok_or(PeerProblem::NoCertificate)
    }

    /// Returns the public keys for a peer in a file of `peers_certfile plain_rsa`.
    pub(super) fn plain_keys(&self, file: &Path, (local, remote): (IpAddr, IpAddr)) -> Vec<&PKey<Public>> {
        self.plain_rsa.get(file).map(|keys| keys.lookup(local, remote)).unwrap_or_default()
    }

    /// Returns the authorities that a remote section trusts.
    pub(super) fn authorities(&self, file: Option<&Path>, system: bool) -> Option<&Authorities> {
        self.authorities.get(&(file.map(Path::to_path_buf), system))
    }

    /// Returns a warning about each certificate, ours or that of an authority or a peer, that ends within 30 days.
    pub fn ending_soon(&self) -> Vec<String> {
        let own = self.own.iter().flat_map(|(name, secret)| match (name, secret) {
            (OwnKey::X509 { certificate, .. }, OwnSecret::X509(own)) => validity::ending_soon(certificate, &own.chain),
            _ => Vec::new(),
        });
        let pinned = self.pinned.iter().flat_map(|(file, certificates)| validity::ending_soon(file, certificates));
        let authorities = self.authorities.values().flat_map(|one| one.ending_soon());
        let mut all = own.chain(pinned).chain(authorities).collect::<Vec<_>>();
        // Tables have no order, and files may be named by several sections.
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Names a key as the engine does.
fn own_key(configured: &conf::OwnCertificate) -> OwnKey {
    match configured {
        conf::OwnCertificate::X509 { certificate, key, .. } => {
            OwnKey::X509 { certificate: certificate.to_path_buf(), key: key.to_path_buf() }
        }
        conf::OwnCertificate::PlainRsa(file) => OwnKey::PlainRsa(file.to_path_buf()),
    }
}

impl Environment for Snapshot {
    fn interface(&self, name: &str) -> Option<u32> {
        nix::net::if_::if_nametoindex(name).ok()
    }

    fn certificate(&self, file: &Path) -> Option<CertificateFacts> {
        let own = self.own.iter().find_map(|(name, secret)| match (name, secret) {
            (OwnKey::X509 { certificate, .. }, OwnSecret::X509(own)) if certificate == file => own.leaf(),
            _ => None,
        });
        let pinned = || self.pinned.get(file).and_then(|certificates| certificates.first());
        let leaf = own.or_else(pinned)?;
        let method = leaf.public_key().ok().and_then(|key| signature::signature_method(&key));
        let ecdsa = method.filter(|method| *method != AuthMethod::RSA_SIGNATURES);
        let issuer_der = leaf.issuer_name().to_der().ok()?;
        let subject_der = leaf.subject_name().to_der().ok()?;
        Some(CertificateFacts { issuer: Name::of(leaf.issuer_name())?, issuer_der, subject_der, ecdsa })
    }

    fn authorities(&self, file: &Path) -> Vec<Vec<u8>> {
        let loaded = [false, true].iter().find_map(|system| self.authorities(Some(file), *system));
        loaded.map(Authorities::names).unwrap_or_default()
    }
}
