//! Type-checks for the BSDs on a Linux machine.
//!
//! cargo can build `std` itself for a target that has none, if the compiler comes with its sources: Debian's packages
//! `rustc-web` and `rust-web-src` do. What crates bring along in C is compiled by zig: so is the one file of
//! openssl-sys that tells OpenSSL's version.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{tools, tree};

/// `system` is `freebsd` or `netbsd`.
pub(super) fn check(system: &str) -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::STD_SOURCE)?;
    let zig = tools::zig()?;
    // Its own folder: another compiler would make the usual one's contents stale, and theirs this one's.
    let target = tree::target().join("bsd");
    fs::create_dir_all(&target)?;
    let compiler = c_compiler(&target, system)?;
    let check = HostCommand::cargo(
        "check --quiet -Z build-std=std,panic_abort --workspace --exclude regress --exclude regress-handshakes",
    );
    check
        .split_args("--exclude regress-xstate")
        .arg("--target")
        .arg(format!("x86_64-unknown-{system}"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("PYTHONPATH", zig)
        .env(&format!("CC_x86_64_unknown_{system}"), compiler)
        // Nothing is linked: any OpenSSL will do.
        .env("OPENSSL_NO_VENDOR", "1")
        .env("OPENSSL_LIB_DIR", "/usr/lib/x86_64-linux-gnu")
        .env("OPENSSL_INCLUDE_DIR", openssl_headers(&target)?)
        .without_env("RUSTUP_TOOLCHAIN")
        .run()?;
    Ok(Summary::PASSED)
}

/// A script that is a C compiler for `system`. It drops what the cc crate says to clang and gcc and zig does not know.
fn c_compiler(dir: &Path, system: &str) -> Result<PathBuf> {
    let script = format!(
        "#!/bin/bash\n\
         words=()\n\
         for word; do\n\
         case $word in -m64 | --target=*) ;; *) words+=(\"$word\") ;; esac\n\
         done\n\
         exec python3 -m ziglang cc -target x86_64-{system} \"${{words[@]}}\"\n"
    );
    let path = dir.join(format!("cc-{system}"));
    fs::write(&path, script).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// OpenSSL's headers alone: in `/usr/include` they have glibc's beside them, which would shadow the target's.
fn openssl_headers(dir: &Path) -> Result<PathBuf> {
    let include = dir.join("include");
    let to = include.join("openssl");
    fs::create_dir_all(&to)?;
    for from in ["/usr/include/openssl", "/usr/include/x86_64-linux-gnu/openssl"] {
        for entry in fs::read_dir(from).with_context(|| from.to_owned())? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(include)
}
