//! The lab in Debian's User Mode Linux, a kernel that runs as an ordinary process.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use regress_xstate::{FORCE, LIBRARY};

use super::boot::{find_program, this_program};

/// Memory of the lab. It is sparse: only what the lab touches takes memory of the machine.
const MEMORY: &str = "mem=1024M";

/// Starts the kernel with this program as its first process. `like_amx` makes it set floating-point registers as on
/// processors with AMX.
pub(super) fn start(work: &Path, console: File, like_amx: bool) -> Result<Child> {
    let kernel = find_program("linux.uml").context("no linux.uml: apt-get install user-mode-linux")?;
    find_program("modprobe").context("no modprobe: apt-get install kmod")?;
    let modules = work.join("root/lib");
    fs::create_dir_all(&modules)?;
    symlink("/usr/lib/uml/modules", modules.join("modules"))?;
    let init = work.join("init");
    symlink(this_program()?, &init)?;
    let mut command = Command::new(&kernel);
    if cfg!(all(target_env = "gnu", target_arch = "x86_64")) {
        // Linked to a known path: LD_PRELOAD splits names at blanks and colons.
        let library = work.join(LIBRARY);
        symlink(find_library()?, &library)?;
        command.env("LD_PRELOAD", library);
        if like_amx {
            command.env(FORCE.to_str()?, "1");
        }
    }
    command
        // The console is standard output, a file apart from that with the command's output.
        .args(["rootfstype=hostfs", "rootflags=/", "ro", MEMORY, "con=null", "con0=null,fd:1", "quiet"])
        .arg(format!("init={}", init.display()))
        .args(["--", "in-lab", "init"])
        .arg(work)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .process_group(0)
        .spawn()
        .with_context(|| kernel.display().to_string())
}

/// Returns the path of the library with the `ptrace` for `linux.uml`, which Cargo builds with this program.
fn find_library() -> Result<PathBuf> {
    let program = this_program()?;
    let folder = program.parent().context("this program has no folder")?;
    let places = [folder.join("deps").join(LIBRARY), folder.join(LIBRARY)];
    places.into_iter().find(|place| place.is_file()).with_context(|| {
        format!("no {LIBRARY} in {} or its deps: cargo build --package regress-xstate", folder.display())
    })
}
