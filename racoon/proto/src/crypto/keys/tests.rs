//! Keys and hashes.
//!
//! SKEYID and what phase 1 makes of it are compared with NIST's values. For the hashes and for KEYMAT neither NIST nor an
//! RFC has published any: they were computed by a second implementation, Python's hmac and hashlib, with
//!
//! ```text
//! prf = lambda k, *p: hmac.new(k, b''.join(p), h).digest()
//! ni, nr = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x50))
//! gxy = bytes(range(96)); cookies = bytes.fromhex('0123456789abcdef fedcba9876543210')
//! ```
//!
//! and the formulas of RFC 2409 section 5.

use std::collections::HashMap;

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

fn sha1_keys() -> (Prf, Phase1Keys) {
    let (ni, nr) = nonces();
    let skeyid = skeyid_psk(Hash::SHA1, &psk(), &ni, &nr).unwrap();
    let terms = terms(Hash::SHA1, Cipher::AES, 256);
    let keys = Phase1Keys::derive(&terms, &skeyid, &g_xy(), &COOKIE_I, &COOKIE_R).unwrap();
    (skeyid, keys)
}

/// One of NIST's test cases.
struct Vector {
    name: &'static str,
    hash: Hash,
    values: HashMap<&'static str, Vec<u8>>,
}

impl Vector {
    fn all() -> Vec<Self> {
        let mut vectors: Vec<Self> = Vec::new();
        let mut field = "";
        for line in include_str!("nist.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                vectors.push(Self { name, hash: hash(name), values: HashMap::new() });
                continue;
            }
            let mut digits = line;
            if let Some((name, value)) = line.split_once(" =") {
                (field, digits) = (name, value);
            }
            vectors.last_mut().unwrap().values.entry(field).or_default().extend(hex::bytes(digits));
        }
        vectors
    }

    fn skeyid(&self) -> Prf {
        let (ni, nr) = (&self.values["Ni"], &self.values["Nr"]);
        let skeyid = match self.values.get("pre-shared-key") {
            Some(psk) => skeyid_psk(self.hash, &psk.clone().into(), ni, nr),
            None => skeyid_signature(self.hash, ni, nr, &self.secret("g^xy")),
        };
        skeyid.unwrap()
    }

    fn keys(&self) -> Phase1Keys {
        // The one cipher that takes SKEYID_e as it is, up to 56 bytes of it.
        let bits = u16::try_from(8 * self.values["SKEYID_e"].len()).unwrap().min(448);
        let terms = terms(self.hash, Cipher::BLOWFISH, bits);
        let cookie = |name| <&[u8; 8]>::try_from(self.values[name].as_slice()).unwrap();
        let (cookie_i, cookie_r) = (cookie("CKY_I"), cookie("CKY_R"));
        let skeyid = Prf::new(self.hash, &self.values["SKEYID"]).unwrap();
        Phase1Keys::derive(&terms, &skeyid, &self.secret("g^xy"), cookie_i, cookie_r).unwrap()
    }

    fn secret(&self, name: &str) -> Secret {
        self.values[name].clone().into()
    }
}

fn hash(name: &str) -> Hash {
    match name.split(' ').next().unwrap() {
        "SHA-1" => Hash::SHA1,
        "SHA2-256" => Hash::SHA256,
        "SHA2-384" => Hash::SHA384,
        "SHA2-512" => Hash::SHA512,
        other => panic!("{other}"),
    }
}

#[test]
fn skeyid_and_the_keys_of_phase_1_are_those_of_nist() {
    let vectors = Vector::all();
    assert_eq!(vectors.len(), 8);
    for vector in &vectors {
        let (name, keys) = (vector.name, vector.keys());
        let encryption = keys.cipher.key();
        assert_eq!(text(&vector.skeyid().key()), hex::text(&vector.values["SKEYID"]), "SKEYID {name}");
        assert_eq!(text(&keys.d.key()), hex::text(&vector.values["SKEYID_d"]), "SKEYID_d {name}");
        assert_eq!(text(&keys.a.key()), hex::text(&vector.values["SKEYID_a"]), "SKEYID_a {name}");
        assert_eq!(encryption.as_bytes(), &vector.values["SKEYID_e"][..encryption.as_bytes().len()], "SKEYID_e {name}");
    }
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
        assert_eq!(text(&skeyid_psk(hash, &psk(), &ni, &nr).unwrap().key()), with_psk, "{hash}");
        assert_eq!(text(&skeyid_signature(hash, &ni, &nr, &g_xy()).unwrap().key()), with_signature, "{hash}");
    }
}

