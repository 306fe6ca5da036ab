//! Certificates and keys of a remote.

use std::path::Path;

use super::draft::Given;
use crate::plainrsa;
use crate::racoon::check::{Check, resolve};
use crate::racoon::operands::Operands;
use crate::racoon::remote::*;
use crate::racoon::token::Kind;
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
        if !op.accept("x509") {
            return op.unexpected("x509 or plain_rsa");
        }
        let certificate = self.pem(op, "the file of the certificate", "certificate");
        if certificate.is_none() && op.at_end() {
            return None;
        }
        // Both are checked, so that both errors are reported.
        let key = self.pem(op, "the file of the private key", "private key");
        let (certificate, key) = (certificate?, key?);
        remote.certificate = Some(OwnCertificate::X509 { certificate, key });
        Some(())
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
        remote.peers_certificate = Some(PeersCertificate::X509(self.pem(op, "x509 and a file", "certificate")?));
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
        remote.trust.file = Some(self.pem(op, "the file of the certificate", "certificate")?);
        Some(())
    }

    /// Reads the name of a file, which must exist.
    fn pem(&self, op: &mut Operands<'_, '_>, noun: &str, kind: &str) -> Option<Box<Path>> {
        let token = op.string_token(noun)?;
        let path = resolve(self.config.paths.certificate.as_deref(), token.value());
        let error = match self.loader.metadata(&path) {
            Ok(metadata) if metadata.regular => return Some(path),
            Ok(_) => "not a regular file".to_owned(),
            Err(error) => system_error(&error),
        };
        let message = format!("failed to load {kind} \"{}\"", token.value());
        op.fail(&token, &message, Some(format!("{}: {error}", path.display())))
    }
}
