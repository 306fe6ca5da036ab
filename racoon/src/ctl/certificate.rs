//! Output of `get-cert`.

use openssl::error::ErrorStack;
use openssl::x509::X509;
use zeroize::Zeroizing;

use super::cli::Invocation;
use crate::admin::protocol::Request;

/// How a certificate is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// DER, as ipsec-tools' racoonctl does.
    #[default]
    Der,
    /// PEM (RFC 7468).
    Pem,
    /// OpenSSL's text.
    Text,
}

/// Refuses to write DER to a terminal, where it could act as control characters.
pub(super) fn check_output(run: &Invocation, is_terminal: bool) -> Result<(), String> {
    match run.request {
        Request::GetCertificate(_) if run.form == Form::Der && is_terminal => {
            Err("get-cert: DER is not written to a terminal: redirect it, or use --pem or --text".into())
        }
        _ => Ok(()),
    }
}

/// Converts the daemon's reply, which is empty if the peer has no certificate.
pub(super) fn output(der: &[u8], form: Form) -> Result<Zeroizing<Vec<u8>>, String> {
    if der.is_empty() {
        return Err("get-cert: the peer has proved its identity without a certificate".into());
    }
    let converted = match form {
        Form::Der => Ok(der.to_vec()),
        Form::Pem => X509::from_der(der).and_then(|certificate| certificate.to_pem()),
        Form::Text => X509::from_der(der).and_then(|certificate| certificate.to_text()).map(|text| printable(&text)),
    };
    converted
        .map(Zeroizing::new)
        .map_err(|errors| format!("get-cert: the certificate cannot be read: {}", reason(&errors)))
}

/// Returns what OpenSSL met first. The functions that called it add nothing.
fn reason(errors: &ErrorStack) -> &'static str {
    errors.errors().first().and_then(|error| error.reason()).unwrap_or("unknown error")
}

/// Replaces the control characters in a text except ends of lines. OpenSSL prints some names as the peer wrote them.
fn printable(text: &[u8]) -> Vec<u8> {
    let mut shown = String::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::X509Name;
    use openssl::x509::extension::SubjectAlternativeName;

    use super::*;
    use crate::admin::protocol::{Endpoints, Table};

    /// Returns a certificate in DER.
    fn certificate(common_name: &str, dns: &str) -> Vec<u8> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(1 << 32).unwrap()).unwrap();
        let names = SubjectAlternativeName::new().dns(dns).build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build().to_der().unwrap()
    }

    #[test]
    fn all_forms() {
        let der = certificate("gw.example", "gw.example");
        assert_eq!(*output(&der, Form::Der).unwrap(), der);
        let pem = output(&der, Form::Pem).unwrap();
        assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----\n") && pem.ends_with(b"-----END CERTIFICATE-----\n"));
        assert_eq!(X509::from_pem(&pem).unwrap().to_der().unwrap(), der);
        let text = String::from_utf8(output(&der, Form::Text).unwrap().to_vec()).unwrap();
        assert!(text.starts_with("Certificate:\n    Data:\n"), "{text}");
        for line in ["Subject: CN=gw.example", "DNS:gw.example"] {
            // OpenSSL 1.1.1 writes blanks around `=`.
            assert!(text.replace(" = ", "=").contains(line), "{text}");
        }
    }

    #[test]
    fn text_does_not_control_a_terminal() {
        let der = certificate("\u{1b}[2Jname\u{9b}", "gw.example\u{1b}[2J");
        let text = String::from_utf8(output(&der, Form::Text).unwrap().to_vec()).unwrap();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(printable(b"a\x1b[1m\r\n\tb\xff\xc2\x9b"), "a\\u{1b}[1m\\r\n\\tb\u{fffd}\\u{9b}".as_bytes());
    }

    #[test]
    fn what_is_no_certificate() {
        let none = "get-cert: the peer has proved its identity without a certificate";
        for form in [Form::Der, Form::Pem, Form::Text] {
            assert_eq!(output(&[], form).unwrap_err(), none);
        }
        for form in [Form::Pem, Form::Text] {
            let error = output(b"garbage", form).unwrap_err();
            let reason = error.strip_prefix("get-cert: the certificate cannot be read: ");
            assert!(reason.is_some_and(|reason| reason != "unknown error" && !reason.contains(':')), "{error}");
        }
    }

    #[test]
    fn terminals_get_no_der() {
        let end = SocketAddr::from(([192, 0, 2, 1], 0));
        let certificate = Request::GetCertificate(Endpoints { local: end, remote: end });
        let run = |request: &Request, form| Invocation {
            socket: "racoon.sock".into(),
            verbosity: 0,
            request: request.clone(),
            form,
        };
        let refused = "get-cert: DER is not written to a terminal: redirect it, or use --pem or --text";
        assert_eq!(check_output(&run(&certificate, Form::Der), true).unwrap_err(), refused);
        for (request, form, is_terminal) in [
            (&certificate, Form::Der, false),
            (&certificate, Form::Pem, true),
            (&certificate, Form::Text, true),
            (&Request::ShowSa(Table::Esp), Form::Der, true),
        ] {
            assert_eq!(check_output(&run(request, form), is_terminal), Ok(()));
        }
    }
}
