//! Flows and their trackers in columns: one vector for the base, one for each tracker that is in use.
//!
//! A tracker that no selected feature reads has no column: it is neither allocated nor updated. Columns rather than
//! one large struct also keep the cache lines that a packet touches few, whatever is selected. Which trackers a flow
//! has and which of them still want packets are two masks in its base, so that the others cost a test of a bit.

use std::net::IpAddr;

use super::FlowBase;
use crate::analysis::graph::FlowValues;
use crate::packet::tcp_flags::SYN;
use crate::packet::{Known, Packet, PacketInfo, Side};
// Every tracker of the table.
use crate::trackers::for_each_tracker;
use crate::trackers::*;

/// Runs the arm of each tracker in a mask. One test leaves out all those that few flows have.
macro_rules! each_of {
    ($mask:expr, { $($bit:ident $kind:ident $tracker:ident => $do:expr,)* }) => {{
        let mask: TrackerMask = $mask;
        $(
            if $kind::<$tracker>::IS_INLINE && mask.contains(TrackerMask::$bit) {
                $do;
            }
        )*
        if mask.and(BOXED) != TrackerMask::NONE {
            $(
                if !$kind::<$tracker>::IS_INLINE && mask.contains(TrackerMask::$bit) {
                    $do;
                }
            )*
        }
    }};
}

