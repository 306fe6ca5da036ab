//! Debian packages of other projects' daemons, unpacked instead of installed. Nothing in them starts on this machine,
//! and packages that conflict in dpkg (both own `/usr/sbin/ipsec`) do not meet.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::command::HostCommand;
use crate::lab::Host;
use crate::{tools, tree};

/// The programs of a peer.
pub(crate) struct Package {
    name: &'static str,
    /// Packages that are unpacked.
    archives: &'static [&'static str],
    /// Packages that are installed: libraries and plain programs.
    libraries: &'static [&'static str],
}

pub(crate) const STRONGSWAN: Package = Package {
    name: "strongswan",
    archives: &[
        "charon-systemd",
        "strongswan-swanctl",
        "strongswan-libcharon",
        "libstrongswan",
        "libstrongswan-standard-plugins",
        "libstrongswan-extra-plugins",
    ],
    libraries: &["libcap2", "libgmp10", "libssl3", "libsystemd0", "libgcrypt20"],
};

pub(crate) const LIBRESWAN: Package = Package {
    name: "libreswan",
    archives: &["libreswan"],
    libraries: &[
        "libaudit1",
        "libcap-ng0",
        "libcrypt1",
        "libcurl3-nss",
        "libevent-core-2.1-7",
        "libevent-pthreads-2.1-7",
        "libldap-2.5-0",
        "libldns3",
        "libnspr4",
        "libnss3",
        "libnss3-tools",
        "libpam0g",
        "libselinux1",
        "libsystemd0",
        "libunbound8",
    ],
};

/// Debian packages of peers that are plain programs.
pub(crate) const PROGRAMS: &[&str] = &["ike-scan"];

impl Package {
    /// Unpacks the package, and installs its libraries, if that is not done.
    pub(crate) fn fetch(&self) -> Result<()> {
        tools::packages(self.libraries)?;
        let root = self.root();
        let _lock = tools::lock(self.name)?;
        if root.is_dir() {
            return Ok(());
        }
        // Unpacked elsewhere and then moved, so that an existing folder is complete even after an interruption.
        let fresh = root.with_extension("new");
        let _ = fs::remove_dir_all(&fresh);
        let archives = fresh.join("archives");
        fs::create_dir_all(&archives)?;
        self.download(&archives)?;
        for archive in tree::files(&archives, &[".deb"])? {
            HostCommand::new("dpkg").split_args("--extract").arg(archive).arg(&fresh).run()?;
        }
        fs::remove_dir_all(&archives)?;
        fs::rename(&fresh, &root).with_context(|| root.display().to_string())
    }

    fn download(&self, to: &Path) -> Result<()> {
        let names = self.archives.join(" ");
        // apt's unprivileged user may be unable to write here.
        let options = "-qq -o APT::Sandbox::User=root";
        let download = || HostCommand::new("apt-get").split_args(options).arg("download").split_args(&names).dir(to);
        if download().run().is_err() {
            // The indexes may be missing, or older than the mirror.
            let _lock = tools::lock("packages")?;
            HostCommand::new("apt-get").split_args("-qq update").run()?;
            download().run()?;
        }
        Ok(())
    }

    /// Mounts its files over the `/usr` that `host` sees.
    pub(crate) fn mount_over(&self, host: &Host) -> Result<()> {
        // Options of an overlay are separated by colons and commas, which the real path may contain.
        let link = PathBuf::from("/run").join(format!("{}.{}", self.name, host.name()));
        let _ = fs::remove_file(&link);
        symlink(self.root().join("usr"), &link)?;
        let layers = format!("lowerdir={}:/usr", link.display());
        host.enter(move || mount(Some("overlay"), "/usr", Some("overlay"), MsFlags::MS_RDONLY, Some(layers.as_str())))?
            .with_context(|| format!("{} over /usr of {}", self.name, host.name()))
    }

    fn root(&self) -> PathBuf {
        tree::tools().join(self.name)
    }
}
