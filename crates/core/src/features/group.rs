//! What a feature is: an entry that carries its name, unit, profile, value, doc, and how and when there is a value.

use std::borrow::Cow;

use super::reference::{NEVER, Range, Reference};
use super::{RowSettings, Scratch};
use crate::columns::{Append, Block, Column, Direction, Dtype, FlowView, Get, Numbers, Text, Texts, Truths};
use crate::error::ConfigError;
use crate::flow::FlowRef;
use crate::nearest::{find, same};
use crate::privacy::Privacy;
use crate::trackers::{AppWants, TrackerMask};

/// One column.
#[derive(Debug)]
pub struct Feature<V: FlowView> {
    /// Its name: quantity, direction, statistic.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// The smallest profile that has it.
    pub profile: Profile,
    /// What it gives away.
    pub privacy: Privacy,
    /// Whether every flow has a value.
    pub always: bool,
    /// The value.
    pub get: Get<V>,
    /// What it says in a row of one direction.
    pub split: Split<V>,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// How it is made.
    pub reference: Reference,
}

/// What a feature says in the two rows of a flow (`bidirectional_split`). One whose name has a direction is in the row of that
/// direction only, whatever stands here.
#[derive(Debug)]
pub enum Split<V: FlowView> {
    /// Nothing: it is a quantity of the whole flow, and would be counted twice.
    Nothing,
    /// The same in both: it says which flow it is, or what its protocol is.
    Both,
    /// It is in the row of this direction only.
    Only(Direction),
    /// What these features of the group say, forward and backward.
    As([&'static str; 2]),
    /// The direction's own values, forward and backward.
    Own([Get<V>; 2]),
}

impl<V: FlowView> Split<V> {
    /// What holds where nothing else is said: numbers are quantities, texts, times and truth values say what the flow is.
    const fn of(get: &Get<V>) -> Self {
        match get {
            Get::F64(_) | Get::I64(_) | Get::ListF64(_) | Get::ListI64(_) => Self::Nothing,
            Get::Bool(_) | Get::Str(_) | Get::TimestampNs(_) | Get::ListStr(_) => Self::Both,
        }
    }
}

/// In which rows of a split flow a feature has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InRows {
    /// In none: it is a quantity of the whole flow.
    Neither,
    /// The same in both.
    Both,
    /// In that of this direction only.
    Only(Direction),
    /// In both, each direction's own.
    Own,
}

/// Features that read the same trackers.
#[derive(Debug)]
pub struct Group<V: FlowView> {
    /// Name for `--features`.
    pub id: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// RFC, registry or paper that defines most of its features; the others say their own.
    pub source: &'static str,
    /// When most of its features have no value; the others say so.
    pub null: &'static str,
    /// The version that it came with.
    pub since: &'static str,
    /// Whether `all` leaves it out: only an option of its own, or its name, selects it.
    pub opt_in: bool,
    /// Trackers that the view reads.
    pub uses: TrackerMask,
    /// What trackers keep only where it is asked for.
    pub needs: &'static [Need],
    /// What the features see of a flow.
    pub view: for<'a> fn(&FlowRef<'a>, &mut Scratch, &RowSettings) -> V::Of<'a>,
    /// The features, in the order of columns.
    pub features: &'static [Feature<V>],
}

/// What a group needs beyond its trackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The first `max_sequence_length` packets, also of flows that outgrow their log.
    Sequences,
    /// What is read of application protocols.
    App(AppWants),
}

/// A group whatever its view is: what schema, docs, selection and rows need.
pub trait AnyGroup: Sync {
    /// Name for `--features`.
    fn id(&self) -> &'static str;
    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;
    /// Source, null rule and version of its features, where they say none of their own.
    fn defaults(&self) -> [&'static str; 3];
    /// Whether `all` leaves it out.
    fn opt_in(&self) -> bool;
    /// Trackers that it reads.
    fn uses(&self) -> TrackerMask;
    /// What it needs beyond them.
    fn needs(&self) -> &'static [Need];
    /// Its features, in the order of columns.
    fn features(&self) -> Vec<FeatureInfo>;
    /// Appends the values of a block of flows to columns: `wanted` has pairs of feature and column index.
    fn fill(
        &self,
        block: &Block<'_, '_>,
        wanted: &[(usize, usize)],
        columns: &mut [Column],
        scratch: &mut Scratch,
        settings: &RowSettings,
    );
}

/// All that is known of a feature but its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureInfo {
    /// Name of its group.
    pub group: &'static str,
    /// Its name, which is the name of the column.
    pub name: &'static str,
    /// Type of the column.
    pub dtype: Dtype,
    /// Unit of the values.
    pub unit: Unit,
    /// The smallest profile that has it.
    pub profile: Profile,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// How it is made, in the words of [`NOTATION`](super::NOTATION).
    pub formula: &'static str,
    /// RFC, registry or paper that defines it.
    pub source: &'static str,
    /// When it is null; [`NEVER`] where every flow has a value.
    pub null: &'static str,
    /// What its values may be.
    pub range: Range,
    /// The version that it came with.
    pub since: &'static str,
    /// What it gives away.
    pub privacy: Privacy,
    /// Whether every flow has a value.
    pub always: bool,
    /// Whether it is of one direction only.
    pub direction: Option<Direction>,
    /// In which rows of a split flow it has a value.
    pub in_rows: InRows,
    /// Whether both rows of every split flow have a value.
    pub always_in_rows: bool,
}