macro_rules! store {
    ($($(#[$doc:meta])* $bit:ident $name:ident: $kind:ident $tracker:ident,)*) => {
        /// Trackers that a SYN wakes.
        const AGAIN_AT_SYN: TrackerMask = {
            let mut mask = TrackerMask::NONE;
            $(
                if $tracker::AGAIN_AT_SYN {
                    mask = mask.union(TrackerMask::$bit);
                }
            )*
            mask
        };

        /// Trackers that read the bytes of packets.
        pub(super) const READS_BYTES: TrackerMask = {
            let mut mask = TrackerMask::NONE;
            $(
                if $tracker::READS_BYTES {
                    mask = mask.union(TrackerMask::$bit);
                }
            )*
            mask
        };

        /// Trackers whose columns hold pointers.
        const BOXED: TrackerMask = {
            let mut mask = TrackerMask::NONE;
            $(
                if !$kind::<$tracker>::IS_INLINE {
                    mask = mask.union(TrackerMask::$bit);
                }
            )*
            mask
        };

        /// Trackers of flows by protocol.
        static OF_PROTOCOL: [TrackerMask; 256] = {
            let mut masks = [TrackerMask::NONE; 256];
            let mut protocol = 0;
            while protocol < masks.len() {
                $(
                    if $tracker::CONCERNS.has(protocol as u8) {
                        masks[protocol] = masks[protocol].union(TrackerMask::$bit);
                    }
                )*
                protocol += 1;
            }
            masks
        };

        /// Trackers of all flows with an authentication header.
        const WITH_AH: TrackerMask = {
            let mut mask = TrackerMask::NONE;
            $(
                if $tracker::CONCERNS.has_ah() {
                    mask = mask.union(TrackerMask::$bit);
                }
            )*
            mask
        };

        impl<'a> FlowRef<'a> {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> Option<&'a $tracker> {
                    if self.base.trackers.contains(TrackerMask::$bit) { self.store.$name.get(self.at) } else { None }
                }
            )*
        }

        /// What spent flows leave for new ones. The last ones come first, whose memory is in the cache still; an allocator hands out what was
        /// given back long ago.
        #[derive(Debug, Default)]
        pub struct Spare {
            settings: TrackerSettings,
            stores: Vec<FlowStore>,
            $($name: Vec<Option<Box<$tracker>>>,)*
        }

        impl Spare {
            /// Memory for flows of these settings.
            pub fn new(settings: TrackerSettings) -> Self {
                Self { settings, ..Self::default() }
            }

            /// Takes flows of which nothing is needed any more.
            pub fn add(&mut self, mut spent: FlowStore) {
                $(
                    spent.$name.spend(&self.settings, &mut self.$name);
                )*
                spent.base.clear();
                spent.outer.clear();
                spent.moved_bytes = 0;
                spent.prepared = 0;
                if self.stores.len() < MOST_SPARE_STORES && spent.base.capacity() <= MOST_SPARE {
                    self.stores.push(spent);
                }
            }
        }

        /// Flows by index.
        #[derive(Debug)]
        pub struct FlowStore {
            base: Vec<FlowBase>,
            /// Outer addresses; as long as the last flow that has some.
            outer: Vec<Option<Box<(IpAddr, IpAddr)>>>,
            mask: TrackerMask,
            flow_bytes: usize,
            /// What the flows that were moved here hold on the heap.
            moved_bytes: usize,
            /// Places from the first one on that every column of inline state has; those without a flow hold state as it is before the
            /// first packet.
            prepared: usize,
            /// See [`FlowStore::set_home`].
            home: usize,
            $($name: $kind<$tracker>,)*
        }

        impl FlowStore {
            /// An empty store that keeps these trackers.
            pub fn new(mask: TrackerMask) -> Self {
                let mut flow_bytes = size_of::<FlowBase>();
                $(
                    if mask.contains(TrackerMask::$bit) {
                        flow_bytes += $kind::<$tracker>::PLACE_BYTES;
                    }
                )*
                Self {
                    base: Vec::new(),
                    outer: Vec::new(),
                    mask,
                    flow_bytes,
                    moved_bytes: 0,
                    prepared: 0,
                    home: 0,
                    $($name: $kind::default(),)*
                }
            }

            /// The same with room for so many flows.
            #[must_use]
            pub fn with_room(mut self, flows: usize) -> Self {
                self.base.reserve_exact(flows);
                $(
                    if self.mask.contains(TrackerMask::$bit) {
                        self.$name.0.reserve_exact(flows);
                    }
                )*
                self
            }

            /// Starts a flow at `at`: a place that was moved out, or the next one (`len`).
            pub fn insert(
                &mut self,
                at: usize,
                mut base: FlowBase,
                first: &Packet<'_>,
                context: &mut Context,
                spare: &mut Spare,
            ) {
                let has = self.mask.and(concerned(first.info));
                (base.trackers, base.wanting) = (has, has);
                match self.base.get_mut(at) {
                    Some(place) => *place = base,
                    None => self.base.push(base),
                }
                self.prepare(at, &context.settings);
                // Inline state is there already.
                each_of!(has.and(BOXED), {
                    $($bit $kind $tracker => self.$name.insert(at, context, &mut spare.$name),)*
                });
                self.set_outer(at, first.outer_addresses());
            }

            /// Gives every column of inline state some more places, so that there is one for `at`, whose base is there: many at a time, as
            /// there may be many columns.
            #[cold]
            fn prepare_more(&mut self, at: usize, settings: &TrackerSettings) {
                // No more than there is room for: columns grow when the bases do.
                let places = (at + 1 + at.min(MOST_AHEAD)).min(self.base.capacity());
                $(
                    if self.mask.contains(TrackerMask::$bit) {
                        self.$name.prepare(places, settings);
                    }
                )*
                self.prepared = places;
            }

            /// Takes a packet into the flow at `at`. Whether that may have closed it, see [`FlowBase::closed`].
            #[inline]
            pub fn update(&mut self, at: usize, packet: &Packet<'_>, context: &mut Context) -> bool {
                let Some(base) = self.base.get_mut(at) else { return false };
                let side = base.side_of(packet.info);
                base.update(packet, side);
                let closing = base.may_be_closed();
                let mut wanting = base.wanting;
                if packet.info.tcp_flags & SYN != 0 {
                    wanting = wanting.union(base.trackers.and(AGAIN_AT_SYN));
                    base.wanting = wanting;
                }
                let mut done = TrackerMask::NONE;
                each_of!(wanting, {
                    $($bit $kind $tracker => {
                        if self.$name.update(at, packet, side, context) == Wants::NoMore {
                            done = done.union(TrackerMask::$bit);
                        }
                    },)*
                });
                if done != TrackerMask::NONE
                    && let Some(base) = self.base.get_mut(at)
                {
                    base.wanting = base.wanting.without(done);
                }
                closing
            }

            /// Moves the flow at `at`, which has ended, to the end of another store with the same trackers; what its row does not need is
            /// freed.
            pub fn move_to(&mut self, at: usize, to: &mut FlowStore, context: &mut Context) {
                let Some(base) = self.base.get(at) else { return };
                let place = to.base.len();
                to.base.extend_from_slice(std::slice::from_ref(base));
                to.prepare(place, &context.settings);
                each_of!(base.trackers, {
                    $($bit $kind $tracker => {
                        to.moved_bytes += self.$name.move_to(at, &mut to.$name, place, context);
                    },)*
                });
                if let Some(outer) = self.outer.get_mut(at).and_then(Option::take) {
                    to.set_outer(place, Some(*outer));
                }
            }

            /// The flow at `at` goes on where the one at `from` of another store ended.
            pub fn continue_from(&mut self, at: usize, ended: &FlowStore, from: usize) {
                let (Some(new), Some(old)) = (self.base.get(at), ended.base.get(from)) else { return };
                let both = new.trackers.and(old.trackers);
                $(
                    if both.contains(TrackerMask::$bit)
                        && let (Some(new), Some(earlier)) = (self.$name.get_mut(at), ended.$name.get(from))
                    {
                        new.continue_from(earlier, &old.key, old.initiator());
                    }
                )*
            }

            /// Memory is short: the trackers of the flow at `at` give back what they can do without.
            pub fn relieve(&mut self, at: usize, context: &mut Context) {
                let Some(has) = self.base.get(at).map(|b| b.trackers) else { return };
                $(
                    if has.contains(TrackerMask::$bit)
                        && let Some(tracker) = self.$name.get_mut(at)
                    {
                        tracker.relieve(context);
                    }
                )*
            }

            /// Loads the cache lines of a flow that an update will need, and returns something made of them.
            #[inline]
            pub fn touch(&self, at: usize) -> u64 {
                // Only those that an update will look at: the place of an idle one would be a cache line more.
                self.load(at, |base| base.wanting)
            }

            /// Loads a line of these trackers of a flow, and its base.
            #[inline]
            fn load(&self, at: usize, trackers: impl Fn(&FlowBase) -> TrackerMask) -> u64 {
                let Some(base) = self.base.get(at) else { return 0 };
                // One field of each of its three cache lines.
                let mut sum = base.last_ts as u64 ^ base.bytes[0] ^ u64::from(base.wanting.0);
                each_of!(trackers(base), {
                    $($bit $kind $tracker => sum ^= self.$name.get(at).map_or(0, Tracker::touch),)*
                });
                sum
            }

            /// Bytes of one flow, without what lies on the heap beside it.
            pub fn flow_bytes(&self) -> usize {
                self.flow_bytes
            }

            /// Bytes that the flow at `at` holds on the heap.
            #[cfg(test)]
            pub fn heap_bytes(&self, at: usize) -> usize {
                let Some(base) = self.base.get(at) else { return 0 };
                let mut bytes = 0;
                each_of!(base.trackers, {
                    $($bit $kind $tracker => bytes += self.$name.heap_bytes(at),)*
                });
                bytes
            }
        }
    };
}

