//! Checks that need the whole of a remote.

use std::net::IpAddr;

use super::draft::Draft;
use crate::racoon::check::Check;
use crate::racoon::identifier::Identifier;
use crate::racoon::parser::{Body, Statement};
use crate::racoon::remote::*;
use crate::racoon::source::Source;
use crate::racoon::token::Token;

impl Check<'_> {
    /// Checks a remote after its last directive. Only where `complete`, without other errors, does a directive that seems
    /// to be missing really miss.
    pub(super) fn remote_end(
        &mut self,
        source: &Source,
        statement: &Statement<'_>,
        body: &Body<'_>,
        draft: &Draft,
        complete: bool,
    ) {
        let first = statement.words.first().unwrap_or(&statement.end);
        if complete {
            self.check_required(source, &body.close, draft);
        }
        self.check_aggressive_groups(source, first, draft);
        if complete {
            self.check_own_name(source, &body.close, &draft.remote);
        }
        self.warn_of_two_names(source, first, &draft.remote);
        if complete {
            self.warn_of_any_peer(source, first, &draft.remote);
            self.warn_of_unsupported_groups(source, first, draft);
            let methods = draft.proposals.iter().map(|proposal| proposal.method).collect::<Vec<_>>();
            self.weak_remote(source, first, &draft.remote, &methods);
        }
    }

    fn check_required(&self, source: &Source, close: &Token<'_>, draft: &Draft) {
        let error = |message: &str, hint: &str| self.problems.error(source, close, message, Some(hint.to_owned()));
        if !draft.modes_given {
            error("no exchange mode specified.", "as in `exchange_mode main;`");
        }
        if draft.proposals.is_empty() {
            error("no proposal specified.", "at least one `proposal { ... }` is needed");
        }
    }

    fn check_aggressive_groups(&self, source: &Source, first: &Token<'_>, draft: &Draft) {
        // Unsupported groups are never offered, so they do not count.
        let mut groups = draft.proposals.iter().map(|proposal| proposal.dh_group).filter(|group| group.is_supported());
        let group = groups.next();
        let is_aggressive = draft.remote.exchange_modes.contains(&ExchangeMode::Aggressive);
        if is_aggressive && groups.any(|other| Some(other) != group) {
            let message = "DH group must be equal in all proposals when aggressive mode is used.";
            let hint = "in aggressive mode the first message contains the key exchange".to_owned();
            self.problems.error(source, first, message, Some(hint));
        }
    }

    fn check_own_name(&self, source: &Source, close: &Token<'_>, remote: &Remote) {
        // A plain RSA key has no subject.
        let has_certificate = matches!(remote.certificate, Some(OwnCertificate::X509 { .. }));
        if remote.my_identifier == Identifier::DistinguishedName(None) && !has_certificate {
            let hint = "my_identifier asn1dn needs a DN in quotes or certificate_type x509".to_owned();
            self.problems.error(source, close, "id type mismatched due to no certificate", Some(hint));
        }
    }

    fn warn_of_two_names(&self, source: &Source, first: &Token<'_>, remote: &Remote) {
        let has_certificate = matches!(remote.certificate, Some(OwnCertificate::X509 { .. }));
        if has_certificate && matches!(remote.my_identifier, Identifier::DistinguishedName(Some(_))) {
            let hint = "without a DN, racoon sends the certificate's subject; peers refuse any other name".to_owned();
            self.problems.warning(source, first, "my_identifier has a DN in spite of a certificate", Some(hint));
        }
    }

    fn warn_of_any_peer(&self, source: &Source, first: &Token<'_>, remote: &Remote) {
        if remote.verify_identifier && remote.peers_identifiers.is_empty() {
            let hint = "without peers_identifier, any identity is accepted".to_owned();
            self.problems.warning(source, first, "verify_identifier on has no effect", Some(hint));
        }
        if let (RemoteName::Quoted(name), None) = (&remote.name, &remote.address)
            && name.parse::<IpAddr>().is_ok()
        {
            let hint = format!(
                "in quotes it is only a name; for one peer, write `remote {name}`, or add `remote_address {name};`"
            );
            self.problems.warning(source, first, "this remote matches any peer", Some(hint));
        }
    }

    fn warn_of_unsupported_groups(&self, source: &Source, first: &Token<'_>, draft: &Draft) {
        if !draft.proposals.is_empty() && draft.proposals.iter().all(|one| !one.dh_group.is_supported()) {
            let hint = "all its proposals have EC2N groups".to_owned();
            self.problems.warning(source, first, "nothing can be negotiated with this remote", Some(hint));
        }
    }
}
