use super::*;
use crate::engine::Engine;

fn remote(number: u32) -> SocketAddr {
    SocketAddr::from((number.to_be_bytes(), 500))
}

fn known(number: u32) -> (PeerStanding, LoggedEvent) {
    (PeerStanding::Known(remote(number).ip()), LoggedEvent::Refused)
}

fn line((standing, event): (PeerStanding, LoggedEvent), reason: &str) -> Line<'_> {
    let remote = match standing {
        PeerStanding::Proved(address) | PeerStanding::Known(address) => SocketAddr::new(address, 500),
        PeerStanding::Unknown => remote(7),
    };
    Line { standing, event, remote, reason, unformatted: false, level: Level::Error }
}

/// Returns how many of `count` lines are within the quota.
fn told(rate_limits: &mut RateLimits, key: (PeerStanding, LoggedEvent), count: u32, now: u64) -> usize {
    (0..count).filter(|_| rate_limits.note(line(key, ""), Time::from_secs(now))).count()
}

#[test]
fn each_party_and_reason_has_its_ration() {
    let mut rate_limits = RateLimits::default();
    for event in [LoggedEvent::Refused, LoggedEvent::Malformed] {
        let address = remote(1).ip();
        for (standing, quota) in
            [(PeerStanding::Unknown, 1), (PeerStanding::Known(address), 3), (PeerStanding::Proved(address), 10)]
        {
            let one = (standing, event);
            for reason in ["", "another one"] {
                assert!(rate_limits.may_log(line(one, reason), Time::from_secs(1)));
                let notes = (0..1000).map(|_| rate_limits.note(line(one, reason), Time::from_secs(1)));
                assert_eq!(notes.filter(|told| *told).count(), quota, "{standing:?}");
                assert!(!rate_limits.may_log(line(one, reason), Time::from_secs(60)));
            }
        }
    }
    // What is within its quota is forgotten by itself.
    assert_eq!(told(&mut rate_limits, known(2), 3, 2), 3);
    assert_eq!(told(&mut rate_limits, known(2), 3, 62), 3);
}

#[test]
fn made_up_reasons_are_bounded() {
    let mut rate_limits = RateLimits::default();
    let reasons = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>();
    let mut told = |key| reasons.iter().filter(|one| rate_limits.note(line(key, one), Time::from_secs(1))).count();
    assert_eq!(told(known(1)), 4);
    // Of one address; of many.
    assert_eq!(told((PeerStanding::Unknown, LoggedEvent::Refused)), 2);
    let from = |number| Line { remote: remote(number), ..line((PeerStanding::Unknown, LoggedEvent::Refused), "") };
    let more = (0..1000).filter(|number| rate_limits.note(from(*number), Time::from_secs(1))).count();
    assert_eq!(more, 2);
    assert!(rate_limits.counters.values().all(|counter| counter.reasons().len() < 200));
}

#[test]
fn reasons_stand_behind_their_number() {
    let mut rate_limits = RateLimits::default();
    let note = |rate_limits: &mut RateLimits, reason, count| {
        for _ in 0..count {
            rate_limits.note(line(known(1), reason), Time::default());
        }
    };
    note(&mut rate_limits, "one", 5);
    assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one");
    note(&mut rate_limits, "two", 4);
    assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one (2); two (1)");
    ["3", "4", "five", "six"].into_iter().for_each(|reason| note(&mut rate_limits, reason, 1));
    assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one (2); two (1); others (2), the last one six");
}

#[test]
fn known_peers_have_a_ration_in_all() {
    let mut rate_limits = RateLimits::default();
    let in_a_minute = |rate_limits: &mut RateLimits, now| {
        (0..1000).map(|number| told(rate_limits, known(number), 3, now)).sum::<usize>()
    };
    assert_eq!(in_a_minute(&mut rate_limits, 0), KNOWN_MAX as usize);
    assert_eq!(told(&mut rate_limits, (PeerStanding::Proved(remote(1).ip()), LoggedEvent::Refused), 1, 1), 1);
    rate_limits.counters.clear();
    assert_eq!(in_a_minute(&mut rate_limits, 60), KNOWN_MAX as usize);
}

#[test]
fn what_is_counted_is_bounded() {
    let mut rate_limits = RateLimits::default();
    let peer = |number| (PeerStanding::Proved(remote(number).ip()), LoggedEvent::Refused);
    for number in 0..20_000 {
        told(&mut rate_limits, peer(number), 1, 70);
        assert!(rate_limits.counters.len() <= COUNTERS_MAX + 1);
    }
    let of_unknown = &rate_limits.counters[&(PeerStanding::Unknown, LoggedEvent::Refused)];
    assert_eq!((of_unknown.logged, of_unknown.suppressed), (4, 20_000 - 4096 - 4));
    // Later there is room again.
    assert_eq!(told(&mut rate_limits, peer(30_000), 1, 140), 1);
    assert_eq!(rate_limits.counters.len(), 2);
}

/// However many peers had lines beyond their quotas, few lines say so, those of the most first.
#[test]
fn a_report_is_short() {
    let random = Box::new(crate::crypto::SeededRandom::new(1));
    let mut engine = Engine::new(crate::settings::Settings::default(), random, Time::default());
    for number in 0..100 {
        for _ in 0..=10 + number {
            engine.core.log_of_peer(LoggedEvent::Notified, Level::Warning, remote(number), || "a line".into());
        }
    }
    let drain = |engine: &mut Engine| -> Vec<String> {
        let line = |output| match output {
            crate::output::Output::Log(line) => Some(line.text),
            _ => None,
        };
        std::iter::from_fn(|| engine.poll_output()).filter_map(line).collect()
    };
    assert_eq!(drain(&mut engine).len(), 1000);
    assert_eq!(engine.poll_timeout(), Some(Time::from_secs(60)));
    engine.handle_timeout(Time::from_secs(60));
    let report = drain(&mut engine);
    assert_eq!(report.len(), REPORTS_MAX + 1);
    assert_eq!(report[0], "100 more notifies of this peer in the last 60 s");
    let others = (1..=84).sum::<u32>();
    assert_eq!(report[REPORTS_MAX], format!("{others} more notifies of other known peers in the last 60 s"));
    assert_eq!(engine.poll_timeout(), None);
}

#[test]
fn numbers() {
    assert_eq!(counted(1, LoggedEvent::Refused), "1 more refused negotiation");
    assert_eq!(counted(2, LoggedEvent::Unproved), "2 more failed authentications");
}
