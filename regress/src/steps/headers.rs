//! x
pub(crate) fn run() -> anyhow::Result<crate::tally::Tally> {
    Ok(crate::tally::Tally::SKIPPED)
}
