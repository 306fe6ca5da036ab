//! Selects the remote section for a peer.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use thiserror::Error;

use crate::config::{NatTraversal, PeerAddress, Remote, RemoteAddress};
use crate::identity::{Claimed, Name};
use crate::kernel::Prefix;
use crate::num::{CertEncoding, ExchangeType};
use crate::proposal::{Phase1Acceptance, Phase1Terms, accept_phase1};
use crate::reason::{MissingRemote, Named};

/// The index of a remote section of [`Remotes`], in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteIndex(usize);

/// All remote sections, indexed by the peer's address.
#[derive(Debug, Default)]
pub struct Remotes {
    sections: Vec<Remote>,
    by_name: HashMap<String, RemoteIndex>,
    by_address: HashMap<PeerAddress, Vec<RemoteIndex>>,
    anonymous: Vec<RemoteIndex>,
    /// The addresses that sections name.
    addresses: BTreeSet<IpAddr>,
}

/// What is known about a peer when its remote section is selected. More becomes known in the course of an exchange; what is not
/// known yet counts neither for nor against a section.
#[derive(Clone, Copy, Debug)]
pub struct RemoteQuery<'a> {
    /// The peer's address.
    pub address: PeerAddress,
    /// The peer's port; 0 if it is not known, as in an exchange that we begin.
    pub port: u16,
    /// Exclude anonymous sections.
    pub skip_anonymous: bool,
    /// The peer proves its identity with the key of its address: exclude anonymous sections if others name the address.
    pub key_of_address: bool,
    /// Exclude passive sections.
    pub skip_passive: bool,
    /// The exchange that the peer has begun.
    pub exchange: Option<ExchangeType>,
    /// The accepted transform, as the peer proposed it.
    pub accepted: Option<&'a Phase1Terms>,
    /// The identity that the peer claims.
    pub claimed: Option<Claimed<'a>>,
    /// The certificate that the peer requests. Set it only if certificates are used: a section without one matches no request.
    pub certificate_request: Option<CertificateQuery<'a>>,
}

impl RemoteQuery<'_> {
    /// A query that knows only the peer's address.
    pub fn address(address: impl Into<PeerAddress>) -> Self {
        Self {
            address: address.into(),
            port: 0,
            skip_anonymous: false,
            key_of_address: false,
            skip_passive: false,
            exchange: None,
            accepted: None,
            claimed: None,
            certificate_request: None,
        }
    }
}

/// The content of a Certificate Request payload (RFC 2408 section 3.10).
#[derive(Clone, Copy, Debug)]
pub struct CertificateQuery<'a> {
    /// The encoding of the certificate.
    pub encoding: CertEncoding,
    /// The authority that must have issued it; `None` for any.
    pub issuer: Option<&'a Name>,
}

/// Several sections match equally well. One may be selected when more is known about the peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} remote sections fit equally well", .0.len())]
pub struct Ambiguous(pub Vec<RemoteIndex>);

/// The transform that a responder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalChoice {
    /// The first section that accepts it.
    pub remote: RemoteIndex,
    /// The accepted transform.
    pub acceptance: Phase1Acceptance,
    /// Whether NAT traversal is on in any section that may still be selected.
    pub nat_traversal: bool,
}

/// How well a section matches: by what is known about the peer, then by the port.
type Score = (u8, u8);

impl Remotes {
    /// Indexes the sections, given in the order of the file.
    pub fn new(sections: Vec<Remote>) -> Self {
        let mut remotes = Self::default();
        for (at, section) in sections.iter().enumerate() {
            let index = RemoteIndex(at);
            // Sections in the old style may share a name, which then means the first one.
            remotes.by_name.entry(section.name.clone()).or_insert(index);
            match section.address {
                Some(RemoteAddress::At(address)) => {
                    remotes.by_address.entry(address).or_default().push(index);
                    remotes.addresses.insert(address.ip);
                }
                Some(RemoteAddress::Unresolved) => {}
                None => remotes.anonymous.push(index),
            }
        }
        remotes.sections = sections;
        remotes
    }

