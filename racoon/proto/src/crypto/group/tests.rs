//! Groups against published vectors; zeros at the beginning; values that are refused.

use super::*;
use crate::crypto::{PeerValueError, SeededRandom, hex};

const ALL: [(Group, usize, usize); 12] = [
    (Group::MODP768, 96, 96),
    (Group::MODP1024, 128, 128),
    (Group::MODP1536, 192, 192),
    (Group::MODP2048, 256, 256),
    (Group::MODP3072, 384, 384),
    (Group::MODP4096, 512, 512),
    (Group::MODP6144, 768, 768),
    (Group::MODP8192, 1024, 1024),
    (Group::ECP256, 64, 32),
    (Group::ECP384, 96, 48),
    (Group::ECP521, 132, 66),
    (Group::X25519, 32, 32),
];

fn seeded(group: Group, seed: u64) -> Exponent {
    Exponent::draw(group, &mut SeededRandom::new(seed)).unwrap()
}

fn given(group: Group, secret: &str) -> Exponent {
    Exponent { group, secret: hex::bytes(secret).into() }
}

fn refusal(exponent: &Exponent, peer: &[u8]) -> PeerValueError {
    match exponent.shared_secret(peer) {
        Err(GroupError::Peer(error)) => error,
        other => panic!("{other:?} for {}", hex::text(peer)),
    }
}

#[test]
fn both_sides_agree_in_every_group() {
    for (group, public, secret) in ALL {
        let (ours, theirs) = (seeded(group, 1), seeded(group, 2));
        let (our_value, their_value) = (ours.public_value().unwrap(), theirs.public_value().unwrap());
        assert_eq!((our_value.len(), their_value.len()), (public, public), "{group}");
        assert_ne!(our_value, their_value, "{group}");
        let shared = ours.shared_secret(&their_value).unwrap();
        assert_eq!(shared.len(), secret, "{group}");
        assert_eq!(shared, theirs.shared_secret(&our_value).unwrap(), "{group}");
        assert_eq!(ours.exchange(&their_value), Ok((our_value, shared.clone())), "{group}");
        assert!(shared.as_bytes().iter().any(|byte| *byte != 0), "{group}");
    }
}

#[test]
fn a_seed_repeats() {
    for (group, ..) in ALL {
        assert_eq!(seeded(group, 3), seeded(group, 3), "{group}");
        assert_ne!(seeded(group, 3), seeded(group, 4), "{group}");
        assert_eq!(seeded(group, 3).group(), group);
    }
}

#[test]
fn an_exponent_is_not_shown() {
    assert_eq!(format!("{:?}", seeded(Group::MODP2048, 1)), "Exponent(modp2048)");
}

#[test]
fn a_group_that_is_not_there_is_named() {
    let error = Exponent::draw(Group(3), &mut SeededRandom::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "Diffie-Hellman group 3 is not supported");
}

/// One of 256 values begins with a zero, and it must be there: RFC 2409 section 5.
#[test]
fn modp_values_keep_the_zeros_they_begin_with() {
    let ours = seeded(Group::MODP768, 0);
    let our_value = ours.public_value().unwrap();
    let prime = BigNum::get_rfc2409_prime_768().unwrap();
    let power = |base: &[u8], exponent: &Exponent| {
        let exponent = BigNum::from_slice(exponent.secret.as_bytes()).unwrap();
        let mut power = BigNum::new().unwrap();
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        power.mod_exp(&BigNum::from_slice(base).unwrap(), &exponent, &prime, &mut context).unwrap();
        power.to_vec()
    };
    let (mut secrets, mut values) = (0, 0);
    for seed in 1.. {
        let theirs = seeded(Group::MODP768, seed);
        let their_value = theirs.public_value().unwrap();
        let shared = ours.shared_secret(&their_value).unwrap();
        assert_eq!((their_value.len(), shared.len()), (96, 96));
        if shared.as_bytes()[0] == 0 {
            secrets += 1;
            let number = power(&their_value, &ours);
            assert!(number.len() < 96);
            assert!(shared.as_bytes().ends_with(&number));
            assert!(shared.as_bytes()[..96 - number.len()].iter().all(|byte| *byte == 0));
            assert_eq!(shared, theirs.shared_secret(&our_value).unwrap());
        }
        if their_value[0] == 0 {
            values += 1;
            assert!(their_value.ends_with(&power(&[2], &theirs)));
            // As old peers send it.
            assert_eq!(ours.shared_secret(&their_value[1..]).unwrap(), shared);
        }
        if secrets > 0 && values > 0 {
            break;
        }
    }
}

#[test]
fn ecp_secrets_keep_the_zeros_they_begin_with() {
    let ours = seeded(Group::ECP256, 0);
    let our_value = ours.public_value().unwrap();
    let found = (1..).find_map(|seed| {
        let theirs = seeded(Group::ECP256, seed);
        let shared = ours.shared_secret(&theirs.public_value().unwrap()).unwrap();
        assert_eq!(shared.len(), 32);
        (shared.as_bytes()[0] == 0).then_some((theirs, shared))
    });
    let (theirs, shared) = found.unwrap();
    assert_eq!(shared, theirs.shared_secret(&our_value).unwrap());
}

