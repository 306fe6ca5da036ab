//! Access to the files that a configuration names.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use ipsec_conf::racoon::{Credential, FileFault, KEY_FILE_MAX, Loader, Metadata};
use nix::net::if_::if_nameindex;
use nix::unistd::{Uid, User, getuid};
use zeroize::Zeroizing;

use crate::certificates;

/// Matching rules of glob(3): a wildcard matches neither a slash nor a leading dot.
const LIKE_GLOB_3: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Largest file without keys, in bytes. Thousands of remotes take a few megabytes.
const FILE_MAX: u64 = 64 << 20;

/// The file system.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Base of relative names; empty for the working directory.
    directory: PathBuf,
}

impl Files {
    /// Resolves relative names against the current working directory, even after the process has left it.
    pub fn relative_to_here() -> Self {
        Self { directory: std::env::current_dir().unwrap_or_default() }
    }

    /// Returns a file's metadata, following symbolic links.
    pub(crate) fn status(&self, path: &Path) -> io::Result<fs::Metadata> {
        fs::metadata(self.directory.join(path))
    }

    /// Returns the names of the files in a directory, in no particular order.
    pub(crate) fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(self.directory.join(directory))?.map(|entry| Ok(entry?.file_name())).collect()
    }
}

impl Loader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(self.directory.join(path))?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        // Keeps an endless file such as `/dev/zero` from exhausting memory.
        if bytes.len() as u64 > FILE_MAX { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let pattern = home(pattern);
        if !pattern.contains(['*', '?', '[']) {
            // Even if there is no such file: the attempt to read it gives the better error.
            return Ok(vec![PathBuf::from(pattern)]);
        }
        // The base directory is not part of the pattern, and must not show in relative results.
        let is_relative = Path::new(&pattern).is_relative();
        let directory = glob::Pattern::escape(&self.directory.to_string_lossy());
        let matches = glob::glob_with(&Path::new(&directory).join(pattern).to_string_lossy(), LIKE_GLOB_3)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        let named = |found: PathBuf| match found.strip_prefix(&self.directory) {
            Ok(name) if is_relative => name.to_owned(),
            _ => found,
        };
        matches.map(|found| found.map(named)).collect::<Result<_, _>>().map_err(io::Error::from)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.status(path).map(|metadata| facts(&metadata))
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        // Do not block on a FIFO without writer, nor acquire a controlling terminal.
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(self.directory.join(path))?;
        // Of the open file: its name could lead to another one by now.
        let metadata = file.metadata()?;
        let mut keys = Zeroizing::default();
        if metadata.is_file() {
            if metadata.len() > KEY_FILE_MAX {
                return Err(ErrorKind::FileTooLarge.into());
            }
            // A buffer that grows would leave copies of the keys behind.
            keys = Zeroizing::new(vec![0; usize::try_from(metadata.len()).map_err(io::Error::other)?]);
            file.read_exact(&mut keys)?;
        }
        Ok((facts(&metadata), keys))
    }

    fn has_interface(&self, name: &str) -> Option<bool> {
        let interfaces = if_nameindex().ok()?;
        // A scope in an address is the name or the index of an interface.
        let number = name.parse::<u32>().ok();
        Some(interfaces.iter().any(|one| Some(one.index()) == number || one.name().to_str() == Ok(name)))
    }

    fn credentials_directory(&self) -> Option<PathBuf> {
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    fn check_credential(&self, credential: &Credential<'_>) -> Vec<FileFault> {
        certificates::check(credential, self)
    }

    fn uid(&self) -> u32 {
        getuid().as_raw()
    }
}

fn facts(metadata: &fs::Metadata) -> Metadata {
    Metadata { regular: metadata.is_file(), owner: metadata.uid(), mode: metadata.permissions().mode() & 0o7777 }
}