#[test]
fn keys_of_phase_1() {
    let (_, keys) = sha1_keys();
    assert_eq!(keys.hash, Hash::SHA1);
    assert_eq!(text(&keys.d.key()), "93cc997262822ebcf86e2840c16215539980bdae");
    assert_eq!(text(&keys.a.key()), "7192092be0163c3cdac47f893594534220e4a066");
    let expanded = "7ef1286a8ed9a67e5b2048ddf5060b675316924e9ef2caacf522e4acadc13b8b";
    assert_eq!(text(keys.cipher.key()), expanded);
}

#[test]
fn the_two_sides_have_their_own_hashes() {
    let (skeyid, _) = sha1_keys();
    let (g_xi, g_xr, sa_i) = ([0x11; 96], [0x22; 96], [0x33; 40]);
    let input = HashInput { g_xi: &g_xi, g_xr: &g_xr, cookie_i: &COOKIE_I, cookie_r: &COOKIE_R, sa_i: &sa_i };
    let (id_ii, id_ir) = (hex::bytes("011101f4c0000201"), hex::bytes("011101f4c0000202"));
    let hash_i = input.hash_i(&skeyid, &id_ii).unwrap();
    let hash_r = input.hash_r(&skeyid, &id_ir).unwrap();
    assert_eq!(text(&hash_i), "7a4e2c9a255d18ec2288062841dbaef61cecfb3f");
    assert_eq!(text(&hash_r), "e89e0f6e89e4eb62e439011a213b448194a23273");
}

/// With a pre-shared key, K is SKEYID; with signatures, it is hash(Ni_b | Nr_b), here SHA-1.
#[test]
fn hashes_of_base_mode() {
    let (skeyid, _) = sha1_keys();
    let (g_xi, g_xr, sa_i) = ([0x11; 96], [0x22; 96], [0x33; 40]);
    let input = HashInput { g_xi: &g_xi, g_xr: &g_xr, cookie_i: &COOKIE_I, cookie_r: &COOKIE_R, sa_i: &sa_i };
    let id_ii = hex::bytes("011101f4c0000201");
    let hash_i = input.base_mode_hash_i(&skeyid, &id_ii).unwrap();
    assert_eq!(text(&hash_i), "c75074b5a9004bfdd355e9d4ec8ed34844cf5f84");
    let (ni, nr) = nonces();
    let key = crate::crypto::digest(Hash::SHA1, &[&ni, &nr]).unwrap();
    let prf = Prf::new(Hash::SHA1, &key).unwrap();
    assert_eq!(text(&input.base_mode_hash_i(&prf, &id_ii).unwrap()), "e72b84cf93c84e29ac588fd9b4b4b144a135c261");
    assert_eq!(text(&input.base_mode_signed_hash_r(&prf, &id_ii).unwrap()), "9456329430beb16ed0a5a4f6977f46547d6b9ac7");
    // ECDSA with P-384 has SHA-384, whatever was negotiated.
    let hash_i = input.base_mode_hash_i(&prf.with_hash(Hash::SHA384).unwrap(), &id_ii).unwrap();
    let expected = "6ee0f0a7fd7f10186afc738f0b2efc3a28805e336fbbe406fab2f6f291e81bd8e3efa1c22a47e3fe8f5e8c147b216a87";
    assert_eq!(text(&hash_i), expected);
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
    let expected = "Phase1Keys { hash: Hash(sha1), d: Prf(20 bytes), a: Prf(20 bytes), \
                    cipher: CipherKey(aes, 256 bits) }";
    assert_eq!(shown, expected);
}
