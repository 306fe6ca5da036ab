//! The builder of SAs, and the checks that their parts go together.

use std::net::IpAddr;

use super::{Keyed, Lifetimes, Mode, Replay, SaId, SaSpec, SecurityLabel, TCP_MD5_SPI, UdpEncapsulation};
use crate::algorithm::{Authentication, Compression, Encryption, KeyBits};
use crate::num::{SaFlags, SaType};
use crate::secret_key::SecretKey;
use crate::setters::setters;
use crate::spec_error::SpecError;
use crate::wire::{XfrmAuthTrunc, XfrmMark, XfrmOffload};

/// Replay window of an AH or ESP SA, in packets: the largest that every dialect can express.
const DEFAULT_WINDOW: u32 = 32;
/// Largest of the reserved SPIs (RFC 4302 and 4303 section 2).
const SPI_RESERVED_MAX: u32 = 255;
/// Largest CPI: it has 16 bits (RFC 3173 section 2.1).
const CPI_MAX: u32 = 0xffff;

/// Builds an [`SaSpec`]. The defaults are transport mode, no reqid, no limits, and for AH and ESP a replay window of 32
/// packets.
#[derive(Clone, Debug)]
pub struct SaBuilder(SaSpec);

impl SaBuilder {
    pub(super) fn new(id: SaId) -> Self {
        let window = if matches!(id.sa_type, SaType::Ah | SaType::Esp) { DEFAULT_WINDOW } else { 0 };
        Self(SaSpec { replay: Replay { window, esn: false }, ..SaSpec::new(id) })
    }

    /// Sets the compression algorithm of IPComp. Its packets carry the SPI as their CPI.
    #[must_use]
    pub fn compression(mut self, algorithm: Compression) -> Self {
        self.0.compression = Some(algorithm);
        // Without this flag KAME's kernels put a well-known CPI into packets instead (RFC 3173 section 3.3).
        self.0.flags |= SaFlags::RAWCPI;
        self
    }

    /// Uses extended sequence numbers (RFC 4304).
    #[must_use]
    pub fn extended_sequence_numbers(mut self) -> Self {
        self.0.replay.esn = true;
        self
    }

    /// Adds flags.
    #[must_use]
    pub fn flags(mut self, flags: SaFlags) -> Self {
        self.0.flags |= flags;
        self
    }

    /// Checks and returns the SA.
    ///
    /// # Errors
    /// As [`SaSpec::check`].
    pub fn build(self) -> Result<SaSpec, SpecError> {
        self.0.check()?;
        Ok(self.0)
    }
}

setters! {
    SaBuilder {
        /// Sets the mode.
        mode(mode: Mode) => mode = mode;
        /// Sets the reqid: a policy of level unique uses only SAs with its reqid.
        reqid(reqid: u32) => reqid = reqid;
        /// Sets the cipher of ESP and its key. The salt of a counter mode is the end of the key.
        encryption(algorithm: Encryption, key: impl Into<SecretKey>) => encryption = Some(Keyed::new(algorithm, key));
        /// Sets the authentication algorithm and its key.
        authentication(algorithm: Authentication, key: impl Into<SecretKey>) => authentication = Some(Keyed::new(algorithm, key));
        /// Sets the replay window, in packets; 0 turns replay protection off.
        replay_window(packets: u32) => replay.window = packets;
        /// Sets the limits.
        lifetimes(lifetimes: Lifetimes) => lifetimes = lifetimes;
        /// Encapsulates ESP in UDP (RFC 3948).
        encapsulation(encapsulation: UdpEncapsulation) => encapsulation = Some(encapsulation);
        /// Sets the security label (Linux).
        label(label: SecurityLabel) => label = Some(label);
        /// Restricts the source addresses inside a tunnel.
        inner_source(address: IpAddr, prefix_len: u8) => inner_source = Some((address, prefix_len));
        /// Restricts the SA to packets with a mark (NETLINK_XFRM only).
        mark(mark: XfrmMark) => id.mark = Some(mark);
        /// Sets the mark that packets get when the SA has processed them (NETLINK_XFRM only).
        output_mark(mark: XfrmMark) => output_mark = Some(mark);
        /// Binds the SA to an XFRM interface (NETLINK_XFRM only).
        if_id(id: u32) => if_id = Some(id);
        /// Sets the length of the ICV (NETLINK_XFRM only).
        auth_trunc(auth_trunc: XfrmAuthTrunc) => auth_trunc = Some(auth_trunc);
        /// Offloads the SA to a network interface (NETLINK_XFRM only).
        offload(offload: XfrmOffload) => offload = Some(offload);
    }
}

