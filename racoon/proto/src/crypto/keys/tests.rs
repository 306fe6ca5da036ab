//! Keys and hashes.
//!
//! Where nobody has published values they were computed by a second implementation, Python's hmac and hashlib, with
//!
//! ```text
//! prf = lambda k, *p: hmac.new(k, b''.join(p), h).digest()
//! ni, nr = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x50))
//! gxy = bytes(range(96)); cookies = bytes.fromhex('0123456789abcdef fedcba9876543210')
//! ```
//!
//! and the formulas of RFC 2409 section 5.

use super::*;
use crate::crypto::hex;
use crate::num::{AuthMethod, Cipher, Group};

const COOKIE_I: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const COOKIE_R: [u8; 8] = [0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10];
const MESSAGE_ID: u32 = 0xc0ff_ee01;
const SPI: u32 = 0x0a0b_0c0d;

fn nonces() -> (Vec<u8>, Vec<u8>) {
    ((0x10..0x20).collect(), (0x40..0x50).collect())
}

fn g_xy() -> Secret {
    Secret::from((0..96).collect::<Vec<u8>>())
}

fn psk() -> Secret {
    Secret::from(b"an example of a pre-shared key".to_vec())
}

fn terms(hash: Hash, cipher: Cipher, key_length: u16) -> Phase1Terms {
    let (group, method, lifetime) = (Group::MODP768, AuthMethod::PRE_SHARED_KEY, 28800);
    Phase1Terms { cipher, key_length, hash, group, method, lifetime }
}

fn text(secret: &Secret) -> String {
    hex::text(secret.as_bytes())
}

fn sha1_keys() -> (Secret, Phase1Keys) {
    let (ni, nr) = nonces();
    let skeyid = skeyid_psk(Hash::SHA1, &psk(), &ni, &nr).unwrap();
    let terms = terms(Hash::SHA1, Cipher::AES, 256);
    let keys = Phase1Keys::derive(&terms, &skeyid, &g_xy(), &COOKIE_I, &COOKIE_R).unwrap();
    (skeyid, keys)
}

/// From the sample vectors of NIST's ACVP server for IKEv1 (SP 800-135), SHA-512, test case 4500. SKEYID is given
/// there; its nonces are not whole bytes.
#[test]
fn keys_of_phase_1_are_those_of_nist() {
    let skeyid = hex::bytes(
        "dd3a8d4c3799c3b4a3f9b13746f5952bf9ff3576ae0a2b15e79d375aca47a7ce\
         da5c3f04a63f67ba9b47940c7830d60b898355bd634d85e029115e81714b779a",
    );
    let g_xy = hex::bytes("1b40754a477a43443ec89c5dffd7502cb1cbe1bb52f8e0b8af34ff51");
    let cookie_i = 0x4937_47ba_a023_a654_u64.to_be_bytes();
    let cookie_r = 0x2d69_7598_4a71_7a19_u64.to_be_bytes();
    let terms = terms(Hash::SHA512, Cipher::BLOWFISH, 448);
    let keys = Phase1Keys::derive(&terms, &skeyid.into(), &g_xy.into(), &cookie_i, &cookie_r).unwrap();
    let d = "d5d1c38169e3df23dd4ba318045220960ac225c45d4f1c2360e8d0c31459b6ad\
             88e425f7d4b2d12d82d1e40668d9a50e376630db2ebee21225e38b0cdd64ceee";
    let a = "070a6f4e62d34a6a20d686761fcd12d006664dffdf7d2bf7bafbcd1e5dfd75f6\
             5a4c7d50d9211d7cfddba40140f4fe086fe9be2849434a61c839fa80b591f65f";
    let e = "a342159497df4bfadf4d5db0d631d56776595a0c976ac07a1a0d4cef396b9214\
             a6351912e349b62d8db07abfdb953445b6367ee3349994d362f48305fe49881b";
    assert_eq!(text(&keys.d), d);
    assert_eq!(text(&keys.a), a);
    assert_eq!(text(keys.cipher.key()), e[..112]);
}

#[test]
fn skeyid_is_of_the_key_or_of_the_nonces() {
    let (ni, nr) = nonces();
    for (hash, with_psk, with_signature) in [
        (Hash::MD5, "7014487803602a7a01351b41d8925e2a", "c9a92592624a5d2251332404e33f90a1"),
        (Hash::SHA1, "9416bdfa77b57286e179127d9a324f06947ad40c", "5942d506e2118f065113d60f01063a884d510b50"),
        (
            Hash::SHA256,
            "2b677470b3c9094062048b007ffa97a2dae5b30fb90a449b5ef0274a19e93b0e",
            "cdca8a5ffa75baf3b43ddc1dbb198600498346282c03126f4a23e95e51aceea5",
        ),
        (
            Hash::SHA384,
            "032944c1dce13e0297e0d6035b03f70bdb182695e26d162f2a47bff35f36947fdabfa0d32e8c81850f71f25e9c4a5622",
            "ff0fce16d68f0ffaad3d5cdc07558fd07b1f609d4dc153951ae8bdcc8a0b064d3d9ef61567e59d6ac871c101548f9406",
        ),
    ] {
        assert_eq!(text(&skeyid_psk(hash, &psk(), &ni, &nr).unwrap()), with_psk, "{hash}");
        assert_eq!(text(&skeyid_signature(hash, &ni, &nr, &g_xy()).unwrap()), with_signature, "{hash}");
    }
}

