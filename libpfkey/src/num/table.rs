//! The form of the tables: a list of numbers for each enum and dialect.

use super::{ExtensionType, MessageType, SaType, darwin, freebsd, linux, netbsd};
use crate::dialect::Dialect;

/// One row of a table: number, meaning, and the constant's name in the system's header (empty where it has none).
#[derive(Clone, Copy, Debug)]
pub struct NumberRow<T>(pub u8, pub T, pub &'static str);

/// The tables of one dialect.
#[derive(Debug)]
pub struct Tables {
    /// `sadb_msg_type`
    pub messages: &'static [NumberRow<MessageType>],
    /// `sadb_ext_type`
    pub extensions: &'static [NumberRow<ExtensionType>],
    /// `sadb_msg_satype`
    pub sa_types: &'static [NumberRow<SaType>],
}

impl Tables {
    /// The tables of a dialect.
    pub const fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Darwin => &darwin::TABLES,
            Dialect::FreeBsd => &freebsd::TABLES,
            Dialect::Linux => &linux::TABLES,
            Dialect::NetBsd => &netbsd::TABLES,
        }
    }
}

/// Defines an open enum over one table.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident($int:ty), $field:ident: $($(#[$vdoc:meta])* $variant:ident),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A number without a meaning in its dialect.
            Other($int),
        }

        impl $name {
            /// The meaning of a number in a dialect.
            pub fn from_number(dialect: Dialect, number: $int) -> Self {
                // Not by index: the tables have gaps, and a kernel may send any number.
                Tables::of(dialect).$field.iter().find(|row| <$int>::from(row.0) == number).map_or(Self::Other(number), |row| row.1)
            }

            /// The meaning as a word, for error texts.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                    Self::Other(_) => "such number",
                }
            }

            /// The number of a meaning in a dialect; `None` when the dialect has no such thing.
            pub fn number(self, dialect: Dialect) -> Option<$int> {
                match self {
                    Self::Other(number) => Some(number),
                    _ => Tables::of(dialect).$field.iter().find(|row| row.1 == self).map(|row| row.0.into()),
                }
            }
        }
    };
}

pub(super) use numbered;

#[cfg(test)]
mod tests {
    use super::*;

    fn unique<T: Copy + PartialEq + std::fmt::Debug>(rows: &[NumberRow<T>]) {
        for (i, row) in rows.iter().enumerate() {
            assert!(rows[..i].iter().all(|other| other.0 < row.0 && other.1 != row.1), "{row:?}");
        }
    }

    #[test]
    fn tables_are_sorted_and_one_to_one() {
        for dialect in Dialect::ALL {
            let tables = Tables::of(dialect);
            unique(tables.messages);
            unique(tables.extensions);
            unique(tables.sa_types);
        }
    }

    #[test]
    fn one_number_many_meanings() {
        let of = |dialect| ExtensionType::from_number(dialect, 24);
        assert_eq!(of(Dialect::Linux), ExtensionType::SecurityContext);
        assert_eq!(of(Dialect::FreeBsd), ExtensionType::NatTOaResponder);
        assert_eq!(of(Dialect::Darwin), ExtensionType::RangeSrcEnd);
        assert_eq!(ExtensionType::from_number(Dialect::NetBsd, 26), ExtensionType::Other(26));
        assert_eq!(MessageType::Migrate.number(Dialect::Darwin), Some(26));
        assert_eq!(MessageType::Migrate.number(Dialect::FreeBsd), None);
    }
}
