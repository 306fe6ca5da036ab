//! Printing of `remote` sections.

use std::fmt;

use super::notation::{Algorithm, Quoted, path};
use super::{Text, seconds, switch};
use crate::racoon::remote::{OwnCertificate, Passphrase, PeersCertificate, Proposal, Remote, RemoteName};

impl Text {
    pub(super) fn remote(&mut self, remote: &Remote) -> fmt::Result {
        // Any other name contains the address.
        if let (RemoteName::Quoted(_), Some(address)) = (&remote.name, &remote.address) {
            match remote.port {
                Some(port) => self.line("remote_address", format_args!("{address} [{port}]"))?,
                None => self.line("remote_address", address)?,
            }
        }
        self.list("exchange_mode", &remote.exchange_modes)?;
        self.line("my_identifier", &remote.my_identifier)?;
        for identifier in &remote.peers_identifiers {
            self.line("peers_identifier", identifier)?;
        }
        self.line("verify_identifier", switch(remote.verify_identifier))?;
        self.option("xauth_login", remote.xauth_login.as_ref().map(Quoted))?;
        self.certificates(remote)?;
        self.line("mode_cfg", switch(remote.mode_cfg))?;
        self.line("weak_phase1_check", switch(remote.weak_phase1_check))?;
        let scripts = &remote.scripts;
        let events = [("phase1_up", &scripts.up), ("phase1_down", &scripts.down), ("phase1_dead", &scripts.dead)];
        for (event, script) in events {
            self.option("script", script.as_deref().map(|script| format!("{} {event}", path(script))))?;
        }
        self.line("ike_frag", remote.ike_frag)?;
        self.line("esp_frag", remote.esp_frag)?;
        self.line("initial_contact", switch(remote.initial_contact))?;
        self.line("passive", switch(remote.passive))?;
        self.line("proposal_check", remote.proposal_check)?;
        self.line("support_proxy", switch(remote.support_proxy))?;
        self.line("generate_policy", remote.generate_policy)?;
        self.line("generate_policy_bounds", switch(remote.generate_policy_bounds))?;
        self.line("nat_traversal", remote.nat_traversal)?;
        self.line("dpd", switch(remote.dpd))?;
        // 0 stands for no probes.
        self.line("dpd_delay", remote.dpd_delay.unwrap_or_default().as_secs())?;
        self.line("dpd_retry", remote.dpd_retry.as_secs())?;
        self.line("dpd_maxfail", remote.dpd_maxfail)?;
        self.line("dpd_mode", remote.dpd_mode)?;
        self.line("rekey", remote.rekey)?;
        self.line("nonce_size", remote.nonce_size)?;
        self.line("ph1id", remote.ph1id)?;
        self.line("lifetime time", seconds(remote.lifetime))?;
        remote.proposals.iter().try_for_each(|proposal| self.section("proposal", |text| text.proposal(proposal)))
    }

    /// Prints `certificate_type` first, because it resets directives before it.
    fn certificates(&mut self, remote: &Remote) -> fmt::Result {
        match &remote.certificate {
            Some(OwnCertificate::X509 { certificate, key, passphrase }) => {
                let passphrase = match passphrase {
                    None => String::new(),
                    Some(Passphrase::File(file)) => format!(" passphrase {}", path(file)),
                    Some(Passphrase::Credential(name)) => format!(" passphrase credential {}", Quoted(name)),
                };
                self.line("certificate_type x509", format_args!("{} {}{passphrase}", path(certificate), path(key)))?;
            }
            Some(OwnCertificate::PlainRsa(key)) => self.line("certificate_type plain_rsa", path(key))?,
            None => {}
        }
        match &remote.peers_certificate {
            Some(PeersCertificate::X509(certificate)) => self.line("peers_certfile x509", path(certificate))?,
            Some(PeersCertificate::PlainRsa(keys)) => self.line("peers_certfile plain_rsa", path(keys))?,
            None => {}
        }
        self.option("ca_type x509", remote.trust.file.as_deref().map(path))?;
        self.option("ca_type", remote.trust.system.then_some("system"))?;
        self.line("crl_policy", remote.crl_policy)?;
        self.line("send_cert", switch(remote.send_cert))?;
        self.line("send_cr", switch(remote.send_cr))?;
        self.line("match_empty_cr", switch(remote.match_empty_cr))?;
        self.line("verify_cert", switch(remote.verify_cert))
    }

    fn proposal(&mut self, proposal: &Proposal) -> fmt::Result {
        let bits = proposal.encryption.key_bits;
        self.line("encryption_algorithm", Algorithm(proposal.encryption.cipher.name(), bits))?;
        self.line("hash_algorithm", proposal.hash)?;
        self.line("authentication_method", proposal.method)?;
        self.line("dh_group", proposal.dh_group)?;
        self.line("lifetime time", seconds(proposal.lifetime))
    }
}
