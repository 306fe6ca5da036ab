//! Reloading the configuration.

use ipsec_conf::racoon::Config;
use racoon_proto::engine::Control;

use super::Daemon;
use super::start::{read, settings_of, snapshot_of, warn_ending_certificates, warn_unimplemented};
use crate::{clock, log};

/// The new configuration is unusable; the log has the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used: the old one stays in effect")]
pub(super) struct ReloadRejected;

impl Daemon {
    /// Reads the configuration again and applies it as a whole or not at all. Also reopens the log file.
    pub(super) fn reload(&mut self) -> Result<(), ReloadRejected> {
        if let Err(error) = self.log.reopen() {
            self.log.error(format_args!("cannot reopen the log file: {}", crate::output::reason(&error)));
        }
        let new = read(&self.file, &self.files, &self.log);
        let new = new.filter(|config| self.keeps_tunnels(config)).and_then(|config| {
            let snapshot = snapshot_of(&config, &self.files, &self.log)?;
            let settings = settings_of(&config, &self.options, self.kernel.capabilities(), &snapshot, &self.log)?;
            Some((config, snapshot, settings))
        });
        let Some((config, snapshot, settings)) = new else {
            self.log.error(ReloadRejected);
            return Err(ReloadRejected);
        };
        // Nothing below can be refused.
        self.log.set_level(log::configured(config.log));
        self.credentials.psk().set_path(config.paths.pre_shared_key.as_deref().map(Into::into));
        warn_ending_certificates(&snapshot, &self.log);
        self.credentials.replace(snapshot);
        for what in needs_restart(&self.config, &config) {
            self.log.warning(format_args!("{what} changed; restart racoon to apply it"));
        }
        warn_unimplemented(&config, &self.log);
        self.traffic.configure(&settings, clock::now());
        // The engine first: it may have to send DELETEs from addresses that are about to be closed.
        let _ = self.engine.handle_control(clock::now(), Control::Reload(Box::new(settings)));
        self.process_outputs();
        let reconfigured = self.sockets.reconfigure(config.listen.clone());
        self.sockets_changed(reconfigured);
        // Policies are often changed along with the configuration.
        self.resync_kernel();
        self.config = config;
        Ok(())
    }

    /// Returns `false` for a configuration without remote sections that would replace one with some. Such a file is
    /// most likely the wrong one or half written, and it would delete every tunnel.
    fn keeps_tunnels(&self, new: &Config) -> bool {
        let keeps = self.config.remotes.is_empty() || !new.remotes.is_empty();
        if !keeps {
            let file = &self.file;
            self.log.error(format_args!(
                "{file}: no remote section: a reload would delete all tunnels; to delete them, stop racoon"
            ));
        }
        keeps
    }
}

/// Returns the directives that changed and only take effect at the next start.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        (old.backend != new.backend, "backend"),
        (old.pfkey_buffer != new.pfkey_buffer, "pfkey_buffer"),
        (old.threads != new.threads, "threads"),
        (old.paths.pidfile != new.paths.pidfile, "path pidfile"),
        (old.paths.backupsa != new.paths.backupsa, "path backupsa"),
        (!same_socket(old, new), "adminsock"),
    ];
    changed.into_iter().filter_map(|(is, what)| is.then_some(what)).collect()
}

/// Compares the control sockets, ignoring where in the file they are configured.
fn same_socket(old: &Config, new: &Config) -> bool {
    use ipsec_conf::racoon::AdminSocket::Path;
    match (&old.listen.adminsock, &new.listen.adminsock) {
        (Path { path: a, access: b, .. }, Path { path: c, access: d, .. }) => (a, b) == (c, d),
        (old, new) => old == new,
    }
}
