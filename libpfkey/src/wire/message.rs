//! A whole message: base header and extensions.

use zeroize::Zeroize;

use super::address::Address;
use super::extension::Extension;
use super::header::{HEADER_LEN, Header};
use super::key::Key;
use super::label::SecurityContext;
use super::policy::Policy;
use super::reader::Reader;
use super::sa::{Lifetime, Sa, Sa2};
use super::sockaddr::SockAddr;
use super::supported::Algorithm;
use super::writer::Writer;
use super::xfrm::XfrmExtensions;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, PF_KEY_V2, SaType};
use crate::strerror::Code;

/// A parsed message. It borrows keys, labels and unknown extensions from the bytes it was parsed from.
///
/// ```
/// use libpfkey::{Abi, Dialect, Message, MessageType};
///
/// let bytes = [2, 10, 2, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0x39, 5, 0, 0];
/// let abi = Abi { dialect: Dialect::Linux, byte_order: libpfkey::ByteOrder::Little };
/// let message = Message::parse(abi, &bytes)?;
/// assert_eq!(message.header.message_type, MessageType::Dump);
/// assert_eq!((message.header.errno, message.header.pid), (2, 1337));
/// # Ok::<(), libpfkey::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// How it was laid out.
    pub abi: Abi,
    /// The base header.
    pub header: Header,
    /// The extensions in the order they stood.
    pub extensions: Vec<Extension<'a>>,
}

