use std::collections::HashSet;
use std::time::Duration;

use super::*;

/// Every directive of the language.
pub(super) const ALL: &str = r#"
path include "/etc/racoon";
path pre_shared_key "/etc/racoon/psk.txt";
path certificate "/etc/racoon/certs";
path script "/etc/racoon/scripts";
path backupsa "/var/lib/racoon/sa";
path pidfile "/run/racoon.pid";
include "more.conf";
log debug2;
pfkey_buffer 512;
complex_bundle off;
threads 4;
half_open_limit 500 per_source 5;
backend socket "/run/kernel.sock";
journal 1000;
privsep { user "racoon"; group 77; chroot "/var/empty"; }
padding { randomize off; randomize_length on; maximum_length 10; strict_check on; exclusive_tail off; }
timer { counter 4; interval 8 sec; persend 2; phase1 1 min; phase2 25 secs; natt_keepalive 0 sec; }
listen {
    isakmp 192.0.2.1;
    isakmp fe80::1%eth0 [501];
    isakmp_natt 192.0.2.1;
    strict_address;
    adminsock "/run/racoon/racoon.sock" "root" "50" 0660;
}
mode_cfg {
    network4 10.99.0.1; netmask4 255.255.255.0; pool_size 100; dns4 10.0.0.1, 10.0.0.2; wins4 10.0.0.3; nbns4 10.0.0.4;
    split_network local_lan 10.9.0.0/16; split_network include 10.1.0.0/16, 172.20.0.0/16, 10.1.0.0/16;
    split_dns "corp.example", "lab.example"; default_domain "corp.example"; banner "/etc/racoon/banner";
    auth_source ldap; auth_groups "staff", "guests"; group_source ldap; conf_source radius; accounting pam;
    auth_throttle 2; pfs_group 14; save_passwd on;
}
ldapcfg {
    version 2; debug 1; timeout 5; uri "ldap://ldap.example"; host "ldap.example"; port 636; base "dc=example";
    subtree on; bind_dn "cn=racoon"; bind_pw "secret; {one}"; attr_user "uid"; attr_addr "addr"; attr_mask "mask";
    attr_group "group"; attr_member "of";
}
radiuscfg { auth "radius.example" 1812 "secret one"; acct "radius.example" "secret two"; timeout 4; retries 2; }

remote "branch" {
    remote_address "vpn.example" [4501];
    exchange_mode main, base;
    doi ipsec_doi; situation identity_only;
    my_identifier asn1dn; peers_identifier asn1dn "C=NL, O=Example\, Inc, CN=*"; peers_identifier keyid tag "x y";
    peers_identifier asn1dn; peers_identifier user_fqdn "a@example.net"; verify_identifier on;
    xauth_login "joe";
    certificate_type x509 "branch.pem" "/keys/branch.key"; ca_type x509 "root.pem"; ca_type system;
    peers_certfile x509 "peer.pem"; crl_policy require;
    mode_cfg on; weak_phase1_check on;
    script "up.sh" phase1_up; script "down.sh" phase1_down; script "dead.sh" phase1_dead;
    send_cert off; send_cr off; match_empty_cr on; verify_cert on;
    lifetime time 2 hours; ike_frag force; esp_frag 552; initial_contact off; passive on; proposal_check claim;
    support_proxy on; generate_policy unique; generate_policy_bounds off; nat_traversal force;
    dpd off; dpd_delay 25; dpd_retry 3; dpd_maxfail 4; dpd_mode traffic; rekey force; nonce_size 32; ph1id 7;
    proposal {
        encryption_algorithm camellia 192; hash_algorithm sha2_512; authentication_method xauth_rsa_client;
        dh_group x25519;
    }
    proposal {
        encryption_algorithm 3des; hash_algorithm sha1; authentication_method ecdsasig; dh_group ecp384;
        lifetime time 90 sec;
    }
}
sainfo address 10.1.0.0/16[any] any subnet 10.2.0.9 [80] tcp from asn1dn "C=NL, CN=*" {
    pfs_group 20; remoteid 7; lifetime time 3 min; lifetime byte 5 MB;
    encryption_algorithm aes_gcm 256, aes_ctr, twofish 256; authentication_algorithm hmac_sha512, aes_xcbc;
    compression_algorithm lzs; esn require; replay_window 1024;
}
"#;

