//! The backup file of `path backupsa`. With `-B`, racoon takes over the saved SAs that the kernel still has and
//! renegotiates the others.
//!
//! Each installed SA has a line in the format of the C racoon, followed by fields that the format lacks:
//!
//! ```text
//! Nov 22 03:50:00 2026%SRC DST satype spi mode reqid window enc enc_bits auth auth_bits flags
//!     allocations bytes addtime usetime seq KEYS at=SECONDS [icv=A,B] [replay=A,B] [inside=ADDRESS]
//! ```
//!
//! All numbers are decimal and those of the dialect. The keys are hexadecimal, the encryption key first. `at` is the
//! time of installation in seconds since 1970; an expired SA is not restored.
//!
//! No SA is ever installed from the file: it would number its packets from 0 again, and the peer would drop them as
//! replays. SAs in counter mode are not even saved, because installing one would reuse counters under the same key (RFC
//! 3686 section 9, RFC 4106 section 10).
//!
//! Lines are only appended. When twice as many lines are dead as alive, a new file replaces the old one.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ipsec_conf::hex;
use libpfkey::{Dialect, ExtensionType, Message, SaId, SaType, dump};
use nix::unistd::geteuid;
use zeroize::Zeroizing;

use crate::clock::since_1970;
use crate::output::with_path;

/// Size above which the file is refused.
const SIZE_MAX: u64 = 64 << 20;

/// Number of dead lines up to which the file is never rewritten.
const DEAD_LINES_MAX: usize = 64;

/// Capacity for the longest line. A string that grows would leave a copy of the keys behind.
const LINE_MAX: usize = 1024;

/// Key of an SA: source, destination, SA type in the dialect's number, SPI.
pub type Name = (IpAddr, IpAddr, u8, u32);

/// libpfkey extensions that are saved, with the names of their fields.
const EXTENSIONS: [(&str, ExtensionType); 2] =
    [("icv", ExtensionType::XfrmAuthTrunc), ("replay", ExtensionType::XfrmReplay)];

/// The backup file.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    file: File,
    /// SAs with a line that was written or restored by this process.
    living: HashSet<Name>,
    /// Those of them that have been removed from the kernel.
    dead: HashSet<Name>,
}

/// A saved SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSa {
    source: IpAddr,
    destination: IpAddr,
    sa_type: u8,
    spi: u32,
    mode: u8,
    reqid: u32,
    window: u8,
    encrypt: u8,
    auth: u8,
    flags: u32,
    /// Hard limits: allocations, bytes, seconds since installation, seconds since first use.
    limits: [u64; 4],
    keys: [Zeroizing<Vec<u8>>; 2],
    at: u64,
    extensions: Vec<(&'static str, [u32; 2])>,
    inside: Option<IpAddr>,
}

