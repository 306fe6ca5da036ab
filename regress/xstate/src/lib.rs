//! A `ptrace` that lets `linux.uml` run on processors whose XSTATE area is larger than the one it knows.
//!
//! User Mode Linux 6.1 sets the floating-point registers of its processes with `PTRACE_SETREGSET` from a buffer of 2,696 bytes.
//! The kernel it runs on accepts nothing but the whole area of its processor, which has 11,008 bytes with AMX, and answers
//! anything shorter with EFAULT. User Mode Linux then panics: `userspace - ptrace set fp regs failed, errno = 14`.
//!
//! The lab preloads this library (`LD_PRELOAD`). Its `ptrace` passes every request on; when a part of the area is refused, it
//! reads the whole area of the traced process, lays the part over its beginning, and writes that.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod sys;

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub use sys::ptrace;

/// File name of the library; Cargo leaves it in the folder of the programs that depend on it, or in `deps` below.
pub const LIBRARY: &str = "libregress_xstate.so";

/// Environment variable; when it is set, every area is written as if the first attempt had been refused, so that any processor
/// takes the path of those with AMX.
pub const FORCE: &std::ffi::CStr = c"LAB_FORCE_XSTATE";

/// Lays `part` over the beginning of `whole`, an area as a process has it. A longer part is cut, as the kernel cuts it: it comes
/// from a buffer that is larger than the processor's area.
pub fn overlay(part: &[u8], whole: &mut [u8]) {
    let length = part.len().min(whole.len());
    whole[..length].copy_from_slice(&part[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_longer_area_stays() {
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
    fn a_longer_part_is_cut() {
        let mut whole = [2; 8];
        overlay(&[1; 9], &mut whole);
        assert_eq!(whole, [1; 8]);
    }
}
