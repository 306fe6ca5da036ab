//! The file of pre-shared keys as the engine's key table.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ipsec_conf::psk::{KeyFileError, Nearest, PreSharedKeys};
use racoon_proto::psk::{KeyFileProblem, KeyTable, NearestLine, NoKey};
use zeroize::Zeroizing;

use crate::file_version::FileVersion;
use crate::files::Files;
use crate::output::reason;

/// The file of `path pre_shared_key`, if one is set. It is checked at each look-up, so changes take effect at once.
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PskFile {
    table: Arc<Mutex<Table>>,
    files: Files,
}

impl PskFile {
    /// Returns a table without a file; `files` resolves its name.
    pub fn of(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    /// Sets or unsets the file.
    pub fn set_path(&self, path: Option<PathBuf>) {
        *self.table() = Table { path, cached: None };
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyTable for PskFile {
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        self.table().find(name, &self.files, SystemTime::now())
    }

    /// If the file cannot be read now, its keys count as shared: that is the stricter answer.
    fn is_shared(&self, name: &[u8]) -> bool {
        self.table().with_keys(&self.files, SystemTime::now(), |_, keys| keys.is_shared(name)).unwrap_or(true)
    }
}

/// The file's name and parsed contents. Parsing ten thousand keys costs more than a negotiation.
#[derive(Debug, Default)]
struct Table {
    path: Option<PathBuf>,
    cached: Option<(FileVersion, PreSharedKeys)>,
}

impl Table {
    fn find(&mut self, name: &[u8], files: &Files, now: SystemTime) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        self.with_keys(files, now, |path, keys| {
            let found = keys.find(name).map(|key| Zeroizing::new(key.to_vec()));
            found.ok_or_else(|| no_entry(path, keys, name))
        })?
    }

    /// Calls `use_keys` with the parsed file.
    ///
    /// # Errors
    /// If the file cannot be used, or is not configured.
    fn with_keys<T>(
        &mut self,
        files: &Files,
        now: SystemTime,
        use_keys: impl FnOnce(&Path, &PreSharedKeys) -> T,
    ) -> Result<T, NoKey> {
        let path = self.path.as_ref().ok_or(NoKey::NoFile)?;
        // Before the file is read: if it changes in between, the stamp differs at the next look-up.
        let stamp = files.status(path).ok().and_then(|status| FileVersion::settled(&status, now));
        // Taken out, so that an unusable file leaves no old keys behind.
        let keys = match self.cached.take() {
            Some((before, keys)) if stamp.as_ref() == Some(&before) => keys,
            _ => PreSharedKeys::load(path, files).map_err(unusable)?.0,
        };
        let result = use_keys(path, &keys);
        self.cached = stamp.map(|stamp| (stamp, keys));
        Ok(result)
    }
}

/// The reason for a name that the file does not have, with the line that looks like the intended one.
fn no_entry(path: &Path, keys: &PreSharedKeys, name: &[u8]) -> NoKey {
    let nearest = keys.nearest(name).map(|Nearest { line, why }| NearestLine { line, problem: why.to_string() });
    NoKey::NoEntry { file: path.into(), nearest }
}

fn unusable(error: KeyFileError) -> NoKey {
    let (file, problem) = match error {
        KeyFileError::Io { path, error } => (path, KeyFileProblem::Unreadable(reason(&error))),
        KeyFileError::NotRegular(path) => (path, KeyFileProblem::NotRegular),
        KeyFileError::Owner { path, owner, uid } => (path, KeyFileProblem::Owner { owner, uid }),
        KeyFileError::Mode { path, mode } => (path, KeyFileProblem::Mode(mode)),
    };
    NoKey::UnusableFile { file, problem }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    /// A key table and its file.
    fn table() -> (TempDir, PathBuf, PskFile) {
        let directory = tempfile::tempdir().unwrap();
        let (path, table) = (directory.path().join("psk.txt"), PskFile::default());
        table.clone().set_path(Some(path.clone()));
        (directory, path, table)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn why_not(table: &PskFile) -> String {
        table.key(b"192.0.2.1").unwrap_err().to_string()
    }

    #[test]
    fn file_is_read_each_time() {
        let (_directory, path, table) = table();
        write(&path, "192.0.2.1 first\n", 0o640);
        assert_eq!(table.key(b"192.0.2.1").unwrap().as_slice(), b"first");
        write(&path, "192.0.2.1 second\n", 0o600);
        assert_eq!(table.key(b"192.0.2.1").unwrap().as_slice(), b"second");
        table.set_path(None);
        assert_eq!(why_not(&table), "`path pre_shared_key' is not set");
    }

    #[test]
    fn shared_keys() {
        let (_directory, path, table) = table();
        write(&path, "192.0.2.1 one\n192.0.2.2 two\n192.0.2.3 two\n* any\n192.0.2.4 late\n", 0o600);
        let shared = [1, 2, 3, 4, 5].map(|host| table.is_shared(format!("192.0.2.{host}").as_bytes()));
        assert_eq!(shared, [false, true, true, true, true]);
        fs::remove_file(&path).unwrap();
        assert!(table.is_shared(b"192.0.2.1"), "nobody knows");
    }

    #[test]
    fn unchanged_file_is_parsed_once() {
        let (soon, later) = (SystemTime::now(), SystemTime::now() + Duration::from_secs(3600));
        let (directory, path, _) = table();
        let mut table = Table { path: Some(path.clone()), cached: None };
        let mut find = |now, planted: Option<&[u8]>| {
            if let (Some(planted), Some((_, keys))) = (planted, &mut table.cached) {
                *keys = PreSharedKeys::parse(planted).0;
            }
            let key = table.find(b"192.0.2.1", &Files::default(), now);
            (key.map(|key| String::from_utf8(key.to_vec()).unwrap()), table.cached.is_some())
        };
        let found = |key: &str| Ok(String::from(key));
        write(&path, "192.0.2.1 first\n", 0o600);
        assert_eq!(find(soon, None), (found("first"), false), "it may change in the same moment");
        assert_eq!(find(later, None), (found("first"), true));
        assert_eq!(find(later, Some(b"* planted")), (found("planted"), true));
        // A file with another inode, because two changes may have the same timestamp.
        let replace = |text: &str, mode| {
            write(&directory.path().join("new"), text, mode);
            fs::rename(directory.path().join("new"), &path).unwrap();
        };
        replace("192.0.2.1 other\n", 0o600);
        assert_eq!(find(later, None), (found("other"), true));
        replace("192.0.2.1 other\n", 0o644);
        let (refused, is_kept) = find(later, None);
        assert!(refused.unwrap_err().to_string().contains("too open") && !is_kept);
        // Same file: permissions change the inode's timestamp, not that of its contents.
        replace("192.0.2.1 key\n", 0o600);
        assert_eq!(find(later, None), (found("key"), true));
        let before = Files::default().status(&path).unwrap();
        while Files::default().status(&path).unwrap().ctime_nsec() == before.ctime_nsec() {
            fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        }
        assert!(find(later, None).0.unwrap_err().to_string().contains("too open"));
        fs::remove_file(&path).unwrap();
        let (missing, is_kept) = find(later, None);
        assert!(missing.unwrap_err().to_string().contains("No such file") && !is_kept);
    }

    #[test]
    fn psk_file_readable_by_others_is_refused() {
        let (_directory, path, table) = table();
        for mode in [0o604, 0o660, 0o601] {
            write(&path, "* key\n", mode);
            let expected = format!("{}: mode {mode:04o} is too open", path.display());
            assert!(why_not(&table).starts_with(&expected), "{}", why_not(&table));
        }
        fs::remove_file(&path).unwrap();
        assert!(why_not(&table).contains("No such file"));
    }

    #[test]
    fn missing_key_points_to_unusable_line() {
        let (_directory, path, table) = table();
        let advice = format!("add a line to {}", path.display());
        write(&path, "192.0.2.2 key\r\n", 0o600);
        assert_eq!(why_not(&table), advice);
        write(&path, "192.0.2.2 key\r\n192.0.2.1 0x5ecre7\n192.0.2.3\n", 0o600);
        let unusable = "; its line 2 cannot be used: 0x must be followed by hex digits, two for each octet";
        assert_eq!(why_not(&table), advice.clone() + unusable);
        write(&path, "192.0.2.2 key\n192.0.2.1/32 key\n", 0o600);
        let prefix = "; its line 2 has a prefix length after the address: write the address alone";
        assert_eq!(why_not(&table), advice + prefix);
    }
}
