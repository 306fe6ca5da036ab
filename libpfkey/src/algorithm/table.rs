//! The form of a table: an enum of which each variant has a row.

/// Defines an open enum with the row of each variant.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident: $row:ident { $($(#[$vdoc:meta])* $variant:ident => $value:expr,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A number without a meaning in its dialect.
            Other(u8),
        }

        impl $name {
            /// All algorithms, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its row in the table.
            pub(in crate::algorithm) const fn row(self) -> Option<&'static $row> {
                match self {
                    $(Self::$variant => {
                        // A constant, so that the row is in read-only memory and nothing is built at run time.
                        const ROW: $row = $value;
                        Some(&ROW)
                    })+
                    Self::Other(_) => None,
                }
            }

            /// What dumps call it; `None` for numbers without a name.
            pub const fn name(self) -> Option<&'static str> {
                match self.row() {
                    Some(row) => Some(row.name),
                    None => None,
                }
            }

            /// Its PF_KEY columns in a dialect.
            const fn pf_key(self, dialect: Dialect) -> Option<&'static PfKey> {
                match self.row() {
                    Some(row) => Some(row.pf_key.of(dialect)),
                    None => None,
                }
            }

            /// Its number in a dialect; `None` when the dialect has no such algorithm.
            pub const fn number(self, dialect: Dialect) -> Option<u8> {
                match (self, self.pf_key(dialect)) {
                    (Self::Other(number), _) => Some(number),
                    (_, Some(pf_key)) => pf_key.number,
                    (_, None) => None,
                }
            }

            /// The algorithm of a number in a dialect.
            pub fn from_number(dialect: Dialect, number: u8) -> Self {
                // A few dozen comparisons: an index of the numbers would not pay.
                let of_number = |algorithm: &Self| algorithm.number(dialect) == Some(number);
                Self::ALL.iter().copied().find(of_number).unwrap_or(Self::Other(number))
            }

            /// The numbers of a dialect, with the names of their constants in the system's header: empty where it has none.
            pub fn constants(dialect: Dialect) -> impl Iterator<Item = (u8, Self, &'static str)> {
                Self::ALL.iter().filter_map(move |algorithm| {
                    let pf_key = algorithm.pf_key(dialect)?;
                    Some((pf_key.number?, *algorithm, pf_key.constant))
                })
            }

            /// Its name in Linux; `None` where Linux has none.
            pub const fn crypto_api(self) -> Option<&'static CryptoApi> {
                match self.row() {
                    Some(row) => row.linux.as_ref(),
                    None => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            /// Its name in dumps, or its number.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match (self, self.name()) {
                    (Self::Other(number), _) => write!(f, "{number}"),
                    (_, name) => f.write_str(name.unwrap_or_default()),
                }
            }
        }
    };
}

/// Defines functions that return a column of the table, or a default for a number without a meaning.
macro_rules! columns {
    ($name:ident { $($(#[$doc:meta])* $visibility:vis $function:ident: $type:ty = $column:ident or $default:expr;)+ }) => {
        impl $name {
            $($(#[$doc])*
            $visibility const fn $function(self) -> $type {
                match self.row() {
                    Some(row) => row.$column,
                    None => $default,
                }
            })+
        }
    };
}

pub(super) use {columns, table};
