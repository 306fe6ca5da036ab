//! Type-checks for the BSDs on a Linux machine.
//!
//! cargo can build `std` itself for a target that has none, if the compiler comes with its sources: Debian's packages
//! `rustc-web` and `rust-web-src` do. What crates bring along in C is compiled by zig.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::job::Job;
use crate::tally::Tally;
use crate::{tools, tree};

/// `system` is `freebsd` or `netbsd`.
pub(super) fn check(system: &str) -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::STD_SOURCE)?;
    let zig = tools::zig()?;
    // Its own folder: another compiler would make the usual one's contents stale, and theirs this one's.
    let target = tree::target().join("bsd");
    fs::create_dir_all(&target)?;
    let compiler = c_compiler(&target, system)?;
    let check = Job::cargo("check --quiet -Z build-std=std,panic_abort --workspace --exclude regress");
    check
        .arg("--target")
        .arg(format!("x86_64-unknown-{system}"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("PYTHONPATH", zig)
        .env(&format!("CC_x86_64_unknown_{system}"), compiler)
        .without_env("RUSTUP_TOOLCHAIN")
        .run()?;
    Ok(Tally::PASSED)
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