impl Backup {
    /// Opens the file for appending, or creates it.
    ///
    /// # Errors
    /// Those of the system, or if it is not a private regular file of this user; with the file's name.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| with_path(path, &error))?;
        let metadata = file.metadata().map_err(|error| with_path(path, &error))?;
        let private = metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !private {
            let text = "must be a regular file of racoon's user that nobody else can read (mode 0600)";
            return Err(with_path(path, &io::Error::other(text)));
        }
        // The daemon leaves the directory it was started in.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, file, living: HashSet::new(), dead: HashSet::new() })
    }

    /// Appends the SA that `message`, an UPDATE or ADD, has installed.
    ///
    /// # Errors
    /// Those of the system, with the file's name.
    pub fn add(&mut self, dialect: Dialect, message: &Message<'_>) -> io::Result<()> {
        let Some(saved) = SavedSa::of(message, dialect, since_1970()) else { return Ok(()) };
        self.append(&saved.line()).map_err(|error| with_path(&self.path, &error))?;
        // The kernel may reuse the SPI of a removed SA.
        self.dead.remove(&saved.name());
        self.living.insert(saved.name());
        Ok(())
    }

    /// Writes a line completely or not at all; a partial line would corrupt the next one.
    fn append(&mut self, line: &str) -> io::Result<()> {
        // A full disk may have taken a part of the line.
        let before = self.file.metadata()?.len();
        self.file.write_all(line.as_bytes()).inspect_err(|_| drop(self.file.set_len(before)))
    }

    /// Marks an SA as removed.
    ///
    /// # Errors
    /// Those of the system, with the file's name; the line stays.
    pub fn forget(&mut self, name: &Name) -> io::Result<()> {
        self.dead.extend(self.living.take(name));
        self.compact()
    }

    /// Marks all SAs of a type, or all SAs, as removed.
    ///
    /// # Errors
    /// As [`Backup::forget`].
    pub fn forget_all(&mut self, sa_type: Option<u8>) -> io::Result<()> {
        self.dead.extend(self.living.extract_if(|(_, _, of, _)| sa_type.is_none_or(|sa_type| sa_type == *of)));
        self.compact()
    }

    /// Rewrites the file without dead lines if there are many.
    fn compact(&mut self) -> io::Result<()> {
        if self.dead.len() < DEAD_LINES_MAX || self.dead.len() <= 2 * self.living.len() {
            return Ok(());
        }
        // Even if the rewrite fails, the next attempt is made only after as many dead lines again.
        let dead = std::mem::take(&mut self.dead);
        let (mut saved, _) = self.read()?;
        saved.retain(|saved| !dead.contains(&saved.name()));
        self.rewrite(&saved)
    }

    /// Returns the saved SAs that have not expired, and the number of lines in an unknown format. The file is rewritten
    /// with only these SAs.
    ///
    /// # Errors
    /// Those of the system, with the file's name.
    pub fn restore(&mut self) -> io::Result<(Vec<SavedSa>, usize)> {
        let (saved, skipped) = self.read()?;
        self.rewrite(&saved)?;
        self.living = saved.iter().map(SavedSa::name).collect();
        Ok((saved, skipped))
    }

    /// Returns the saved SAs that have not expired, and the number of lines in an unknown format.
    fn read(&mut self) -> io::Result<(Vec<SavedSa>, usize)> {
        let wrong = |error| with_path(&self.path, &error);
        let length = self.file.metadata().map_err(wrong)?.len();
        if length > SIZE_MAX {
            return Err(wrong(ErrorKind::FileTooLarge.into()));
        }
        // A buffer that grows would leave copies of the keys behind.
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(usize::MAX)]);
        self.file.rewind().and_then(|()| self.file.read_exact(&mut bytes)).map_err(wrong)?;
        let (now, mut skipped) = (since_1970(), 0);
        let (mut living, mut seen) = (Vec::new(), HashSet::new());
        // Backwards: of two lines with the same name, the later one is in effect.
        for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
            match std::str::from_utf8(line).ok().and_then(|line| SavedSa::parse(line.trim_end())) {
                Some(saved) if !seen.insert(saved.name()) => {}
                Some(saved) if saved.left(now).is_some() => living.push(saved),
                Some(_) => {}
                None => skipped += 1,
            }
        }
        living.reverse();
        Ok((living, skipped))
    }

    /// Replaces the file with one that has only these SAs. The rename is atomic.
    fn rewrite(&mut self, saved: &[SavedSa]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let (new, mut options) = (PathBuf::from(name), OpenOptions::new());
        options.read(true).append(true).create_new(true).mode(0o600);
        let write = || {
            // Left behind by a racoon that was killed.
            let _ = fs::remove_file(&new);
            let mut file = options.open(&new)?;
            saved.iter().try_for_each(|saved| file.write_all(saved.line().as_bytes()))?;
            // Otherwise a power failure after the rename could leave an empty file.
            file.sync_data()?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        };
        self.file = write().map_err(|error: io::Error| {
            // Do not leave keys behind in a partial file.
            let _ = fs::remove_file(&new);
            with_path(&new, &error)
        })?;
        Ok(())
    }

    /// Empties the file.
    ///
    /// # Errors
    /// Those of the system, with the file's name.
    pub fn clear(&mut self) -> io::Result<()> {
        self.living.clear();
        self.dead.clear();
        self.file.set_len(0).map_err(|error| with_path(&self.path, &error))
    }
}

impl SavedSa {
    /// Returns what is saved of an SA; `None` if the message is about none.
    fn of(message: &Message<'_>, dialect: Dialect, at: u64) -> Option<Self> {
        let (sa, sa2) = (message.sa()?, message.sa2().copied().unwrap_or_default());
        let address = |kind| message.address(kind)?.sockaddr.ip();
        let hard = message.lifetime(ExtensionType::LifetimeHard).copied().unwrap_or_default();
        let key = |kind| Zeroizing::new(message.key(kind).map_or_else(Vec::new, |key| key.bytes.to_vec()));
        let extensions = EXTENSIONS.iter().filter_map(|(name, kind)| Some((*name, extension_numbers(message, *kind)?)));
        Some(Self {
            source: address(ExtensionType::AddressSrc)?,
            destination: address(ExtensionType::AddressDst)?,
            sa_type: message.header.sa_type.number(dialect)?,
            spi: sa.spi,
            mode: sa2.mode,
            reqid: sa2.reqid,
            window: sa.replay,
            encrypt: sa.encrypt,
            auth: sa.auth,
            flags: sa.flags.bits(),
            limits: [hard.allocations.into(), hard.bytes, hard.addtime, hard.usetime],
            keys: [key(ExtensionType::KeyEncrypt), key(ExtensionType::KeyAuth)],
            at,
            extensions: extensions.collect(),
            inside: address(ExtensionType::AddressProxy),
        })
    }

