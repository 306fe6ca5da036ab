//! The negotiated algorithms, AES-128 and SHA-256 with some group, in the configuration languages of both daemons.

use super::KEY;

/// The group of phase 1, and whether phase 2 uses it for PFS.
pub(super) struct Suite {
    /// The name that the load generator knows.
    pub(super) name: &'static str,
    /// The name in both configuration languages.
    group: &'static str,
    pfs: bool,
}

pub(super) const SUITES: [Suite; 3] = [
    Suite { name: "modp2048", group: "modp2048", pfs: false },
    Suite { name: "modp2048-pfs", group: "modp2048", pfs: true },
    Suite { name: "ecp256", group: "ecp256", pfs: false },
];

impl Suite {
    /// Returns a `racoon.conf` that accepts any peer on a port of 127.0.0.1.
    pub(super) fn racoon(&self, port: u16) -> String {
        let group = self.group;
        let pfs = if self.pfs { format!("pfs_group {group};") } else { String::new() };
        format!(
            "listen {{ isakmp 127.0.0.1 [{port}]; adminsock disabled; }}
remote anonymous {{
    exchange_mode main;
    passive on;
    generate_policy on;
    lifetime time 1 hour;
    proposal {{
        encryption_algorithm aes 128;
        hash_algorithm sha256;
        authentication_method pre_shared_key;
        dh_group {group};
    }}
}}
sainfo anonymous {{
    {pfs}
    lifetime time 1 hour;
    encryption_algorithm aes 128;
    authentication_algorithm hmac_sha256;
    compression_algorithm deflate;
}}
"
        )
    }

    /// Returns the equivalent `swanctl.conf`.
    pub(super) fn swanctl(&self) -> String {
        let group = self.group;
        let esp = if self.pfs { format!("aes128-sha256-{group}") } else { "aes128-sha256".to_owned() };
        format!(
            "connections {{ c {{
  version = 1
  local_addrs = 127.0.0.1
  proposals = aes128-sha256-{group}
  local {{
    auth = psk
    id = 127.0.0.1
  }}
  remote {{
    auth = psk
  }}
  children {{ c {{
    mode = transport
    esp_proposals = {esp}
  }} }}
}} }}
secrets {{ ike-any {{
  secret = \"{KEY}\"
}} }}
"
        )
    }
}