impl<'a> Message<'a> {
    /// Parses a message: lengths, alignment, duplicates. Unknown extensions are kept as they are.
    ///
    /// # Errors
    /// [`Error::Malformed`] names what is wrong and where.
    pub fn parse(abi: Abi, bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, abi);
        let header = Header::parse(&mut reader)?;
        // A datagram holds one message. A longer one was cut by the receiver, or is not PF_KEY.
        if usize::from(header.words) * 8 != bytes.len() {
            return Err(reader.malformed(Code::InvalidMessage, "the length field is not the number of bytes"));
        }
        // Most messages have fewer extensions: one allocation each, also in a dump of thousands.
        let mut extensions: Vec<Extension<'a>> = Vec::with_capacity(16);
        while !reader.is_empty() {
            let (number, mut body) = next_extension(&mut reader)?;
            let kind = ExtensionType::from_number(abi.dialect, number);
            // Newer kernels add extensions. libipsec refused a message with one, and listed nothing on such a kernel.
            let unknown = matches!(kind, ExtensionType::Other(_));
            if !unknown && extensions.iter().any(|other| other.kind() == kind) {
                return Err(reader.malformed(Code::InvalidExtensionType, "an extension that was there before"));
            }
            extensions.push(Extension::parse(kind, &mut body)?);
        }
        Ok(Self { abi, header, extensions })
    }

    /// The semantic checks of libipsec's `pfkey_check`: version, type, and what the SA type allows.
    ///
    /// # Errors
    /// [`Error::Refused`] with libipsec's code.
    pub fn check(&self) -> Result<()> {
        use MessageType as M;
        let Header { version, message_type, sa_type, .. } = self.header;
        if version != PF_KEY_V2 {
            return Err(Code::InvalidVersion.into());
        }
        if matches!(message_type, M::Other(_)) {
            return Err(Code::InvalidMessageType.into());
        }
        // These are about SAs of one type.
        let for_sa = matches!(
            message_type,
            M::GetSpi | M::Update | M::Add | M::Delete | M::Get | M::Acquire | M::Expire | M::NatTNewMapping
        );
        let for_policy = matches!(message_type, M::SpdAdd | M::SpdDelete | M::SpdGet | M::SpdDump | M::SpdFlush);
        match sa_type {
            SaType::Unspec if for_sa => return Err(Code::InvalidSaType.into()),
            SaType::Ah | SaType::Esp | SaType::IpComp | SaType::TcpSignature if for_policy => {
                return Err(Code::InvalidSaType.into());
            }
            // Types of RFC 2367 for which no kernel has SAs.
            SaType::Rsvp | SaType::OspfV2 | SaType::RipV2 | SaType::Mip => return Err(Code::NotSupported.into()),
            // The "on" of X_PROMISC; and Linux leaves the field of SPDFLUSH uninitialised.
            SaType::Other(1) if message_type == M::Promisc => {}
            SaType::Other(_) if message_type != M::SpdFlush => return Err(Code::InvalidSaType.into()),
            _ => {}
        }
        // RFC 3948 encapsulates only ESP.
        if message_type == M::NatTNewMapping && sa_type != SaType::Esp {
            return Err(Code::InvalidSaType.into());
        }
        self.check_addresses()
    }

    fn check_addresses(&self) -> Result<()> {
        let (Some(source), Some(destination)) = (self.source(), self.destination()) else { return Ok(()) };
        if source.proto != destination.proto {
            return Err(Code::ProtocolMismatch.into());
        }
        if !source.sockaddr.same_family(&destination.sockaddr) {
            return Err(Code::FamilyMismatch.into());
        }
        if matches!(source.sockaddr, SockAddr::Other { .. }) {
            return Err(Code::InvalidFamily.into());
        }
        Ok(())
    }

    /// The first extension that `pick` takes.
    fn find<'m, T>(&'m self, pick: impl Fn(&'m Extension<'a>) -> Option<T>) -> Option<T> {
        self.extensions.iter().find_map(pick)
    }

    /// `sadb_sa`
    pub fn sa(&self) -> Option<&Sa> {
        self.find(|e| if let Extension::Sa(sa) = e { Some(sa) } else { None })
    }

    /// `sadb_x_sa2`
    pub fn sa2(&self) -> Option<&Sa2> {
        self.find(|e| if let Extension::Sa2(sa2) = e { Some(sa2) } else { None })
    }

    /// The address of a kind.
    pub fn address(&self, kind: ExtensionType) -> Option<&Address> {
        self.find(|e| match e {
            Extension::Address(of, address) if *of == kind => Some(address),
            _ => None,
        })
    }

    /// The source address.
    pub fn source(&self) -> Option<&Address> {
        self.address(ExtensionType::AddressSrc)
    }

    /// The destination address.
    pub fn destination(&self) -> Option<&Address> {
        self.address(ExtensionType::AddressDst)
    }

    /// The lifetime of a kind.
    pub fn lifetime(&self, kind: ExtensionType) -> Option<&Lifetime> {
        self.find(|e| match e {
            Extension::Lifetime(of, lifetime) if *of == kind => Some(lifetime),
            _ => None,
        })
    }

    /// The key of a kind.
    pub fn key(&self, kind: ExtensionType) -> Option<&Key<'a>> {
        self.find(|e| match e {
            Extension::Key(of, key) if *of == kind => Some(key),
            _ => None,
        })
    }

    /// `sadb_x_policy`
    pub fn policy(&self) -> Option<&Policy> {
        self.find(|e| if let Extension::Policy(policy) = e { Some(policy) } else { None })
    }

    /// The NAT-T type.
    pub fn natt_type(&self) -> Option<u8> {
        self.find(|e| if let Extension::NatTType(number) = e { Some(*number) } else { None })
    }

    /// The NAT-T port of a kind, in host order.
    pub fn natt_port(&self, kind: ExtensionType) -> Option<u16> {
        self.find(|e| match e {
            Extension::NatTPort(of, port) if *of == kind => Some(*port),
            _ => None,
        })
    }

    /// The security label.
    pub fn security_context(&self) -> Option<&SecurityContext<'a>> {
        self.find(|e| if let Extension::SecurityContext(context) = e { Some(context) } else { None })
    }

    /// This library's extensions for NETLINK_XFRM.
    pub fn xfrm(&self) -> XfrmExtensions {
        XfrmExtensions::of(self)
    }

    /// The algorithms of a kind in a REGISTER reply.
    pub fn supported(&self, kind: ExtensionType) -> Option<&[Algorithm]> {
        self.find(|e| match e {
            Extension::Supported(of, list) if *of == kind => Some(list.as_slice()),
            _ => None,
        })
    }

    /// Appends the message to a buffer; the length fields are computed.
    ///
    /// # Errors
    /// What the dialect has no number for, and a message of more than 65,535 words.
    pub fn emit(&self, buffer: &mut Vec<u8>) -> Result<()> {
        let mut builder = Builder::append(self.abi, self.header, buffer)?;
        for extension in &self.extensions {
            builder.push(extension)?;
        }
        builder.finish()
    }
}

