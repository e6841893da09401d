//! How the value of a column is had from a view of a flow.

use super::Dtype;

/// What the features of a group see of a flow: computed once for each flow, then read column by column.
///
/// A view may borrow from the flow. A table cannot name a lifetime that it does not know yet, so it is a table of
/// `View<'static>`, and this trait gives the view with the lifetime of a flow.
pub trait FlowView: 'static {
    /// The view of a flow that lives for `'a`.
    type Of<'a>;

    /// Whether the flow has nothing of what the group is about. Each feature has one value for all such flows, mostly null: it
    /// is made once for a block.
    fn is_absent(_view: &Self::Of<'_>) -> bool {
        false
    }
}

/// How the value is had. The dtype is the variant, so it cannot disagree with the value; `None` is a null. Strings and
/// lists are appended to the column's own buffer.
pub enum Get<V: FlowView> {
    /// Arrow `Float64`. Infinity and NaN become null.
    F64(for<'a> fn(&V::Of<'a>) -> Option<f64>),
    /// Arrow `Int64`.
    I64(for<'a> fn(&V::Of<'a>) -> Option<i64>),
    /// Arrow `Boolean`.
    Bool(for<'a> fn(&V::Of<'a>) -> Option<bool>),
    /// Arrow `Utf8`.
    Str(for<'a> fn(&V::Of<'a>, &mut String) -> Option<()>),
    /// Arrow `Timestamp(Nanosecond, "UTC")`.
    TimestampNs(for<'a> fn(&V::Of<'a>) -> Option<i64>),
    /// Arrow `List<Float64>`.
    ListF64(for<'a> fn(&V::Of<'a>, &mut Vec<f64>) -> Option<()>),
    /// Arrow `List<Int64>`.
    ListI64(for<'a> fn(&V::Of<'a>, &mut Vec<i64>) -> Option<()>),
    /// Arrow `List<Utf8>`.
    ListStr(for<'a> fn(&V::Of<'a>, &mut Texts) -> Option<()>),
}

impl<V: FlowView> Get<V> {
    /// Type of the column.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F64(_) => Dtype::F64,
            Self::I64(_) => Dtype::I64,
            Self::Bool(_) => Dtype::Bool,
            Self::Str(_) => Dtype::Str,
            Self::TimestampNs(_) => Dtype::TimestampNs,
            Self::ListF64(_) => Dtype::ListF64,
            Self::ListI64(_) => Dtype::ListI64,
            Self::ListStr(_) => Dtype::ListStr,
        }
    }
}

impl<V: FlowView> std::fmt::Debug for Get<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Get").field(&self.dtype()).finish()
    }
}

/// Strings one behind the other, for lists of them.
#[derive(Debug, Default)]
pub struct Texts {
    text: String,
    /// End of each string.
    ends: Vec<usize>,
}

impl Texts {
    /// Appends a string.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Drops the strings from the `n`th on.
    pub(super) fn truncate(&mut self, n: usize) {
        self.ends.truncate(n);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Replaces each string from the `n`th on by what `put` writes for it.
    pub(super) fn replace_from(&mut self, n: usize, mut put: impl FnMut(&str, &mut String)) {
        let ends = self.ends.split_off(n);
        let start = self.ends.last().copied().unwrap_or(0);
        let old = self.text.split_off(start);
        let mut from = 0;
        for end in ends {
            put(old.get(from..end - start).unwrap_or_default(), &mut self.text);
            self.ends.push(self.text.len());
            from = end - start;
        }
    }

    /// The text and the ends of the strings in it.
    pub(super) fn into_parts(self) -> (String, Vec<usize>) {
        (self.text, self.ends)
    }
}