impl FeatureInfo {
    /// All that is said of it, each under its key: metadata of Arrow fields, JSON, the columns of `jj features -f csv`. What does
    /// not apply is empty. One list, so that no output calls a thing by another name.
    pub fn described(&self) -> [(&'static str, Cow<'static, str>); 13] {
        let said = |text: &'static str| Cow::Borrowed(text);
        [
            ("name", said(self.name)),
            ("group", said(self.group)),
            ("type", said(self.dtype.name())),
            ("unit", said(self.unit.name())),
            ("profile", said(self.profile.name())),
            ("privacy", said(self.privacy.name())),
            ("direction", said(self.direction.map_or("", Direction::name))),
            ("description", said(self.doc)),
            ("formula", said(self.formula)),
            ("range", self.range.to_string().into()),
            ("null", said(self.null)),
            ("source", said(self.source)),
            ("since", said(self.since)),
        ]
    }
}

/// Unit of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    /// Without a unit, or unit 1.
    None,
    Seconds,
    SecondsSquared,
    Milliseconds,
    Hours,
    Bytes,
    /// Variance of bytes.
    BytesSquared,
    Bits,
    Count,
    Ratio,
    PacketsPerSecond,
    BytesPerSecond,
    Bitmap,
}

impl Unit {
    /// As it is written in documents; empty for [`Unit::None`].
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::SecondsSquared => "s^2",
            Self::Milliseconds => "ms",
            Self::Hours => "hours",
            Self::Bytes => "bytes",
            Self::BytesSquared => "bytes^2",
            Self::Bits => "bits",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::PacketsPerSecond => "pps",
            Self::BytesPerSecond => "Bps",
            Self::Bitmap => "bitmap",
        }
    }
}

/// Sets of features, each inside the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// JJ-CORE: works on any capture.
    Core,
    /// JJ-EXTENDED: more of the protocols.
    Extended,
    /// JJ-EXPERIMENTAL: may change.
    Experimental,
}

impl Profile {
    /// Every profile, from the smallest to the largest.
    pub const ALL: [Self; 3] = [Self::Core, Self::Extended, Self::Experimental];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "JJ-CORE",
            Self::Extended => "JJ-EXTENDED",
            Self::Experimental => "JJ-EXPERIMENTAL",
        }
    }

    /// The profile of this name, with or without `JJ-`.
    pub fn find(name: &str) -> Result<Self, ConfigError> {
        let short = |p: &Self| p.name().strip_prefix("JJ-").is_some_and(|n| same(n, name));
        match Self::ALL.into_iter().find(short) {
            Some(profile) => Ok(profile),
            None => find("profile", name, Self::ALL, |p| p.name()),
        }
    }
}

/// The same feature, private.
pub const fn private<V: FlowView>(privacy: Privacy, mut feature: Feature<V>) -> Feature<V> {
    feature.privacy = privacy;
    feature
}

/// The same feature, of which every flow has a value: its column keeps its type where there is no null (`int64` of numpy).
pub const fn always<V: FlowView>(mut feature: Feature<V>) -> Feature<V> {
    feature.always = true;
    feature
}

/// The same feature, which says this in the rows of a split flow.
pub const fn split<V: FlowView>(split: Split<V>, mut feature: Feature<V>) -> Feature<V> {
    feature.split = split;
    feature
}

