//! Type checks for the BSDs on a Linux machine.
//!
//! Cargo can build `std` for a target without a prebuilt one, given the compiler's sources, which Debian has in the
//! packages `rustc-web` and `rust-web-src`. zig compiles the C code of dependencies, such as the file with which
//! openssl-sys reads the version of OpenSSL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{tools, tree};

/// Checks the workspace for `system`, which is `freebsd` or `netbsd`.
pub(super) fn check(system: &str) -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::STD_SOURCE)?;
    let zig = tools::zig()?;
    // A folder of its own: two compilers would invalidate each other's results in a shared one.
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
        // Nothing is linked, so any OpenSSL will do.
        .env("OPENSSL_NO_VENDOR", "1")
        .env("OPENSSL_LIB_DIR", "/usr/lib/x86_64-linux-gnu")
        .env("OPENSSL_INCLUDE_DIR", openssl_headers(&target)?)
        .without_env("RUSTUP_TOOLCHAIN")
        .run()?;
    Ok(Summary::PASSED)
}

/// Writes a script that acts as the C compiler for `system`. It removes the options that the cc crate passes to clang
/// and gcc and that zig does not know.
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

/// Copies the headers of OpenSSL to a folder of their own: in `/usr/include`, those of glibc would shadow the target's.
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
