//! Directives of other programs, and those that are not supported.

use super::directive::Section;
use super::meaning::{is_same, plain};

/// What to do with a word of another program's language, or one that is not supported.
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
            Refused("GSSAPI is not implemented: use certificates or pre-shared keys")
        }
        (Some(Section::Listen), "admin") => Refused("the control socket is `adminsock \"PATH\"`"),
        (_, "shared_secret") => Refused(
            "a directive of Apple's racoon: keys are in the file that `path pre_shared_key` names; there is no keychain",
        ),
        (_, "verification_module") => {
            Refused("a directive of Apple's racoon: `verify_cert on` checks certificates, with `ca_type`")
        }
        (_, "auto_exit_delay") => Ignored("a directive of Apple's racoon: racoon runs until it is stopped"),
        (_, "disconnect_on_idle") => Ignored("a directive of Apple's racoon: lifetimes and dpd_delay end idle SAs"),
        (_, "natt_multiple_user") => {
            Ignored("a directive of Apple's racoon: peers behind one address are always distinguished")
        }
        (_, "identifier") => Ignored("a directive of the old KAME racoon: my_identifier in remote replaces it"),
        (_, "policy") => Ignored("a directive of the old KAME racoon: policies are set with setkey"),
        (_, "keepalive") => Ignored("a directive of the old KAME racoon: dpd_delay in remote replaces it"),
        (_, "support_mip6") => Ignored("a directive of the old KAME racoon: support_proxy replaces it"),
        (_, "secrecy" | "integrity") => Refused("a directive of the old KAME racoon: sainfo lists algorithms"),
        _ => return None,
    })
}

/// Returns a hint for a word that does not begin a directive of `section`.
pub(super) fn replacement(section: Section, word: &str) -> Option<String> {
    // A directive of this section in another spelling: `Exchange-Mode`.
    if let Some(name) = section.words().find(|name| is_same(name, word)) {
        return Some(format!("write `{name}`"));
    }
    // A line of the file of pre-shared keys.
    if section == Section::Top && word.parse::<std::net::IpAddr>().is_ok() {
        return Some("pre-shared keys are in a file of their own, which `path pre_shared_key` names".to_owned());
    }
    // The section first: a word such as `auth` means something else in each.
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

/// Returns a hint for a word that occurs outside of sections in other programs' files.
fn at_top(word: &str) -> Option<&'static str> {
    Some(match word {
        "conn" | "config" | "ca" | "version" => {
            "this is a keyword of strongSwan's and libreswan's ipsec.conf: a conn is a `remote` and a `sainfo` here"
        }
        "connections" | "secrets" | "pools" | "authorities" => {
            "this is a keyword of strongSwan's swanctl.conf: a connection is a `remote`, its children are `sainfo` sections"
        }
        "ike" | "flow" | "ikev2" => {
            "this is a keyword of OpenBSD's ipsec.conf: an ike rule is a `remote` and a `sainfo` here, and policies are set with setkey"
        }
        "crypto" => "this is a keyword of Cisco's IOS: an isakmp policy is a `remote`, a transform set a `sainfo`",
        "spdadd" | "spdupdate" | "spddelete" | "spdflush" | "spddump" | "add" | "update" | "delete" | "deleteall"
        | "get" | "flush" | "dump" => "this is a statement of setkey: put it into a file of its own for `setkey -f`",
        "psk" | "pre_shared_key" | "pre_shared_keys" | "psk_file" => "write `path pre_shared_key \"FILE\";`",
        "pidfile" | "pid_file" => "write `path pidfile \"FILE\";`",
        "certificate" | "certs" | "cert_path" => "write `path certificate \"DIRECTORY\";`",
        "log_level" | "loglevel" | "logging" | "debug" => "write `log`, as in `log debug;`",
        "phase1" | "peer" => "phase 1 with a peer is configured in a `remote` section",
        "phase2" | "sa" => "phase 2 is configured in a `sainfo` section",
        _ => return None,
    })
}

/// Returns a hint for a word that describes a connection in other programs.
fn of_connection(word: &str) -> Option<&'static str> {
    Some(match word {
        "psk" | "secret" | "pre_shared_key" | "preshared_key" | "shared_key" | "password" => {
            "keys are in the file that `path pre_shared_key` names, one line per peer"
        }
        "left" | "local_addrs" | "local_address" => {
            "local addresses are configured in `listen` and in setkey's policies"
        }
        "right" | "remote_addrs" | "peer" | "gateway" | "address" => {
            "write the peer's address after `remote`, or in `remote_address`"
        }
        "leftid" | "local_id" | "myid" => "write `my_identifier`",
        "rightid" | "remote_id" | "peerid" | "peer_identifier" | "peers_id" => {
            "write `peers_identifier`, and `verify_identifier on`"
        }
        "leftsubnet" | "rightsubnet" | "local_ts" | "remote_ts" | "subnet" => {
            "networks are configured as the ends of a `sainfo` and in setkey's policies"
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
            "a dead peer's SAs are deleted, and negotiated again when there is traffic: remove the line"
        }
        "aggressive" | "aggrmode" | "mode" => "write `exchange_mode`, for example `exchange_mode main;`",
        "keyexchange" | "ikev2" | "mobike" => "racoon speaks only IKEv1: remove the line",
        "leftcert" | "certs" | "cert" | "certificate" => "write `certificate_type x509 \"CERTIFICATE\" \"KEY\";`",
        "rightcert" => "write `peers_certfile x509 \"CERTIFICATE\";`",
        "cacerts" | "rightca" | "leftca" => "write `ca_type x509 \"CERTIFICATE\";`",
        "leftsendcert" | "sendcert" => "write `send_cert`",
        "auto" | "start_action" => {
            "SAs are negotiated when there is traffic, except with `passive on`; `racoonctl establish-sa` begins at once"
        }
        "pfs" | "pfsgroup" => "write `pfs_group` in `sainfo`",
        "compress" | "ipcomp" => "request ipcomp in setkey's policy",
        "forceencaps" | "encap" | "encapsulation" => "write `nat_traversal force`",
        "natt" | "nat_t" => "write `nat_traversal`",
        "fragmentation" | "ike_frag_size" => "write `ike_frag`",
        "xauth_identity" | "leftxauthusername" | "xauth_user" => "write `xauth_login`",
        "keyingtries" | "retransmit_tries" => "write `timer { counter NUMBER; }`",
        "mtu" => "set the route's MTU with ip(8)",
        _ => return None,
    })
}
