//! Warning about configured features that this version does not implement.

use ipsec_conf::racoon::{AuthenticationMethod, Config, Directive, Place, RemoteAddress, Section};

use crate::config_defaults::is_default;

/// Returns one warning for all directives that are accepted but have no effect yet, each with its first place. Empty if
/// there are none.
pub fn warning(config: &Config) -> String {
    let all = list(config);
    let Some((_, first)) = all.first() else { return String::new() };
    let mut text = format!("{first}: warning: accepted, not yet in effect\n ");
    for (what, place) in &all {
        text.push_str(&format!(" {what} ({}:{})", place.file, place.line));
    }
    text
}

/// Lists directives first, then values of implemented directives.
fn list(config: &Config) -> Vec<(String, &Place)> {
    let waiting = config.not_yet_in_effect().filter(|(directive, _)| !changes_nothing(config, directive));
    let mut list: Vec<(String, &Place)> =
        waiting.map(|(directive, place)| (directive.name.to_owned(), place)).collect();
    let mut add = |value: String, place| {
        if !list.iter().any(|(known, _)| *known == value) {
            list.push((value, place));
        }
    };
    // Values of directives that otherwise have an effect.
    for remote in &config.remotes {
        let methods = remote.proposals.iter().filter(|one| !is_implemented(one.method));
        let values = methods
            .map(|one| (format!("authentication_method {}", one.method), &one.place))
            .chain(host(remote.address.as_ref()).map(|name| (format!("remote_address \"{name}\""), &remote.place)));
        values.for_each(|(value, place)| add(value, place));
    }
    // Groups come from logins, which are not implemented.
    for sainfo in &config.sainfos {
        sainfo.group.iter().for_each(|group| add(format!("sainfo group \"{group}\""), &sainfo.place));
    }
    list
}

/// Whether a directive repeats its default, or switches off a feature that is missing anyway.
fn changes_nothing(config: &Config, directive: &Directive) -> bool {
    let is_off = (directive.section, directive.name) == (Section::Timer, "natt_keepalive");
    (is_off && config.timer.natt_keepalive.is_none()) || is_default(config, directive)
}

/// Whether a method is implemented: the others need logins.
fn is_implemented(method: AuthenticationMethod) -> bool {
    use AuthenticationMethod::{EcdsaSig, PreSharedKey, RsaSig};
    matches!(method, PreSharedKey | RsaSig | EcdsaSig)
}

/// Returns the host name of a remote address, which would need a DNS look-up.
fn host(address: Option<&RemoteAddress>) -> Option<&str> {
    match address {
        Some(RemoteAddress::Host(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ipsec_conf::racoon::load;

    use super::*;
    use crate::files::Files;

    fn warned(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("racoon.conf");
        std::fs::write(&file, text).unwrap();
        let load = load(file.to_str().unwrap(), &Files::default());
        let config = load.config.unwrap_or_else(|| panic!("{:?}", load.problems));
        warning(&config).replace(file.to_str().unwrap(), "a.conf")
    }

    #[test]
    fn directives_and_values() {
        let proposal = |method| {
            format!(
                "proposal {{ encryption_algorithm aes; hash_algorithm sha256; dh_group 14; \
                 authentication_method {method}; }}\n"
            )
        };
        assert_eq!(warned("log info;\n"), "");
        let (psk, xauth) = (proposal("pre_shared_key"), proposal("xauth_psk_server"));
        let signed = [proposal("rsasig"), proposal("ecdsasig")].concat();
        assert_eq!(warned(&format!("remote anonymous {{ exchange_mode main; {signed} verify_cert off; }}")), "");
        assert_eq!(warned(&format!("remote anonymous {{ exchange_mode main; {psk} }}")), "");
        let off = "nat_traversal off; ike_frag off; mode_cfg off;";
        let nothing =
            format!("timer {{ natt_keepalive 0 sec; }} remote anonymous {{ exchange_mode main; {psk} {off} }}\n");
        assert_eq!(warned(&nothing), "");
        let usual = "mode_cfg { } ldapcfg { } radiuscfg { } journal 200; timer { natt_keepalive 20 sec; }";
        assert_eq!(warned(&format!("{usual} {nothing}")), "");
        let one_does = format!("{nothing}remote 192.0.2.1 {{ exchange_mode main; {psk} nat_traversal on; }}\n");
        assert!(warned(&one_does).contains("not yet in effect\n  nat_traversal (a.conf:2)"), "{}", warned(&one_does));
        let text = format!(
            "remote anonymous {{ exchange_mode aggressive, main;\n{xauth}ike_frag on; }}\n\
             remote \"gw\" {{ remote_address \"gw.example\"; exchange_mode base; {psk} }}\n\
             sainfo anonymous group \"staff\" {{ encryption_algorithm aes; authentication_algorithm hmac_sha256;\n\
             compression_algorithm deflate; }}\n"
        );
        let expected = "a.conf:3:1: warning: accepted, not yet in effect\n  ike_frag (a.conf:3) \
            authentication_method xauth_psk_server (a.conf:2) remote_address \"gw.example\" (a.conf:4) sainfo group \"staff\" (a.conf:6)";
        assert_eq!(warned(&text), expected);
    }
}