#[test]
fn keys_of_phase_1() {
    let (_, keys) = sha1_keys();
    assert_eq!(keys.hash, Hash::SHA1);
    assert_eq!(text(&keys.d), "93cc997262822ebcf86e2840c16215539980bdae");
    assert_eq!(text(&keys.a), "7192092be0163c3cdac47f893594534220e4a066");
    let expanded = "7ef1286a8ed9a67e5b2048ddf5060b675316924e9ef2caacf522e4acadc13b8b";
    assert_eq!(text(keys.cipher.key()), expanded);
}

#[test]
fn the_two_sides_have_their_own_hashes() {
    let (skeyid, _) = sha1_keys();
    let (g_xi, g_xr, sa_i) = ([0x11; 96], [0x22; 96], [0x33; 40]);
    let input = HashInput { g_xi: &g_xi, g_xr: &g_xr, cookie_i: &COOKIE_I, cookie_r: &COOKIE_R, sa_i: &sa_i };
    let (id_ii, id_ir) = (hex::bytes("011101f4c0000201"), hex::bytes("011101f4c0000202"));
    let hash_i = input.hash_i(Hash::SHA1, &skeyid, &id_ii).unwrap();
    let hash_r = input.hash_r(Hash::SHA1, &skeyid, &id_ir).unwrap();
    assert_eq!(text(&hash_i), "7a4e2c9a255d18ec2288062841dbaef61cecfb3f");
    assert_eq!(text(&hash_r), "e89e0f6e89e4eb62e439011a213b448194a23273");
}

#[test]
fn hashes_after_phase_1() {
    let (_, keys) = sha1_keys();
    let ((ni, nr), rest) = (nonces(), [0x44; 50]);
    let hash1 = keys.hash1(MESSAGE_ID, &rest).unwrap();
    let hash2 = keys.hash2(MESSAGE_ID, &ni, &rest).unwrap();
    let hash3 = keys.hash3(MESSAGE_ID, &ni, &nr).unwrap();
    assert_eq!(text(&hash1), "7c73c315cb1510c8744732fbf9f3c28a1c544999");
    assert_eq!(text(&hash2), "aeed6d461d57690f833855cac11d57ec8ad5f022");
    assert_eq!(text(&hash3), "1b0d69b9fc232172a0b0c4a663e40d4b256f870f");
}

#[test]
fn keymat_is_as_long_as_it_takes() {
    let (_, keys) = sha1_keys();
    let (ni, nr) = nonces();
    let seed = Phase2Seed { g_xy: None, ni: &ni, nr: &nr };
    let esp = keys.keymat(&seed, Protocol::ESP, SPI, 44).unwrap();
    let expected = "ab4cd0cd2c3fc1cf7cf0e196e05e6088717e08fea6c60d3d63ae02511958e90fee34a85b1be5c735a3f31af2";
    assert_eq!(text(&esp), expected);
    for length in 0..=44 {
        let shorter = keys.keymat(&seed, Protocol::ESP, SPI, length).unwrap();
        assert_eq!(shorter.as_bytes(), &esp.as_bytes()[..length]);
    }
}

#[test]
fn keymat_depends_on_protocol_spi_and_pfs() {
    let (_, keys) = sha1_keys();
    let ((ni, nr), g_xy) = (nonces(), g_xy());
    let (plain, pfs) =
        (Phase2Seed { g_xy: None, ni: &ni, nr: &nr }, Phase2Seed { g_xy: Some(&g_xy), ni: &ni, nr: &nr });
    let ah = keys.keymat(&pfs, Protocol::AH, SPI, 16).unwrap();
    assert_eq!(text(&ah), "a844c7d443fbecb0a76d7060fe5df964");
    let others = [
        keys.keymat(&plain, Protocol::AH, SPI, 16).unwrap(),
        keys.keymat(&pfs, Protocol::ESP, SPI, 16).unwrap(),
        keys.keymat(&pfs, Protocol::AH, SPI + 1, 16).unwrap(),
    ];
    assert!(others.iter().all(|other| *other != ah));
}

#[test]
fn nothing_secret_is_shown() {
    let (_, keys) = sha1_keys();
    let shown = format!("{keys:?}");
    let expected = "Phase1Keys { hash: Hash(sha1), d: Secret(20 bytes), a: Secret(20 bytes), \
                    cipher: CipherKey(aes, 256 bits) }";
    assert_eq!(shown, expected);
}
