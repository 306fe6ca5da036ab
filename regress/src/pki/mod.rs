//! A public-key infrastructure for tests, made with commands of `openssl` only.
//!
//! Authorities and leaves are named by words, which are also the names of their files: `NAME.pem` and `NAME.key`.

mod plain_rsa;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::lab::Program;

/// The authority that everybody trusts.
pub(crate) const ROOT: &str = "root";

/// Certificates and keys in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Pki {
    dir: PathBuf,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA with 2048 bits.
    Rsa,
    P256,
    P384,
    P521,
}

/// The time in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Current,
    Expired,
    NotYet,
}

/// A host's certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf<'a> {
    pub(crate) name: &'a str,
    /// The name of the authority that signs it.
    pub(crate) issuer: &'a str,
    pub(crate) kind: KeyKind,
    pub(crate) validity: Validity,
    /// A value for `subjectAltName`.
    pub(crate) alternative_names: &'a str,
}

/// Files of an authority that `openssl ca` needs. `unique_subject` permits a second certificate for a host.
const AUTHORITY: &str = "\
[ca]
default_ca = own
[own]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_crl_days = 3650
rand_serial = yes
unique_subject = no
policy = policy
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
[policy]
countryName = optional
organizationName = optional
commonName = supplied
";

/// Extensions of an authority.
const AUTHORITY_EXTENSIONS: &str = "\
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
";

impl KeyKind {
    fn options(self) -> [&'static str; 4] {
        match self {
            Self::Rsa => ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Self::P256 => ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::P384 => ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Self::P521 => ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        }
    }

    /// Returns its name, in lower case.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
        }
    }

    /// Returns the word of racoon.conf(5) for signatures by such keys.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Rsa => "rsasig",
            Self::P256 | Self::P384 | Self::P521 => "ecdsasig",
        }
    }
}

impl Validity {
    /// Returns the first and the last second.
    fn dates(self) -> [&'static str; 2] {
        match self {
            Self::Current => ["20200101000000Z", "20450101000000Z"],
            Self::Expired => ["20200101000000Z", "20210101000000Z"],
            Self::NotYet => ["20440101000000Z", "20450101000000Z"],
        }
    }
}

impl<'a> Leaf<'a> {
    /// Describes a valid certificate of the root for the host name `NAME.example`.
    pub(crate) fn new(name: &'a str, kind: KeyKind, alternative_names: &'a str) -> Self {
        Self { name, issuer: ROOT, kind, validity: Validity::Current, alternative_names }
    }
}

impl Pki {
    /// Creates the folder and the root.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let pki = Self { dir: dir.to_owned() };
        pki.authority(ROOT, None, Validity::Current)?;
        Ok(pki)
    }

    /// Creates an authority with an RSA key. Without an issuer, it signs its own certificate, which is valid.
    pub(crate) fn authority(&self, name: &str, issuer: Option<&str>, validity: Validity) -> Result<()> {
        let database = self.dir.join(format!("{name}.ca"));
        fs::create_dir(&database).with_context(|| database.display().to_string())?;
        fs::write(database.join("config"), AUTHORITY)?;
        fs::write(database.join("index"), "")?;
        fs::write(database.join("crlnumber"), "01\n")?;
        self.key(name, KeyKind::Rsa)?;
        match issuer {
            Some(issuer) => self.sign(issuer, name, validity, AUTHORITY_EXTENSIONS)?,
            None => {
                let options =
                    ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign"];
                let (key, file, subject) = (file(name, "key"), file(name, "pem"), slashed(name));
                let words = ["req", "-x509", "-new", "-key", &key, "-out", &file, "-days", "7000", "-subj", &subject];
                // Without this, the system's configuration would add extensions of its own.
                let config = ["-config", &self.request_config()?];
                openssl(&self.dir, &[&words[..], &config, &options].concat())?;
            }
        }
        Ok(())
    }

    /// Creates a key and a certificate for a host.
    pub(crate) fn leaf(&self, leaf: &Leaf<'_>) -> Result<()> {
        self.key(leaf.name, leaf.kind)?;
        let extensions = format!(
            "basicConstraints = CA:FALSE\nkeyUsage = digitalSignature\nsubjectKeyIdentifier = hash\n\
             authorityKeyIdentifier = keyid\nsubjectAltName = {}\n",
            leaf.alternative_names
        );
        self.sign(leaf.issuer, leaf.name, leaf.validity, &extensions)
    }

    /// Writes an RSA key also in racoon's format, which has no certificates.
    pub(crate) fn plain_rsa(&self, name: &str) -> Result<()> {
        plain_rsa::write(&self.private_key(name), &self.plain_files(name))
    }

    /// Returns the files of such a key: the private and the public one.
    pub(crate) fn plain_files(&self, name: &str) -> [PathBuf; 2] {
        ["priv", "pub"].map(|kind| self.dir.join(file(name, kind)))
    }

    /// Revokes a certificate. This takes effect with the next [`Self::revocation_list`].
    pub(crate) fn revoke(&self, issuer: &str, name: &str) -> Result<()> {
        let revoked = format!("../{}", file(name, "pem"));
        self.ca(issuer, &["-revoke", &revoked])
    }

    /// Writes the revocation list of an authority, `NAME.crl`.
    pub(crate) fn revocation_list(&self, issuer: &str) -> Result<PathBuf> {
        let list = file(issuer, "crl");
        self.ca(issuer, &["-gencrl", "-out", &format!("../{list}")])?;
        Ok(self.dir.join(list))
    }

    /// Copies files to a folder, under the names by which certificates and lists are looked up by their subject.
    pub(crate) fn hashed(&self, to: &Path, files: &[PathBuf]) -> Result<()> {
        fs::create_dir_all(to).with_context(|| to.display().to_string())?;
        for from in files {
            let name = from.file_name().context("a file without a name")?;
            fs::copy(from, to.join(name).with_extension(extension(from)))
                .with_context(|| from.display().to_string())?;
        }
        openssl(to, &["rehash", "."])
    }

    /// Writes a certificate and that of its issuer to one file, `NAME.chain.pem`.
    pub(crate) fn chain(&self, name: &str, issuer: &str) -> Result<PathBuf> {
        let path = self.chain_file(name);
        let texts = [name, issuer].map(|name| fs::read(self.certificate(name)));
        let [leaf, authority] = texts;
        fs::write(&path, [leaf?, authority?].concat())?;
        Ok(path)
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.dir.join(file(name, "pem"))
    }

    pub(crate) fn chain_file(&self, name: &str) -> PathBuf {
        self.dir.join(file(name, "chain.pem"))
    }

    pub(crate) fn private_key(&self, name: &str) -> PathBuf {
        self.dir.join(file(name, "key"))
    }

    fn key(&self, name: &str, kind: KeyKind) -> Result<()> {
        openssl(&self.dir, &[&["genpkey", "-out", &file(name, "key")], &kind.options()[..]].concat())
    }

    /// Signs the request of a key.
    fn sign(&self, issuer: &str, name: &str, validity: Validity, extensions: &str) -> Result<()> {
        let (request, config) = (file(name, "csr"), self.request_config()?);
        let words = ["req", "-new", "-key", &file(name, "key"), "-out", &request, "-subj", &slashed(name)];
        openssl(&self.dir, &[&words[..], &["-config", &config]].concat())?;
        fs::write(self.dir.join(file(name, "ext")), extensions)?;
        let [from, to] = validity.dates();
        let [request, certificate, extensions] = ["csr", "pem", "ext"].map(|kind| format!("../{}", file(name, kind)));
        let files = ["-in", &request, "-out", &certificate, "-extfile", &extensions, "-notext"];
        self.ca(issuer, &[&files[..], &["-startdate", from, "-enddate", to]].concat())
    }

    /// Runs `openssl ca` in the folder of an authority.
    fn ca(&self, issuer: &str, arguments: &[&str]) -> Result<()> {
        let [certificate, key] = ["pem", "key"].map(|kind| format!("../{}", file(issuer, kind)));
        let words = ["ca", "-batch", "-config", "config", "-cert", &certificate, "-keyfile", &key];
        openssl(&self.dir.join(format!("{issuer}.ca")), &[&words[..], arguments].concat())
    }

    /// Writes a configuration for requests that adds nothing.
    fn request_config(&self) -> Result<String> {
        let path = self.dir.join("request");
        fs::write(&path, "[req]\ndistinguished_name = name\n[name]\n")?;
        Ok(path.display().to_string())
    }
}