impl SaSpec {
    /// Checks that the parts go together, on any kernel.
    ///
    /// # Errors
    /// The first contradiction, and how to avoid it.
    pub fn check(&self) -> Result<(), SpecError> {
        let SaId { sa_type, source, destination, .. } = self.id;
        // A tunnel may carry packets of the other family, but its own header has one.
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(SpecError::AddressFamilies { from: source.ip(), to: destination.ip() });
        }
        if self.encapsulation.is_some() && sa_type != SaType::Esp {
            return Err(SpecError::EncapsulationWithoutEsp(sa_type));
        }
        self.check_spi()?;
        self.check_algorithms()?;
        self.check_keys()
    }

    fn check_spi(&self) -> Result<(), SpecError> {
        match (self.id.sa_type, self.id.spi) {
            // 0 stands for no SA, and IANA reserves the others.
            (SaType::Ah | SaType::Esp, spi) if spi <= SPI_RESERVED_MAX => Err(SpecError::ReservedSpi(spi)),
            // PF_KEY of Linux would install an SA that no packet can match.
            (SaType::IpComp, cpi) if cpi > CPI_MAX => Err(SpecError::WideCpi(cpi)),
            (SaType::TcpSignature, spi) if spi != TCP_MD5_SPI => Err(SpecError::TcpMd5Spi(spi)),
            _ => Ok(()),
        }
    }

    /// Which algorithms an SA of its protocol has.
    fn check_algorithms(&self) -> Result<(), SpecError> {
        let sa_type = self.id.sa_type;
        let cipher = self.encryption.as_ref().map(|keyed| keyed.algorithm);
        let hash = self.authentication.as_ref().map(|keyed| keyed.algorithm);
        let superfluous = |what| Err(SpecError::Superfluous { sa_type, what });
        match sa_type {
            SaType::Esp if cipher.is_none() => return Err(SpecError::MissingEncryption),
            // AH with the null algorithm would protect nothing.
            SaType::Ah if hash.is_none_or(|hash| hash == Authentication::Null) => {
                return Err(SpecError::MissingAuthentication);
            }
            SaType::IpComp if self.compression.is_none() => return Err(SpecError::MissingCompression),
            SaType::TcpSignature if hash != Some(Authentication::TcpMd5) => return Err(SpecError::NotTcpMd5),
            SaType::Esp | SaType::Ah | SaType::IpComp | SaType::TcpSignature => {}
            _ => return Err(SpecError::NoSuchSas(sa_type)),
        }
        if cipher.is_some() && sa_type != SaType::Esp {
            return superfluous("encryption");
        }
        if hash.is_some() && sa_type == SaType::IpComp {
            return superfluous("authentication");
        }
        if self.compression.is_some() && sa_type != SaType::IpComp {
            return superfluous("compression");
        }
        match (cipher, hash) {
            (_, Some(Authentication::TcpMd5)) if sa_type != SaType::TcpSignature => Err(SpecError::TcpMd5Elsewhere),
            // FreeBSD and NetBSD would silently put the cipher's own authentication in the place of the other.
            (Some(cipher), Some(hash)) if cipher.is_aead() => Err(SpecError::AeadWithAuthentication { cipher, hash }),
            _ => Ok(()),
        }
    }

    fn check_keys(&self) -> Result<(), SpecError> {
        if let Some(keyed) = &self.encryption {
            check_key(keyed.algorithm.name(), keyed.algorithm.key_bits(), keyed.key_bits())?;
        }
        if let Some(keyed) = &self.authentication {
            check_key(keyed.algorithm.name(), keyed.algorithm.key_bits(), keyed.key_bits())?;
        }
        Ok(())
    }
}

/// Checks the length of a key, of an algorithm that has a name. (The lengths of others are not known.)
fn check_key(name: Option<&'static str>, allowed: KeyBits, bits: usize) -> Result<(), SpecError> {
    let Some(algorithm) = name else { return Ok(()) };
    match u16::try_from(bits).is_ok_and(|bits| allowed.allows(bits)) {
        true => Ok(()),
        false => Err(SpecError::KeyLength { algorithm, allowed, bits }),
    }
}
