//! A writable `/etc` for the lab or for one of its hosts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// Host names that every test may use.
const HOSTS: &str = "\
127.0.0.1 localhost
::1 ip6-localhost
192.0.2.77 multi.example
192.0.2.78 multi.example
192.0.2.79 single.example
2001:db8::79 six.example
";

const NSSWITCH: &str = "\
passwd: files
group: files
hosts: files
networks: files
protocols: files
services: files
";

/// Where the original `/etc` remains visible: in namespaces, which may be on a lab kernel, and on a lab kernel.
const ORIGINALS: [&str; 2] = ["/run/outside/etc", ORIGINAL];
const ORIGINAL: &str = "/run/etc";

/// Moves the original `/etc` aside and mounts one for the lab.
pub(crate) fn install() -> Result<()> {
    fs::create_dir_all(ORIGINAL)?;
    mount(Some("/etc"), ORIGINAL, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .context("bind /etc")?;
    replace()
}

/// Mounts a tmpfs on `/etc` in the mount namespace of the calling thread, with links to the original files and the
/// lab's `hosts` and `nsswitch.conf`.
pub(crate) fn replace() -> Result<()> {
    let original = ORIGINALS.iter().find(|place| Path::new(place).is_dir()).context("no original /etc")?;
    mount(Some("etc"), "/etc", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("tmpfs on /etc")?;
    for entry in fs::read_dir(original)? {
        let entry = entry?;
        // Tests write these files themselves, and must not see those of the machine.
        if matches!(entry.file_name().to_str(), Some("hosts" | "nsswitch.conf" | "ipsec.conf" | "racoon")) {
            continue;
        }
        symlink(entry.path(), Path::new("/etc").join(entry.file_name()))?;
    }
    fs::write("/etc/hosts", HOSTS)?;
    fs::write("/etc/nsswitch.conf", NSSWITCH)?;
    Ok(())
}