for_each_tracker!(store);

/// A flow as features see it: its base, and a method for each tracker, which has what was kept. Few words, whatever is tracked:
/// there is one for each flow whose rows are made.
#[derive(Clone, Copy, Debug)]
pub struct FlowRef<'a> {
    /// Always there.
    pub base: &'a FlowBase,
    store: &'a FlowStore,
    at: usize,
    /// What the graph of connections says of it; none where there is no such graph, or not yet.
    pub connection: Option<&'a FlowValues>,
}

impl<'a> FlowRef<'a> {
    /// Loads the cache lines that a row needs, and returns something made of them.
    #[inline]
    pub fn touch(&self) -> u64 {
        self.store.load(self.at, |base| base.trackers)
    }

    /// Addresses of the outermost IP header of the first packet (source, destination), for a tunnelled flow.
    pub fn outer(&self) -> Option<&'a (IpAddr, IpAddr)> {
        self.store.outer.get(self.at).and_then(Option::as_deref)
    }
}

/// Flows of which a [`Spare`] keeps the memory: as many as end while the rows of others are made. 1.5 MB with every tracker.
const MOST_SPARE: usize = 1024;

/// Empty stores that a [`Spare`] keeps, with room for [`MOST_SPARE`] flows at most: one is filled with each batch.
const MOST_SPARE_STORES: usize = 4;

