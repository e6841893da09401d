//! What the reference of features says beside name, type and unit, and the notation of its formulas.

use std::fmt;

use super::Unit;
use crate::columns::Dtype;

/// The null rule of a feature that every flow has.
pub const NEVER: &str = "never";

/// The words of formulas, each with what it stands for.
pub const NOTATION: &[(&str, &str)] = &[
    ("fwd, bwd, all", "packets of the initiator, of the responder, of both"),
    ("len, payload, t", "IP length, length of the upper-layer payload, and time of a packet, as on the wire"),
    ("count, sum, min, max, mean", "over what follows in brackets; count(SYN) is the number of packets with SYN"),
    ("std, variance", "of the population: squares are divided by n"),
    ("p25, median", "quantiles with linear interpolation between the two nearest ranks: rank (n - 1) q"),
    ("gaps(x)", "differences of time between consecutive packets of x, in the order of time"),
    ("bursts", "runs of packets whose gaps are below burst_threshold_ms; idle are the gaps that are not"),
    ("first, last", "in the order of the capture, but for what is said to be in time"),
    ("unique(x)", "number of different values of x"),
    ("bits(a, b, c)", "1 if a, + 2 if b, + 4 if c, and so on"),
    ("a ? b : c", "b where a holds, else c"),
    ("a, else b", "b where a has no value"),
    ("H.f", "field f of the header or message H, named as in its RFC; CH is the ClientHello, SH the ServerHello"),
    ("SYN(fwd)", "first segment with SYN of the initiator"),
];

/// How the value of a feature is made, by whose definition, when it is null, what it may be, and since when. What is not said is
/// that of the group, or of the type and unit.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    pub(super) formula: &'static str,
    pub(super) source: Option<&'static str>,
    pub(super) null: Option<&'static str>,
    pub(super) range: Option<Range>,
    pub(super) since: Option<&'static str>,
}

/// How a value is made, in the words of [`NOTATION`].
pub const fn formula(formula: &'static str) -> Reference {
    Reference { formula, source: None, null: None, range: None, since: None }
}

impl Reference {
    /// Who defines it: RFC, registry or paper.
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    /// When it is null.
    pub const fn null(mut self, when: &'static str) -> Self {
        self.null = Some(when);
        self
    }

    /// The version that it came with.
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    /// Numbers from one to another, both included.
    pub const fn range(self, least: i64, most: i64) -> Self {
        self.within(Range::Between(least, most))
    }

    /// Any number from one on.
    pub const fn from(self, least: i64) -> Self {
        self.within(Range::From(least))
    }

    /// Any number.
    pub const fn any(self) -> Self {
        self.within(Range::Any)
    }

    /// One of some texts.
    pub const fn one_of(self, texts: &'static [&'static str]) -> Self {
        self.within(Range::OneOf(texts))
    }

    /// Hexadecimal digits, so many.
    pub const fn hex(self, digits: usize) -> Self {
        self.within(Range::Hex(digits))
    }

    /// Text of this kind.
    pub const fn text(self, kind: &'static str) -> Self {
        self.within(Range::Text(kind))
    }

    const fn within(mut self, range: Range) -> Self {
        self.range = Some(range);
        self
    }
}

/// What values of a column may be; of a list, what its elements may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Any number.
    Any,
    /// Numbers from this on.
    From(i64),
    /// Numbers from one to another, both included.
    Between(i64, i64),
    /// False and true.
    Truth,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// So many hexadecimal digits, lower case.
    Hex(usize),
    /// Text of this kind.
    Text(&'static str),
}

impl Range {
    /// What a column of this type and unit may hold where nothing else is said.
    pub(super) const fn of(dtype: Dtype, unit: Unit) -> Self {
        match (dtype, unit) {
            (Dtype::Bool, _) => Self::Truth,
            (Dtype::Str | Dtype::ListStr, _) => Self::Text("text"),
            (Dtype::TimestampNs, _) => Self::Any,
            (_, Unit::Ratio) => Self::Between(0, 1),
            (_, Unit::None) => Self::Any,
            _ => Self::From(0),
        }
    }

    /// Whether a value, or an element of a list, may be in the column.
    pub fn holds(self, value: &str) -> bool {
        let number = |within: &dyn Fn(f64) -> bool| value.parse().is_ok_and(within);
        match self {
            Self::Any => number(&|_| true),
            Self::From(least) => number(&|n| n >= least as f64),
            Self::Between(least, most) => number(&|n| n >= least as f64 && n <= most as f64),
            Self::Truth => matches!(value, "false" | "true"),
            Self::OneOf(texts) => texts.contains(&value),
            Self::Hex(digits) => value.len() == digits && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            Self::Text(_) => true,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::From(least) => write!(f, "from {least}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::Truth => f.write_str("false, true"),
            Self::OneOf(texts) => f.write_str(&texts.join(", ")),
            Self::Hex(digits) => write!(f, "{digits} hexadecimal digits"),
            Self::Text(kind) => f.write_str(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        assert!(Range::Between(-1, 1).holds("-0.5") && !Range::Between(-1, 1).holds("1.01"));
        assert!(Range::From(0).holds("0") && !Range::From(0).holds("-1") && !Range::Any.holds("x"));
        assert!(Range::Hex(4).holds("09af") && !Range::Hex(4).holds("09AF") && !Range::Hex(4).holds("09a"));
        assert!(Range::OneOf(&["fin"]).holds("fin") && !Range::OneOf(&["fin"]).holds("rst"));
        assert!(Range::Truth.holds("true") && !Range::Truth.holds("1"));
        assert_eq!(Range::Between(0, 255).to_string(), "0 to 255");
    }
}
