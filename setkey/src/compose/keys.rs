//! Algorithms and keys of a statement, checked against what the kernel says it can do.

use ipsec_conf::setkey::{Algorithms, AuthenticationWord, EncryptionWord, Keyed, ParseError, Statement};
use libpfkey::algorithm::{Authentication, Compression, Encryption, KeyBits, Supported};
use libpfkey::{Dialect, ExtensionType, SaFlags};

use super::Target;

/// The algorithms of an SA with their keys.
#[derive(Debug)]
pub(super) struct Material {
    /// The cipher; its key is empty for the null cipher.
    pub(super) encryption: Option<libpfkey::Keyed<Encryption>>,
    /// The authentication algorithm.
    pub(super) authentication: Option<libpfkey::Keyed<Authentication>>,
    /// The compression algorithm.
    pub(super) compression: Option<Compression>,
    /// Bits of the ICV, where they are not those that the kernel's PF_KEY gives.
    pub(super) icv_bits: Option<u32>,
    /// Flags that stand for variants of an algorithm.
    pub(super) flags: SaFlags,
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
        let flags = SaFlags::empty();
        let mut material = Self { encryption: None, authentication: None, compression: None, icv_bits: None, flags };
        refuse_second(statement, algorithms, target)?;
        if let Some(encryption) = &algorithms.encryption {
            material.encryption(statement, encryption, target, warnings)?;
        }
        if let Some(authentication) = &algorithms.authentication {
            material.authentication(statement, authentication, target)?;
        }
        if let Some(compression) = algorithms.compression {
            material.compression = Some(compression.algorithm);
            if algorithms.raw_cpi {
                material.flags = SaFlags::RAWCPI;
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
        self.flags = word.algorithm.flags;
        let algorithm = word.algorithm.algorithm;
        let name = word.name.text;
        let missing = || not_supported(statement, at, name, target.dialect());
        let number = algorithm.number(target.dialect()).ok_or_else(missing)?;
        let key = word.key.as_ref().map(ipsec_conf::setkey::Key::bytes).unwrap_or_default();
        // The range that a kernel lists does not say which lengths between its ends it takes; for AES-CTR, FreeBSD's may count
        // the nonce or not.
        let is_known = algorithm.is_aead() || (target.dialect() == Dialect::FreeBsd && algorithm == Encryption::AesCtr);
        let allowed = if is_known && (target.has_xfrm || lists(target.supported, number)) {
            algorithm.key_bits()
        } else {
            listed(target.supported, ExtensionType::SupportedEncrypt, number).ok_or_else(missing)?
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
        self.encryption = Some(libpfkey::Keyed::new(algorithm, key));
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
        let number = algorithm.number(dialect).ok_or_else(missing)?;
        let Some(key) = word.key.as_ref().map(ipsec_conf::setkey::Key::bytes) else {
            self.authentication = Some(libpfkey::Keyed { algorithm, key: None });
            return Ok(());
        };
        let allowed = match algorithm {
            Authentication::TcpMd5 => algorithm.key_bits(),
            _ => listed(target.supported, ExtensionType::SupportedAuth, number).ok_or_else(missing)?,
        };
        check_key(allowed, name, key.len()).map_err(|text| statement.error_at(at, text))?;
        self.authentication = Some(libpfkey::Keyed::new(algorithm, key));
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
