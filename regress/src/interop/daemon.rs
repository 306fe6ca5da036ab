//! The daemon on a host: racoon or that of another project.

use anyhow::Result;

use super::connection::Connection;
use super::libreswan::Pluto;
use super::racoon_conf;
use super::strongswan::Charon;
use crate::lab::Host;
use crate::racoon::{Programs, Racoon};

/// The daemon that a host runs.
pub(crate) enum Implementation {
    Charon,
    Pluto,
    Racoon(Programs),
}

/// A running daemon.
pub(super) enum RunningDaemon<'a> {
    Charon(Charon<'a>),
    Pluto(Pluto<'a>),
    Racoon(Racoon<'a>),
}

impl<'a> RunningDaemon<'a> {
    pub(super) fn start(kind: &Implementation, host: &'a Host, connections: &[Connection]) -> Result<Self> {
        Ok(match kind {
            Implementation::Charon => Self::Charon(Charon::start(host, connections)?),
            Implementation::Pluto => Self::Pluto(Pluto::start(host, connections)?),
            Implementation::Racoon(ours) => Self::Racoon(Racoon::start(host, ours, &racoon_conf::files(connections))?),
        })
    }

    /// Initiates a connection. Racoon does so itself, with the first packet.
    pub(super) fn initiate(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.initiate(&connection.name),
            Self::Pluto(pluto) => pluto.initiate(&connection.name),
            Self::Racoon(_) => Ok(()),
        }
    }

    /// Ends a connection and tells the peer. The tests have no such command for racoon yet.
    pub(super) fn terminate(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.terminate(&connection.name),
            Self::Pluto(pluto) => pluto.terminate(&connection.name),
            Self::Racoon(_) => Ok(()),
        }
    }

    /// Returns the daemon's status report, if it has one.
    pub(super) fn status(&self) -> String {
        let status = match self {
            Self::Charon(charon) => charon.status(),
            Self::Pluto(pluto) => pluto.status(),
            Self::Racoon(_) => Ok(String::new()),
        };
        status.unwrap_or_else(|error| format!("{error:#}\n"))
    }

    pub(super) fn is_alive(&self) -> bool {
        match self {
            Self::Charon(charon) => charon.is_alive(),
            Self::Pluto(pluto) => pluto.is_alive(),
            Self::Racoon(racoon) => racoon.is_alive(),
        }
    }

    pub(super) fn log(&self) -> String {
        let log = match self {
            Self::Charon(charon) => charon.log(),
            Self::Pluto(pluto) => pluto.log(),
            Self::Racoon(racoon) => racoon.log(),
        };
        log.unwrap_or_else(|error| format!("{error:#}\n"))
    }

    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.stop(),
            Self::Pluto(pluto) => pluto.stop(),
            Self::Racoon(racoon) => racoon.stop(),
        }
    }

    /// Kills the daemon, like a crash.
    pub(super) fn kill(self) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.kill(),
            Self::Pluto(pluto) => pluto.kill(),
            Self::Racoon(racoon) => racoon.kill(),
        }
    }
}
