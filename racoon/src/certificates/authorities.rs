//! Trusted authorities and their revocation lists, as a store of OpenSSL.
//!
//! The store is built once. It is built again when a file of it has changed, so that a new revocation list takes effect
//! without a reload.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use openssl::error::ErrorStack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509Crl};

use super::file::{self, FileError};
use super::{Report, validity};
use crate::file_version::FileVersion;
use crate::files::Files;
use crate::output::reason;
use crate::sys;

/// Number of intermediate authorities between a certificate and a trusted one.
const DEPTH_MAX: i32 = 8;

/// Number of authorities whose certificates a peer is asked for. Each needs a payload in a message that should fit in a datagram.
const REQUESTS_MAX: usize = 8;

/// Where trusted certificates and revocation lists are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sources {
    /// The file of `ca_type x509`.
    pub(super) file: Option<PathBuf>,
    /// The directory of `path certificate`, with names of OpenSSL's hashes.
    pub(super) directory: Option<PathBuf>,
    /// Whether the system's authorities are trusted, too.
    pub(super) system: bool,
}

/// Trusted authorities.
pub(super) struct Authorities {
    sources: Sources,
    files: Files,
    report: Report,
    current: Mutex<Current>,
}

struct Current {
    store: Arc<Store>,
    /// The files of the store, and of the last attempt to build it again, as they were then.
    versions: Vec<(PathBuf, Option<FileVersion>)>,
    /// Why the last attempt failed.
    failure: Option<FileError>,
}

/// A store, and what it consists of.
pub(super) struct Store {
    pub(super) store: X509Store,
    /// The certificates of `ca_type x509`.
    of_file: Vec<X509>,
    /// Those of `path certificate`.
    of_directory: Vec<X509>,
    pub(super) lists: Vec<X509Crl>,
    /// Whether the system's authorities are trusted, too.
    #[cfg(test)]
    pub(super) system: bool,
}

impl Store {
    /// The trusted certificates without those of the system.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &X509> {
        self.of_file.iter().chain(&self.of_directory)
    }
}

/// The contents of the files.
#[derive(Default)]
struct Contents {
    of_file: Vec<X509>,
    of_directory: Vec<X509>,
    lists: Vec<X509Crl>,
    read: Vec<PathBuf>,
    warnings: Vec<FileError>,
}

impl Authorities {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be used.
    pub(super) fn load(sources: Sources, files: &Files, report: &Report) -> Result<(Self, Vec<FileError>), FileError> {
        // Before the files are read: if one changes in between, its version differs at the next look.
        let now = SystemTime::now();
        let mut contents = Contents::default();
        contents.read_all(&sources, files)?;
        let warnings = std::mem::take(&mut contents.warnings);
        let versions = versions(&contents.read, files, now);
        let store = Arc::new(contents.into_store(sources.system).map_err(|error| library(&sources, &error))?);
        let current = Mutex::new(Current { store, versions, failure: None });
        Ok((Self { sources, files: files.clone(), report: Arc::clone(report), current }, warnings))
    }

    /// Returns the store, after building it again if a file has changed. If a file has become unusable, the old contents
    /// stay in use.
    pub(super) fn store(&self) -> Arc<Store> {
        // Builds happen under the lock, so that one thread builds and the others wait for its result.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let is_unchanged = |(path, before): &(PathBuf, Option<FileVersion>)| {
            before.is_some() && *before == version(path, &self.files, now)
        };
        if current.versions.iter().all(is_unchanged) {
            return Arc::clone(&current.store);
        }
        let mut contents = Contents::default();
        let outcome = contents.read_all(&self.sources, &self.files);
        current.versions = versions(&contents.read, &self.files, now);
        match outcome
            .and_then(|()| contents.into_store(self.sources.system).map_err(|error| library(&self.sources, &error)))
        {
            Ok(store) => {
                current.store = Arc::new(store);
                current.failure = None;
            }
            Err(failure) if current.failure.as_ref() != Some(&failure) => {
                (self.report)(format!("{failure}; its old contents stay in use"));
                current.failure = Some(failure);
            }
            Err(_) => {}
        }
        Arc::clone(&current.store)
    }

    /// Returns the DER of the names of the authorities in the file of `ca_type x509`, for requests to peers; of a large bundle, only
    /// the first.
    pub(super) fn names(&self) -> Vec<Vec<u8>> {
        self.store()
            .of_file
            .iter()
            .take(REQUESTS_MAX)
            .filter_map(|authority| authority.subject_name().to_der().ok())
            .collect()
    }

    /// Returns a warning about each trusted certificate that ends soon.
    pub(super) fn ending_soon(&self) -> Vec<String> {
        let store = self.store();
        let places = [(&self.sources.file, &store.of_file), (&self.sources.directory, &store.of_directory)];
        let warnings =
            places.into_iter().filter_map(|(path, list)| Some(validity::ending_soon(path.as_deref()?, list)));
        warnings.flatten().collect()
    }
}

