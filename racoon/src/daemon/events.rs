//! The most recent events of the engine.

use std::collections::VecDeque;

use racoon_proto::output::Event;

/// Events that are kept.
const EVENTS_MAX: usize = 100;

/// The most recent events, oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    recent: VecDeque<Event>,
}

impl Events {
    /// Keeps an event; the oldest one makes room for it.
    pub(super) fn add(&mut self, event: Event) {
        if self.recent.len() >= EVENTS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use racoon_proto::output::EventKind;

    use super::*;

    fn event(message_id: u32) -> Event {
        Event {
            kind: EventKind::Phase2Up,
            local: None,
            remote: None,
            cookies: None,
            message_id,
            identity: None,
            remote_section: None,
            traffic: None,
            outcome: None,
        }
    }

    #[test]
    fn keeps_the_most_recent() {
        let mut events = Events::default();
        (0..250).for_each(|number| events.add(event(number)));
        let kept = events.recent.iter().map(|event| event.message_id).collect::<Vec<_>>();
        assert_eq!(kept, (150..250).collect::<Vec<_>>());
    }
}
