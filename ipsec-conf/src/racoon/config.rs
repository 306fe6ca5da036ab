//! A whole configuration.

use super::directive::Directive;
use super::global::{Backend, HalfOpenLimit, Listen, LogLevel, Padding, Paths, Privsep, Timer};
use super::mode_cfg::{Ldap, ModeCfg, Radius};
use super::place::Place;
use super::remote::Remote;
use super::sainfo::Sainfo;

/// The configuration in `racoon.conf` and the files that it includes, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `path`.
    pub paths: Paths,
    /// `log`.
    pub log: LogLevel,
    /// `pfkey_buffer` in KiB; 0 for the system's default.
    pub pfkey_buffer: u32,
    /// `complex_bundle`: each protocol has the mode of its own policy; otherwise all are in tunnel mode if one is.
    pub complex_bundle: bool,
    /// `padding`.
    pub padding: Padding,
    /// `listen`.
    pub listen: Listen,
    /// `timer`.
    pub timer: Timer,
    /// `privsep`.
    pub privsep: Option<Privsep>,
    /// `mode_cfg`.
    pub mode_cfg: ModeCfg,
    /// `ldapcfg`.
    pub ldap: Ldap,
    /// `radiuscfg`.
    pub radius: Radius,
    /// `threads` for expensive computations; `None` for one per processor.
    pub threads: Option<u32>,
    /// `half_open_limit`.
    pub half_open_limit: HalfOpenLimit,
    /// `backend`.
    pub backend: Backend,
    /// `journal`: number of finished negotiations to keep.
    pub journal: u32,
    /// `remote`, in the order of the file.
    pub remotes: Vec<Remote>,
    /// `sainfo`, in the order in which they are searched: by descending [`Sainfo::priority`], then as in the file.
    pub sainfos: Vec<Sainfo>,
    pub(super) directives: Directives,
}

impl Config {
    /// Returns the directives that the files use, each with its first place, in the order of these places.
    pub fn used(&self) -> impl Iterator<Item = (&'static Directive, &Place)> {
        self.directives.0.iter().map(|(directive, place)| (*directive, place))
    }

    /// Returns those of [`Self::used`] that are not implemented yet.
    pub fn not_yet_in_effect(&self) -> impl Iterator<Item = (&'static Directive, &Place)> {
        self.used().filter(|(directive, _)| !directive.in_effect)
    }
}

impl Default for Config {
    /// Returns the configuration of an empty file.
    fn default() -> Self {
        Self {
            paths: Paths::default(),
            log: LogLevel::Info,
            pfkey_buffer: 0,
            complex_bundle: true,
            padding: Padding::default(),
            listen: Listen::default(),
            timer: Timer::default(),
            privsep: None,
            mode_cfg: ModeCfg::default(),
            ldap: Ldap::default(),
            radius: Radius::default(),
            threads: None,
            half_open_limit: HalfOpenLimit::default(),
            backend: Backend::Auto,
            journal: 200,
            remotes: Vec::new(),
            sainfos: Vec::new(),
            directives: Directives::default(),
        }
    }
}

/// The first place of each directive that the files use. Like places, they do not count in comparisons.
#[derive(Clone, Debug, Default)]
pub(super) struct Directives(pub(super) Vec<(&'static Directive, Place)>);

impl PartialEq for Directives {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Directives {}
