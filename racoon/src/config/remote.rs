//! Translation of `remote` sections.

use std::path::Path;
use std::sync::Arc;

use ipsec_conf::racoon as conf;
use racoon_proto::config::{Dpd, OwnCertificate, PeerAddress, Remote, RemoteAddress};
use racoon_proto::credentials::{OwnKey, PinnedKey, Trust};
use racoon_proto::num::CertEncoding;
use racoon_proto::proposal::Phase1Terms;

use super::{CertificateFacts, ConfigError, Environment, identity, number};

/// Interface index that no packet has. A section for an interface that does not exist matches no peer.
const NO_INTERFACE: u32 = u32::MAX;

pub(super) fn translate(from: &conf::Remote, environment: &dyn Environment) -> Result<Remote, ConfigError> {
    let wrong = |message| ConfigError { place: from.place.clone(), message };
    let facts = match &from.certificate {
        Some(conf::OwnCertificate::X509 { certificate, .. }) => environment.certificate(certificate),
        _ => None,
    };
    let expected = from.peers_identifiers.iter().map(identity::expected).collect::<Result<_, _>>();
    let defaults = Remote::new(name(&from.name), address(from, environment));
    Ok(Remote {
        port: from.port.unwrap_or(0),
        exchange_modes: from.exchange_modes.iter().map(|mode| number::exchange(*mode)).collect(),
        proposals: from
            .proposals
            .iter()
            // The language knows obsolete groups, but they are never offered.
            .filter(|one| one.dh_group.is_supported())
            .flat_map(|one| proposals(one, facts.as_ref()))
            .collect(),
        proposal_check: number::check_level(from.proposal_check),
        my_identifier: identity::local(&from.my_identifier).map_err(wrong)?,
        peers_identifiers: expected.map_err(wrong)?,
        verify_identifier: from.verify_identifier,
        own_key: own_key(from, facts.as_ref()),
        certificate: certificate(from, facts),
        trust: Arc::new(trust(from)),
        authorities: authorities(from, environment),
        send_cert: from.send_cert,
        send_cr: from.send_cr,
        match_empty_cr: from.match_empty_cr,
        mode_cfg: from.mode_cfg,
        xauth_login: from.xauth_login.as_deref().map(Into::into),
        weak_phase1_check: from.weak_phase1_check,
        ike_frag: number::ike_frag(from.ike_frag),
        esp_frag: from.esp_frag,
        initial_contact: from.initial_contact,
        passive: from.passive,
        support_proxy: from.support_proxy,
        generate_policy: number::generate_policy(from.generate_policy),
        generate_policy_bounds: from.generate_policy_bounds,
        nat_traversal: number::nat_traversal(from.nat_traversal),
        dpd: from.dpd.then(|| dpd(from)),
        rekey: number::rekey(from.rekey),
        nonce_size: from.nonce_size,
        ph1id: from.ph1id,
        ..defaults
    })
}

fn name(name: &conf::RemoteName) -> String {
    match name {
        conf::RemoteName::Quoted(name) => name.as_ref().into(),
        conf::RemoteName::Address(address, _) => match &address.scope {
            Some(scope) => format!("{}%{scope}", address.ip),
            None => address.ip.to_string(),
        },
        conf::RemoteName::Anonymous(_) => "anonymous".into(),
    }
}

fn address(from: &conf::Remote, environment: &dyn Environment) -> Option<RemoteAddress> {
    Some(match from.address.as_ref()? {
        conf::RemoteAddress::Host(_) => RemoteAddress::Unresolved,
        conf::RemoteAddress::Numeric(address) => RemoteAddress::At(PeerAddress {
            ip: address.ip,
            zone: address
                .scope
                .as_deref()
                // A scope is an index or a name.
                .map_or(0, |scope| scope.parse().ok().or_else(|| environment.interface(scope)).unwrap_or(NO_INTERFACE)),
        }),
    })
}

/// Returns a proposal for each method that the configured one stands for.
fn proposals(from: &conf::Proposal, facts: Option<&CertificateFacts>) -> impl Iterator<Item = Phase1Terms> {
    let terms = |method| Phase1Terms {
        cipher: number::cipher(from.encryption.cipher),
        key_length: from.encryption.key_bits.unwrap_or(0),
        hash: number::hash(from.hash),
        group: number::group(from.dh_group),
        method,
        lifetime: number::seconds(from.lifetime),
    };
    number::methods(from.method, facts.and_then(|facts| facts.ecdsa)).into_iter().map(terms)
}

/// Returns our private key, unless its certificate has not been read.
fn own_key(from: &conf::Remote, facts: Option<&CertificateFacts>) -> Option<Arc<OwnKey>> {
    let key = match from.certificate.as_ref()? {
        conf::OwnCertificate::X509 { certificate, key, .. } => {
            facts?;
            OwnKey::X509 { certificate: certificate.to_path_buf(), key: key.to_path_buf() }
        }
        conf::OwnCertificate::PlainRsa(file) => OwnKey::PlainRsa(file.to_path_buf()),
    };
    Some(Arc::new(key))
}

fn trust(from: &conf::Remote) -> Trust {
    Trust {
        pinned: from.peers_certificate.as_ref().map(|file| match file {
            conf::PeersCertificate::X509(file) => PinnedKey::X509(file.to_path_buf()),
            conf::PeersCertificate::PlainRsa(file) => PinnedKey::PlainRsa(file.to_path_buf()),
        }),
        authorities: from.trust.file.as_deref().map(Path::to_path_buf),
        system: from.trust.system,
        verify_cert: from.verify_cert,
        crl_required: from.crl_policy == conf::CrlPolicy::Require,
    }
}

/// Returns the names of the authorities whose certificates the peer is asked for: the issuer of its configured certificate, or
/// the configured authorities.
fn authorities(from: &conf::Remote, environment: &dyn Environment) -> Vec<Vec<u8>> {
    match (&from.peers_certificate, &from.trust.file) {
        (Some(conf::PeersCertificate::X509(file)), _) => {
            environment.certificate(file).into_iter().map(|facts| facts.issuer_der).collect()
        }
        (Some(conf::PeersCertificate::PlainRsa(_)), _) | (None, None) => Vec::new(),
        (None, Some(file)) => environment.authorities(file),
    }
}

fn certificate(from: &conf::Remote, facts: Option<CertificateFacts>) -> Option<OwnCertificate> {
    match from.certificate.as_ref()? {
        conf::OwnCertificate::X509 { .. } => {
            let (issuer, subject) = facts.map(|facts| (facts.issuer, facts.subject_der)).unzip();
            Some(OwnCertificate { encoding: CertEncoding::X509_SIGNATURE, issuer, subject })
        }
        // Without a certificate there is nothing to answer a request with.
        conf::OwnCertificate::PlainRsa(_) => None,
    }
}

fn dpd(from: &conf::Remote) -> Dpd {
    Dpd {
        delay: from.dpd_delay.map_or(0, number::seconds),
        retry: number::seconds(from.dpd_retry),
        max_fail: from.dpd_maxfail,
        mode: number::dpd_mode(from.dpd_mode),
    }
}
