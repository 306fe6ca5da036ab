//! The directives of the language, and which of them are implemented.

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
    /// Section that it belongs to.
    pub section: Section,
    /// Its first word, followed by the second if it takes two to identify it: `exchange_mode`, `path certificate`.
    pub name: &'static str,
    /// Whether it is implemented. If not, only its syntax is checked.
    pub in_effect: bool,
}

impl Directive {
    /// Returns all of them, by section.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        Section::ALL.into_iter().flat_map(Section::directives)
    }
}

impl Section {
    /// All sections.
    pub const ALL: [Self; 11] = [
        Self::Top,
        Self::Privsep,
        Self::Padding,
        Self::Listen,
        Self::Timer,
        Self::ModeCfg,
        Self::Ldap,
        Self::Radius,
        Self::Remote,
        Self::Proposal,
        Self::Sainfo,
    ];

    /// Returns the directives that are valid in it.
    pub fn directives(self) -> &'static [Directive] {
        match self {
            Self::Top => &TOP,
            Self::Privsep => &PRIVSEP,
            Self::Padding => &PADDING,
            Self::Listen => &LISTEN,
            Self::Timer => &TIMER,
            Self::ModeCfg => &MODE_CFG,
            Self::Ldap => &LDAP,
            Self::Radius => &RADIUS,
            Self::Remote => &REMOTE,
            Self::Proposal => &PROPOSAL,
            Self::Sainfo => &SAINFO,
        }
    }

    /// Returns the word that begins it; empty outside of sections.
    pub fn name(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Privsep => "privsep",
            Self::Padding => "padding",
            Self::Listen => "listen",
            Self::Timer => "timer",
            Self::ModeCfg => "mode_cfg",
            Self::Ldap => "ldapcfg",
            Self::Radius => "radiuscfg",
            Self::Remote => "remote",
            Self::Proposal => "proposal",
            Self::Sainfo => "sainfo",
        }
    }

    /// Returns the section that `word` begins inside this one.
    pub(super) fn inner(self, word: &str) -> Option<Self> {
        match (self, word) {
            // The empty word is the name of `Top`, which does not nest.
            (Self::Top, "proposal") | (_, "") => None,
            (Self::Top, _) => Self::ALL.into_iter().find(|section| section.name() == word),
            (Self::Remote, "proposal") => Some(Self::Proposal),
            _ => None,
        }
    }

    /// Returns the directive that begins with `first`, and with `second` if its name has two words.
    pub(super) fn directive(self, first: &str, second: &str) -> Option<&'static Directive> {
        self.directives().iter().find(|directive| match directive.name.split_once(' ') {
            Some(words) => words == (first, second),
            None => directive.name == first,
        })
    }

    /// Whether `word` begins a directive.
    pub(super) fn has(self, word: &str) -> bool {
        self.words().any(|name| name == word)
    }

    /// Returns the words that begin directives.
    pub(super) fn words(self) -> impl Iterator<Item = &'static str> {
        let names = self.directives().iter().map(|directive| directive.name);
        names.map(|name| name.split_once(' ').map_or(name, |(first, _)| first))
    }
}

/// Defines the directives of a section: those in effect, `;`, those not yet in effect.
macro_rules! directives {
    ($name:ident, $section:ident; $($yes:literal)*; $($no:literal)*) => {
        static $name: [Directive; [$($yes,)* $($no,)*].len()] = [
            $(Directive { section: Section::$section, name: $yes, in_effect: true },)*
            $(Directive { section: Section::$section, name: $no, in_effect: false },)*
        ];
    };
}

directives!(TOP, Top;
    "include" "path include" "path pre_shared_key" "path pidfile" "pfkey_buffer" "log" "complex_bundle" "padding" "listen"
    "timer" "remote" "sainfo" "threads" "half_open_limit" "backend" "path backupsa" "path certificate";
    "path script" "privsep" "mode_cfg" "ldapcfg" "radiuscfg" "journal"
);
directives!(PRIVSEP, Privsep; ; "user" "group" "chroot");
directives!(PADDING, Padding;
    "randomize" "randomize_length" "maximum_length" "strict_check" "exclusive_tail";
);
directives!(LISTEN, Listen; "isakmp" "strict_address" "adminsock"; "isakmp_natt");
directives!(TIMER, Timer; "counter" "interval" "persend" "phase1" "phase2"; "natt_keepalive");
directives!(MODE_CFG, ModeCfg; ;
    "network4" "netmask4" "pool_size" "dns4" "wins4" "nbns4" "split_network" "split_dns" "default_domain" "banner"
    "auth_source" "auth_groups" "group_source" "conf_source" "accounting" "auth_throttle" "pfs_group" "save_passwd"
);
directives!(LDAP, Ldap; ;
    "version" "debug" "timeout" "uri" "host" "port" "base" "subtree" "bind_dn" "bind_pw" "attr_user" "attr_addr"
    "attr_mask" "attr_group" "attr_member"
);
directives!(RADIUS, Radius; ; "auth" "acct" "timeout" "retries");
directives!(REMOTE, Remote;
    "remote_address" "exchange_mode" "doi" "situation" "my_identifier" "peers_identifier" "verify_identifier"
    "weak_phase1_check" "lifetime" "initial_contact" "passive" "proposal_check" "support_proxy" "dpd" "dpd_delay"
    "dpd_retry" "dpd_maxfail" "dpd_mode" "rekey" "nonce_size" "ph1id" "proposal" "generate_policy"
    "generate_policy_bounds" "certificate_type" "ca_type" "peers_certfile" "crl_policy" "send_cert" "send_cr"
    "match_empty_cr" "verify_cert";
    "xauth_login" "mode_cfg" "script" "ike_frag" "esp_frag" "nat_traversal"
);
directives!(PROPOSAL, Proposal;
    "encryption_algorithm" "hash_algorithm" "authentication_method" "dh_group" "lifetime";
);
directives!(SAINFO, Sainfo;
    "pfs_group" "remoteid" "lifetime" "encryption_algorithm" "authentication_algorithm" "compression_algorithm" "esn"
    "replay_window";
);
