//! Output of `ip xfrm state`.

/// Counts the SAs with extended sequence numbers, by their flag: `ip` shows an `esn context` also for an SA that only has
/// a large window.
pub(crate) fn count_esn(states: &str) -> usize {
    let flags = states.lines().filter(|line| line.trim_start().starts_with("replay-window "));
    flags.filter(|line| line.split_ascii_whitespace().any(|word| word == "esn")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flag_counts() {
        let context = "\tanti-replay esn context:\n\t replay_window 64, bitmap-length 2\n";
        let shown = format!(
            "src a dst b\n\treplay-window 0 flag af-unspec esn\n{context}src b dst a\n\treplay-window 0 \n{context}"
        );
        assert_eq!(count_esn(&shown), 1);
    }
}
