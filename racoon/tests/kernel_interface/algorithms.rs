//! The kernel accepts every algorithm that it lists, and others are refused with an explanation.

use std::process::Command;

use libpfkey::backend::BackendKind;
use racoon_proto::config::{Authentication, Encryption, Esn, RemoteSide, Sainfo, Side};
use racoon_proto::crypto::{auth_key_length, esp_key_length};
use racoon_proto::kernel::{KernelRequest, SaTransform, UdpPorts, Way};
use racoon_proto::num::{AuthAlgorithm, EspTransform, IpcompTransform, Protocol};

use crate::lab::{Lab, aes_sha1, sa, secret};
use crate::with_each_backend;

const ENCRYPTION: &[(EspTransform, &[u16])] = &[
    (EspTransform::NULL, &[0]),
    (EspTransform::DES, &[0]),
    (EspTransform::TRIPLE_DES, &[0]),
    (EspTransform::CAST128, &[40, 128]),
    (EspTransform::BLOWFISH, &[40, 128, 448]),
    (EspTransform::AES, &[128, 192, 256]),
    (EspTransform::AES_CTR, &[128, 192, 256]),
    (EspTransform::AES_CCM_8, &[128, 192, 256]),
    (EspTransform::AES_CCM_12, &[128, 256]),
    (EspTransform::AES_CCM_16, &[128, 256]),
    (EspTransform::AES_GCM_8, &[128, 192, 256]),
    (EspTransform::AES_GCM_12, &[128, 256]),
    (EspTransform::AES_GCM_16, &[128, 192, 256]),
    (EspTransform::CAMELLIA, &[128, 192, 256]),
    (EspTransform::AES_GMAC, &[128, 256]),
    (EspTransform::TWOFISH, &[128, 256]),
];

const AUTHENTICATION: &[AuthAlgorithm] = &[
    AuthAlgorithm::HMAC_MD5,
    AuthAlgorithm::HMAC_SHA1,
    AuthAlgorithm::HMAC_SHA256,
    AuthAlgorithm::HMAC_SHA384,
    AuthAlgorithm::HMAC_SHA512,
    AuthAlgorithm::AES_XCBC,
];

#[test]
fn esp_ciphers() {
    with_each_backend(|lab| {
        for (transform, lengths) in ENCRYPTION {
            let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
            sainfo.encryption = vec![Encryption { transform: *transform, key_length: 0 }];
            let missing = lab.interface.capabilities().missing(&sainfo);
            let has_aead = lab.choice == BackendKind::Xfrm;
            assert_eq!(missing.is_empty(), has_aead || !transform.is_aead(), "{transform}: {missing:?}");
            for bits in *lengths {
                let esp = || {
                    let key = secret(esp_key_length(*transform, *bits).unwrap());
                    let sha1 = (AuthAlgorithm::HMAC_SHA1.into(), secret(20));
                    let authentication = (!transform.is_aead()).then_some(sha1);
                    SaTransform::Esp { encryption: (*transform, key), authentication }
                };
                pair(lab, &format!("{transform} {bits}"), esp, missing.is_empty());
            }
        }
    });
}

#[test]
fn authentication_algorithms() {
    with_each_backend(|lab| {
        for algorithm in AUTHENTICATION {
            let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
            sainfo.authentication = vec![(*algorithm).into()];
            assert_eq!(lab.interface.capabilities().missing(&sainfo), [""; 0]);
            let key = || secret(auth_key_length(*algorithm).unwrap());
            let ah = || SaTransform::Ah { authentication: ((*algorithm).into(), key()) };
            pair(lab, &format!("ah {algorithm}"), ah, true);
            let esp = || SaTransform::Esp {
                encryption: (EspTransform::AES, secret(16)),
                authentication: Some(((*algorithm).into(), key())),
            };
            pair(lab, &format!("esp {algorithm}"), esp, true);
        }
        let bare = || SaTransform::Esp { encryption: (EspTransform::AES, secret(16)), authentication: None };
        pair(lab, "esp without authentication", bare, true);
        pair(lab, "ipcomp", || SaTransform::Ipcomp(IpcompTransform::DEFLATE), true);
        let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
        sainfo.encryption = vec![Encryption { transform: EspTransform::RC4, key_length: 0 }];
        sainfo.authentication = vec![AuthAlgorithm::KPDK.into(), AuthAlgorithm::NONE.into()];
        let missing = lab.interface.capabilities().missing(&sainfo);
        assert_eq!(missing, ["the kernel has no ESP with rc4", "the kernel has no authentication with kpdk"]);
    });
}

