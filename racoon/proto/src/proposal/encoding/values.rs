//! The values of one transform's attributes. Each may occur once, lifetimes once for each unit.

use super::{AttributeName, SkipReason};
use crate::num::{DEFAULT_LIFETIME, LifeType};
use crate::wire::{Attribute, AttributeValue};

/// The attributes of a phase, with their numbers.
pub(super) struct Layout {
    /// Returns the name of an attribute.
    pub(super) name: fn(u16) -> AttributeName,
    /// Life Type.
    pub(super) life_type: u16,
    /// Life Duration.
    pub(super) life_duration: u16,
    /// The supported attributes with short values, except Life Type.
    pub(super) short: &'static [u16],
}

impl Layout {
    /// Encodes a lifetime as its two attributes.
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
    /// Reads `attributes`. A duration of more than 32 bits counts as the longest of 32 bits.
    ///
    /// # Errors
    /// If an attribute is unknown, repeated, or in the wrong form; if a Life Type has an unknown unit or is not followed by a Life
    /// Duration; if a Life Duration does not follow a Life Type, or is 0 seconds.
    pub(super) fn read(layout: &'static Layout, attributes: &[Attribute]) -> Result<Self, SkipReason> {
        let mut values = Self { layout, short: Vec::new(), seconds: None, kilobytes: None };
        // A Life Type applies to the Life Duration that follows it (RFC 2407 section 4.5).
        let mut unit = None;
        for attribute in attributes {
            let kind = attribute.kind;
            if kind == layout.life_duration {
                // Only lifetimes may occur twice, once in each unit (RFC 2407 section 4.5.2).
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
            // 0 KB means no limit. 0 seconds would end the SA at once.
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

    /// Returns a short value, if it is present.
    pub(super) fn short(&self, kind: u16) -> Option<u16> {
        self.short.iter().find(|(other, _)| *other == kind).map(|(_, value)| *value)
    }

    /// Returns a short value.
    ///
    /// # Errors
    /// If it is missing.
    pub(super) fn required(&self, kind: u16) -> Result<u16, SkipReason> {
        self.short(kind).ok_or(SkipReason::Missing((self.layout.name)(kind)))
    }

    /// Returns the lifetime in seconds, or the default of RFC 2407.
    pub(super) fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(DEFAULT_LIFETIME)
    }

    /// Returns the lifetime in kilobytes. A proposed 0 means no limit.
    pub(super) fn kilobytes(&self) -> Option<u32> {
        self.kilobytes.filter(|limit| *limit > 0)
    }

    /// The reason for a value that the attribute cannot have.
    pub(super) fn value(&self, kind: u16, value: u16) -> SkipReason {
        SkipReason::Value { attribute: (self.layout.name)(kind), value: value.into() }
    }
}

/// Returns the value of an attribute that must be in short form.
fn short(layout: &Layout, attribute: &Attribute) -> Result<u16, SkipReason> {
    match attribute.value {
        AttributeValue::Short(value) => Ok(value),
        AttributeValue::Long(_) => Err(SkipReason::LongForm((layout.name)(attribute.kind))),
    }
}
