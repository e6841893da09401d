//! Types of keys: their words in a reference page, and the types that a configuration file writes as text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Type of a key in the words of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Bool,
    Number,
    Whole,
    Text,
    Names,
    /// Bytes, as a number or with a unit.
    Size,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Number => "number",
            Self::Whole => "whole number",
            Self::Text => "text",
            Self::Names => "list of names",
            Self::Size => "bytes, or a size such as 2GB",
            Self::OneOf(names) => {
                return match names.split_last() {
                    Some((last, [])) => f.write_str(last),
                    Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
                    None => Ok(()),
                };
            }
        })
    }
}

/// A type that a key may have.
pub(super) trait Value {
    const KIND: Kind;

    /// The value as an error shows it.
    fn text(&self) -> String;
}

macro_rules! values {
    ($($type:ty: $kind:ident,)+) => {
        $(impl Value for $type {
            const KIND: Kind = Kind::$kind;
            fn text(&self) -> String {
                self.to_string()
            }
        })+
    };
}

values! { bool: Bool, f64: Number, u32: Whole, u64: Whole, String: Text, ByteSize: Size, }

impl Value for Vec<String> {
    const KIND: Kind = Kind::Names;
    fn text(&self) -> String {
        self.join(", ")
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Value::text)
    }
}

/// An enumeration whose variants have names in files and on the command line. `null` may be such a name, although YAML and
/// JSON have it for nothing.
macro_rules! choices {
    ($($(#[$doc:meta])* $type:ident { $($(#[$of:meta])* $variant:ident = $name:literal,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub enum $type {
                $($(#[$of])* $variant,)+
            }

            impl $type {
                /// The names.
                pub const NAMES: &'static [&'static str] = &[$($name),+];

                /// The name.
                pub const fn name(self) -> &'static str {
                    match self {
                        $(Self::$variant => $name,)+
                    }
                }
            }

            impl FromStr for $type {
                type Err = String;

                fn from_str(text: &str) -> Result<Self, String> {
                    match text {
                        $($name => Ok(Self::$variant),)+
                        _ => Err(format!("'{text}' is none of {}", Self::NAMES.join(", "))),
                    }
                }
            }

            impl Value for $type {
                const KIND: Kind = Kind::OneOf(Self::NAMES);
                fn text(&self) -> String {
                    self.name().to_owned()
                }
            }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    s.serialize_str(self.name())
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    let text = Option::<String>::deserialize(d)?.unwrap_or_else(|| "null".to_owned());
                    text.parse().map_err(|_| serde::de::Error::unknown_variant(&text, Self::NAMES))
                }
            }
        )+
    };
}

choices! {
    /// Which flow goes when the table is full.
    Eviction {
        /// The one whose last packet is the longest ago.
        #[default]
        Lru = "lru",
        /// The one that began first.
        Oldest = "oldest",
    }

    /// What stands for a value that is not known.
    Missing {
        /// Null: an empty CSV field, JSON null, an Arrow null.
        #[default]
        Null = "null",
        /// 0, false or the empty string, as older versions wrote it.
        Zero = "zero",
    }

    /// How communities of the connection graph are found.
    Community {
        /// By the Louvain method.
        #[default]
        Louvain = "louvain",
        /// By greedy modularity (Clauset, Newman, Moore).
        Greedy = "greedy",
        /// By label propagation.
        LabelPropagation = "label_propagation",
    }
}

/// A number of bytes: in a file a whole number, or text with a unit (`2GB`, `512 MiB`, `1.5g`; GB are powers of 1000,
/// GiB of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no size: write bytes, or a number with k, M, G or T, such as 2GB or 512MiB");
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim_start().to_ascii_lowercase();
        let (unit, base) = match unit.strip_suffix("ib") {
            Some(prefix) => (prefix, 1024_f64),
            None => (unit.strip_suffix('b').unwrap_or(&unit), 1000.0),
        };
        let power = match unit {
            "" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            _ => return Err(wrong()),
        };
        // A plain number in full, as doubles have 53 bits.
        if power == 0
            && let Ok(bytes) = number.parse()
        {
            return Ok(Self(bytes));
        }
        let bytes = number.parse::<f64>().map_err(|_| wrong())? * base.powi(power);
        // The cast of a number beyond u64 gives the largest.
        if bytes.is_finite() { Ok(Self(bytes.round() as u64)) } else { Err(wrong()) }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a size such as 2GB")
            }
            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_text() {
        for (text, bytes) in [
            ("0", 0),
            ("18446744073709551615", u64::MAX),
            ("2GB", 2_000_000_000),
            ("512 MiB", 512 << 20),
            ("1.5g", 1_500_000_000),
            ("10kB", 10_000),
            ("1KiB", 1024),
            ("3b", 3),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "GB", "-1", "2XB", "1..2G", "nanG", "2 G B"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        let json = |text| serde_json::from_str::<ByteSize>(text).ok();
        assert_eq!(
            [json("5"), json("\"5k\""), json("-5"), json("true")],
            [Some(ByteSize(5)), Some(ByteSize(5000)), None, None]
        );
        assert_eq!(serde_json::to_string(&ByteSize(5)).unwrap(), "5");
    }

    #[test]
    fn choices_go_by_their_names() {
        let json = |text| serde_json::from_str::<Missing>(text).map_err(|e| e.to_string());
        assert_eq!(
            [json("null"), json("\"null\""), json("\"zero\"")],
            [Ok(Missing::Null), Ok(Missing::Null), Ok(Missing::Zero)]
        );
        assert!(json("\"none\"").unwrap_err().starts_with("unknown variant `none`, expected `null` or `zero`"));
        assert!(serde_json::from_str::<Eviction>("null").is_err());
        assert_eq!(Community::LabelPropagation.name().parse(), Ok(Community::LabelPropagation));
        assert_eq!(Community::KIND.to_string(), "louvain, greedy or label_propagation");
    }
}