    /// Returns the SA's name; `None` for SA types other than AH, ESP and IPComp.
    pub fn id(&self, dialect: Dialect) -> Option<SaId> {
        let sa_type = SaType::from_number(dialect, self.sa_type);
        matches!(sa_type, SaType::Ah | SaType::Esp | SaType::IpComp)
            .then(|| SaId::new(sa_type, self.source, self.destination, self.spi))
    }

    /// Returns the reqid, 0 for none.
    pub fn reqid(&self) -> u32 {
        self.reqid
    }

    fn name(&self) -> Name {
        (self.source, self.destination, self.sa_type, self.spi)
    }

    /// Returns the remaining lifetime in seconds, 0 for an unlimited one; `None` if it has expired.
    fn left(&self, now: u64) -> Option<u64> {
        let [_, _, addtime, _] = self.limits;
        match addtime {
            0 => Some(0),
            _ => addtime.checked_sub(now.saturating_sub(self.at)).filter(|left| *left > 0),
        }
    }

    /// Formats the line.
    fn line(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(LINE_MAX);
        dump::calendar(&mut text, i64::try_from(self.at).unwrap_or(0));
        let Self { source, destination, sa_type, spi, mode, reqid, window, encrypt, auth, flags, .. } = self;
        let [encrypt_bits, auth_bits] = self.keys.each_ref().map(|key| key.len() * 8);
        let [allocations, bytes, addtime, usetime] = self.limits;
        text += &format!("%{source} {destination} {sa_type} {spi} {mode} {reqid} {window} ");
        text += &format!("{encrypt} {encrypt_bits} {auth} {auth_bits} {flags} ");
        // The 0 is in the place of the request's sequence number.
        text += &format!("{allocations} {bytes} {addtime} {usetime} 0 ");
        for octet in self.keys.iter().flat_map(|key| key.iter()) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{octet:02x}");
        }
        text += &format!(" at={}", self.at);
        self.extensions.iter().for_each(|(name, [first, second])| text += &format!(" {name}={first},{second}"));
        if let Some(inside) = self.inside {
            text += &format!(" inside={inside}");
        }
        text.push('\n');
        Zeroizing::new(text)
    }

    /// Parses a line; `None` for an unknown format.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_once('%')?.1.split(' ');
        let mut saved = Self {
            source: fields.next()?.parse().ok()?,
            destination: fields.next()?.parse().ok()?,
            sa_type: fields.next()?.parse().ok()?,
            spi: fields.next()?.parse().ok()?,
            mode: fields.next()?.parse().ok()?,
            reqid: fields.next()?.parse().ok()?,
            window: fields.next()?.parse().ok()?,
            encrypt: fields.next()?.parse().ok()?,
            auth: 0,
            flags: 0,
            limits: [0; 4],
            keys: Default::default(),
            at: 0,
            extensions: Vec::new(),
            inside: None,
        };
        let encrypt_bits: usize = fields.next()?.parse().ok()?;
        saved.auth = fields.next()?.parse().ok()?;
        let auth_bits: usize = fields.next()?.parse().ok()?;
        saved.flags = fields.next()?.parse().ok()?;
        for limit in &mut saved.limits {
            *limit = fields.next()?.parse().ok()?;
        }
        // The C racoon saves the sequence number of its request, which means nothing to another process.
        let _sequence: u32 = fields.next()?.parse().ok()?;
        let octets = hex::octets(fields.next()?.as_bytes())?;
        let (encrypt, auth) = octets.split_at_checked(encrypt_bits / 8)?;
        if auth.len() != auth_bits / 8 {
            return None;
        }
        saved.keys = [Zeroizing::new(encrypt.to_vec()), Zeroizing::new(auth.to_vec())];
        saved.at = fields.next()?.strip_prefix("at=")?.parse().ok()?;
        fields.try_for_each(|field| saved.parse_field(field))?;
        Some(saved)
    }

    /// Parses an optional field.
    fn parse_field(&mut self, field: &str) -> Option<()> {
        let (name, value) = field.split_once('=')?;
        if name == "inside" {
            self.inside = Some(value.parse().ok()?);
            return Some(());
        }
        let (name, _) = EXTENSIONS.iter().find(|(known, _)| *known == name)?;
        let (first, second) = value.split_once(',')?;
        self.extensions.push((name, [first.parse().ok()?, second.parse().ok()?]));
        Some(())
    }
}

/// Returns the two numbers by which the file represents an extension.
fn extension_numbers(message: &Message<'_>, kind: ExtensionType) -> Option<[u32; 2]> {
    let xfrm = message.xfrm();
    match kind {
        ExtensionType::XfrmAuthTrunc => xfrm.auth_trunc.map(|icv| [icv.icv_bits, if icv.align4 { 4 } else { 0 }]),
        ExtensionType::XfrmReplay => xfrm.replay.map(|replay| [replay.window, replay.esn.into()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
