//! Our certificates with their private keys.

use std::path::Path;

use ipsec_conf::racoon::{CredentialFile, FileFault, Severity};
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::x509::{X509, X509Ref};
use racoon_proto::credentials::{CERTIFICATES_MAX, Certificate};
use racoon_proto::crypto::signature::key_kind;
use racoon_proto::num::CertEncoding;
use zeroize::Zeroizing;

use super::file::{self, FileError};
use super::validity;
use crate::files::Files;

/// A certificate of ours with its private key.
pub(super) struct OwnCertificate {
    pub(super) key: PKey<Private>,
    /// The certificate of the key, then those of intermediate authorities.
    pub(super) chain: Vec<X509>,
    /// The same as CERT payloads.
    pub(super) payloads: Vec<Certificate>,
}

/// The files of a certificate.
#[derive(Clone, Copy)]
pub(super) struct OwnFiles<'a> {
    pub(super) certificate: &'a Path,
    pub(super) key: &'a Path,
    pub(super) passphrase: Option<&'a Path>,
}

/// What is wrong with the files. Warnings do not prevent their use.
pub(super) type Faults = Vec<FileFault>;

impl OwnCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them, and the warnings.
    pub(super) fn load(from: OwnFiles<'_>, files: &Files) -> Result<(Self, Faults), Faults> {
        let passphrase = match from.passphrase.map(|path| file::passphrase(path, files)).transpose() {
            Ok(passphrase) => passphrase,
            Err(error) => return Err(vec![fault(CredentialFile::Passphrase, &error)]),
        };
        let passphrase = passphrase.as_ref().map(|text| text.as_slice());
        let certificates = certificates(from.certificate, passphrase, files);
        let key = key(from.key, passphrase, files);
        let (certificates, key) = match (certificates, key) {
            (Ok(certificates), Ok(key)) => (certificates, key),
            // Both are read, so that both errors are reported.
            (certificates, key) => {
                let (certificate, key) = (certificates.err(), key.err());
                // A PKCS#12 file is named once, and its fault is told once.
                let key = key.filter(|error| certificate.as_ref() != Some(error));
                let certificate = certificate.map(|error| fault(CredentialFile::Certificate, &error));
                let key = key.map(|error| fault(CredentialFile::Key, &error));
                return Err(certificate.into_iter().chain(key).collect());
            }
        };
        let chain = match ordered(certificates, &key) {
            Ok(chain) => chain,
            Err(first) => return Err(vec![fault(CredentialFile::Key, &mismatch(from, &first, &key))]),
        };
        let faults = validity::faults(from.certificate, &chain);
        let payloads = chain.iter().filter_map(|one| one.to_der().ok()).map(payload).collect();
        match faults.iter().any(|fault| fault.severity == Severity::Error) {
            true => Err(faults),
            false => Ok((Self { key, chain, payloads }, faults)),
        }
    }

    /// The certificate of the key.
    pub(super) fn leaf(&self) -> Option<&X509> {
        self.chain.first()
    }
}

fn payload(data: Vec<u8>) -> Certificate {
    Certificate { encoding: CertEncoding::X509_SIGNATURE, data }
}

pub(super) fn fault(file: CredentialFile, error: &FileError) -> FileFault {
    FileFault { file, severity: Severity::Error, why: error.to_string() }
}

/// Reads the certificates of a file, which may be a PKCS#12 file, too.
fn certificates(path: &Path, passphrase: Option<&[u8]>, files: &Files) -> Result<Vec<X509>, FileError> {
    let bytes = file::read(path, files)?;
    let Some(archive) = file::pkcs12(path, &bytes, passphrase) else { return file::certificates(path, &bytes) };
    let archive = archive?;
    let all = archive.cert.into_iter().chain(archive.ca.into_iter().flatten()).collect::<Vec<_>>();
    if all.is_empty() { Err(FileError::new(path, "contains no certificate")) } else { Ok(all) }
}

/// Reads the private key of a file, which may be a PKCS#12 file, too.
fn key(path: &Path, passphrase: Option<&[u8]>, files: &Files) -> Result<PKey<Private>, FileError> {
    let bytes: Zeroizing<Vec<u8>> = file::read_secret(path, files)?;
    let Some(archive) = file::pkcs12(path, &bytes, passphrase) else {
        return file::private_key(path, &bytes, passphrase);
    };
    archive?.pkey.ok_or_else(|| FileError::new(path, "contains no private key"))
}

/// Returns the certificate of the key, then those of its issuers, each followed by its own issuer.
///
/// # Errors
/// The first certificate, if none is that of the key.
fn ordered(mut certificates: Vec<X509>, key: &PKeyRef<Private>) -> Result<Vec<X509>, X509> {
    let belongs = |one: &X509| one.public_key().is_ok_and(|public| public.public_eq(key));
    let Some(at) = certificates.iter().position(belongs) else { return Err(certificates.remove(0)) };
    let mut chain = vec![certificates.remove(at)];
    while chain.len() < CERTIFICATES_MAX {
        let Some(last) = chain.last() else { break };
        let issued_last = |one: &X509| is_issuer(one, last) && !is_issuer(one, one);
        // A peer either trusts a root already, or does not trust it because we send it.
        let Some(at) = certificates.iter().position(issued_last) else { break };
        chain.push(certificates.swap_remove(at));
    }
    Ok(chain)
}

/// Whether a certificate names another one as issued by it.
fn is_issuer(issuer: &X509Ref, of: &X509Ref) -> bool {
    issuer.issued(of).as_raw() == openssl_sys::X509_V_OK
}

fn mismatch(from: OwnFiles<'_>, certificate: &X509Ref, key: &PKeyRef<Private>) -> FileError {
    let theirs = certificate.public_key().map_or_else(|_| "unknown".to_owned(), |key| key_kind(&key));
    let why = format!(
        "this {} key is not that of the certificate in {} ({theirs})",
        key_kind(key),
        from.certificate.display()
    );
    FileError::new(from.key, why)
}
