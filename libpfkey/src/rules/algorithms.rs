//! The algorithms that each kernel reports, and what it does with keys of other lengths.

use nix::errno::Errno;

use super::{Part, Refused};
use crate::dialect::Dialect;
use crate::num::{Auth, Compress, Encrypt, ExtensionType, SaType};
use crate::wire::{Algorithm, Extension, Key, Message, Sa};

/// A keyed hash and its shortest and longest key in bits.
type Hash = (Auth, u16, u16);

/// A cipher: the IV length it reports, its shortest and longest key in bits (nonce included) and their step.
type Cipher = (Encrypt, u8, u16, u16, u16);

const LINUX_HASHES: &[Hash] = &[
    (Auth::Null, 0, 0),
    (Auth::HmacMd5, 128, 128),
    (Auth::HmacSha1, 160, 160),
    (Auth::HmacSha256, 256, 256),
    (Auth::HmacSha384, 384, 384),
    (Auth::HmacSha512, 512, 512),
    (Auth::HmacRipemd160, 160, 160),
    (Auth::AesXcbcMac, 128, 128),
];

const LINUX_CIPHERS: &[Cipher] = &[
    (Encrypt::Null, 0, 0, 0, 8),
    (Encrypt::DesCbc, 8, 64, 64, 8),
    (Encrypt::TripleDesCbc, 8, 192, 192, 8),
    (Encrypt::Cast128Cbc, 8, 40, 128, 8),
    (Encrypt::BlowfishCbc, 8, 40, 448, 8),
    (Encrypt::AesCbc, 8, 128, 256, 64),
    (Encrypt::SerpentCbc, 8, 128, 256, 8),
    (Encrypt::CamelliaCbc, 8, 128, 256, 64),
    (Encrypt::TwofishCbc, 8, 128, 256, 64),
    (Encrypt::AesCtr, 8, 160, 288, 64),
];

const NETBSD_HASHES: &[Hash] = &[
    (Auth::HmacMd5, 128, 128),
    (Auth::HmacSha1, 160, 160),
    (Auth::HmacSha256, 256, 256),
    (Auth::HmacSha384, 384, 384),
    (Auth::HmacSha512, 512, 512),
    (Auth::HmacRipemd160, 160, 160),
    (Auth::AesXcbcMac, 128, 128),
];

/// NetBSD reports block sizes where IV lengths belong.
const NETBSD_CIPHERS: &[Cipher] = &[
    (Encrypt::DesCbc, 8, 64, 64, 8),
    (Encrypt::TripleDesCbc, 8, 192, 192, 8),
    (Encrypt::Cast128Cbc, 8, 40, 128, 8),
    (Encrypt::BlowfishCbc, 8, 40, 448, 8),
    (Encrypt::Null, 4, 0, 2048, 8),
    (Encrypt::AesCbc, 16, 128, 256, 64),
    (Encrypt::AesCtr, 16, 160, 288, 64),
    (Encrypt::AesGcm16, 4, 160, 288, 64),
    (Encrypt::CamelliaCbc, 16, 64, 256, 64),
    (Encrypt::AesGmac, 4, 160, 288, 64),
    (Encrypt::Skipjack, 8, 80, 80, 8),
];

const FREEBSD_HASHES: &[Hash] = &[
    (Auth::HmacSha1, 160, 160),
    (Auth::HmacSha256, 256, 256),
    (Auth::HmacSha384, 384, 384),
    (Auth::HmacSha512, 512, 512),
    (Auth::Aes128Gmac, 160, 160),
    (Auth::Aes192Gmac, 224, 224),
    (Auth::Aes256Gmac, 288, 288),
];

const FREEBSD_CIPHERS: &[Cipher] = &[
    (Encrypt::Null, 0, 0, 2048, 8),
    (Encrypt::AesCbc, 16, 128, 256, 64),
    (Encrypt::AesCtr, 8, 160, 288, 64),
    (Encrypt::AesGcm16, 8, 160, 288, 64),
    (Encrypt::AesGmac, 8, 160, 288, 64),
    (Encrypt::ChaCha20Poly1305, 8, 288, 288, 8),
];

const DARWIN_HASHES: &[Hash] = &[
    (Auth::HmacMd5, 128, 128),
    (Auth::HmacSha1, 160, 160),
    (Auth::HmacSha256, 256, 256),
    (Auth::HmacSha384, 384, 384),
    (Auth::HmacSha512, 512, 512),
];

