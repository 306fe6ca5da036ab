//! RESPONDER-LIFETIME, by which a responder notifies the initiator of its shorter lifetime (RFC 2407 section 4.6.3.1).

use crate::config::CheckLevel;
use crate::num::{Doi, LifeType, NotifyType, Phase2Attribute, Protocol};
use crate::proposal::{Phase2Terms, heed_responder_lifetime};
use crate::wire::{Attribute, Notify};

/// Makes the notify with the lifetimes of a responder. `spi` is the responder's, of `protocol`.
pub(crate) fn responder_lifetime(terms: &Phase2Terms, protocol: Protocol, spi: u32) -> Notify {
    let lifetime = |unit: LifeType, duration| {
        [
            Attribute::short(Phase2Attribute::LIFE_TYPE.0, unit.0),
            Attribute::number(Phase2Attribute::LIFE_DURATION.0, duration),
        ]
    };
    let seconds = lifetime(LifeType::SECONDS, terms.lifetime);
    let kilobytes = terms.kilobytes.map(|limit| lifetime(LifeType::KILOBYTES, limit));
    let attributes = seconds.into_iter().chain(kilobytes.into_iter().flatten()).collect::<Vec<_>>();
    Notify {
        doi: Doi::IPSEC,
        protocol,
        spi: spi_bytes(protocol, spi),
        kind: NotifyType::RESPONDER_LIFETIME,
        data: Attribute::encode_list(&attributes),
    }
}

/// Applies the lifetimes of a responder's notify to `terms` as far as the level allows. `own` are the terms of the sainfo. Returns
/// false if a lifetime is not allowed and is ignored.
pub(crate) fn apply_responder_lifetime(
    level: CheckLevel,
    own: &Phase2Terms,
    agreed: &mut Phase2Terms,
    notify: &Notify,
) -> bool {
    let (seconds, kilobytes) = lifetimes(&notify.data);
    let own_kilobytes = own.kilobytes.unwrap_or(u32::MAX);
    let heeded_seconds = seconds.and_then(|seconds| heed_responder_lifetime(level, own.lifetime, seconds));
    let heeded_kilobytes = kilobytes.and_then(|limit| heed_responder_lifetime(level, own_kilobytes, limit));
    agreed.lifetime = heeded_seconds.unwrap_or(agreed.lifetime);
    agreed.kilobytes = heeded_kilobytes.or(agreed.kilobytes);
    heeded_seconds == seconds && heeded_kilobytes == kilobytes
}

/// The bytes of an SPI in notifies and deletes: 2 for the CPI of IPComp, otherwise 4.
pub(crate) fn spi_bytes(protocol: Protocol, spi: u32) -> Vec<u8> {
    match (protocol, u16::try_from(spi)) {
        (Protocol::IPCOMP, Ok(cpi)) => cpi.to_be_bytes().to_vec(),
        _ => spi.to_be_bytes().to_vec(),
    }
}

/// The lifetimes in seconds and kilobytes. A lifetime of 0 is ignored.
fn lifetimes(data: &[u8]) -> (Option<u32>, Option<u32>) {
    let (mut seconds, mut kilobytes, mut unit) = (None, None, None);
    for Attribute { kind, value } in Attribute::parse_list(data).unwrap_or_default() {
        let number = value.as_u64();
        match (Phase2Attribute(kind), unit) {
            // An attribute of type LIFE_TYPE gives the unit of the durations that follow (RFC 2407 section 4.5).
            (Phase2Attribute::LIFE_TYPE, _) => unit = number.and_then(|unit| u16::try_from(unit).ok()).map(LifeType),
            (Phase2Attribute::LIFE_DURATION, Some(LifeType::SECONDS)) => seconds = number,
            (Phase2Attribute::LIFE_DURATION, Some(LifeType::KILOBYTES)) => kilobytes = number,
            _ => {}
        }
    }
    let usable = |limit: u64| (limit != 0).then(|| u32::try_from(limit).unwrap_or(u32::MAX));
    (seconds.and_then(usable), kilobytes.and_then(usable))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Phase2Terms = Phase2Terms { lifetime: 3600, kilobytes: None, group: None };

    fn heeded(level: CheckLevel, notify: &Notify) -> (u32, Option<u32>) {
        let mut agreed = OWN;
        let whole = apply_responder_lifetime(level, &OWN, &mut agreed, notify);
        assert_eq!(whole, agreed != OWN || lifetimes(&notify.data) == (None, None));
        (agreed.lifetime, agreed.kilobytes)
    }

    #[test]
    fn golden_bytes() {
        let notify = responder_lifetime(
            &Phase2Terms { lifetime: 600, kilobytes: Some(70_000), group: None },
            Protocol::ESP,
            0x1234,
        );
        assert_eq!(notify.spi, [0, 0, 0x12, 0x34]);
        let kilobytes = [0x80, 1, 0, 2, 0, 2, 0, 4, 0, 1, 0x11, 0x70];
        assert_eq!(notify.data, [&[0x80, 1, 0, 1, 0x80, 2, 0x02, 0x58], kilobytes.as_slice()].concat());
        assert_eq!(spi_bytes(Protocol::IPCOMP, 0x1234), [0x12, 0x34]);
    }

    #[test]
    fn the_level_says_what_is_heeded() {
        let shorter =
            responder_lifetime(&Phase2Terms { lifetime: 600, kilobytes: Some(9), group: None }, Protocol::ESP, 1);
        let longer =
            responder_lifetime(&Phase2Terms { lifetime: 7200, kilobytes: None, group: None }, Protocol::ESP, 1);
        assert_eq!(heeded(CheckLevel::Obey, &longer), (7200, None));
        assert_eq!(heeded(CheckLevel::Strict, &longer), (3600, None));
        assert_eq!(heeded(CheckLevel::Strict, &shorter), (600, Some(9)));
        assert_eq!(heeded(CheckLevel::Claim, &shorter), (600, Some(9)));
        assert_eq!(heeded(CheckLevel::Exact, &shorter), (3600, None));
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        for data in
            [&[][..], &[0x80, 1, 0, 1], &[0x80, 2, 0, 9], &[0x80, 1, 0, 1, 0x80, 2, 0, 0], &[0, 2, 0, 9, 1], &[1]]
        {
            let notify = Notify { data: data.to_vec(), ..responder_lifetime(&OWN, Protocol::ESP, 1) };
            assert_eq!(heeded(CheckLevel::Obey, &notify), (3600, None), "{data:?}");
        }
    }
}
