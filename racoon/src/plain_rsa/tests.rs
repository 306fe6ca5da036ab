use std::path::PathBuf;

use super::*;
use crate::files::Files;

/// Keys of libreswan's length are slow to make; these are of the shortest accepted one.
fn pair() -> (RsaEntry, RsaEntry) {
    let rsa = openssl::rsa::Rsa::generate(1024).unwrap();
    (private_entry(&rsa).unwrap(), public_entry(&rsa))
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (directory, path)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn named(networks: &[(&str, &str)]) -> PlainKeys<usize> {
    let network = |text: &str| match text.split_once('/') {
        None => Network::Any,
        Some((address, length)) => Network::Prefix(address.parse().unwrap(), length.parse().unwrap()),
    };
    let keys = networks.iter().enumerate().map(|(at, (local, remote))| (network(local), network(remote), at));
    PlainKeys { keys: keys.collect() }
}

#[test]
fn all_keys_with_the_longest_prefixes_are_found() {
    let keys = named(&[
        ("any", "any"),
        ("any", "192.0.2.0/24"),
        ("10.0.0.0/8", "192.0.2.0/24"),
        ("any", "192.0.2.7/32"),
        ("10.0.0.0/8", "192.0.2.128/25"),
        ("10.1.0.0/16", "192.0.2.0/16"),
        ("any", "2001:db8::/32"),
        ("any", "0.0.0.0/0"),
    ]);
    let found = |local: &str, remote: &str| {
        keys.lookup(address(local), address(remote)).into_iter().copied().collect::<Vec<_>>()
    };
    // 2 and 5 have 32 bits each, and so has 3.
    assert_eq!(found("10.1.0.1", "192.0.2.7"), [2, 3, 5]);
    assert_eq!(found("10.2.0.1", "192.0.2.7"), [2, 3]);
    assert_eq!(found("10.1.0.1", "192.0.2.200"), [4]);
    assert_eq!(found("172.16.0.1", "192.0.2.8"), [1]);
    assert_eq!(found("172.16.0.1", "198.51.100.1"), [0, 7]);
    assert_eq!(found("2001:db8::1", "2001:db8::2"), [6]);
    assert_eq!(found("2001:db8::1", "2001:db9::2"), [0]);
    assert_eq!(found("::ffff:10.2.0.1", "::ffff:192.0.2.8"), [2]);
    assert!(named(&[("any", "192.0.2.7/32")]).lookup(address("10.0.0.1"), address("192.0.2.8")).is_empty());
}

#[test]
fn keys_are_loaded_by_kind() {
    let ((private, public), (_, other)) = (pair(), pair());
    let text = format!("{}{}{}", *private.to_text(), *public.to_text(), *other.to_text());
    let (_directory, path) = file(&text);
    let own = PlainKeys::load_private(&path, &Files::default()).unwrap();
    let peers = PlainKeys::load_public(&path, &Files::default()).unwrap();
    let (local, remote) = (address("192.0.2.1"), address("192.0.2.2"));
    let (own, peers) = (own.lookup(local, remote), peers.lookup(local, remote));
    assert_eq!((own.len(), peers.len()), (1, 2));
    assert!(own[0].public_eq(peers[0]) && !own[0].public_eq(peers[1]));
    let rsa = own[0].rsa().unwrap();
    assert_eq!((private_entry(&rsa).unwrap().key, public_entry(&rsa).key), (private.key, public.key));
}

#[test]
fn numbers_that_are_no_key_are_refused() {
    let (mut private, _) = pair();
    let RsaKey::Private(key) = &mut private.key else { panic!("private") };
    *key.prime1.last_mut().unwrap() ^= 4;
    let (_directory, path) = file(&private.to_text());
    let error = PlainKeys::load_private(&path, &Files::default()).map(|_| ()).unwrap_err();
    let shown = path.display();
    assert_eq!(error, format!("{shown}:2: the numbers of the private key do not belong together"));
    assert!(openssl::error::ErrorStack::get().errors().is_empty());

    let public = |exponent: &str, modulus: &str| {
        let (_directory, path) = file(&format!("\n: PUB 0x{exponent}{modulus}\n"));
        let error = PlainKeys::load_public(&path, &Files::default()).map(|_| ()).err()?;
        error.split_once(":2: ").map(|(_, why)| why.to_owned())
    };
    let modulus = format!("c{}", "1".repeat(255));
    assert_eq!(public("0103", &modulus), None);
    let unusable = Some("the numbers of the key cannot be an RSA key".into());
    for (exponent, modulus) in [("0101", &*modulus), ("0104", &modulus), ("0103", &format!("c{}0", "1".repeat(254)))] {
        assert_eq!(public(exponent, modulus), unusable, "{exponent}");
    }
    assert_eq!(public("09010000000000000003", &modulus), unusable);
    assert_eq!(public("0103", &modulus[..248]), Some("the key has 992 bits, not 1024 to 16384".into()));
    let missing = PlainKeys::load_public("/no/such/file".as_ref(), &Files::default()).map(|_| ()).unwrap_err();
    assert_eq!(missing, "/no/such/file: No such file or directory");
}
