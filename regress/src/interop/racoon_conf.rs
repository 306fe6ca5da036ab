//! Connections in the configuration languages of racoon and setkey.

use std::fmt::Write;

use super::algorithm::Protection;
use super::connection::{Authentication, Connection, Endpoint, Exchange, Identity};
use crate::racoon::RacoonFiles;

/// Returns the files of a host with these connections.
pub(crate) fn files(connections: &[Connection]) -> RacoonFiles {
    let mut files = RacoonFiles {
        conf: "log debug;\n".to_owned(),
        psk: String::new(),
        setkey: "flush;\nspdflush;\n".to_owned(),
        ..RacoonFiles::default()
    };
    for c in connections {
        files.conf.push_str(&remote(c));
        files.conf.push_str(&sainfo(c));
        // Writing to a string cannot fail.
        if let Authentication::PreSharedKey(key) = &c.authentication {
            let _ = writeln!(files.psk, "{} {key}", psk_name(&c.remote));
        }
        files.setkey.push_str(&policies(c));
    }
    files
}

fn remote(c: &Connection) -> String {
    let (exchange, method) = (exchange(c.exchange), method(c));
    format!(
        "remote {} {{
    exchange_mode {exchange};
{}    lifetime time {} sec;
    proposal {{
        encryption_algorithm {};
        hash_algorithm {};
        authentication_method {method};
        dh_group {};
    }}
}}
",
        c.remote.address,
        identities(c) + &keys(c),
        c.phase1.lifetime,
        c.phase1.encryption.racoon,
        c.phase1.hash.racoon,
        c.phase1.group.racoon,
    )
}

fn exchange(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Main => "main",
        Exchange::Aggressive => "aggressive",
    }
}

fn method(c: &Connection) -> &'static str {
    match (&c.authentication, &c.local.key) {
        (Authentication::PreSharedKey(_), _) | (_, None) => "pre_shared_key",
        (Authentication::Certificates(_) | Authentication::RawKeys, Some(key)) => key.kind.method(),
    }
}

/// Returns the name of a peer in `psk.txt`.
fn psk_name(peer: &Endpoint) -> String {
    match &peer.identity {
        Identity::Address => peer.address.to_string(),
        Identity::Fqdn(name) | Identity::UserFqdn(name) | Identity::KeyId(name) | Identity::Subject(name) => {
            name.clone()
        }
    }
}

/// Returns the directives on identities. Addresses need none.
fn identities(c: &Connection) -> String {
    let word = |identity: &Identity| match identity {
        Identity::Address => "address".to_owned(),
        Identity::Fqdn(name) => format!("fqdn \"{name}\""),
        Identity::UserFqdn(name) => format!("user_fqdn \"{name}\""),
        Identity::KeyId(name) => format!("keyid tag \"{name}\""),
        Identity::Subject(name) => format!("asn1dn \"{name}\""),
    };
    match (&c.local.identity, &c.remote.identity) {
        (Identity::Address, Identity::Address) => String::new(),
        (local, remote) => {
            // Without a name, it is the subject of our certificate.
            let local = if matches!(local, Identity::Subject(_)) { "asn1dn".to_owned() } else { word(local) };
            format!("    my_identifier {local};\n    peers_identifier {};\n    verify_identifier on;\n", word(remote))
        }
    }
}

/// Returns the directives on private keys and certificates.
fn keys(c: &Connection) -> String {
    let (Some(own), Some(peer)) = (&c.local.key, &c.remote.key) else { return String::new() };
    let [file, certificate] = [&own.file, &own.certificate].map(|path| path.display());
    match (&c.authentication, &own.plain, &peer.plain) {
        (Authentication::Certificates(authority), ..) => format!(
            "    certificate_type x509 \"{certificate}\" \"{file}\";\n    ca_type x509 \"{}\";\n",
            authority.display()
        ),
        (Authentication::RawKeys, Some([private, _]), Some([_, public])) => format!(
            "    certificate_type plain_rsa \"{}\";\n    peers_certfile plain_rsa \"{}\";\n",
            private.display(),
            public.display()
        ),
        (Authentication::PreSharedKey(_) | Authentication::RawKeys, ..) => String::new(),
    }
}

