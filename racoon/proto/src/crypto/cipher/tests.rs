//! Ciphers against published vectors; chains of messages; lengths and keys that are refused.

use proptest::prelude::*;

use super::*;
use crate::crypto::hex;

/// A cipher with just this key.
fn keyed(cipher: Cipher, key: &str) -> CipherKey {
    let key = hex::bytes(key);
    let bits = u16::try_from(key.len() * 8).unwrap();
    // Behind it something that must not be used.
    let made = CipherKey::derive(cipher, bits, Hash::SHA1, &[&key[..], b"behind"].concat()).unwrap();
    assert_eq!(made.key().as_bytes(), key);
    made
}

fn iv(bytes: &str) -> Iv {
    let bytes = hex::bytes(bytes);
    Iv::cut(&bytes, bytes.len())
}

/// Encrypts and decrypts, and looks at the IVs for the next message.
fn check(key: &CipherKey, first: &str, plain: &str, encrypted: &str) {
    let (plain, encrypted) = (hex::bytes(plain), hex::bytes(encrypted));
    let mut message = plain.clone();
    let mut chain = iv(first);
    key.encrypt(&mut chain, &mut message).unwrap();
    assert_eq!(hex::text(&message), hex::text(&encrypted), "{key:?}");
    assert_eq!(chain.as_bytes(), encrypted.rchunks(key.block_length()).next().unwrap(), "{key:?}");
    let next = key.decrypt(&iv(first), &mut message).unwrap();
    assert_eq!(hex::text(&message), hex::text(&plain), "{key:?}");
    assert_eq!(next, chain, "{key:?}");
}

const ZERO_8: &str = "0000000000000000";
const ZERO_16: &str = "00000000000000000000000000000000";

/// NIST SP 800-38A appendix F.2, the first two blocks.
#[test]
fn aes() {
    let first = "000102030405060708090a0b0c0d0e0f";
    let plain = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51";
    for (key, encrypted) in [
        ("2b7e151628aed2a6abf7158809cf4f3c", "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2"),
        (
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d",
        ),
    ] {
        check(&keyed(Cipher::AES, key), first, plain, encrypted);
    }
}

