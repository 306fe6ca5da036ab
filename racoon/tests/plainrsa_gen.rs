//! The command `plainrsa-gen`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use tempfile::TempDir;

/// A working directory.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.path().join(name), contents).unwrap();
        self
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.0.path().join(name).symlink_metadata().is_ok()
    }

    /// Runs the command; returns whether it succeeded, and its outputs.
    fn run(&self, line: &str) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plainrsa-gen"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.success(), stdout, stderr)
    }

    /// Runs a command that must succeed without a message.
    fn output(&self, line: &str) -> String {
        let (success, stdout, stderr) = self.run(line);
        assert!(success && stderr.is_empty(), "{line}: {stderr}");
        stdout
    }

    /// Runs a command that must fail and print nothing; returns its message.
    fn error(&self, line: &str) -> String {
        let (success, stdout, stderr) = self.run(line);
        assert!(!success && stdout.is_empty(), "{line}: {stdout}");
        stderr.strip_prefix("plainrsa-gen: ").and_then(|text| text.strip_suffix('\n')).unwrap().to_owned()
    }
}

#[test]
fn a_new_key_is_kept_private() {
    let site = Site::new();
    assert_eq!(site.output("-b 2048 -f key"), "");
    let mode = fs::metadata(site.0.path().join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let text = site.read("key");
    assert!(text.starts_with("# : PUB 0sAwEAA"), "{text}");
    assert!(text.contains("\n: RSA\t{\n\t# RSA 2048 bits\n\t# pubkey=0sAwEAA"), "{text}");
    assert!(text.contains("\n\tPublicExponent: 0x010001\n") && text.ends_with("\n  }\n"), "{text}");

    assert_eq!(site.error("-b 2048 -f key"), "key: file exists! Please use a different name.");
    std::os::unix::fs::symlink("nowhere", site.0.path().join("link")).unwrap();
    assert_eq!(site.error("-b 2048 -f link"), "link: file exists! Please use a different name.");
    assert!(!site.has("nowhere"));
    assert_eq!(site.read("key"), text);
    assert_eq!(site.error("-b 2048 -f no/such"), "no/such: No such file or directory");
}

#[test]
fn weak_keys_cause_a_warning() {
    let (success, key, warning) = Site::new().run("-b 1024 -e 3");
    assert!(success && key.contains("\tPublicExponent: 0x03\n"), "{key}");
    assert_eq!(warning, "plainrsa-gen: a key of 1024 bits is weak: use at least 2048\n");
}

#[test]
fn formats_are_converted_to_each_other() {
    let site = Site::new();
    site.output("-b 2048 -f key");
    let plain = site.read("key");
    site.output("-i key -o pem -f key.pem");
    let key = PKey::private_key_from_pem(site.read("key.pem").as_bytes()).unwrap();
    assert!(key.rsa().unwrap().check_key().unwrap());
    site.write("pkcs1.pem", key.rsa().unwrap().private_key_to_pem().unwrap());
    for file in ["key", "key.pem", "pkcs1.pem"] {
        assert_eq!(site.output(&format!("-i {file}")), plain, "{file}");
    }

    let word = site.output("-i key -o libreswan");
    let (_, commented) = plain.split_once("pubkey=").unwrap();
    assert_eq!(word.lines().next(), commented.lines().next());
    let public = format!(": PUB {word}");
    site.write("public", &public).write("word", &word).write("conn", format!("  leftrsasigkey={word}"));
    site.write("public.pem", key.public_key_to_pem().unwrap());
    site.write("pkcs1-public.pem", key.rsa().unwrap().public_key_to_pem_pkcs1().unwrap());
    for file in ["key", "key.pem", "public", "word", "conn", "public.pem", "pkcs1-public.pem"] {
        assert_eq!(site.output(&format!("-i {file} -o public")), public, "{file}");
        assert_eq!(site.output(&format!("-i {file} -o libreswan")), word, "{file}");
    }
    assert_eq!(site.output("-i public -o pem"), site.read("public.pem"));
    assert_eq!(site.output("-i public"), public);
}

#[test]
fn addresses_and_all_keys_are_kept() {
    let site = Site::new();
    let word = |exponent: u32| {
        let exponent = openssl::bn::BigNum::from_u32(exponent).unwrap();
        let rsa = Rsa::generate_with_e(1024, &exponent).unwrap();
        site.write("one.pem", rsa.public_key_to_pem().unwrap());
        site.output("-i one.pem -o libreswan")
    };
    let text = format!("192.0.2.0/24 : PUB {}10.0.0.0/8 2001:db8::/32 : PUB {}", word(3), word(65537));
    site.write("keys", format!("# two keys\n{text}"));
    assert_eq!(site.output("-i keys"), text);
    assert_eq!(site.output("-i keys -o pem").matches("-----BEGIN PUBLIC KEY-----").count(), 2);
}

#[test]
fn a_failure_has_a_reason_and_leaves_no_file() {
    let site = Site::new();
    let elliptic = PKey::ec_gen("P-256").unwrap();
    site.write("garbage", "these are not keys").write("empty", "").write("comment", "# nothing\n");
    site.write("ec.pem", elliptic.private_key_to_pem_pkcs8().unwrap());
    site.write("ec-public.pem", elliptic.public_key_to_pem().unwrap());
    site.write("key.der", Rsa::generate(1024).unwrap().private_key_to_der().unwrap());
    site.write("broken.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    site.write("broken-public.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    site.write("short", ": PUB 0x0103c0ffee").write("large", vec![b'#'; (1 << 20) + 1]);
    std::os::unix::fs::symlink("empty", site.0.path().join("link")).unwrap();
    for (file, why) in [
        ("garbage", "line 1: expected an address, any or `:`"),
        ("empty", "contains no key"),
        ("comment", "contains no key"),
        ("ec.pem", "not an RSA key"),
        ("ec-public.pem", "not an RSA key"),
        ("broken.pem", "the private key cannot be read"),
        ("broken-public.pem", "not a PEM private key, public key or certificate"),
        ("short", "the key has 24 bits, not 1024 to 16384"),
        ("link", "is a symbolic link"),
        ("missing", "No such file or directory"),
        (".", "Is a directory"),
    ] {
        assert_eq!(site.error(&format!("-i {file} -f out")), format!("{file}: {why}"));
        assert!(!site.has("out"), "{file}");
    }
    assert!(site.error("-i key.der").starts_with("key.der: "));
    assert!(site.error("-i large").starts_with("large: "));
}

#[test]
fn output_errors_are_failures() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_plainrsa-gen"))
        .args(["-b", "2048"])
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn usage() {
    let site = Site::new();
    assert!(site.output("-h").starts_with("Usage: plainrsa-gen "));
    assert!(site.output("--version").starts_with("plainrsa-gen (ipsec-tools-rs) "));
    let (success, stdout, stderr) = site.run("-x");
    assert!(!success && stdout.is_empty() && stderr.starts_with("plainrsa-gen: invalid option -- 'x'\nUsage: "));
    assert_eq!(site.error("-b abc"), "-b abc: not a length from 1024 to 16384 bits");
    assert_eq!(site.error("-e 4"), "-e 4: not an odd number from 3 to 18446744073709551615");
}

/// The manual page documents the options that the usage lists.
#[test]
fn manual_lists_the_options_of_the_usage() {
    let usage = Site::new().output("-h");
    let page = include_str!("../../man/plainrsa-gen.8");
    let documented = page.lines().filter_map(|line| Some(line.strip_prefix(".It Fl ")?.split(' ').next()?.to_owned()));
    let listed = usage.lines().filter_map(|line| Some(line.strip_prefix("  -")?.split(' ').next()?.to_owned()));
    assert_eq!(documented.collect::<Vec<_>>(), listed.collect::<Vec<_>>());
}
