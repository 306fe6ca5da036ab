//! Translation of configuration and command line to the engine's settings.

use ipsec_conf::racoon::Config;
use racoon_proto::crypto::Padding;
use racoon_proto::settings::{HalfOpenLimit, Retransmission, Settings};

use crate::cli::DaemonOptions;
use crate::config::{self, ConfigError, Environment};
use crate::log;

/// Returns the engine's settings. The command line overrides the configuration, also after a reload.
///
/// # Errors
/// As [`config::translate`].
pub fn translate(
    config: &Config,
    options: &DaemonOptions,
    environment: &dyn Environment,
) -> Result<Settings, Vec<ConfigError>> {
    let sections = config::translate(config, environment)?;
    let (timer, padding, half_open) = (&config.timer, &config.padding, &config.half_open_limit);
    Ok(Settings {
        remotes: sections.remotes,
        sainfos: sections.sainfos,
        retransmission: Retransmission { count: timer.counter, interval: timer.interval, copies: timer.persend },
        phase1_wait: timer.phase1,
        phase2_wait: timer.phase2,
        // `settings_of` replaces it by the kernel's.
        larval_limit: Settings::default().larval_limit,
        natt_keepalive: timer.natt_keepalive,
        padding: Padding {
            randomize: padding.randomize,
            randomize_length: padding.randomize_length,
            maximum_length: padding.maximum_length.into(),
            strict_check: padding.strict_check,
            exclusive_tail: padding.exclusive_tail,
        },
        complex_bundle: config.complex_bundle,
        half_open: HalfOpenLimit { total: half_open.total, per_source: half_open.per_source },
        journal: usize::try_from(config.journal).unwrap_or(usize::MAX),
        port: options.ports.isakmp,
        local_test: options.local_test,
        log: log::configured(config.log).raised(options.debug),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ipsec_conf::racoon::load;

    use super::*;
    use crate::certificates::Snapshot;
    use crate::files::Files;
    use crate::net::Ports;

    fn settings(text: &str, options: &DaemonOptions) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("racoon.conf");
        std::fs::write(&file, text).unwrap();
        let load = load(file.to_str().unwrap(), &Files::default());
        translate(&load.config.unwrap_or_else(|| panic!("{:?}", load.problems)), options, &Snapshot::default()).unwrap()
    }

    #[test]
    fn empty_file_gives_the_defaults() {
        let (empty, default) = (settings("", &DaemonOptions::default()), Settings::default());
        assert_eq!(format!("{empty:?}"), format!("{default:?}"));
    }

    #[test]
    fn all_settings_are_translated() {
        let text = "timer { counter 3; interval 4 sec; persend 2; phase1 11 sec; phase2 12 sec; natt_keepalive 0 sec; }
            padding { randomize off; randomize_length on; maximum_length 7; strict_check on; exclusive_tail off; }
            complex_bundle off; half_open_limit 30 per_source 4; journal 17; log notify;";
        let ports = Ports { isakmp: 1500, ..Ports::default() };
        let options = DaemonOptions { debug: 1, ports, local_test: true, ..DaemonOptions::default() };
        let settings = settings(text, &options);
        let interval = Duration::from_secs(4);
        assert_eq!(settings.retransmission, Retransmission { count: 3, interval, copies: 2 });
        assert_eq!((settings.phase1_wait, settings.phase2_wait), (Duration::from_secs(11), Duration::from_secs(12)));
        assert_eq!((settings.natt_keepalive, settings.complex_bundle, settings.journal), (None, false, 17));
        let padding = Padding {
            randomize: false,
            randomize_length: true,
            maximum_length: 7,
            strict_check: true,
            exclusive_tail: false,
        };
        assert_eq!(settings.padding, padding);
        assert_eq!(settings.half_open, HalfOpenLimit { total: 30, per_source: 4 });
        assert_eq!((settings.port, settings.local_test, settings.log), (1500, true, log::Level::Info));
    }
}
