//! What a feature is: a line that carries its name, unit, profile, value and doc.

use super::{RowSettings, Scratch};
use crate::flow::FlowRef;
use crate::rows::{Block, Column};
use crate::trackers::TrackerMask;

/// How the value is had from a group's view of a flow. The dtype is the variant, so it cannot disagree with the
/// value; `None` is a null. Strings and lists are appended to the column's own buffer.
#[derive(Debug)]
pub enum Get<V: 'static> {
    /// Arrow `Float64`. Infinity and NaN become null.
    F64(fn(&V) -> Option<f64>),
    /// Arrow `Int64`.
    I64(fn(&V) -> Option<i64>),
    /// Arrow `Boolean`.
    Bool(fn(&V) -> Option<bool>),
    /// Arrow `Utf8`.
    Str(fn(&V, &mut String) -> Option<()>),
    /// Arrow `List<Float64>`.
    ListF64(fn(&V, &mut Vec<f64>) -> Option<()>),
    /// Arrow `List<Int64>`.
    ListI64(fn(&V, &mut Vec<i64>) -> Option<()>),
}

/// One column.
#[derive(Debug)]
pub struct Feature<V: 'static> {
    /// Its name: quantity, direction, statistic.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// The smallest profile that has it.
    pub profile: Profile,
    /// What it gives away.
    pub privacy: Privacy,
    /// The value.
    pub get: Get<V>,
    /// What it is, in a sentence.
    pub doc: &'static str,
}

/// Features that read the same trackers. `V` is what they see of a flow: computed once for each flow.
#[derive(Debug)]
pub struct Group<V: 'static> {
    /// Name for `--features`.
    pub id: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// Whether `all` leaves it out: only an option of its own, or its name, selects it.
    pub opt_in: bool,
    /// Trackers that the view reads.
    pub uses: TrackerMask,
    /// What the features see of a flow.
    pub view: fn(&FlowRef<'_>, &mut Scratch, &RowSettings) -> V,
    /// The features, in the order of columns.
    pub features: &'static [Feature<V>],
}

/// A group whatever its view is: what schema, docs, selection and rows need.
pub trait AnyGroup: Sync {
    /// Name for `--features`.
    fn id(&self) -> &'static str;
    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;
    /// Whether `all` leaves it out.
    fn opt_in(&self) -> bool;
    /// Trackers that it reads.
    fn uses(&self) -> TrackerMask;
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
    /// What it gives away.
    pub privacy: Privacy,
    /// Whether it tells of one direction only.
    pub direction: Option<Direction>,
    /// Trackers that its group reads.
    pub source: TrackerMask,
}

/// Direction of a packet, a feature, or a row of `bidirectional_split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Initiator to responder.
    Fwd,
    /// Responder to initiator.
    Bwd,
}

impl Direction {
    /// As in names of features and the `direction` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fwd => "fwd",
            Self::Bwd => "bwd",
        }
    }

    /// The direction that the name of a feature has in it.
    fn of_name(name: &str) -> Option<Self> {
        let has = |d: Self| name.split('_').any(|part| part == d.name());
        [Self::Fwd, Self::Bwd].into_iter().find(|d| has(*d))
    }
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dtype {
    F64,
    I64,
    Bool,
    Str,
    ListF64,
    ListI64,
}

impl Dtype {
    /// As it is written in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::I64 => "int64",
            Self::Bool => "bool",
            Self::Str => "string",
            Self::ListF64 => "list[float64]",
            Self::ListI64 => "list[int64]",
        }
    }
}

/// Unit of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    /// Without a unit, or unit 1.
    None,
    Seconds,
    Milliseconds,
    Bytes,
    /// Variance of bytes.
    BytesSquared,
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
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
            Self::BytesSquared => "bytes^2",
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
}

/// What a column gives away of persons and hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing by itself.
    Public,
    /// An IP address: left out by `include_ip_addresses = false`, replaced by `anonymize_ips`.
    Address,
    /// A port: left out by `include_ports = false`.
    Port,
}

impl Privacy {
    /// As it is written in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Address => "address",
            Self::Port => "port",
        }
    }
}

impl<V> Feature<V> {
    const fn new(name: &'static str, unit: Unit, profile: Profile, get: Get<V>, doc: &'static str) -> Self {
        Self { name, unit, profile, privacy: Privacy::Public, get, doc }
    }

    fn dtype(&self) -> Dtype {
        match self.get {
            Get::F64(_) => Dtype::F64,
            Get::I64(_) => Dtype::I64,
            Get::Bool(_) => Dtype::Bool,
            Get::Str(_) => Dtype::Str,
            Get::ListF64(_) => Dtype::ListF64,
            Get::ListI64(_) => Dtype::ListI64,
        }
    }
}

/// The same feature, private.
pub const fn private<V>(privacy: Privacy, feature: Feature<V>) -> Feature<V> {
    let Feature { name, unit, profile, get, doc, .. } = feature;
    Feature { name, unit, profile, privacy, get, doc }
}

/// A feature of type float64.
pub const fn f64<V>(n: &'static str, u: Unit, p: Profile, get: fn(&V) -> Option<f64>, doc: &'static str) -> Feature<V> {
    Feature::new(n, u, p, Get::F64(get), doc)
}

/// A feature of type int64.
pub const fn i64<V>(n: &'static str, u: Unit, p: Profile, get: fn(&V) -> Option<i64>, doc: &'static str) -> Feature<V> {
    Feature::new(n, u, p, Get::I64(get), doc)
}

/// A feature of type bool.
pub const fn bool<V>(n: &'static str, p: Profile, get: fn(&V) -> Option<bool>, doc: &'static str) -> Feature<V> {
    Feature::new(n, Unit::None, p, Get::Bool(get), doc)
}

/// A feature of type string.
pub const fn str<V>(
    n: &'static str,
    p: Profile,
    get: fn(&V, &mut String) -> Option<()>,
    doc: &'static str,
) -> Feature<V> {
    Feature::new(n, Unit::None, p, Get::Str(get), doc)
}

/// A feature of type list of float64.
pub const fn list_f64<V>(
    n: &'static str,
    u: Unit,
    p: Profile,
    get: fn(&V, &mut Vec<f64>) -> Option<()>,
    doc: &'static str,
) -> Feature<V> {
    Feature::new(n, u, p, Get::ListF64(get), doc)
}

/// A feature of type list of int64.
pub const fn list_i64<V>(
    n: &'static str,
    u: Unit,
    p: Profile,
    get: fn(&V, &mut Vec<i64>) -> Option<()>,
    doc: &'static str,
) -> Feature<V> {
    Feature::new(n, u, p, Get::ListI64(get), doc)
}

impl<V> AnyGroup for Group<V> {
    fn id(&self) -> &'static str {
        self.id
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn opt_in(&self) -> bool {
        self.opt_in
    }

    fn uses(&self) -> TrackerMask {
        self.uses
    }

    fn features(&self) -> Vec<FeatureInfo> {
        let info = |f: &Feature<V>| FeatureInfo {
            group: self.id,
            name: f.name,
            dtype: f.dtype(),
            unit: f.unit,
            profile: f.profile,
            doc: f.doc,
            privacy: f.privacy,
            direction: Direction::of_name(f.name),
            source: self.uses,
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
        let views: Vec<V> = block.flows().iter().map(|flow| (self.view)(flow, scratch, settings)).collect();
        for &(feature, column) in wanted {
            if let (Some(feature), Some(column)) = (self.features.get(feature), columns.get_mut(column)) {
                column.append(block, &views, &feature.get);
            }
        }
    }
}
