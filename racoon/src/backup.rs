//! SAs that are saved in a file: `path backupsa`, and `-B`, which takes back those that the kernel still has and has the others
//! renewed.
//!
//! A line for each SA that was installed, as the C racoon writes them, and behind its fields what those have no place for:
//!
//! ```text
//! Nov 22 03:50:00 2026%SRC DST satype spi mode reqid window enc enc_bits auth auth_bits flags
//!     allocations bytes addtime usetime seq KEYS at=SECONDS [icv=A,B] [replay=A,B] [inside=ADDRESS]
//! ```
//!
//! All numbers are decimal and the dialect's, but for the keys, which are hexadecimal, encryption first. `at` is when it was
//! installed, in seconds since 1970: an SA whose time is over is not taken back. None is installed from the file: it would count
//! its packets from 0, and the peer would take them for replays. SAs whose cipher counts are not saved, for whoever installed one
//! would use its counters twice under the same key (RFC 3686 section 9, RFC 4106 section 10).
//!
//! Lines are only added. Those of SAs that are no more go when there are twice as many of them as of others: then a new file
//! takes the old one's place.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ipsec_conf::hex;
use libpfkey::kernel_state::{Protocol, SaKey};
use libpfkey::{Dialect, ExtensionType, Message, SaType, dump};
use nix::unistd::geteuid;
use zeroize::Zeroizing;

use crate::clock::since_1970;

/// More than this is no file of ours.
const SIZE_MAX: u64 = 64 << 20;

/// So many lines may be of SAs that are no more, whatever else the file has.
const DEAD_MAX: usize = 64;

/// Room for the longest line: a string that grows would leave a copy of the keys in it behind.
const LINE_MAX: usize = 1024;

/// What tells SAs apart: source, destination, type by the dialect's number, SPI.
pub type Name = (IpAddr, IpAddr, u8, u32);

/// The private extensions that are saved, by their words.
const WORDS: [(&str, ExtensionType); 2] =
    [("icv", ExtensionType::XfrmAuthTrunc), ("replay", ExtensionType::XfrmReplay)];

/// The file.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    file: File,
    /// The SAs of its lines, as far as they are of this process.
    living: HashSet<Name>,
    /// Those of them that are no more.
    dead: HashSet<Name>,
}

/// An SA of the file.
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
    /// Allocations, bytes, seconds since it was added, since it was used.
    limits: [u64; 4],
    keys: [Zeroizing<Vec<u8>>; 2],
    at: u64,
    words: Vec<(&'static str, [u32; 2])>,
    inside: Option<IpAddr>,
}

