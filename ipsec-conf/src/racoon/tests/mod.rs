mod accepted;
mod hints;
mod inherited;
mod keys;
mod loading;
mod passwords;
mod property;
mod refused;
mod warned;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::*;

/// Files in memory, which belong to the process's user and have mode 0600 by default.
#[derive(Default)]
pub(super) struct Files(BTreeMap<PathBuf, (Vec<u8>, Metadata)>);

impl Files {
    pub(super) fn with(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.insert(path.into(), (text.as_ref().to_vec(), Metadata { regular: true, owner: 0, mode: 0o600 }));
        self
    }

    /// Adds a file with another owner and mode.
    pub(super) fn with_mode(self, path: &str, text: &str, owner: u32, mode: u32) -> Self {
        let mut files = self.with(path, text);
        files.0.get_mut(Path::new(path)).unwrap().1 = Metadata { regular: true, owner, mode };
        files
    }

    fn file(&self, path: &Path) -> io::Result<&(Vec<u8>, Metadata)> {
        self.0.get(path).ok_or_else(|| io::Error::other("no such file"))
    }
}

impl Loader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.file(path)?.0.clone())
    }

    /// Supports only a single `*`.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let Some((head, tail)) = pattern.split_once('*') else { return Ok(vec![pattern.into()]) };
        let fits = |path: &&PathBuf| {
            let path = path.to_str().unwrap();
            path.starts_with(head) && path.ends_with(tail)
        };
        Ok(self.0.keys().filter(fits).cloned().collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(self.file(path)?.1)
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        Ok((self.metadata(path)?, self.read(path)?.into()))
    }

    /// A file `interface NAME` stands for an interface. Unknown unless there is one for `eth0`.
    fn has_interface(&self, name: &str) -> Option<bool> {
        let is_any = self.0.keys().any(|path| path.starts_with("interface eth0"));
        is_any.then(|| self.0.contains_key(Path::new(&format!("interface {name}"))))
    }

    fn uid(&self) -> u32 {
        0
    }
}

/// Rest of a proposal, after its first directives.
pub(super) const REMOTE: &str = "remote 192.0.2.1 { exchange_mode main; my_identifier fqdn \"a\"; \
    proposal { encryption_algorithm aes; hash_algorithm sha256; authentication_method rsasig; dh_group 14; } }\n";
pub(super) const SAINFO: &str = "{ encryption_algorithm aes; authentication_algorithm hmac_sha256; \
    compression_algorithm deflate; }\n";

/// Loads a text as the file `a.conf`.
pub(super) fn load_text(text: &str) -> Load {
    load("a.conf", &Files::default().with("a.conf", text))
}

/// Returns the configuration of a text without problems.
pub(super) fn config(text: &str) -> Config {
    let load = load_text(text);
    assert!(load.problems.is_empty(), "{}", show(&load));
    load.config.unwrap()
}

/// Returns all problems.
pub(super) fn show(load: &Load) -> String {
    load.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Returns the first line of each problem, without the place.
pub(super) fn messages(load: &Load) -> Vec<String> {
    load.problems.iter().map(|problem| problem.to_string().lines().next().unwrap().to_owned()).collect()
}
