//! A private, writable `/etc` for the guest or for one of its hosts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

/// The names every test may rely on.
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

/// Where the `/etc` of the host's root file system stays visible: in namespaces, which may be those of a guest, and in a guest.
const ORIGINALS: [&str; 2] = ["/run/outside/etc", ORIGINAL];
const ORIGINAL: &str = "/run/etc";

/// Moves the host's `/etc` aside and puts the guest's own in its place.
pub(crate) fn install() -> Result<()> {
    fs::create_dir_all(ORIGINAL)?;
    mount(Some("/etc"), ORIGINAL, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .context("bind /etc")?;
    replace()
}

/// Mounts a fresh tmpfs on `/etc` (of the calling thread's mount namespace): links to the original files, our own
/// `hosts` and `nsswitch.conf`, and room for more.
pub(crate) fn replace() -> Result<()> {
    let original = ORIGINALS.iter().find(|place| Path::new(place).is_dir()).context("no original /etc")?;
    mount(Some("etc"), "/etc", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("tmpfs on /etc")?;
    for entry in fs::read_dir(original)? {
        let entry = entry?;
        if matches!(entry.file_name().to_str(), Some("hosts" | "nsswitch.conf" | "ipsec.conf" | "racoon")) {
            continue;
        }
        symlink(entry.path(), Path::new("/etc").join(entry.file_name()))?;
    }
    fs::write("/etc/hosts", HOSTS)?;
    fs::write("/etc/nsswitch.conf", NSSWITCH)?;
    Ok(())
}
