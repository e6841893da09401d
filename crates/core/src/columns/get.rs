//! How the value of a column is had from a view of a flow.

use super::{Dtype, Text};

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
    F64(&'static dyn Numbers<V, f64>),
    /// Arrow `Int64`.
    I64(&'static dyn Numbers<V, i64>),
    /// Arrow `Boolean`.
    Bool(&'static dyn Truths<V>),
    /// Arrow `Utf8`.
    Str(Append<V, Text>),
    /// Arrow `Timestamp(Nanosecond, "UTC")`.
    TimestampNs(&'static dyn Numbers<V, i64>),
    /// Arrow `List<Float64>`.
    ListF64(Append<V, Vec<f64>>),
    /// Arrow `List<Int64>`.
    ListI64(Append<V, Vec<i64>>),
    /// Arrow `List<Utf8>`.
    ListStr(Append<V, Texts>),
}

/// Appends the value of a view to a buffer, or nothing.
pub type Append<V, T> = for<'a> fn(&<V as FlowView>::Of<'a>, &mut T) -> Option<()>;

/// Numbers from views: a closure from a view to a number, or to none. It comes with a loop of its own over the views of a block, in
/// which the compiler sees what it does: a call for each number took 2 to 5 % of a run.
pub trait Numbers<V: FlowView, T>: Sync {
    /// Of one view.
    fn one(&self, view: &V::Of<'_>) -> Option<T>;

    /// Appends those of a block of at most 64 views: a word of which ones there are. `absent` has a bit for each view that is
    /// [`FlowView::is_absent`]; none need be set.
    fn append(&self, views: &[V::Of<'_>], absent: u64, to: &mut Vec<T>) -> u64;
}

/// Truth values from views: as [`Numbers`].
pub trait Truths<V: FlowView>: Sync {
    /// Of one view.
    fn one(&self, view: &V::Of<'_>) -> Option<bool>;

    /// Those of a block of at most 64 views: a word of which ones are true, and one of which ones there are. For `absent`, see
    /// [`Numbers::append`].
    fn words(&self, views: &[V::Of<'_>], absent: u64) -> [u64; 2];
}

impl<V: FlowView, T: Number, F: Fn(&V::Of<'_>) -> Option<T> + Sync> Numbers<V, T> for F {
    fn one(&self, view: &V::Of<'_>) -> Option<T> {
        self(view).filter(|value| value.is_known())
    }

    fn append(&self, views: &[V::Of<'_>], absent: u64, to: &mut Vec<T>) -> u64 {
        let get = |view| Numbers::<V, T>::one(self, view);
        if absent == 0 {
            // Bits come in from above: a shift by one costs less than one by the row's number.
            let mut valid = 0;
            to.extend(views.iter().map(|view| {
                let value = get(view);
                valid = valid >> 1 | u64::from(value.is_some()) << 63;
                value.unwrap_or_default()
            }));
            return valid.checked_shr(64 - views.len() as u32).unwrap_or(0);
        }
        let common = first(views, absent).and_then(get);
        let mut valid = if common.is_some() { absent } else { 0 };
        let from = to.len();
        to.resize(from + views.len(), common.unwrap_or_default());
        for (row, view) in present(views, absent) {
            let value = get(view);
            valid |= u64::from(value.is_some()) << row;
            if let Some(place) = to.get_mut(from + row) {
                *place = value.unwrap_or_default();
            }
        }
        valid
    }
}

impl<V: FlowView, F: Fn(&V::Of<'_>) -> Option<bool> + Sync> Truths<V> for F {
    fn one(&self, view: &V::Of<'_>) -> Option<bool> {
        self(view)
    }

    fn words(&self, views: &[V::Of<'_>], absent: u64) -> [u64; 2] {
        let words = |of: u64, value: Option<bool>| match value {
            Some(true) => [of, of],
            Some(false) => [0, of],
            None => [0, 0],
        };
        let common = words(absent, first(views, absent).and_then(self));
        present(views, absent).fold(common, |[is, valid], (row, view)| {
            let [one, known] = words(1 << row, self(view));
            [is | one, valid | known]
        })
    }
}

/// A number in a column.
pub trait Number: Copy + Default {
    /// Whether it is one: neither infinite nor NaN.
    fn is_known(self) -> bool;
}

impl Number for f64 {
    fn is_known(self) -> bool {
        self.is_finite()
    }
}

impl Number for i64 {
    fn is_known(self) -> bool {
        true
    }
}

/// The first of some views; none where there are none.
pub(super) fn first<V>(views: &[V], of: u64) -> Option<&V> {
    views.get(of.trailing_zeros() as usize)
}

/// The views that are not absent, each with its row.
pub(super) fn present<V>(views: &[V], absent: u64) -> impl Iterator<Item = (usize, &V)> {
    let rows = u64::MAX.checked_shr(64 - views.len() as u32).unwrap_or(0);
    let mut left = rows & !absent;
    std::iter::from_fn(move || {
        let row = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        Some((row, views.get(row)?))
    })
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
