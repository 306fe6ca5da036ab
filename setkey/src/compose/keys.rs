//! Algorithms and keys of a statement, checked against what the kernel says it can do.

use ipsec_conf::setkey::{Algorithms, AuthenticationWord, EncryptionWord, Keyed, ParseError, Statement};
use libpfkey::algorithm::{Authentication, Encryption, KeyBits, Supported};
use libpfkey::{Dialect, ExtensionType, SaFlags};
use zeroize::Zeroizing;

use super::Target;

/// The algorithms of an SA as numbers, with their keys.
#[derive(Debug, Default)]
pub(super) struct Material {
    /// Number of the cipher or compression algorithm.
    pub(super) encrypt: u8,
    /// Number of the authentication algorithm.
    pub(super) auth: u8,
    /// Key of the cipher; empty for the null cipher, absent without `-E`.
    pub(super) encrypt_key: Option<Zeroizing<Vec<u8>>>,
    /// Authentication key.
    pub(super) auth_key: Option<Zeroizing<Vec<u8>>>,
    /// Bits of the ICV, where they are not those that the kernel's PF_KEY gives.
    pub(super) icv_bits: Option<u32>,
    /// Flags that stand for variants of an algorithm.
    pub(super) flags: Option<SaFlags>,
}

impl Material {
    /// Checks and converts.
    ///
    /// # Errors
    /// At the algorithm's name: what the kernel or its dialect has not, and impossible key lengths.
    pub(super) fn new(
        statement: &Statement<'_>,
        algorithms: &Algorithms<'_>,
        target: &Target<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<Self, ParseError> {
        let mut material = Self::default();
        refuse_second(statement, algorithms, target)?;
        if let Some(encryption) = &algorithms.encryption {
            material.encryption(statement, encryption, target, warnings)?;
        }
        if let Some(authentication) = &algorithms.authentication {
            material.authentication(statement, authentication, target)?;
        }
        if let Some(compression) = algorithms.compression {
            // Every dialect has the three words.
            material.encrypt = compression.algorithm.number(target.dialect()).unwrap_or(0);
            if algorithms.raw_cpi {
                material.flags = Some(SaFlags::RAWCPI);
            }
        }
        Ok(material)
    }

    fn encryption(
        &mut self,
        statement: &Statement<'_>,
        word: &Keyed<'_, EncryptionWord>,
        target: &Target<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), ParseError> {
        let at = word.name.offset;
        if word.algorithm.is_obsolete {
            warnings.push(statement.error_at(at, "WARNING: obsolete algorithm"));
        }
        self.flags = Some(word.algorithm.flags).filter(|flags| !flags.is_empty());
        let algorithm = word.algorithm.algorithm;
        let name = word.name.text;
        let missing = || not_supported(statement, at, name, target.dialect());
        self.encrypt = algorithm.number(target.dialect()).ok_or_else(missing)?;
        let key = word.key.as_ref().map(ipsec_conf::setkey::Key::bytes).unwrap_or_default();
        // The range that a kernel lists does not say which lengths between its ends it takes; for AES-CTR, FreeBSD's may count
        // the nonce or not.
        let is_known = algorithm.is_aead() || (target.dialect() == Dialect::FreeBsd && algorithm == Encryption::AesCtr);
        let allowed = if is_known && (target.has_xfrm || lists(target.supported, self.encrypt)) {
            algorithm.key_bits()
        } else {
            listed(target.supported, ExtensionType::SupportedEncrypt, self.encrypt).ok_or_else(missing)?
        };
        // KAME kernels list the null cipher with a range; it takes no key.
        if algorithm != Encryption::Null {
            check_key(allowed, name, key.len()).map_err(|text| statement.error_at(at, text))?;
        }
        if algorithm.is_counter_mode() {
            warnings.push(statement.error_at(
                at,
                "WARNING: a counter mode with a key from a file repeats key and counter after a reboot (RFC 8221)",
            ));
        }
        self.encrypt_key = Some(key);
        Ok(())
    }

    fn authentication(
        &mut self,
        statement: &Statement<'_>,
        word: &Keyed<'_, AuthenticationWord>,
        target: &Target<'_>,
    ) -> Result<(), ParseError> {
        let at = word.name.offset;
        let name = word.name.text;
        let dialect = target.dialect();
        let missing = || not_supported(statement, at, name, dialect);
        let algorithm = word.algorithm.algorithm;
        if let Some(bits) = word.algorithm.icv_bits.filter(|bits| *bits != algorithm.icv_bits(dialect)) {
            if !target.has_xfrm {
                let text = "Not supported: PF_KEY of Linux cuts SHA-256 to 96 bits";
                return Err(statement.error_at(at, text));
            }
            self.icv_bits = Some(bits.into());
        }
        self.auth = algorithm.number(dialect).ok_or_else(missing)?;
        let Some(key) = word.key.as_ref().map(ipsec_conf::setkey::Key::bytes) else { return Ok(()) };
        let allowed = match algorithm {
            Authentication::TcpMd5 => algorithm.key_bits(),
            _ => listed(target.supported, ExtensionType::SupportedAuth, self.auth).ok_or_else(missing)?,
        };
        check_key(allowed, name, key.len()).map_err(|text| statement.error_at(at, text))?;
        self.auth_key = Some(key);
        Ok(())
    }
}

/// The kernel refuses an authentication algorithm beside such a cipher without saying why.
fn refuse_second(
    statement: &Statement<'_>,
    algorithms: &Algorithms<'_>,
    target: &Target<'_>,
) -> Result<(), ParseError> {
    match (&algorithms.encryption, &algorithms.authentication) {
        (Some(cipher), Some(second)) if target.has_xfrm && cipher.algorithm.algorithm.is_aead() => {
            let text = format!("{} authenticates by itself: no -A goes with it", cipher.name.text);
            Err(statement.error_at(second.name.offset, text))
        }
        _ => Ok(()),
    }
}

fn lists(supported: &Supported, number: u8) -> bool {
    supported.algorithm(ExtensionType::SupportedEncrypt, number).is_ok()
}

fn not_supported(statement: &Statement<'_>, at: usize, name: &str, dialect: Dialect) -> ParseError {
    statement.error_at(at, format!("Not supported: PF_KEY of this kernel ({dialect}) has no {name}"))
}

/// The key lengths that the kernel's list says.
fn listed(supported: &Supported, list: ExtensionType, number: u8) -> Option<KeyBits> {
    let algorithm = supported.algorithm(list, number).ok()?;
    Some(KeyBits::Range { min: algorithm.min_bits, max: algorithm.max_bits })
}

/// Checks a length in bytes; the text names the algorithm and lengths, never the key.
fn check_key(allowed: KeyBits, name: &str, bytes: usize) -> Result<(), String> {
    let bits = bytes.saturating_mul(8);
    if u16::try_from(bits).is_ok_and(|bits| allowed.allows(bits)) {
        return Ok(());
    }
    Err(format!("Invalid key length: {name} takes {allowed} bits, not {bits}"))
}
