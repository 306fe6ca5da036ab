//! Remotes while they are read: each may inherit from an earlier one.

use std::collections::HashMap;
use std::time::Duration;

use crate::racoon::check::proposal;
use crate::racoon::identifier::{Address, Identifier};
use crate::racoon::place::Place;
use crate::racoon::remote::*;

/// Default lifetime of a phase 1.
const LIFETIME: Duration = Duration::from_secs(28800);

/// A remote as written, with what remotes that inherit from it need.
#[derive(Clone, Debug)]
pub(in crate::racoon::check) struct Draft {
    /// Without proposals.
    pub(super) remote: Remote,
    pub(super) proposals: Vec<proposal::Draft>,
    pub(super) modes_given: bool,
}

/// The remotes so far, indexed by name.
#[derive(Default)]
pub(in crate::racoon::check) struct Drafts {
    list: Vec<Draft>,
    pub(super) by_name: HashMap<RemoteName, usize>,
    by_address: HashMap<Address, usize>,
    anonymous: Option<usize>,
}

/// Directives that the section itself has set: the first of each replaces the parent's value.
#[derive(Default)]
pub(super) struct Given {
    pub(super) address: bool,
    pub(super) certificate: bool,
    pub(super) peers_certificate: bool,
    pub(super) ca_file: bool,
    pub(super) peers_identifiers: bool,
    pub(super) proposals: bool,
}

impl Drafts {
    pub(super) fn push(&mut self, draft: Draft) {
        let at = self.list.len();
        match &draft.remote.name {
            RemoteName::Address(address, _) => {
                self.by_address.entry(address.clone()).or_insert(at);
            }
            RemoteName::Anonymous(_) => self.anonymous = self.anonymous.or(Some(at)),
            RemoteName::Quoted(_) => {}
        }
        self.by_name.entry(draft.remote.name.clone()).or_insert(at);
        self.list.push(draft);
    }

    /// Returns the remote with a name. An address without a port names the first remote with that address.
    pub(super) fn parent(&self, name: &RemoteName) -> Option<&Draft> {
        let at = self.by_name.get(name).copied().or_else(|| match name {
            RemoteName::Address(address, None) => self.by_address.get(address).copied(),
            RemoteName::Anonymous(None) => self.anonymous,
            _ => None,
        });
        self.list.get(at?)
    }

    pub(in crate::racoon::check) fn into_remotes(self) -> Vec<Remote> {
        self.list.into_iter().map(Draft::into_remote).collect()
    }
}

impl Draft {
    pub(super) fn new(name: RemoteName, place: Place) -> Self {
        let remote = Remote {
            name,
            place,
            address: None,
            port: None,
            exchange_modes: Vec::new(),
            my_identifier: Identifier::Address(None),
            peers_identifiers: Vec::new(),
            verify_identifier: false,
            xauth_login: None,
            certificate: None,
            peers_certificate: None,
            trust: Trust::default(),
            crl_policy: CrlPolicy::Optional,
            mode_cfg: false,
            weak_phase1_check: false,
            scripts: Scripts::default(),
            send_cert: true,
            send_cr: true,
            match_empty_cr: false,
            verify_cert: true,
            ike_frag: Ternary::Off,
            esp_frag: u16::MAX,
            initial_contact: true,
            passive: false,
            proposal_check: ProposalCheck::Strict,
            support_proxy: false,
            generate_policy: GeneratePolicy::Off,
            generate_policy_bounds: true,
            nat_traversal: Ternary::Off,
            // Announced and answered, but no probes are sent without a `dpd_delay`.
            dpd: true,
            dpd_delay: None,
            dpd_retry: Duration::from_secs(5),
            dpd_maxfail: 5,
            dpd_mode: DpdMode::Always,
            rekey: Ternary::On,
            nonce_size: 16,
            ph1id: 0,
            lifetime: LIFETIME,
            proposals: Vec::new(),
        };
        Self { remote, proposals: Vec::new(), modes_given: false }
    }

    fn into_remote(self) -> Remote {
        let lifetime = self.remote.lifetime;
        let finish = |draft: proposal::Draft| Proposal {
            place: draft.place,
            encryption: draft.encryption,
            hash: draft.hash,
            method: draft.method,
            dh_group: draft.dh_group,
            // The remote's lifetime may follow the proposal in the file.
            lifetime: draft.lifetime.unwrap_or(lifetime),
        };
        Remote { proposals: self.proposals.into_iter().map(finish).collect(), ..self.remote }
    }

    /// Sets the name, and the address and port if the name contains them.
    pub(super) fn name(&mut self, name: RemoteName, place: Place) {
        match &name {
            RemoteName::Address(address, port) => {
                self.remote.address = Some(RemoteAddress::Numeric(address.clone()));
                self.remote.port = *port;
            }
            RemoteName::Anonymous(port) => {
                self.remote.address = None;
                self.remote.port = *port;
            }
            RemoteName::Quoted(_) => {}
        }
        self.remote.name = name;
        self.remote.place = place;
    }
}
