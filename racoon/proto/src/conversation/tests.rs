use super::*;
use crate::crypto::SeededRandom;
use crate::output::Output;
use crate::path::Path;
use crate::reason::FailureReason;

const ADDRESSES: [&str; 2] = ["192.0.2.1:500", "192.0.2.2:500"];

/// A conversation and what it sends, under a clock that the test advances.
struct Fixture {
    core: Core,
    conversation: Conversation,
}

impl Fixture {
    /// Messages are sent three times, ten seconds apart.
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.retransmission.count = 3;
        settings.retransmission.interval = Duration::from_secs(10);
        settings.phase2_wait = Duration::from_secs(15);
        let core = Core::new(settings, Box::new(SeededRandom::new(1)), Time::default());
        let id = ConversationId::Phase1(Phase1Id(1));
        Self { core, conversation: Conversation::new(id, Record::new(Time::default())) }
    }

    fn arrival(&mut self, message: &str) -> Lookup {
        self.conversation.arrival(&self.core, &digest(message))
    }

    fn accept(&mut self, message: &str) {
        assert_eq!(self.arrival(message), Lookup::New);
        self.conversation.accept(digest(message));
        self.conversation.step(&self.core, "accepted");
    }

    fn send(&mut self, message: &str) {
        self.conversation.send(&mut self.core, path(), message.into());
    }

    fn retransmit(&mut self) -> bool {
        self.conversation.retransmit(&mut self.core, path())
    }

    /// Messages sent since the last call.
    fn sent(&mut self) -> Vec<String> {
        let outputs = self.core.outputs.drain(..);
        let sent = outputs.map(|output| match output {
            Output::Transmit(transmit) => String::from_utf8(transmit.bytes).unwrap(),
            _ => panic!("a conversation only sends"),
        });
        sent.collect()
    }

    /// Advances the clock to `second` and returns the timers that expire.
    fn advance(&mut self, second: u64) -> Vec<Timer> {
        self.core.now = Time::from_secs(second);
        std::iter::from_fn(|| self.core.timers.take(self.core.now)).collect()
    }
}

fn digest(message: &str) -> PacketDigest {
    PacketDigest::of(message.as_bytes()).unwrap()
}

fn path() -> Path {
    let [local, remote] = ADDRESSES.map(|address| address.parse().unwrap());
    Path::new(local, remote)
}

fn retransmit() -> Timer {
    Timer::Retransmit(ConversationId::Phase1(Phase1Id(1)))
}

fn deadline() -> Timer {
    Timer::Deadline(ConversationId::Phase1(Phase1Id(1)))
}

#[test]
fn an_unanswered_message_is_sent_count_times() {
    let mut fixture = Fixture::new();
    fixture.send("1");
    assert_eq!(fixture.advance(9), []);
    assert_eq!(fixture.advance(10), [retransmit()]);
    assert!(fixture.retransmit());
    assert_eq!(fixture.advance(20), [retransmit()]);
    assert!(fixture.retransmit());
    assert_eq!(fixture.advance(30), [retransmit()]);
    assert!(!fixture.retransmit());
    assert_eq!(fixture.conversation.first_sent(), Some(Time::default()));
    assert_eq!(fixture.sent(), ["1", "1", "1"]);
    assert_eq!(fixture.core.timers.len(), 0);
    let unanswered = fixture.conversation.unanswered(ExchangeType::MAIN, Role::Initiator, 1);
    assert_eq!((unanswered.message, unanswered.bytes, unanswered.sent), (1, 1, 3));
}

#[test]
fn an_answer_ends_the_retransmission() {
    let mut fixture = Fixture::new();
    fixture.send("1");
    fixture.accept("2");
    fixture.conversation.stop_retransmission(&mut fixture.core);
    assert_eq!(fixture.core.timers.len(), 0);
    assert!(!fixture.retransmit());
    fixture.conversation.answer(Some(b"3".to_vec()));
    fixture.send("3");
    assert_eq!(fixture.sent(), ["1", "3"]);
    assert_eq!(fixture.advance(10), [retransmit()]);
}