    /// Returns a section, if the index belongs to this configuration.
    pub fn get(&self, index: RemoteIndex) -> Option<&Remote> {
        self.sections.get(index.0)
    }

    /// Returns the addresses in a prefix that sections name.
    pub(crate) fn addresses_in(&self, prefix: Prefix) -> impl Iterator<Item = IpAddr> {
        self.addresses.range(prefix.address()..=prefix.last()).copied()
    }

    /// Returns the section with a name.
    pub fn named(&self, name: &str) -> Option<RemoteIndex> {
        self.by_name.get(name).copied()
    }

    /// Returns all sections in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (RemoteIndex, &Remote)> {
        self.sections.iter().enumerate().map(|(at, section)| (RemoteIndex(at), section))
    }

    /// Returns the names of sections, for a failure.
    pub(crate) fn names<'a>(&'a self, sections: impl IntoIterator<Item = &'a RemoteIndex>) -> Named<String> {
        sections.into_iter().filter_map(|index| self.get(*index)).map(|section| section.name.clone()).collect()
    }

    /// Returns the reason why no section matches a peer whose address and exchange are known.
    pub(crate) fn missing(&self, peer: IpAddr, query: &RemoteQuery<'_>) -> MissingRemote {
        let here = self.candidates(&RemoteQuery { exchange: None, skip_passive: false, ..*query });
        if here.is_empty() {
            let present = Named::first_of(self.sections.iter().map(|section| section.name.clone()));
            return MissingRemote::Address { peer, present };
        }
        match query.exchange {
            Some(exchange) => {
                let sections = here.iter().filter_map(|index| self.get(*index));
                let present = sections.map(|section| (section.name.clone(), section.exchange_modes.clone())).collect();
                MissingRemote::Exchange { exchange, present }
            }
            None => MissingRemote::Passive { peer, present: self.names(&here) },
        }
    }

    /// Selects the section that matches best.
    ///
    /// # Errors
    /// [`Ambiguous`] if several match equally well.
    pub fn select(&self, query: &RemoteQuery<'_>) -> Result<Option<RemoteIndex>, Ambiguous> {
        let mut best = Vec::new();
        let mut highest = Score::default();
        for (index, score) in self.scores(query) {
            if score > highest {
                highest = score;
                best.clear();
            }
            if score == highest {
                best.push(index);
            }
        }
        match best.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(Ambiguous(best)),
        }
    }

    /// Returns all sections that match, in the order of the file.
    pub fn candidates(&self, query: &RemoteQuery<'_>) -> Vec<RemoteIndex> {
        let mut fitting = self.scores(query).map(|(index, _)| index).collect::<Vec<_>>();
        fitting.sort_unstable();
        fitting
    }

    /// Selects the first of the peer's transforms, in the peer's order, that a matching section accepts, and the first such section in
    /// the order of the file.
    pub fn choose_proposal(&self, query: &RemoteQuery<'_>, offered: &[Phase1Terms]) -> Option<ProposalChoice> {
        let candidates = self.candidates(query);
        let sections = || candidates.iter().filter_map(|index| Some((*index, self.get(*index)?)));
        // The order of the transforms is that of the initiator's preference (RFC 2408 section 4.2).
        let (remote, acceptance) = offered.iter().enumerate().find_map(|(at, transform)| {
            sections().find_map(|(index, section)| {
                let accepted = section.accept(std::slice::from_ref(transform))?;
                Some((index, Phase1Acceptance { offered: at, ..accepted }))
            })
        })?;
        let nat_traversal = sections().any(|(_, section)| section.nat_traversal != NatTraversal::Off);
        Some(ProposalChoice { remote, acceptance, nat_traversal })
    }

    /// Returns the scores of the sections for the peer's address and of the anonymous ones.
    fn scores<'a>(&'a self, query: &'a RemoteQuery<'_>) -> impl Iterator<Item = (RemoteIndex, Score)> + 'a {
        let here = self.by_address.get(&query.address);
        // A section may name a link-local address without its interface.
        let anywhere = PeerAddress::from(query.address.ip);
        let on_any_link = self.by_address.get(&anywhere).filter(|_| query.address != anywhere);
        let is_named = here.is_some() || on_any_link.is_some();
        // Otherwise a peer whose address has a section could claim another identity, and be served by `remote anonymous`.
        let skip_anonymous = query.skip_anonymous || (query.key_of_address && is_named);
        let anonymous = (!skip_anonymous).then_some(&self.anonymous);
        here.into_iter()
            .chain(on_any_link)
            .chain(anonymous)
            .flatten()
            .filter_map(|index| Some((*index, self.get(*index)?.score(query)?)))
    }
}

