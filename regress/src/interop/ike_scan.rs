//! ike-scan: a stranger's probe of an IKE daemon.

use anyhow::Result;

use crate::lab::{Finished, Host, Program};

/// Runs it on `host`. Its own port, so that a daemon on the same host is not in its way; one try of two seconds.
pub(crate) fn ike_scan(host: &Host, arguments: &[&str]) -> Result<Finished> {
    let own = ["--sport=0", "--retry=1", "--timeout=2000", "--nodns"];
    host.run(Program::new("ike-scan", &[&own, arguments].concat()))
}