pub(super) fn files() -> Files {
    Files::default()
        .with("a.conf", ALL)
        .with("/etc/racoon/more.conf", "sainfo anonymous clientaddr group \"staff\" ".to_owned() + SAINFO)
        .with("/etc/racoon/certs/branch.pem", "")
        .with("/keys/branch.key", "")
        .with("/etc/racoon/certs/root.pem", "")
        .with("/etc/racoon/certs/peer.pem", "")
        .with("/etc/racoon/scripts/up.sh", "")
        .with("/etc/racoon/scripts/down.sh", "")
        .with("/etc/racoon/scripts/dead.sh", "")
        .with("/etc/racoon/psk.txt", "192.0.2.1 a key of twenty octets or more\n")
}

#[test]
fn every_directive() {
    let load = load("a.conf", &files());
    assert_eq!(show(&load), "");
    let config = load.config.unwrap();
    let used: HashSet<_> = config.used().map(|(one, _)| (one.section, one.name)).collect();
    let unused: Vec<_> = Directive::all().filter(|one| !used.contains(&(one.section, one.name))).collect();
    assert!(unused.is_empty(), "{unused:?}");

    let remote = &config.remotes[0];
    assert_eq!(remote.address, Some(RemoteAddress::Host("vpn.example".into())));
    assert_eq!(remote.port, Some(4501));
    assert_eq!(remote.place.to_string(), "a.conf:40:1");
    assert_eq!(remote.proposals[0].lifetime, Duration::from_secs(7200));
    assert_eq!(remote.proposals[1].lifetime, Duration::from_secs(90));
    assert_eq!(
        remote.proposals[1].encryption,
        Encryption { cipher: Cipher::from_name("3des").unwrap(), key_bits: None }
    );
    assert_eq!(remote.proposals[1].place.line, 59);
    assert_eq!(config.timer.natt_keepalive, None);
    assert_eq!(config.listen.sockets[0].port, 500);
    assert_eq!(config.listen.sockets[2].port, 4500);
    let AdminSocket::Path { access: Some(access), .. } = &config.listen.adminsock else { panic!("a path") };
    assert_eq!((access.mode, &access.group), (0o660, &Account::Id(50)));
    assert_eq!(config.mode_cfg.split_network.as_ref().unwrap().networks.len(), 2);
    assert_eq!(config.sainfos[0].lifetime_bytes, Some(5 << 20));
    assert_eq!(config.sainfos[0].encryption[1].key_bits, Some(128));
    assert_eq!(config.sainfos[1].group.as_deref(), Some("staff"));
}

#[test]
fn printed_configuration_reads_back() {
    let files = files();
    let first = load("a.conf", &files).config.unwrap();
    let text = first.to_text(Passwords::Shown);
    let again = load("b.conf", &files.with("b.conf", &text));
    assert_eq!(show(&again), "");
    let again = again.config.unwrap();
    assert_eq!(again, first);
    assert_eq!(again.to_text(Passwords::Shown), text);
    assert!(Changes::between(&first, &again).is_empty());

    let text = first.to_text(Passwords::Hidden);
    assert!(!text.contains("secret"), "{text}");
    let debug = format!("{first:?}");
    assert!(!debug.contains("secret;") && !debug.contains("secret one"), "{debug}");
}

#[test]
fn empty_file_is_a_configuration() {
    assert_eq!(config(""), Config::default());
    assert_eq!(config(" # only this"), Config::default());
    assert_eq!(config(&Config::default().to_text(Passwords::Hidden)), Config::default());
}

