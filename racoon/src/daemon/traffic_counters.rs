//! Times of the last traffic from and to each peer, by the byte counters of the kernel's SAs. `dpd_mode` needs them;
//! the counters are polled only if a remote asks for that.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use racoon_proto::config::DpdMode;
use racoon_proto::engine::{Control, LastTraffic};
use racoon_proto::kernel::SaName;
use racoon_proto::settings::Settings;
use racoon_proto::time::Time;

use super::Daemon;
use crate::clock;

/// Last known counters.
#[derive(Debug, Default)]
pub(super) struct TrafficCounters {
    /// Polling interval; `None` if nothing needs the counters.
    interval: Option<Duration>,
    /// Time of the next poll.
    next: Time,
    /// Bytes carried by each SA at the last poll.
    bytes: HashMap<SaName, u64>,
    /// When the byte count between two addresses last grew.
    last_growth: HashMap<(IpAddr, IpAddr), Time>,
}

impl TrafficCounters {
    /// Sets the interval: half the shortest delay between DPD probes.
    pub(super) fn configure(&mut self, settings: &Settings, now: Time) {
        let probed = settings.remotes.iter().filter_map(|(_, remote)| remote.dpd);
        let wanted = probed.filter(|dpd| dpd.delay > 0 && dpd.mode != DpdMode::Always);
        let shortest = wanted.map(|dpd| Duration::from_secs(dpd.delay.into())).min();
        self.interval = shortest.map(|delay| (delay / 2).max(Duration::from_secs(1)));
        // At once, because the new interval may be shorter than the rest of the old one.
        self.next = now;
    }

    /// Returns the time of the next poll.
    pub(super) fn due(&self) -> Option<Time> {
        self.interval.map(|_| self.next)
    }

    /// Records the result of a poll.
    fn note(&mut self, now: Time, sas: Vec<(SaName, u64)>) {
        // SAs that are gone drop out of the map.
        let before = std::mem::take(&mut self.bytes);
        for (name, bytes) in sas {
            // A new SA that has carried bytes is traffic too.
            if bytes > before.get(&name).copied().unwrap_or(0) {
                self.last_growth.insert((name.source, name.destination), now);
            }
            self.bytes.insert(name, bytes);
        }
        // An address pair without SAs is dropped only now, so that traffic on its last SA still counted above.
        let ends = self.bytes.keys().map(|name| (name.source, name.destination)).collect::<HashSet<_>>();
        self.last_growth.retain(|between, _| ends.contains(between));
        self.postpone(now);
    }

    /// Skips a failed poll. The last counters stay; without them all traffic would look new at the next poll.
    fn postpone(&mut self, now: Time) {
        self.next = now + self.interval.unwrap_or_default();
    }

    /// Returns when traffic last went either way; time 0 if never.
    fn between(&self, local: IpAddr, remote: IpAddr) -> LastTraffic {
        let last_growth = |from, to| self.last_growth.get(&(from, to)).copied().unwrap_or_default();
        LastTraffic { sent: last_growth(local, remote), received: last_growth(remote, local) }
    }
}

impl Daemon {
    /// Polls the counters and informs the engine.
    pub(super) fn update_traffic(&mut self) {
        let now = clock::now();
        match self.kernel.counters() {
            Ok(sas) => self.traffic.note(now, sas),
            Err(error) => {
                self.log.warning(format_args!("cannot read the counters of the kernel's SAs: {error}"));
                return self.traffic.postpone(now);
            }
        }
        let ends = self.engine.phase1s().map(|phase1| (phase1.local.ip(), phase1.remote.ip())).collect::<Vec<_>>();
        for (local, remote) in ends {
            let traffic = self.traffic.between(local, remote);
            let _ = self.engine.handle_control(now, Control::Traffic { local, remote, traffic });
        }
        self.process_outputs();
    }
}

#[cfg(test)]
mod tests {
    use racoon_proto::config::{Dpd, Remote};
    use racoon_proto::num::Protocol;
    use racoon_proto::select::Remotes;

    use super::*;

    fn settings(dpds: &[(u32, DpdMode)]) -> Settings {
        let remote = |(delay, mode): &(u32, DpdMode)| {
            let dpd = Dpd { delay: *delay, mode: *mode, ..Dpd::default() };
            Remote { dpd: Some(dpd), ..Remote::new("r", None) }
        };
        Settings { remotes: Remotes::new(dpds.iter().map(remote).collect()), ..Settings::default() }
    }

    #[test]
    fn polled_only_if_needed() {
        let interval = |dpds: &[(u32, DpdMode)]| {
            let mut counters = TrafficCounters::default();
            counters.configure(&settings(dpds), Time::from_secs(5));
            assert_eq!(counters.due(), counters.interval.map(|_| Time::from_secs(5)));
            counters.interval.map(|interval| interval.as_secs())
        };
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[(10, DpdMode::Always), (0, DpdMode::Traffic)]), None);
        assert_eq!(interval(&[(10, DpdMode::Always), (20, DpdMode::Traffic), (30, DpdMode::Idle)]), Some(10));
        assert_eq!(interval(&[(1, DpdMode::Idle)]), Some(1));
    }

    #[test]
    fn growth_is_traffic() {
        let (local, remote): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let sa = |source, destination, spi| SaName { protocol: Protocol::ESP, source, destination, spi };
        let (out, inward, next) = (sa(local, remote, 1), sa(remote, local, 2), sa(local, remote, 3));
        let mut counters = TrafficCounters::default();
        counters.configure(&settings(&[(20, DpdMode::Traffic)]), Time::default());
        let seen = |counters: &TrafficCounters| {
            let LastTraffic { sent, received } = counters.between(local, remote);
            (sent, received)
        };
        let at = Time::from_secs;
        counters.note(at(10), vec![(out, 100), (inward, 0)]);
        assert_eq!(seen(&counters), (at(10), at(0)));
        assert_eq!(counters.due(), Some(at(20)));
        counters.note(at(20), vec![(out, 100), (inward, 60)]);
        assert_eq!(seen(&counters), (at(10), at(20)));
        // A rekeyed SA carries traffic while the old one is still there.
        counters.note(at(30), vec![(out, 100), (next, 1), (inward, 60)]);
        assert_eq!(seen(&counters), (at(30), at(20)));
        counters.postpone(at(40));
        assert_eq!((seen(&counters), counters.due()), ((at(30), at(20)), Some(at(50))));
        counters.note(at(50), vec![(out, 100), (next, 1), (inward, 60)]);
        assert_eq!(seen(&counters), (at(30), at(20)));
        counters.note(at(60), vec![]);
        assert_eq!(seen(&counters), (at(0), at(0)));
    }
}
