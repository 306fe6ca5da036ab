//! What ping(8) says at its end.

use anyhow::{Context, Result};

/// How many packets were sent, and how many were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pings {
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

impl Pings {
    /// Reads what a ping printed.
    pub(crate) fn read(text: &str) -> Result<Self> {
        Self::find(text).with_context(|| format!("ping says nothing: {text}"))
    }

    fn find(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.contains("packets transmitted"))?;
        let number =
            |mark: &str| line.split(',').find(|part| part.contains(mark))?.split_whitespace().next()?.parse().ok();
        Some(Self { sent: number("packets transmitted")?, received: number("received")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ping_counts() {
        let text = "\n--- 10.0.0.1 ping statistics ---\n7 packets transmitted, 6 received, 14% packet loss, time 9ms\n";
        assert_eq!(Pings::find(text), Some(Pings { sent: 7, received: 6 }));
        assert_eq!(Pings::find("nothing"), None);
    }
}