const DARWIN_CIPHERS: &[Cipher] = &[
    (Encrypt::DesCbc, 8, 64, 64, 8),
    (Encrypt::TripleDesCbc, 8, 192, 192, 8),
    (Encrypt::Null, 4, 0, 2048, 8),
    (Encrypt::AesCbc, 16, 128, 256, 64),
    (Encrypt::AesGcm16, 8, 160, 288, 64),
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
    let auth = Auth::from_number(dialect, sa.auth);
    // NetBSD takes an authentication that is none, and does not list it.
    let is_keyless = dialect == Dialect::NetBsd && auth == Auth::Null;
    match request.header.sa_type {
        SaType::Esp if encrypt_key.is_none() => return Err(missing_cipher()),
        SaType::Ah | SaType::TcpSignature if auth_key.is_none() && !is_keyless => return Err(missing_hash(auth)),
        SaType::IpComp => return check_compression(dialect, sa.encrypt),
        SaType::TcpSignature if auth == Auth::TcpMd5 => return Ok(()),
        SaType::Ah | SaType::TcpSignature if sa.auth == 0 => return Err(missing_hash(auth)),
        SaType::Esp if sa.encrypt == 0 => return Err(missing_cipher()),
        _ => {}
    }
    if sa.auth != 0 && !is_keyless {
        check_hash(dialect, auth, auth_key)?;
    }
    if sa.encrypt != 0 {
        let encrypt = Encrypt::from_number(dialect, sa.encrypt);
        // What PF_KEY of Linux does not list; the lengths of such keys are no secret of the kernel's.
        if netlink && encrypt.is_aead() {
            return Ok(());
        }
        check_cipher(dialect, encrypt, encrypt_key)?;
    }
    Ok(())
}

fn missing_cipher() -> Refused {
    Refused::new(Errno::EINVAL, Part::Cipher, "esp needs a cipher: `-E null' where nothing is to be encrypted")
}

fn missing_hash(auth: Auth) -> Refused {
    let reason = match auth {
        Auth::Null => "ah needs an authentication that has a key",
        _ => "ah needs an authentication algorithm: -A",
    };
    Refused::new(Errno::EINVAL, Part::Hash, reason)
}

/// An algorithm that is in no list. Linux tells numbers that PF_KEY has not from those that its kernel has not.
fn unknown(dialect: Dialect, part: Part, out_of_range: bool) -> Refused {
    let errno = if dialect == Dialect::Linux && !out_of_range { Errno::ENOSYS } else { Errno::EINVAL };
    Refused::new(errno, part, format!("Not supported: {dialect} has no such algorithm for this protocol"))
}

fn check_hash(dialect: Dialect, auth: Auth, key: Option<&Key<'_>>) -> Result<(), Refused> {
    let Some(&(_, min, max)) = hashes(dialect).iter().find(|hash| hash.0 == auth) else {
        return Err(unknown(dialect, Part::Hash, matches!(auth, Auth::Other(252..))));
    };
    let bits = key.map_or(0, |key| key.bits);
    // Linux takes keys of any length for its hashes, as HMAC does.
    let fits = if dialect == Dialect::Linux { bits > 0 || auth == Auth::Null } else { (min..=max).contains(&bits) };
    if fits { Ok(()) } else { Err(key_length(Part::Hash, auth.name(), &[min, max], bits)) }
}

fn check_cipher(dialect: Dialect, encrypt: Encrypt, key: Option<&Key<'_>>) -> Result<(), Refused> {
    let bits = key.map_or(0, |key| key.bits);
    let listed = ciphers(dialect).iter().find(|cipher| cipher.0 == encrypt);
    let Some(&(_, _, min, max, step)) = listed else {
        return Err(unknown(dialect, Part::Cipher, matches!(encrypt, Encrypt::Other(254..))));
    };
    // What lies between the bounds must be a key length too: AES has three, with or without a nonce.
    if (min..=max).contains(&bits) && (bits - min).is_multiple_of(step) {
        return Ok(());
    }
    let lengths: Vec<u16> = match step {
        8 => vec![min, max],
        _ => (min..=max).step_by(usize::from(step)).collect(),
    };
    Err(key_length(Part::Cipher, encrypt.name(), &lengths, bits))
}

/// Two lengths are the ends of a range, more are those that there are.
fn key_length(part: Part, name: Option<&str>, lengths: &[u16], bits: u16) -> Refused {
    let allowed = match lengths {
        [min, max] if min == max => min.to_string(),
        [min, max] => format!("{min} to {max}"),
        each => each.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
    };
    let name = name.unwrap_or("it");
    Refused::new(Errno::EINVAL, part, format!("Invalid key length: {name} takes {allowed} bits, not {bits}"))
}

fn check_compression(dialect: Dialect, number: u8) -> Result<(), Refused> {
    match Compress::from_number(dialect, number) {
        Compress::Deflate => Ok(()),
        Compress::None | Compress::Other(_) => {
            let reason = "ipcomp needs a compression algorithm, and no other: -C deflate";
            Err(Refused::new(Errno::EINVAL, Part::Compression, reason))
        }
        _ => Err(unknown(dialect, Part::Compression, false)),
    }
}
