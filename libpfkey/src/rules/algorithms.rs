//! The algorithms that each kernel reports, and what it does with keys of other lengths.

use nix::errno::Errno;

use super::{Refused, RequestPart};
use crate::dialect::Dialect;
use crate::num::{Authentication, Compression, Encryption, ExtensionType, SaType};
use crate::wire::{Algorithm, Extension, Key, Message, Sa};

/// A keyed hash and its shortest and longest key in bits.
type Hash = (Authentication, u16, u16);

/// A cipher: the IV length that REGISTER reports, the shortest and longest key in bits (nonce included) that it reports, and
/// the lengths that the kernel takes.
type Cipher = (Encryption, u8, u16, u16, Lengths);

/// Key lengths in bits.
#[derive(Clone, Copy, Debug)]
enum Lengths {
    /// Whole bytes from the shortest to the longest that is reported.
    Listed,
    /// These alone.
    Each(&'static [u16]),
}

/// AES and Camellia.
const BLOCK_128: Lengths = Lengths::Each(&[128, 192, 256]);
/// AES with a nonce or salt of 32 bits.
const AES_SALTED: Lengths = Lengths::Each(&[160, 224, 288]);

const LINUX_HASHES: &[Hash] = &[
    (Authentication::Null, 0, 0),
    (Authentication::HmacMd5, 128, 128),
    (Authentication::HmacSha1, 160, 160),
    (Authentication::HmacSha256, 256, 256),
    (Authentication::HmacSha384, 384, 384),
    (Authentication::HmacSha512, 512, 512),
    (Authentication::HmacRipemd160, 160, 160),
    (Authentication::AesXcbcMac, 128, 128),
];

const LINUX_CIPHERS: &[Cipher] = &[
    (Encryption::Null, 0, 0, 0, Lengths::Listed),
    (Encryption::DesCbc, 8, 64, 64, Lengths::Listed),
    (Encryption::TripleDesCbc, 8, 192, 192, Lengths::Listed),
    (Encryption::Cast128Cbc, 8, 40, 128, Lengths::Listed),
    (Encryption::BlowfishCbc, 8, 40, 448, Lengths::Listed),
    (Encryption::AesCbc, 8, 128, 256, BLOCK_128),
    (Encryption::SerpentCbc, 8, 128, 256, Lengths::Listed),
    (Encryption::CamelliaCbc, 8, 128, 256, BLOCK_128),
    (Encryption::TwofishCbc, 8, 128, 256, BLOCK_128),
    (Encryption::AesCtr, 8, 160, 288, AES_SALTED),
];

/// The last three are missing in kernels of 2016.
const NETBSD_HASHES: &[Hash] = &[
    (Authentication::HmacMd5, 128, 128),
    (Authentication::HmacSha1, 160, 160),
    (Authentication::HmacSha256, 256, 256),
    (Authentication::HmacSha384, 384, 384),
    (Authentication::HmacSha512, 512, 512),
    (Authentication::HmacRipemd160, 160, 160),
    (Authentication::AesXcbcMac, 128, 128),
    (Authentication::KeyedMd5, 128, 128),
    (Authentication::KeyedSha1, 160, 160),
    (Authentication::Null, 0, 2048),
];

/// NetBSD reports block sizes where IV lengths belong, and for Camellia a shorter key than it takes.
const NETBSD_CIPHERS: &[Cipher] = &[
    (Encryption::DesCbc, 8, 64, 64, Lengths::Listed),
    (Encryption::TripleDesCbc, 8, 192, 192, Lengths::Listed),
    (Encryption::Cast128Cbc, 8, 40, 128, Lengths::Listed),
    (Encryption::BlowfishCbc, 8, 40, 448, Lengths::Listed),
    (Encryption::Null, 4, 0, 2048, Lengths::Listed),
    (Encryption::AesCbc, 16, 128, 256, BLOCK_128),
    (Encryption::AesCtr, 16, 160, 288, AES_SALTED),
    (Encryption::AesGcm16, 4, 160, 288, AES_SALTED),
    (Encryption::CamelliaCbc, 16, 64, 256, BLOCK_128),
    (Encryption::AesGmac, 4, 160, 288, AES_SALTED),
    (Encryption::Skipjack, 8, 80, 80, Lengths::Listed),
];

/// Since FreeBSD 13, which removed HMAC-MD5, HMAC-RIPEMD-160 and the keyed hashes.
const FREEBSD_HASHES: &[Hash] = &[
    (Authentication::HmacSha1, 160, 160),
    (Authentication::HmacSha256, 256, 256),
    (Authentication::HmacSha384, 384, 384),
    (Authentication::HmacSha512, 512, 512),
    (Authentication::AesXcbcMac, 128, 128),
    (Authentication::Aes128Gmac, 160, 160),
    (Authentication::Aes192Gmac, 224, 224),
    (Authentication::Aes256Gmac, 288, 288),
];

/// Since FreeBSD 13, which removed DES, 3DES, Blowfish, CAST-128 and Camellia.
const FREEBSD_CIPHERS: &[Cipher] = &[
    (Encryption::Null, 0, 0, 2048, Lengths::Listed),
    (Encryption::AesCbc, 16, 128, 256, BLOCK_128),
    (Encryption::AesCtr, 8, 160, 288, AES_SALTED),
    (Encryption::AesGcm16, 8, 160, 288, AES_SALTED),
    (Encryption::AesGmac, 8, 160, 288, AES_SALTED),
    (Encryption::ChaCha20Poly1305, 8, 288, 288, Lengths::Listed),
];

const DARWIN_HASHES: &[Hash] = &[
    (Authentication::HmacMd5, 128, 128),
    (Authentication::HmacSha1, 160, 160),
    (Authentication::HmacSha256, 256, 256),
    (Authentication::HmacSha384, 384, 384),
    (Authentication::HmacSha512, 512, 512),
];

const DARWIN_CIPHERS: &[Cipher] = &[
    (Encryption::DesCbc, 8, 64, 64, Lengths::Listed),
    (Encryption::TripleDesCbc, 8, 192, 192, Lengths::Listed),
    (Encryption::Null, 4, 0, 2048, Lengths::Listed),
    (Encryption::AesCbc, 16, 128, 256, BLOCK_128),
    (Encryption::AesGcm16, 8, 160, 288, AES_SALTED),
];

const fn hashes(dialect: Dialect) -> &'static [Hash] {
    match dialect {
        Dialect::Darwin => DARWIN_HASHES,
        Dialect::FreeBsd => FREEBSD_HASHES,
        Dialect::Linux => LINUX_HASHES,
        Dialect::NetBsd => NETBSD_HASHES,
    }
}