impl Backup {
    /// Opens the file to write behind what is in it; makes it if there is none.
    ///
    /// # Errors
    /// With its name: it is not a regular file of ours that nobody else can read, or what the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| named(path, &error))?;
        let metadata = file.metadata().map_err(|error| named(path, &error))?;
        let private = metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !private {
            return Err(named(path, &"must be a regular file of racoon's user that nobody else can read (mode 0600)"));
        }
        // The daemon leaves the directory it was started in.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, file, living: HashSet::new(), dead: HashSet::new() })
    }

    /// Adds an SA that was installed by `message`, UPDATE or ADD.
    ///
    /// # Errors
    /// With the file's name.
    pub fn add(&mut self, dialect: Dialect, message: &Message<'_>) -> io::Result<()> {
        let Some(saved) = SavedSa::of(message, dialect, since_1970()) else { return Ok(()) };
        self.append(&saved.line()).map_err(|error| named(&self.path, &error))?;
        self.dead.remove(&saved.name());
        self.living.insert(saved.name());
        Ok(())
    }

    /// A whole line, or nothing of it: the next one would otherwise continue it.
    fn append(&mut self, line: &str) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        self.file.write_all(line.as_bytes()).inspect_err(|_| drop(self.file.set_len(before)))
    }

    /// An SA is no more.
    ///
    /// # Errors
    /// With the file's name: its line stays.
    pub fn forget(&mut self, name: &Name) -> io::Result<()> {
        self.dead.extend(self.living.take(name));
        self.tidy()
    }

    /// All SAs of a type, or all, are no more.
    ///
    /// # Errors
    /// As [`Backup::forget`].
    pub fn forget_all(&mut self, sa_type: Option<u8>) -> io::Result<()> {
        self.dead.extend(self.living.extract_if(|(_, _, of, _)| sa_type.is_none_or(|sa_type| sa_type == *of)));
        self.tidy()
    }

    /// The lines of SAs that are no more go, if there are many.
    fn tidy(&mut self) -> io::Result<()> {
        if self.dead.len() < DEAD_MAX || self.dead.len() <= 2 * self.living.len() {
            return Ok(());
        }
        // Whether that succeeds or not: the next time is when there are as many again.
        let dead = std::mem::take(&mut self.dead);
        let (mut saved, _) = self.read()?;
        saved.retain(|saved| !dead.contains(&saved.name()));
        self.rewrite(&saved)
    }

    /// The SAs whose time is not over. The file has only these from now on. Lines that are none of ours are counted.
    ///
    /// # Errors
    /// With the file's name.
    pub fn restore(&mut self) -> io::Result<(Vec<SavedSa>, usize)> {
        let (saved, strange) = self.read()?;
        self.rewrite(&saved)?;
        self.living = saved.iter().map(SavedSa::name).collect();
        Ok((saved, strange))
    }

    /// The SAs whose time is not over, and how many lines are none of ours.
    fn read(&mut self) -> io::Result<(Vec<SavedSa>, usize)> {
        let wrong = |error| named(&self.path, &error);
        let length = self.file.metadata().map_err(wrong)?.len();
        if length > SIZE_MAX {
            return Err(wrong(ErrorKind::FileTooLarge.into()));
        }
        // A buffer that grows would leave copies of the keys behind.
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(usize::MAX)]);
        self.file.rewind().and_then(|()| self.file.read_exact(&mut bytes)).map_err(wrong)?;
        let (now, mut strange) = (since_1970(), 0);
        let (mut living, mut seen) = (Vec::new(), HashSet::new());
        // From its end: of two SAs with one name the earlier is no more, whether its line is gone or not.
        for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
            match std::str::from_utf8(line).ok().and_then(|line| SavedSa::parse(line.trim_end())) {
                Some(saved) if !seen.insert(saved.name()) => {}
                Some(saved) if saved.left(now).is_some() => living.push(saved),
                Some(_) => {}
                None => strange += 1,
            }
        }
        living.reverse();
        Ok((living, strange))
    }

    /// A file with these takes the place of the one there is; whatever happens meanwhile, one of the two is there.
    fn rewrite(&mut self, saved: &[SavedSa]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let (new, mut options) = (PathBuf::from(name), OpenOptions::new());
        options.read(true).append(true).create_new(true).mode(0o600);
        let write = || {
            // One that was left behind when racoon was killed.
            let _ = fs::remove_file(&new);
            let mut file = options.open(&new)?;
            saved.iter().try_for_each(|saved| file.write_all(saved.line().as_bytes()))?;
            file.sync_data()?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        };
        self.file = write().map_err(|error: io::Error| {
            // A part of the keys is no use to anybody who should have them.
            let _ = fs::remove_file(&new);
            named(&new, &error)
        })?;
        Ok(())
    }

    /// Nothing is saved any more.
    ///
    /// # Errors
    /// With the file's name.
    pub fn clear(&mut self) -> io::Result<()> {
        self.living.clear();
        self.dead.clear();
        self.file.set_len(0).map_err(|error| named(&self.path, &error))
    }
}