/// Installs a pair of SAs and deletes it again.
fn pair(lab: &mut Lab, what: &str, transform: impl Fn() -> SaTransform, works: bool) {
    let outbound = sa(Way::Outbound, 0x1234, transform(), 3600);
    let outbound_name = outbound.name;
    let spi = lab.allocate(outbound_name.protocol, 0);
    let inbound = sa(Way::Inbound, spi, transform(), 3600);
    let inbound_name = inbound.name;
    let results = [lab.install(inbound), lab.install(outbound)];
    assert!(results.iter().all(|result| result.is_ok() == works), "{what}: {results:?}");
    assert_eq!(lab.gone(), [], "{what}: all are there");
    for name in [inbound_name, outbound_name] {
        lab.ask(KernelRequest::Delete(name));
    }
    assert!(lab.events().is_empty(), "{what}");
    assert_eq!(states(), "", "{what}");
}

/// Returns the SAs in the kernel.
fn states() -> String {
    let output = Command::new("ip").args(["xfrm", "state"]).output().expect("ip");
    String::from_utf8(output.stdout).expect("text")
}

fn sha256(truncated: bool) -> SaTransform {
    let authentication = Authentication { algorithm: AuthAlgorithm::HMAC_SHA256, truncated };
    SaTransform::Ah { authentication: (authentication, secret(32)) }
}

#[test]
fn sha256_as_in_rfc_4868() {
    with_each_backend(|lab| {
        for (truncated, bits) in [(false, if lab.choice == BackendKind::Xfrm { 128 } else { 96 }), (true, 96)] {
            let installation = sa(Way::Outbound, 0x1234, sha256(truncated), 3600);
            let name = installation.name;
            lab.install(installation).unwrap();
            let states = states();
            let key = "5a".repeat(32);
            assert!(states.contains(&format!("auth-trunc hmac(sha256) 0x{key} {bits}\n")), "{states}");
            lab.ask(KernelRequest::Delete(name));
        }
        lab.install(sa(Way::Outbound, 0x1235, sha256(false), 3600)).unwrap();
        let records = lab.records.lock().unwrap();
        assert_eq!(records.len(), usize::from(lab.choice == BackendKind::PfKey), "said once: {records:?}");
        assert_eq!(lab.interface.capabilities().truncates_sha256(), lab.choice == BackendKind::PfKey);
    });
}

#[test]
fn replay_windows_and_esn() {
    with_each_backend(|lab| {
        lab.install(sa(Way::Outbound, 0x1234, aes_sha1(), 3600)).unwrap();
        let seen = states();
        let window = if lab.choice == BackendKind::Xfrm { "replay_window 64," } else { "replay-window 32 " };
        assert!(seen.contains(window), "{seen}");
        let mut esn = sa(Way::Outbound, 0x1235, aes_sha1(), 3600);
        esn.esn = true;
        let installed = lab.install(esn);
        let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
        sainfo.esn = Esn::On;
        let missing = lab.interface.capabilities().missing(&sainfo);
        if lab.choice == BackendKind::Xfrm {
            installed.unwrap();
            assert!(missing.is_empty());
            assert!(states().contains("flag esn"), "{}", states());
        } else {
            let text = "a PF_KEY message of linux has no place for extended sequence numbers";
            assert_eq!(installed.unwrap_err().to_string(), text);
            assert_eq!(missing, [text]);
        }
    });
}

#[test]
fn esp_in_udp() {
    with_each_backend(|lab| {
        let spi = lab.allocate(Protocol::ESP, 0);
        let mut inbound = sa(Way::Inbound, spi, aes_sha1(), 3600);
        inbound.udp = Some(UdpPorts { source: 14_500, destination: 4500 });
        lab.install(inbound).unwrap();
        let states = states();
        assert!(states.contains("encap type espinudp sport 14500 dport 4500 "), "{states}");
        // The byte limit is set too.
        assert!(!states.contains("(INF)(bytes)"), "{states}");
    });
}
