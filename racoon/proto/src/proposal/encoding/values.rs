//! The attributes of one transform as values: each at most once, in its form, lifetimes by their unit.

use super::{AttributeName, SkipReason};
use crate::num::{DEFAULT_LIFETIME, LifeType};
use crate::wire::{Attribute, AttributeValue};

/// Which attributes a phase has, and how it numbers them.
pub(super) struct Layout {
    /// The name of an attribute.
    pub(super) name: fn(u16) -> AttributeName,
    /// Life Type.
    pub(super) life_type: u16,
    /// Life Duration.
    pub(super) life_duration: u16,
    /// The attributes with short values that are understood, Life Type aside.
    pub(super) short: &'static [u16],
}

impl Layout {
    /// A lifetime as its two attributes.
    pub(super) fn lifetime(&self, unit: LifeType, duration: u32) -> [Attribute; 2] {
        [Attribute::short(self.life_type, unit.0), Attribute::number(self.life_duration, duration)]
    }
}

/// The values of a transform.
pub(super) struct Values {
    layout: &'static Layout,
    short: Vec<(u16, u16)>,
    seconds: Option<u32>,
    kilobytes: Option<u32>,
}

impl Values {
    /// Reads `attributes`. A duration that needs more than 32 bits is the longest that does not.
    ///
    /// # Errors
    /// The first attribute that is unknown, doubled, or in the wrong form; a Life Type without a Life Duration behind
    /// it, or the other way round, or with an unknown unit; a lifetime of no second.
    pub(super) fn read(layout: &'static Layout, attributes: &[Attribute]) -> Result<Self, SkipReason> {
        let mut values = Self { layout, short: Vec::new(), seconds: None, kilobytes: None };
        let mut unit = None;
        for attribute in attributes {
            let kind = attribute.kind;
            if kind == layout.life_duration {
                values.add_lifetime(unit.take(), &attribute.value)?;
            } else if kind == layout.life_type {
                if unit.replace(LifeType(short(layout, attribute)?)).is_some() {
                    return Err(SkipReason::Missing((layout.name)(layout.life_duration)));
                }
            } else if !layout.short.contains(&kind) {
                return Err(SkipReason::Unsupported((layout.name)(kind)));
            } else if values.short(kind).is_some() {
                return Err(SkipReason::Doubled((layout.name)(kind)));
            } else {
                values.short.push((kind, short(layout, attribute)?));
            }
        }
        match unit {
            Some(_) => Err(SkipReason::Missing((layout.name)(layout.life_duration))),
            None => Ok(values),
        }
    }

    fn add_lifetime(&mut self, unit: Option<LifeType>, duration: &AttributeValue) -> Result<(), SkipReason> {
        let name = self.layout.name;
        let unit = unit.ok_or(SkipReason::Missing(name(self.layout.life_type)))?;
        let duration = duration.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX);
        let limit = match unit {
            LifeType::SECONDS if duration == 0 => return Err(self.value(self.layout.life_duration, 0)),
            LifeType::SECONDS => &mut self.seconds,
            LifeType::KILOBYTES => &mut self.kilobytes,
            other => return Err(self.value(self.layout.life_type, other.0)),
        };
        match limit.replace(duration) {
            Some(_) => Err(SkipReason::Doubled(name(self.layout.life_duration))),
            None => Ok(()),
        }
    }

    /// A short value.
    pub(super) fn short(&self, kind: u16) -> Option<u16> {
        self.short.iter().find(|(other, _)| *other == kind).map(|(_, value)| *value)
    }

    /// A short value that has to be there.
    ///
    /// # Errors
    /// It is missing.
    pub(super) fn required(&self, kind: u16) -> Result<u16, SkipReason> {
        self.short(kind).ok_or(SkipReason::Missing((self.layout.name)(kind)))
    }

    /// The lifetime in seconds.
    pub(super) fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(DEFAULT_LIFETIME)
    }

    /// The lifetime in kilobytes; 0 is no limit.
    pub(super) fn kilobytes(&self) -> Option<u32> {
        self.kilobytes.filter(|limit| *limit > 0)
    }

    /// That an attribute cannot have this value.
    pub(super) fn value(&self, kind: u16, value: u16) -> SkipReason {
        SkipReason::Value { attribute: (self.layout.name)(kind), value: value.into() }
    }
}

/// The value of an attribute that is always short.
fn short(layout: &Layout, attribute: &Attribute) -> Result<u16, SkipReason> {
    match attribute.value {
        AttributeValue::Short(value) => Ok(value),
        AttributeValue::Long(_) => Err(SkipReason::LongForm((layout.name)(attribute.kind))),
    }
}
