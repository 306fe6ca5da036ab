//! The negotiated algorithms, AES-128 and SHA-256 with some group, in the configuration languages of both daemons.

use std::path::Path;

use super::KEY;
use crate::pki::KeyKind;

/// The group of phase 1, and whether phase 2 uses it for PFS.
pub(super) struct Suite {
    /// The name that the load generator knows.
    pub(super) name: &'static str,
    /// The name in both configuration languages.
    group: &'static str,
    pfs: bool,
    /// The kind of key for signatures instead of a pre-shared key.
    kind: Option<KeyKind>,
}

pub(super) const SUITES: [Suite; 7] = [
    Suite { name: "modp2048", group: "modp2048", pfs: false, kind: None },
    Suite { name: "modp2048-pfs", group: "modp2048", pfs: true, kind: None },
    Suite { name: "ecp256", group: "ecp256", pfs: false, kind: None },
    Suite { name: "modp2048-rsa", group: "modp2048", pfs: false, kind: Some(KeyKind::Rsa) },
    Suite { name: "ecp256-rsa", group: "ecp256", pfs: false, kind: Some(KeyKind::Rsa) },
    Suite { name: "modp2048-p256", group: "modp2048", pfs: false, kind: Some(KeyKind::P256) },
    Suite { name: "ecp256-p256", group: "ecp256", pfs: false, kind: Some(KeyKind::P256) },
];

impl Suite {
    /// Returns the name of the daemon's key, if it has one.
    pub(super) fn key(&self) -> Option<String> {
        self.kind.map(|kind| format!("server-{}", kind.name()))
    }

    /// Returns a `racoon.conf` that accepts any peer on a port of 127.0.0.1.
    pub(super) fn racoon(&self, port: u16, certificates: &Path) -> String {
        let group = self.group;
        let method = self.kind.map_or("pre_shared_key", KeyKind::method);
        let keys = self.key().map_or_else(String::new, |key| {
            let dir = certificates.display();
            format!("certificate_type x509 \"{dir}/{key}.pem\" \"{dir}/{key}.key\"; ca_type x509 \"{dir}/root.pem\";")
        });
        let pfs = if self.pfs { format!("pfs_group {group};") } else { String::new() };
        format!(
            "listen {{ isakmp 127.0.0.1 [{port}]; adminsock disabled; }}
remote anonymous {{
    exchange_mode main;
    passive on;
    generate_policy on;
    {keys}
    lifetime time 1 hour;
    proposal {{
        encryption_algorithm aes 128;
        hash_algorithm sha256;
        authentication_method {method};
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
    pub(super) fn swanctl(&self, certificates: &Path) -> String {
        let group = self.group;
        let dir = certificates.display();
        let [local, remote, authorities] = match self.key() {
            None => ["auth = psk\n    id = 127.0.0.1".to_owned(), "auth = psk".to_owned(), String::new()],
            Some(key) => [
                format!("auth = pubkey\n    certs = {dir}/{key}.pem"),
                format!("auth = pubkey\n    cacerts = {dir}/root.pem"),
                format!("authorities {{ a {{\n  cacert = {dir}/root.pem\n}} }}\n"),
            ],
        };
        let esp = if self.pfs { format!("aes128-sha256-{group}") } else { "aes128-sha256".to_owned() };
        format!(
            "connections {{ c {{
  version = 1
  local_addrs = 127.0.0.1
  send_cert = always
  proposals = aes128-sha256-{group}
  local {{
    {local}
  }}
  remote {{
    {remote}
  }}
  children {{ c {{
    mode = transport
    esp_proposals = {esp}
  }} }}
}} }}
secrets {{ ike-any {{
  secret = \"{KEY}\"
}} }}
{authorities}"
        )
    }
}
