//! Timers and their deadlines.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::time::Time;

/// Timers by name; each is set at most once.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeSet<(Time, T)>,
    when: HashMap<T, Time>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), when: HashMap::new() }
    }
}

impl<T: Copy + Ord + Hash> Timers<T> {
    /// Sets a timer; replaces its earlier time.
    pub(crate) fn set(&mut self, timer: T, at: Time) {
        if let Some(before) = self.when.insert(timer, at) {
            self.due.remove(&(before, timer));
        }
        self.due.insert((at, timer));
    }

    /// Stops a timer and returns when it would have been due; that it was not set is no error.
    pub(crate) fn stop(&mut self, timer: T) -> Option<Time> {
        let at = self.when.remove(&timer)?;
        self.due.remove(&(at, timer));
        Some(at)
    }

    /// Whether a timer is set.
    pub(crate) fn is_set(&self, timer: T) -> bool {
        self.when.contains_key(&timer)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(crate) fn take(&mut self, now: Time) -> Option<T> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.when.remove(&timer);
        Some(timer)
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set('a', Time::from_secs(3));
        timers.set('b', Time::from_secs(2));
        timers.set('c', Time::from_secs(2));
        timers.set('a', Time::from_secs(1));
        timers.stop('c');
        timers.stop('d');
        assert!(timers.is_set('a') && !timers.is_set('c'));
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.next(), Some(Time::from_secs(1)));
        assert_eq!(timers.take(Time::from_secs(0)), None);
        assert_eq!(timers.take(Time::from_secs(5)), Some('a'));
        assert_eq!(timers.take(Time::from_secs(5)), Some('b'));
        assert_eq!(timers.take(Time::from_secs(5)), None);
        assert_eq!(timers.next(), None);
    }
}