#[test]
fn a_duplicate_gets_the_same_answer_at_most_count_times() {
    let mut fixture = Fixture::new();
    fixture.accept("1");
    assert!(fixture.conversation.is_processing());
    assert_eq!(fixture.arrival("1"), Lookup::Duplicate);
    assert_eq!(fixture.arrival("3"), Lookup::Busy);
    fixture.conversation.answer(Some(b"2".to_vec()));
    for _ in 0..3 {
        assert_eq!(fixture.arrival("1"), Lookup::Reply(b"2".to_vec()));
    }
    assert_eq!(fixture.arrival("1"), Lookup::Duplicate);
    let unanswered = fixture.conversation.unanswered(ExchangeType::MAIN, Role::Responder, 2);
    assert_eq!((unanswered.bytes, unanswered.sent, unanswered.repeated), (1, 4, 4));
    fixture.conversation.forget_messages();
    assert_eq!(fixture.arrival("1"), Lookup::New);
}

/// A forged answer must neither stop the retransmission nor postpone its end.
#[test]
fn a_rejected_answer_resumes_the_retransmission() {
    let mut fixture = Fixture::new();
    fixture.send("1");
    assert_eq!(fixture.advance(4), []);
    fixture.accept("forged");
    fixture.conversation.suspend_retransmission(&mut fixture.core);
    assert!(!fixture.core.timers.is_set(retransmit()) && fixture.core.timers.is_set(deadline()));
    assert_eq!(fixture.advance(6), []);
    fixture.conversation.reject(&mut fixture.core);
    assert!(!fixture.core.timers.is_set(deadline()));
    assert_eq!(fixture.advance(10), [retransmit()], "as before the forgery");
    assert_eq!(fixture.arrival("2"), Lookup::New);
    fixture.accept("forged again");
    fixture.conversation.suspend_retransmission(&mut fixture.core);
    assert_eq!(fixture.advance(11), []);
    fixture.conversation.reject(&mut fixture.core);
    assert_eq!(fixture.advance(11), [retransmit()], "due while it was suspended");
}

#[test]
fn a_job_for_an_answer_has_a_deadline() {
    let mut fixture = Fixture::new();
    fixture.send("1");
    fixture.accept("2");
    fixture.conversation.suspend_retransmission(&mut fixture.core);
    assert_eq!(fixture.advance(29), []);
    assert_eq!(fixture.advance(30), [deadline()]);
}

/// Otherwise a peer could keep an exchange alive with invalid values.
#[test]
fn a_side_that_repeats_nothing_keeps_its_deadline() {
    let mut fixture = Fixture::new();
    fixture.conversation.set_deadline(&mut fixture.core, |settings| settings.phase2_wait);
    assert_eq!(fixture.advance(7), []);
    fixture.accept("3");
    fixture.conversation.suspend_retransmission(&mut fixture.core);
    fixture.conversation.reject(&mut fixture.core);
    assert_eq!(fixture.advance(15), [deadline()]);
}

#[test]
fn a_message_that_is_sent_replaces_the_deadline() {
    let mut fixture = Fixture::new();
    fixture.conversation.set_deadline(&mut fixture.core, |settings| settings.phase2_wait);
    fixture.send("1");
    assert_eq!(fixture.advance(15), [retransmit()]);
    fixture.conversation.set_deadline(&mut fixture.core, |settings| settings.phase2_wait);
    fixture.conversation.stop_deadline(&mut fixture.core);
    assert_eq!(fixture.advance(1000), []);
}

#[test]
fn progress_clears_earlier_faults() {
    let mut fixture = Fixture::new();
    let record = &mut fixture.conversation.record;
    record.fault = Some(FailureReason::computed_late());
    record.unreadable = 2;
    fixture.conversation.step(&fixture.core, "message 2");
    let record = &fixture.conversation.record;
    assert_eq!((&record.fault, record.unreadable), (&None, 0));
    assert_eq!(record.steps, [("message 2", Duration::ZERO)]);
}

#[test]
fn the_first_early_message_is_deferred() {
    let mut fixture = Fixture::new();
    fixture.conversation.defer(b"1");
    fixture.conversation.defer(b"2");
    assert_eq!(fixture.conversation.take_deferred(), Some(b"1".to_vec()));
    assert_eq!(fixture.conversation.take_deferred(), None);
}

#[test]
fn an_ended_conversation_leaves_no_timer_and_no_job() {
    let mut fixture = Fixture::new();
    fixture.send("1");
    fixture.conversation.suspend_retransmission(&mut fixture.core);
    let job = Job { tasks: Vec::new() };
    fixture.conversation.start_job(&mut fixture.core, Urgency::Known, job);
    assert_eq!((fixture.core.timers.len(), fixture.core.jobs.len()), (1, 1));
    fixture.conversation.end(&mut fixture.core);
    assert_eq!((fixture.core.timers.len(), fixture.core.jobs.len()), (0, 0));
}
