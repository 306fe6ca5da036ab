//! Directives of other programs, and directives that are not supported.

use super::directive::Section;
use super::meaning::{is_same, plain};

/// A word of another program's language, or one that is left out.
pub(super) enum Foreign {
    /// It is ignored, for this reason.
    Ignored(&'static str),
    /// It is an error, for this reason.
    Refused(&'static str),
}

/// Returns what is known of a word that does not begin a directive of `section`.
pub(super) fn foreign(section: Option<Section>, word: &str) -> Option<Foreign> {
    use Foreign::{Ignored, Refused};
    Some(match (section, word) {
        (Some(Section::Top), "gss_id_enc") | (Some(Section::Proposal), "gss_id") => {
            Refused("GSSAPI is left out: use certificates or pre-shared keys")
        }
        (Some(Section::Listen), "admin") => Refused("the control socket is `adminsock \"PATH\"`"),
        (_, "shared_secret") => {
            Refused("a word of Apple's racoon: keys stand in the file of `path pre_shared_key`, there is no keychain")
        }
        (_, "verification_module") => {
            Refused("a word of Apple's racoon: `verify_cert on` checks certificates, with `ca_type`")
        }
        (_, "auto_exit_delay") => Ignored("a word of Apple's racoon: the daemon stays, whoever starts it stops it"),
        (_, "disconnect_on_idle") => Ignored("a word of Apple's racoon: lifetimes and dpd_delay end what is idle"),
        (_, "natt_multiple_user") => {
            Ignored("a word of Apple's racoon: several peers behind one address are told apart")
        }
        (_, "identifier") => Ignored("a word of the old KAME racoon: my_identifier in remote replaces it"),
        (_, "policy") => Ignored("a word of the old KAME racoon: policies are set with setkey"),
        (_, "keepalive") => Ignored("a word of the old KAME racoon: dpd_delay in remote replaces it"),
        (_, "support_mip6") => Ignored("a word of the old KAME racoon: support_proxy replaces it"),
        (_, "secrecy" | "integrity") => Refused("a word of the old KAME racoon: sainfo lists algorithms"),
        _ => return None,
    })
}

/// A hint for a word that does not begin a directive of `section`.
pub(super) fn replacement(section: Section, word: &str) -> Option<String> {
    if let Some(name) = section.words().find(|name| is_same(name, word)) {
        return Some(format!("write `{name}`"));
    }
    if section == Section::Top && word.parse::<std::net::IpAddr>().is_ok() {
        return Some("pre-shared keys are in a file of their own, which `path pre_shared_key` names".to_owned());
    }
    let plain = plain(word);
    let of_section = match section {
        Section::Proposal => in_proposal(&plain),
        Section::Sainfo => in_sainfo(&plain),
        Section::Top => at_top(&plain),
        _ => None,
    };
    of_section.or_else(|| of_connection(&plain)).map(str::to_owned)
}

fn in_proposal(word: &str) -> Option<&'static str> {
    Some(match word {
        "encryption" | "enc" | "cipher" | "encr" | "encryption_alg" => "write `encryption_algorithm`",
        "hash" | "integrity" | "auth_algorithm" | "authentication_algorithm" | "prf" => "write `hash_algorithm`",
        "authentication" | "auth" | "method" | "auth_method" => "write `authentication_method`",
        "group" | "dh" | "pfs_group" | "modp" | "dhgroup" => "write `dh_group`",
        _ => return None,
    })
}

fn in_sainfo(word: &str) -> Option<&'static str> {
    Some(match word {
        "encryption" | "enc" | "cipher" | "encr" => "write `encryption_algorithm`",
        "hash" | "hash_algorithm" | "auth" | "authentication" | "integrity" => "write `authentication_algorithm`",
        "compression" | "comp" => "write `compression_algorithm`",
        "pfs" | "pfsgroup" | "dh_group" | "group" => "write `pfs_group`",
        _ => return None,
    })
}

