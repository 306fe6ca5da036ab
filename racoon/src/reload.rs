//! A configuration that can be replaced while it is in use.

/// The configuration in use. A new one takes its place as a whole, or not at all.
#[derive(Debug)]
pub struct Reload<T> {
    current: T,
}

impl<T> Reload<T> {
    /// Begins with a configuration that was loaded.
    pub fn new(current: T) -> Self {
        Self { current }
    }

    /// The configuration in use.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// Loads another one, and only then puts it in place. Returns the one that it replaced, so that what lives by it can be
    /// compared with what is new.
    ///
    /// # Errors
    /// What `load` says; the configuration in use stays as it is.
    pub fn reload<E>(&mut self, load: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let new = load()?;
        Ok(std::mem::replace(&mut self.current, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_load_changes_nothing() {
        let mut reload = Reload::new("old");
        assert_eq!(reload.reload(|| Err("broken")), Err("broken"));
        assert_eq!(*reload.current(), "old");
        assert_eq!(reload.reload(|| Ok::<_, &str>("new")), Ok("old"));
        assert_eq!(*reload.current(), "new");
    }
}