/// RFC 3713 appendix A: one block, which is what CBC makes of it with an IV of zeros.
#[test]
fn camellia() {
    let plain = "0123456789abcdeffedcba9876543210";
    for (key, encrypted) in [
        ("0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43"),
        ("0123456789abcdeffedcba98765432100011223344556677", "b4993401b3e996f84ee5cee7d79b09b9"),
        ("0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "9acc237dff16d76c20ef7c919e3a7509"),
    ] {
        check(&keyed(Cipher::CAMELLIA, key), ZERO_16, plain, encrypted);
    }
}

/// FIPS 81 table C1.
#[test]
fn des() {
    let key = keyed(Cipher::DES, "0123456789abcdef");
    let plain = hex::text(b"Now is the time for all ");
    check(&key, "1234567890abcdef", &plain, "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6");
}

/// The vector for CBC that came with Eric Young's libdes.
#[test]
fn triple_des() {
    let key = keyed(Cipher::TRIPLE_DES, "0123456789abcdeff1e0d3c2b5a49786fedcba9876543210");
    let plain = "37363534333231204e6f77206973207468652074696d6520666f722000000000";
    let encrypted = "3fe301c962ac01d02213763c1cbd4cdc799657c064ecf5d41c673812cfde9675";
    check(&key, "fedcba9876543210", plain, encrypted);
}

/// Bruce Schneier's vectors, by Eric Young: CBC, and keys of several lengths.
#[test]
fn blowfish() {
    let key = keyed(Cipher::BLOWFISH, "0123456789abcdeff0e1d2c3b4a59687");
    let plain = "37363534333231204e6f77206973207468652074696d6520666f722000000000";
    let encrypted = "6b77b4d63006dee605b156e27403979358deb9e7154616d959f1652bd5ff92cc";
    check(&key, "fedcba9876543210", plain, encrypted);
    for (key, encrypted) in [
        ("f0e1d2c3b4", "b39e44481bdb1e6e"),
        ("f0e1d2c3b4a59687", "e87a244e2cc85e82"),
        ("f0e1d2c3b4a5968778695a4b3c2d1e0f0011223344556677", "05044b62fa52d080"),
    ] {
        check(&keyed(Cipher::BLOWFISH, key), ZERO_8, "fedcba9876543210", encrypted);
    }
}

/// RFC 2144 appendix B.1: keys of 128, 80 and 40 bits.
#[test]
fn cast128() {
    for (key, encrypted) in [
        ("0123456712345678234567893456789a", "238b4fe5847e44b2"),
        ("01234567123456782345", "eb6a711a2c02271b"),
        ("0123456712", "7ac816d16e9b302e"),
    ] {
        check(&keyed(Cipher::CAST128, key), ZERO_8, "0123456789abcdef", encrypted);
    }
}

#[test]
fn no_key_length_is_the_default() {
    let length = |cipher| CipherKey::derive(cipher, 0, Hash::SHA512, &[0x5a; 64]).map(|key| key.key().len());
    assert_eq!(length(Cipher::AES), Ok(16));
    assert_eq!(length(Cipher::CAMELLIA), Ok(16));
    assert_eq!(length(Cipher::BLOWFISH), Ok(16));
    assert_eq!(length(Cipher::CAST128), Ok(16));
    assert_eq!(length(Cipher::DES), Ok(8));
    // Three equal parts.
    assert_eq!(length(Cipher::TRIPLE_DES), Err(CryptoError::WeakKey(Cipher::TRIPLE_DES)));
    assert_eq!(length(Cipher::IDEA), Err(CryptoError::Cipher(Cipher::IDEA, 0)));
}

/// python3: K1 = hmac.new(e, bytes([0]), md5).digest(), K2 = hmac.new(e, K1, md5).digest(), (K1 + K2)[:24].
#[test]
fn a_short_skeyid_e_is_expanded() {
    let e = hex::bytes("03da7065792a50b4a9fbb22ecc11d766");
    let key = CipherKey::derive(Cipher::TRIPLE_DES, 0, Hash::MD5, &e).unwrap();
    assert_eq!(hex::text(key.key().as_bytes()), "ba3fd8674bf670ee7071b5b66554fe6e8284cbd6241b5541");
    let e = hex::bytes("12b4aa8867cb296114617c6afc3a9f5d9b4d61da");
    let key = CipherKey::derive(Cipher::AES, 256, Hash::SHA1, &e).unwrap();
    let expected = "7ef1286a8ed9a67e5b2048ddf5060b675316924e9ef2caacf522e4acadc13b8b";
    assert_eq!(hex::text(key.key().as_bytes()), expected);
    // As long as it is, it is not expanded.
    let key = CipherKey::derive(Cipher::AES, 128, Hash::SHA1, &e).unwrap();
    assert_eq!(key.key().as_bytes(), &e[..16]);
}

#[test]
fn weak_keys_are_refused() {
    let made = |cipher, key: &[u8]| CipherKey::derive(cipher, 0, Hash::SHA1, key).map(|_| ());
    for weak in WEAK_DES_KEYS {
        let refused = Err(CryptoError::WeakKey(Cipher::DES));
        assert_eq!(made(Cipher::DES, &weak.to_be_bytes()), refused, "{weak:016x}");
        // Parity does not make it strong.
        assert_eq!(made(Cipher::DES, &(weak ^ 0x0101_0101_0101_0101).to_be_bytes()), refused, "{weak:016x}");
        assert_eq!(made(Cipher::DES, &(weak ^ 0x0200).to_be_bytes()), Ok(()), "{weak:016x}");
    }
    let (a, b, c) = (*b"first..1", *b"second.2", *b"third..3");
    let mut a_with_parity = a;
    a_with_parity[7] ^= 1;
    let refused = Err(CryptoError::WeakKey(Cipher::TRIPLE_DES));
    assert_eq!(made(Cipher::TRIPLE_DES, &[a, a, c].concat()), refused);
    assert_eq!(made(Cipher::TRIPLE_DES, &[a, a_with_parity, c].concat()), refused);
    assert_eq!(made(Cipher::TRIPLE_DES, &[a, b, b].concat()), refused);
    assert_eq!(made(Cipher::TRIPLE_DES, &[a, b, a].concat()), Ok(()));
    assert_eq!(made(Cipher::TRIPLE_DES, &[a, b, c].concat()), Ok(()));
}

#[test]
fn what_is_not_whole_blocks_is_refused_and_kept() {
    let key = keyed(Cipher::AES, "2b7e151628aed2a6abf7158809cf4f3c");
    for length in [0, 1, 15, 17, 31] {
        let refused = CryptoError::NotBlocks { length, block: 16 };
        let (mut message, mut chain) = (vec![7; length], iv(ZERO_16));
        assert_eq!(key.encrypt(&mut chain, &mut message), Err(refused.clone()));
        assert_eq!(key.decrypt(&chain, &mut message), Err(refused));
        assert_eq!((message, chain), (vec![7; length], iv(ZERO_16)));
    }
    let error = key.decrypt(&iv(ZERO_8), &mut [0; 16]).unwrap_err();
    assert_eq!(error, CryptoError::IvLength { found: 8, block: 16 });
}

/// A forgery that is decrypted does not move the chain: the IV is the caller's.
#[test]
fn decryption_leaves_the_iv_alone() {
    let key = keyed(Cipher::AES, "2b7e151628aed2a6abf7158809cf4f3c");
    let (mut sender, receiver) = (iv(ZERO_16), iv(ZERO_16));
    let mut first = b"first message...".to_vec();
    key.encrypt(&mut sender, &mut first).unwrap();
    key.decrypt(&receiver, &mut [0x66; 32]).unwrap();
    let receiver = key.decrypt(&receiver, &mut first).unwrap();
    assert_eq!(first, b"first message...");
    let mut second = b"second message..".to_vec();
    key.encrypt(&mut sender, &mut second).unwrap();
    key.decrypt(&receiver, &mut second).unwrap();
    assert_eq!(second, b"second message..");
}

/// python3: hashlib.md5(gxi + gxr), and hashlib.md5(last + message_id).
#[test]
fn ivs_are_cut_hashes() {
    let (g_xi, g_xr) = ([0x11; 96], [0x22; 96]);
    let first = Iv::phase1(Hash::MD5, &g_xi, &g_xr, 16).unwrap();
    assert_eq!(format!("{first:?}"), "Iv(8ae7a11cc39173721c71841c622665c8)");
    let next = Iv::phase2(Hash::MD5, &first, 0xc0ff_ee01, 16).unwrap();
    assert_eq!(hex::text(next.as_bytes()), "b470ef08768bede36d4f77195534f1b7");
    let short = Iv::phase1(Hash::MD5, &g_xi, &g_xr, 8).unwrap();
    assert_eq!(hex::text(short.as_bytes()), "8ae7a11cc3917372");
    let next = Iv::phase2(Hash::MD5, &short, 0xc0ff_ee01, 8).unwrap();
    assert_eq!(hex::text(next.as_bytes()), "f7d0cb881c63ce43");
    assert_eq!(Iv::phase1(Hash::TIGER, &g_xi, &g_xr, 8), Err(CryptoError::Hash(Hash::TIGER)));
}

#[test]
fn a_key_is_not_shown() {
    let key = keyed(Cipher::CAST128, "0123456712345678234567893456789a");
    assert_eq!(format!("{key:?}"), "CipherKey(cast128, 128 bits)");
}

fn any_key() -> impl Strategy<Value = CipherKey> {
    let ciphers = prop::sample::select(vec![
        (Cipher::DES, 0),
        (Cipher::TRIPLE_DES, 0),
        (Cipher::BLOWFISH, 160),
        (Cipher::BLOWFISH, 448),
        (Cipher::CAST128, 0),
        (Cipher::AES, 128),
        (Cipher::AES, 192),
        (Cipher::AES, 256),
        (Cipher::CAMELLIA, 256),
    ]);
    (ciphers, any::<[u8; 20]>()).prop_filter_map("a weak key", |((cipher, bits), skeyid_e)| {
        CipherKey::derive(cipher, bits, Hash::SHA1, &skeyid_e).ok()
    })
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted(
        key in any_key(),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..4),
    ) {
        let block = key.block_length();
        let (mut ours, mut theirs) = (Iv::cut(&[9; 16], block), Iv::cut(&[9; 16], block));
        for message in messages {
            let whole = message.len() / block * block;
            let plain = &message[..whole];
            let mut data = plain.to_vec();
            let encrypted = key.encrypt(&mut ours, &mut data);
            prop_assert_eq!(encrypted.is_ok(), whole > 0);
            if whole > 0 {
                prop_assert_ne!(&data[..], plain);
                theirs = key.decrypt(&theirs, &mut data).unwrap();
                prop_assert_eq!(&data[..], plain);
            }
        }
        prop_assert_eq!(ours, theirs);
    }
}
