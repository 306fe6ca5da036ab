//! x
pub(crate) fn check(_: &str) -> anyhow::Result<crate::tally::Tally> {
    Ok(crate::tally::Tally::SKIPPED)
}
