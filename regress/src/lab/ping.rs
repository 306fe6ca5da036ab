//! Statistics that ping(8) prints when it ends.

use anyhow::{Context, Result};

/// Packets of one second, which may still be unanswered when ping ends.
const MAX_UNANSWERED_AT_END: usize = 100;

/// Packets sent and answered, and the sequence number of the last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pings {
    pub(crate) sent: usize,
    pub(crate) received: usize,
    /// Sequence number of the last printed answer; 0 with `-q`.
    pub(crate) last: usize,
}

impl Pings {
    /// Parses the output of ping.
    pub(crate) fn read(text: &str) -> Result<Self> {
        Self::find(text).with_context(|| format!("no statistics in the output of ping: {text}"))
    }

    /// Returns the number of unanswered packets, except at the end: ping does not always wait for the last answers.
    pub(crate) fn lost(&self) -> usize {
        let at_the_end = self.sent.saturating_sub(self.last).min(MAX_UNANSWERED_AT_END);
        self.sent.saturating_sub(self.received).saturating_sub(at_the_end)
    }

    fn find(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.contains("packets transmitted"))?;
        let number =
            |mark: &str| line.split(',').find(|part| part.contains(mark))?.split_whitespace().next()?.parse().ok();
        let numbers =
            text.lines().filter_map(|line| line.split_once("icmp_seq=")?.1.split_whitespace().next()?.parse().ok());
        let last = numbers.max().unwrap_or_default();
        Some(Self { sent: number("packets transmitted")?, received: number("received")?, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_parsed() {
        let text = "\n--- 10.0.0.1 ping statistics ---\n7 packets transmitted, 6 received, 14% packet loss, time 9ms\n";
        assert_eq!(Pings::find(text), Some(Pings { sent: 7, received: 6, last: 0 }));
        assert_eq!(Pings::find("nothing"), None);
        let lost = |answered: &[usize]| {
            let lines = answered.iter().map(|number| format!("64 bytes from 10.0.0.1: icmp_seq={number} ttl=64\n"));
            let text = lines.collect::<String>();
            let end = format!("1000 packets transmitted, {} received, time 9ms\n", answered.len());
            Pings::find(&(text + &end)).expect("pings").lost()
        };
        let all: Vec<usize> = (1..=1000).collect();
        assert_eq!(lost(&all), 0);
        assert_eq!(lost(&all[..950]), 0, "unanswered at the end");
        assert_eq!(lost(&all[1..]), 1);
        assert_eq!(lost(&all[..500]), 400, "answers stopped");
    }
}