/// A constructor of features: its name, the variant of `Get` and what that holds, and the unit where it has no choice.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $variant:ident ($get:ty) $(, $unit:expr)?;)+) => {
        $(constructors!(@ [$(#[$doc])*] $name $variant ($get) $(, $unit)?);)+
    };
    (@ [$($doc:tt)*] $name:ident $variant:ident ($get:ty)) => {
        $($doc)*
        pub const fn $name<V: FlowView>(
            name: &'static str,
            unit: Unit,
            profile: Profile,
            get: $get,
            doc: &'static str,
            reference: Reference,
        ) -> Feature<V> {
            let (privacy, always, get) = (Privacy::Public, false, Get::$variant(get));
            let split = Split::of(&get);
            Feature { name, unit, profile, privacy, always, get, split, doc, reference }
        }
    };
    (@ [$($doc:tt)*] $name:ident $variant:ident ($get:ty), $unit:expr) => {
        $($doc)*
        pub const fn $name<V: FlowView>(
            name: &'static str,
            profile: Profile,
            get: $get,
            doc: &'static str,
            reference: Reference,
        ) -> Feature<V> {
            let (unit, privacy, always, get) = ($unit, Privacy::Public, false, Get::$variant(get));
            let split = Split::of(&get);
            Feature { name, unit, profile, privacy, always, get, split, doc, reference }
        }
    };
}

constructors! {
    /// A feature of type float64.
    f64 F64 (&'static dyn Numbers<V, f64>);
    /// A feature of type int64.
    i64 I64 (&'static dyn Numbers<V, i64>);
    /// A feature of type bool.
    bool Bool (&'static dyn Truths<V>), Unit::None;
    /// A feature of type string.
    str Str (Append<V, Text>), Unit::None;
    /// A feature of type timestamp.
    timestamp TimestampNs (&'static dyn Numbers<V, i64>), Unit::None;
    /// A feature of type list of float64.
    list_f64 ListF64 (Append<V, Vec<f64>>);
    /// A feature of type list of int64.
    list_i64 ListI64 (Append<V, Vec<i64>>);
    /// A feature of type list of strings.
    list_str ListStr (Append<V, Texts>), Unit::None;
}

impl<V: FlowView> Group<V> {
    /// What a feature says in the forward and the backward row of a split flow.
    pub(crate) fn halves<'g>(&'g self, feature: &'g Feature<V>) -> [Option<&'g Get<V>>; 2] {
        let only = |d: Direction| [Direction::Fwd, Direction::Bwd].map(|row| (row == d).then_some(&feature.get));
        if let Some(direction) = Direction::of_name(feature.name) {
            return only(direction);
        }
        match &feature.split {
            Split::Nothing => [None; 2],
            Split::Both => [Some(&feature.get); 2],
            Split::Only(direction) => only(*direction),
            Split::As(names) => names.map(|name| Some(&self.named(name)?.get)),
            Split::Own([fwd, bwd]) => [Some(fwd), Some(bwd)],
        }
    }

    fn named(&self, name: &str) -> Option<&Feature<V>> {
        self.features.iter().find(|f| f.name == name)
    }

    fn in_rows(feature: &Feature<V>) -> InRows {
        match (Direction::of_name(feature.name), &feature.split) {
            (Some(direction), _) | (None, &Split::Only(direction)) => InRows::Only(direction),
            (None, Split::Nothing) => InRows::Neither,
            (None, Split::Both) => InRows::Both,
            (None, Split::As(_) | Split::Own(_)) => InRows::Own,
        }
    }

    fn always_in_rows(&self, feature: &Feature<V>) -> bool {
        match &feature.split {
            _ if Direction::of_name(feature.name).is_some() => false,
            Split::Both => feature.always,
            Split::As(names) => names.iter().all(|name| self.named(name).is_some_and(|f| f.always)),
            // Values of their own say nothing of it.
            Split::Nothing | Split::Only(_) | Split::Own(_) => false,
        }
    }
}

impl<V: FlowView> AnyGroup for Group<V> {
    fn id(&self) -> &'static str {
        self.id
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn defaults(&self) -> [&'static str; 3] {
        [self.source, self.null, self.since]
    }

    fn opt_in(&self) -> bool {
        self.opt_in
    }

    fn uses(&self) -> TrackerMask {
        self.uses
    }

    fn needs(&self) -> &'static [Need] {
        self.needs
    }

    fn features(&self) -> Vec<FeatureInfo> {
        let info = |f: &Feature<V>| FeatureInfo {
            group: self.id,
            name: f.name,
            dtype: f.get.dtype(),
            unit: f.unit,
            profile: f.profile,
            doc: f.doc,
            formula: f.reference.formula,
            source: f.reference.source.unwrap_or(self.source),
            null: if f.always { NEVER } else { f.reference.null.unwrap_or(self.null) },
            range: f.reference.range.unwrap_or(Range::of(f.get.dtype(), f.unit)),
            since: f.reference.since.unwrap_or(self.since),
            privacy: f.privacy,
            always: f.always,
            direction: Direction::of_name(f.name),
            in_rows: Self::in_rows(f),
            always_in_rows: self.always_in_rows(f),
        };
        self.features.iter().map(info).collect()
    }

    fn fill(
        &self,
        block: &Block<'_, '_>,
        wanted: &[(usize, usize)],
        columns: &mut [Column],
        scratch: &mut Scratch,
        settings: &RowSettings,
    ) {
        let view = |(at, flow)| (self.view)(flow, scratch.of_flow(at), settings);
        let views: Vec<_> = block.flows().iter().enumerate().map(view).collect();
        let absent = views.iter().enumerate().fold(0, |mask, (row, view)| mask | u64::from(V::is_absent(view)) << row);
        for &(feature, column) in wanted {
            if let (Some(feature), Some(column)) = (self.features.get(feature), columns.get_mut(column)) {
                let pseudonyms = settings.pseudonyms_for(feature.privacy);
                if block.is_split() {
                    column.append_halves(&views, self.halves(feature), pseudonyms);
                } else {
                    column.append(&views, absent, &feature.get, pseudonyms);
                }
            }
        }
    }
}
