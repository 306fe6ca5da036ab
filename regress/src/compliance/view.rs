//! What is recorded of a case.

/// A part of a case's result, recorded after (or while) it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// The exit status.
    Exit,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `setkey -D` afterwards.
    Sad,
    /// `setkey -DP` afterwards.
    Spd,
    /// `ip xfrm state` afterwards, for comparison with another program.
    State,
    /// `ip xfrm policy` afterwards.
    Policy,
}

impl View {
    pub(crate) const ALL: [Self; 7] =
        [Self::Exit, Self::Stdout, Self::Stderr, Self::Sad, Self::Spd, Self::State, Self::Policy];

    /// Returns the title of its section in a case file.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Sad => "sad",
            Self::Spd => "spd",
            Self::State => "state",
            Self::Policy => "policy",
        }
    }

    /// Returns the expectation if the case has no section for it. `None` means that it is not checked.
    pub(crate) fn default(self) -> Option<&'static [u8]> {
        match self {
            Self::Exit => Some(b"0\n"),
            Self::Stdout | Self::Stderr => Some(b""),
            _ => None,
        }
    }
}