impl SavedSa {
    /// What is saved of an SA; nothing if it is none.
    fn of(message: &Message<'_>, dialect: Dialect, at: u64) -> Option<Self> {
        let (sa, sa2) = (message.sa()?, message.sa2().copied().unwrap_or_default());
        let address = |kind| message.address(kind)?.sockaddr.ip();
        let hard = message.lifetime(ExtensionType::LifetimeHard).copied().unwrap_or_default();
        let key = |kind| Zeroizing::new(message.key(kind).map_or_else(Vec::new, |key| key.bytes.to_vec()));
        let words = WORDS.iter().filter_map(|(name, kind)| Some((*name, words_of(message, *kind)?)));
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
            words: words.collect(),
            inside: address(ExtensionType::AddressProxy),
        })
    }

    /// How the state file identifies it; none if it is of no protocol of IPsec.
    pub fn key(&self, dialect: Dialect) -> Option<SaKey> {
        let protocol = match SaType::from_number(dialect, self.sa_type) {
            SaType::Ah => Protocol::Ah,
            SaType::Esp => Protocol::Esp,
            SaType::IpComp => Protocol::Ipcomp,
            _ => return None,
        };
        Some(SaKey { protocol, source: self.source, destination: self.destination, spi: self.spi })
    }

    /// Its reqid, 0 for none.
    pub fn reqid(&self) -> u32 {
        self.reqid
    }

    fn name(&self) -> Name {
        (self.source, self.destination, self.sa_type, self.spi)
    }

    /// Seconds of its time that are left; none: it is over.
    fn left(&self, now: u64) -> Option<u64> {
        let [_, _, addtime, _] = self.limits;
        match addtime {
            0 => Some(0),
            _ => addtime.checked_sub(now.saturating_sub(self.at)).filter(|left| *left > 0),
        }
    }

    /// Its line.
    fn line(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(LINE_MAX);
        dump::calendar(&mut text, i64::try_from(self.at).unwrap_or(0));
        let Self { source, destination, sa_type, spi, mode, reqid, window, encrypt, auth, flags, .. } = self;
        let [encrypt_bits, auth_bits] = self.keys.each_ref().map(|key| key.len() * 8);
        let [allocations, bytes, addtime, usetime] = self.limits;
        text += &format!("%{source} {destination} {sa_type} {spi} {mode} {reqid} {window} ");
        text += &format!("{encrypt} {encrypt_bits} {auth} {auth_bits} {flags} ");
        text += &format!("{allocations} {bytes} {addtime} {usetime} 0 ");
        for octet in self.keys.iter().flat_map(|key| key.iter()) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{octet:02x}");
        }
        text += &format!(" at={}", self.at);
        self.words.iter().for_each(|(name, [first, second])| text += &format!(" {name}={first},{second}"));
        if let Some(inside) = self.inside {
            text += &format!(" inside={inside}");
        }
        text.push('\n');
        Zeroizing::new(text)
    }

    /// Reads a line; none if it is not one of ours.
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
            words: Vec::new(),
            inside: None,
        };
        let encrypt_bits: usize = fields.next()?.parse().ok()?;
        saved.auth = fields.next()?.parse().ok()?;
        let auth_bits: usize = fields.next()?.parse().ok()?;
        saved.flags = fields.next()?.parse().ok()?;
        for limit in &mut saved.limits {
            *limit = fields.next()?.parse().ok()?;
        }
        let _sequence: u32 = fields.next()?.parse().ok()?;
        let octets = hex::octets(fields.next()?.as_bytes())?;
        let (encrypt, auth) = octets.split_at_checked(encrypt_bits / 8)?;
        if auth.len() != auth_bits / 8 {
            return None;
        }
        saved.keys = [Zeroizing::new(encrypt.to_vec()), Zeroizing::new(auth.to_vec())];
        saved.at = fields.next()?.strip_prefix("at=")?.parse().ok()?;
        fields.try_for_each(|field| saved.more(field))?;
        Some(saved)
    }

    /// A field behind those that every line has.
    fn more(&mut self, field: &str) -> Option<()> {
        let (name, value) = field.split_once('=')?;
        if name == "inside" {
            self.inside = Some(value.parse().ok()?);
            return Some(());
        }
        let (name, _) = WORDS.iter().find(|(known, _)| *known == name)?;
        let (first, second) = value.split_once(',')?;
        self.words.push((name, [first.parse().ok()?, second.parse().ok()?]));
        Some(())
    }
}

/// The two numbers by which a line of the file tells an extension.
fn words_of(message: &Message<'_>, kind: ExtensionType) -> Option<[u32; 2]> {
    let xfrm = message.xfrm();
    match kind {
        ExtensionType::XfrmAuthTrunc => xfrm.auth_trunc.map(|icv| [icv.icv_bits, if icv.align4 { 4 } else { 0 }]),
        ExtensionType::XfrmReplay => xfrm.replay.map(|replay| [replay.window, replay.esn.into()]),
        _ => None,
    }
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {}", path.display(), crate::output::reason(error)))
}

#[cfg(test)]
mod tests;