/// Takes the next extension off a message: its number and what follows its header.
pub(crate) fn next_extension<'a>(reader: &mut Reader<'a>) -> Result<(u16, Reader<'a>)> {
    if reader.remaining() < 8 {
        return Err(reader.malformed(Code::InvalidMessage, "fewer bytes left than an extension has"));
    }
    let length = usize::from(reader.clone().u16()?) * 8;
    // It would be read again and again.
    if length == 0 {
        return Err(reader.malformed(Code::InvalidMessage, "an extension of length 0"));
    }
    if length > reader.remaining() {
        return Err(reader.malformed(Code::InvalidMessage, "an extension longer than the message"));
    }
    let mut extension = reader.sub(length)?;
    extension.skip(2)?;
    let number = extension.u16()?;
    Ok((number, extension))
}

/// Writes a message extension by extension into a buffer that the caller may use again. The buffer holds keys: wipe it when
/// done (`zeroize`).
///
/// ```
/// use libpfkey::wire::{Address, Sa};
/// use libpfkey::{Abi, Builder, Dialect, Extension, ExtensionType, Header, Message, MessageType, SaType};
///
/// let abi = Abi::of(Dialect::FreeBsd);
/// let mut buffer = Vec::new();
/// let mut builder = Builder::new(abi, Header::new(MessageType::Get, SaType::Esp), &mut buffer)?;
/// builder.push(&Extension::Sa(Sa::named(0x1001)))?;
/// for (kind, ip) in [(ExtensionType::AddressSrc, [192, 0, 2, 1]), (ExtensionType::AddressDst, [192, 0, 2, 2])] {
///     builder.push(&Extension::Address(kind, Address::host(std::net::IpAddr::from(ip).into())))?;
/// }
/// builder.finish()?;
/// assert_eq!(Message::parse(abi, &buffer)?.sa().map(|sa| sa.spi), Some(0x1001));
/// # Ok::<(), libpfkey::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder<'b> {
    writer: Writer<'b>,
    start: usize,
}

impl<'b> Builder<'b> {
    /// Starts a message in an emptied (and wiped) buffer.
    ///
    /// # Errors
    /// [`Error::NotInDialect`] for a message or SA type without a number.
    pub fn new(abi: Abi, header: Header, buffer: &'b mut Vec<u8>) -> Result<Self> {
        // It may hold the keys of an earlier message.
        buffer.zeroize();
        Self::append(abi, header, buffer)
    }

    fn append(abi: Abi, header: Header, buffer: &'b mut Vec<u8>) -> Result<Self> {
        let start = buffer.len();
        let mut writer = Writer::new(buffer, abi);
        header.emit(&mut writer)?;
        Ok(Self { writer, start })
    }

    /// Appends an extension.
    ///
    /// # Errors
    /// [`Error::NotInDialect`] for an extension without a number; [`Code::NoBuffers`] when it is too long.
    pub fn push(&mut self, extension: &Extension<'_>) -> Result<()> {
        extension.emit(&mut self.writer)
    }

    /// Fills in the length.
    ///
    /// # Errors
    /// [`Code::NoBuffers`] when the message has more than 65,535 words.
    pub fn finish(mut self) -> Result<()> {
        // Every part is padded to words, so nothing is lost.
        let words = (self.writer.len() - self.start) / 8;
        let words = u16::try_from(words).map_err(|_| Error::Refused(Code::NoBuffers))?;
        self.writer.patch_u16(self.start + LEN_OFFSET, words);
        Ok(())
    }
}

/// Where the length field is in the base header.
const LEN_OFFSET: usize = 4;

/// Reads the base header alone.
///
/// # Errors
/// [`Error::Malformed`] when there are fewer than 16 bytes.
pub fn peek_header(abi: Abi, bytes: &[u8]) -> Result<Header> {
    Header::parse(&mut Reader::new(bytes.get(..HEADER_LEN).unwrap_or(bytes), abi))
}

/// Writes a base header over the one that a message has; `words` is written as it stands.
pub(crate) fn replace_header(abi: Abi, message: &mut [u8], header: &Header) -> Result<()> {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    header.emit(&mut Writer::new(&mut bytes, abi))?;
    if let Some(place) = message.get_mut(..HEADER_LEN) {
        place.copy_from_slice(&bytes);
    }
    Ok(())
}
