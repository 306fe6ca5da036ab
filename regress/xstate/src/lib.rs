//! A `ptrace` that lets `linux.uml` run on processors whose XSTATE area is larger than the one it knows.
//!
//! User Mode Linux 6.1 sets the floating-point registers of its processes with `PTRACE_SETREGSET` from a buffer of
//! 2,696 bytes. The kernel below accepts only the complete area of the processor, which has 11,008 bytes with AMX, and
//! fails with EFAULT for anything shorter. User Mode Linux then panics: `userspace - ptrace set fp regs failed, errno =
//! 14`.
//!
//! The lab preloads this library (`LD_PRELOAD`). Its `ptrace` passes on every request. If an incomplete area is
//! refused, it reads the complete area of the traced process, overwrites the beginning, and writes it back.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod sys;

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub use sys::ptrace;

/// File name of the library. Cargo places it next to the programs that depend on it, or in `deps` below.
pub const LIBRARY: &str = "libregress_xstate.so";

/// Environment variable that makes every area be written as if the first attempt had failed, so that any processor
/// takes the code path of those with AMX.
pub const FORCE: &std::ffi::CStr = c"LAB_FORCE_XSTATE";

/// Copies `part` over the beginning of `whole`, the complete area of a process. A longer part comes from a buffer
/// larger than the processor's area, and is truncated as the kernel does.
pub fn overlay(part: &[u8], whole: &mut [u8]) {
    let length = part.len().min(whole.len());
    whole[..length].copy_from_slice(&part[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_longer_area_is_kept() {
        let (part, mut whole) = (vec![1; 2696], vec![2; 11_008]);
        overlay(&part, &mut whole);
        assert_eq!(whole.len(), 11_008);
        assert_eq!(whole[..2696], part);
        assert!(whole[2696..].iter().all(|&byte| byte == 2));
    }

    #[test]
    fn a_whole_area_is_replaced() {
        let mut whole = [2; 8];
        overlay(&[1; 8], &mut whole);
        assert_eq!(whole, [1; 8]);
    }

    #[test]
    fn a_longer_part_is_truncated() {
        let mut whole = [2; 8];
        overlay(&[1; 9], &mut whole);
        assert_eq!(whole, [1; 8]);
    }
}
