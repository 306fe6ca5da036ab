//! Log levels.

use ipsec_conf::racoon::LogLevel;
pub use racoon_proto::output::Level;

/// Returns the level of a configuration.
pub fn configured(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Notify => Level::Notify,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Debug2 => Level::Debug2,
    }
}
