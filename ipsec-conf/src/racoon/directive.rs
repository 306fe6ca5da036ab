//! The directives of the language, and which of them do something yet.

use super::config::Config;
use super::place::Place;

/// A section of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Outside of all sections.
    Top,
    /// `privsep`.
    Privsep,
    /// `padding`.
    Padding,
    /// `listen`.
    Listen,
    /// `timer`.
    Timer,
    /// `mode_cfg`.
    ModeCfg,
    /// `ldapcfg`.
    Ldap,
    /// `radiuscfg`.
    Radius,
    /// `remote`.
    Remote,
    /// `proposal`, in a remote.
    Proposal,
    /// `sainfo`.
    Sainfo,
}

/// A directive.
#[derive(Debug, PartialEq, Eq)]
pub struct Directive {
    /// Where it stands.
    pub section: Section,
    /// Its first word.
    pub name: &'static str,
    /// Whether a program acts on it; else it is checked, and no more.
    pub in_effect: bool,
}

impl Config {
    /// The directives that the files use and that no program acts on yet, each with its first place, in the order of
    /// these.
    pub fn not_yet_in_effect(&self) -> impl Iterator<Item = (&'static Directive, &Place)> {
        self.directives
            .0
            .iter()
            .filter(|(directive, _)| !directive.in_effect)
            .map(|(directive, place)| (*directive, place))
    }
}
