//! Hints for values as other programs write them. A guess by spelling comes last, because it would take `no` for `on`.

use super::algorithm::DhGroup;
use super::suite::Suite;
use libpfkey::spelling;

const OFF: [&str; 15] = [
    "no", "false", "0", "disable", "disabled", "never", "none", "n", "f", "non", "not", "nope", "inactive", "deny",
    "without",
];
const ON: [&str; 13] =
    ["yes", "true", "1", "enable", "enabled", "y", "t", "active", "always", "ja", "oui", "allow", "auto"];

/// Returns a hint for `text` in place of one of `words`: the word in another spelling, the meaning of a switch in other
/// programs, a similar word, or the list of words.
pub(super) fn choice(text: &str, words: &[&str]) -> String {
    let plain = plain(text);
    if let Some(word) = words.iter().find(|word| is_same(word, &plain)) {
        return write(word);
    }
    let expected = || format!("expected {}", spelling::either(words));
    if let Some(word) = switch(&plain, words) {
        return format!("{}: `{text}` is `{word}` here", expected());
    }
    // One letter may turn a number into another one, and `on` into its opposite.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let candidates = words.iter().copied().filter(|word| *word != "on" && !is_number);
    spelling::guess(text, candidates).unwrap_or_else(expected)
}

/// Whether two words differ in case, dashes and underscores only.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let letters = |word: &str| plain(word).replace('_', "");
    letters(one) == letters(other)
}

/// Returns the hint to write another text.
pub(super) fn write(text: &str) -> String {
    format!("write `{text}`")
}

/// Returns a word in lower case, with `_` for `-`.
pub(super) fn plain(text: &str) -> String {
    text.to_ascii_lowercase().replace('-', "_")
}

/// Returns the position of a switch that `plain` stands for in other programs.
fn switch<'w>(plain: &str, words: &[&'w str]) -> Option<&'w str> {
    let find = |wanted: &[&str]| words.iter().copied().find(|word| wanted.contains(word));
    let other = |wanted: &[&str]| wanted.contains(&plain);
    // `off` and `on` themselves too: some switches have other words for them.
    if other(&OFF) || plain == "off" {
        return find(&["off"]).or_else(|| find(&["optional", "obey", "none", "disabled"]));
    }
    if plain.starts_with("force") || plain == "required" || plain == "mandatory" {
        return find(&["force", "require"]).or_else(|| find(&["on"]));
    }
    (other(&ON) || plain == "on").then(|| find(&["on"]).or_else(|| find(&["require"]))).flatten()
}

/// Returns a hint for a cipher of phase 1.
pub(super) fn cipher(text: &str) -> Option<String> {
    let suite = Suite::read(text)?;
    Some(match (suite.cipher, suite.kinds()) {
        (_, 2..) => in_proposal(&suite),
        (None, _) => in_proposal(&suite),
        (Some("null_enc"), _) => "phase 1 is always encrypted: write `aes 256`".to_owned(),
        (Some(name), _) if name.starts_with("aes_") || name == "twofish" => {
            let bits = suite.bits.map_or_else(String::new, |bits| format!(" {bits}"));
            format!("{name} is valid in sainfo only; in phase 1, write `aes{bits}`")
        }
        _ => write(&suite.cipher_text()?),
    })
}

/// Returns a hint for a hash of phase 1.
pub(super) fn hash(text: &str) -> Option<String> {
    if plain(text).starts_with("sha3") || plain(text).starts_with("sha224") {
        return Some("IKEv1 has no such hash: use sha256".to_owned());
    }
    let suite = Suite::read(text)?;
    Some(match (suite.hash, suite.kinds()) {
        (Some("aes_xcbc"), 1) => "aes_xcbc is valid in sainfo only; in phase 1, write `sha256`".to_owned(),
        (Some(hash), 1) => write(hash),
        _ => in_proposal(&suite),
    })
}

