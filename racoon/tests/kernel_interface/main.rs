//! The kernel interface on a real kernel: both backends of Linux, each in a network namespace of its own, with another
//! program that uses the same or the other backend. `cargo regress kernel-interface` runs it in the lab.

#![cfg(target_os = "linux")]

mod algorithms;
mod lab;
mod life;
mod policies;

use std::thread;

use lab::Lab;
use libpfkey::backend::{AfKey, BackendKind, Xfrm};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use regress_skipped::{lacks, skip};

/// Reason why a test cannot run here.
enum Lacking {
    Namespace(Errno),
    Feature(&'static str, libpfkey::Error),
}

/// Runs a test over each backend.
#[track_caller]
fn with_each_backend(test: fn(&mut Lab)) {
    at(&[(BackendKind::PfKey, BackendKind::PfKey), (BackendKind::Xfrm, BackendKind::Xfrm)], test);
}

/// Runs a test over each backend, with the other program on either.
#[track_caller]
fn with_all_backend_pairs(test: fn(&mut Lab)) {
    with_each_backend(test);
    at(&[(BackendKind::PfKey, BackendKind::Xfrm), (BackendKind::Xfrm, BackendKind::PfKey)], test);
}

#[track_caller]
fn at(backends: &[(BackendKind, BackendKind)], test: fn(&mut Lab)) {
    for (choice, other) in backends {
        let (choice, other) = (choice.clone(), other.clone());
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(Lacking::Namespace)?;
            AfKey::open().map_err(|error| Lacking::Feature("PF_KEY", error))?;
            Xfrm::open().map_err(|error| Lacking::Feature("NETLINK_XFRM", error))?;
            test(&mut Lab::new(&choice, &other));
            Ok(())
        });
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(Lacking::Namespace(errno))) => return skip(format_args!("no network namespace: {errno}")),
            Ok(Err(Lacking::Feature(feature, error))) => return lacks(feature, error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