#[test]
fn modp_refuses_what_betrays_or_is_none() {
    for (group, length, _) in ALL.into_iter().filter(|(group, ..)| group.0 <= 18) {
        let exponent = seeded(group, 1);
        let Parameters::Modp(modp) = of(group).unwrap() else { panic!("{group}") };
        let near_prime = |less: u32| {
            let mut number = modp.prime().to_owned().unwrap();
            number.sub_word(less).unwrap();
            number.to_vec_padded(i32::try_from(length).unwrap()).unwrap()
        };
        let mut one = vec![0; length];
        one[length - 1] = 1;
        let range = PeerValueError::Range(group);
        for bad in [&[][..], &[0], &[1], &vec![0; length], &one, &near_prime(1), &near_prime(0), &vec![0xff; length]] {
            assert_eq!(refusal(&exponent, bad), range, "{group}");
        }
        let long = [&[0], &near_prime(2)[..]].concat();
        let too_long = PeerValueError::Length { group, expected: length, found: length + 1 };
        assert_eq!(refusal(&exponent, &long), too_long);
        assert!(exponent.shared_secret(&[2]).is_ok());
        assert!(exponent.shared_secret(&near_prime(2)).is_ok());
    }
}

#[test]
fn ecp_refuses_what_is_no_point() {
    for (group, length, _) in ALL.into_iter().filter(|(group, ..)| (19..=21).contains(&group.0)) {
        let exponent = seeded(group, 1);
        let good = seeded(group, 2).public_value().unwrap();
        assert!(exponent.shared_secret(&good).is_ok());
        let mut moved = good.clone();
        moved[length - 1] ^= 1;
        for bad in [moved, vec![0; length], vec![0xff; length]] {
            assert_eq!(refusal(&exponent, &bad), PeerValueError::NotOnCurve(group), "{group}");
        }
        for bad in [&[][..], &[4], &good[1..], &[&good[..], &[0]].concat(), &[&[4], &good[..]].concat()] {
            let expected = PeerValueError::Length { group, expected: length, found: bad.len() };
            assert_eq!(refusal(&exponent, bad), expected, "{group}");
        }
        // The queue of errors is empty again.
        assert!(ErrorStack::get().errors().is_empty());
    }
}

/// The points of small order: every exponent makes zero of them.
#[test]
fn x25519_refuses_zero() {
    let exponent = seeded(Group::X25519, 1);
    for bad in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let zero = PeerValueError::ZeroSecret(Group::X25519);
        assert_eq!(refusal(&exponent, &hex::bytes(bad)), zero, "{bad}");
        assert_eq!(exponent.exchange(&hex::bytes(bad)), Err(zero.into()), "{bad}");
    }
    for length in [0, 31, 33, 64] {
        let expected = PeerValueError::Length { group: Group::X25519, expected: 32, found: length };
        assert_eq!(refusal(&exponent, &vec![9; length]), expected);
    }
    assert!(ErrorStack::get().errors().is_empty());
}

/// RFC 7748 section 6.1.
#[test]
fn x25519_gives_the_values_of_the_rfc() {
    let alice = given(Group::X25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = given(Group::X25519, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let (alices, bobs) = (alice.public_value().unwrap(), bob.public_value().unwrap());
    assert_eq!(hex::text(&alices), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_eq!(hex::text(&bobs), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let shared = hex::bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(alice.shared_secret(&bobs).unwrap().as_bytes(), shared);
    assert_eq!(bob.shared_secret(&alices).unwrap().as_bytes(), shared);
}

/// RFC 5903 section 8: i, gi, r, gr, gir.
const RFC_5903: [(Group, [&str; 5]); 3] = [
    (
        Group::ECP256,
        [
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180\
             5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
            "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
             56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ],
    ),
    (
        Group::ECP384,
        [
            "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa\
             9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
            "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571\
             dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
        ],
    ),
    (
        Group::ECP521,
        [
            "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0\
             95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
            "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe\
             e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e\
             017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a\
             d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
            "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e\
             9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
            "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21\
             9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f\
             015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87\
             220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04\
             d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
        ],
    ),
];

#[test]
fn ecp_gives_the_values_of_the_rfc() {
    for (group, [i, gi, r, gr, gir]) in RFC_5903 {
        let (i, r) = (given(group, i), given(group, r));
        let (gi, gr, gir) = (hex::bytes(gi), hex::bytes(gr), hex::bytes(gir));
        assert_eq!(i.public_value().unwrap(), gi, "{group}");
        assert_eq!(r.public_value().unwrap(), gr, "{group}");
        assert_eq!(i.shared_secret(&gr).unwrap().as_bytes(), gir, "{group}");
        assert_eq!(r.shared_secret(&gi).unwrap().as_bytes(), gir, "{group}");
    }
}

/// Whatever the source gives, the scalar is one of the curve.
#[test]
fn drawn_scalars_are_neither_zero_nor_too_large() {
    struct Same(u8);
    impl Random for Same {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }
    for (group, public, secret) in ALL {
        for byte in [0, 0xff] {
            let exponent = Exponent::draw(group, &mut Same(byte)).unwrap();
            let value = exponent.public_value().unwrap();
            assert_eq!(value.len(), public, "{group}");
            assert_eq!(seeded(group, 1).shared_secret(&value).unwrap().len(), secret, "{group}");
        }
    }
}