fn sainfo(c: &Connection) -> String {
    let kind = if c.is_tunnel() { "subnet" } else { "address" };
    let (cipher, aead) = match c.phase2.protection {
        Protection::Esp(cipher) => (cipher.racoon, false),
        Protection::Aead(cipher) => (cipher.racoon, true),
        // AH does not use it, but a sainfo must have one.
        Protection::Ah => ("aes", false),
    };
    let authentication = match (c.phase2.authentication.racoon, c.phase2.sha256_96) {
        ("hmac_sha256", true) => "hmac_sha256_96",
        (word, _) => word,
    };
    let mut text = format!("sainfo {kind} {} any {kind} {} any {{\n", c.local.selector(), c.remote.selector());
    if let Some(group) = c.phase2.pfs {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    pfs_group {};", group.racoon);
    }
    let _ = writeln!(text, "    lifetime time {} sec;\n    encryption_algorithm {cipher};", c.phase2.lifetime);
    if !aead {
        let _ = writeln!(text, "    authentication_algorithm {authentication};");
    }
    if c.phase2.esn {
        text.push_str("    esn require;\n");
    }
    text.push_str("    compression_algorithm deflate;\n}\n");
    text
}

fn policies(c: &Connection) -> String {
    let protocol = match c.phase2.protection {
        Protection::Esp(_) | Protection::Aead(_) => "esp",
        Protection::Ah => "ah",
    };
    let (local_address, remote_address) = (c.local.address, c.remote.address);
    let (out, inbound) = match c.is_tunnel() {
        true => {
            (format!("tunnel/{local_address}-{remote_address}"), format!("tunnel/{remote_address}-{local_address}"))
        }
        false => ("transport/".to_owned(), "transport/".to_owned()),
    };
    let (local, remote) = (c.local.selector(), c.remote.selector());
    // Small packets are not compressed, so the level is `use`.
    let more = if c.phase2.compressed { " ipcomp/transport//use" } else { "" };
    format!(
        "spdadd {local} {remote} any -P out ipsec{more} {protocol}/{out}/require;\n\
         spdadd {remote} {local} any -P in ipsec{more} {protocol}/{inbound}/require;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::Peer;
    use super::super::matrix::rows;
    use super::*;

    #[test]
    fn transport_mode() {
        let files = files(&[rows(Peer::Strongswan)[0].connection.clone()]);
        let expected = "\
log debug;
remote 198.18.1.2 {
    exchange_mode main;
    lifetime time 86400 sec;
    proposal {
        encryption_algorithm aes 128;
        hash_algorithm sha256;
        authentication_method pre_shared_key;
        dh_group modp2048;
    }
}
sainfo address 198.18.1.1 any address 198.18.1.2 any {
    lifetime time 43200 sec;
    encryption_algorithm aes 128;
    authentication_algorithm hmac_sha256;
    compression_algorithm deflate;
}
";
        assert_eq!(files.conf, expected);
        assert_eq!(files.psk, "198.18.1.2 a secret of row 1, long enough\n");
        assert_eq!(
            files.setkey,
            "flush;\nspdflush;\n\
             spdadd 198.18.1.1 198.18.1.2 any -P out ipsec esp/transport//require;\n\
             spdadd 198.18.1.2 198.18.1.1 any -P in ipsec esp/transport//require;\n"
        );
    }

    #[test]
    fn tunnel_mode_names_both_gateways_and_networks() {
        let row = rows(Peer::Strongswan).into_iter().find(|row| row.connection.is_tunnel()).expect("a tunnel");
        let c = row.connection;
        let (local_address, remote_address) = (c.local.address, c.remote.address);
        let files = files(std::slice::from_ref(&c));
        assert!(
            files.setkey.contains(&format!("-P out ipsec esp/tunnel/{local_address}-{remote_address}/require;")),
            "{}",
            files.setkey
        );
        assert!(
            files.setkey.contains(&format!("-P in ipsec esp/tunnel/{remote_address}-{local_address}/require;")),
            "{}",
            files.setkey
        );
        let networks = format!("sainfo subnet {} any subnet {} any {{", c.local.selector(), c.remote.selector());
        assert!(files.conf.contains(&networks), "{}", files.conf);
    }

    #[test]
    fn identities_are_expected_and_name_the_key() {
        let mut c = rows(Peer::Strongswan)[0].connection.clone();
        c.exchange = Exchange::Aggressive;
        c.local.identity = Identity::UserFqdn("alice@mail.example".to_owned());
        c.remote.identity = Identity::KeyId("group".to_owned());
        let files = files(&[c]);
        let expected = "    exchange_mode aggressive;\n    my_identifier user_fqdn \"alice@mail.example\";\n    \
                        peers_identifier keyid tag \"group\";\n    verify_identifier on;\n";
        assert!(files.conf.contains(expected), "{}", files.conf);
        assert!(files.psk.starts_with("group "), "{}", files.psk);
    }
}