/// A hint for a word that begins a file of another program.
fn at_top(word: &str) -> Option<&'static str> {
    Some(match word {
        "conn" | "config" | "ca" | "version" => {
            "this is a word of strongSwan's and libreswan's ipsec.conf: a conn is a `remote` and a `sainfo` here"
        }
        "connections" | "secrets" | "pools" | "authorities" => {
            "this is a word of strongSwan's swanctl.conf: a connection is a `remote`, its children are `sainfo` sections"
        }
        "ike" | "flow" | "ikev2" => {
            "this is a word of OpenBSD's ipsec.conf: an ike rule is a `remote` and a `sainfo` here, and policies are set with setkey"
        }
        "crypto" => "this is a word of Cisco's IOS: an isakmp policy is a `remote`, a transform set a `sainfo`",
        "spdadd" | "spdupdate" | "spddelete" | "spdflush" | "spddump" | "add" | "update" | "delete" | "deleteall"
        | "get" | "flush" | "dump" => "this is a statement of setkey: it stands in a file of its own, for `setkey -f`",
        "psk" | "pre_shared_key" | "pre_shared_keys" | "psk_file" => "write `path pre_shared_key \"FILE\";`",
        "pidfile" | "pid_file" => "write `path pidfile \"FILE\";`",
        "certificate" | "certs" | "cert_path" => "write `path certificate \"DIRECTORY\";`",
        "log_level" | "loglevel" | "logging" | "debug" => "write `log`, as in `log debug;`",
        "phase1" | "peer" => "phase 1 with a peer is a section `remote`",
        "phase2" | "sa" => "phase 2 is a section `sainfo`",
        _ => return None,
    })
}

/// A hint for a word that describes a connection in other programs.
fn of_connection(word: &str) -> Option<&'static str> {
    Some(match word {
        "psk" | "secret" | "pre_shared_key" | "preshared_key" | "shared_key" | "password" => {
            "keys stand in the file of `path pre_shared_key`, one line for each peer"
        }
        "left" | "local_addrs" | "local_address" => "the own address stands in `listen`, and in the policies of setkey",
        "right" | "remote_addrs" | "peer" | "gateway" | "address" => {
            "the peer's address stands behind `remote`, or in `remote_address`"
        }
        "leftid" | "local_id" | "myid" => "write `my_identifier`",
        "rightid" | "remote_id" | "peerid" | "peer_identifier" | "peers_id" => {
            "write `peers_identifier`, and `verify_identifier on`"
        }
        "leftsubnet" | "rightsubnet" | "local_ts" | "remote_ts" | "subnet" => {
            "networks are the ends of a `sainfo`, and stand in the policies of setkey"
        }
        "authby" | "leftauth" | "rightauth" | "auth" | "authentication" => {
            "write `authentication_method` in `proposal`"
        }
        "ike" | "proposals" | "phase1alg" => {
            "write a `proposal` with encryption_algorithm, hash_algorithm, authentication_method and dh_group"
        }
        "esp" | "ah" | "esp_proposals" | "phase2alg" | "phase2" => {
            "write encryption_algorithm and authentication_algorithm in `sainfo`"
        }
        "ikelifetime" | "reauth_time" | "rekey_time" | "phase1_lifetime" => "write `lifetime time` in `remote`",
        "keylife" | "salifetime" | "life_time" | "ipsec_lifetime" => "write `lifetime time` in `sainfo`",
        "dpddelay" => "write `dpd_delay`, in seconds",
        "dpdtimeout" | "dpd_timeout" => "write `dpd_retry` and `dpd_maxfail`",
        "dpdaction" | "dpd_action" => {
            "a dead peer's SAs are deleted, and made again when there is traffic: leave the line out"
        }
        "aggressive" | "aggrmode" | "mode" => "write `exchange_mode`, as in `exchange_mode main;`",
        "keyexchange" | "ikev2" | "mobike" => "racoon speaks IKEv1, and nothing else: leave the line out",
        "leftcert" | "certs" | "cert" | "certificate" => "write `certificate_type x509 \"CERTIFICATE\" \"KEY\";`",
        "rightcert" => "write `peers_certfile x509 \"CERTIFICATE\";`",
        "cacerts" | "rightca" | "leftca" => "write `ca_type x509 \"CERTIFICATE\";`",
        "leftsendcert" | "sendcert" => "write `send_cert`",
        "auto" | "start_action" => {
            "SAs are made when there is traffic, unless `passive on`; racoonctl establish-sa begins at once"
        }
        "pfs" | "pfsgroup" => "write `pfs_group` in `sainfo`",
        "compress" | "ipcomp" => "a policy of setkey asks for ipcomp",
        "forceencaps" | "encap" | "encapsulation" => "write `nat_traversal force`",
        "natt" | "nat_t" => "write `nat_traversal`",
        "fragmentation" | "ike_frag_size" => "write `ike_frag`",
        "xauth_identity" | "leftxauthusername" | "xauth_user" => "write `xauth_login`",
        "keyingtries" | "retransmit_tries" => "write `timer { counter NUMBER; }`",
        "mtu" => "set the route's MTU with ip(8)",
        _ => return None,
    })
}
