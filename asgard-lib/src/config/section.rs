//! The macros that declare settings. A declaration is a field with its doc comment, its type, its default and where it is
//! set; the struct, its `Default`, its reading and its line in the reference all come from that one place.

use super::reader::Reader;

/// A group of settings that are read together.
pub(crate) trait Section: Default {
    /// Reads every setting; problems go to the reader, and the default stands in until the reader reports them.
    fn read(reader: &mut Reader<'_>) -> Self;
}

macro_rules! section {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident : $type:ty = $default:expr, $spec:expr; )*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::section::Section for $name {
            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Self {
                // No field is read here, so that the compiler tells of one that the checked configuration leaves out.
                Self { $( $field: reader.setting::<$type>(const { $spec.meaning(concat!($($doc),+)) }, $default), )* }
            }
        }
    };
}

/// Declares one entry of a list of settings: `groups[]`, `provisioning.allowed[]`. Paths are relative to the entry.
macro_rules! entry {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident : $type:ty, $spec:expr; )*
    }, $allowed:literal, $short:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $crate::config::value::Value for $name {
            fn allowed(_: &$crate::config::spec::Spec) -> String {
                $allowed.to_owned()
            }

            fn parse(text: &str, _: &$crate::config::spec::Spec) -> Result<Self, $crate::config::value::Refusal> {
                $short(text)
            }

            fn format(&self) -> String {
                let parts = [$(format!("{}: {}", stringify!($field), $crate::config::value::Value::format(&self.$field))),*];
                format!("{{ {} }}", parts.join(", "))
            }

            fn parts() -> Vec<$crate::config::setting::Setting> {
                vec![$($crate::config::setting::Setting::part::<$type>(const { $spec.meaning(concat!($($doc),+)) })),*]
            }

            fn from_node(
                node: &$crate::config::yaml::Node,
                name: &str,
                spec: &$crate::config::spec::Spec,
                problems: &mut $crate::config::problems::Finder<'_>,
            ) -> Option<Self> {
                let map = match $crate::config::value::Entries::open(node, name, &[$(stringify!($field)),*], problems) {
                    Some(map) => map,
                    None => return $crate::config::value::scalar(node, name, spec, problems),
                };
                $( let $field = map.field::<$type>(stringify!($field), &const { $spec }, problems); )*
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
}

pub(crate) use {entry, section};
