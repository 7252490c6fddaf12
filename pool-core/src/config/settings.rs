//! The list of all settings, made from the definition of [`PoolConfig`].
//!
//! Who reads or writes a setting by its name (environment, URL, file, the page
//! `docs/settings.md`) goes through [`SETTINGS`], so none of them can miss one.

use super::PoolConfig;
use super::value::Shown;

/// One setting, and what can be done with it without knowing its type.
pub(super) struct Setting {
    /// Its name in code and files.
    pub(super) name: &'static str,
    /// What other pools call it: not accepted, but answered with our name.
    pub(super) elsewhere: &'static [&'static str],
    /// Sets it to what a text says, or returns which texts can be read.
    pub(super) read: fn(&mut PoolConfig, &str) -> Result<(), &'static str>,
    /// Its value.
    pub(super) show: fn(&PoolConfig) -> Shown,
    /// Brings its value into the usual form.
    pub(super) normalise: fn(&mut PoolConfig),
    /// The rule of its type that it breaks.
    pub(super) broken_rule: fn(&PoolConfig) -> Option<String>,
    /// Its row in the page of settings.
    #[cfg(test)]
    pub(super) row: Row,
}

/// What the page of settings says of one.
#[cfg(test)]
pub(super) struct Row {
    pub(super) variable: &'static str,
    pub(super) meaning: &'static str,
    pub(super) default: &'static str,
    pub(super) unit: &'static str,
    pub(super) rule: &'static str,
}

/// Defines the config struct, its default, and `SETTINGS`, all from one list.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $config:ident {
            $(
                #[doc = $meaning:literal]
                $(#[doc = $more:literal])*
                $name:ident: $kind:ty = $value:expr => {
                    variable: $variable:literal,
                    default: $default:literal,
                    unit: $unit:literal,
                    rule: $rule:literal,
                    elsewhere: [$($elsewhere:literal),*],
                }
            )+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $config {
            $(
                #[doc = $meaning]
                $(#[doc = $more])*
                #[doc = ""]
                #[doc = concat!(
                    "Default: `", $default, "`. Unit: ", $unit, ". Rule: ", $rule,
                    ". Environment: `", $variable, "`."
                )]
                $(#[doc(alias = $elsewhere)])*
                pub $name: $kind,
            )+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($name: $value),+ }
            }
        }

        /// The names of all settings.
        #[cfg(feature = "serde")]
        const FIELDS: &[&str] = &[$(stringify!($name)),+];

        /// Every setting, in the order of the fields.
        const SETTINGS: &[$crate::config::settings::Setting] = &[$(
            $crate::config::settings::Setting {
                name: stringify!($name),
                elsewhere: &[$($elsewhere),*],
                read: |config, text| {
                    use $crate::config::value::Value;
                    config.$name = Value::read(text).ok_or(<$kind as Value>::FORM)?;
                    Ok(())
                },
                show: |config| $crate::config::value::Value::show(&config.$name),
                normalise: |config| $crate::config::value::Value::normalise(&mut config.$name),
                broken_rule: |config| $crate::config::value::Value::broken_rule(&config.$name),
                #[cfg(test)]
                row: $crate::config::settings::Row {
                    variable: $variable,
                    meaning: $meaning,
                    default: $default,
                    unit: $unit,
                    rule: $rule,
                },
            }
        ),+];
    };
}
pub(super) use settings;
