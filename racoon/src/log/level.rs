//! How much is logged.

use std::fmt;

use ipsec_conf::racoon::LogLevel;

/// The level of a line, from what is always written to what seldom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is wrong, and work goes on.
    Warning,
    /// Something is worth knowing.
    Notify,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// Every byte of it, but no key.
    Debug2,
}

impl Level {
    const ALL: [Self; 6] = [Self::Error, Self::Warning, Self::Notify, Self::Info, Self::Debug, Self::Debug2];

    /// So many levels more; not beyond the last one.
    #[must_use]
    pub fn raised(self, levels: u8) -> Self {
        let wanted = self.number().saturating_add(levels);
        Self::ALL.into_iter().find(|level| level.number() == wanted).unwrap_or(Self::Debug2)
    }

    /// 0 for errors, and one more for each level.
    pub(super) fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notify => "NOTIFY",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Debug2 => "DEBUG2",
        })
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warning => Self::Warning,
            LogLevel::Notify => Self::Notify,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Debug2 => Self::Debug2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_raised_up_to_the_last() {
        assert_eq!(Level::Info.raised(0), Level::Info);
        assert_eq!(Level::Info.raised(1), Level::Debug);
        assert_eq!(Level::Error.raised(2), Level::Notify);
        assert_eq!(Level::Info.raised(2), Level::Debug2);
        assert_eq!(Level::Info.raised(255), Level::Debug2);
        assert!(Level::Error < Level::Warning && Level::Debug < Level::Debug2);
    }
}
