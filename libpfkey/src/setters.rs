//! Setters of builders.

/// Defines methods of a builder that set one part of its specification and return the builder.
macro_rules! setters {
    ($builder:ident { $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),+) => $($part:ident).+ = $value:expr;)+ }) => {
        impl $builder {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $($argument: $type),+) -> Self {
                self.0.$($part).+ = $value;
                self
            })+
        }
    };
}

pub(crate) use setters;