impl Remote {
    /// Returns the first of a peer's transforms that this section accepts.
    pub fn accept(&self, offered: &[Phase1Terms]) -> Option<Phase1Acceptance> {
        offered.iter().enumerate().find_map(|(at, theirs)| {
            let accepted = accept_phase1(self.proposal_check, std::slice::from_ref(theirs), &self.proposals)?;
            self.can_use(accepted.terms.method).then_some(Phase1Acceptance { offered: at, ..accepted })
        })
    }

    /// Returns how well the section matches; `None` if it does not.
    fn score(&self, query: &RemoteQuery<'_>) -> Option<Score> {
        if self.passive && query.skip_passive {
            return None;
        }
        // Each criterion is worth more than all lesser ones together: certificate, identity, exchange, address.
        let points = 1
            + self.score_address(query)?
            + self.score_exchange(query)?
            + self.score_identity(query)?
            + self.score_certificate(query)?;
        Some((points, self.score_port(query)))
    }

    /// Returns 2 points for the peer's address.
    fn score_address(&self, query: &RemoteQuery<'_>) -> Option<u8> {
        match self.address {
            Some(RemoteAddress::At(address)) => {
                let same_link = address.zone == 0 || address.zone == query.address.zone;
                (address.ip == query.address.ip && same_link).then_some(2)
            }
            Some(RemoteAddress::Unresolved) => None,
            None => (!query.skip_anonymous).then_some(0),
        }
    }

    /// Returns how well the port matches. This decides only between sections that are otherwise equal.
    fn score_port(&self, query: &RemoteQuery<'_>) -> u8 {
        match (self.port, query.port) {
            (0, _) | (_, 0) => 1,
            (ours, theirs) if ours == theirs => 2,
            _ => 0,
        }
    }

    /// Returns 4 points if the exchange is listed and the transform is acceptable.
    fn score_exchange(&self, query: &RemoteQuery<'_>) -> Option<u8> {
        let listed = query.exchange.is_none_or(|exchange| self.exchange_modes.contains(&exchange));
        let acceptable = query.accepted.is_none_or(|terms| self.accept(std::slice::from_ref(terms)).is_some());
        let points = if query.exchange.is_some() || query.accepted.is_some() { 4 } else { 0 };
        (listed && acceptable).then_some(points)
    }

    /// Returns 8 points for an expected identity that must be verified.
    fn score_identity(&self, query: &RemoteQuery<'_>) -> Option<u8> {
        match query.claimed {
            Some(claimed) if self.verify_identifier && !self.peers_identifiers.is_empty() => {
                self.peers_identifiers.iter().any(|expected| expected.matches(claimed)).then_some(8)
            }
            _ => Some(0),
        }
    }

    /// Returns 16 points for a certificate of the requested kind and authority.
    fn score_certificate(&self, query: &RemoteQuery<'_>) -> Option<u8> {
        let Some(request) = &query.certificate_request else {
            return Some(0);
        };
        let certificate = self.certificate.as_ref().filter(|own| own.encoding == request.encoding)?;
        let fits = match request.issuer {
            Some(issuer) => certificate.issuer.as_ref() == Some(issuer),
            None => self.match_empty_cr,
        };
        fits.then_some(16)
    }
}

#[cfg(test)]
mod tests;