/// Returns a hint for a Diffie-Hellman group; `directive` is `dh_group` or `pfs_group`.
pub(super) fn group(text: &str, directive: &str) -> Option<String> {
    let plain = plain(text);
    match plain.as_str() {
        "none" | "no" | "off" | "0" | "disable" | "disabled" if directive == "pfs_group" => {
            return Some("without a pfs_group there is no PFS: remove the line".to_owned());
        }
        "yes" | "on" | "true" if directive == "pfs_group" => {
            return Some("name a group, such as `modp2048`".to_owned());
        }
        // RFC 8247 section 2.4: their origin is not known, and their small subgroups allow attacks.
        "22" | "23" | "24" | "dh22" | "dh23" | "dh24" | "group22" | "group23" | "group24" => {
            return Some("groups 22 to 24 are not trustworthy and not supported: use modp2048".to_owned());
        }
        _ => {}
    }
    // The bits alone: `2048`.
    if let Some(group) = DhGroup::from_name(&format!("modp{plain}")) {
        return Some(write(group.name()));
    }
    // Here the number is that of the group, not its bits: `modp14` is group 14.
    if let Some(group) = plain.strip_prefix("modp").and_then(|number| DhGroup::from_name(number.trim_matches('_'))) {
        return Some(write(group.name()));
    }
    let suite = Suite::read(text)?;
    match (suite.group, suite.kinds()) {
        (Some(group), 1) => Some(write(group.name())),
        _ if directive == "dh_group" => Some(in_proposal(&suite)),
        _ => Some(in_sainfo(&suite)),
    }
}

/// Returns a hint for a cipher of ESP.
pub(super) fn esp_cipher(text: &str) -> Option<String> {
    if matches!(plain(text).as_str(), "none" | "no" | "off" | "non_enc") {
        return Some("write `null_enc` for no encryption".to_owned());
    }
    if plain(text).starts_with("chacha20") {
        return Some("IKEv1 has no number for it: use aes_gcm 256".to_owned());
    }
    let suite = Suite::read(text)?;
    Some(match (suite.cipher_text(), suite.kinds()) {
        (Some(cipher), 1) => write(&cipher),
        _ => in_sainfo(&suite),
    })
}

/// Returns a hint for an authentication algorithm of ESP and AH.
pub(super) fn esp_authentication(text: &str) -> Option<String> {
    if matches!(plain(text).as_str(), "none" | "no" | "off" | "null") {
        return Some("write `non_auth` for no authentication".to_owned());
    }
    let suite = Suite::read(text)?;
    Some(match (suite.authentication(), suite.kinds()) {
        (Some(hash), 1) => write(&hash),
        _ => in_sainfo(&suite),
    })
}

/// Returns a hint for a compression algorithm.
pub(super) fn compression(text: &str) -> Option<String> {
    Some(match plain(text).as_str() {
        "none" | "no" | "off" | "null" => {
            "without a compression_algorithm there is no IPComp: remove the line".to_owned()
        }
        "yes" | "on" | "zlib" | "gzip" | "def" | "ipcomp" => write("deflate"),
        _ => return None,
    })
}

/// Returns a hint for an authentication method of phase 1.
pub(super) fn method(text: &str) -> Option<String> {
    let plain = plain(text).replace('_', "");
    Some(match plain.as_str() {
        "psk" | "secret" | "sharedsecret" | "preshared" | "preshare" | "presharedsecret" | "sharedkey" | "password" => {
            write("pre_shared_key")
        }
        "rsa" | "rsasigkey" | "rsakey" | "rsasignature" | "rsasignatures" | "pubkey" | "cert" | "certificate"
        | "certificates" | "x509" | "pki" | "pkcs12" => write("rsasig"),
        "ecdsa" | "ecdsa256" | "ecdsa384" | "ecdsa521" => write("ecdsasig"),
        "xauth" | "xauthpsk" | "xauthpresharedkey" => {
            "write `xauth_psk_client` to log in, `xauth_psk_server` to ask for a login".to_owned()
        }
        "xauthrsa" | "xauthrsasig" => {
            "write `xauth_rsa_client` to log in, `xauth_rsa_server` to ask for a login".to_owned()
        }
        "hybrid" | "hybridrsa" => {
            "write `hybrid_rsa_client` to log in, `hybrid_rsa_server` to ask for a login".to_owned()
        }
        _ if plain.starts_with("eap") => "EAP is a part of IKEv2, which racoon does not speak".to_owned(),
        _ => return None,
    })
}