const fn ciphers(dialect: Dialect) -> &'static [Cipher] {
    match dialect {
        Dialect::Darwin => DARWIN_CIPHERS,
        Dialect::FreeBsd => FREEBSD_CIPHERS,
        Dialect::Linux => LINUX_CIPHERS,
        Dialect::NetBsd => NETBSD_CIPHERS,
    }
}

/// The lists of a REGISTER reply.
pub(crate) fn supported(dialect: Dialect) -> [Extension<'static>; 2] {
    let algorithm = |id: Option<u8>, iv_len, min_bits, max_bits| {
        id.map(|id| Algorithm { id, iv_len, min_bits, max_bits, reserved: 0 })
    };
    let auth = hashes(dialect).iter().filter_map(|&(auth, min, max)| algorithm(auth.number(dialect), 0, min, max));
    let encrypt = encryption(dialect);
    [
        Extension::Supported(ExtensionType::SupportedAuth, auth.collect()),
        Extension::Supported(ExtensionType::SupportedEncrypt, encrypt),
    ]
}

/// The ciphers of a REGISTER reply.
pub(crate) fn encryption(dialect: Dialect) -> Vec<Algorithm> {
    let algorithm = |&(encrypt, iv_len, min_bits, max_bits, _): &Cipher| {
        encrypt.number(dialect).map(|id| Algorithm { id, iv_len, min_bits, max_bits, reserved: 0 })
    };
    ciphers(dialect).iter().filter_map(algorithm).collect()
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
    if (8..=640).contains(&bits) {
        Ok(())
    } else {
        Err(key_length(RequestPart::Authentication, auth.name(), &[8, 640], bits))
    }
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
    let Some(&(_, min, max)) = hashes(dialect).iter().find(|hash| hash.0 == auth) else {
        return Err(unknown(dialect, RequestPart::Authentication, matches!(auth, Authentication::Other(252..))));
    };
    let bits = key.map_or(0, |key| key.bits);
    // Linux takes keys of any length for its hashes, as HMAC does.
    let fits =
        if dialect == Dialect::Linux { bits > 0 || auth == Authentication::Null } else { (min..=max).contains(&bits) };
    if fits { Ok(()) } else { Err(key_length(RequestPart::Authentication, auth.name(), &[min, max], bits)) }
}

fn check_cipher(dialect: Dialect, encrypt: Encryption, key: Option<&Key<'_>>) -> Result<(), Refused> {
    let bits = key.map_or(0, |key| key.bits);
    let listed = ciphers(dialect).iter().find(|cipher| cipher.0 == encrypt);
    let Some(&(_, _, min, max, lengths)) = listed else {
        return Err(unknown(dialect, RequestPart::Encryption, matches!(encrypt, Encryption::Other(254..))));
    };
    let range = [min, max];
    let (fits, allowed) = match lengths {
        Lengths::Listed => ((min..=max).contains(&bits) && bits.is_multiple_of(8), &range[..]),
        Lengths::Each(each) => (each.contains(&bits), each),
    };
    if fits { Ok(()) } else { Err(key_length(RequestPart::Encryption, encrypt.name(), allowed, bits)) }
}

/// Two lengths are the ends of a range, more are those that there are.
fn key_length(part: RequestPart, name: Option<&str>, lengths: &[u16], bits: u16) -> Refused {
    let allowed = match lengths {
        [min, max] if min == max => min.to_string(),
        [min, max] => format!("{min} to {max}"),
        each => each.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
    };
    let name = name.unwrap_or("it");
    Refused::new(Errno::EINVAL, part, format!("Invalid key length: {name} takes {allowed} bits, not {bits}"))
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
