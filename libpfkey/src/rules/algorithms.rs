//! The algorithms that each kernel reports, and what it does with keys of other lengths.

use nix::errno::Errno;

use super::{Refused, RequestPart};
use crate::algorithm::{Authentication, Compression, Encryption, KeyBits, Listed};
use crate::dialect::Dialect;
use crate::num::{ExtensionType, SaType};
use crate::wire::{Algorithm, Extension, Key, Message, Sa};

/// The lists of a REGISTER reply.
pub(crate) fn supported(dialect: Dialect) -> [Extension<'static>; 2] {
    let authentication = |one: &Authentication| Some((one.number(dialect)?, one.listed(dialect)?));
    let auth = listed(dialect, Authentication::ALL.iter().filter_map(authentication));
    [
        Extension::Supported(ExtensionType::SupportedAuth, auth),
        Extension::Supported(ExtensionType::SupportedEncrypt, encryption(dialect)),
    ]
}

/// The encryption algorithms of a REGISTER reply.
pub(crate) fn encryption(dialect: Dialect) -> Vec<Algorithm> {
    let encryption = |one: &Encryption| Some((one.number(dialect)?, one.listed(dialect)?));
    listed(dialect, Encryption::ALL.iter().filter_map(encryption))
}

/// The records of a list in the order in which the kernels of a dialect send them.
fn listed(dialect: Dialect, all: impl Iterator<Item = (u8, Listed)>) -> Vec<Algorithm> {
    let record =
        |(id, Listed { iv_len, min_bits, max_bits })| Algorithm { id, iv_len, min_bits, max_bits, reserved: 0 };
    let mut records: Vec<Algorithm> = all.map(record).collect();
    if matches!(dialect, Dialect::NetBsd | Dialect::Darwin) {
        records.sort_by_key(|record| record.id);
    }
    records
}

/// Checks the algorithms and keys of an ADD or UPDATE.
pub(super) fn check(request: &Message<'_>, sa: &Sa, netlink: bool) -> Result<(), Refused> {
    let dialect = request.abi.dialect;
    let auth_key = request.key(ExtensionType::KeyAuth);
    let encrypt_key = request.key(ExtensionType::KeyEncrypt);
    let auth = Authentication::from_number(dialect, sa.auth);
    // NetBSD's null authentication needs no key extension.
    let is_keyless = dialect == Dialect::NetBsd && auth == Authentication::Null;
    match request.header.sa_type {
        SaType::Esp if encrypt_key.is_none() => return Err(missing_cipher()),
        SaType::Ah if auth_key.is_none() && !is_keyless => return Err(missing_hash(auth)),
        SaType::IpComp if dialect != Dialect::Linux && sa.auth != 0 => {
            return Err(superfluous(RequestPart::Authentication, "ipcomp", "-A"));
        }
        SaType::IpComp => return check_compression(dialect, sa.encrypt),
        SaType::TcpSignature => return check_tcp(auth, auth_key, sa),
        SaType::Ah if dialect != Dialect::Linux && sa.encrypt != 0 => {
            return Err(superfluous(RequestPart::Encryption, "ah", "-E"));
        }
        SaType::Ah if sa.auth == 0 => return Err(missing_hash(auth)),
        SaType::Esp if sa.encrypt == 0 => return Err(missing_cipher()),
        _ => {}
    }
    let encrypt = Encryption::from_number(dialect, sa.encrypt);
    // The BSDs put the tag of such a cipher in the place of any other authentication.
    let is_replaced = request.header.sa_type == SaType::Esp && tag_of(dialect, encrypt, 0).is_some();
    if sa.auth != 0 && !is_replaced {
        check_hash(dialect, auth, auth_key)?;
    }
    if sa.encrypt != 0 {
        // What PF_KEY of Linux does not list; the lengths of such keys are no secret of the kernel's.
        if netlink && encrypt.is_aead() {
            return Ok(());
        }
        check_cipher(dialect, encrypt, encrypt_key)?;
    }
    Ok(())
}

/// The authentication that the BSDs show of an SA whose cipher authenticates, by the bits of its key.
pub(crate) fn tag_of(dialect: Dialect, encrypt: Encryption, bits: u16) -> Option<Authentication> {
    match encrypt {
        _ if matches!(dialect, Dialect::Linux | Dialect::Darwin) => None,
        Encryption::AesGcm16 | Encryption::AesGmac => Some(match bits {
            288 => Authentication::Aes256Gmac,
            224 => Authentication::Aes192Gmac,
            _ => Authentication::Aes128Gmac,
        }),
        Encryption::ChaCha20Poly1305 => Some(Authentication::ChaCha20Poly1305),
        _ => None,
    }
}