/// Places that are prepared at a time, at most.
const MOST_AHEAD: usize = 63;

/// Which trackers a flow has that begins with this packet, if they are in use.
#[inline]
fn concerned(first: &PacketInfo) -> TrackerMask {
    let by_protocol = OF_PROTOCOL[usize::from(first.key.protocol)];
    if first.known.has(Known::AH) { by_protocol.union(WITH_AH) } else { by_protocol }
}

impl Spare {
    /// An empty store with room in it; all come from runs with the same trackers.
    pub fn store(&mut self) -> Option<FlowStore> {
        self.stores.pop()
    }
}

impl FlowStore {
    /// Sees to a place for `at` in every column of inline state.
    #[inline]
    fn prepare(&mut self, at: usize, settings: &TrackerSettings) {
        if at >= self.prepared {
            self.prepare_more(at, settings);
        }
    }

    /// Says between which addresses the tunnel of the flow at `at` runs. Few flows have one, so this is no part of the base.
    pub fn set_outer(&mut self, at: usize, addresses: Option<(IpAddr, IpAddr)>) {
        if addresses.is_some() && self.outer.len() <= at {
            self.outer.resize_with(at + 1, || None);
        }
        if let Some(place) = self.outer.get_mut(at) {
            *place = addresses.map(Box::new);
        }
    }

    /// Adds a flow of packets that are all there already, as the first of which `base` was made.
    pub fn replay<'p>(
        &mut self,
        base: FlowBase,
        packets: impl IntoIterator<Item = Packet<'p>>,
        settings: &TrackerSettings,
    ) {
        let at = self.len();
        let (mut context, mut spare) = (Context::new(*settings), Spare::new(*settings));
        let mut base = Some(base);
        for packet in packets {
            if let Some(base) = base.take() {
                self.insert(at, base, &packet, &mut context, &mut spare);
            }
            self.update(at, &packet, &mut context);
        }
    }

    /// What the flows that were moved here hold on the heap.
    pub fn moved_bytes(&self) -> usize {
        self.moved_bytes
    }

    /// Says on which of several threads its memory was taken, where it is cheaper to give back.
    pub fn set_home(&mut self, thread: usize) {
        self.home = thread;
    }

    /// What was said by [`FlowStore::set_home`].
    pub fn home(&self) -> usize {
        self.home
    }

    /// A flow with its trackers.
    pub fn get(&self, at: usize) -> Option<FlowRef<'_>> {
        self.base.get(at).map(|base| FlowRef { base, store: self, at, connection: None })
    }

    /// The base of a flow.
    pub fn base(&self, at: usize) -> Option<&FlowBase> {
        self.base.get(at)
    }

    /// The base of a flow, to change it.
    pub fn base_mut(&mut self, at: usize) -> Option<&mut FlowBase> {
        self.base.get_mut(at)
    }

    /// The bases of all places.
    pub fn bases(&self) -> &[FlowBase] {
        &self.base
    }

    /// How many places there are, moved-out ones included.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }
}

/// State of every flow side by side. Places of flows without this state hold one that was never updated.
#[derive(Debug)]
struct Inline<T>(Vec<T>);

impl<T> Default for Inline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Tracker> Inline<T> {
    const PLACE_BYTES: usize = size_of::<T>();
    const IS_INLINE: bool = true;

    /// State as it is before the first packet lies in all places without a flow, see [`FlowStore::prepare`].
    fn insert(&mut self, _at: usize, _context: &mut Context, _spare: &mut Vec<Option<Box<T>>>) {}