/// Returns a hint for an exchange mode of phase 1.
pub(super) fn exchange(text: &str) -> Option<String> {
    Some(match plain(text).as_str() {
        "main_mode" | "mainmode" | "id_prot" | "identity_protection" | "idprot" | "ike" | "ikev1" => write("main"),
        "aggressive_mode" | "aggressivemode" | "aggr" | "aggrmode" | "agressive" => write("aggressive"),
        "base_mode" | "basemode" => write("base"),
        "quick" | "quick_mode" => "quick mode is phase 2, which needs no word here".to_owned(),
        "ikev2" | "ike_v2" | "l2tp" => "racoon speaks IKEv1 only: main, aggressive or base".to_owned(),
        _ => return None,
    })
}

/// Returns a hint for a kind of identity.
pub(super) fn identifier(text: &str) -> Option<String> {
    // The value without its kind.
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(write(&format!("address {text}")));
    }
    let plain = plain(text);
    Some(match plain.as_str() {
        "ip" | "ipaddr" | "ipaddress" | "addr" | "ipv4" | "ipv6" | "ipv4_addr" | "ipv6_addr" | "id_ipv4_addr" => {
            write("address")
        }
        "dns" | "domain" | "host" | "hostname" | "name" | "id_fqdn" => write("fqdn"),
        "email" | "mail" | "user" | "userfqdn" | "ufqdn" | "rfc822" | "id_user_fqdn" => write("user_fqdn"),
        "dn" | "der_asn1_dn" | "asn1_dn" | "x509" | "cert" | "certificate" | "subject" => write("asn1dn"),
        "key_id" | "id_key_id" | "group" | "keyid_use" => write("keyid tag"),
        "any" | "%any" => "without a peers_identifier, any peer is accepted: remove the line".to_owned(),
        // Other programs write a name with a leading `@`, so only an inner one is that of a user.
        _ if text.contains('@') && !text.starts_with('@') => write(&format!("user_fqdn \"{text}\"")),
        _ if text.contains('.') || text.starts_with('@') => {
            write(&format!("fqdn \"{}\"", text.trim_start_matches('@')))
        }
        _ => return None,
    })
}

/// Returns a hint for an end of a sainfo.
pub(super) fn sainfo_end(text: &str) -> Option<String> {
    let address = text.split(['/', '-']).next().and_then(|ip| ip.parse::<std::net::IpAddr>().ok());
    if address.is_some() {
        return Some(write(&format!("address {text} any")));
    }
    Some(match plain(text).as_str() {
        "any" | "%any" | "all" | "default" | "*" => write("anonymous"),
        "net" | "network" | "ip" | "ipv4" | "ipv6" | "ipv4_addr_subnet" | "addr" | "host" => write("address"),
        _ => return None,
    })
}

/// Returns a hint for an upper-layer protocol.
pub(super) fn protocol(text: &str) -> Option<String> {
    Some(match plain(text).as_str() {
        "all" | "ip" | "ipv4" | "ipv6" | "%any" | "*" => write("any"),
        "icmpv6" | "ipv6_icmp" => write("icmp6"),
        _ => return None,
    })
}

/// Returns a hint for a log level.
pub(super) fn log_level(text: &str) -> Option<String> {
    Some(match plain(text).as_str() {
        "err" | "crit" | "critical" | "alert" | "emerg" | "none" | "quiet" | "off" => write("error"),
        "warn" => write("warning"),
        "notice" => write("notify"),
        "verbose" | "trace" | "all" | "debug3" => write("debug2"),
        _ => return None,
    })
}

/// Returns a hint for a unit of time.
pub(super) fn time_unit(text: &str) -> Option<String> {
    Some(match plain(text).as_str() {
        "s" => write("sec"),
        "m" => write("min"),
        "h" | "hr" | "hrs" => write("hour"),
        // The language has only seconds, minutes and hours.
        "d" | "day" | "days" => "there is no such unit: write 24 hours for a day".to_owned(),
        "w" | "week" | "weeks" => "there is no such unit: write 168 hours for a week".to_owned(),
        _ => return None,
    })
}

