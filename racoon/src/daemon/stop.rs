//! The end.

use std::process::{self, ExitCode};

use racoon_proto::engine::Control;

use super::Daemon;
use crate::{clock, systemd};

impl Daemon {
    /// Tells the peers, removes what was installed, and closes everything.
    pub(super) fn stop(mut self, code: ExitCode) -> ExitCode {
        let _ = systemd::notify(systemd::State::Stopping);
        // It cannot be refused.
        let _ = self.engine.handle_control(clock::now(), Control::Shutdown);
        self.process_outputs();
        self.kernel.clear_backup();
        self.kernel.close_state_log();
        let log = self.log.clone();
        // The sockets close, and the files of the process id and of the control socket go.
        drop(self);
        log.info(format_args!("racoon process {} shutdown", process::id()));
        code
    }
}
