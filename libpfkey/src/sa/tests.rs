//! What the builder refuses, and how it says so.

use super::*;

fn ends() -> (IpAddr, IpAddr) {
    ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap())
}

fn esp() -> SaBuilder {
    let (source, destination) = ends();
    SaSpec::esp(source, destination, 0x1001)
}

#[track_caller]
fn refused(builder: SaBuilder, expected: &str) {
    assert_eq!(builder.build().unwrap_err().to_string(), expected);
}

#[test]
fn algorithms_that_do_not_go_together() {
    let (source, destination) = ends();
    refused(esp(), "esp needs an encryption algorithm: use Encryption::Null for authentication alone");
    refused(
        esp().encryption(Encryption::AesGcm16, &[1; 20]).authentication(Authentication::HmacSha256, &[1; 32]),
        "aes-gcm-16 authenticates packets itself: leave out hmac-sha256",
    );
    refused(
        SaSpec::ah(source, destination, 256)
            .encryption(Encryption::AesCbc, &[1; 16])
            .authentication(Authentication::HmacSha1, &[1; 20]),
        "an SA of type Ah takes no encryption algorithm",
    );
    refused(SaSpec::ipcomp(source, destination, 256), "ipcomp needs a compression algorithm");
    refused(
        esp().encryption(Encryption::Null, &[]).authentication(Authentication::TcpMd5, b"secret"),
        "tcp-md5 is for TCP-MD5 SAs alone: use SaSpec::tcp_md5",
    );
}

#[test]
fn names_that_no_kernel_takes() {
    let (source, destination) = ends();
    let null = |builder: SaBuilder| builder.encryption(Encryption::Null, &[]);
    refused(null(SaSpec::esp(source, destination, 255)), "SPI 255 is reserved (RFC 4303): use 256 or more");
    let ipv6 = "2001:db8::1".parse().unwrap();
    refused(null(SaSpec::esp(source, ipv6, 256)), "192.0.2.1 and 2001:db8::1 are of different address families");
    let ah = SaSpec::ah(source, destination, 256).authentication(Authentication::HmacSha1, &[1; 20]);
    refused(
        ah.encapsulation(UdpEncapsulation::new(4500, 4500)),
        "only esp can be encapsulated in UDP (RFC 3948), not Ah",
    );
}

#[test]
fn key_lengths() {
    refused(esp().encryption(Encryption::AesCbc, b"short"), "aes-cbc takes keys of 128, 192, 256 bits, not 40");
    refused(
        esp().encryption(Encryption::Null, &[]).authentication(Authentication::HmacSha1, &[1; 16]),
        "hmac-sha1 takes keys of 160 bits, not 128",
    );
    // The salt counts.
    refused(esp().encryption(Encryption::AesGcm16, &[1; 16]), "aes-gcm-16 takes keys of 160, 224, 288 bits, not 128");
    let (source, destination) = ends();
    refused(SaSpec::tcp_md5(source, destination, &[1; 81]), "tcp-md5 takes keys of 8 to 640 bits, not 648");
}

#[test]
fn keys_are_not_shown() {
    let sa = esp().encryption(Encryption::AesCbc, b"sixteen byte key").build().unwrap();
    let shown = format!("{sa:?}");
    assert!(shown.contains("SecretKey(128 bits)") && !shown.contains("115, 105"), "{shown}");
}

#[test]
fn modes_have_numbers() {
    for number in 0..=u8::MAX {
        assert_eq!(u8::from(Mode::from(number)), number);
    }
}