/// Replaces a leading `~` or `~USER` with the home directory, if there is one.
fn home(pattern: &str) -> String {
    let Some(rest) = pattern.strip_prefix('~') else {
        return pattern.to_owned();
    };
    let (user, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let directory = match user {
        // As in glob(3), the environment has precedence over the user database.
        "" => std::env::var_os("HOME").map(PathBuf::from).or_else(|| {
            let user = User::from_uid(Uid::current()).ok()??;
            Some(user.dir)
        }),
        name => User::from_name(name).ok().flatten().map(|user| user.dir),
    };
    directory.map_or_else(|| pattern.to_owned(), |directory| format!("{}{path}", directory.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn patterns() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let expand = |pattern: &str| {
            let pattern = directory.path().join(pattern);
            let found = Files::default().expand(pattern.to_str().unwrap()).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(expand("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(expand("[ac].*"), ["a.conf", "c.txt"]);
        assert_eq!(expand("nothing.conf"), ["nothing.conf"]);
        assert_eq!(expand("*.nothing"), [""; 0]);
        assert!(Files::default().expand("[").is_err());
    }

    #[test]
    fn relative_names_use_the_original_directory() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let at = directory.path().join("[a]");
        fs::create_dir(&at).unwrap();
        fs::write(at.join("b.conf"), "b").unwrap();
        let files = Files { directory: at.clone() };
        assert_eq!(files.expand("*.conf").unwrap(), [PathBuf::from("b.conf")]);
        let absolute = format!("{}/[[]a]/*.conf", directory.path().display());
        assert_eq!(files.expand(&absolute).unwrap(), [at.join("b.conf")], "as it is written");
        assert_eq!(files.read(Path::new("b.conf")).unwrap(), b"b");
        assert_eq!(files.read_keys(Path::new("b.conf")).unwrap().1.as_slice(), b"b");
        assert!(files.metadata(Path::new("b.conf")).unwrap().regular);
        assert_eq!(files.read(&at.join("b.conf")).unwrap(), b"b");
        assert_eq!(Files::relative_to_here().directory, std::env::current_dir().unwrap());
    }

    #[test]
    fn homes() {
        assert_eq!(home("~root/x"), "/root/x");
        assert_eq!(home("~nobody-of-that-name/x"), "~nobody-of-that-name/x");
        assert_eq!(home("/a/~"), "/a/~");
        assert!(!home("~/x").starts_with('~'));
    }

    #[test]
    fn interfaces() {
        let loopback = if cfg!(target_os = "linux") { "lo" } else { "lo0" };
        let number = nix::net::if_::if_nametoindex(loopback).unwrap().to_string();
        for (name, expected) in [(loopback, true), (number.as_str(), true), ("nosuchif0", false), ("4294967295", false)]
        {
            assert_eq!(Files::default().has_interface(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn file_metadata() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("psk.txt");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let metadata = Files::default().metadata(&file).unwrap();
        assert_eq!(metadata, Metadata { regular: true, owner: Files::default().uid(), mode: 0o640 });
        assert!(!Files::default().metadata(directory.path()).unwrap().regular);
    }

    #[test]
    fn key_files() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        fs::write(at("psk.txt"), "* key").unwrap();
        fs::set_permissions(at("psk.txt"), fs::Permissions::from_mode(0o604)).unwrap();
        symlink(at("psk.txt"), at("link")).unwrap();
        let (metadata, keys) = Files::default().read_keys(&at("link")).unwrap();
        assert_eq!((metadata.mode, metadata.regular, keys.as_slice()), (0o604, true, b"* key".as_slice()));

        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        for other in [at("fifo"), "/dev/zero".into(), directory.path().into()] {
            let (metadata, keys) = Files::default().read_keys(&other).unwrap();
            assert!(!metadata.regular && keys.is_empty(), "{}", other.display());
        }
        fs::File::create(at("huge")).unwrap().set_len(KEY_FILE_MAX + 1).unwrap();
        assert_eq!(Files::default().read_keys(&at("huge")).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let endless = Files::default().read(Path::new("/dev/zero"));
        assert_eq!(endless.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