/// Writes a certificate and its key to a file without a password, and returns its path. Programs list it as `name`.
pub(crate) fn pkcs12(name: &str, certificate: &Path, key: &Path) -> Result<PathBuf> {
    let out = certificate.with_extension("p12");
    let [key, certificate, out_name] = [key, certificate, &out].map(|path| path.display().to_string());
    let files = ["-inkey", &key, "-in", &certificate, "-out", &out_name];
    openssl(Path::new("/"), &[&["pkcs12", "-export", "-passout", "pass:", "-name", name], &files[..]].concat())?;
    Ok(out)
}

fn openssl(dir: &Path, arguments: &[&str]) -> Result<()> {
    let done = Program::new("openssl", arguments).dir(dir).run()?;
    ensure!(done.success(), "openssl {}: {}", arguments.join(" "), done.text());
    Ok(())
}

/// Returns the subject of a certificate in the notation of racoon.conf(5).
pub(crate) fn subject(name: &str) -> String {
    format!("C=CH, O=Example, CN={name}.example")
}

/// Returns the same in the notation of openssl.
fn slashed(name: &str) -> String {
    format!("/C=CH/O=Example/CN={name}.example")
}

fn file(name: &str, kind: &str) -> String {
    format!("{name}.{kind}")
}

/// Returns the suffix of a copy, one that `openssl rehash` looks at.
fn extension(file: &Path) -> &'static str {
    if file.extension().is_some_and(|kind| kind == "crl") { "crl" } else { "pem" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_certificate_is_on_the_list() {
        let dir = std::env::temp_dir().join(format!("regress-pki.{}", std::process::id()));
        let pki = Pki::new(&dir).expect("a root");
        pki.authority("below", Some(ROOT), Validity::Current).expect("an authority");
        let leaf = Leaf { issuer: "below", ..Leaf::new("alice", KeyKind::P256, "DNS:alice.example,IP:192.0.2.1") };
        pki.leaf(&leaf).expect("a certificate");
        pki.chain("alice", "below").expect("a chain");
        let list = pki.revocation_list("below").expect("a list");
        let verify = || {
            let [root, below, alice] = [ROOT, "below", "alice"].map(|name| pki.certificate(name).display().to_string());
            let list = list.display().to_string();
            let words = ["verify", "-CAfile", &root, "-untrusted", &below, "-CRLfile", &list, "-crl_check", &alice];
            Program::new("openssl", &words).run().expect("openssl").text()
        };
        assert!(verify().ends_with(": OK\n"), "{}", verify());
        pki.revoke("below", "alice").expect("revocation");
        pki.revocation_list("below").expect("a list");
        assert!(verify().contains("certificate revoked"), "{}", verify());
        pki.hashed(&dir.join("hashed"), &[pki.certificate(ROOT), list.clone()]).expect("a hashed folder");
        let names: Vec<_> =
            fs::read_dir(dir.join("hashed")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        fs::remove_dir_all(dir).expect("removal");
    }
}
