//! Certificates and keys of a remote.

use std::path::Path;

use super::draft::Given;
use crate::plainrsa;
use crate::racoon::check::{Check, resolve};
use crate::racoon::loader::{Credential, CredentialFile};
use crate::racoon::operands::Operands;
use crate::racoon::problem::Severity;
use crate::racoon::remote::*;
use crate::racoon::token::{Kind, Token};
use crate::system_error;

impl Check<'_> {
    pub(super) fn certificate_type(
        &self,
        op: &mut Operands<'_, '_>,
        remote: &mut Remote,
        given: &mut Given,
    ) -> Option<()> {
        if std::mem::replace(&mut given.certificate, true) {
            return op.fail(&op.first(), "certificate_type is already defined", None);
        }
        let directory = self.config.paths.certificate.as_deref();
        if op.accept("plain_rsa") {
            let token = op.string_token("the file of the private key")?;
            let key = resolve(directory, token.value());
            if let Err(error) = plainrsa::load_private(&key, self.loader) {
                return op.fail(&token, "Couldn't parse keyfile.", Some(error.to_string()));
            }
            remote.certificate = Some(OwnCertificate::PlainRsa(key));
            // As in the C racoon, no certificates are exchanged unless a later directive says so.
            (remote.send_cert, remote.send_cr, remote.verify_cert) = (false, false, false);
            return Some(());
        }
        if op.accept("pkcs12") {
            let (token, file) = self.named(op, "the PKCS#12 file", "certificate")?;
            return self.own_certificate(op, remote, (token, file.clone()), (token, file));
        }
        if !op.accept("x509") {
            return op.unexpected("x509, pkcs12 or plain_rsa");
        }
        let certificate = self.named(op, "the file of the certificate", "certificate");
        if certificate.is_none() && op.at_end() {
            return None;
        }
        // Both are checked, so that both errors are reported.
        let key = self.named(op, "the file of the private key", "private key");
        self.own_certificate(op, remote, certificate?, key?)
    }

    /// Takes a passphrase, if there is one, and checks the contents of the files.
    fn own_certificate<'s>(
        &self,
        op: &mut Operands<'_, 's>,
        remote: &mut Remote,
        (certificate_token, certificate): (Token<'s>, Box<Path>),
        (key_token, key): (Token<'s>, Box<Path>),
    ) -> Option<()> {
        let passphrase = if op.accept("passphrase") { Some(self.passphrase(op)?) } else { None };
        let directory = self.loader.credentials_directory();
        let file = passphrase.as_ref().map(|(token, from)| (token, from.path(directory.as_deref())));
        match &file {
            Some((token, None)) => {
                let hint = "the private key is not checked: $CREDENTIALS_DIRECTORY is not set".to_owned();
                op.warn(token, "systemd has passed no credentials", Some(hint));
            }
            _ => {
                let path = file.as_ref().and_then(|(_, path)| path.as_deref());
                let credential = Credential::Own { certificate: &certificate, key: &key, passphrase: path };
                let passphrase_token = file.as_ref().map_or(key_token, |(token, _)| **token);
                self.credential(op, &credential, |file| match file {
                    CredentialFile::Certificate => certificate_token,
                    CredentialFile::Key => key_token,
                    CredentialFile::Passphrase => passphrase_token,
                })?;
            }
        }
        let passphrase = passphrase.map(|(_, from)| from);
        remote.certificate = Some(OwnCertificate::X509 { certificate, key, passphrase });
        Some(())
    }

    /// Takes what follows `passphrase`.
    fn passphrase<'s>(&self, op: &mut Operands<'_, 's>) -> Option<(Token<'s>, Passphrase)> {
        if op.accept("credential") {
            let token = op.string_token("the name of a credential")?;
            let name = token.value();
            if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                let hint = "a credential has a name, not a path".to_owned();
                return op.fail(&token, "invalid name of a credential", Some(hint));
            }
            return Some((token, Passphrase::Credential(name.into())));
        }
        let (token, file) = self.named(op, "the file of the passphrase, or credential and a name", "passphrase")?;
        Some((token, Passphrase::File(file)))
    }

    pub(super) fn peers_certfile(
        &self,
        op: &mut Operands<'_, '_>,
        remote: &mut Remote,
        given: &mut Given,
    ) -> Option<()> {
        if std::mem::replace(&mut given.peers_certificate, true) {
            return op.fail(&op.first(), "peers_certfile is already defined", None);
        }
        let token = op.peek();
        if op.accept("dnssec") {
            let hint = "CERT records are not looked up: name a file".to_owned();
            return op.fail(&token, "dnssec is not supported", Some(hint));
        }
        if op.accept("plain_rsa") {
            let token = op.string_token("the file of public keys")?;
            let keys = resolve(self.config.paths.certificate.as_deref(), token.value());
            if let Err(error) = plainrsa::load_public(&keys, self.loader) {
                return op.fail(&token, "Couldn't parse keyfile.", Some(error.to_string()));
            }
            remote.peers_certificate = Some(PeersCertificate::PlainRsa(keys));
            return Some(());
        }
        if !op.accept("x509") && !op.at_end() && token.kind == Kind::String {
            // The old form, which the C racoon accepts too.
            op.warn(&token, "peers_certfile without a type is deprecated", Some("write x509 before it".to_owned()));
        }
        let (token, path) = self.named(op, "x509 and a file", "certificate")?;
        self.credential(op, &Credential::Peer(&path), |_| token)?;
        remote.peers_certificate = Some(PeersCertificate::X509(path));
        Some(())
    }

    pub(super) fn ca_type(&self, op: &mut Operands<'_, '_>, remote: &mut Remote, given: &mut Given) -> Option<()> {
        if op.accept("system") {
            remote.trust.system = true;
            return Some(());
        }
        if !op.accept("x509") {
            return op.unexpected("x509 and a file, or system");
        }
        if std::mem::replace(&mut given.ca_file, true) {
            return op.fail(&op.first(), "ca_type is already defined", None);
        }
        let (token, path) = self.named(op, "the file of the certificate", "certificate")?;
        self.credential(op, &Credential::Authorities(&path), |_| token)?;
        remote.trust.file = Some(path);
        Some(())
    }

    /// Reports what is wrong with the contents of files, at the tokens that name them.
    fn credential<'s>(
        &self,
        op: &Operands<'_, 's>,
        credential: &Credential<'_>,
        token: impl Fn(CredentialFile) -> Token<'s>,
    ) -> Option<()> {
        let mut usable = Some(());
        for fault in self.loader.check_credential(credential) {
            let token = token(fault.file);
            let noun = match fault.file {
                CredentialFile::Certificate => "certificate",
                CredentialFile::Key => "private key",
                CredentialFile::Passphrase => "passphrase",
            };
            match fault.severity {
                Severity::Warning => op.warn(&token, &format!("{noun} \"{}\"", token.value()), Some(fault.why)),
                Severity::Error => {
                    usable = op.fail(&token, &format!("failed to load {noun} \"{}\"", token.value()), Some(fault.why));
                }
            }
        }
        usable
    }

    /// Takes the name of a file, which must exist.
    fn named<'s>(&self, op: &mut Operands<'_, 's>, noun: &str, kind: &str) -> Option<(Token<'s>, Box<Path>)> {
        let token = op.string_token(noun)?;
        let path = resolve(self.config.paths.certificate.as_deref(), token.value());
        let error = match self.loader.metadata(&path) {
            Ok(metadata) if metadata.regular => return Some((token, path)),
            Ok(_) => "not a regular file".to_owned(),
            Err(error) => system_error(&error),
        };
        let message = format!("failed to load {kind} \"{}\"", token.value());
        op.fail(&token, &message, Some(format!("{}: {error}", path.display())))
    }
}
