//! Tests of the library's `ptrace` on a traced process. The kernel of any x86-64 machine with AVX refuses an incomplete
//! area.

#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;

use libc::{c_long, c_void, iovec, pid_t};

const NT_X86_XSTATE: usize = 0x202;

/// Size of the legacy area, for FXSAVE, and the header.
const LEGACY: usize = 512 + 64;

/// Offset of XMM0 in the area.
const XMM0: usize = 160;

/// A process stopped at its first instruction.
struct Traced(Child);

impl Traced {
    fn start() -> Self {
        let mut command = Command::new("/bin/true");
        // SAFETY: between fork and exec one system call is made.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let child = command.spawn().expect("/bin/true");
        let mut status = 0;
        // SAFETY: waits for our own child; the pointer is to a live value.
        let stopped = unsafe { libc::waitpid(pid(&child), &raw mut status, 0) };
        assert!(stopped == pid(&child) && libc::WIFSTOPPED(status), "{status:x}");
        Self(child)
    }

    fn area(&self) -> Vec<u8> {
        let mut area = vec![0; 1 << 16];
        let length = self.request(libc::PTRACE_GETREGSET, &mut area).expect("area");
        area.truncate(length);
        area
    }

    /// Calls the library's `ptrace`.
    fn request(&self, request: libc::c_uint, area: &mut [u8]) -> io::Result<usize> {
        let mut area = iovec { iov_base: area.as_mut_ptr().cast(), iov_len: area.len() };
        let set = ptr::without_provenance_mut::<c_void>(NT_X86_XSTATE);
        // SAFETY: the iovec describes the slice.
        let done = unsafe { regress_xstate::ptrace(request, pid(&self.0), set, (&raw mut area).cast()) };
        result(done).map(|()| area.iov_len)
    }

    /// Calls the kernel's `ptrace` directly.
    fn set_directly(&self, area: &mut [u8]) -> io::Result<()> {
        let mut area = iovec { iov_base: area.as_mut_ptr().cast(), iov_len: area.len() };
        let request = c_long::from(libc::PTRACE_SETREGSET);
        // SAFETY: the iovec describes the slice.
        result(unsafe {
            libc::syscall(libc::SYS_ptrace, request, c_long::from(pid(&self.0)), NT_X86_XSTATE, &raw mut area)
        })
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pid(child: &Child) -> pid_t {
    pid_t::try_from(child.id()).expect("pid")
}

fn result(done: c_long) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn a_refused_part_is_completed_and_written() {
    let process = Traced::start();
    let before = process.area();
    assert!(before.len() > LEGACY, "no AVX: {} bytes", before.len());
    // Components count only if the header marks them as in use, including those in the part.
    let mut part = before[..LEGACY].to_vec();
    part[XMM0..XMM0 + 16].fill(0xa5);
    part[512] |= 2;
    let refused = process.set_directly(&mut part).expect_err("a part of the area");
    assert_eq!(refused.raw_os_error(), Some(libc::EFAULT));
    assert_eq!(process.area()[..LEGACY], before[..LEGACY]);

    process.request(libc::PTRACE_SETREGSET, &mut part).expect("completed");
    let after = process.area();
    assert_eq!(after[XMM0..XMM0 + 16], [0xa5; 16]);
    assert_eq!(after.len(), before.len());
    assert_eq!(after[LEGACY..], before[LEGACY..]);
}

#[test]
fn a_complete_area_is_written() {
    let process = Traced::start();
    let mut area = process.area();
    area[XMM0..XMM0 + 16].fill(0xa5);
    area[512] |= 2;
    process.request(libc::PTRACE_SETREGSET, &mut area).expect("the whole area");
    assert_eq!(process.area(), area);
}

#[test]
fn other_failures_keep_their_errno() {
    let process = Traced::start();
    let id = pid(&process.0);
    drop(process);
    let set = ptr::without_provenance_mut::<c_void>(NT_X86_XSTATE);
    let mut part = [0_u8; LEGACY];
    let mut area = iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
    // SAFETY: the iovec describes the array.
    let done = unsafe { regress_xstate::ptrace(libc::PTRACE_SETREGSET, id, set, (&raw mut area).cast()) };
    assert_eq!(result(done).expect_err("no such process").raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_peeked_word_is_returned() {
    let process = Traced::start();
    // SAFETY: user_regs_struct is plain old data, for which all zeroes is a valid value.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let nothing = ptr::null_mut::<c_void>();
    // SAFETY: GETREGS fills in one user_regs_struct.
    let done =
        unsafe { regress_xstate::ptrace(libc::PTRACE_GETREGS, pid(&process.0), nothing, (&raw mut registers).cast()) };
    result(done).expect("registers");
    let place = ptr::without_provenance_mut::<c_void>(std::mem::offset_of!(libc::user_regs_struct, rip));
    // SAFETY: PEEKUSER reads a register of the traced process and ignores `data`.
    let word = unsafe { regress_xstate::ptrace(libc::PTRACE_PEEKUSER, pid(&process.0), place, nothing) };
    assert_ne!(registers.rip, 0);
    assert_eq!(word.cast_unsigned(), registers.rip);
}