#[test]
fn defaults_of_a_remote() {
    let config = config(REMOTE);
    expect_test::expect![[r#"
        remote 192.0.2.1 {
            exchange_mode main;
            my_identifier fqdn "a";
            verify_identifier off;
            crl_policy optional;
            send_cert on;
            send_cr on;
            match_empty_cr off;
            verify_cert on;
            mode_cfg off;
            weak_phase1_check off;
            ike_frag off;
            esp_frag 65535;
            initial_contact on;
            passive off;
            proposal_check strict;
            support_proxy off;
            generate_policy off;
            generate_policy_bounds on;
            nat_traversal off;
            dpd on;
            dpd_delay 0;
            dpd_retry 5;
            dpd_maxfail 5;
            dpd_mode always;
            rekey on;
            nonce_size 16;
            ph1id 0;
            lifetime time 28800 sec;
            proposal {
                encryption_algorithm aes 128;
                hash_algorithm sha256;
                authentication_method rsasig;
                dh_group modp2048;
                lifetime time 28800 sec;
            }
        }
    "#]]
    .assert_eq(
        &config
            .to_text(Passwords::Hidden)
            .split_inclusive('\n')
            .skip_while(|line| !line.starts_with("remote"))
            .collect::<String>(),
    );
}

#[test]
fn forms_in_old_files() {
    let strange = config(
        "remote anonymous{exchange_mode\n main aggressive;dpd_delay = 30;mode_cfg = on; my_identifier\n # a\n fqdn \"a\";\
         lifetime time 10sec;proposal{encryption_algorithm aes256;hash_algorithm sha256;authentication_method rsasig;\
         dh_group 14;}}\n\
         timer{interval 10sec;}\n\
         sainfo (address 10.0.0.0/8 [any] any subnet 10.1.0.0 /16[any] 6) {encryption_algorithm\n aes_192,\n\
         rijndael;authentication_algorithm hmac_sha1;compression_algorithm deflate;}",
    );
    let plain = config(
        "remote anonymous { exchange_mode main, aggressive; dpd_delay 30; mode_cfg on; my_identifier fqdn \"a\";
         lifetime time 10 sec; proposal { encryption_algorithm aes 256; hash_algorithm sha256;
         authentication_method rsasig; dh_group modp2048; } }
         sainfo subnet 10.0.0.0/8 any address 10.1.0.0/16 tcp { encryption_algorithm aes 192, aes 128;
         authentication_algorithm hmac_sha1; compression_algorithm deflate; }",
    );
    assert_eq!(strange, plain);
}

#[test]
fn ends_of_sainfos() {
    let ends = [
        ("anonymous", "anonymous", 0),
        ("anonymous clientaddr", "anonymous clientaddr", 1),
        ("anonymous address 10.0.0.1 any", "anonymous subnet 10.0.0.1/32[any] any", 1),
        ("subnet 0.0.0.0/0 any anonymous", "subnet 0.0.0.0/0[any] any anonymous", 1),
        ("address 10.0.0.8-10.0.0.9[53] udp clientaddr", "address 10.0.0.8-10.0.0.9[53] 17 clientaddr", 2),
        ("address 2001:db8::/32 icmp6 fqdn \"a\"", "subnet 2001:db8::/32[any] 58 fqdn \"a\"", 2),
        ("user_fqdn \"a@b\" keyid \"k\"", "user_fqdn \"a@b\" keyid \"k\"", 2),
        ("anonymous from fqdn \"a\"", "anonymous from fqdn \"a\"", 3),
        ("anonymous from address 192.0.2.1", "anonymous from address 192.0.2.1", 3),
        ("anonymous group \"g\"", "anonymous group \"g\"", 0),
    ];
    for (head, printed, priority) in ends {
        // That no policy has such ends is a warning.
        let config = load_text(&format!("sainfo {head} {SAINFO}")).config.unwrap();
        assert!(config.to_text(Passwords::Hidden).contains(&format!("sainfo {printed} {{")), "{head}");
        assert_eq!(config.sainfos[0].priority(), priority, "{head}");
    }
}

#[test]
fn sainfos_are_in_search_order() {
    let file = format!(
        "sainfo anonymous {SAINFO}sainfo anonymous clientaddr {SAINFO}sainfo anonymous from fqdn \"a\" {SAINFO}\
         sainfo address 10.0.0.1 any address 10.0.0.2 any {SAINFO}sainfo address 10.0.0.3 any anonymous {SAINFO}"
    );
    let lines: Vec<u32> = config(&file).sainfos.iter().map(|sainfo| sainfo.place.line).collect();
    assert_eq!(lines, [3, 4, 2, 5, 1]);
}

#[test]
fn aead_needs_no_authentication() {
    config("sainfo anonymous { encryption_algorithm aes_gcm; compression_algorithm deflate; }");
    let load = load_text("sainfo anonymous { encryption_algorithm aes_gcm, aes; compression_algorithm deflate; }");
    assert_eq!(messages(&load), ["a.conf:1:86: no authentication algorithm"]);
}

#[test]
fn plain_rsa_key_switches_certificates_off() {
    let number = "0x01";
    let fields = ["Modulus", "PublicExponent", "PrivateExponent", "Prime1", "Prime2", "Exponent1", "Exponent2"];
    let private: String = fields.iter().map(|name| format!("{name}: {number}\n")).collect();
    let remote = REMOTE.replace("exchange_mode", "certificate_type plain_rsa \"/k\"; send_cr on; exchange_mode");
    let files = || Files::default().with("a.conf", &remote);
    let key = format!(": RSA {{ {private} Coefficient: 0x02 }}");
    let load = load("a.conf", &files().with("/k", &key));
    assert!(load.problems.len() == 1 && load.problems[0].message.contains("verify_cert off"), "{}", show(&load));
    let config = load.config.unwrap();
    assert_eq!((config.remotes[0].send_cert, config.remotes[0].send_cr), (false, true));
    // Without its mode.
    let load = super::load("a.conf", &files().with_mode("/k", &key, 0, 0o644));
    assert_eq!(messages(&load), ["a.conf:1:47: Couldn't parse keyfile."]);
    assert!(show(&load).contains("/k: mode 0644 is too open"), "{}", show(&load));
}

#[test]
fn passphrases() {
    let certificate = |directive: &str| {
        let text = format!(
            "path certificate \"/c\"; remote 192.0.2.1 {{ {directive} exchange_mode main; proposal {{ \
             encryption_algorithm aes; hash_algorithm sha256; authentication_method rsasig; dh_group 14; }} }}"
        );
        let files = ["a.pem", "a.key", "a.p12", "a.pass"];
        let files = files.iter().fold(Files::default(), |files, name| files.with(&format!("/c/{name}"), ""));
        let load = load("b.conf", &files.with("b.conf", text));
        let config = load.config.unwrap_or_else(|| panic!("{:?}", load.problems));
        let printed = config.to_text(Passwords::Hidden);
        let line = printed.lines().find(|line| line.contains("certificate_type")).unwrap().trim().to_owned();
        (config.remotes[0].certificate.clone().unwrap(), line)
    };
    let (pkcs12, printed) = certificate("certificate_type pkcs12 \"a.p12\" passphrase \"a.pass\";");
    let file: Box<Path> = Path::new("/c/a.p12").into();
    let passphrase = Some(Passphrase::File(Path::new("/c/a.pass").into()));
    assert_eq!(pkcs12, OwnCertificate::X509 { certificate: file.clone(), key: file, passphrase });
    assert_eq!(printed, "certificate_type x509 \"/c/a.p12\" \"/c/a.p12\" passphrase \"/c/a.pass\";");
    assert_eq!(certificate(&printed), (pkcs12, printed));
    let (x509, printed) = certificate("certificate_type x509 \"a.pem\" \"a.key\" passphrase credential \"a\";");
    assert_eq!(printed, "certificate_type x509 \"/c/a.pem\" \"/c/a.key\" passphrase credential \"a\";");
    assert_eq!(certificate(&printed), (x509.clone(), printed));
    let OwnCertificate::X509 { passphrase: Some(passphrase), .. } = x509 else { panic!("{x509:?}") };
    assert_eq!(passphrase.path(None), None);
    assert_eq!(passphrase.path(Some(Path::new("/run/c"))), Some("/run/c/a".into()));
}