fn library(sources: &Sources, error: &ErrorStack) -> FileError {
    let path = sources.file.as_deref().or(sources.directory.as_deref()).unwrap_or(Path::new("ca_type system"));
    FileError::new(path, file::library(error))
}

fn versions(paths: &[PathBuf], files: &Files, now: SystemTime) -> Vec<(PathBuf, Option<FileVersion>)> {
    paths.iter().map(|path| (path.clone(), version(path, files, now))).collect()
}

fn version(path: &Path, files: &Files, now: SystemTime) -> Option<FileVersion> {
    FileVersion::settled(&files.status(path).ok()?, now)
}

impl Contents {
    fn read_all(&mut self, sources: &Sources, files: &Files) -> Result<(), FileError> {
        if let Some(path) = &sources.file {
            self.read.push(path.clone());
            let bytes = file::read(path, files)?;
            self.of_file.extend(file::certificates(path, &bytes)?);
            // A list in the same file is found without a name by hash.
            self.lists.extend(file::revocation_lists_beside(path, &bytes)?);
        }
        let Some(directory) = &sources.directory else { return Ok(()) };
        self.read.push(directory.clone());
        for (path, kind) in hashed(directory, files)? {
            self.read.push(path.clone());
            let bytes = match file::read(&path, files) {
                // A list that is ignored would let a revoked certificate pass.
                Err(error) if kind == Hashed::List => return Err(error),
                Err(error) => {
                    self.warnings.push(error);
                    continue;
                }
                Ok(bytes) => bytes,
            };
            match kind {
                Hashed::List => self.lists.extend(file::revocation_lists(&path, &bytes)?),
                Hashed::Certificate => self.add_hashed(&path, &bytes),
            }
        }
        Ok(())
    }

    /// Adds the certificate of a file whose name must be the hash of its subject.
    fn add_hashed(&mut self, path: &Path, bytes: &[u8]) {
        let first = file::certificates(path, bytes).map(|mut list| list.swap_remove(0));
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match first {
            Ok(one) if format!("{:08x}", one.subject_name_hash()) == name => self.of_directory.push(one),
            Ok(_) => {
                let why = "its name is not the hash of its subject, so it is not trusted: run `openssl rehash'";
                self.warnings.push(FileError::new(path, why));
            }
            Err(error) => self.warnings.push(error),
        }
    }

    fn into_store(self, system: bool) -> Result<Store, ErrorStack> {
        let mut builder = X509StoreBuilder::new()?;
        for one in self.of_file.iter().chain(&self.of_directory) {
            builder.add_cert(one.clone())?;
        }
        for list in &self.lists {
            sys::x509::add_crl(&mut builder, list)?;
        }
        if system {
            builder.set_default_paths()?;
        }
        let mut parameters = X509VerifyParam::new()?;
        parameters.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
        parameters.set_depth(DEPTH_MAX);
        builder.set_param(&parameters)?;
        Ok(Store {
            store: builder.build(),
            of_file: self.of_file,
            of_directory: self.of_directory,
            lists: self.lists,
            #[cfg(test)]
            system,
        })
    }
}

/// A file in a hashed directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hashed {
    /// `HASH.N`
    Certificate,
    /// `HASH.rN`
    List,
}

/// Returns the files of a directory that have the names which `openssl rehash` makes. A missing directory has none.
fn hashed(directory: &Path, files: &Files) -> Result<Vec<(PathBuf, Hashed)>, FileError> {
    let names = match files.names(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::new(directory, reason(&error))),
    };
    let mut found = names
        .into_iter()
        .filter_map(|name| Some((directory.join(&name), hashed_kind(name.to_str()?)?)))
        .collect::<Vec<_>>();
    // The order in a directory is arbitrary, and must not decide which of two faults is reported.
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn hashed_kind(name: &str) -> Option<Hashed> {
    let (hash, number) = name.split_once('.')?;
    let (kind, number) = match number.strip_prefix('r') {
        Some(number) => (Hashed::List, number),
        None => (Hashed::Certificate, number),
    };
    let is_hash = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_hash && is_number).then_some(kind)
}
