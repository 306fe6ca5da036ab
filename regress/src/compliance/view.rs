//! What a case looks at.

/// One thing that is seen after (or while) a case ran.
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
    /// `ip xfrm state` afterwards: another program's opinion.
    State,
    /// `ip xfrm policy` afterwards.
    Policy,
}

impl View {
    pub(crate) const ALL: [Self; 7] =
        [Self::Exit, Self::Stdout, Self::Stderr, Self::Sad, Self::Spd, Self::State, Self::Policy];

    /// Its section's title in a case file.
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

    /// What is expected where the case has no such section; none: it is not looked at.
    pub(crate) fn default(self) -> Option<&'static [u8]> {
        match self {
            Self::Exit => Some(b"0\n"),
            Self::Stdout | Self::Stderr => Some(b""),
            _ => None,
        }
    }
}
