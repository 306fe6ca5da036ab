//! Recovery of what an earlier racoon had in the kernel, after a crash or with `-B`.

use std::io;

use ipsec_conf::racoon::Config;
use libpfkey::state_file;
use racoon_proto::kernel::LeftoverSa;

use crate::backup::{Backup, SavedSa};
use crate::cli::DaemonOptions;
use crate::kernel::{KernelInterface, Leftovers};
use crate::kernel_state::StateLog;
use crate::log::Log;

/// Removes what an earlier racoon left in the kernel, and takes over its saved SAs with `-B`. Returns the SAs of both
/// kinds: their peers are told, or negotiated with again. From now on what is installed is recorded and saved.
///
/// # Errors
/// If the backup file cannot be used with `-B`.
pub(super) fn recover(
    kernel: &mut KernelInterface,
    has_state_file: bool,
    config: &Config,
    options: &DaemonOptions,
    log: &Log,
) -> Result<Vec<LeftoverSa>, String> {
    if has_state_file {
        open_state_log(kernel, log);
    }
    let backup = open_backup(config, options, log)?;
    // Before anything is installed. Saved SAs stay, because the next step takes them over.
    let mut sas = remove_leftovers(kernel, backup.as_ref(), log);
    sas.extend(restore_saved(kernel, backup, options, log)?);
    Ok(sas)
}

/// Opens the state file and records from now on what is installed. Without the file racoon works, but after a crash its
/// SAs and policies stay in the kernel.
fn open_state_log(kernel: &mut KernelInterface, log: &Log) {
    let opened = state_file::kernel_id().and_then(|id| {
        let path = state_file::path(&id);
        StateLog::open(&path, id, &mut |warning| log.warning(warning))
    });
    match opened {
        Ok(state) => kernel.set_state_log(state),
        Err(error) => log.error(format_args!(
            "no state file: {error}; if racoon crashes, its SAs and policies are left in the kernel"
        )),
    }
}

/// Removes what a crashed racoon left in the kernel, except for saved SAs. Returns the removed SAs.
fn remove_leftovers(
    kernel: &mut KernelInterface,
    backup: Option<&(Backup, Vec<SavedSa>)>,
    log: &Log,
) -> Vec<LeftoverSa> {
    let saved = backup.map_or(&[][..], |(_, saved)| saved);
    match kernel.remove_leftovers(saved) {
        Ok(Leftovers { policies, sas, .. }) => {
            if policies > 0 || !sas.is_empty() {
                let count = sas.len();
                log.info(format_args!(
                    "removed what an earlier racoon left in the kernel: policies: {policies}, SAs: {count}"
                ));
            }
            sas
        }
        Err(error) => {
            log.error(format_args!("cannot remove what an earlier racoon left in the kernel: {error}"));
            Vec::new()
        }
    }
}

/// Opens the file of `path backupsa`. Returns the saved SAs too with `-B`.
fn open_backup(config: &Config, options: &DaemonOptions, log: &Log) -> Result<Option<(Backup, Vec<SavedSa>)>, String> {
    let Some(path) = config.paths.backupsa.as_deref() else {
        return if options.backup { Err("no `path backupsa' is configured".into()) } else { Ok(None) };
    };
    let failed = |error: io::Error| error.to_string();
    let mut backup = match Backup::open(path) {
        Ok(backup) => backup,
        // Without -B nothing depends on the file yet, so it must not prevent the start.
        Err(error) if options.backup => return Err(failed(error)),
        Err(error) => {
            log.error(format_args!("SAs are not saved: {error}"));
            return Ok(None);
        }
    };
    let mut saved = Vec::new();
    if options.backup {
        let skipped;
        (saved, skipped) = backup.restore().map_err(failed)?;
        if skipped > 0 {
            let lines = if skipped == 1 { "line" } else { "lines" };
            log.warning(format_args!("{}: skipped {skipped} {lines} in an unknown format", path.display()));
        }
    }
    Ok(Some((backup, saved)))
}

/// Starts saving SAs. Returns the saved ones, and whether the kernel still has them.
fn restore_saved(
    kernel: &mut KernelInterface,
    backup: Option<(Backup, Vec<SavedSa>)>,
    options: &DaemonOptions,
    log: &Log,
) -> Result<Vec<LeftoverSa>, String> {
    let Some((backup, saved)) = backup else { return Ok(Vec::new()) };
    kernel.set_backup(backup);
    let sas = kernel.restore_saved(&saved).map_err(|error| error.to_string())?;
    if options.backup {
        let there = sas.iter().filter(|sa| sa.in_kernel).count();
        log.info(format_args!("{there} of {} saved SAs are in the kernel; all are renewed", saved.len()));
    }
    Ok(sas)
}
