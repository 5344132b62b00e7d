//! What a section is to the code that prints it: its comments and its keys in order.

/// A struct of the configuration with its documentation.
pub trait Section {
    /// Lines about the section.
    const ABOUT: &'static [&'static str];
    /// Its plain keys in order, each with its lines.
    const KEYS: &'static [(&'static str, &'static [&'static str])];
}

/// Declares a section: the doc comments become the comments of the example, the values the defaults.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $key:ident: $type:ty = $default:expr, )+
        }
        $( with { $( $(#[doc = $part_doc:literal])+ pub $part:ident: $part_type:ty, )+ } )?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $key: $type, )+
            $($( $(#[doc = $part_doc])+ pub $part: $part_type, )+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $key: $default, )+
                    $($( $part: <$part_type>::default(), )+)?
                }
            }
        }

        impl crate::config::Section for $name {
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const KEYS: &'static [(&'static str, &'static [&'static str])] =
                &[$( (stringify!($key), &[$($doc),+]) ),+];
        }
    };
}
pub(crate) use section;
