//! The tables, walked: each row is unique, whole, and reachable through each view.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

use super::*;

const SETKEY_MANUAL: &str = include_str!("../../../man/ipsec.conf.5");
const RACOON_MANUAL: &str = include_str!("../../../man/racoon.conf.5");

#[track_caller]
fn unique<T: Copy + Eq + Hash + Debug>(all: impl IntoIterator<Item = T>) {
    let mut seen = HashSet::new();
    for one in all {
        assert!(seen.insert(one), "{one:?} stands twice");
    }
}

/// Whether a manual page has a word, as mdoc marks it.
fn has_word(page: &str, word: &str) -> bool {
    let marked = |line: &str| line.starts_with('.') && line.split([' ', '\t']).any(|part| part == word);
    page.lines().any(marked)
}

#[test]
fn numbers_are_unique_in_each_dialect_and_are_read_back() {
    for dialect in Dialect::ALL {
        unique(Encryption::constants(dialect).map(|row| row.0));
        unique(Authentication::constants(dialect).map(|row| row.0));
        unique(Compression::constants(dialect).map(|row| row.0));
        for (number, algorithm, _) in Encryption::constants(dialect) {
            assert_eq!(Encryption::from_number(dialect, number), algorithm);
            assert_eq!(algorithm.number(dialect), Some(number));
        }
        for (number, algorithm, _) in Authentication::constants(dialect) {
            assert_eq!(Authentication::from_number(dialect, number), algorithm);
        }
        for (number, algorithm, _) in Compression::constants(dialect) {
            assert_eq!(Compression::from_number(dialect, number), algorithm);
        }
    }
    assert_eq!(Encryption::from_number(Dialect::Linux, 99), Encryption::Other(99));
    assert_eq!(Encryption::AesCbc.number(Dialect::Darwin), Some(12));
    assert_eq!(Authentication::HmacMd5.number(Dialect::Darwin), Some(1));
    assert_eq!(Authentication::TcpMd5.number(Dialect::Linux), None);
}

#[test]
fn every_row_has_a_name_and_some_dialect() {
    unique(Encryption::ALL.iter().map(|one| one.name().unwrap()));
    unique(Authentication::ALL.iter().map(|one| one.name().unwrap()));
    unique(Compression::ALL.iter().map(|one| one.name().unwrap()));
    for one in Encryption::ALL {
        assert!(Dialect::ALL.into_iter().any(|dialect| one.number(dialect).is_some()), "{one}");
    }
    for one in Authentication::ALL {
        assert!(Dialect::ALL.into_iter().any(|dialect| one.number(dialect).is_some()), "{one}");
    }
}

#[test]
fn names_in_linux_are_unique() {
    // One name stands for several lengths of the ICV.
    unique(Encryption::ALL.iter().filter_map(|one| Some((one.crypto_api()?.name, one.icv_bits()))));
    unique(Authentication::ALL.iter().filter_map(|one| Some(one.crypto_api()?.name)));
    unique(Compression::ALL.iter().filter_map(|one| Some(one.crypto_api()?.name)));
    for one in Encryption::ALL.iter().filter(|one| **one != Encryption::None) {
        assert_eq!(one.crypto_api().is_some(), one.number(Dialect::Linux).is_some(), "{one}");
    }
}

#[test]
fn words_of_setkey_are_unique_read_back_and_in_the_manual() {
    unique(EncryptionWord::all().map(|word| word.name));
    unique(AuthenticationWord::all().map(|word| word.name));
    unique(CompressionWord::all().map(|word| word.name));
    for word in EncryptionWord::all() {
        assert_eq!(EncryptionWord::from_name(word.name), Some(word));
        assert!(has_word(SETKEY_MANUAL, word.name), "ipsec.conf(5) has no {}", word.name);
    }
    for word in AuthenticationWord::all() {
        assert_eq!(AuthenticationWord::from_name(word.name), Some(word));
        assert!(has_word(SETKEY_MANUAL, word.name), "ipsec.conf(5) has no {}", word.name);
    }
    for word in CompressionWord::all() {
        assert_eq!(CompressionWord::from_name(word.name), Some(word));
        assert!(has_word(SETKEY_MANUAL, word.name), "ipsec.conf(5) has no {}", word.name);
    }
    // A name of a dump is a word, so that a dump can be written as a script.
    let word = |one: &Encryption| one.setkey().is_empty() || EncryptionWord::from_name(one.name().unwrap()).is_some();
    assert!(Encryption::ALL.iter().all(word));
}