/// Returns the directives of a proposal that stand for a suite.
fn in_proposal(suite: &Suite) -> String {
    let parts = [
        suite.cipher_text().map(|cipher| format!("encryption_algorithm {cipher};")),
        suite.hash.map(|hash| format!("hash_algorithm {hash};")),
        suite.group.map(|group| format!("dh_group {group};")),
    ];
    each(parts)
}

/// As [`in_proposal`], for a sainfo.
fn in_sainfo(suite: &Suite) -> String {
    let parts = [
        suite.cipher_text().map(|cipher| format!("encryption_algorithm {cipher};")),
        suite.authentication().map(|hash| format!("authentication_algorithm {hash};")),
        suite.group.map(|group| format!("pfs_group {group};")),
    ];
    each(parts)
}

fn each(parts: [Option<String>; 3]) -> String {
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    match parts.as_slice() {
        [one] => format!("that belongs in another directive: `{one}`"),
        several => format!("each has its own directive: `{}`", several.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_keep_their_meaning() {
        let ternary = ["off", "on", "force"];
        for text in OFF {
            let hint = choice(text, &ternary);
            assert!(hint.ends_with(&format!("`{text}` is `off` here")), "{hint}");
        }
        for text in ON {
            let hint = choice(text, &ternary);
            assert!(hint.ends_with(&format!("`{text}` is `on` here")), "{hint}");
        }
        assert_eq!(choice("OFF", &ternary), "write `off`");
        assert_eq!(choice("of", &ternary), "did you mean `off`?");
        assert_eq!(choice("ono", &ternary), "expected off, on or force");
        assert_eq!(choice("forced", &ternary), "expected off, on or force: `forced` is `force` here");
        assert_eq!(choice("no", &["optional", "require"]), "expected optional or require: `no` is `optional` here");
        assert_eq!(choice("24", &["14", "21"]), "expected 14 or 21");
    }

    #[test]
    fn words_by_their_meaning() {
        assert_eq!(method("psk").as_deref(), Some("write `pre_shared_key`"));
        assert_eq!(choice("pre-shared-key", &["pre_shared_key"]), "write `pre_shared_key`");
        assert_eq!(hash("hmac-sha1").as_deref(), Some("write `sha1`"));
        assert_eq!(esp_authentication("sha1").as_deref(), Some("write `hmac_sha1`"));
        assert_eq!(esp_authentication("none").as_deref(), Some("write `non_auth` for no authentication"));
        assert_eq!(group("group2", "dh_group").as_deref(), Some("write `modp1024`"));
        assert_eq!(group("2048", "dh_group").as_deref(), Some("write `modp2048`"));
        assert_eq!(group("modp14", "dh_group").as_deref(), Some("write `modp2048`"));
        assert_eq!(group("MODP-2", "pfs_group").as_deref(), Some("write `modp1024`"));
        assert_eq!(cipher("aes-256").as_deref(), Some("write `aes 256`"));
        assert_eq!(
            cipher("aes128gcm16").as_deref(),
            Some("aes_gcm is valid in sainfo only; in phase 1, write `aes 128`")
        );
        assert_eq!(
            cipher("aes128-sha1-modp1024").as_deref(),
            Some("each has its own directive: `encryption_algorithm aes 128; hash_algorithm sha1; dh_group modp1024;`")
        );
        assert_eq!(
            esp_cipher("3des-md5").as_deref(),
            Some("each has its own directive: `encryption_algorithm 3des; authentication_algorithm hmac_md5;`")
        );
        assert_eq!(cipher("sha1").as_deref(), Some("that belongs in another directive: `hash_algorithm sha1;`"));
        assert_eq!(identifier("@gw.example").as_deref(), Some("write `fqdn \"gw.example\"`"));
        assert_eq!(exchange("ikev2").as_deref(), Some("racoon speaks IKEv1 only: main, aggressive or base"));
    }
}
