//! The kernel's door on a real kernel with SAs in it: both doors of Linux, each in a network namespace of its own, with
//! another process at the same door and at the other one. `cargo regress door` runs it in the lab.

#![cfg(target_os = "linux")]

mod algorithms;
mod lab;
mod life;
mod policies;

use std::io::Write as _;
use std::thread;

use lab::Lab;
use libpfkey::backend::{AfKey, Choice, Xfrm};
use nix::sched::{CloneFlags, unshare};

/// Runs a test through each door.
fn at_each_door(test: fn(&mut Lab)) {
    at(&[(Choice::PfKey, Choice::PfKey), (Choice::Xfrm, Choice::Xfrm)], test);
}

/// Runs a test through each door, somebody else being at the same one and at the other.
fn at_all_doors(test: fn(&mut Lab)) {
    at_each_door(test);
    at(&[(Choice::PfKey, Choice::Xfrm), (Choice::Xfrm, Choice::PfKey)], test);
}

fn at(doors: &[(Choice, Choice)], test: fn(&mut Lab)) {
    for (choice, other) in doors {
        let (choice, other) = (choice.clone(), other.clone());
        let thread = thread::spawn(move || {
            let reason = match (unshare(CloneFlags::CLONE_NEWNET), AfKey::open(), Xfrm::open()) {
                (Ok(()), Ok(_), Ok(_)) => return test(&mut Lab::new(&choice, &other)),
                (Err(errno), ..) => errno.to_string(),
                (_, Err(error), _) | (_, _, Err(error)) => error.to_string(),
            };
            // Past the capture of a test's output.
            let _ = writeln!(std::io::stderr(), "SKIPPED: kernel_door: {reason}");
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