    /// Has at least so many places.
    fn prepare(&mut self, places: usize, settings: &TrackerSettings) {
        debug_assert_eq!(T::start(settings).heap_bytes(), 0, "such memory would be in no account");
        if self.0.len() < places {
            self.0.resize_with(places, || T::start(settings));
        }
    }

    fn spend(&mut self, _settings: &TrackerSettings, _spare: &mut Vec<Option<Box<T>>>) {
        self.0.clear();
    }

    #[inline]
    fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        // Compared and indexed: `get_mut` comes out as twice as many instructions, for each packet and tracker.
        if at < self.0.len() { self.0[at].update(packet, side, context) } else { Wants::NoMore }
    }

    /// How many bytes on the heap went along. What lay in the new place, which is state before the first packet, lies in the old one then.
    fn move_to(&mut self, at: usize, to: &mut Self, place: usize, context: &mut Context) -> usize {
        let (Some(old), Some(new)) = (self.0.get_mut(at), to.0.get_mut(place)) else { return 0 };
        std::mem::swap(old, new);
        new.end(context);
        let bytes = new.heap_bytes();
        context.memory.changed(bytes, 0);
        bytes
    }

    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)
    }

    #[cfg(test)]
    fn heap_bytes(&self, at: usize) -> usize {
        self.get(at).map_or(0, T::heap_bytes)
    }
}

/// A pointer to state that is large, or that few flows have.
#[derive(Debug)]
struct Boxed<T>(Vec<Option<Box<T>>>);

impl<T> Default for Boxed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Tracker> Boxed<T> {
    const PLACE_BYTES: usize = size_of::<Option<Box<T>>>();
    const IS_INLINE: bool = false;
    /// Whether spent state has something to give back. Other state is overwritten when it is used again, which loads it for that use.
    const ENDS_WHEN_SPENT: bool = std::mem::needs_drop::<T>();

    /// There are no places ahead: few flows have such state, and a pointer is made as it is put down.
    fn prepare(&mut self, _places: usize, _settings: &TrackerSettings) {}

    fn insert(&mut self, at: usize, context: &mut Context, spare: &mut Vec<Option<Box<T>>>) {
        let state = match spare.pop().flatten() {
            Some(mut spent) => {
                if !Self::ENDS_WHEN_SPENT {
                    *spent = T::start(&context.settings);
                }
                spent
            }
            None => Box::new(T::start(&context.settings)),
        };
        context.memory.changed(0, size_of::<T>() + state.heap_bytes());
        self.put(at, Some(state));
    }

    fn spend(&mut self, settings: &TrackerSettings, spare: &mut Vec<Option<Box<T>>>) {
        for mut state in self.0.drain(..).flatten() {
            if spare.len() >= MOST_SPARE {
                continue;
            }
            if Self::ENDS_WHEN_SPENT {
                *state = T::start(settings);
            }
            spare.push(Some(state));
        }
    }

    fn put(&mut self, at: usize, state: Option<Box<T>>) {
        if let Some(place) = self.0.get_mut(at) {
            *place = state;
            return;
        }
        self.0.resize_with(at, || None);
        self.0.push(state);
    }

    #[inline]
    fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        self.get_mut(at).map_or(Wants::NoMore, |t| t.update(packet, side, context))
    }

    /// How many bytes on the heap went along.
    fn move_to(&mut self, at: usize, to: &mut Self, place: usize, context: &mut Context) -> usize {
        let Some(mut state) = self.0.get_mut(at).and_then(Option::take) else { return 0 };
        state.end(context);
        let bytes = size_of::<T>() + state.heap_bytes();
        context.memory.changed(bytes, 0);
        to.put(place, Some(state));
        bytes
    }

    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_deref()
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)?.as_deref_mut()
    }

    #[cfg(test)]
    fn heap_bytes(&self, at: usize) -> usize {
        self.get(at).map_or(0, |t| size_of::<T>() + t.heap_bytes())
    }
}

#[cfg(test)]
mod tests;
