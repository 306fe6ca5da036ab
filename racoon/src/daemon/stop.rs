//! Shutdown.

use std::process::{self, ExitCode};

use racoon_proto::engine::Control;

use super::Daemon;
use crate::{clock, systemd};

impl Daemon {
    /// Sends DELETEs to the peers, removes our SAs and policies, and closes everything.
    pub(super) fn stop(mut self, code: ExitCode) -> ExitCode {
        // A service manager that does not listen does not delay the shutdown.
        let _ = systemd::notify(systemd::State::Stopping);
        // Never refused.
        let _ = self.engine.handle_control(clock::now(), Control::Shutdown);
        self.process_outputs();
        // The saved SAs are gone from the kernel. What could not be removed stays in the state file for the next start.
        self.kernel.clear_backup();
        self.kernel.close_state_log();
        let log = self.log.clone();
        // Closes the sockets, and removes the pid file and the control socket.
        drop(self);
        log.info(format_args!("racoon process {} shutdown", process::id()));
        code
    }
}