#[test]
fn words_of_racoon_are_unique_read_back_and_in_the_manual() {
    let (phase1, esp) = (Encryption::of_phase1(), Encryption::of_esp());
    unique(phase1.iter().flat_map(|(_, ike)| ike.names));
    unique(esp.iter().flat_map(|(_, ike)| ike.names));
    unique(phase1.iter().map(|(_, ike)| ike.phase1));
    unique(esp.iter().map(|(_, ike)| ike.esp));
    unique(Authentication::hashes().iter().flat_map(|(_, hash)| hash.names));
    unique(Authentication::hashes().iter().map(|(_, hash)| hash.number));
    unique(Authentication::of_phase2().iter().flat_map(|(_, ike)| ike.names));
    unique(Authentication::of_phase2().iter().map(|(_, ike)| (ike.attribute, ike.truncated)));
    for (algorithm, ike) in esp {
        assert_eq!(Encryption::from_esp_transform(ike.esp), Some((algorithm, ike)));
    }
    for (algorithm, ike) in Authentication::of_phase2() {
        assert_eq!(Authentication::from_ike_attribute(ike.attribute).unwrap().0, algorithm);
    }
    for (algorithm, ike) in Compression::of_phase2() {
        assert_eq!(Compression::from_ipcomp_transform(ike.transform), Some(algorithm));
    }
    let names = Encryption::of_esp().into_iter().flat_map(|(_, ike)| ike.names);
    let names = names.chain(Authentication::hashes().into_iter().flat_map(|(_, hash)| hash.names));
    let names = names.chain(Authentication::of_phase2().into_iter().flat_map(|(_, ike)| ike.names));
    let names = names.chain(Compression::of_phase2().into_iter().flat_map(|(_, ike)| ike.names));
    let missing: Vec<_> = names.filter(|name| !has_word(RACOON_MANUAL, name)).collect();
    assert_eq!(missing, [&""; 0], "racoon.conf(5) lacks them");
}

#[test]
fn lengths_agree() {
    for one in Encryption::ALL {
        let key = one.key_bits();
        assert!(key.min() <= key.max() && key.allows(key.min()) && key.allows(key.max()), "{one}");
        for ike in one.ike().iter().filter(|_| *one != Encryption::TwofishCbc) {
            let lengths = [ike.key.min(), ike.key.max()].map(|bits| bits + one.salt_bits());
            assert_eq!(lengths, [key.min(), key.max()], "{one}: with the salt");
        }
        // NetBSD lists Camellia with keys that it does not take.
        let listed = Dialect::ALL.into_iter().filter_map(|dialect| one.listed(dialect));
        for listed in listed.filter(|_| !matches!(one, Encryption::Null | Encryption::CamelliaCbc)) {
            assert_eq!([listed.min_bits, listed.max_bits], [key.min(), key.max()], "{one}");
        }
    }
    for one in Authentication::ALL.iter().filter(|one| **one != Authentication::Null) {
        for listed in Dialect::ALL.into_iter().filter_map(|dialect| one.listed(dialect)) {
            let key = one.key_bits();
            assert_eq!([listed.min_bits, listed.max_bits], [key.min(), key.max()], "{one}");
        }
    }
    assert_eq!(KeyBits::Each(&[128, 192, 256]).to_string(), "128, 192, 256");
    assert_eq!(KeyBits::Range { min: 40, max: 448 }.to_string(), "40 to 448");
    assert!(!KeyBits::Range { min: 40, max: 448 }.allows(44));
}
