//! The replacement for `ptrace`. It runs on the small stack of a User Mode Linux kernel thread, so it allocates nothing
//! and keeps its buffer off the stack.

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_long, c_uint, c_void, iovec, pid_t};

use crate::{FORCE, overlay};

/// Register set of PTRACE_GETREGSET and PTRACE_SETREGSET with everything that XSAVE stores.
const NT_X86_XSTATE: usize = 0x202;

/// Size of the buffer, well above that of any area.
const CAPACITY: usize = 1 << 16;

/// Replaces the C library's `ptrace`, with the same arguments, result and `errno`.
///
/// # Safety
/// As for the C library's `ptrace`: `address` and `data` must be valid for the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptrace(request: c_uint, pid: pid_t, address: *mut c_void, data: *mut c_void) -> c_long {
    match request {
        libc::PTRACE_PEEKTEXT | libc::PTRACE_PEEKDATA | libc::PTRACE_PEEKUSER => {
            // SAFETY: the caller's promise; the system call stores the word that the C library would return.
            unsafe { peek(request, pid, address) }
        }
        libc::PTRACE_SETREGSET if address.addr() == NT_X86_XSTATE => {
            // SAFETY: for this request `data` points to an iovec.
            let given = NonNull::new(data.cast::<iovec>()).map(|given| unsafe { *given.as_ref() });
            let Some(given) = given else { return failed(libc::EFAULT) };
            // SAFETY: the iovec describes a buffer of the caller.
            unsafe { set_xstate(pid, given) }
        }
        // SAFETY: the caller's promise.
        _ => unsafe { system_call(request, pid, address, data) },
    }
}

/// Writes the register set, completed if the kernel refuses a part of it.
///
/// # Safety
/// `given` must describe a readable buffer.
unsafe fn set_xstate(pid: pid_t, mut given: iovec) -> c_long {
    if !REFUSED.load(Ordering::Relaxed) && !is_forced() {
        // SAFETY: the caller's promise; the kernel writes the length alone.
        let done = unsafe { regset(libc::PTRACE_SETREGSET, pid, &mut given) };
        if done == 0 || errno() != libc::EFAULT {
            return done;
        }
        // Every context switch in the lab comes here, so an attempt that failed once is not repeated.
        REFUSED.store(true, Ordering::Relaxed);
    }
    if given.iov_base.is_null() {
        return failed(libc::EFAULT);
    }
    // SAFETY: the caller's promise; nobody writes to the buffer meanwhile.
    let part = unsafe { slice::from_raw_parts(given.iov_base.cast::<u8>(), given.iov_len) };
    AREA.with(|area| {
        let mut whole = iovec { iov_base: area.as_mut_ptr().cast(), iov_len: area.len() };
        // SAFETY: the iovec describes `area`, which is borrowed for as long.
        if unsafe { regset(libc::PTRACE_GETREGSET, pid, &mut whole) } != 0 {
            return -1;
        }
        overlay(part, area);
        // SAFETY: as above; the kernel set the length, to no more than it was.
        unsafe { regset(libc::PTRACE_SETREGSET, pid, &mut whole) }
    })
}

/// Whether the kernel of this machine has refused an incomplete area.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// A buffer with one user at a time.
struct Area {
    used: AtomicBool,
    bytes: UnsafeCell<[u8; CAPACITY]>,
}

// SAFETY: `with` gives the bytes to the one caller that found `used` unset.
unsafe impl Sync for Area {}

static AREA: Area = Area { used: AtomicBool::new(false), bytes: UnsafeCell::new([0; CAPACITY]) };

impl Area {
    /// Lends the bytes to `work`, or fails with EBUSY if they are lent already. User Mode Linux 6.1 has a single
    /// processor.
    fn with(&self, work: impl FnOnce(&mut [u8]) -> c_long) -> c_long {
        if self.used.swap(true, Ordering::Acquire) {
            return failed(libc::EBUSY);
        }
        // SAFETY: `used` was unset, so there is no other reference, and will be none before it is unset again.
        let done = work(unsafe { &mut *self.bytes.get() });
        self.used.store(false, Ordering::Release);
        done
    }
}

fn is_forced() -> bool {
    // SAFETY: the name ends with a zero byte; the environment is read only, and no thread of User Mode Linux changes it.
    !unsafe { libc::getenv(FORCE.as_ptr()) }.is_null()
}

/// # Safety
/// As for the request.
unsafe fn peek(request: c_uint, pid: pid_t, address: *mut c_void) -> c_long {
    let mut word: c_long = 0;
    // SAFETY: the kernel stores one word there.
    let done = unsafe { system_call(request, pid, address, (&raw mut word).cast()) };
    if done < 0 {
        return -1;
    }
    // Any word is a valid result; errno tells a failure from the word -1.
    set_errno(0);
    word
}

/// # Safety
/// `area` must describe a buffer that the request may read or write.
unsafe fn regset(request: c_uint, pid: pid_t, area: &mut iovec) -> c_long {
    // SAFETY: the caller's promise.
    unsafe { system_call(request, pid, ptr::without_provenance_mut(NT_X86_XSTATE), ptr::from_mut(area).cast()) }
}

/// # Safety
/// As for the request.
unsafe fn system_call(request: c_uint, pid: pid_t, address: *mut c_void, data: *mut c_void) -> c_long {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_ptrace, c_long::from(request), c_long::from(pid), address, data) }
}

fn failed(errno: c_int) -> c_long {
    set_errno(errno);
    -1
}

fn errno() -> c_int {
    // SAFETY: the C library's pointer is valid for the calling thread.
    unsafe { *libc::__errno_location() }
}

fn set_errno(errno: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno }
}
