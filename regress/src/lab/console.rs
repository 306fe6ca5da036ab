//! The console of a failed lab: its most informative line, and the file that keeps it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tree;

/// Beginnings of lines that the kernel prints at every boot.
const BOOT_LINES: &[&str] =
    &["SELinux: ", "mmapper_init - ", "Failed to initialize ubd device", "random: ", "reboot: System halted"];

/// Prefix of the line in which the first process reports its failure.
pub(super) const ERROR_PREFIX: &str = "lab: ";

const PANIC: &str = "Kernel panic - not syncing: ";

/// Returns the cause of a lab's early end in one line, if the console shows it.
pub(super) fn cause(console: &str) -> Option<String> {
    let lines = || console.lines().map(str::trim).filter(|line| !line.is_empty());
    if let Some(line) = lines().filter_map(|line| line.strip_prefix(ERROR_PREFIX)).next_back() {
        return Some(without_number(line));
    }
    let is_usual = |line: &str| BOOT_LINES.iter().any(|usual| line.starts_with(usual));
    let Some(panic) = lines().find_map(|line| line.strip_prefix(PANIC)) else {
        return lines().rfind(|line| !is_usual(line)).map(str::to_owned);
    };
    // The line before a panic usually gives the reason for it.
    match lines().take_while(|line| !line.starts_with(PANIC)).filter(|line| !is_usual(line)).last() {
        Some(before) => Some(format!("{before} (kernel panic: {panic})")),
        None => Some(format!("kernel panic: {panic}")),
    }
}

/// Copies the console of a boot into the build folder, and returns a note on where it is.
pub(super) fn keep(console: &Path) -> String {
    match copy(console) {
        Ok(file) => format!("the console is in {}", file.display()),
        Err(error) => format!("the console could not be kept: {}", without_number(&format!("{error:#}"))),
    }
}

fn copy(console: &Path) -> Result<PathBuf> {
    // The folder is called lab.PID.NUMBER.
    let boot = console.parent().and_then(Path::file_name).context("no folder")?;
    let folder = tree::target().join("lab");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let file = folder.join(format!("{}.console", boot.display()));
    fs::copy(console, &file).with_context(|| file.display().to_string())?;
    Ok(file)
}

/// Removes the number that Rust appends to the text of a system error.
pub(crate) fn without_number(text: &str) -> String {
    match text.rsplit_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "\
SELinux: https://github.com/SELinuxProject/selinux-kernel/wiki/DEPRECATE-checkreqprot
mmapper_init - find_iomem failed
Failed to initialize ubd device 0 :Couldn't determine size of device's file
";

    #[test]
    fn a_panic_includes_the_line_before_it() {
        let console = format!(
            "{BOOT}userspace - ptrace set fp regs failed, errno = 14
Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
CPU: 0 PID: 1 Comm: true Not tainted 6.1.176 #1
Call Trace:
 [<606944ba>] ? _printk+0x0/0x94
"
        );
        let expected = "userspace - ptrace set fp regs failed, errno = 14 \
                        (kernel panic: Attempted to kill init! exitcode=0x0000000b)";
        assert_eq!(cause(&console).as_deref(), Some(expected));
    }

    #[test]
    fn a_panic_without_other_output_stands_alone() {
        let console = format!("{BOOT}Kernel panic - not syncing: Requested init /none failed (error -2).\nCPU: 0\n");
        assert_eq!(cause(&console).as_deref(), Some("kernel panic: Requested init /none failed (error -2)."));
    }

    #[test]
    fn the_first_process_reports_its_error() {
        let console = format!("{BOOT}lab: /no/such: No such file or directory (os error 2)\nreboot: System halted\n");
        assert_eq!(cause(&console).as_deref(), Some("/no/such: No such file or directory"));
    }

    #[test]
    fn the_last_line_of_a_kernel_that_does_not_start_is_the_cause() {
        let console = "Checking that ptrace can change system call numbers...\ncheck_ptrace : expected SIGSTOP\n\n";
        assert_eq!(cause(console).as_deref(), Some("check_ptrace : expected SIGSTOP"));
        assert_eq!(cause(BOOT), None);
        assert_eq!(cause(""), None);
    }
}