/// TCP-MD5: a key of 1 to 80 bytes (RFC 2385 section 4.5), and no cipher.
fn check_tcp(auth: Authentication, key: Option<&Key<'_>>, sa: &Sa) -> Result<(), Refused> {
    if sa.encrypt != 0 {
        return Err(superfluous(RequestPart::Encryption, "tcp", "-E"));
    }
    if auth != Authentication::TcpMd5 {
        return Err(Refused::new(
            Errno::EINVAL,
            RequestPart::Authentication,
            "tcp needs -A tcp-md5, and no other algorithm",
        ));
    }
    let bits = key.map_or(0, |key| key.bits);
    let allowed = auth.key_bits();
    let fits = (allowed.min()..=allowed.max()).contains(&bits);
    if fits { Ok(()) } else { Err(key_length(RequestPart::Authentication, auth.name(), allowed, bits)) }
}

fn superfluous(part: RequestPart, protocol: &str, option: &str) -> Refused {
    Refused::new(Errno::EINVAL, part, format!("{protocol} takes no {option}"))
}

fn missing_cipher() -> Refused {
    Refused::new(Errno::EINVAL, RequestPart::Encryption, "esp needs a cipher: write `-E null' for authentication alone")
}

fn missing_hash(auth: Authentication) -> Refused {
    let reason = match auth {
        Authentication::Null => "ah needs an authentication that has a key",
        _ => "ah needs an authentication algorithm: -A",
    };
    Refused::new(Errno::EINVAL, RequestPart::Authentication, reason)
}

/// An algorithm that is in no list. Linux tells numbers that PF_KEY has not from those that its kernel has not.
fn unknown(dialect: Dialect, part: RequestPart, out_of_range: bool) -> Refused {
    let errno = if dialect == Dialect::Linux && !out_of_range { Errno::ENOSYS } else { Errno::EINVAL };
    Refused::new(errno, part, format!("Not supported: {dialect} has no such algorithm for this protocol"))
}

fn check_hash(dialect: Dialect, auth: Authentication, key: Option<&Key<'_>>) -> Result<(), Refused> {
    let Some(Listed { min_bits: min, max_bits: max, .. }) = auth.listed(dialect) else {
        return Err(unknown(dialect, RequestPart::Authentication, matches!(auth, Authentication::Other(252..))));
    };
    let bits = key.map_or(0, |key| key.bits);
    // Linux takes keys of any length for its hashes, as HMAC does.
    let fits =
        if dialect == Dialect::Linux { bits > 0 || auth == Authentication::Null } else { (min..=max).contains(&bits) };
    if fits {
        Ok(())
    } else {
        Err(key_length(RequestPart::Authentication, auth.name(), KeyBits::Range { min, max }, bits))
    }
}

fn check_cipher(dialect: Dialect, encrypt: Encryption, key: Option<&Key<'_>>) -> Result<(), Refused> {
    let bits = key.map_or(0, |key| key.bits);
    let Some(Listed { min_bits: min, max_bits: max, .. }) = encrypt.listed(dialect) else {
        return Err(unknown(dialect, RequestPart::Encryption, matches!(encrypt, Encryption::Other(254..))));
    };
    // Kernels report the ends of a range where they take single lengths, and take ranges as they report them.
    let allowed = match encrypt.key_bits() {
        KeyBits::Range { .. } => KeyBits::Range { min, max },
        each => each,
    };
    if allowed.allows(bits) { Ok(()) } else { Err(key_length(RequestPart::Encryption, encrypt.name(), allowed, bits)) }
}

fn key_length(part: RequestPart, name: Option<&str>, lengths: KeyBits, bits: u16) -> Refused {
    let name = name.unwrap_or("it");
    Refused::new(Errno::EINVAL, part, format!("Invalid key length: {name} takes {lengths} bits, not {bits}"))
}

fn check_compression(dialect: Dialect, number: u8) -> Result<(), Refused> {
    match Compression::from_number(dialect, number) {
        Compression::Deflate => Ok(()),
        Compression::None | Compression::Other(_) => {
            let reason = "ipcomp needs a compression algorithm, and no other: -C deflate";
            Err(Refused::new(Errno::EINVAL, RequestPart::Compression, reason))
        }
        _ => Err(unknown(dialect, RequestPart::Compression, false)),
    }
}
